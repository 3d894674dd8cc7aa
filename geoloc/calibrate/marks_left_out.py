"""Each mark of a calibration against all others: what it leaves over, and what they would have said without it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from geoloc.calibrate.quality import leave_one_out
from geoloc.calibrate.solution import Solution
from geoloc.scene.camera import Camera
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap

SURPRISING = 4.0  # sigmas off what the others say: one good mark in 3000 (two directions)


@dataclass(frozen=True, eq=False)
class MarkChecks:
    """The N marks of a calibration in their order; NaN where a camera was refused or a point has no place.

    `xyz` (N, 3) m is where the point is taken to be: on the map where only this camera marked it, else as adjusted.
    `residual` (N, 2) px is marked less predicted by the calibration, `sigmas` (N,) that in standard deviations of
    mark and point. `left_out` (N, 2) px and `left_out_m` (N, 2) m at the point's height are the same by the
    calibration without this mark, `surprise` (N,) how many standard deviations that is. Marks that were named
    outliers are not `used` (N,) bool: they had no say, so what they leave over is already left out.
    """

    marks: Marks
    used: np.ndarray
    xyz: np.ndarray
    residual: np.ndarray
    left_out: np.ndarray
    left_out_m: np.ndarray
    sigmas: np.ndarray
    surprise: np.ndarray
    unknowns: Mapping[str, int]  # by camera, how many the marks had to carry

    def of(self, camera: str) -> np.ndarray:
        """Rows (K,) of one camera's marks."""
        return np.flatnonzero(self.marks.camera == camera)

    @property
    def suspicious(self) -> np.ndarray:
        """Which marks (N,) were used and yet lie farther off than chance allows."""
        return self.used & (self.surprise > SURPRISING)


def leave_marks_out(solution: Solution, site_map: SiteMap) -> MarkChecks:
    """Every mark of a solution against all others."""
    marks, n = solution.marks, len(solution.marks)
    xyz, sigma = _places(solution, site_map)
    residual, left_out, left_out_m = (np.full((n, 2), np.nan) for _ in range(3))
    sigmas, surprise = np.full(n, np.nan), np.full(n, np.nan)
    fitted = {camera.name: camera for camera in solution.fitted}
    cameras = [fitted.get(camera.name, camera) for camera in solution.cameras]
    for camera in cameras:
        rows = np.flatnonzero((marks.camera == camera.name) & np.isfinite(xyz).all(axis=1))
        if camera.is_homography or not len(rows):
            continue
        residual[rows] = marks.pixel[rows] - camera.project(xyz[rows])
        rows = rows[np.isfinite(residual[rows]).all(axis=1)]
        for used in (True, False):
            some = rows[solution.used[rows] == used]
            cov = sigma[some, :, None] ** 2 * np.eye(3)
            found = _check(camera, used, xyz[some], cov, residual[some], marks.sigma[some])
            left_out[some], left_out_m[some], sigmas[some], surprise[some] = found
    unknowns = {camera.name: int(np.linalg.matrix_rank(camera.calib_cov)) for camera in cameras}
    return MarkChecks(marks, solution.used, xyz, residual, left_out, left_out_m, sigmas, surprise, unknowns)


def scatter(name: str, checks: MarkChecks) -> tuple[float, int]:
    """How many times their stated sigmas a camera's used marks scatter, and how many observations are left over.

    NaN where nothing is left over: then the marks cannot contradict each other.
    """
    rows = checks.of(name)
    rows = rows[checks.used[rows] & np.isfinite(checks.residual[rows]).all(axis=1)]
    over = 2 * len(rows) - checks.unknowns.get(name, 0) if len(rows) else 0
    if over <= 0:
        return float("nan"), min(over, 0)
    return float(np.sqrt((checks.sigmas[rows] ** 2).sum() / over)), over


def _check(
    camera: Camera, used: bool, xyz: np.ndarray, cov: np.ndarray, residual: np.ndarray, sigma: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`left_out`, `left_out_m`, `sigmas` and `surprise` of some marks of one camera, all used or none."""
    _, by_world, by_calib = camera.jacobians(xyz)
    spread = sigma[:, None, None] ** 2 * np.eye(2) + by_world @ cov @ by_world.swapaxes(1, 2)
    judge = camera
    if not used:
        spread = spread + by_calib @ camera.calib_cov @ by_calib.swapaxes(1, 2)
        judge = replace(camera, calib_cov=np.zeros_like(camera.calib_cov))
    left_out, on_map = leave_one_out(judge, xyz, cov, residual, sigma)
    # cov(left out) = N (1 - H)^-T and r = (1 - H) left out, so that its squared distance is r' N^-1 left out
    inverse = np.linalg.inv(spread)
    own2, distance2 = (np.einsum("ni,nij,nj->n", residual, inverse, other) for other in (residual, left_out))
    return left_out, on_map, np.sqrt(own2), np.sqrt(np.maximum(distance2, 0.0))


def _places(solution: Solution, site_map: SiteMap) -> tuple[np.ndarray, np.ndarray]:
    """Where each mark's point is (N, 3) m, and its standard deviation (N, 3) m; NaN where nobody knows."""
    marks = solution.marks
    pairs = {(camera, point) for camera, point in zip(marks.camera.tolist(), marks.point.tolist(), strict=True)}
    views: dict[str, int] = {}
    for _, point in pairs:
        views[point] = views.get(point, 0) + 1
    on_map = {point.name: point for point in site_map.control_points}
    adjusted = {point.name: point for point in solution.points}

    def place(name: str) -> ControlPoint | None:
        # adjusted to one camera alone, a point says nothing about that camera: its place on the map does
        first, second = (on_map, adjusted) if views[name] == 1 else (adjusted, on_map)
        return first.get(name) or second.get(name)

    found = [place(name) for name in marks.point.tolist()]
    nowhere = (np.nan, np.nan, np.nan)
    xyz = np.array([point.xyz if point else nowhere for point in found], float).reshape(-1, 3)
    sigma = np.array([point.sigma if point else nowhere for point in found], float).reshape(-1, 3)
    return xyz, sigma
