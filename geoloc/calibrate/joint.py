"""All cameras of a site adjusted together on its map: control points, tie points, distances, heights, shared lenses.

A tie point is any name in the marks that is no control point: a crack in the paint that two people marked, a
feature that was matched, or an object that moves, named with its moment ("car 17 @ 1250.4"), since cameras that
see it at one time see it in one place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from geoloc.calibrate.joint_case import Case, check_names, ends_of, make_case, reachable, unknowns
from geoloc.calibrate.joint_notes import notes_of
from geoloc.calibrate.links import Cluster, find_clusters, missing
from geoloc.calibrate.outliers import Cleaned, clean
from geoloc.calibrate.solution import Refused, Solution
from geoloc.errors import GeometryError, unknown_name
from geoloc.estimators.bundle import Bundle, UndeterminedError
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.estimators.seen_lines import seen_lines
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.known import Known
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap

N_SCALINGS = 2


@dataclass(frozen=True)
class JointOptions:
    """What counts as wrong, and whose word on the marks' noise is taken."""

    gate_probability: float = 0.9999  # share of honest marks, control points and distances that are kept
    estimate_sigma: bool = False  # scale the marks' sigmas to how widely they really scatter
    least_agreeing: float = 0.55  # a camera of whose marks a smaller share agrees is refused

    def __post_init__(self) -> None:
        check_range(self, gate_probability=(0.5, 1.0), least_agreeing=(0.0, 1.0))


