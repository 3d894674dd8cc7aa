"""One camera fitted to its marks: pose and freed lens parameters together, with what is known beforehand as priors.

The unknowns of a fit are the pose perturbation `exp(xi) * cam_from_world` and the lens unknowns `UNKNOWNS`: the
focal length (fx and fy keep their ratio), cx, cy, k1, k2. Many fits of the same marks run side by side, each from its
own start, with its own freed unknowns and its own noise; every array of them begins with the axis of the B fits.

Errors of marks follow a Student distribution with `tails` degrees of freedom (infinite: Gaussian) around the
covariance that pixel sigmas and control points give, times `scale`^2. For a point that one camera sees, folding its
covariance into that of its mark is what freeing it under its sigma gives, to first order.
Levenberg-Marquardt on the weights of Lange, Little and Taylor (1989), "Robust Statistical Modeling Using the t
Distribution"; information of a Student location by their equation 9.
"""

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation
from scipy.stats import chi2

from geoloc.errors import InputError
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior, prior_residuals
from geoloc.estimators.seen_lines import LineRows, SeenLines, ends_through, line_rows
from geoloc.geometry.se3 import cross_matrix
from geoloc.scene.camera import Camera
from geoloc.scene.distortion import radial_tangential_jacobians
from geoloc.scene.lenses import Fisheye, Lens, fisheye_jacobians

MAX_STEPS = 60
STOPPED = 1e-7  # relative change of the cost
AHEAD = 0.1  # of a step, where it is looked at how residuals bend along it
MAX_VARIANCE = 1e10  # px²
OUT_OF_VIEW = 1e6  # squared distance that a mark counts as whose point lies behind the camera


@dataclass(frozen=True, eq=False)
class MarkedPoints:
    """N points of known place and their marks in one still, and the `lines` that it shows besides.

    `points` (N, 3) m with `point_cov` (N, 3, 3) m², `pixels` (N, 2) px with standard deviation `sigma` (N,) px.
    """

    points: np.ndarray
    pixels: np.ndarray
    sigma: np.ndarray
    point_cov: np.ndarray
    lines: SeenLines = field(default_factory=SeenLines)

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: np.ndarray) -> "MarkedPoints":
        """The points that a mask or index selects, with all lines."""
        return MarkedPoints(self.points[rows], self.pixels[rows], self.sigma[rows], self.point_cov[rows], self.lines)


@dataclass(frozen=True, eq=False)
class Fits:
    """B fits side by side: `params` (B, P) of the lens `kind`, rotation (B, 3, 3), translation (B, 3) m.

    `free` (B, 5) bool says which of `UNKNOWNS` are free, `weight` (B, N) how much each mark counts (0: not at all),
    `line_weight` (B, S) the same of each statement of the lines, `tails` (B,) degrees of freedom, `scale` (B,) by
    which all standard deviations of marks and lines are multiplied.
    """

    kind: type[Lens]
    params: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    free: np.ndarray
    weight: np.ndarray
    line_weight: np.ndarray
    tails: np.ndarray
    scale: np.ndarray

    def __len__(self) -> int:
        return len(self.params)

    def take(self, rows: np.ndarray) -> "Fits":
        """The fits that a mask or index selects."""
        names = ("params", "rotation", "translation", "free", "weight", "line_weight", "tails", "scale")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @property
    def centres(self) -> np.ndarray:
        """Positions of the cameras (B, 3) m."""
        return -np.einsum("bij,bi->bj", self.rotation, self.translation)

    def pose(self, fit: int) -> RigidTransform:
        """cam_from_world of one of them."""
        return RigidTransform.from_components(self.translation[fit], Rotation.from_matrix(self.rotation[fit]))


