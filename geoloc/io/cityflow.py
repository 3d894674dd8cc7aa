"""The CityFlow recording (Tang et al., CVPR 2019): traffic cameras known by homographies from (lat, lon).

Time is the camera's stamp plus its frame number (from 1) over 10. Boxes are in whole pixels from corner to
corner (0 to the image's width), so they are shifted by half a pixel here.
"""

from pathlib import Path

import numpy as np

from geoloc.errors import GeometryError, InputError
from geoloc.files import find_files, read_numbers, read_text
from geoloc.geometry.geodesy import Datum
from geoloc.io.calibration_forms import parse_latlon_homography, read_homography_latlon
from geoloc.io.camera_parts import CameraOptions
from geoloc.io.homographies import apply_homography, invert
from geoloc.io.recording_forms import CITYFLOW_EDGE_SHIFT as EDGE_SHIFT
from geoloc.io.recording_forms import CITYFLOW_FPS as FPS
from geoloc.io.truth import BoxTracks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections

FIRST_FRAME = 1


def read_cityflow(folder: Path | str, source: str = "gt") -> tuple[Site, Detections]:
    """Site and boxes, without identities, of a folder laid out as the recording's.

    `source` is "gt", the true boxes, or "tracks", those of a published system; neither has scores. Boxes
    without a positive width and height (one of the published system's) are left out.
    """
    rows = _box_rows(Path(folder), source)
    found = Detections(
        id=np.arange(len(rows)),
        time=rows.time,
        camera=rows.camera,
        box=rows.box,
        label=np.full(len(rows), "car"),
    )
    return read_cityflow_site(folder), found.take(_has_area(rows))


def read_cityflow_truth(folder: Path | str) -> BoxTracks:
    """True boxes with identities that the cameras share."""
    rows = _box_rows(Path(folder), "gt")
    return rows.take(_has_area(rows))


def read_cityflow_tracks(folder: Path | str) -> BoxTracks:
    """Boxes of the published system with its own identities, one camera's apart from another's."""
    rows = _box_rows(Path(folder), "tracks")
    return rows.take(_has_area(rows))


def read_cityflow_site(folder: Path | str) -> Site:
    """Cameras of the folder as homographies from metres, and one level `ground` around their datum.

    The datum is the mean over the cameras of the ground under the middle of the image's lower half; its
    height is not known and set to 0. A homography's sigma is the reprojection error that its file states.
    """
    files = find_files(folder, "calibration/c*.txt", "homography")
    read = [parse_latlon_homography(file) for file in files]
    sizes = [_image_size(Path(folder), file.stem) for file in files]
    middles = np.array(
        [
            apply_homography(invert(matrix, str(file)), np.array([[width / 2, 0.75 * height]]))[0]
            for file, (matrix, _), (width, height) in zip(files, read, sizes, strict=True)
        ]
    )
    datum = Datum(float(middles[:, 0].mean()), float(middles[:, 1].mean()))
    cameras = tuple(
        read_homography_latlon(file, CameraOptions(size=size, datum=datum))[0]
        for file, size in zip(files, sizes, strict=True)
    )
    return Site("cityflow", cameras, SiteMap((Level("ground", (Surface(),)),), datum=datum))


def _image_size(folder: Path, name: str) -> tuple[int, int]:
    """Width and height of the camera's still; without one, the extent of its true boxes."""
    still = folder / f"{name}.jpg"
    if still.is_file():
        import cv2

        image = cv2.imread(str(still))
        if image is None:
            raise InputError(f"{still}: not a picture; it gives the camera's image size")
        return image.shape[1], image.shape[0]
    rows = _box_rows(folder, "gt")
    boxes = rows.box[rows.camera == name]
    if not len(boxes):
        raise GeometryError(f"{folder}: camera {name} has neither a still {name}.jpg nor boxes to size it by")
    right, bottom = boxes[:, 2:].max(axis=0) - EDGE_SHIFT
    return int(np.ceil(right)), int(np.ceil(bottom))


def _box_rows(folder: Path, source: str) -> BoxTracks:
    if source == "gt":
        tables = [read_numbers(file, 7) for file in find_files(folder, "gt/*.txt*", "true boxes")]
    elif source == "tracks":
        files = find_files(folder, "tracks/c*_*.txt*", "published tracks")
        tables = [_with_camera(file, read_numbers(file, 6, ",")) for file in files]
    else:
        raise InputError(f"CityFlow boxes {source!r}; they are 'gt' or 'tracks'")
    rows = np.concatenate(tables)
    frame = rows[:, 2].astype(int)
    camera = np.array([f"c{int(number):03d}" for number in rows[:, 0]], dtype=str)
    corners = rows[:, 3:5] + EDGE_SHIFT
    return BoxTracks(
        time=_starts(folder, camera) + (frame - FIRST_FRAME) / FPS,
        camera=camera,
        frame=frame,
        id=rows[:, 1].astype(int),
        box=np.concatenate([corners, corners + rows[:, 5:7]], axis=1),
    )


def _has_area(rows: BoxTracks) -> np.ndarray:
    return np.asarray((rows.box[:, 2:] > rows.box[:, :2]).all(axis=1))


def _with_camera(file: Path, rows: np.ndarray) -> np.ndarray:
    """Rows `frame, id, left, ...` of `cNNN_*.txt` as `camera, id, frame, left, ...`."""
    number = file.name[1:].partition("_")[0]
    if not number.isdecimal():
        raise InputError(f"{file}: its name must begin with its camera, such as c002_train.txt.gz")
    return np.column_stack([np.full(len(rows), int(number)), rows[:, 1], rows[:, 0], rows[:, 2:]])


def _starts(folder: Path, camera: np.ndarray) -> np.ndarray:
    """Seconds at which each row's camera starts (N,)."""
    stamps: dict[str, float] = {}
    for file in find_files(folder, "cam_timestamp*.txt", "start of the cameras"):
        for line in read_text(file).splitlines():
            words = line.split()
            if len(words) == 2:
                stamps[words[0]] = float(words[1])
    missing = sorted(set(camera.tolist()) - stamps.keys())
    if missing:
        raise InputError(f"{folder}: cam_timestamp*.txt does not say when camera {missing[0]} starts")
    return np.array([stamps[name] for name in camera.tolist()], float)
