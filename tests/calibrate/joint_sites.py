"""Drawn sites for the tests of joint adjustment: cameras around a square, marks, control points, rough starts."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.geometry.se3 import look_at, perturb
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap

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
        return dict.fromkeys(self.true, FREE)

    def xyz(self, name: str) -> np.ndarray:
        return self.points[int(name[1:])]


def draw_site(
    rng: np.random.Generator, n_cameras: int = 5, n_points: int = 40, n_controls: int = 10, share: float = 0.0,
    focal: float = 0.0, off: float = 1.0,
) -> DrawnSite:  # fmt: skip
    """A site; `share` of its marks lie anywhere in their images, `off` scales how wrong the starts are."""
    points = np.column_stack([rng.uniform(-25, 25, (n_points, 2)), rng.uniform(0, 3, n_points)])
    turns = np.linspace(0, 2 * np.pi, n_cameras, endpoint=False) + rng.uniform(0, 0.3, n_cameras)
    true = {}
    for i, turn in enumerate(turns.tolist()):
        f = focal or 1100.0 + 50.0 * i
        lens = RadialTangential(np.array([f, f, 959.5, 539.5, -0.2, 0.05, 0.0, 0.0]))
        centre = np.array([35 * np.cos(turn), 35 * np.sin(turn), rng.uniform(5, 9)])
        pose = look_at(centre, np.array([*rng.uniform(-5, 5, 2), 0.0]))
        true[f"c{i}"] = Camera(f"c{i}", lens, (1920, 1080), pose)
    rows = []
    for camera in true.values():
        pixels = camera.project(points)
        with np.errstate(invalid="ignore"):
            seen = np.flatnonzero(camera.inside(pixels) & (rng.uniform(size=n_points) < 0.7))
        rows += [(camera.name, f"p{i}", pixels[i] + rng.normal(0, SIGMA_PX, 2)) for i in seen.tolist()]
    camera_names, point_names, pixels = zip(*rows, strict=True)
    wrong = rng.uniform(size=len(rows)) < share
    pixel = np.where(wrong[:, None], rng.uniform([0, 0], [1919, 1079], (len(rows), 2)), np.array(pixels))
    marks = Marks(camera=camera_names, point=point_names, pixel=pixel, sigma=np.full(len(rows), SIGMA_PX))
    controls = tuple(
        ControlPoint(f"p{i}", tuple(points[i] + rng.normal(0, CONTROL_SIGMA, 3)), (CONTROL_SIGMA,) * 3)
        for i in range(n_controls)
    )
    stretch = np.array([1.03, 1.03, 1.0, 1.0, 0.8, 1.0, 1.0, 1.0])
    starts = {}
    for name, camera in true.items():
        step = off * np.concatenate([rng.normal(0, 0.02, 3), rng.normal(0, 0.5, 3)])
        lens = RadialTangential(camera.lens.params * (stretch if off else 1.0))
        starts[name] = replace(camera, lens=lens, cam_from_world=perturb(camera.cam_from_world, step))
    return DrawnSite(true, points, marks, SiteMap(control_points=controls), starts, wrong)


def calib_error(found: Camera, true: Camera) -> np.ndarray:
    """Error (6 + k,) of a camera in the variables of its `calib_cov`."""
    xi = (true.cam_from_world * found.cam_from_world.inv()).as_exp_coords()
    return np.concatenate([xi, (true.lens.params - found.lens.params)[found.freed_index]])


def untied(camera: Camera) -> np.ndarray:
    """The variables (m,) of `calib_cov` without fy, which moves with fx."""
    names = [*"abcdef", *camera.freed]
    return np.array([i for i, name in enumerate(names) if name != "fy"])