@dataclass(frozen=True, eq=False)
class JointSolution:
    """A solution, and what only one adjustment of all cameras can tell: how their errors hang together."""

    solution: Solution
    clusters: tuple[Cluster, ...]
    scatter: float  # by how much marks scatter more or less than their sigmas say
    case: Case
    fit: Bundle

    def cross_cov(self, first: str, second: str) -> np.ndarray:
        """Covariance (6 + k, 6 + l) between the variables of two cameras' `calib_cov`."""
        return self.fit.cross_cov(self._camera(first), self._camera(second))

    def point_cov(self, name: str) -> np.ndarray:
        """Covariance (3, 3) m² of a control or tie point after the adjustment."""
        return self.fit.point_cov[self._points([name])[0]]

    def predict(self, camera: str, points: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (M, 2) of points in a camera that need not have marked them, and their covariances (M, 2, 2) px²."""
        return self.fit.predict(self._camera(camera), self._points(points))

    def _camera(self, name: str) -> int:
        if name not in self.case.cameras:
            raise unknown_name("camera", name, self.case.cameras, "the adjustment")
        return self.case.cameras.index(name)

    def _points(self, names: Sequence[str]) -> np.ndarray:
        placed = {point.name for point in self.solution.points}
        for name in names:
            if name not in placed:
                raise unknown_name("point", name, placed, "the adjustment")
        number = {name: i for i, name in enumerate(self.case.points)}
        return np.array([number[name] for name in names], dtype=int)


@dataclass(frozen=True)
class _Request:
    marks: Marks
    site_map: SiteMap
    starts: Mapping[str, Camera]
    known: Known
    free: Mapping[str, Sequence[str]]
    held: tuple[str, ...]
    options: JointOptions
    priors: Mapping[str, CameraPrior]
    refused: list[Refused] = field(default_factory=list)


def calibrate_jointly(
    marks: Marks,
    site_map: SiteMap,
    starts: Mapping[str, Camera],
    known: Known = Known(),  # noqa: B008 - frozen
    free: Mapping[str, Sequence[str]] | None = None,
    held: Sequence[str] = (),
    options: JointOptions = JointOptions(),
    priors: Mapping[str, CameraPrior] | None = None,
) -> JointSolution:
    """Adjust all cameras that have a start on the map's control points.

    `free` names the lens parameters to free, camera by camera ("f" is fx and fy together); without it a camera
    frees what its start's `freed` says. `priors` say what is known of cameras' lenses before any mark, so that what
    the marks do not carry may be free too. Cameras in `held` stay as they are. Cameras that the marks cannot place
    are in the solution's `refused`; GeometryError, saying what is missing, if that is all of them.
    """
    check_names(marks, site_map, starts, known)
    request = _Request(marks, site_map, starts, known, free or {}, tuple(held), options, priors or {})
    names = _startable(request)
    while True:
        names, clusters = _linked(request, _countable(request, names))
        if not set(names) - set(held):
            reasons = "; ".join(f"{refused.camera}: {refused.reason}" for refused in request.refused)
            raise GeometryError(f"no camera could be calibrated: {reasons or 'there are no marks'}")
        case = make_case(names, marks, site_map, starts, known, request.free, request.held, request.priors)
        try:
            cleaned = _cleaned(case, options)
        except UndeterminedError as error:
            _refuse_loose(request, error, names)
        else:
            if not _refuse_disagreeing(request, case, cleaned):
                return _solution(request, case, cleaned, clusters)
        gone = {refused.camera for refused in request.refused}
        names = [name for name in names if name not in gone]


def _startable(request: _Request) -> list[str]:
    """The cameras with marks and a start."""
    marked = np.unique(request.marks.camera).tolist()
    for name in marked:
        if name not in request.starts:
            step = "calibrate it alone first, or give a start"
            request.refused.append(Refused(name, "it has no starting pose", step))
    return [name for name in marked if name in request.starts]


def _countable(request: _Request, names: Sequence[str]) -> list[str]:
    """Those with as many marks as they have unknowns; marks of tie points that no other camera saw do not count."""
    while True:
        marks = request.marks.take(np.isin(request.marks.camera, list(names)))
        surveyed = {point.name for point in request.site_map.control_points}
        ends = {end for pair in ends_of(request.known.distances) for end in pair}
        points, count = np.unique(marks.point, return_counts=True)
        useful = {p for p, n in zip(points.tolist(), count.tolist(), strict=True) if n > 1 or p in surveyed | ends}
        counts = np.isin(marks.point, list(useful))
        short = []
        for name in names:
            n = int((counts & (marks.camera == name)).sum())
            alone = not any(name in group and len(group) > 1 for group in request.known.shared)
            lens = len(request.free.get(name, unknowns(request.starts[name]))) if alone else 0
            lens = min(lens, 1) if name in request.priors else lens  # the focal length is known least
            own = request.known.lines.take(request.known.lines.camera == name)
            carried = min(seen_lines(own, {name: 0})[0].freedom, 2 + lens)
            need = (6 + lens - carried + 1) // 2
            if n < need and name not in request.held:
                what = "pose" if not lens else f"pose and {lens} lens parameters"
                reason = f"{n} marks that another camera or the map knows, its {what} need {need}"
                step = f"mark {need - n} more control points or points that another camera sees, far from the others"
                request.refused.append(Refused(name, reason, step))
                short.append(name)
        names = [name for name in names if name not in short]
        if not short:
            return names


def _linked(request: _Request, names: Sequence[str]) -> tuple[list[str], tuple[Cluster, ...]]:
    """Those of clusters that have a place on the map, and all clusters."""
    marks = request.marks.take(np.isin(request.marks.camera, list(names)))
    controls = {point.name: point for point in request.site_map.control_points}
    distances = reachable(request.known.distances, marks, request.site_map)
    spans = np.array(ends_of(distances), dtype=str).reshape(-1, 2)
    clusters = find_clusters(names, marks.camera, marks.point, spans, request.known.shared, list(controls))
    good: list[str] = []
    for cluster in clusters:
        upright = {tall.name for tall in request.known.heights} | _with_vertical(request.known)
        n_upright = len(upright & set(cluster.cameras))
        what = "" if set(cluster.cameras) & set(request.held) else missing(cluster, controls, n_upright)
        for name in cluster.cameras if what else ():
            others = [other for other in cluster.cameras if other != name]
            whose = f"it and {', '.join(others)} are linked to no other: " if others else "it is linked to no other: "
            step = "mark control points, or points that a camera of another cluster sees too"
            request.refused.append(Refused(name, whose + what, step))
        good += () if what else cluster.cameras
    return [name for name in names if name in good], clusters


def _with_vertical(known: Known) -> set[str]:
    """The cameras of which lines say which way is up."""
    return set(known.lines.camera[np.isin(known.lines.kind, ["plumb", "horizon"])].tolist())


def _cleaned(case: Case, options: JointOptions) -> Cleaned:
    """The fit, the marks' sigmas scaled to their scatter if that is asked for."""
    probability, sights = 1.0 - options.gate_probability, case.network.sights
    cleaned = clean(case.network, probability)
    for _ in range(N_SCALINGS if options.estimate_sigma else 0):
        scale = cleaned.factor or 1.0
        again = clean(replace(case.network, sights=replace(sights, sigma=sights.sigma * scale)), probability)
        cleaned = replace(again, factor=scale * again.factor)
    return cleaned


def _refuse_loose(request: _Request, error: UndeterminedError, names: Sequence[str]) -> None:
    loose = [name for name in error.cameras if name not in request.held] or list(names)
    for name in loose:
        reason = "what its marks agree on does not determine its pose and lens"
        step = "mark points that are not on one line and not all far away, or free fewer lens parameters"
        request.refused.append(Refused(name, reason, step))


def _refuse_disagreeing(request: _Request, case: Case, cleaned: Cleaned) -> bool:
    """Refuse the camera of whose marks the smallest share agrees, if that is too small."""
    sights = case.network.sights
    n = np.bincount(sights.camera, minlength=len(case.cameras))
    share = np.bincount(sights.camera[cleaned.kept.sights], minlength=len(case.cameras)) / np.maximum(n, 1)
    share[case.network.held] = 1.0
    worst = int(np.argmin(share))
    if share[worst] >= request.options.least_agreeing:
        return False
    agree = round(float(share[worst] * n[worst]))
    reason = f"only {agree} of its {n[worst]} marks agree with each other and with the rest"
    step = "look for swapped marks and for a start that is far off; calibrate it alone first"
    request.refused.append(Refused(case.cameras[worst], reason, step))
    return True


def _used(case: Case, cleaned: Cleaned) -> np.ndarray:
    return cleaned.kept.sights & cleaned.placed[case.network.sights.point]


def _solution(request: _Request, case: Case, cleaned: Cleaned, clusters: tuple[Cluster, ...]) -> JointSolution:
    n = len(request.marks)
    residual, used = np.full((n, 2), np.nan), np.zeros(n, dtype=bool)
    residual[case.rows], used[case.rows] = cleaned.residual, _used(case, cleaned)
    fit = cleaned.bundle
    sigma = np.sqrt(np.einsum("pii->pi", fit.point_cov))
    points = tuple(
        ControlPoint(name, tuple(fit.points[i].tolist()), tuple(sigma[i].tolist()))
        for i, name in enumerate(case.points)
        if cleaned.placed[i]
    )
    notes = notes_of(case, cleaned, request.marks.take(case.rows), clusters)
    solution = Solution(fit.cameras, request.marks, residual, used, points, tuple(request.refused), notes)
    return JointSolution(solution, clusters, cleaned.factor, case, fit)
