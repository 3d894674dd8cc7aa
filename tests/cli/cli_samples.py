"""A yard with two cameras and three walkers, and what a call of the command line gives."""

import json
from dataclasses import dataclass

import numpy as np

from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections

SIZE = (1280, 720)
START = 1_700_000_000.0


@dataclass(frozen=True)
class Done:
    """What a call of the command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


def yard(datum: bool = True) -> Site:
    cov = np.diag([1e-6] * 3 + [1e-4] * 3)
    lens = Pinhole(np.array([800.0, 800.0, 639.5, 359.5]))
    cameras = (
        Camera("gate", lens, SIZE, look_at(np.array([0.0, -15.0, 5.0]), np.zeros(3)), cov),
        Camera("hall", lens, SIZE, look_at(np.array([15.0, 0.0, 5.0]), np.zeros(3)), cov),
    )
    levels = (Level("ground", (Surface(sigma_z=0.02),)),)
    return Site("yard", cameras, SiteMap(levels, Datum(48.0, 11.0, 500.0) if datum else None))


def walkers(site: Site, seconds: float = 4.0) -> Detections:
    rows = []
    for step in range(int(seconds * 10)):
        feet = np.array([[-3.0, 0.15 * step - 3.0, 0.0], [0.1 * step - 2.0, 2.0, 0.0], [3.0, -2.0, 0.0]])
        for camera in site.cameras:
            bottom, top = camera.project(feet), camera.project(feet + np.array([0.0, 0.0, 1.8]))
            half = 0.2 * (bottom[:, 1] - top[:, 1])
            box = np.stack([bottom[:, 0] - half, top[:, 1], bottom[:, 0] + half, bottom[:, 1]], axis=-1)
            n = len(box)
            rows.append(
                Detections(
                    id=np.arange(n),
                    time=np.full(n, START + step / 10),
                    camera=np.full(n, camera.name),
                    box=box,
                    label=np.full(n, "person"),
                    score=np.full(n, 0.9),
                )
            )
    table = Detections.concat(rows)
    return table.replace(id=np.arange(len(table)))
