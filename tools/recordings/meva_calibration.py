"""MEVA's marks: each camera from its marks alone, 30 % left out and predicted; how far, and how honestly.

The landmarks came out of one adjustment with these very marks, so that all of this is consistency, not accuracy.
"""

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geoloc.calibrate.single import calibrate_camera
from geoloc.calibrate.solution import Refused
from geoloc.estimators.camera_fit import MarkedPoints, camera_of, fits_of, predict_pixels, refine_fits
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior
from geoloc.evaluation.measures import Blocks, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.files import read_columns, read_json
from geoloc.metrics.consistency import nees
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint
from recordings.figures import Part

SPLITS = 20
LEFT_OUT = 0.3
FEWEST = 8  # marks of a camera that is scored
INSIDE_95 = 5.9915  # squared Mahalanobis distance
LOW_STILLS = ("G328", "G505", "G506", "G509", "G638", "G639")  # 1072 px high, the others 1080
CONSISTENCY = "consistency: marks and landmarks of one adjustment"
SAID = f"{SPLITS} splits, {100 * LEFT_OUT:.0f} % of the marks left out; {CONSISTENCY}"
FLOOR = "plain least squares of pose, f and k1 from the same minimum"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Errors of the K held-out marks of a camera: ours, the plain fit's, and whether ours lie in their ellipses."""

    error: np.ndarray
    floor: np.ndarray
    inside: np.ndarray
    mark: np.ndarray  # (K,) int, which mark of the camera it is
    centre: np.ndarray  # (S,) m from the reference, of each split; empty without one
    refused: list[str]


def run(folder: Path) -> list[Figure]:
    """Held-out errors of every camera and of all together, coverage, centres, refusals."""
    folder = folder / "calibration"
    marks, points = read_marks(folder)
    centres = _reference_centres(folder)
    figures, held = [], {}
    for name in np.unique(marks.camera).tolist():
        mine = marks.take(marks.camera == name)
        found = predict_held_out(name, mine, points, centres.get(name))
        part = Part("meva_calibration", f"camera {name}, {len(mine)} marks", 1.0)
        figures.append(part.figure("splits_refused", len(found.refused), "", f"of {SPLITS}; {_reasons(found)}"))
        if len(mine) >= FEWEST:
            held[name] = found
        if len(found.error):
            figures += _camera_figures(part, found)
    return [*figures, *_pooled(held)]


def read_marks(folder: Path) -> tuple[Marks, tuple[ControlPoint, ...]]:
    """The marks at landmarks and the landmarks, which count as exact."""
    rows = read_columns(folder / "landmarks.csv")
    xyz = np.array([rows[axis] for axis in "xyz"], float).T
    points = tuple(
        ControlPoint(name, tuple(place), (0.0, 0.0, 0.0))
        for name, place in zip(rows["point_id"], xyz.tolist(), strict=True)
    )
    table = read_columns(folder / "marks.csv")
    pixel = np.array([table["u"], table["v"]], float).T
    marks = Marks(camera=table["camera"], point=table["point_id"], pixel=pixel)
    return marks.take(np.isin(marks.point, rows["point_id"])), points


def predict_held_out(
    name: str, marks: Marks, points: tuple[ControlPoint, ...], reference: np.ndarray | None
) -> HeldOut:
    """The marks of a camera that each split leaves out, predicted from the others."""
    size = (1920, 1072 if name in LOW_STILLS else 1080)
    place = {point.name: point.xyz for point in points}
    xyz = np.array([place[point] for point in marks.point.tolist()])
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    error, floor, inside, mark, centre, refused = [], [], [], [], [], []
    for _ in range(SPLITS):
        order = rng.permutation(len(marks))
        n_out = max(1, round(LEFT_OUT * len(marks)))
        out, kept = order[:n_out], np.sort(order[n_out:])
        found = calibrate_camera(name, size, marks.take(kept), points)
        if isinstance(found, Refused):
            refused.append(found.reason)
            continue
        sigma = float(found.mark_sigma[0])
        pixels, cov = predict_pixels(found.camera, xyz[out], np.zeros((n_out, 3, 3)), sigma)
        difference = pixels - marks.pixel[out]
        error.append(np.linalg.norm(difference, axis=1))
        inside.append(nees(difference, cov) <= INSIDE_95)
        plain = _plain_fit(found.camera, marks.take(kept), xyz[kept])
        plain_pixels = plain.jacobians(xyz[out])[0]  # out of the lens's field too
        floor.append(np.linalg.norm(plain_pixels - marks.pixel[out], axis=1))
        mark.append(out)
        if reference is not None:
            centre.append(np.linalg.norm(found.camera.centre_world - reference))
    joined = [np.concatenate(rows) if rows else np.empty(0) for rows in (error, floor, inside, mark)]
    return HeldOut(joined[0], joined[1], joined[2], joined[3].astype(int), np.array(centre), refused)