def fits_of(lens: Lens, poses: list[RigidTransform], marked: MarkedPoints) -> Fits:
    """Fits from these poses, all through `lens`: nothing freed, Gaussian, every mark at its stated sigma."""
    n = len(poses)
    matrices = np.array([pose.as_matrix() for pose in poses]).reshape(n, 4, 4)
    return Fits(
        type(lens), np.tile(lens.params, (n, 1)), matrices[:, :3, :3], matrices[:, :3, 3],
        np.zeros((n, len(UNKNOWNS)), bool), np.ones((n, len(marked))), np.ones((n, marked.lines.n_statements)),
        np.full(n, np.inf), np.ones(n),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Linear:
    """Fits linearised at the marks: what they leave over and how it changes with the unknowns."""

    residual: np.ndarray  # (B, N, 2) px, predicted less marked; NaN behind the camera
    jacobian: np.ndarray  # (B, N, 2, 6 + 5) by pose and `UNKNOWNS`; zero where the unknown is not free
    cov: np.ndarray  # (B, N, 2, 2) px² of the residual at scale 1
    distance2: np.ndarray  # (B, N) squared Mahalanobis distance at scale 1
    lines: LineRows
    line_jacobian: np.ndarray  # (B, R, 6 + 5)
    line_weight: np.ndarray  # (B, R), under the tails and at the scale of the fit
    prior: np.ndarray  # (B, 6) residual of the prior in sigmas, zero where not free
    prior_jacobian: np.ndarray  # (B, 6, 6 + 5)


def linearise_fits(fits: Fits, marked: MarkedPoints, prior: CameraPrior) -> Linear:
    """Residuals and derivatives of each fit at each mark."""
    n_fits, n_marks = len(fits), len(marked)
    points_cam = np.einsum("bij,nj->bni", fits.rotation, marked.points) + fits.translation[:, None]
    flat = points_cam.reshape(-1, 3)
    lens_jacobians = fisheye_jacobians if fits.kind is Fisheye else radial_tangential_jacobians
    pixels, by_point, by_param = lens_jacobians(np.repeat(fits.params, n_marks, axis=0), flat)
    pose = np.concatenate([-by_point @ cross_matrix(flat), by_point], axis=2).reshape(n_fits, n_marks, 2, 6)
    lens = by_param.reshape(n_fits, n_marks, 2, -1) @ _by_unknowns(fits)[:, None]
    jacobian = np.concatenate([pose, lens * fits.free[:, None, None]], axis=3)
    by_world = by_point.reshape(n_fits, n_marks, 2, 3) @ fits.rotation[:, None]
    cov = by_world @ marked.point_cov @ by_world.swapaxes(2, 3) + marked.sigma[:, None, None] ** 2 * np.eye(2)
    residual = pixels.reshape(n_fits, n_marks, 2) - marked.pixels
    # a point almost beside the camera has a pixel, but one that any step throws elsewhere
    seen = np.isfinite(residual).all(axis=2) & (np.abs(cov).max(axis=(2, 3)) < MAX_VARIANCE)
    cov = np.where(seen[..., None, None], cov, np.eye(2))
    jacobian = np.where(seen[..., None, None], jacobian, 0.0)
    residual = np.where(seen[..., None], residual, np.nan)
    distance2 = np.where(seen, _mahalanobis2(residual, cov), OUT_OF_VIEW)
    seen = _seen_lines(fits, marked.lines)
    known = prior_residuals(prior, fits.params, fits.free, fits.rotation, fits.centres)
    return Linear(residual, jacobian, cov, distance2, *seen, *known)


def refine_fits(
    fits: Fits, marked: MarkedPoints, prior: CameraPrior, max_steps: int = MAX_STEPS, first_damping: float = 1e-3
) -> Fits:
    """Each fit at the lowest cost that it reaches from its start (Levenberg-Marquardt, analytic derivatives)."""
    damping = np.full(len(fits), first_damping)
    going, overshot = np.ones(len(fits), bool), np.zeros(len(fits), bool)
    linear: Linear | None = None
    for _ in range(max_steps):
        rows = np.flatnonzero(going)
        if not len(rows):
            break
        now = fits.take(rows)
        linear = linear or linearise_fits(now, marked, prior)
        before = costs(now, linear)
        step = _step(now, linear, damping[rows])
        if overshot[rows].any():
            step = step + np.where(overshot[rows, None], _bend(now, linear, damping[rows], step, marked, prior), 0.0)
        trial = moved_fits(now, step)
        tried = linearise_fits(trial, marked, prior)
        after = costs(trial, tried)
        better = after <= before
        fits = _put(fits, rows[better], trial.take(better))
        damping[rows] = np.where(better, np.maximum(damping[rows] / 10, 1e-12), damping[rows] * 6)
        overshot[rows] |= ~better
        going[rows[better & (before - after <= STOPPED * (1 + before))]] = False
        going[rows[damping[rows] > 1e12]] = False
        # all moved, or none: what was computed there is where they stand
        linear = None if better.any() != better.all() or not going[rows].all() else tried if better.all() else linear
    return fits


def costs(fits: Fits, linear: Linear) -> np.ndarray:
    """What `refine_fits` makes least, (B,): -2 log likelihood of marks and prior, less what does not change."""
    lines = _loss(linear.lines.residual**2, fits, 1) * fits.line_weight[:, linear.lines.lines.row_statement]
    marks = (fits.weight * _loss(linear.distance2, fits)).sum(axis=1)
    return marks + lines.sum(axis=1) + (linear.prior**2).sum(axis=1)


def information(fits: Fits, linear: Linear) -> tuple[np.ndarray, np.ndarray]:
    """Fisher information of marks and lines, and of prior, (B, 11, 11) each, over pose and `UNKNOWNS`.

    Zero where not free.
    """
    heaviness = np.array([_student_information(float(tails), 2) for tails in fits.tails])
    weight = fits.weight * (linear.distance2 < OUT_OF_VIEW) * (heaviness / fits.scale**2)[:, None]
    marks, _ = _normal(linear, weight, line_information(fits, linear))
    return marks, linear.prior_jacobian.swapaxes(1, 2) @ linear.prior_jacobian


def covariance_of(marks: np.ndarray, prior: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Covariance (11, 11) from `information` of one fit with unknowns `free` (5,); zero where not free."""
    columns = np.flatnonzero(np.concatenate([np.ones(6, bool), free]))
    total = (marks + prior)[np.ix_(columns, columns)]
    scale = np.sqrt(np.where(np.diag(total) > 0, np.diag(total), 1.0))
    cov = np.zeros_like(marks)
    correlation = total / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(correlation)
    values = np.maximum(values, 1e-14)  # a direction that nothing determines: all but unknown, not negative
    cov[np.ix_(columns, columns)] = (vectors / values) @ vectors.T / np.outer(scale, scale)
    return 0.5 * (cov + cov.T)


def camera_of(fits: Fits, fit: int, cov: np.ndarray, name: str, size: tuple[int, int]) -> Camera:
    """One fit as a camera whose `calib_cov` is over exactly what was freed; `cov` (11, 11) as `covariance_of`."""
    one = fits.take(np.array([fit]))
    lens = fits.kind(one.params[0])  # type: ignore[call-arg]
    spread, moved = to_calib(one)
    freed = tuple(parameter for parameter, free in zip(lens.parameter_names, moved, strict=True) if free)
    return Camera(name, lens, size, fits.pose(fit), spread @ cov @ spread.T, freed)


def to_calib(one: Fits) -> tuple[np.ndarray, np.ndarray]:
    """Derivative (6 + k, 11) of what a camera's `calib_cov` is over by pose and `UNKNOWNS`, of a single fit.

    Second, which of the lens's parameters (P,) are among it.
    """
    by_unknown = _by_unknowns(one)[0] * one.free[0]
    moved = by_unknown.any(axis=1)
    spread = np.zeros((6 + int(moved.sum()), 11))
    spread[:6, :6], spread[6:, 6:] = np.eye(6), by_unknown[moved]
    return spread, moved


def refine_camera(
    camera: Camera,
    marked: MarkedPoints,
    prior: CameraPrior,
    free: tuple[str, ...] = (),
    tails: float = np.inf,
    max_steps: int = MAX_STEPS,
    first_damping: float = 1e-3,
) -> tuple[Camera, float]:
    """`camera` moved to where the marks want it, with covariance, and the chi-square of the marks.

    `free` are of `UNKNOWNS`; marks are taken at their stated sigma. A step at `first_damping` 0 is Gauss and Newton's.
    """
    unknown = [name for name in free if name not in UNKNOWNS]
    if unknown:
        raise InputError(f"camera {camera.name!r}: cannot free {unknown[0]!r}; known: {', '.join(UNKNOWNS)}")
    camera.require_pose("cannot be refined")
    start = fits_of(camera.lens, [camera.cam_from_world], marked)
    start = replace(start, free=np.isin(UNKNOWNS, free)[None], tails=np.array([tails]))
    fits = refine_fits(start, marked, prior, max_steps, first_damping)
    linear = linearise_fits(fits, marked, prior)
    marks, known = information(fits, linear)
    cov = covariance_of(marks[0], known[0], fits.free[0])
    return camera_of(fits, 0, cov, camera.name, camera.size), float(linear.distance2.sum())


def predict_pixels(
    camera: Camera, points_world: np.ndarray, point_cov: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where marks of points (N, 3) m should lie: pixels (N, 2) and their covariance (N, 2, 2) px².

    The covariance holds the camera's own, that of the points `point_cov` (N, 3, 3) m², and a mark's `sigma` px.
    """
    pixels, by_world, by_calib = camera.jacobians(points_world)
    cov = by_world @ point_cov @ by_world.swapaxes(1, 2) + by_calib @ camera.calib_cov @ by_calib.swapaxes(1, 2)
    return pixels, cov + sigma**2 * np.eye(2)


@cache
def _student_information(tails: float, n_axes: int) -> float:
    """Information that an error of scale 1 along `n_axes` axes leaves about its place, per axis.

    The less of two: under the Student distribution itself, and under a Gaussian that the scale was fitted to
    (Huber's sandwich of the weights' own estimate), so that well-behaved marks are not promised too much.
    """
    if np.isinf(tails):
        return 1.0
    gaussian = chi2.ppf((np.arange(20000) + 0.5) / 20000, n_axes)  # squared distances of unit Gaussian errors
    scale2 = 1.0
    for _ in range(100):  # the scale that such errors would be given
        weight = (tails + n_axes) / (tails + gaussian / scale2)
        scale2 = float((weight * gaussian).mean() / n_axes)
    slope = (weight - 2 / n_axes * weight**2 / (tails + n_axes) * gaussian / scale2).mean()
    spread = (weight**2 * gaussian).mean() / n_axes
    return min((tails + n_axes) / (tails + n_axes + 2), float(slope**2 / spread * scale2))


def line_information(fits: Fits, linear: Linear) -> np.ndarray:
    """What each residual of the lines (B, R) is worth, as a weight."""
    heaviness = np.array([_student_information(float(tails), 1) for tails in fits.tails])
    return fits.line_weight[:, linear.lines.lines.row_statement] * (heaviness / fits.scale**2)[:, None]


def _seen_lines(fits: Fits, lines: SeenLines) -> tuple[LineRows, np.ndarray, np.ndarray]:
    """Residuals of the lines, their derivatives by pose and `UNKNOWNS`, and their weights."""
    if not len(lines):
        none = np.zeros((len(fits), 0))
        blank = np.zeros((len(fits), 0, 11))
        return LineRows(lines, none, blank[..., :3], blank[..., :5], none), blank, none
    counts = fits.line_weight[:, lines.row_statement] / fits.scale[:, None] ** 2

    def weigh(residual: np.ndarray) -> np.ndarray:
        return counts * error_weights(residual**2, fits, 1)

    rotation = np.repeat(fits.rotation[:, None], len(lines), axis=1)
    by_unknowns = _by_unknowns(fits) * fits.free[:, None]
    rows = line_rows(lines, rotation, ends_through(fits.kind, fits.params, lines, by_unknowns), weigh)
    jacobian = np.concatenate([rows.by_rotation, np.zeros_like(rows.by_rotation), rows.by_lens], axis=2)
    return rows, jacobian, weigh(rows.residual)


def _loss(distance2: np.ndarray, fits: Fits, n_axes: int = 2) -> np.ndarray:
    tails, scaled = fits.tails[:, None], distance2 / fits.scale[:, None] ** 2
    finite = np.where(np.isinf(tails), 1.0, tails)
    return np.where(np.isinf(tails), scaled, (finite + n_axes) * np.log1p(scaled / finite))


def error_weights(distance2: np.ndarray, fits: Fits, n_axes: int = 2) -> np.ndarray:
    """Weight (B, N) of errors at `distance2` (B, N), 1 under Gaussian noise, less the farther out otherwise."""
    tails, scaled = fits.tails[:, None], distance2 / fits.scale[:, None] ** 2
    finite = np.where(np.isinf(tails), 1.0, tails)
    return np.where(np.isinf(tails), 1.0, (finite + n_axes) / (finite + scaled))


def _normal(linear: Linear, weight: np.ndarray, line_weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal matrix (B, 11, 11) and gradient (B, 11) of the marks with `weight` (B, N), lines with `line_weight`."""
    n_fits, n_marks = weight.shape
    inverse = np.linalg.inv(linear.cov) * weight[..., None, None]
    rows = linear.jacobian.reshape(n_fits, 2 * n_marks, -1)
    weighed = (inverse @ linear.jacobian).reshape(n_fits, 2 * n_marks, -1).swapaxes(1, 2)
    residual = np.where(np.isfinite(linear.residual), linear.residual, 0.0).reshape(n_fits, 2 * n_marks, 1)
    off, lines, _ = linear.lines.projected(linear.line_jacobian, line_weight)
    across = lines.swapaxes(1, 2)
    return weighed @ rows + across @ lines, (weighed @ residual)[..., 0] + (across @ off[..., None])[..., 0]


def _step(fits: Fits, linear: Linear, damping: np.ndarray) -> np.ndarray:
    weight = fits.weight * error_weights(linear.distance2, fits) / fits.scale[:, None] ** 2
    normal, gradient = _normal(linear, weight, linear.line_weight)
    normal = normal + linear.prior_jacobian.swapaxes(1, 2) @ linear.prior_jacobian
    gradient = gradient + np.einsum("bij,bi->bj", linear.prior_jacobian, linear.prior)
    diagonal = np.einsum("bii->bi", normal)
    fixed = diagonal <= 0
    scale = np.sqrt(np.where(fixed, 1.0, diagonal))
    matrix = normal / (scale[:, :, None] * scale[:, None]) + np.eye(11) * (damping[:, None] + fixed)[:, None]
    return -np.linalg.solve(matrix, (gradient / scale)[..., None])[..., 0] / scale


def _bend(
    fits: Fits, linear: Linear, damping: np.ndarray, step: np.ndarray, marked: MarkedPoints, prior: CameraPrior
) -> np.ndarray:
    """What a `step` (B, 11) lacks, to second order, to follow a valley that bends: geodesic acceleration.

    Transtrum and Sethna (2012), "Improvements to the Levenberg-Marquardt algorithm", along marks and prior.
    """
    marks, known = curvature_along(step, fits, linear, marked, prior)
    lines = replace(linear.lines, residual=np.zeros_like(linear.lines.residual))
    return _step(fits, replace(linear, residual=marks, prior=known, lines=lines), damping)


def curvature_along(
    step: np.ndarray, fits: Fits, linear: Linear, marked: MarkedPoints, prior: CameraPrior
) -> tuple[np.ndarray, np.ndarray]:
    """What a `step` (B, 11) leaves of marks (B, N, 2) px and prior (B, 6) besides what their derivatives say."""
    ahead = linearise_fits(moved_fits(fits, AHEAD * step), marked, prior)
    marks = (ahead.residual - linear.residual) / AHEAD - np.einsum("bnij,bj->bni", linear.jacobian, step)
    known = (ahead.prior - linear.prior) / AHEAD - np.einsum("bij,bj->bi", linear.prior_jacobian, step)
    return marks / AHEAD, known / AHEAD


def moved_fits(fits: Fits, step: np.ndarray) -> Fits:
    """The fits after a step (B, 11)."""
    turn = RigidTransform.from_exp_coords(np.clip(step[:, :6], -1e6, 1e6)).as_matrix()
    rotation = turn[:, :3, :3] @ fits.rotation
    translation = np.einsum("bij,bj->bi", turn[:, :3, :3], fits.translation) + turn[:, :3, 3]
    change = np.einsum("bpu,bu->bp", _by_unknowns(fits), step[:, 6:])
    # a focal length may shrink or grow but never turn negative: its step is one of its logarithm
    focal = fits.params[:, :2] * np.exp(np.clip(change[:, :2] / fits.params[:, :2], -1, 1))
    params = np.concatenate([focal, fits.params[:, 2:] + change[:, 2:]], axis=1)
    return replace(fits, params=params, rotation=rotation, translation=translation)


def _put(fits: Fits, rows: np.ndarray, new: Fits) -> Fits:
    params, rotation, translation = fits.params.copy(), fits.rotation.copy(), fits.translation.copy()
    params[rows], rotation[rows], translation[rows] = new.params, new.rotation, new.translation
    return replace(fits, params=params, rotation=rotation, translation=translation)


def _by_unknowns(fits: Fits) -> np.ndarray:
    """Derivative of the lens's parameters by `UNKNOWNS`: (B, P, 5). f is the mean of fx and fy."""
    out = np.zeros((*fits.params.shape, len(UNKNOWNS)))
    focal = fits.params[:, :2]
    out[:, :2, 0] = focal / focal.mean(axis=1, keepdims=True)
    for unknown, parameter in enumerate(range(2, min(6, fits.params.shape[1])), start=1):
        out[:, parameter, unknown] = 1.0
    return out


def _mahalanobis2(residual: np.ndarray, cov: np.ndarray) -> np.ndarray:
    u, v = residual[..., 0], residual[..., 1]
    uu, uv, vv = cov[..., 0, 0], cov[..., 0, 1], cov[..., 1, 1]
    return (vv * u * u - 2.0 * uv * u * v + uu * v * v) / (uu * vv - uv * uv)
