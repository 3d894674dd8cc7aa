"""Pinned references on disk: `calibration/<site>/references/`, a grey PNG each, and who they are of in one file.

Each keeps the camera as it was calibrated when the picture was taken, so that a later calibration does not change
what a frame is compared with.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.features.local import Extractor
from geoloc.files import read_bytes, write_whole
from geoloc.relocalize.reference import Reference, pin_reference
from geoloc.scene import jsonfile
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.storage import calibration_folder, cameras_text, parse_cameras

SCHEMA = 1
FILE = "references.json"
KEYS = ("camera", "name", "file", "sha256", "pinned", "calibrated")


@dataclass(frozen=True, eq=False)
class Pin:
    """A picture `file` of `camera` (as calibrated then), `name` such as "night"; pinned in UTC Unix s."""

    camera: Camera
    name: str
    file: str
    sha256: str
    pinned: float


def list_pins(site: str, root: str | Path = ".") -> tuple[Pin, ...]:
    """All pinned references of a site; none where none was pinned."""
    path = _folder(site, root) / FILE
    if not path.is_file():
        return ()
    document = jsonfile.read_object(path)
    with jsonfile.naming(path):
        jsonfile.check_keys("the file", document, ("schema", "references"))
        jsonfile.check_schema(document, SCHEMA)
        return tuple(_pin(entry) for entry in jsonfile.sequence("'references'", document["references"]))


def save_pin(site: str, camera: Camera, image: np.ndarray, name: str = "", root: str | Path = ".") -> Pin:
    """Pin grey values (H, W) uint8 as what `camera` sees while its calibration is true; one of that name gives way.

    InputError for an image of another size, GeometryError for one that shows too little; nothing is written then.
    """
    import cv2

    if any(letter in name for letter in "/\\:*?\"<>|") or name.startswith("."):
        raise InputError(f"reference {name!r} of camera {camera.name!r}: a name of letters and digits, such as night")
    pin_reference(camera, image, name)  # refuses what no frame could be held against
    done, data = cv2.imencode(".png", image)
    if not done:
        raise InputError(f"camera {camera.name!r}: its reference of shape {image.shape} cannot be written as PNG")
    content = data.tobytes()
    digest = hashlib.sha256(content).hexdigest()
    # named by what it holds: a list that was not written after all still finds its old pictures
    pin = Pin(camera, name, f"{digest[:16]}.png", digest, time.time())
    kept = [old for old in list_pins(site, root) if (old.camera.name, old.name) != (camera.name, name)]
    write_whole(_folder(site, root) / pin.file, content)
    rows = [_row(each) for each in (*kept, pin)]
    write_whole(_folder(site, root) / FILE, json.dumps({"schema": SCHEMA, "references": rows}, indent=1) + "\n")
    return pin


def load_references(
    site: str, root: str | Path = ".", site_map: SiteMap | None = None, cameras: tuple[str, ...] = (),
    extractor: str | Extractor = "rootsift",
) -> dict[str, list[Reference]]:
    """The references of each camera (of those named, or of all), by its name; with depths from `site_map` if given.

    Features for large motions are those of `extractor`, from the pinned pictures: none are stored.
    """
    found: dict[str, list[Reference]] = {}
    for pin in list_pins(site, root):
        if not cameras or pin.camera.name in cameras:
            image = _picture(_folder(site, root) / pin.file, pin)
            reference = pin_reference(pin.camera, image, pin.name, site_map=site_map, extractor=extractor)
            found.setdefault(pin.camera.name, []).append(reference)
    return found


def _picture(path: Path, pin: Pin) -> np.ndarray:
    import cv2

    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != pin.sha256:
        raise InputError(f"{path}: is not the picture that was pinned of camera {pin.camera.name!r}; pin it again")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise InputError(f"{path}: not a picture that can be read; pin camera {pin.camera.name!r} again")
    return np.asarray(image)


def _pin(entry: object) -> Pin:
    row: Mapping[str, object] = jsonfile.mapping("a reference", entry)
    jsonfile.check_keys("a reference", dict(row), KEYS)
    camera, name, file, digest = (jsonfile.text(f"{key!r}", row[key], empty=key == "name") for key in KEYS[:4])
    if Path(file).name != file:
        raise InputError(f"'file' is {file!r}; it must lie beside the list")
    (calibrated,) = parse_cameras(row["calibrated"])
    if calibrated.name != camera:
        raise InputError(f"reference of camera {camera!r} holds the calibration of {calibrated.name!r}")
    return Pin(calibrated, name, file, digest, float(jsonfile.numbers("'pinned'", row["pinned"], ())))


def _row(pin: Pin) -> dict[str, object]:
    return {
        "camera": pin.camera.name,
        "name": pin.name,
        "file": pin.file,
        "sha256": pin.sha256,
        "pinned": pin.pinned,
        "calibrated": json.loads(cameras_text((pin.camera,))),
    }


def _folder(site: str, root: str | Path) -> Path:
    return calibration_folder(site, root) / "references"
