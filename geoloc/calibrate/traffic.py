"""Vehicles on a calibrated road: how fast each one went, and when it passed a line across the road."""

from dataclasses import dataclass

import numpy as np

from geoloc.scene.camera import Camera
from geoloc.scene.roads import PixelTracks

FEWEST_POINTS = 5
PIXEL_SIGMA = 2.0  # px, of a tracked point; only the points' weights among each other depend on it
OUTLYING = 2.5  # robust standard deviations
WANDER = 0.2  # m; how far the tracked point wanders over its vehicle
POINT_HEIGHT_SIGMA = 0.15  # m over the road; it makes vehicles seem faster, by its share of the camera's height


@dataclass(frozen=True, eq=False)
class Motions:
    """M vehicles at steady speed: x = x0 + speed (time - time0) along the road, at the constant y beside its axis.

    `speed` m/s is signed: positive away from the camera. `speed_sigma` holds the tracking noise and the calibration.
    """

    track: np.ndarray
    time0: np.ndarray
    x0: np.ndarray
    y: np.ndarray
    speed: np.ndarray
    speed_sigma: np.ndarray


def vehicle_motions(camera: Camera, tracks: PixelTracks, stretch: tuple[float, float]) -> Motions:
    """Motions over z = 0 of a camera whose x axis is along the road, from what lies in a `stretch` of x (m).

    Where a vehicle leaves the image the tracked point slides over it: give the stretch that was calibrated. Tracks
    with too few points there are left out.
    """
    rows = []
    order = np.argsort(tracks.track, kind="stable")
    starts = np.flatnonzero(np.diff(tracks.track[order], prepend=-1))
    xy, sigma, scale_sigma = _on_road(camera, tracks.pixel)
    for index in np.split(order, starts[1:]):
        mine = index[(xy[index, 0] >= stretch[0]) & (xy[index, 0] <= stretch[1])]
        if len(mine) >= FEWEST_POINTS and np.ptp(tracks.time[mine]) > 0:
            rows.append(_motion(int(tracks.track[mine[0]]), tracks.time[mine], xy[mine], sigma[mine], scale_sigma))
    columns = np.array(rows, float).reshape(-1, 6).T
    return Motions(columns[0].astype(int), *columns[1:])


def crossing_times(camera: Camera, motions: Motions, gates: np.ndarray) -> np.ndarray:
    """When each motion passes each image line a u + b v + c = 0 of `gates` (L, 3): (M, L) s, also if extrapolated."""
    _, by_point, _ = camera.lens.jacobians(np.array([[0.0, 0.0, 1.0]]))
    focal, middle = by_point[0, :, :2], camera.lens.project(np.array([[0.0, 0.0, 1.0]]))[0]
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = focal, middle
    image_from_road = matrix @ camera.cam_from_world.as_matrix()[:3][:, [0, 1, 3]]
    a, b, c = (gates @ image_from_road).T  # the gates as lines on the road
    x = -(b * motions.y[:, None] + c) / a
    return motions.time0[:, None] + (x - motions.x0[:, None]) / motions.speed[:, None]


def _on_road(camera: Camera, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Points (N, 2) m under pixels, the sigma (N,) m of x that PIXEL_SIGMA makes, and the relative sigma of scale."""
    rays = camera.unproject(pixels)
    centre = camera.centre_world
    fall = np.where(rays[:, 2] < -1e-3, -rays[:, 2], np.nan)
    points = centre + rays * (centre[2] / fall)[:, None]
    sigma = np.full(len(points), np.inf)
    seen = np.isfinite(points[:, 0])
    _, by_world, by_calib = camera.jacobians(points[seen])
    by_pixel = np.linalg.inv(by_world[:, :, :2])
    sigma[seen] = PIXEL_SIGMA * np.linalg.norm(by_pixel[:, 0], axis=1)
    scale_sigma = _scale_sigma(points[seen], -by_pixel @ by_calib, camera.calib_cov)
    return points[:, :2], sigma, float(np.hypot(scale_sigma, POINT_HEIGHT_SIGMA / centre[2]))


def _scale_sigma(points: np.ndarray, by_calib: np.ndarray, cov: np.ndarray) -> float:
    """Relative sigma of distances along the road between where most vehicles come and go."""
    if len(points) < 2:
        return 0.0
    low, high = np.argsort(points[:, 0])[[len(points) // 10, -1 - len(points) // 10]]
    slope = by_calib[high, 0] - by_calib[low, 0]
    return float(np.sqrt(slope @ cov @ slope) / max(points[high, 0] - points[low, 0], 1e-9))


def _motion(track: int, time: np.ndarray, xy: np.ndarray, sigma: np.ndarray, scale_sigma: float) -> list[float]:
    """A weighted line through x over time, fitted again without the points that lie off it."""
    keep, weights = np.ones(len(time), bool), 1.0 / (sigma**2 + WANDER**2)
    for _ in range(3):
        weight = keep * weights
        time0, x0 = weight @ time / weight.sum(), weight @ xy[:, 0] / weight.sum()
        spread = weight @ (time - time0) ** 2
        speed = weight @ ((time - time0) * (xy[:, 0] - x0)) / max(spread, 1e-12)
        off = (xy[:, 0] - x0 - speed * (time - time0)) * np.sqrt(weights)
        noise = 1.4826 * np.median(np.abs(off))
        inlying = np.abs(off) <= OUTLYING * max(noise, 1e-9)
        if inlying.sum() < FEWEST_POINTS or (inlying == keep).all():
            break
        keep = inlying
    # neighbouring frames share their error: as many independent points as seconds / 0.2
    independent = max(1.0, np.ptp(time) / 0.2) / len(time)
    own = noise / np.sqrt(max(spread * independent, 1e-12))
    return [track, time0, x0, np.median(xy[keep, 1]), speed, np.hypot(own, speed * scale_sigma)]
