"""Where to put the next mark: the point whose marking would make the ground sharpest."""

from dataclasses import dataclass

import numpy as np

from geoloc.calibrate.quality import GroundSight
from geoloc.scene.camera import Camera
from geoloc.scene.occlusion import Occlusion
from geoloc.scene.sitemap import SiteMap

GRID = 400  # places on the ground that are considered where no control point is left
NEW_SIGMA = 0.05  # m; how well a new point on the map would be surveyed
RIM = 0.02  # of the image's width: nearer to its edge nobody marks well
SURE = 3.0  # sigmas of its height by which a point is lifted out of the floor that it may lie on
CLEAR = 0.02  # m over a point: it lies on a floor, not in it


@dataclass(frozen=True)
class NextMark:
    """The best next mark of a camera. `point` is a control point's name, "" for a place that must be surveyed first.

    `sigma_before`, `sigma_after` (m): root mean square standard deviation of the ground that the camera sees.
    """

    camera: str
    point: str
    pixel: tuple[float, float]
    xyz: tuple[float, float, float]
    sigma_before: float
    sigma_after: float

    @property
    def place(self) -> tuple[float, float, float]:
        """`xyz` to a decimetre, for people: no zero has a sign."""
        x, y, z = (round(value, 1) + 0.0 for value in self.xyz)
        return x, y, z

    def __str__(self) -> str:
        u, v = self.pixel
        x, y, z = self.place
        what = f"point {self.point!r}" if self.point else "a new point of the map"
        gain = f"ground {100 * self.sigma_before:.1f} -> {100 * self.sigma_after:.1f} cm"
        return f"{self.camera}: mark {what} at ({x:.1f}, {y:.1f}, {z:.1f}) m, near pixel ({u:.0f}, {v:.0f}): {gain}"


def next_mark(
    camera: Camera, sight: GroundSight, site_map: SiteMap, marked: set[str], sigma_px: float = 1.0
) -> tuple[NextMark, ...]:
    """The control point that is best marked next in a camera, and the best new point on the ground; best first.

    A mark of covariance S at a pixel with Jacobian J by the calibration takes P Jᵀ (J P Jᵀ + S)⁻¹ J P off the
    calibration's covariance P (Kalman); what is made least is the mean variance of the ground in `sight`. Points
    that a floor, wall or pillar of the map hides are not proposed. None where the camera sees no ground, or nothing
    that would help.
    """
    if not len(sight.xyz) or not camera.calib_cov.any():
        return ()
    weight = np.einsum("mij,mik->jk", sight.by_calib, sight.by_calib) / len(sight.xyz)
    before = float(np.trace(weight @ camera.calib_cov))
    known = [point for point in site_map.control_points if point.name not in marked]
    names = np.array([point.name for point in known] + [""] * len(sight.xyz))
    rows = np.unique(np.linspace(0, len(sight.xyz) - 1, GRID).astype(int))
    xyz = np.concatenate([np.array([p.xyz for p in known]).reshape(-1, 3), sight.xyz[rows]])
    sigma = np.concatenate([np.array([p.sigma for p in known]).reshape(-1, 3), np.full((len(rows), 3), NEW_SIGMA)])
    names = names[: len(xyz)]
    pixel = camera.project(xyz)
    seen = _markable(camera, site_map, xyz + sigma * [0.0, 0.0, SURE], pixel)
    names, xyz, sigma, pixel = names[seen], xyz[seen], sigma[seen], pixel[seen]
    if not len(names):
        return ()
    gain = _gains(camera, weight, xyz, sigma, sigma_px)
    found = []
    for kind in (names != "", names == ""):
        rows = np.flatnonzero(kind & (gain > 0))
        if len(rows):
            best = rows[np.argmax(gain[rows])]
            after = max(before - float(gain[best]), 0.0)
            place = tuple(pixel[best].tolist()), tuple(xyz[best].tolist())
            found.append(NextMark(camera.name, str(names[best]), *place, before**0.5, after**0.5))
    return tuple(sorted(found, key=lambda mark: mark.sigma_after))


def _markable(camera: Camera, site_map: SiteMap, xyz: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Which points (C, 3) m a person can mark at (C, 2) px: in the image, off its rim, and not hidden."""
    width, height = camera.size
    rim = RIM * width
    with np.errstate(invalid="ignore"):
        seen = np.all((pixel >= rim) & (pixel <= np.array([width, height]) - 1 - rim), axis=1)
    seen, rows = np.asarray(seen), np.flatnonzero(seen)
    seen[rows] = ~Occlusion(site_map)(camera.centre_world, xyz[rows] + [0.0, 0.0, CLEAR])
    return seen


def _gains(camera: Camera, weight: np.ndarray, xyz: np.ndarray, sigma: np.ndarray, sigma_px: float) -> np.ndarray:
    """Mean ground variance (C,) m² that a mark of each point takes off."""
    _, by_world, by_calib = camera.jacobians(xyz)
    noise = sigma_px**2 * np.eye(2) + np.einsum("cij,cj,ckj->cik", by_world, sigma**2, by_world)
    gain = camera.calib_cov @ by_calib.swapaxes(1, 2)  # (C, n, 2)
    innovation = by_calib @ gain + noise
    return np.asarray(np.einsum("cni,cij,cmj,nm->c", gain, np.linalg.inv(innovation), gain, weight))
