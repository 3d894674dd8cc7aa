"""Numbers that linking gave are never given again: live, after a crash, and by replayed windows."""

from pathlib import Path

import numpy as np
import pytest
from parking import OPTIONS, START, lot, seen_windows
from sites import feet_seen

from geoloc.options import merge_options
from geoloc.pipeline.identity_book import Book
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.packets import packets_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints, Tracks

GAP = (2.0, 4.0)  # s in which nobody sees anything
NEVER = {"goes_on": 1e-9, "same_probability": 1.0, "open_same_probability": 1.0}
CUT = merge_options(OPTIONS, {"linking": NEVER})  # what had a gap is two


@pytest.fixture(scope="module")
def site() -> Site:
    return lot()


def test_a_reserved_number_is_passed_over_whenever_it_was_reserved(site: Site) -> None:
    book = Book(site)
    assert book._free_numbers(2).tolist() == [1, 2]
    book.reserve(6)
    assert book.first_free == 6
    book.reserve(4)  # is already
    book.reserve(8)
    assert book._free_numbers(0).tolist() == []
    earlier = Book(site, next_number=2, reserved=book.reserved)  # as of a replay from before
    assert book._free_numbers(3).tolist() == [8, 9, 10]
    assert earlier._free_numbers(3).tolist() == [2, 8, 9]
    assert earlier._free_numbers(1).tolist() == [10]


def with_gap(windows: list[Detections]) -> list[Detections]:
    return [window for window in windows if not GAP[0] <= window.time[0] - START < GAP[1]]


def with_another_car(window: Detections) -> Detections:
    """A window, and one that stands in A2 from second 9 on."""
    if window.time[0] < START + 9.0:
        return window
    rng, place = np.random.default_rng(5), np.array([[-3.0, 4.0, 0.0]])
    both = Detections.concat([window, feet_seen(lot(), place, window.time[0], rng, sigma_px=2.0, label="car")])
    return both.take(np.argsort(both.camera, kind="stable"))


def fed(journaled: JournaledLocalizer, windows: list[Detections]) -> tuple[Tracks, GroundPoints]:
    said = [(journaled.step(window), journaled.localizer.points) for window in windows]
    tracks, points = zip(*said, strict=True)
    return Tracks.concat(list(tracks)), GroundPoints.concat(list(points))


def test_live_objects_after_a_crash_do_not_get_numbers_that_linking_gave(site: Site, tmp_path: Path) -> None:
    windows = with_gap(list(seen_windows(20.0)))
    early = [window for window in windows if window.time[0] < START + 6.0]
    journaled = JournaledLocalizer.open(site, tmp_path / "state", CUT)
    tracks, points = fed(journaled, early)
    linked = journaled.link(tracks, points)
    own = set(linked.tracks.track.tolist()) - set(tracks.track.tolist())
    assert own  # of tracks that were cut
    free = journaled.localizer.identities.book.first_free
    assert max(own) < free
    journaled.folder.unlock()  # and is killed
    with JournaledLocalizer.open(site, tmp_path / "state") as again:
        assert again.localizer.identities.book.first_free == free
        later, more = fed(again, windows[len(early) :])
        assert not own & set(later.track.tolist())
        assert later.track.max() >= free  # cars came
        second = again.link(later, more)
    assert not own & (set(second.tracks.track.tolist()) - set(tracks.track.tolist()))


def test_windows_that_are_replayed_pass_them_over(site: Site, tmp_path: Path) -> None:
    options = merge_options(CUT, {"packets": {"wait_s": 0.1}})
    windows = with_gap([with_another_car(window) for window in seen_windows(12.0)])
    frames = [frame for window in windows for frame in packets_of(window)]
    time = np.array([frame.time[0] - START for frame in frames])
    late = [k for k in np.flatnonzero((time >= 5.0) & (time < 8.0)) if frames[k].camera[0] != "A"]
    soon = [k for k in np.flatnonzero(time < 8.0) if k not in late]
    rest = np.flatnonzero(time >= 8.0)
    with JournaledLocalizer.open(site, tmp_path / "state", options) as journaled:
        said = [answer for k in soon for answer in journaled.push(frames[k])]
        tracks = Tracks.concat([table for answer in said for table in answer.tracks])
        first = journaled.localizer.identities.book.first_free
        linked = journaled.link(tracks, GroundPoints.concat([table for answer in said for table in answer.points]))
        given = np.arange(first, linked.first_free)
        assert len(given)
        said = [answer for k in (*late, *rest) for answer in journaled.push(frames[k])] + journaled.finish()
        assert any(answer.revised for answer in said)
        later = Tracks.concat([table for answer in said for table in answer.tracks])
    assert not np.isin(later.track, given).any()
    assert later.track.max() >= linked.first_free
