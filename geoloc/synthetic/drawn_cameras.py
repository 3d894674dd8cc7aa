"""Drawn cameras with marks at surveyed points, of which the truth is known: as calibration expects them, and hard ones.

>>> site = draw_hard_camera(np.random.default_rng(1), HARD["nearly on a line"])       # doctest: +SKIP
"""

from dataclasses import dataclass

import numpy as np

from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Lens, RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint

SIZE = (1920, 1080)
CORNERS = np.array([[0, 0], [SIZE[0] - 1, 0], [0, SIZE[1] - 1], [SIZE[0] - 1, SIZE[1] - 1]], float)
MARK_SIGMA, POINT_SIGMA = 1.0, 0.02  # px, m


@dataclass(frozen=True, eq=False)
class DrawnCamera:
    """A true camera, its marks with errors of 1 px, and control points with errors of their sigma."""

    camera: Camera
    marks: Marks
    points: tuple[ControlPoint, ...]
    truth: np.ndarray  # (N, 3) m, the points without their errors
    wrong: np.ndarray  # (N,) bool, marks that lie anywhere in the still


@dataclass(frozen=True)
class Hardness:
    """What makes a camera hard to calibrate: few marks, points in one plane or near a line, a lens nobody named."""

    marks: tuple[int, int]  # how many, at least and at most
    raised: float = 0.0  # m up to which every other point stands over the ground
    rough: float = 0.0  # m up to which the ground itself rises
    thin: float = 0.0  # all points in a strip, at most so broad as this share of its length; 0: all around
    small: bool = False  # all marks in a small part of the still
    fisheye: bool = False
    wrong: float = 0.0  # share of marks that lie anywhere


HARD = {
    "many marks": Hardness((14, 24), raised=3.0),
    "few marks": Hardness((6, 9), raised=3.0),
    "part of the still": Hardness((7, 20), raised=3.0, small=True),
    "part of the still, one plane": Hardness((7, 20), small=True),
    "one plane": Hardness((6, 20)),
    "nearly one plane": Hardness((6, 20), rough=0.15),
    "nearly on a line": Hardness((8, 20), raised=0.5, thin=0.1),
    "20 % wrong marks": Hardness((12, 24), raised=3.0, wrong=0.2),
    "unnamed fisheye": Hardness((8, 20), raised=3.0, fisheye=True),
    "unnamed fisheye, one plane": Hardness((8, 20), fisheye=True),
}
COLLINEAR = Hardness((8, 20), thin=1e-3)  # a kerb, say: no camera can be told from marks along it


def draw_camera(
    rng: np.random.Generator, n: int = 16, flat: bool = False, point_sigma: float = POINT_SIGMA, fisheye: bool = False
) -> DrawnCamera:
    """A camera 4 to 12 m up, its lens drawn as the priors have it, and `n` points that it sees."""
    width = SIZE[0]
    while True:
        focal = width * float(np.exp(rng.uniform(np.log(0.7), np.log(1.8))))
        k1 = float(np.clip(rng.normal(0, 0.3), -0.4, 0.2))
        centre = (np.array(SIZE) - 1) / 2 + rng.normal(0, 0.02 * width, 2)
        lens: Lens = RadialTangential(np.array([focal, focal, *centre, k1, k1 * k1 + rng.normal(0, 0.05), 0, 0]))
        if fisheye:
            lens = _fisheye(rng, centre, 0.55)
        place, angle = np.array([*rng.uniform(-50, 50, 2), rng.uniform(4, 12)]), rng.uniform(0, 2 * np.pi)
        reach = rng.uniform(15, 40)
        target = place + reach * np.array([np.cos(angle), np.sin(angle), 0])
        camera = Camera("cam", lens, SIZE, look_at(place, np.array([*target[:2], 0.0])))
        points = np.column_stack([rng.uniform(-1.2, 1.2, (400, 2)) * reach + target[:2], np.zeros(400)])
        points[:, 2] = 0.0 if flat else rng.choice([0.0, 1.0], 400) * rng.uniform(0, 4, 400)
        seen = _seen(camera, points)
        if len(seen) >= n:
            rows = rng.choice(seen, n, replace=False)
            return _marked(rng, camera, points[rows], np.zeros(n, bool), point_sigma)


