"""Where pictures were taken by GPS: from their EXIF tags, or a CSV of image, lat, lon, alt, sigma (m), sigma_alt (m).

A CSV's `alt` is over WGS84's ellipsoid, as a survey's receiver gives it. EXIF's altitude is over sea level, by an
unstated model and often wrong by tens of metres: it is not read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from geoloc.errors import InputError
from geoloc.io.cells import csv_cells
from geoloc.io.rows import ReadReport

USUAL_SIGMA = 5.0  # m; of a phone under the open sky that states none
GPS, HORIZONTAL_ERROR = 0x8825, 31  # tags of EXIF
LAT_REF, LAT, LON_REF, LON = 1, 2, 3, 4


@dataclass(frozen=True)
class PictureFix:
    """A fix of one picture, named by its file less its ending; `height` (m, ellipsoidal) is NaN where none is known.

    `sigma` and `sigma_up` (m) are standard deviations of each horizontal axis and of the height.
    """

    name: str
    lat_deg: float
    lon_deg: float
    height: float = float("nan")
    sigma: float = USUAL_SIGMA
    sigma_up: float = float("nan")


def read_picture_fixes(path: Path | str) -> tuple[tuple[PictureFix, ...], ReadReport]:
    """The fixes of a CSV; rows that are malformed are left out and counted."""
    cells = csv_cells(path)
    cells.require("image", "lat", "lon")
    names = np.array([_stem(each) for each in np.char.strip(cells.text("image")).tolist()], str)
    lat, lon, alt, sigma, up = (cells.numbers(name) for name in ("lat", "lon", "alt", "sigma", "sigma_alt"))
    sigma = np.where(np.char.strip(cells.text("sigma")) == "", USUAL_SIGMA, sigma)
    up = np.where(np.char.strip(cells.text("sigma_alt")) == "", 2 * sigma, up)
    _, first = np.unique(names, return_index=True)
    again = ~np.isin(np.arange(len(names)), first)
    with np.errstate(invalid="ignore"):
        keep = cells.usable(
            ("no image", names == ""),
            ("lat or lon is none of the Earth's", ~((np.abs(lat) <= 90) & (np.abs(lon) <= 180))),
            ("sigma is no positive number", ~((sigma > 0) & (up > 0) & np.isfinite(sigma + up))),
            ("a second fix of one image", again),
        )
    rows = np.flatnonzero(keep).tolist()
    fixes = tuple(
        PictureFix(str(names[i]), float(lat[i]), float(lon[i]), float(alt[i]), float(sigma[i]), float(up[i]))
        for i in rows
    )
    return fixes, cells.report("fixes", len(fixes), "fixes")


def exif_fixes(files: Iterable[Path]) -> tuple[PictureFix, ...]:
    """The fixes that pictures state in their EXIF tags; of those without one, none."""
    found = (exif_fix(path) for path in files)
    return tuple(fix for fix in found if fix is not None)


def exif_fix(path: Path) -> PictureFix | None:
    """The fix in a picture's EXIF tags; None without one, or where it cannot be: out of range, or exactly 0, 0."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            tags = picture.getexif().get_ifd(GPS)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"{path}: no picture that can be read ({error})") from error
    lat = _degrees(tags.get(LAT), tags.get(LAT_REF), "S")
    lon = _degrees(tags.get(LON), tags.get(LON_REF), "W")
    if not (abs(lat) <= 90 and abs(lon) <= 180) or (lat == 0 and lon == 0):  # false for NaN
        return None
    sigma = _number(tags.get(HORIZONTAL_ERROR))
    return PictureFix(path.stem, lat, lon, sigma=sigma if 0 < sigma < 1e4 else USUAL_SIGMA)


def _degrees(parts: object, reference: object, negative: str) -> float:
    if not isinstance(parts, tuple | list) or len(parts) != 3:
        return float("nan")
    degrees, minutes, seconds = map(_number, parts)
    value = degrees + minutes / 60 + seconds / 3600
    text = reference.decode("ascii", "replace") if isinstance(reference, bytes) else str(reference)
    return -value if text.strip().upper().startswith(negative) else value


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return float("nan")


def _stem(image: str) -> str:
    return PurePosixPath(PureWindowsPath(image).as_posix()).stem
