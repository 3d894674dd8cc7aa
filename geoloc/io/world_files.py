"""World files (.pgw, .jgw, .tfw, .wld): where the pixels of a floor plan or an aerial picture lie on the map.

Six lines: A, D, B, E, C, F of x = A u + B v + C, y = D u + E v + F, with (u, v) = (0, 0) the centre of the top-left
pixel, as in geoloc.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_numbers, write_whole
from geoloc.io.references import DEGREES, METRES, PointOptions, named_crs, place_checks, world_points

MAX_BEND = 0.05  # m by which a picture in degrees or a grid may be off its affine map


@dataclass(frozen=True, eq=False)
class PlanImage:
    """A picture of the site from above: `world_from_pixel` (2, 3) takes (u, v, 1) to ENU x, y in m."""

    path: str
    size: tuple[int, int]
    world_from_pixel: np.ndarray

    def xy(self, pixels: np.ndarray) -> np.ndarray:
        """Places (N, 2) m of pixels (N, 2)."""
        return np.asarray(pixels, float) @ self.world_from_pixel[:, :2].T + self.world_from_pixel[:, 2]

    def pixels(self, xy: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of places (N, 2) m."""
        return (np.asarray(xy, float) - self.world_from_pixel[:, 2]) @ np.linalg.inv(self.world_from_pixel[:, :2]).T


def world_file_of(image: Path | str) -> Path:
    """The world file beside an image: plan.pgw, plan.pngw or plan.wld of plan.png; InputError if there is none."""
    image = Path(image)
    ending = image.suffix.lstrip(".")
    endings = [ending[:1] + ending[-1:] + "w", ending + "w", "wld"] if ending else ["wld"]
    for candidate in endings:
        for written in (candidate.lower(), candidate.upper()):
            if image.with_suffix(f".{written}").is_file():
                return image.with_suffix(f".{written}")
    names = ", ".join(image.with_suffix(f".{candidate}").name for candidate in endings)
    raise InputError(f"{image}: no world file beside it ({names}); a GIS writes one when it exports a picture")


def read_world_file(path: Path | str) -> np.ndarray:
    """The affine map (2, 3) from (u, v, 1) to the file's coordinates."""
    values = read_numbers(path, 1).ravel()
    if len(values) != 6:
        raise InputError(f"{path}: holds {len(values)} numbers; a world file has six lines with one number each")
    affine = values.reshape(3, 2).T
    scale = float(np.abs(affine[:, :2]).max())
    if scale == 0 or abs(np.linalg.det(affine[:, :2] / scale)) < 1e-9:
        right = "line 1 is the width of a pixel, line 4 its height, negative"
        raise InputError(f"{path}: pixels have no area; {right}")
    return affine


def write_world_file(path: Path | str, affine: np.ndarray) -> None:
    """Write an affine map (2, 3) as a world file, whole or not at all; every number comes back as it was."""
    write_whole(path, "".join(f"{value!r}\n" for value in np.asarray(affine, float).T.ravel().tolist()))


def read_plan_image(
    image: Path | str, size: tuple[int, int], options: PointOptions | None = None, world_file: Path | str = ""
) -> PlanImage:
    """A picture of `size` (width, height) px with the world file beside it, placed on the site.

    A world file in degrees or a grid (`options.crs`) is placed by the site's datum; InputError where the picture
    lies nowhere near it, or is so large that no affine map holds to 5 cm.
    """
    options = options or PointOptions()
    path = Path(world_file) if world_file else world_file_of(image)
    affine = read_world_file(path)
    crs = named_crs(options.crs)
    u, v = np.meshgrid(np.linspace(0, size[0] - 1, 3), np.linspace(0, size[1] - 1, 3))
    pixels = np.column_stack([u.ravel(), v.ravel(), np.ones(u.size)])
    places = pixels @ affine.T
    if crs == METRES and options.site_map.datum is not None and _look_like_degrees(places, options):
        crs = DEGREES
    coordinates = np.column_stack([places, np.full(len(places), np.nan)])
    points = world_points(coordinates, crs, options, path)
    for reason, bad in place_checks(coordinates, points, crs, options).items():
        if bad.any():
            raise InputError(f"{path}: the picture lies {reason}")
    fitted, *_ = np.linalg.lstsq(pixels, points[:, :2])
    bend = float(np.abs(pixels @ fitted - points[:, :2]).max())
    if bend > MAX_BEND:
        raise InputError(f"{path}: the picture is {bend:.2f} m off an affine map of the site; cut it to the site")
    return PlanImage(str(image), size, fitted.T)


def _look_like_degrees(places: np.ndarray, options: PointOptions) -> bool:
    """Whether the picture's middle is within 0.1 degree of the datum, and not of the site's origin."""
    datum = options.site_map.require_datum("a world file")
    lon, lat = places.mean(axis=0).tolist()
    return max(abs(lat - datum.lat_deg), abs(lon - datum.lon_deg)) < 0.1 and max(np.ptp(places, axis=0)) < 0.1
