"""How good a camera's calibration is: what it says of the ground, what its marks say of each other, in plain words."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from geoloc.errors import GeometryError
from geoloc.geometry.gaussian import worst_sigma
from geoloc.scene.camera import Camera
from geoloc.scene.ground import intersect_ground
from geoloc.scene.ground_error import ground_jacobians
from geoloc.scene.site import Site

STEP_PX = 24.0  # between the pixels at which the ground is looked at
FAR_M = 150.0  # m; ground farther off is no place to stand
ALONE = 1e-6  # of a mark's own weight that the others must leave, or nothing but itself predicts it
NARROW = 0.05  # second width of the marks over their first, below which they are as good as a line
SMALL_HULL = 0.06  # share of the image that marks should cover at least


@dataclass(frozen=True, eq=False)
class GroundSight:
    """Ground that a camera sees, at M pixels of a grid.

    `pixel` (M, 2), `xyz` (M, 3) m, `level` (M,) an index into the map's; `by_calib` (M, 2, 6 + k): how the ground
    under a pixel moves (m) with the variables of `calib_cov`.
    """

    pixel: np.ndarray
    xyz: np.ndarray
    level: np.ndarray
    by_calib: np.ndarray

    def cov(self, calib_cov: np.ndarray) -> np.ndarray:
        """Covariance (M, 2, 2) m² of the ground under each pixel that a calibration's covariance leaves."""
        return self.by_calib @ calib_cov @ self.by_calib.swapaxes(1, 2)

    def sigma(self, calib_cov: np.ndarray) -> np.ndarray:
        """Largest standard deviation (M,) m of the ground under each pixel."""
        return worst_sigma(self.cov(calib_cov))


def ground_sight(site: Site, name: str, step_px: float = STEP_PX) -> GroundSight:
    """The ground that a camera sees, with walls in the way, up to FAR_M."""
    camera = site.camera(name)
    camera.require_pose("has no calibration to judge")
    u, v = (np.arange(step_px / 2, side, step_px) for side in camera.size)
    pixel = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    rays = camera.unproject(pixel)
    pixel, rays = pixel[np.isfinite(rays).all(axis=1)], rays[np.isfinite(rays).all(axis=1)]
    hits = intersect_ground(site.site_map, camera.centre_world[None], rays)
    near = np.linalg.norm(hits.xyz - camera.centre_world, axis=1) <= FAR_M  # NaN is not near
    rows = np.flatnonzero(near)
    index = np.full(len(rows), site.camera_index[name])
    rows = rows[site.visibility.sees(index, hits.level[rows], hits.xyz[rows, :2])]
    by_ground, by_calib = ground_jacobians(camera, hits.xyz[rows], hits.slope[rows])
    return GroundSight(pixel[rows], hits.xyz[rows], hits.level[rows], -np.linalg.solve(by_ground, by_calib))


def leave_one_out(
    camera: Camera, points_world: np.ndarray, point_cov: np.ndarray, residual: np.ndarray, sigma_px: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far each mark lies from where the others alone put it: (N, 2) px, and (N, 2) m at its height.

    Of marks at `points_world` (N, 3) m, known to `point_cov` (N, 3, 3) m², with residuals (N, 2) px of the fit and
    sigmas (N,) px. Exact for a linear fit: r / (1 - leverage) (Cook 1977); NaN where a mark alone carries a part of
    the fit, so that the others predict nothing.
    """
    _, by_world, by_calib = camera.jacobians(points_world)
    noise = sigma_px[:, None, None] ** 2 * np.eye(2) + by_world @ point_cov @ by_world.swapaxes(1, 2)
    leverage = by_calib @ camera.calib_cov @ by_calib.swapaxes(1, 2) @ np.linalg.inv(noise)
    rest = np.eye(2) - leverage
    alone = np.abs(np.linalg.det(rest)) < ALONE
    rest[alone] = np.eye(2)
    left_out = np.linalg.solve(rest, residual[:, :, None])[:, :, 0]
    left_out[alone] = np.nan
    on_map = np.linalg.solve(by_world[:, :, :2], left_out[:, :, None])[:, :, 0]
    return left_out, on_map


def words_on_geometry(camera: Camera, points_world: np.ndarray, pixels: np.ndarray, sight: GroundSight) -> list[str]:
    """What is weak about where the marks (N, 3) m, (N, 2) px of a camera lie, in plain words with the next step."""
    if not len(pixels):
        return ["it has no marks: mark at least 4 points spread over its image"]
    said = []
    width, height = camera.size
    covered = _hull_area(pixels) / (width * height)
    if covered < SMALL_HULL:
        where = _where(pixels, camera.size)
        said.append(f"its marks cover {100 * covered:.0f} % of the image, {where}; mark elsewhere too")
    spread = np.linalg.svd(points_world - points_world.mean(axis=0), compute_uv=False)
    if len(points_world) > 2 and spread[1] < NARROW * spread[0]:
        off, more = spread[1] / np.sqrt(len(points_world)), 0.2 * spread[0]
        said.append(f"its marks lie within about {off:.1f} m of one line; add one at least {more:.0f} m off it")
    elif len(points_world) > 3 and spread[2] < NARROW * spread[1]:
        said.append("its marks lie in one plane: the ground is well determined, what stands above it less")
    if len(sight.xyz):
        far = np.linalg.norm(points_world - camera.centre_world, axis=1).max()
        beyond = np.linalg.norm(sight.xyz - camera.centre_world, axis=1) > 1.5 * far
        if beyond.mean() > 0.2:
            share = f"{100 * beyond.mean():.0f} % of the ground in view"
            said.append(f"{share} lies beyond its farthest mark ({far:.0f} m off)")
    return said


def predicted_cov(camera: Camera, points_world: np.ndarray, point_cov: np.ndarray, sigma_px: float) -> np.ndarray:
    """Covariance (N, 2, 2) px² of a mark that will be made at points (N, 3) m, known to `point_cov` (N, 3, 3) m²."""
    _, by_world, by_calib = camera.jacobians(points_world)
    if not np.isfinite(by_calib).all():
        raise GeometryError(f"camera {camera.name!r}: a point lies behind it or outside its lens's field")
    cov = by_calib @ camera.calib_cov @ by_calib.swapaxes(1, 2) + by_world @ point_cov @ by_world.swapaxes(1, 2)
    return np.asarray(cov + sigma_px**2 * np.eye(2))


def _hull_area(pixels: np.ndarray) -> float:
    try:
        return float(ConvexHull(pixels).volume)  # of points in a plane this is the area
    except (QhullError, ValueError):
        return 0.0


def _where(pixels: np.ndarray, size: tuple[int, int]) -> str:
    """Where in the image most of it is empty of marks."""
    u, v = pixels[:, 0] / size[0], pixels[:, 1] / size[1]
    sides = [("left", u.max() < 0.5), ("right", u.min() > 0.5), ("upper", v.max() < 0.5), ("lower", v.min() > 0.5)]
    found = [name for name, inside in sides if inside]
    return f"all in the {' and '.join(found)} half" if found else "close together"
