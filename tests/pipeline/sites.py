"""Small sites and crowds that the tests of the main path share."""

import numpy as np

from geoloc.geometry.se3 import look_at, perturb
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Lens, Pinhole, RadialTangential
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections, GroundPoints

CALIB_COV = np.diag([0.001, 0.001, 0.001, 0.02, 0.02, 0.02]) ** 2
PINHOLE = Pinhole(np.array([1000.0, 1000.0, 960.0, 540.0]))
DISTORTED = RadialTangential(np.array([1000.0, 1010.0, 950.0, 545.0, -0.2, 0.05, 0.001, -0.001, 0.0]))
FISHEYE = Fisheye(np.array([600.0, 600.0, 960.0, 540.0, 0.02, -0.005, 0.0, 0.0]))


def camera(name: str, centre: tuple[float, float, float], target: tuple[float, float, float], lens: Lens = PINHOLE,
           calib_cov: np.ndarray = CALIB_COV) -> Camera:
    return Camera(name, lens, (1920, 1080), look_at(np.array(centre), np.array(target)), calib_cov)


def square(lens: Lens = PINHOLE, surface: Surface | None = None, calib_cov: np.ndarray = CALIB_COV) -> Site:
    """Four cameras on 5 m masts around a square of 20 m."""
    corners = {"A": (-12.0, -12.0), "B": (12.0, -12.0), "C": (12.0, 12.0), "D": (-12.0, 12.0)}
    cameras = tuple(camera(name, (*xy, 5.0), (0.0, 0.0, 0.0), lens, calib_cov) for name, xy in corners.items())
    return Site("square", cameras, SiteMap((Level("ground", (surface or Surface(),)),)))


def drawn(site: Site, rng: np.random.Generator) -> Site:
    """The site as it might really be: every camera off by a draw from its calib_cov."""
    cameras = []
    for one in site.cameras:
        xi = rng.multivariate_normal(np.zeros(6), one.calib_cov)
        pose = perturb(one.cam_from_world, xi)
        cameras.append(Camera(one.name, one.lens, one.size, pose, one.calib_cov))
    return site.with_cameras(cameras)


def feet_seen(site: Site, xyz: np.ndarray, time: float, rng: np.random.Generator, sigma_px: float = 1.0,
              label: str = "person", score: float = 0.95) -> Detections:
    """Each camera's feet of objects at xyz (N, 3), with noise, as detections that carry foot and foot_cov."""
    tables = []
    for one in site.cameras:
        pixels = one.project(xyz)
        seen = np.flatnonzero(one.inside(pixels))
        foot = pixels[seen] + rng.normal(0.0, sigma_px, (len(seen), 2))
        n = len(seen)
        tables.append(
            Detections(
                id=np.arange(n) + 1000 * len(tables),
                time=np.full(n, time),
                camera=np.full(n, one.name),
                box=np.concatenate([foot - np.array([20.0, 100.0]), foot + np.array([20.0, 0.0])], axis=1),
                foot=foot,
                foot_cov=np.broadcast_to(sigma_px**2 * np.eye(2), (n, 2, 2)),
                label=np.full(n, label),
                score=np.full(n, score),
            )
        )
    return Detections.concat(tables)


def walk(site: Site, start: np.ndarray, velocity: np.ndarray, times: np.ndarray, rng: np.random.Generator,
         sigma_px: float = 1.0) -> Detections:
    """Detections of objects that go straight from start (N, 2) m with velocity (N, 2) m/s."""
    seen = []
    for time in times:
        xy = start + velocity * (time - times[0])
        seen.append(feet_seen(site, np.column_stack([xy, np.zeros(len(xy))]), float(time), rng, sigma_px))
    table = Detections.concat(seen)
    return table.replace(id=np.arange(len(table)))


def points_at(xy: np.ndarray, cameras: list[str], sigma: float = 0.1, label: str = "person") -> GroundPoints:
    """Ground points (N, 2) m, one a camera name, with isotropic noise and no bias."""
    n = len(xy)
    return GroundPoints(
        time=np.zeros(n),
        camera=cameras,
        detection=np.arange(n),
        level=np.full(n, "ground"),
        xy=xy,
        cov=np.broadcast_to(sigma**2 * np.eye(2), (n, 2, 2)),
        bias_cov=np.zeros((n, 2, 2)),
        away=np.broadcast_to([1.0, 0.0], (n, 2)),
        label=np.full(n, label),
    )
