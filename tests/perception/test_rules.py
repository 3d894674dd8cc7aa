"""Rules: what is written wrongly is named, and an event comes by probability, not by a wobble."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from drawn_roads import in_time, parked, passages, tracks_table

from geoloc.errors import InputError, UnknownNameError
from geoloc.perception.context_chance import at_least, inside_probability
from geoloc.perception.rules import load_rules, rules_of
from geoloc.perception.rules_run import run_rules
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Place, SiteMap

LANE = Place("lane", "ground", shapely.box(0, -2, 60, 2), "lane", 0.0)
STALL = Place("A1", "ground", shapely.box(1.7, 17.5, 4.3, 22.5), "stall")
SITE = Site("road", (), SiteMap(stalls=(STALL,), zones=(LANE,)))


def rules(**keys):
    return rules_of([{"name": "it", **keys}])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[rule]]\nname="a"\nkind="queue"\nzone="lane"\nat_leats=3', "did you mean 'at_least'"),
        ('[[rule]]\nname="a"\nkind="quue"', "did you mean 'queue'"),
        ('[[rule]]\nname="a"\nkind="queue"', "where"),
        ('[[rule]]\nname="a"\nkind="queue"\nzone="lane"\non="high"', "must be a float"),
        ('[[rules]]\nname="a"', "did you mean 'rule'"),
        ('[[rule', "not TOML"),
        ("", "no rule"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(tmp_path, text, told):
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(InputError, match=told):
        load_rules(tmp_path / "rules.toml")


def test_a_zone_that_is_not_there_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'lane'"):
        run_rules(SITE, passages(np.random.default_rng(1), 1, 0.0), rules(kind="wrong_way", zone="lan"))


def test_only_what_drives_against_the_lane_goes_the_wrong_way():
    rng = np.random.default_rng(2)
    tracks = in_time(passages(rng, 3, 0.0), passages(rng, 1, 0.0, -8.0, first=50))
    events = run_rules(SITE, tracks, rules(kind="wrong_way", use="lane"))
    assert [event.tracks for event in events] == [(50,)]
    assert events[0].probability > 0.9


def test_a_vague_place_fires_no_rule():
    rows = np.zeros(40, int), np.arange(40.0), np.tile([30.0, 0.0], (40, 1)), np.zeros((40, 2))
    tracks = tracks_table(*rows, sigma=4.0)
    assert not run_rules(SITE, tracks, rules(kind="stopped", zone="lane"))
    sharp = tracks_table(*rows)
    assert len(run_rules(SITE, sharp, rules(kind="stopped", zone="lane", for_s=10))) == 1


def test_a_queue_needs_enough_that_wait_for_long_enough():
    rng = np.random.default_rng(3)
    three = parked(rng, np.array([[10.0, 0.0], [17.0, 0.0], [24.0, 0.0]]), axis=0.0)
    found = run_rules(SITE, three, rules(kind="queue", zone="lane", at_least=3, for_s=20))
    assert [event.tracks for event in found] == [(0, 1, 2)]
    assert not run_rules(SITE, three, rules(kind="queue", zone="lane", at_least=4, for_s=20))
    assert not run_rules(SITE, three, rules(kind="queue", zone="lane", at_least=3, for_s=90))


def test_a_stall_is_taken_and_left_once():
    rng = np.random.default_rng(4)
    other = passages(rng, 20, 0.0, first=100, every=10.0)
    comes = parked(rng, np.array([[3.0, 20.0]]), first=7, start=40.0)
    told = run_rules(SITE, in_time(other, comes), rules_of(
        [{"name": "in", "kind": "stall_taken"}, {"name": "out", "kind": "stall_left"}]
    ))  # fmt: skip
    assert [(event.rule, event.tracks) for event in told] == [("in", (7,)), ("out", (7,))]
    assert 40.0 <= told[0].start <= 55.0
    assert 100.0 <= told[1].start <= 125.0


def test_tailgating_is_two_close_behind_each_other_at_a_gate():
    gate = Place("gate", "ground", shapely.box(25, -2, 35, 2), "gate", 0.0)
    site = replace(SITE, site_map=SiteMap(zones=(gate,)))
    rng = np.random.default_rng(5)
    close = passages(rng, 2, 0.0, every=1.5)
    assert [e.tracks for e in run_rules(site, close, rules(kind="tailgating", zone="gate", within_s=3))] == [(0, 1)]
    assert not run_rules(site, passages(rng, 2, 0.0, every=8.0), rules(kind="tailgating", zone="gate", within_s=3))


def test_a_person_between_two_cars_is_told_and_one_beside_them_is_not():
    rng = np.random.default_rng(6)
    cars = parked(rng, np.array([[3.0, 20.0], [6.0, 20.0]]))
    for xy, n in (([4.5, 20.0], 1), ([4.5, 26.0], 0)):
        person = tracks_table(np.full(20, 9), np.arange(20.0), np.tile(xy, (20, 1)), np.zeros((20, 2)), "person")
        assert len(run_rules(SITE, in_time(cars, person), rules(kind="person_between"))) == n


def test_probability_of_a_place_is_that_of_sampling():
    rng = np.random.default_rng(7)
    cov = np.array([[0.8, 0.3], [0.3, 0.5]])
    drawn = rng.multivariate_normal([2.0, 18.0], cov, 40_000)
    sampled = shapely.contains_xy(STALL.polygon, *drawn.T).mean()
    assert abs(inside_probability(STALL.polygon, np.array([[2.0, 18.0]]), cov[None])[0] - sampled) < 0.02


def test_at_least_so_many_is_the_binomial():
    assert abs(at_least(2, np.full(3, 0.5)) - 0.5) < 1e-12
