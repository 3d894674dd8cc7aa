"""The WILDTRACK recording (Chavdarova et al., CVPR 2018): 7 cameras on a plaza, a grid of true positions.

Cameras 0 to 6 are C1..C7, in the order of `CAMERA_FILES`. Time is the frame number over 10 (the annotated
frames are every fifth of 10 a second). The boxes come from a network that was trained on points projected
with OpenCV, whose pixel (0, 0) is the centre of the top-left pixel: they are not shifted.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.files import find_files, read_numbers
from geoloc.io.calibration_forms import read_xml_pair
from geoloc.io.camera_parts import CameraOptions
from geoloc.io.recording_forms import MVDETR_FPS as FPS
from geoloc.io.recording_forms import read_mvdetr
from geoloc.io.rows import ReadOptions, require_whole
from geoloc.io.truth import GroundTruth
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Detections

CAMERA_FILES = ("CVLab1", "CVLab2", "CVLab3", "CVLab4", "IDIAP1", "IDIAP2", "IDIAP3")
SIZE = (1920, 1080)
GRID_ORIGIN = np.array([-3.0, -9.0])  # m
GRID_STEP = 0.025  # m
AREA = (-3.0, -9.0, 9.0, 27.0)  # the annotated part of the plaza: west, south, east, north, m
# The files state no accuracy. Assumed: half a milliradian of rotation (a pixel), 2 cm of position, a plaza flat
# to 2 cm.
ASSUMED_SIGMA = (0.0005, 0.02)
ASSUMED_SIGMA_Z = 0.02


def read_wildtrack(
    folder: Path | str, boxes: str = "mvdetr_boxes.json", pose_sigma: tuple[float, float] = ASSUMED_SIGMA
) -> tuple[Site, Detections]:
    """Site and boxes of a folder laid out as the recording's.

    `boxes` is the file of boxes in it; `pose_sigma` the standard deviation of each rotation (rad) and of each
    translation (m) that the cameras get, since the recording states none.
    """
    folder = Path(folder)
    return read_wildtrack_site(folder, pose_sigma), read_wildtrack_boxes(folder / boxes)


def read_wildtrack_site(folder: Path | str, pose_sigma: tuple[float, float] = ASSUMED_SIGMA) -> Site:
    """Cameras C1..C7 that lie in the folder, and the plaza: one level `ground`, z = 0, no datum."""
    calibrations = Path(folder) / "calibrations"
    options = CameraOptions(size=SIZE, metres=0.01, pose_sigma=pose_sigma)
    cameras = []
    for outer in find_files(calibrations, "extrinsic/extr_*.xml", "extrinsic calibration"):
        name = outer.stem.removeprefix("extr_")
        if name not in CAMERA_FILES:
            raise InputError(f"{outer}: no camera of WILDTRACK; they are {', '.join(CAMERA_FILES)}")
        inner = calibrations / "intrinsic_zero" / f"intr_{name}.xml"
        named = replace(options, name=f"C{CAMERA_FILES.index(name) + 1}")
        cameras.append(read_xml_pair(inner, outer, named))
    level = Level("ground", (Surface(sigma_z=ASSUMED_SIGMA_Z),))
    area = Place("annotated area", "ground", shapely.box(*AREA), "area_of_interest")
    return Site("wildtrack", tuple(cameras), SiteMap((level,), zones=(area,)))


def read_wildtrack_boxes(path: Path | str) -> Detections:
    """Boxes of a file `{"360": [[left, top, width, height, -1, camera], ...]}`; key k is frame 5 k."""
    return require_whole(read_mvdetr(Path(path), ReadOptions()))


def read_wildtrack_truth(folder: Path | str) -> GroundTruth:
    """True positions of all annotated frames of the folder (the recording's own have no identities)."""
    return read_wildtrack_positions(Path(folder) / "positions.txt")


def read_wildtrack_positions(path: Path | str) -> GroundTruth:
    """Positions of a file of `frame gx gy`: the truth, or a published detector's `mvdet_positions.txt`."""
    rows = read_numbers(path, 3)
    return GroundTruth(time=rows[:, 0] / FPS, xy=GRID_ORIGIN + GRID_STEP * rows[:, 1:])
