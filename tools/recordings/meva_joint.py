"""MEVA's marks, all cameras in one adjustment: marks that are held out, against the pixels predicted for them.

The landmarks came out of an adjustment with these very marks: what is measured is consistency.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from geoloc.calibrate.datum import check_datum
from geoloc.calibrate.joint import JointOptions, JointSolution, calibrate_jointly
from geoloc.errors import GeometryError
from geoloc.evaluation.measures import Blocks, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.files import read_columns, read_json
from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import from_rt
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap
from recordings.figures import Part

N_SPLITS = 20
HELD_SHARE = 0.3
KEPT_VIEWS = 2  # marks that a landmark keeps when one of its marks is held out
LANDMARK_SIGMA = 0.01  # m; they agree with their marks to about a pixel
CONTROL_SIGMA = 1.0  # m; the control points are good to 0.3 to 1.4 m
NEAR = 0.2  # m in plan; a control point this near to a landmark is that landmark
FREE = ("fx", "fy", "k1")
LEAST_MARKS = 6
OPTIONS = JointOptions(gate_probability=0.999999)
# the heights of frames; the other cameras' are 1080
LOW = ("G328", "G505", "G506", "G509", "G638", "G639")
PROTOCOL = (
    f"{N_SPLITS} splits, up to {100 * HELD_SHARE:.0f} % of each camera's marks held out where the landmark keeps "
    f"{KEPT_VIEWS} others; landmarks free under {100 * LANDMARK_SIGMA:g} cm, marks under 1 px; {', '.join(FREE)} "
    "freed; starts from marks alone; consistency, for the landmarks came out of these marks"
)


@dataclass(frozen=True, eq=False)
class Predicted:
    """Held-out marks: their rows, errors (N,) px of the prediction, and squared Mahalanobis distances (N,)."""

    row: np.ndarray
    error: np.ndarray
    distance2: np.ndarray


def run(folder: Path) -> list[Figure]:
    """Held-out errors together and camera by camera alone, coverage of the ellipses, the origin's error."""
    marks, site_map = read_marks_and_map(folder)
    landmarks = {point.name: np.array(point.xyz) for point in site_map.control_points}
    together, alone = [], []
    for seed in range(N_SPLITS):
        held = split(marks, landmarks, np.random.default_rng(seed))
        starts = starts_of(marks.take(~held), landmarks)
        together.append(predict(marks, held, _joint(marks.take(~held), site_map, starts)))
        alone += [_alone(marks, held, landmarks, site_map, name, start) for name, start in starts.items()]
    ours, single = _pooled(together), _pooled(alone)
    n_cameras = len(np.unique(marks.camera[ours.row]))
    part = Part("meva", f"calibration marks of {n_cameras} cameras", float("nan"))
    apart = f"{PROTOCOL}; the same marks, each camera alone"
    return [
        _median(part, "joint_held_out_median_px", marks, ours, PROTOCOL),
        _median(part, "joint_held_out_median_px_alone", marks, single, apart),
        _coverage(part, marks, ours),
        *(_camera_figure(part, name, marks, ours) for name in np.unique(marks.camera[ours.row]).tolist()),
        _origin_figure(folder, part),
    ]


def read_marks_and_map(folder: Path) -> tuple[Marks, SiteMap]:
    """All marks, and the landmarks as control points; control points that are landmarks are averaged in."""
    rows = read_columns(folder / "calibration" / "marks.csv")
    pixel = np.column_stack([np.array(rows[name], float) for name in ("u", "v")])
    marks = Marks(camera=rows["camera"], point=rows["point_id"], pixel=pixel)
    places = read_columns(folder / "calibration" / "landmarks.csv")
    xyz = np.column_stack([np.array(places[name], float) for name in "xyz"])
    gcps = read_columns(folder / "calibration" / "gcps.csv")
    known = np.column_stack([np.array(gcps[name], float) for name in "xyz"])
    points = []
    for name, place in zip(places["point_id"], xyz, strict=True):
        sigma = np.full(3, LANDMARK_SIGMA)
        near = np.flatnonzero(np.linalg.norm(known[:, :2] - place[:2], axis=1) < NEAR)
        if len(near):
            weight = np.array([sigma[0] ** -2, CONTROL_SIGMA**-2])
            place = place.copy()
            # plan only: the control points' heights are those of the ground, a landmark may be a sign's top
            place[:2] = (weight[0] * place[:2] + weight[1] * known[near[0], :2]) / weight.sum()
        points.append(ControlPoint(name, tuple(place.tolist()), tuple(sigma.tolist())))
    return marks, SiteMap(control_points=tuple(points))


