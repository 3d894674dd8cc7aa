"""The MultiviewX recording (Hou et al., ECCV 2020): 6 cameras of a rendered square, people with identities.

Cameras C1..C6 are `Camera1`..`Camera6`, views 0 to 5. The recording states no frame rate; the 2 annotated
frames a second of WILDTRACK, which it follows, are assumed. Boxes were made by projecting points with OpenCV,
whose pixel (0, 0) is the centre of the top-left pixel: they are not shifted.

The recording's world is left-handed: seen from above, its y runs clockwise from x, and its calibrations, made
as if it were right-handed, put every point behind the camera, where it has the same pixel. Here y is counted
from the other side of the square (y = 16 m - the recording's y), in cameras and truth alike.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.files import find_files, read_json
from geoloc.io.calibration_forms import read_xml_pair
from geoloc.io.camera_parts import CameraOptions
from geoloc.io.truth import BoxTracks, GroundTruth
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Detections

FRAMES_PER_SECOND = 2.0  # assumed
SIZE = (1920, 1080)
GRID_STEP = 0.025  # m
GRID_WIDTH = 1000  # cells in a row of the grid
AREA = (0.0, 0.0, 25.0, 16.0)  # m
# The files state no accuracy. Assumed of a rendered world: 0.5 mrad of rotation, 1 cm of position.
ASSUMED_SIGMA = (0.0005, 0.01)


@dataclass(frozen=True, eq=False)
class Annotations:
    """What annotation files hold: people on the ground, and their boxes with the row of their person."""

    time: np.ndarray  # (P,) s
    person: np.ndarray  # (P,) identity
    xy: np.ndarray  # (P, 2) m
    owner: np.ndarray  # (N,) row among the people
    view: np.ndarray  # (N,) camera number from 0
    box: np.ndarray  # (N, 4) px


def read_multiviewx(
    folder: Path | str, pose_sigma: tuple[float, float] = ASSUMED_SIGMA
) -> tuple[Site, Detections]:
    """Site and boxes, without personID, of a folder laid out as the recording's."""
    return read_multiviewx_site(folder, pose_sigma), read_multiviewx_boxes(folder)


def read_multiviewx_site(folder: Path | str, pose_sigma: tuple[float, float] = ASSUMED_SIGMA) -> Site:
    """Cameras that lie in the folder, and the square: one level `ground`, z = 0, no datum.

    `pose_sigma` is the standard deviation of each rotation (rad) and each translation (m) of the cameras.
    """
    files = find_files(folder, "calibrations/extrinsic/extr_Camera*.xml", "extrinsic calibration")
    cameras = tuple(_camera(file, pose_sigma) for file in files)
    area = Place("annotated area", "ground", shapely.box(*AREA), "area_of_interest")
    return Site("multiviewx", cameras, SiteMap((Level("ground", (Surface(),)),), zones=(area,)))


def read_multiviewx_boxes(folder: Path | str) -> Detections:
    """Boxes of all annotation files of the folder, without personID; id is their running number."""
    found = read_annotations(folder)
    return Detections(
        id=np.arange(len(found.box)),
        time=found.time[found.owner],
        camera=np.char.add("C", (found.view + 1).astype(str)),
        box=found.box,
        label=np.full(len(found.box), "person"),
    )


def read_multiviewx_truth(folder: Path | str) -> GroundTruth:
    """True positions and identities of all annotated frames of the folder."""
    found = read_annotations(folder)
    return GroundTruth(time=found.time, id=found.person, xy=found.xy)


def read_multiviewx_box_truth(folder: Path | str) -> BoxTracks:
    """Boxes with the identity of their person, in the order of `read_multiviewx_boxes`."""
    found = read_annotations(folder)
    time = found.time[found.owner]
    return BoxTracks(
        time=time,
        camera=np.char.add("C", (found.view + 1).astype(str)),
        frame=np.rint(time * FRAMES_PER_SECOND).astype(int),
        id=found.person[found.owner],
        box=found.box,
    )


def read_annotations(folder: Path | str) -> Annotations:
    """Everything in `annotations_positions/*.json`; the number in a file's name is its frame."""
    times: list[float] = []
    people: list[tuple[int, int]] = []
    boxes: list[tuple[float, ...]] = []
    for file in find_files(folder, "annotations_positions/*.json", "annotation"):
        if not file.stem.isdecimal():
            raise InputError(f"{file}: its name must be the number of its frame, such as 00001.json")
        content = read_json(file)
        try:
            for person in content:
                views = [
                    (len(people), view["viewNum"], view["xmin"], view["ymin"], view["xmax"], view["ymax"])
                    for view in person["views"]
                ]
                # -1 in all four corners means that this view does not see the person
                boxes += [row for row in views if row[2:] != (-1, -1, -1, -1)]
                people.append((person["personID"], person["positionID"]))
                times.append(int(file.stem) / FRAMES_PER_SECOND)
        except (TypeError, KeyError) as error:
            raise InputError(f"{file}: not people with personID, positionID and views ({error!r})") from error
    person, position = np.array(people, int).reshape(-1, 2).T
    table = np.array(boxes, float).reshape(-1, 6)
    xy = GRID_STEP * np.stack([position % GRID_WIDTH, position // GRID_WIDTH], axis=1)
    xy[:, 1] = AREA[3] - xy[:, 1]
    return Annotations(
        np.array(times), person, xy, table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:]
    )


def _camera(extrinsic: Path, pose_sigma: tuple[float, float]) -> Camera:
    name = extrinsic.stem.removeprefix("extr_")
    intrinsic = extrinsic.parents[1] / "intrinsic" / f"intr_{name}.xml"
    options = CameraOptions("C" + name.removeprefix("Camera"), SIZE, left_handed=True, pose_sigma=pose_sigma)
    camera = read_xml_pair(intrinsic, extrinsic, options)
    mirrored_from_square = RigidTransform.from_translation([0.0, -AREA[3], 0.0])
    return replace(camera, cam_from_world=camera.cam_from_world * mirrored_from_square)
