"""A made site of 100 cameras over a square of 200 m, with 150 people on it, for benchmarks only."""

import numpy as np

from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections

N_SIDE = 10  # cameras along each side of the grid
SPACING = 20.0  # m
HEIGHT = 6.0  # m
SIZE = (1920, 1080)
N_PEOPLE = 150
SECONDS, RATE = 10.0, 10.0
RANGE = 35.0  # m at which the detector still finds people
BOX_SIGMA = 0.02  # of a box's height
MISSED = 0.1


def big_recording() -> tuple[Site, Detections]:
    """The site and ten seconds of boxes, in which one in ten is missed."""
    rng = np.random.default_rng(7)
    site = _site()
    tables = []
    start, velocity = rng.uniform(0, N_SIDE * SPACING, (N_PEOPLE, 2)), rng.normal(0, 0.9, (N_PEOPLE, 2))
    for step in range(int(SECONDS * RATE)):
        xy = start + velocity * step / RATE
        tables += [_look(camera, xy, 1_700_000_000.0 + step / RATE, rng) for camera in site.cameras]
    detections = Detections.concat(tables)
    return site, detections.replace(id=np.arange(len(detections)))


def _site() -> Site:
    cameras = []
    for i in range(N_SIDE * N_SIDE):
        x, y = (np.array([i % N_SIDE, i // N_SIDE]) + 0.5) * SPACING
        angle = 2.399963 * i  # the golden angle: no two look the same way
        target = np.array([x + 12.0 * np.cos(angle), y + 12.0 * np.sin(angle), 0.0])
        lens = RadialTangential(np.array([1100.0, 1100.0, 959.5, 539.5, -0.2, 0.05, 0.0, 0.0]))
        pose = look_at(np.array([x, y, HEIGHT]), target)
        cameras.append(Camera(f"cam{i:03d}", lens, SIZE, pose, np.diag([1e-6] * 3 + [9e-4] * 3)))
    return Site("big", tuple(cameras), SiteMap((Level("ground", (Surface(sigma_z=0.02),)),)))


def _look(camera: Camera, xy: np.ndarray, time: float, rng: np.random.Generator) -> Detections:
    near = np.linalg.norm(xy - camera.centre_world[:2], axis=1) < RANGE
    feet = np.column_stack([xy[near], np.zeros(near.sum())])
    bottom, top = camera.project(feet), camera.project(feet + np.array([0.0, 0.0, 1.75]))
    seen = camera.inside(bottom) & camera.inside(top) & (rng.uniform(size=len(feet)) >= MISSED)
    bottom, top = bottom[seen], top[seen]
    height = bottom[:, 1] - top[:, 1]
    jitter = rng.normal(0.0, BOX_SIGMA, (len(bottom), 4)) * height[:, None]
    half = 0.2 * height
    box = np.stack([bottom[:, 0] - half, top[:, 1], bottom[:, 0] + half, bottom[:, 1]], axis=-1) + jitter
    n = len(box)
    return Detections(
        id=np.arange(n),
        time=np.full(n, time),
        camera=np.full(n, camera.name),
        box=box,
        label=np.full(n, "person"),
        score=rng.uniform(0.6, 1.0, n),
    )
