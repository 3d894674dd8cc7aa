"""A square seen by one camera from straight above, with walkers: what every tracker can be fed alike.

A camera above gives points of one noise; so Stone Soup's trackers get one scan a step, which is the case that they are
made for and the fastest for them. All boxes have one score: who tracks knows nothing else than the points.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.metrics.matching import Sightings
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections
from geoloc.synthetic.world import rectangle

DENSITY = 50 / 30.0**2  # walkers, 1/m²
RATE = 5.0  # Hz
NOISE_M = 0.15  # standard deviation of a point in x and in y
DETECTS = 0.9
CLUTTER = 0.1  # false points for each walker, anywhere
SPEED, TURN = 1.3, 0.6  # m/s; rad/s^0.5, how fast headings wander
EDGE_M, TURN_BACK = 3.0, 1.0  # m from the edge; rad/s
PX_PER_M = 50.0
MARGIN_M = 5.0  # of the ground and of the image around the square
HEIGHT = 100.0  # m, of the camera: people look flat
SCORE = 0.8
START = 1_700_000_000.0  # s


@dataclass(frozen=True, eq=False)
class Scene:
    """A site, what its cameras deliver, and where everybody is in each step (its frame)."""

    site: Site
    steps: list[Detections]
    truth: Sightings


def draw_scene(n: int, n_steps: int, seed: int) -> Scene:
    """`n` walkers in a square at the density of 50 in 30 x 30 m; they turn back at its edges."""
    rng = np.random.default_rng([seed, n])
    side = float(np.sqrt(n / DENSITY))
    site = _site(side)
    xy, heading = rng.uniform(0, side, (n, 2)), rng.uniform(-np.pi, np.pi, n)
    speed = rng.uniform(0.6, 1.4, n) * SPEED
    steps, places = [], []
    for step in range(n_steps):
        heading = heading + rng.normal(0, TURN / np.sqrt(RATE), n)
        heading = heading + _turn_back(xy, heading, side)
        xy = xy + speed[:, None] / RATE * np.column_stack([np.cos(heading), np.sin(heading)])
        places.append(xy)
        steps.append(_boxes(site.cameras[0], _seen(xy, side, rng), START + step / RATE))
    frame, walker = np.divmod(np.arange(n * n_steps), n)
    return Scene(site, steps, Sightings(frame, walker, np.concatenate(places)))


def _turn_back(xy: np.ndarray, heading: np.ndarray, side: float) -> np.ndarray:
    """By how much (n,) rad those near an edge turn towards the middle in a step."""
    near = ((xy < EDGE_M) | (xy > side - EDGE_M)).any(axis=1)
    away = side / 2 - xy
    turn = np.mod(np.arctan2(away[:, 1], away[:, 0]) - heading + np.pi, 2 * np.pi) - np.pi
    return np.where(near, np.clip(turn, -TURN_BACK / RATE, TURN_BACK / RATE), 0.0)


def _seen(xy: np.ndarray, side: float, rng: np.random.Generator) -> np.ndarray:
    """Points of a step in any order."""
    found = xy[rng.random(len(xy)) < DETECTS]
    points = np.concatenate([found + rng.normal(0, NOISE_M, found.shape),
                             rng.uniform(0, side, (rng.poisson(CLUTTER * len(xy)), 2))])  # fmt: skip
    return rng.permutation(points)


def _boxes(camera: Camera, xy: np.ndarray, time: float) -> Detections:
    foot = camera.project(np.column_stack([xy, np.zeros(len(xy))]))
    half = 0.25 * PX_PER_M
    n = len(xy)
    return Detections(
        id=np.arange(n),
        time=np.full(n, time),
        camera=np.full(n, camera.name),
        box=np.column_stack([foot - half, foot + half]),
        foot=foot,
        foot_cov=np.tile((NOISE_M * PX_PER_M) ** 2 * np.eye(2), (n, 1, 1)),
        label=np.full(n, "person"),
        score=np.full(n, SCORE),
    )


def _site(side: float) -> Site:
    size = round((side + 2 * MARGIN_M) * PX_PER_M)
    focal, centre = PX_PER_M * HEIGHT, (size - 1) / 2
    lens = RadialTangential(np.array([focal, focal, centre, centre, 0.0, 0.0, 0.0, 0.0]))
    down = Rotation.from_matrix(np.diag([1.0, -1.0, -1.0]))
    world_from_cam = RigidTransform.from_components([side / 2, side / 2, HEIGHT], down)
    camera = Camera("above", lens, (size, size), world_from_cam.inv())
    ground = Surface((0.0, 0.0, 0.0), rectangle(-MARGIN_M, -MARGIN_M, side + MARGIN_M, side + MARGIN_M), 0.0)
    return Site("square", (camera,), SiteMap((Level("ground", (ground,)),)))