def _plain_fit(camera: Camera, marks: Marks, xyz: np.ndarray) -> Camera:
    """Least squares of pose, f and k1 on all marks, from where the camera is."""
    width, height = camera.size
    params = camera.lens.params.copy()
    params[2:4], params[5] = [(width - 1) / 2, (height - 1) / 2], 0.0
    n = len(marks)
    marked = MarkedPoints(xyz, marks.pixel, np.ones(n), np.zeros((n, 3, 3)))
    if isinstance(camera.lens, Fisheye):
        params[4] -= 1 / 3  # of an equidistant lens, as a series of the tangent
    start = fits_of(RadialTangential(params), [camera.cam_from_world], marked)
    flat = CameraPrior(width, 1e3, (0.0, 0.0), 1e6, k1_sigma=1e3, k2_sigma=1e3)
    fits = refine_fits(replace(start, free=np.isin(UNKNOWNS, ("f", "k1"))[None]), marked, flat, 200)
    return camera_of(fits, 0, np.zeros((11, 11)), camera.name, camera.size)


def _camera_figures(part: Part, found: HeldOut) -> list[Figure]:
    blocks = Blocks(found.mark, int(found.mark.max()) + 1)
    said = f"{SAID}; n {len(found.error)}"
    figures = [
        part.measured(of_quantile("held_out_median", "px", said, found.error, blocks), "marks"),
        part.measured(of_quantile("held_out_median_plain", "px", f"{said}; {FLOOR}", found.floor, blocks), "marks"),
        part.measured(of_mean("coverage_95", "%", said, found.inside, blocks, 100), "marks"),
    ]
    if len(found.centre):
        said = f"{SAID}; median over splits, from cameras_old"
        figures.append(part.figure("centre_error_median", float(np.median(found.centre)), "m", said))
    return figures


def _pooled(held: dict[str, HeldOut]) -> list[Figure]:
    """All held-out marks of all cameras of `FEWEST` marks and more as one."""
    if not any(len(found.error) for found in held.values()):
        return []
    part = Part("meva_calibration", f"cameras with {FEWEST} marks and more", 1.0)
    first = np.cumsum([0, *(found.mark.max(initial=-1) + 1 for found in held.values())])
    mark = np.concatenate([found.mark + start for found, start in zip(held.values(), first[:-1], strict=True)])
    blocks = Blocks(mark, int(first[-1]))
    error, floor, inside = (
        np.concatenate([getattr(found, name) for found in held.values()]) for name in ("error", "floor", "inside")
    )
    n_refused = sum(len(found.refused) for found in held.values())
    said = f"{SAID}; n {len(error)}, {n_refused} splits refused"
    return [
        part.measured(of_quantile("held_out_median", "px", said, error, blocks), "marks"),
        part.measured(of_quantile("held_out_median_plain", "px", f"{said}; {FLOOR}", floor, blocks), "marks"),
        part.measured(of_mean("coverage_95", "%", said, inside, blocks, 100), "marks"),
    ]


def _reasons(found: HeldOut) -> str:
    return "; ".join(sorted(set(found.refused))) or "none"


def _reference_centres(folder: Path) -> dict[str, np.ndarray]:
    cameras = read_json(folder / "cameras_old.json")["cameras"]
    return {camera["camera"]: np.array(camera["centre"]) for camera in cameras}
