"""MEVA's marks, all cameras in one adjustment: marks that are held out, against the pixels predicted for them.

The landmarks came out of an adjustment with these very marks, the held-out ones among them: what is measured is
consistency, and a landmark that gives way to the marks that are left can only lose what the others had put into it.
What one adjustment of all cameras is worth shows where the landmarks are as uncertain as stated: with errors drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from geoloc.calibrate.datum import check_datum
from geoloc.calibrate.joint import JointOptions, JointSolution, calibrate_jointly
from geoloc.calibrate.single import SingleSolution, calibrate_camera
from geoloc.calibrate.single_case import SingleOptions, lens_prior
from geoloc.errors import GeometryError
from geoloc.estimators.camera_fit import predict_pixels
from geoloc.evaluation.measures import Blocks, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.files import read_columns, read_json
from geoloc.geometry.geodesy import Datum
from geoloc.metrics.consistency import nees
from geoloc.scene.known import Known
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap
from recordings.figures import Part

N_SPLITS = 20
HELD_SHARE = 0.3
KEPT_VIEWS = 2  # marks that a landmark keeps when one of its marks is held out
LANDMARK_SIGMA = 0.01  # m; they agree with their marks to about a pixel
DRAWN_SIGMA = 0.1  # m, of the errors that are drawn: points read off a good plan
CONTROL_SIGMA = 1.0  # m; the control points are good to 0.3 to 1.4 m
NEAR = 0.2  # m in plan; a control point this near to a landmark is that landmark
FREE = ("fx", "fy", "k1")
OPTIONS = JointOptions(gate_probability=0.999999)
SINGLE = SingleOptions()
# the heights of frames; the other cameras' are 1080
LOW = ("G328", "G505", "G506", "G509", "G638", "G639")
SPLITS = (
    f"{N_SPLITS} splits, up to {100 * HELD_SHARE:.0f} % of each camera's marks held out where the landmark keeps "
    f"{KEPT_VIEWS} others"
)
PROTOCOL = (
    f"{SPLITS}; landmarks free under {100 * LANDMARK_SIGMA:g} cm, marks under 1 px; {', '.join(FREE)} "
    "freed; consistency, for the landmarks came out of these marks"
)
DRAWN = (
    f"{SPLITS}; landmarks with drawn errors of {100 * DRAWN_SIGMA:g} cm, free under as much, marks under 1 px; "
    f"{', '.join(FREE)} freed"
)


@dataclass(frozen=True, eq=False)
class Predicted:
    """Held-out marks: their rows, errors (N,) px of the prediction, and squared Mahalanobis distances (N,)."""

    row: np.ndarray
    error: np.ndarray
    distance2: np.ndarray

    def take(self, rows: np.ndarray) -> "Predicted":
        """The marks that a mask or index selects."""
        return Predicted(self.row[rows], self.error[rows], self.distance2[rows])


def run(folder: Path) -> list[Figure]:
    """Held-out errors together and camera by camera alone, coverage of the ellipses, the origin's error.

    With the landmarks as they are, and with errors drawn.
    """
    marks, site_map = read_marks_and_map(folder)
    together, alone = _over_splits(marks, site_map, 0.0)
    part = Part("meva", f"calibration marks of {len(np.unique(marks.camera[together.row]))} cameras", float("nan"))
    names = np.unique(marks.camera[together.row]).tolist()
    figures = _figures(part, "joint", marks, together, alone, PROTOCOL)
    figures += [_camera_figure(part, name, marks, together) for name in names]
    figures += _figures(part, "joint_drawn", marks, *_over_splits(marks, site_map, DRAWN_SIGMA), DRAWN)
    return [*figures, _origin_figure(folder, part)]


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


def drawn(site_map: SiteMap, sigma: float, rng: np.random.Generator) -> SiteMap:
    """The map with errors of `sigma` m drawn for its control points and stated; 0: as it is."""
    if not sigma:
        return site_map
    points = tuple(
        replace(point, xyz=tuple((np.array(point.xyz) + rng.normal(0, sigma, 3)).tolist()), sigma=(sigma,) * 3)
        for point in site_map.control_points
    )
    return replace(site_map, control_points=points)


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


def _over_splits(marks: Marks, site_map: SiteMap, sigma: float) -> tuple[Predicted, Predicted]:
    """All splits' predictions, together and alone, of the marks that both predict."""
    together, alone = [], []
    for seed in range(N_SPLITS):
        rng = np.random.default_rng(seed)
        held = split(marks, {point.name: np.array(point.xyz) for point in site_map.control_points}, rng)
        own_map = drawn(site_map, sigma, rng)
        solved = _alone(marks.take(~held), own_map)
        both = (
            predict(marks, held, _joint(marks.take(~held), own_map, solved)),
            _predict_alone(marks, held, own_map, solved),
        )
        common = np.intersect1d(both[0].row, both[1].row)
        together.append(both[0].take(np.isin(both[0].row, common)))
        alone.append(both[1].take(np.isin(both[1].row, common)))
    return _pooled(together), _pooled(alone)


