"""A lot with stalls and a lane that cars come to, park in and leave, seen by four cameras: windows of detections."""

from collections.abc import Iterator

import numpy as np
import shapely
from sites import feet_seen, square

from geoloc.options import merge_options
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Detections

START = 1_700_000_000.0
STEP = 0.2  # s
STALL = (3.0, 4.0)  # m, where the first car parks
OPTIONS = merge_options(
    LocalizerOptions(),
    {"window_s": STEP, "identity": {"park_s": 3.0}, "history": {"every_s": 0.4, "sight_s": 1.0, "chunk": 16}},
)


def lot() -> Site:
    plain = square()
    stall = Place("A1", "ground", shapely.box(0.5, 2.5, 5.5, 5.5), "stall")
    empty = Place("A2", "ground", shapely.box(-5.5, 2.5, -0.5, 5.5), "stall")
    lane = Place("lane", "ground", shapely.box(-15.0, -2.0, 15.0, 2.0), "lane")
    return Site("lot", plain.cameras, SiteMap((Level("ground", (Surface(),)),), stalls=(stall, empty), zones=(lane,)))


def cars(time: float) -> np.ndarray:
    """Feet (N, 3) m at a time (s): one comes, parks in A1 from second 4 on, one weaves along the lane every 7 s."""
    drive = min(time / 4.0, 1.0)
    first = np.array([-10.0 + 13.0 * drive, 4.0 * max(2.0 * drive - 1.0, 0.0), 0.0])
    passing = np.array([10.0 - 3.0 * (time % 7.0), -0.5 + 0.8 * np.sin(2.0 * time), 0.0])
    return np.stack([first, passing])


def seen_windows(seconds: float, seed: int = 1) -> Iterator[Detections]:
    """The windows of the first `seconds`; ids go through all of them."""
    site, rng, first = lot(), np.random.default_rng(seed), 0
    for k in range(int(seconds / STEP)):
        window = feet_seen(site, cars(k * STEP), START + k * STEP, rng, sigma_px=2.0, label="car")
        yield window.replace(id=first + np.arange(len(window)))
        first += len(window)
