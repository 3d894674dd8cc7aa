"""Sets of pictures with their truth on disk.

    FOLDER/pictures/NAME.jpg    each picture
    FOLDER/poses.csv            cam_from_world of each, as `io.poses` reads it
    FOLDER/cameras.json         lens, size and pose of each, as the cameras of a site, named as the picture
    FOLDER/truth.csv            picture, kind, level, moment, hour, clouds of each
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.files import read_columns, write_whole
from geoloc.io.poses import NamedPoses, write_poses
from geoloc.scene.camera import Camera
from geoloc.scene.storage import load_cameras, save_cameras
from geoloc.synthetic.storage import save_csv

COLUMNS = ("picture", "kind", "level", "moment", "hour", "clouds")
QUALITY = 95  # of JPEG


@dataclass(frozen=True, eq=False)
class TruePicture:
    """A picture (H, W, 3) uint8 BGR with its truth; `moment` counts the moments of the set."""

    name: str
    image: np.ndarray
    camera: Camera
    kind: str
    level: str
    moment: int = 0
    hour: float = 0.0
    clouds: float = 0.0


def save_pictures(pictures: Iterable[TruePicture], folder: str | Path, ending: str = ".jpg") -> int:
    """Write a set of pictures, which may be drawn while it is written; returns how many. Names must differ."""
    folder = Path(folder)
    cameras: list[Camera] = []
    rows: list[tuple[str, ...]] = []
    for picture in pictures:
        done, packed = cv2.imencode(ending, picture.image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise InputError(f"{folder}: pictures cannot be written as {ending!r}; take .jpg or .png")
        write_whole(folder / "pictures" / f"{picture.name}{ending}", packed.tobytes())
        cameras.append(replace(picture.camera, name=f"{picture.name}{ending}"))
        truth = (picture.kind, picture.level, str(picture.moment), f"{picture.hour:g}", f"{picture.clouds:g}")
        rows.append((f"{picture.name}{ending}", *truth))
    if not cameras:
        raise InputError(f"{folder}: no pictures to write")
    poses = RigidTransform.concatenate([camera.cam_from_world for camera in cameras])
    write_poses(folder / "poses.csv", NamedPoses.of([camera.name for camera in cameras], poses))
    save_cameras(tuple(cameras), folder / "cameras.json")
    save_csv(folder / "truth.csv", COLUMNS, rows)
    return len(cameras)


def load_pictures(folder: str | Path) -> Iterator[TruePicture]:
    """The pictures of a folder with their truth, one after another."""
    folder = Path(folder)
    columns = read_columns(folder / "truth.csv")
    if tuple(columns) != COLUMNS:
        found = ", ".join(columns)
        raise InputError(f"{folder / 'truth.csv'}: its columns are {found}; they must be {', '.join(COLUMNS)}")
    cameras = {camera.name: camera for camera in load_cameras(folder / "cameras.json")}
    for name, kind, level, moment, hour, clouds in zip(*columns.values(), strict=True):
        image = cv2.imread(str(folder / "pictures" / name), cv2.IMREAD_COLOR)
        if image is None or name not in cameras:
            raise InputError(f"{folder}: picture {name!r} or its camera is not there; make the set again")
        numbers = int(moment), float(hour), float(clouds)
        yield TruePicture(name, np.asarray(image), cameras[name], kind, level, *numbers)
