"""Points in space from their pixels in two cameras or more, with both covariances; outlying views are found.

Maximum likelihood over the reprojection residuals, each weighed by its noise and its camera's calibration
together. With J = d pixel / d point, T = noise + calibration of a view, H = sum of J' T⁻¹ J, K = H⁻¹ J' T⁻¹:
cov = sum of K noise K', bias_cov = sum of K calibration K', and the two add up to H⁻¹. The start is linear
in ray space (Hartley and Sturm 1997, section 5.2), the rest Gauss-Newton. The cameras' calibrations count as
independent of each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from scipy.special import chdtri

from geoloc.errors import InputError
from geoloc.estimators.consensus import find_consensus
from geoloc.estimators.point_fit import Fit, fit_points, linear_start, residuals_px
from geoloc.estimators.sightings import Sightings, gather, view_of
from geoloc.geometry.gaussian import is_covariance_2x2
from geoloc.geometry.solver import largest_eigenvalue_3
from geoloc.options import check_range
from geoloc.scene.camera import Camera

N_SIGHTINGS = 32768  # of a chunk, so that its arrays stay in the cache


@dataclass(frozen=True)
class TriangulationOptions:
    """Which points are good enough, and whether outlying views are looked for."""

    robust: bool = True  # where views disagree, look for the majority that agrees; False: refuse the point
    gate_probability: float = 0.9999  # share of honest sightings, and of honest points, that pass the gates
    min_parallax: float = 0.01  # rad; the widest angle between two of a point's rays must reach it
    max_relative_sigma: float = 0.1  # worst sigma over the distance of the nearest camera; beyond it: refused
    max_sigma: float = 5.0  # m; a point whose worst standard deviation is larger is refused

    def __post_init__(self) -> None:
        check_range(self, gate_probability=(0.5, 1.0), min_parallax=(0.0, 3.0))
        check_range(self, max_relative_sigma=(1e-9, 1e6), max_sigma=(1e-9, 1e6))


class Refusal(IntEnum):
    """Why a point has no position."""

    NONE = 0  # it has one
    FEW_VIEWS = 1  # fewer than two cameras have a pixel that their lens can undo
    PARALLEL = 2  # the widest angle between its rays is below min_parallax
    BEHIND = 3  # it would lie behind a camera that sees it
    DISAGREE = 4  # the views disagree, and no majority of them agrees
    UNSETTLED = 5  # the iterations do not converge
    AMBIGUOUS = 6  # two groups of views, equally large, agree on different points
    VAGUE = 7  # its worst standard deviation is above max_sigma or max_relative_sigma


@dataclass(frozen=True, eq=False)
class Triangulation:
    """Positions of N points seen by V cameras. A refused point is NaN throughout."""

    xyz: np.ndarray  # (N, 3) m, world
    cov: np.ndarray  # (N, 3, 3) m²: from the pixels' noise
    bias_cov: np.ndarray  # (N, 3, 3) m²: from the cameras' calibration
    residual_px: np.ndarray  # (N, V, 2) predicted minus observed, of outlying views too; NaN where not seen
    used: np.ndarray  # (N, V) bool: the views that the position rests on
    refusal: np.ndarray  # (N,) int8: a `Refusal`

    @property
    def n_views(self) -> np.ndarray:
        """Number of views that each position rests on: (N,) int."""
        return self.used.sum(axis=1)

    def refused(self) -> dict[str, int]:
        """How many points were refused, by the name of the reason."""
        counts = np.bincount(self.refusal, minlength=len(Refusal))
        return {reason.name: int(counts[reason]) for reason in Refusal if reason and counts[reason]}


def triangulate(
    pixels: np.ndarray,
    cameras: Sequence[Camera],
    pixel_cov: np.ndarray,
    options: TriangulationOptions | None = None,
) -> Triangulation:
    """Positions of N points from `pixels` (N, V, 2) in V cameras, NaN where a camera does not see the point.

    `pixel_cov` (px²) broadcasts to (N, V, 2, 2): `0.5**2 * np.eye(2)` is a noise of 0.5 px everywhere. Work
    grows with the pixels that are there, not with N V. A camera that is known by a homography only and sees a
    point raises GeometryError; a point that cannot be had is NaN and has its reason in `refusal`.
    """
    options = options or TriangulationOptions()
    pixels, pixel_cov, seen = _checked(pixels, cameras, pixel_cov)
    out = _blank(*seen.shape)
    centres = np.full((len(cameras), 3), np.nan)
    for index in np.flatnonzero(seen.any(axis=0)).tolist():
        centres[index] = view_of(cameras[index]).centre
    # far from the world's origin, coordinates would eat the digits of the small matrices
    known = centres[np.isfinite(centres[:, 0])]
    origin = 0.5 * (known.min(axis=0) + known.max(axis=0)) if len(known) else np.zeros(3)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for points in _chunks(seen.sum(axis=1)):
            cov = pixel_cov[points] if len(pixel_cov) > 1 else pixel_cov
            sightings = gather(pixels[points], cov, seen[points], cameras, origin)
            _store(out, points, sightings, _solve(sightings, centres - origin, options), origin)
    return out


@dataclass(frozen=True, eq=False)
class _Solved:
    """Of M points, as in `Triangulation` but components first."""

    points: np.ndarray
    cov: np.ndarray  # noise and calibration together
    noise_cov: np.ndarray
    used: np.ndarray  # (K, M)
    refusal: np.ndarray

    def put(self, at: np.ndarray, other: "_Solved") -> None:
        """Replace the points at an index."""
        for mine in fields(self):
            getattr(self, mine.name)[..., at] = getattr(other, mine.name)


def _solve(sightings: Sightings, centres: np.ndarray, options: TriangulationOptions) -> _Solved:
    fit = fit_points(sightings, linear_start(sightings))
    solved = _solved(fit, sightings, centres, options)
    few = sightings.seen.sum(axis=0) < 3
    doubtful = np.flatnonzero(~few & (solved.refusal != Refusal.NONE) & (solved.refusal != Refusal.VAGUE))
    if options.robust and len(doubtful):
        view_gate2, pair_gate2 = chdtri([2, 1], 1.0 - options.gate_probability)
        group = find_consensus(sightings.take(doubtful), view_gate2, pair_gate2)
        again = _solved(group.fit, group.sightings, centres, options)
        again.refusal[group.ambiguous & (again.refusal == Refusal.NONE)] = Refusal.AMBIGUOUS
        again.refusal[~group.majority] = Refusal.DISAGREE
        solved.put(doubtful, again)
    return solved


def _solved(fit: Fit, sightings: Sightings, centres: np.ndarray, options: TriangulationOptions) -> _Solved:
    noise_cov = fit.noise_cov(sightings.noise) if len(sightings.bias) else fit.cov
    refusal = _judge(fit, sightings, centres, options)
    return _Solved(fit.points, fit.cov, noise_cov, sightings.seen.copy(), refusal)


def _judge(fit: Fit, sightings: Sightings, centres: np.ndarray, options: TriangulationOptions) -> np.ndarray:
    """Refusal of each point (M,) int8; of several reasons the first in the list counts."""
    n_views = sightings.seen.sum(axis=0)
    offset = fit.points[:, None] - centres.T[:, sightings.camera]
    distance = np.sqrt(np.einsum("akm,akm->km", offset, offset))
    distance[~sightings.seen] = np.nan
    worst = np.sqrt(largest_eigenvalue_3(fit.cov))
    limit = np.minimum(options.max_sigma, options.max_relative_sigma * np.fmin.reduce(distance, axis=0))
    distance2 = fit.distance2
    dof = 2 * np.maximum(n_views, 2) - 3
    gates2 = chdtri(np.arange(max(3, dof.max() + 1)), 1.0 - options.gate_probability)
    disagree = (distance2.sum(axis=0) > gates2[dof]) | (distance2 > gates2[2]).any(axis=0)
    tests = {
        Refusal.VAGUE: ~(worst <= limit),
        Refusal.UNSETTLED: ~fit.settled,
        Refusal.DISAGREE: disagree,
        Refusal.BEHIND: (fit.depth <= 0).any(axis=0),
        Refusal.PARALLEL: ~(_widest_cosine(offset / distance) <= np.cos(options.min_parallax)),
        Refusal.FEW_VIEWS: n_views < 2,
    }
    refusal = np.zeros(len(n_views), dtype=np.int8)
    for reason, failed in tests.items():
        refusal[failed] = reason
    return refusal


def _widest_cosine(rays: np.ndarray) -> np.ndarray:
    """Cosine of the widest angle between two of a point's unit rays (3, K, M), NaN where not seen: (M,)."""
    widest = np.full(rays.shape[2], np.nan)
    for k in range(rays.shape[1] - 1):
        cosines = np.einsum("akm,am->km", rays[:, k + 1 :], rays[:, k])
        widest = np.fmin(widest, np.fmin.reduce(cosines, axis=0))
    return widest


