"""Drawn sites for the tests of one camera: a camera over an open place, with marks of which the truth is known."""

from dataclasses import dataclass

import numpy as np

from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Lens, RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint

SIZE = (1920, 1080)


@dataclass(frozen=True, eq=False)
class DrawnSite:
    """A true camera, its marks with errors of 1 px, and control points with errors of their sigma."""

    camera: Camera
    marks: Marks
    points: tuple[ControlPoint, ...]
    truth: np.ndarray  # (N, 3) m, the points without their errors


def draw_site(
    rng: np.random.Generator, n: int = 16, flat: bool = False, point_sigma: float = 0.02, fisheye: bool = False
) -> DrawnSite:
    """A camera 4 to 12 m up, its lens drawn as the priors have it, and `n` points that it sees."""
    width = SIZE[0]
    while True:
        focal = width * float(np.exp(rng.uniform(np.log(0.7), np.log(1.8))))
        k1 = float(np.clip(rng.normal(0, 0.3), -0.4, 0.2))
        centre = (np.array(SIZE) - 1) / 2 + rng.normal(0, 0.02 * width, 2)
        lens: Lens = RadialTangential(np.array([focal, focal, *centre, k1, k1 * k1 + rng.normal(0, 0.05), 0, 0]))
        if fisheye:
            lens = _fisheye(rng, centre)
        place, angle = np.array([*rng.uniform(-50, 50, 2), rng.uniform(4, 12)]), rng.uniform(0, 2 * np.pi)
        reach = rng.uniform(15, 40)
        target = place + reach * np.array([np.cos(angle), np.sin(angle), 0])
        camera = Camera("cam", lens, SIZE, look_at(place, np.array([*target[:2], 0.0])))
        points = np.column_stack([rng.uniform(-1.2, 1.2, (400, 2)) * reach + target[:2], np.zeros(400)])
        points[:, 2] = 0.0 if flat else rng.choice([0.0, 1.0], 400) * rng.uniform(0, 4, 400)
        pixels = camera.project(points)
        seen = np.flatnonzero(np.isfinite(pixels).all(axis=1) & camera.inside(pixels))
        if len(seen) < n:
            continue
        rows = rng.choice(seen, n, replace=False)
        marked = np.clip(pixels[rows] + rng.normal(0, 1.0, (n, 2)), 0, np.array(SIZE) - 1)
        names = [f"p{i}" for i in range(n)]
        measured = points[rows] + rng.normal(0, point_sigma, (n, 3))
        control = tuple(
            ControlPoint(name, tuple(xyz), (point_sigma,) * 3)
            for name, xyz in zip(names, measured.tolist(), strict=True)
        )
        marks = Marks(camera=["cam"] * n, point=names, pixel=marked, sigma=np.ones(n))
        return DrawnSite(camera, marks, control, points[rows])


def _fisheye(rng: np.random.Generator, centre: np.ndarray) -> Fisheye:
    focal = SIZE[0] * float(np.exp(rng.uniform(np.log(0.33), np.log(0.55))))
    return Fisheye(np.array([focal, focal, *centre, rng.normal(0, 0.03), rng.normal(0, 0.01), 0, 0]))


def with_pixels(marks: Marks, rows: np.ndarray, pixels: np.ndarray) -> Marks:
    """The marks with other pixels at `rows`."""
    changed = marks.pixel.copy()
    changed[rows] = pixels
    return marks.replace(pixel=changed)


def pose_errors(found: Camera, truth: Camera) -> np.ndarray:
    """exp(xi) found = truth: xi (6,)."""
    return np.asarray((truth.cam_from_world * found.cam_from_world.inv()).as_exp_coords())
