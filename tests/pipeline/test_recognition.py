"""Who is it that begins here: by the ways that others went, how many come, and what is in sight."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from parking import lot

from geoloc.pipeline.identity_book import OUT_OF_SIGHT, Book
from geoloc.pipeline.paces import Paces
from geoloc.pipeline.recognition import Recognition
from geoloc.scene.learned import TransitTime
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Tracks

GATE = (-50.0, 0.0)


def yard() -> Site:
    """Open ground with one entrance in the west."""
    entrance = Place("gate", "ground", shapely.box(-55.0, -5.0, -45.0, 5.0), "entrance")
    return Site("yard", lot().cameras, SiteMap((Level("ground", (Surface(),)),), zones=(entrance,)))


def book_of(site: Site, sights: list[tuple[float, tuple[float, float]]], n_lost: int, label: str = "car") -> Book:
    """Each seen once, at a time and place; of the first `n_lost` nothing is in sight any more."""
    n = len(sights)
    tracks = Tracks(time=[time for time, _ in sights], track=np.arange(n) + 1, level=["ground"] * n,
                    xy=[xy for _, xy in sights], z=np.zeros(n), velocity=np.tile([3.0, 0.0], (n, 1)),
                    cov=np.tile(0.1 * np.eye(4), (n, 1, 1)), bias_cov=np.tile(0.01 * np.eye(2), (n, 1, 1)),
                    label=[label] * n, still_since=[time for time, _ in sights], score=np.ones(n),
                    state=["confirmed"] * n, object=np.arange(n))  # fmt: skip
    book = Book(site)
    for k in range(n):
        one = tracks.take([k])
        book.follow(book.enter(one, np.zeros(1, dtype=int)), one, float(tracks.time[k]), 10.0)
    book["life"][:n_lost], book["track"][:n_lost] = OUT_OF_SIGHT, -1
    return book


def sure(recognition: Recognition, book: Book, n_lost: int) -> np.ndarray:
    rows = np.arange(len(book))
    return recognition.probabilities(book, rows[n_lost:], rows[:n_lost])


def test_of_two_lost_cars_it_is_the_one_that_went_the_way_that_others_went() -> None:
    """Both may have come here as far and as soon; from one of their places twenty cars came here before."""
    site = yard()
    recognition = Recognition(site)
    places = [(0.0, (0.0, 20.0)), (0.0, (0.0, -20.0)), (8.0, (25.0, 0.0))]
    before = sure(recognition, book_of(site, places, 2), 2)[0]
    assert before[0] == pytest.approx(before[1], rel=0.05)
    for _ in range(20):
        one = book_of(site, [places[0], places[2]], 1)
        recognition.learn(one, np.array([1]), np.array([0]), np.ones((1, 1)))
    after = sure(recognition, book_of(site, places, 2), 2)[0]
    assert after[0] > 0.7  # 0.75


def test_the_map_tells_the_way_that_others_went_before_any_is_seen() -> None:
    """As above, but on the first day: the times from camera to camera were learned before, and accepted."""
    site = yard()
    line = shapely.LineString([(0.0, 20.0), (25.0, 0.0)])
    told = TransitTime("north to middle", "ground", line, "north", "middle", 8.0, 0.5, 30.0, "learned")
    known = replace(site, site_map=replace(site.site_map, transits=(told,)))
    places = [(0.0, (0.0, 20.0)), (0.0, (0.0, -20.0)), (8.0, (25.0, 0.0))]
    assert sure(Recognition(known), book_of(known, places, 2), 2)[0][0] > 0.65
    walkers = sure(Recognition(known), book_of(known, places, 2, "person"), 2)[0]
    assert walkers[0] == pytest.approx(walkers[1], rel=0.05)  # what drives told it
    late = [*places[:2], (20.0, (25.0, 0.0))]
    rows = np.array([2]), np.array([0])
    odds = [Recognition(each).odds(book_of(each, late, 2), *rows)[0, 0] for each in (site, known)]
    assert odds[1] < odds[0]  # who comes much later than others took is the less likely one of them


def test_ways_that_others_went_do_not_count_after_another_time() -> None:
    site = yard()
    recognition = Recognition(site)
    way = (0.0, (0.0, 20.0)), (8.0, (25.0, 0.0))
    for _ in range(20):
        recognition.learn(book_of(site, list(way), 1), np.array([1]), np.array([0]), np.ones((1, 1)))
    rows = np.array([1]), np.array([0])
    usual = recognition.odds(book_of(site, list(way), 1), *rows)[0, 0]
    late = recognition.odds(book_of(site, [way[0], (20.0, way[1][1])], 1), *rows)[0, 0]
    assert usual - late > 4.0  # log-odds, 6.1


def test_cars_that_were_lost_long_ago_do_not_outweigh_the_one_that_was_lost_a_moment_ago() -> None:
    """Forty that never came back within the hour may be anywhere: that one of them comes just now is unlikely."""
    site = yard()
    ghosts = [(-60.0 * (k + 10), (10.0 * (k % 8) - 30.0, 8.0 * (k // 8) - 16.0)) for k in range(40)]
    book = book_of(site, [(0.0, (0.0, 0.0)), *ghosts, (4.0, (13.0, 1.0))], 41)
    assert sure(Recognition(site), book, 41)[0, 0] > 0.97  # 0.995; 0.900 were they as likely to come now as ever


def test_an_object_is_not_two_new_ones() -> None:
    site = yard()
    book = book_of(site, [(0.0, (0.0, 0.0)), (4.0, (14.0, 1.0)), (4.0, (14.0, -1.0))], 1)
    assert sure(Recognition(site), book, 1).sum() <= 1.0 + 1e-6


def test_what_another_track_may_be_is_less_likely_to_begin_again() -> None:
    site = yard()
    book = book_of(site, [(0.0, (0.0, 0.0)), (4.0, (14.0, 0.0))], 1)
    recognition = Recognition(site)
    free = recognition.odds(book, np.array([1]), np.array([0]))[0, 0]
    book["claimed"][0] = 0.9
    claimed = recognition.odds(book, np.array([1]), np.array([0]))[0, 0]
    assert claimed == pytest.approx(free + np.log(0.1))


def test_where_few_come_in_a_car_at_the_gate_may_be_one_that_was_lost() -> None:
    """An hour without an arrival, and one with an arrival each ten seconds."""
    site = yard()
    book = book_of(site, [(0.0, (-40.0, 0.0)), (6.0, (-46.0, 2.0))], 1)
    quiet, busy = Recognition(site), Recognition(site)
    for recognition, arrivals in ((quiet, 0), (busy, 360)):
        recognition.note_time(Book(site), 3600.0, 3600.0)
        comers = book_of(site, [(0.0, GATE)] * arrivals, 0) if arrivals else Book(site)
        recognition.note_new(comers, np.arange(arrivals))
    rows = np.array([1]), np.array([0])
    assert quiet.odds(book, *rows)[0, 0] > busy.odds(book, *rows)[0, 0] + 1.0


@pytest.mark.parametrize(("label", "known"), [("car", True), ("person", False)])
def test_people_come_from_anywhere_and_vehicles_by_the_gate(label: str, known: bool) -> None:
    """One is lost; half a minute later one begins 40 m off, in the middle of the yard."""
    site = yard()
    book = book_of(site, [(0.0, (0.0, 0.0)), (30.0, (40.0, 0.0))], 1, label)
    assert (sure(Recognition(site), book, 1)[0, 0] > 0.5) == known


def test_a_second_track_of_a_car_in_sight_is_not_one_that_was_lost() -> None:
    """A car is lost; later a track begins 1.2 m beside a car that all see, and no other explanation is near."""
    site = yard()
    alone = book_of(site, [(0.0, (0.0, 0.0)), (6.0, (20.0, 1.2))], 1)
    beside = book_of(site, [(0.0, (0.0, 0.0)), (6.0, (20.0, 1.2)), (6.0, (20.0, 0.0))], 1)
    recognition = Recognition(site)
    assert recognition.probabilities(alone, np.array([1]), np.array([0]))[0, 0] > 0.8
    assert recognition.probabilities(beside, np.array([1]), np.array([0]))[0, 0] < 0.4  # 0.30


def test_a_site_where_all_drive_slowly_has_slow_cars() -> None:
    paces = Paces(0.5, 0.6)
    assert paces.of(("car",))[0] == pytest.approx([4.0, 2.4])
    slow = np.column_stack([np.full(3000, 2.0), np.tile([0.1, -0.1], 1500)])
    paces.learn(("car",), np.zeros(3000, dtype=int), slow)
    mean, spread = paces.of(("car",))[0]
    assert mean == pytest.approx(2.2, abs=0.1)
    assert spread < 1.2
    assert paces.of(("person",))[0] == pytest.approx([0.75, 0.45])


def test_cars_that_stand_and_errors_of_tracks_tell_no_pace() -> None:
    paces = Paces(0.5, 0.6)
    paces.learn(("car",), np.zeros(2000, dtype=int), np.repeat([[0.0, 0.0], [90.0, 0.0]], 1000, axis=0))
    assert paces.of(("car",))[0] == pytest.approx([4.0, 2.4])