def split(marks: Marks, landmarks: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Which marks (N,) are held out."""
    names, count = np.unique(marks.point, return_counts=True)
    left = dict(zip(names.tolist(), count.tolist(), strict=True))
    held = np.zeros(len(marks), dtype=bool)
    known = np.isin(marks.point, list(landmarks))
    for camera in np.unique(marks.camera).tolist():
        mine = np.flatnonzero((marks.camera == camera) & known)
        wanted = round(HELD_SHARE * len(mine))
        for row in rng.permutation(mine).tolist():
            point = str(marks.point[row])
            if wanted and left[point] > KEPT_VIEWS:
                held[row] = True
                left[point] -= 1
                wanted -= 1
    return held


def starts_of(marks: Marks, landmarks: Mapping[str, np.ndarray]) -> dict[str, Camera]:
    """A rough start of each camera with marks enough, from its marks alone: the best of a grid of lenses."""
    starts = {}
    for name in np.unique(marks.camera).tolist():
        mine = marks.take((marks.camera == name) & np.isin(marks.point, list(landmarks)))
        if len(mine) >= LEAST_MARKS:
            starts[name] = _start(name, mine.pixel, np.array([landmarks[point] for point in mine.point.tolist()]))
    return starts


def predict(marks: Marks, held: np.ndarray, found: JointSolution | None) -> Predicted:
    """Held-out marks beside their predictions; those of points and cameras that were not solved are left out."""
    rows: list[int] = []
    errors, distances = [np.zeros(0)], [np.zeros(0)]
    placed = {point.name for point in found.solution.points} if found else set()
    for camera in found.solution.cameras if found else ():
        mine = np.flatnonzero(held & (marks.camera == camera.name) & np.isin(marks.point, list(placed)))
        if not len(mine) or found is None:
            continue
        pixel, cov = found.predict(camera.name, marks.point[mine].tolist())
        cov = cov + (found.scatter * marks.sigma[mine, None, None]) ** 2 * np.eye(2)
        error = marks.pixel[mine] - pixel
        rows += mine.tolist()
        errors.append(np.linalg.norm(error, axis=1))
        distances.append(np.einsum("ni,ni->n", error, np.linalg.solve(cov, error[:, :, None])[:, :, 0]))
    return Predicted(np.array(rows, dtype=int), np.concatenate(errors), np.concatenate(distances))


def _joint(marks: Marks, site_map: SiteMap, starts: Mapping[str, Camera]) -> JointSolution | None:
    try:
        return calibrate_jointly(marks, site_map, starts, free=dict.fromkeys(starts, FREE), options=OPTIONS)
    except GeometryError:
        return None


def _alone(
    marks: Marks, held: np.ndarray, landmarks: Mapping[str, np.ndarray], site_map: SiteMap, name: str, start: Camera
) -> Predicted:
    """Held-out marks of one camera that was solved from its own marks, beside the landmarks as the map has them."""
    mine = np.flatnonzero(held & (marks.camera == name))
    found = _joint(marks.take(~held & (marks.camera == name)), site_map, {name: start})
    if found is None or not len(mine):
        return Predicted(np.zeros(0, int), np.zeros(0), np.zeros(0))
    pixel = found.solution.cameras[0].project(np.array([landmarks[point] for point in marks.point[mine].tolist()]))
    return Predicted(mine, np.linalg.norm(marks.pixel[mine] - pixel, axis=1), np.zeros(len(mine)))


def _pooled(parts: list[Predicted]) -> Predicted:
    names = ("row", "error", "distance2")
    return Predicted(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _start(name: str, pixel: np.ndarray, xyz: np.ndarray) -> Camera:
    import cv2

    width, height = 1920, 1072 if name in LOW else 1080
    best: tuple[float, Camera] | None = None
    for focal in np.geomspace(700, 5000, 25).tolist():
        for k1 in (0.0, -0.2, -0.35):
            lens = RadialTangential(np.array([focal, focal, (width - 1) / 2, (height - 1) / 2, k1, 0, 0, 0]))
            matrix = np.array([[focal, 0, lens.params[2]], [0, focal, lens.params[3]], [0, 0, 1]])
            solved, turn, shift = cv2.solvePnP(xyz, pixel, matrix, lens.params[4:], flags=cv2.SOLVEPNP_SQPNP)
            if not solved:
                continue
            camera = Camera(name, lens, (width, height), from_rt(turn.ravel(), shift.ravel()))
            size = np.linalg.norm(np.nan_to_num(camera.project(xyz) - pixel, nan=1e4), axis=1)
            if best is None or np.median(size) < best[0]:
                best = float(np.median(size)), camera
    if best is None:
        raise GeometryError(f"MEVA: camera {name} has no pose from its {len(pixel)} marks")
    return best[1]


def _blocks(marks: Marks, rows: np.ndarray) -> Blocks:
    names, block = np.unique(marks.point[rows], return_inverse=True)
    return Blocks(block, len(names))


def _median(part: Part, name: str, marks: Marks, found: Predicted, protocol: str) -> Figure:
    said = f"{protocol}; n {len(found.row)}"
    return part.measured(of_quantile(name, "px", said, found.error, _blocks(marks, found.row)), "landmarks")


def _coverage(part: Part, marks: Marks, found: Predicted) -> Figure:
    inside = (found.distance2 <= chi2.ppf(0.95, 2)).astype(float)
    said = f"{PROTOCOL}; share in the predicted 95 % ellipses, a mark's own noise as wide as all scatter"
    return part.measured(of_mean("joint_coverage_95", "%", said, inside, _blocks(marks, found.row), 100), "landmarks")


def _camera_figure(part: Part, name: str, marks: Marks, found: Predicted) -> Figure:
    rows = np.flatnonzero(marks.camera[found.row] == name)
    mine = Predicted(found.row[rows], found.error[rows], found.distance2[rows])
    return _median(part, f"joint_held_out_median_px_{name}", marks, mine, PROTOCOL)


def _origin_figure(folder: Path, part: Part) -> Figure:
    gcps = read_columns(folder / "calibration" / "gcps.csv")
    x, y, lat, lon = (np.array(gcps[name], float) for name in ("x", "y", "lat", "lon"))
    origin = read_json(folder / "calibration" / "cameras_old.json")["wgs84_origin_in_file"]
    stated = Datum(origin["lat"], origin["lon"], origin["h"])
    check = check_datum(stated, np.column_stack([x, y]), lat, lon, CONTROL_SIGMA)
    return part.figure("origin_off_m", check.off, "m", check.words)
