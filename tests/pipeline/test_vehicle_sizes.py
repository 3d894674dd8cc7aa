"""Metric size is evidence: a van and a car do not swap, and a height that cannot be told says nothing."""

import numpy as np
import pytest
from sites import camera

from geoloc.options import merge_options
from geoloc.pipeline.localizer import Localizer, LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Detections
from geoloc.synthetic.shapes import project_bodies
from geoloc.synthetic.truth import Truth

CAR, VAN = (4.5, 1.8, 1.45), (5.2, 2.0, 2.4)
CAMERAS = (camera("south", (3.0, -28.0, 4.0), (0.0, 0.0, 1.0)), camera("west", (-28.0, -6.0, 4.0), (0.0, 0.0, 1.0)))
SITE = Site("yard", CAMERAS, SiteMap())


def seen(xy: list[tuple[float, float]], sizes: list[tuple[float, float, float]], time: float,
         rng: np.random.Generator) -> Detections:
    """Boxes around vehicles that head north, of which none hides another."""
    n = len(xy)
    truth = Truth(time=np.full(n, time), object=np.arange(n), label=["car"] * n, level=["ground"] * n,
                  xyz=np.column_stack([xy, np.zeros(n)]), velocity=np.zeros((n, 2)), heading=np.full(n, np.pi / 2),
                  size=sizes)  # fmt: skip
    box = np.concatenate([project_bodies(one, truth) for one in CAMERAS])
    box = box + rng.normal(0.0, 1.5, box.shape)
    names = np.repeat([one.name for one in CAMERAS], n)
    return Detections(id=np.arange(len(box)) + int(100 * time), time=np.full(len(box), time), camera=names, box=box,
                      label=["car"] * len(box), score=np.full(len(box), 0.95))  # fmt: skip


def ids_after_a_gap(spread: float, seed: int) -> tuple[list[int], list[int]]:
    """Car and van stand 8 m apart; for 3 s no frame comes; then each stands where the other one was."""
    tell = {"association": {"height_spread": spread}, "decisions": {"height_spread": spread},
            "identity": {"recognition": {"costs": {"height_spread": spread}}}}
    localizer = Localizer(SITE, merge_options(LocalizerOptions(), tell))
    rng, places, told = np.random.default_rng(seed), [(-4.0, 1.0), (4.0, -1.0)], []
    for part, start in enumerate((0.0, 5.0)):
        for time in start + np.arange(0.0, 2.0, 0.1):
            at = places[::-1] if part else places
            tracks = localizer.step(seen(at, [CAR, VAN], float(time), rng), float(time))
        tracks = tracks.take(tracks.object >= 0)
        told.append([int(tracks.track[np.linalg.norm(tracks.xy - p, axis=1).argmin()]) for p in at])
    return told[0], told[1]


@pytest.mark.parametrize("seed", range(3))
def test_a_van_and_a_car_that_changed_places_unseen_keep_their_ids(seed: int) -> None:
    before, after = ids_after_a_gap(0.3, seed)
    assert before == after
    before, after = ids_after_a_gap(0.0, seed)
    assert before == after[::-1]  # by their places alone


def test_heights_of_vehicles_are_those_that_they_have_within_what_is_said() -> None:
    rng, localizer = np.random.default_rng(5), Localizer(SITE)
    off, size = [], [CAR, VAN]
    for time in np.arange(0.0, 4.0, 0.1):
        tracks = localizer.step(seen([(-4.0, 1.0), (4.0, -1.0)], size, float(time), rng), float(time))
    for x, (_, _, tall) in zip((-4.0, 4.0), size, strict=True):
        row = np.abs(tracks.xy[:, 0] - x).argmin()
        off.append((tracks.height[row] - tall) / np.sqrt(tracks.height_var[row]))
        assert 0.05 < np.sqrt(tracks.height_var[row]) < 0.3  # m
    assert np.abs(off).max() < 2.5


def test_a_box_that_is_cut_off_tells_no_height() -> None:
    cut = seen([(0.0, 0.0)], [CAR], 0.0, np.random.default_rng(1))
    box = cut.box.copy()
    box[:, 1] = -0.5
    localizer = Localizer(SITE)
    localizer.step(cut.replace(box=box), 0.0)
    assert np.isnan(localizer.points.height).all()
    localizer.step(cut.replace(time=cut.time + 0.1), 0.1)
    assert np.isfinite(localizer.points.height).all()
