"""Which way a car heads that turns out of its stall: too slowly for its motion to be clear."""

import numpy as np
import pytest
import shapely
from sites import camera

from geoloc.options import merge_options
from geoloc.pipeline.localizer import Localizer, LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Detections
from geoloc.synthetic.shapes import project_bodies
from geoloc.synthetic.truth import Truth

STALL = Place("1", "ground", shapely.box(-1.25, 4.0, 1.25, 9.0), "stall")
CAMERAS = (camera("south", (-4.0, -14.0, 3.0), (-4.0, 0.0, 0.5)), camera("north", (-6.0, 16.0, 3.0), (-6.0, 0.0, 0.5)))
SITE = Site("row", CAMERAS, SiteMap((Level("ground", (Surface(),)),), stalls=(STALL,)))
STEP_S, STANDS_S, SPEED, RADIUS = 0.5, 20.0, 0.9, 5.0
STRAIGHT_M = 2.0


def place(time: float) -> tuple[np.ndarray, float]:
    """Middle (2,) m and heading (rad) of a car that backs out, turns by a quarter and stands across."""
    way = min(max(time - STANDS_S, 0.0) * SPEED, STRAIGHT_M + 0.5 * np.pi * RADIUS)
    arc = max(way - STRAIGHT_M, 0.0) / RADIUS
    down = min(way, STRAIGHT_M) + RADIUS * np.sin(arc)
    return np.array([-RADIUS * (1.0 - np.cos(arc)), 6.5 - down]), 0.5 * np.pi - arc


def seen(time: float, rng: np.random.Generator) -> Detections:
    xy, heading = place(time)
    truth = Truth(time=[time], object=[0], label=["car"], level=["ground"], xyz=[[*xy, 0.0]], velocity=np.zeros((1, 2)),
                  heading=[heading], size=[[4.5, 1.8, 1.5]])  # fmt: skip
    box = np.concatenate([project_bodies(one, truth) for one in CAMERAS]) + rng.normal(0.0, 1.5, (2, 4))
    return Detections(id=2 * round(time / STEP_S) + np.arange(2), time=[time] * 2, camera=["south", "north"],
                      box=box, label=["car"] * 2, score=[0.9, 0.9])  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_car_that_creeps_round_a_bend_heads_as_it_stands_within_what_is_said(seed: int) -> None:
    rng, options = np.random.default_rng(seed), merge_options(LocalizerOptions(), {"window_s": STEP_S})
    localizer = Localizer(SITE, options)
    off, sigma = [], []
    for time in np.arange(0.0, STANDS_S + 14.0, STEP_S):
        tracks = localizer.step(seen(float(time), rng), float(time))
        if time > STANDS_S:
            assert len(tracks) == 1
            turned = float(tracks.heading[0]) - place(float(time))[1]
            off.append(abs(turned - np.pi * np.round(turned / np.pi)))  # a block has no front
            sigma.append(float(tracks.heading_sigma[0]))
    assert (np.array(off) < 3.0 * np.array(sigma)).mean() > 0.9
    assert off[-1] < 0.5  # rad
