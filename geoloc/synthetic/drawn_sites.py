"""Drawn sites of several cameras around a square, with marks, control points and rough starts; their truth is known."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.geometry.se3 import look_at, perturb
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap

SIZE = (1920, 1080)
CONTROL_SIGMA = 0.03  # m
SIGMA_PX = 0.5
FREE = ("f", "k1")


@dataclass(frozen=True, eq=False)
class DrawnSite:
    """True cameras and points p0, p1, ..., and what a technician has of them."""

    true: dict[str, Camera]
    points: np.ndarray
    marks: Marks
    site_map: SiteMap
    starts: dict[str, Camera]
    wrong: np.ndarray

    @property
    def free(self) -> dict[str, tuple[str, ...]]:
        """The lens unknowns of each camera that its start has wrong."""
        return dict.fromkeys(self.true, FREE)

    def xyz(self, name: str) -> np.ndarray:
        """The true place (3,) m of a point."""
        return self.points[int(name[1:])]


def draw_site(
    rng: np.random.Generator, n_cameras: int = 5, n_points: int = 40, n_controls: int = 10, share: float = 0.0,
    focal: float = 0.0, off: float = 1.0,
) -> DrawnSite:  # fmt: skip
    """A site; `share` of its marks lie anywhere in their images, `off` scales how wrong the starts are."""
    points = np.column_stack([rng.uniform(-25, 25, (n_points, 2)), rng.uniform(0, 3, n_points)])
    true = _cameras(rng, n_cameras, focal)
    marks, wrong = _marks(rng, true, points, share)
    controls = tuple(
        ControlPoint(f"p{i}", tuple(points[i] + rng.normal(0, CONTROL_SIGMA, 3)), (CONTROL_SIGMA,) * 3)
        for i in range(n_controls)
    )
    starts = {name: _roughly(rng, camera, off) for name, camera in true.items()}
    return DrawnSite(true, points, marks, SiteMap(control_points=controls), starts, wrong)


def _cameras(rng: np.random.Generator, n: int, focal: float) -> dict[str, Camera]:
    turns = np.linspace(0, 2 * np.pi, n, endpoint=False) + rng.uniform(0, 0.3, n)
    cameras = {}
    for i, turn in enumerate(turns.tolist()):
        f = focal or 1100.0 + 50.0 * i
        lens = RadialTangential(np.array([f, f, 959.5, 539.5, -0.2, 0.05, 0.0, 0.0]))
        centre = np.array([35 * np.cos(turn), 35 * np.sin(turn), rng.uniform(5, 9)])
        pose = look_at(centre, np.array([*rng.uniform(-5, 5, 2), 0.0]))
        cameras[f"c{i}"] = Camera(f"c{i}", lens, SIZE, pose)
    return cameras


def _marks(
    rng: np.random.Generator, cameras: dict[str, Camera], points: np.ndarray, share: float
) -> tuple[Marks, np.ndarray]:
    """Marks of seven in ten points that a camera sees, and which of the marks lie anywhere."""
    rows = []
    for camera in cameras.values():
        pixels = camera.project(points)
        with np.errstate(invalid="ignore"):
            seen = np.flatnonzero(camera.inside(pixels) & (rng.uniform(size=len(points)) < 0.7))
        rows += [(camera.name, f"p{i}", pixels[i] + rng.normal(0, SIGMA_PX, 2)) for i in seen.tolist()]
    camera_names, point_names, marked = zip(*rows, strict=True)
    wrong = rng.uniform(size=len(rows)) < share
    anywhere = rng.uniform(0, np.array(SIZE) - 1, (len(rows), 2))
    pixel = np.where(wrong[:, None], anywhere, np.array(marked))
    return Marks(camera=camera_names, point=point_names, pixel=pixel, sigma=np.full(len(rows), SIGMA_PX)), wrong


def _roughly(rng: np.random.Generator, camera: Camera, off: float) -> Camera:
    """The camera as it is known before: about 1 degree, half a metre and 3 % of its focal length wrong."""
    step = off * np.concatenate([rng.normal(0, 0.02, 3), rng.normal(0, 0.5, 3)])
    stretch = np.array([1.03, 1.03, 1.0, 1.0, 0.8, 1.0, 1.0, 1.0])
    lens = RadialTangential(camera.lens.params * (stretch if off else 1.0))
    return replace(camera, lens=lens, cam_from_world=perturb(camera.cam_from_world, step))
