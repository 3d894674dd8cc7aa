"""MEVA's cameras placed by named landmarks alone: how many marks it takes, how far off, how honestly, what is refused.

The reference came out of one adjustment with these very marks and landmarks: this is consistency, not accuracy. What
stands on its own is what is refused, and that covariances hold the reference. Lenses are unknown throughout.
"""

import zlib
from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.evaluation.measures import Blocks, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.files import read_json
from geoloc.geometry.se3 import from_rt
from geoloc.relocalize.estimate import PoseEstimate
from geoloc.relocalize.named import pose_from_named
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint
from recordings.figures import Part
from recordings.meva_calibration import read_marks

COUNTS = (6, 8, 12)  # marks that are left of a camera's
DRAWS = 5  # of each count
SAID = "lens unknown; consistency with one adjustment of the same marks"


def run(folder: Path) -> list[Figure]:
    """Answered, centre, turn and NEES of all marks and of few; and of marks whose names are exchanged."""
    folder = folder / "calibration"
    marks, named = read_marks(folder)
    true = _references(folder)
    sizes = {name: size for name, (_, size) in true.items()}
    whole = {name: _placed(marks.take(marks.camera == name), named, sizes[name], name) for name in sizes}
    figures = _figures("all marks of a camera", {name: [found] for name, found in whole.items()}, true)
    for count in COUNTS:
        few = {name: _few(marks.take(marks.camera == name), named, sizes[name], count) for name in sizes}
        figures += _figures(f"{count} marks of a camera", {name: found for name, found in few.items() if found}, true)
    return [*figures, _exchanged(marks, named, sizes)]


def _references(folder: Path) -> dict[str, tuple[RigidTransform, tuple[int, int]]]:
    cameras = read_json(folder / "cameras_old.json")["cameras"]
    return {
        each["camera"]: (from_rt(np.array(each["R"]), np.array(each["t"])), (each["width"], each["height"]))
        for each in cameras
    }


def _placed(marks: Marks, named: tuple[ControlPoint, ...], size: tuple[int, int], seed: str) -> PoseEstimate:
    return pose_from_named(marks, named, size, np.random.default_rng(zlib.crc32(seed.encode())))


def _few(marks: Marks, named: tuple[ControlPoint, ...], size: tuple[int, int], count: int) -> list[PoseEstimate]:
    """Of `count` marks drawn `DRAWS` times; none of a camera that has no more."""
    name = str(marks.camera[0])
    rng = np.random.default_rng(zlib.crc32(f"{name} {count}".encode()))
    if len(marks) <= count:
        return []
    drawn = [np.sort(rng.choice(len(marks), count, replace=False)) for _ in range(DRAWS)]
    return [_placed(marks.take(rows), named, size, name) for rows in drawn]


def _figures(
    name: str, found: dict[str, list[PoseEstimate]], true: dict[str, tuple[RigidTransform, tuple[int, int]]]
) -> list[Figure]:
    """Figures of one way of marking, resampled over cameras."""
    part = Part("meva_named", name, 1.0)
    rows = [(i, camera, each) for i, (camera, some) in enumerate(found.items()) for each in some]
    every = np.array([i for i, _, _ in rows])
    refusals = sorted({each.refusal.split(";")[0] for _, _, each in rows if not each.answered})
    said = f"{SAID}; n {len(rows)}; refused: {' | '.join(refusals) or 'none'}"
    blocks = Blocks(every, len(found))
    answered = np.array([float(each.answered) for _, _, each in rows])
    figures = [part.measured(of_mean("answered", "%", said, answered, blocks, 100), "cameras")]
    placed = [(i, true[camera][0], each) for i, camera, each in rows if each.answered]
    if not placed:
        return figures
    blocks = Blocks(np.array([i for i, _, _ in placed]), len(found))
    xi = np.array([(pose * each.cam_from_world.inv()).as_exp_coords() for _, pose, each in placed])
    off = [np.linalg.norm(each.camera.centre_world - pose.inv().translation) for _, pose, each in placed]
    values = [one @ np.linalg.solve(each.cov, one) for one, (_, _, each) in zip(xi, placed, strict=True)]
    turn = np.degrees(np.linalg.norm(xi[:, :3], axis=1))
    said = f"{SAID}; n {len(placed)}"
    return [
        *figures,
        part.measured(of_quantile("centre_median", "m", said, np.array(off), blocks), "cameras"),
        part.measured(of_quantile("turn_median", "deg", said, turn, blocks), "cameras"),
        part.measured(of_mean("nees", "", f"{said}, 6 expected", np.array(values), blocks), "cameras"),
        part.figure("centre_worst", float(max(off)), "m", said),
        part.figure("nees_worst", max(values), "", said),
    ]


def _exchanged(marks: Marks, named: tuple[ControlPoint, ...], sizes: dict[str, tuple[int, int]]) -> Figure:
    """How many are answered where every mark has another's name."""
    answered = []
    for name, size in sizes.items():
        mine = marks.take(marks.camera == name)
        for shift in range(1, DRAWS + 1):
            wrong = mine.replace(point=np.roll(mine.point, shift))
            answered.append(float(_placed(wrong, named, size, name).answered))
    blocks = Blocks(np.repeat(np.arange(len(sizes)), DRAWS), len(sizes))
    said = f"every mark has the name of another, {DRAWS} times each; none may be answered"
    measure = of_mean("answered", "%", said, np.array(answered), blocks, 100)
    return Part("meva_named", "marks of other names", 1.0).measured(measure, "cameras")