def _checked(
    pixels: np.ndarray, cameras: Sequence[Camera], pixel_cov: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (N, V, 2), covariances with both leading axes of full or unit length, and which are seen (N, V)."""
    pixels = np.asarray(pixels, float)
    if pixels.ndim != 3 or pixels.shape[1:] != (len(cameras), 2):
        raise InputError(f"pixels have shape {pixels.shape}; {len(cameras)} cameras need (N, {len(cameras)}, 2)")
    if np.isinf(pixels).any():
        raise InputError(f"{np.isinf(pixels).sum()} pixel coordinates are infinite; NaN says that a view is not seen")
    seen = ~np.isnan(pixels).any(axis=2)
    cov = np.asarray(pixel_cov, float)
    cov = cov.reshape((1,) * (4 - cov.ndim) + cov.shape)
    fits = cov.ndim == 4 and cov.shape[2:] == (2, 2)
    if not fits or any(got not in (1, want) for got, want in zip(cov.shape[:2], seen.shape, strict=True)):
        raise InputError(f"pixel_cov has shape {np.shape(pixel_cov)}; it must broadcast to (*{seen.shape}, 2, 2)")
    bad = seen & ~is_covariance_2x2(cov.reshape(-1, 2, 2)).reshape(cov.shape[:2])
    if bad.any():
        point, view = np.argwhere(bad)[0].tolist()
        raise InputError(
            f"pixel_cov of {bad.sum()} pixels, first of point {point} in camera {cameras[view].name!r}, is not "
            "a covariance (finite, symmetric, positive definite)"
        )
    return pixels, cov, seen


def _chunks(n_views: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of the points with two views and more, those with equally many together, a cacheful at a time."""
    order = np.argsort(n_views, kind="stable")
    order = order[np.searchsorted(n_views[order], 2) :]
    while len(order):
        # padded to the most views in the chunk, which is the last point's
        padded = n_views[order[:N_SIGHTINGS]] * np.arange(1, len(order[:N_SIGHTINGS]) + 1)
        n = max(1, int(np.searchsorted(padded, N_SIGHTINGS, side="right")))
        yield order[:n]
        order = order[n:]


def _blank(n_points: int, n_cameras: int) -> Triangulation:
    return Triangulation(
        xyz=np.full((n_points, 3), np.nan),
        cov=np.full((n_points, 3, 3), np.nan),
        bias_cov=np.full((n_points, 3, 3), np.nan),
        residual_px=np.full((n_points, n_cameras, 2), np.nan),
        used=np.zeros((n_points, n_cameras), dtype=bool),
        refusal=np.full(n_points, Refusal.FEW_VIEWS, dtype=np.int8),
    )


def _store(
    out: Triangulation, points: np.ndarray, sightings: Sightings, solved: _Solved, origin: np.ndarray
) -> None:
    """Write a chunk's results to the rows `points` of `out`."""
    out.refusal[points] = solved.refusal
    good = np.flatnonzero(solved.refusal == Refusal.NONE)
    at = points[good]
    out.xyz[at] = solved.points[:, good].T + origin
    out.cov[at] = solved.noise_cov[..., good].transpose(2, 0, 1)
    out.bias_cov[at] = (solved.cov - solved.noise_cov)[..., good].transpose(2, 0, 1)
    residual, _ = residuals_px(sightings.rows, solved.points)
    kept = np.flatnonzero(sightings.seen & (solved.refusal == Refusal.NONE))
    to = (points * out.used.shape[1] + sightings.camera).ravel()[kept]
    out.residual_px.reshape(-1, 2)[to] = residual.reshape(2, -1)[:, kept].T
    out.used.reshape(-1)[to] = solved.used.ravel()[kept]