def draw_hard_camera(rng: np.random.Generator, hard: Hardness) -> DrawnCamera:
    """A camera 2.5 to 10 m up with lenses as cameras in use have them, hard to calibrate in the way that is asked."""
    n = int(rng.integers(*hard.marks, endpoint=True))
    while True:
        centre = (np.array(SIZE) - 1) / 2 + rng.normal(0, 0.01 * SIZE[0], 2)
        lens = _fisheye(rng, centre, 0.6) if hard.fisheye else _usual_lens(rng, centre)
        place, angle = np.array([*rng.uniform(-50, 50, 2), rng.uniform(2.5, 10)]), rng.uniform(0, 2 * np.pi)
        ahead, reach = np.array([np.cos(angle), np.sin(angle), 0]), rng.uniform(6, 30)
        target = (place + reach * ahead) * [1, 1, 0]
        camera = Camera("cam", lens, SIZE, look_at(place, target))
        points = target + _spread(rng, hard, reach)
        points = points[(points - place) @ ahead > 0.5]
        seen = _seen(camera, points)
        if hard.small:
            window = rng.uniform([0.16, 0.05], [0.45, 0.3]) * SIZE
            corner = rng.uniform(0, 1, 2) * (SIZE - window)
            pixels = camera.project(points[seen])
            seen = seen[((pixels > corner) & (pixels < corner + window)).all(axis=1)]
        if len(seen) >= n:
            wrong = np.isin(np.arange(n), rng.choice(n, int(hard.wrong * n), replace=False))
            return _marked(rng, camera, points[rng.choice(seen, n, replace=False)], wrong, POINT_SIGMA)


def calib_error(found: Camera, true: Camera) -> np.ndarray:
    """Error (6 + k,) of a camera in the variables of its `calib_cov`."""
    xi = (true.cam_from_world * found.cam_from_world.inv()).as_exp_coords()
    return np.concatenate([xi, (true.lens.params - found.lens.params)[found.freed_index]])


def untied(camera: Camera) -> np.ndarray:
    """The variables (m,) of `calib_cov` without fy, which moves with fx."""
    names = [*"abcdef", *camera.freed]
    return np.array([i for i, name in enumerate(names) if name != "fy"])


def _usual_lens(rng: np.random.Generator, centre: np.ndarray) -> RadialTangential:
    """A lens that images the whole still: none whose distortion folds over within it."""
    while True:
        focal = SIZE[0] * float(np.exp(rng.uniform(np.log(0.45), np.log(1.8))))
        k1 = float(np.clip(rng.normal(-0.1, 0.15), -0.4, 0.1)) * (0.3 if focal > 1.3 * SIZE[0] else 1.0)
        lens = RadialTangential(np.array([focal, focal, *centre, k1, k1 * k1 * rng.uniform(0.3, 1.7), 0, 0]))
        if np.isfinite(lens.unproject(CORNERS)).all():
            return lens


def _fisheye(rng: np.random.Generator, centre: np.ndarray, longest: float) -> Fisheye:
    focal = SIZE[0] * float(np.exp(rng.uniform(np.log(0.33), np.log(longest))))
    return Fisheye(np.array([focal, focal, *centre, rng.normal(0, 0.03), rng.normal(0, 0.01), 0, 0]))


def _spread(rng: np.random.Generator, hard: Hardness, reach: float, n: int = 3000) -> np.ndarray:
    """Places (n, 3) m about the one that the camera looks at, `reach` m away."""
    across = rng.uniform(-1.5, 1.5, (n, 2)) * reach
    if hard.thin:
        thin, turn, length = hard.thin * rng.uniform(0.3, 1.0), rng.uniform(0, np.pi), rng.uniform(0.5, 1.3) * reach
        along = np.array([np.cos(turn), np.sin(turn)])
        strip = rng.uniform(-length, length, (n, 2)) * [1, thin]
        across = strip @ np.array([along, [-along[1], along[0]]])
    heights = rng.uniform(0, hard.rough, n) + rng.choice([0.0, 1.0], n) * rng.uniform(0, hard.raised, n)
    return np.column_stack([across, heights])


def _seen(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Rows of the points (N, 3) that lie in the still."""
    pixels = camera.project(points)
    with np.errstate(invalid="ignore"):
        return np.flatnonzero(np.isfinite(pixels).all(axis=1) & camera.inside(pixels))


def _marked(
    rng: np.random.Generator, camera: Camera, points: np.ndarray, wrong: np.ndarray, point_sigma: float
) -> DrawnCamera:
    n, last = len(points), np.array(SIZE) - 1
    marked = np.clip(camera.project(points) + rng.normal(0, MARK_SIGMA, (n, 2)), 0, last)
    marked[wrong] = rng.uniform(0, last, (int(wrong.sum()), 2))
    names = [f"p{i}" for i in range(n)]
    measured = points + rng.normal(0, point_sigma, (n, 3))
    control = tuple(
        ControlPoint(name, tuple(xyz), (point_sigma,) * 3) for name, xyz in zip(names, measured.tolist(), strict=True)
    )
    marks = Marks(camera=["cam"] * n, point=names, pixel=marked, sigma=np.full(n, MARK_SIGMA))
    return DrawnCamera(camera, marks, control, points, wrong)
