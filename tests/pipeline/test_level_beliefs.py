"""Levels: ramps are crossed once, boxes that two levels explain have one explanation, nobody falls through a floor."""

import numpy as np
import pytest
import shapely
from sites import camera

from geoloc.pipeline.localizer import Localizer, localize
from geoloc.pipeline.projection import project_to_ground, project_to_levels
from geoloc.scene.joints import joints_of
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Detections, Tracks
from geoloc.scene.ways import Ways

RAMP = (
    Level("P1", (Surface((0.0, 0.0, 0.0), shapely.box(-30, -10, 0.2, 10), 0.01),)),
    Level("P2", (Surface((0.15, 0.0, 0.0), shapely.box(-0.2, -4, 20, 4), 0.01),
                 Surface((0.0, 0.0, 3.0), shapely.box(19.8, -10, 50, 10), 0.01))),
)  # fmt: skip
DECKS = (
    Level("P1", (Surface((0.0, 0.0, 0.0), shapely.box(-25, -20, 40, 20), 0.01),)),
    Level("P2", (Surface((0.0, 0.0, 3.0), shapely.box(0, -20, 40, 20), 0.01),)),
)
WEST = camera("west", (-25.0, 0.0, 12.0), (5.0, 0.0, 1.0))
UNDER = camera("under", (22.0, 6.0, 2.6), (8.0, 0.0, 0.0))


def boxes(cameras: list, xyz: list[tuple[float, float, float]], time: float, rng: np.random.Generator,
          sigma_px: float = 4.0) -> Detections:
    rows = [(one.name, one.project(np.array([p]))[0]) for one in cameras for p in xyz]
    foot = np.array([pixel for _, pixel in rows]) + rng.normal(0.0, sigma_px, (len(rows), 2))
    return Detections(
        id=np.arange(len(rows)) + int(1000 * time), time=np.full(len(rows), time), camera=[name for name, _ in rows],
        foot=foot, foot_cov=np.broadcast_to(sigma_px**2 * np.eye(2), (len(rows), 2, 2)),
        label=["car"] * len(rows), score=np.full(len(rows), 0.95),
    )  # fmt: skip


def changes(tracks: Tracks) -> int:
    sure = tracks.take((tracks.state == "confirmed") & (tracks.object >= 0))
    return sum(int((np.diff((sure.level[sure.track == t] == "P1").astype(int)) != 0).sum()) for t in set(sure.track))


@pytest.mark.parametrize("seed", range(3))
def test_a_car_that_creeps_up_a_ramp_changes_its_level_once(seed: int) -> None:
    """At 1.5 m/s and 10 Hz, sigma 12 px: points fall on both sides of the ramp's foot for a second."""
    rng = np.random.default_rng(seed)
    cameras = [camera("A", (-15.0, -9.0, 5.0), (2.0, 0.0, 0.0)), camera("B", (14.0, 9.0, 7.0), (-2.0, 0.0, 0.0))]
    site = Site("ramp", tuple(cameras), SiteMap(RAMP))
    times = np.arange(0.0, 8.0, 0.1)
    x = -6.0 + 1.5 * times
    seen = [boxes(cameras, [(v, 1.0, max(0.15 * v, 0.0))], t, rng, 12.0) for t, v in zip(times, x, strict=True)]
    points = project_to_ground(Detections.concat(seen), site)[0]
    near = np.abs(points.xy[:, 0]) < 1.0
    assert {"P1", "P2"} == set(points.level[near])
    tracks = localize(Detections.concat(seen), site)
    confirmed = tracks.take(tracks.state == "confirmed")
    assert len(set(confirmed.track)) == 1
    assert changes(tracks) == 1
    assert confirmed.level_probability[-1] > 0.99
    assert confirmed.level_probability.min() < 0.9  # at the foot it is not sure


def decks(*cameras) -> Site:  # type: ignore[no-untyped-def]
    return Site("decks", cameras, SiteMap(DECKS))


def test_a_box_at_the_edge_of_a_deck_may_stand_on_either_level() -> None:
    """Its ray passes the edge by 2 cm: it stands on the deck, or 8.4 m farther under it."""
    site = decks(WEST)
    seen = boxes([WEST], [(0.02, 0.0, 3.0), (20.0, 5.0, 3.0)], 0.0, np.random.default_rng(1), 0.01)
    seen = seen.replace(foot_cov=np.broadcast_to(9.0 * np.eye(2), (2, 2, 2)))
    points, dropped = project_to_levels(seen, site)
    assert len(dropped) == 0
    assert points.level.tolist() == ["P2", "P2", "P1"]
    assert points.detection.tolist() == [0, 1, 0]
    np.testing.assert_allclose(points.xy[2], [8.35, 0.0], atol=0.1)
    assert points.level_probability[0] + points.level_probability[2] == 1.0
    assert 0.5 < points.level_probability[0] < 0.7
    assert points.level_probability[1] == 1.0


def test_another_camera_tells_the_level_of_a_box_at_the_edge_of_a_deck() -> None:
    site, rng = decks(WEST, UNDER), np.random.default_rng(2)
    localizer = Localizer(site)
    for k in range(10):
        localizer.step(boxes([WEST, UNDER], [(8.2, 0.5, 0.0)], 0.1 * k, rng), 0.1 * k)
        assert len(localizer.points) == 2  # one box, one explanation
        assert set(localizer.points.level) == {"P1"}
        assert len(set(localizer.points.object)) == 1


def test_a_car_that_drives_under_a_deck_keeps_its_id_and_level() -> None:
    """Seen from above the deck, its last boxes may stand on the deck's edge; the track decides."""
    site, rng = decks(WEST, UNDER), np.random.default_rng(3)
    seen = []
    for t in np.arange(0.0, 12.0, 0.1):
        x = min(-6.0 + 3.0 * t, 8.2) + max(0.0, 2.0 * (t - 9.0))  # it waits for four seconds
        seen.append(boxes([WEST] if x < 8.5 else [UNDER], [(x, 1.0, 0.0)], float(t), rng))
    tracks = localize(Detections.concat(seen), site)
    confirmed = tracks.take(tracks.state != "tentative")
    assert set(confirmed.level) == {"P1"}
    assert len(set(confirmed.track)) == 1


def test_levels_are_joined_where_they_meet_and_in_lifts_only() -> None:
    (joint,) = joints_of(SiteMap(RAMP))
    assert joint.ramp.contains(shapely.Point(0.0, 0.0))
    assert not joint.ramp.intersects(shapely.Point(8.0, 0.0))
    assert joints_of(SiteMap(DECKS)) == ()
    lift = shapely.box(30, 5, 33, 8)
    zones = tuple(Place("lift", level, lift, "lift") for level in ("P1", "P2"))
    (joint,) = joints_of(SiteMap(DECKS, zones=zones))
    assert joint.ramp.is_empty
    assert joint.climb.equals(lift)
    for given, way in ((zones, 11.0), ((), np.inf)):  # 4 m to the lift, 3 m up, 4 m on
        ways = Ways.of(Site("lift", (WEST,), SiteMap(DECKS, zones=given)))
        up = ways.distances(0, np.array([27.5, 6.5]))[ways.rows(np.array([1]), np.array([[35.5, 6.5]]))[0]]
        assert up == pytest.approx(way, abs=1.0)