def _alone(marks: Marks, site_map: SiteMap) -> dict[str, SingleSolution]:
    known = [point.name for point in site_map.control_points]
    solved = {}
    for name in np.unique(marks.camera).tolist():
        mine = marks.take((marks.camera == name) & np.isin(marks.point, known))
        size = (1920, 1072 if name in LOW else 1080)
        found = calibrate_camera(name, size, mine, site_map.control_points, SINGLE) if len(mine) else None
        if isinstance(found, SingleSolution):
            solved[name] = found
    return solved


def _joint(marks: Marks, site_map: SiteMap, alone: Mapping[str, SingleSolution]) -> JointSolution | None:
    starts = {name: found.camera for name, found in alone.items()}
    free = dict.fromkeys(starts, FREE)
    priors = {name: lens_prior(camera, Known(), SINGLE) for name, camera in starts.items()}
    try:
        return calibrate_jointly(marks, site_map, starts, free=free, options=OPTIONS, priors=priors)
    except GeometryError:
        return None


def _predict_alone(marks: Marks, held: np.ndarray, site_map: SiteMap, alone: Mapping[str, SingleSolution]) -> Predicted:
    """Held-out marks of cameras from their own marks, beside the landmarks as the map has them."""
    place = {point.name: point for point in site_map.control_points}
    parts = []
    for name, found in alone.items():
        mine = np.flatnonzero(held & (marks.camera == name))
        points = [place[point] for point in marks.point[mine].tolist()]
        xyz = np.array([point.xyz for point in points]).reshape(-1, 3)
        cov = np.array([np.diag(np.square(point.sigma)) for point in points]).reshape(-1, 3, 3)
        pixel, spread = predict_pixels(found.camera, xyz, cov, float(found.mark_sigma[0]))
        error = marks.pixel[mine] - pixel
        parts.append(Predicted(mine, np.linalg.norm(error, axis=1), nees(error, spread)))
    return _pooled(parts)


def _pooled(parts: list[Predicted]) -> Predicted:
    names = ("row", "error", "distance2")
    return Predicted(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _blocks(marks: Marks, rows: np.ndarray) -> Blocks:
    names, block = np.unique(marks.point[rows], return_inverse=True)
    return Blocks(block, len(names))


def _median(part: Part, name: str, marks: Marks, found: Predicted, protocol: str) -> Figure:
    said = f"{protocol}; n {len(found.row)}"
    return part.measured(of_quantile(name, "px", said, found.error, _blocks(marks, found.row)), "landmarks")


def _figures(part: Part, name: str, marks: Marks, together: Predicted, alone: Predicted, protocol: str) -> list[Figure]:
    apart = f"{protocol}; the same marks, each camera alone"
    return [
        _median(part, f"{name}_held_out_median_px", marks, together, protocol),
        _median(part, f"{name}_held_out_median_px_alone", marks, alone, apart),
        _coverage(part, f"{name}_coverage_95", marks, together, protocol),
        _coverage(part, f"{name}_coverage_95_alone", marks, alone, apart),
    ]


def _coverage(part: Part, name: str, marks: Marks, found: Predicted, protocol: str) -> Figure:
    inside = (found.distance2 <= chi2.ppf(0.95, 2)).astype(float)
    said = f"{protocol}; share in the predicted 95 % ellipses, a mark's own noise as wide as all scatter"
    return part.measured(of_mean(name, "%", said, inside, _blocks(marks, found.row), 100), "landmarks")


def _camera_figure(part: Part, name: str, marks: Marks, found: Predicted) -> Figure:
    mine = found.take(marks.camera[found.row] == name)
    return _median(part, f"joint_held_out_median_px_{name}", marks, mine, PROTOCOL)


def _origin_figure(folder: Path, part: Part) -> Figure:
    gcps = read_columns(folder / "calibration" / "gcps.csv")
    x, y, lat, lon = (np.array(gcps[name], float) for name in ("x", "y", "lat", "lon"))
    origin = read_json(folder / "calibration" / "cameras_old.json")["wgs84_origin_in_file"]
    stated = Datum(origin["lat"], origin["lon"], origin["h"])
    check = check_datum(stated, np.column_stack([x, y]), lat, lon, CONTROL_SIGMA)
    return part.figure("origin_off_m", check.off, "m", check.words)
