"""A drawn court: points on its walls with looks of their own, cameras in it, and what they see of it."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.features.local import LocalFeatures, root_quantised
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole

LENS = Pinhole(np.array([800.0, 800.0, 511.5, 383.5]))
SIZE = (1024, 768)
FLOOR, PER_SCALE = 0.3, 0.05


@dataclass(frozen=True, eq=False)
class Court:
    """Points (P, 3) m with the histograms (P, 128) that they look like and their size (P,) m."""

    points: np.ndarray
    looks: np.ndarray
    size: np.ndarray


def draw_court(rng: np.random.Generator, n: int = 500, at: tuple[float, float] = (0.0, 0.0)) -> Court:
    """Two walls that meet, 16 m and 10 m long, 5 m high, with niches."""
    along, up, deep = rng.uniform(0, 26, n), rng.uniform(0, 5, n), rng.choice([0.0, 0.8], n)
    first = along < 16
    x, y = np.where(first, along, 16 - deep), np.where(first, 10 - deep, 26 - along)
    points = np.stack([x + at[0], y + at[1], up], axis=1)
    return Court(points, rng.gamma(0.5, size=(n, 128)), np.exp(rng.normal(np.log(0.05), 0.7, n)))


def draw_camera(rng: np.random.Generator, name: str, at: tuple[float, float] = (0.0, 0.0)) -> Camera:
    """Somewhere in the court, looking at its corner, about."""
    moved = np.array([*at, 0.0])
    centre = rng.uniform([1, -3, 1.2], [9, 3, 2.2]) + moved
    return Camera(name, LENS, SIZE, look_at(centre, rng.uniform([9, 6, 2], [14, 10, 3]) + moved))


def see(
    court: Court, camera: Camera, rng: np.random.Generator, clutter: int = 150, missed: float = 0.2
) -> LocalFeatures:
    """What a camera finds of a court: most of its points, with noise, among other things."""
    pixels = camera.project(court.points)
    depth = camera.cam_from_world.apply(court.points)[:, 2]
    with np.errstate(invalid="ignore"):
        seen = np.flatnonzero(camera.inside(pixels) & (rng.random(len(pixels)) > missed))
    scale = 800.0 * court.size[seen] / depth[seen]
    sigma = np.hypot(FLOOR, PER_SCALE * scale)
    found = pixels[seen] + sigma[:, None] * rng.normal(size=(len(seen), 2))
    looks = court.looks[seen] * np.exp(0.25 * rng.normal(size=(len(seen), 128)))
    other = rng.uniform(0, 1, (clutter, 2)) * (np.array(SIZE) - 1)
    everything = np.vstack([found, other]).astype(np.float32)
    looks = np.vstack([looks, rng.gamma(0.5, size=(clutter, 128))])
    scale = np.concatenate([scale, np.exp(rng.normal(0.5, 0.5, clutter))]).astype(np.float32)
    order = rng.permutation(len(everything))
    n = len(order)
    return LocalFeatures(
        everything[order], scale[order], np.zeros(n, np.float32), np.ones(n, np.float32),
        root_quantised(looks[order]), "drawn",
    )  # fmt: skip


def cameras_of(rng: np.random.Generator, n: int, at: tuple[float, float] = (0.0, 0.0), name: str = "c") -> list[Camera]:
    """Cameras of a map."""
    return [draw_camera(rng, f"{name}{i}", at) for i in range(n)]


def misplaced(camera: Camera, cov: np.ndarray, rng: np.random.Generator) -> Camera:
    """The camera as a calibration with this covariance may have it."""
    from geoloc.geometry.se3 import perturb

    pose = perturb(camera.cam_from_world, rng.multivariate_normal(np.zeros(6), cov))
    return replace(camera, cam_from_world=pose, calib_cov=cov)


def shifted(cameras: list[Camera], x: float) -> list[Camera]:
    """The same cameras, of other names, `x` m farther east."""
    from scipy.spatial.transform import RigidTransform

    back = RigidTransform.from_translation([-x, 0.0, 0.0])
    return [replace(c, name=f"t{c.name}", cam_from_world=c.cam_from_world * back) for c in cameras]
