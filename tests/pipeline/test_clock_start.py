"""Clocks of which nothing is known: found from the paths alone, or refused with the reason."""

import numpy as np
import pytest
from consistency import assert_consistent
from sites import square
from test_clocks import traffic

from geoloc.errors import GeometryError
from geoloc.io.cityflow import read_cityflow
from geoloc.pipeline.clock_courses import Course
from geoloc.pipeline.clock_paths import Passages, Paths, meet
from geoloc.pipeline.clock_start import ClockLink, ClockStartOptions, _consistent, _refine, _search, estimate_clocks
from geoloc.scene.tables import Detections

OPTIONS = ClockStartOptions()
CAMERAS = ("A", "B", "C")


def passages(rng: np.random.Generator, a: int, b: int, world: dict[str, np.ndarray], n: int = 30) -> Passages:
    """Pairs of paths of one object each, both ways at several speeds, by the model that is estimated."""
    speed, angle = rng.uniform(4, 15, n), rng.integers(0, 8, n) * np.pi / 4
    lever = np.stack([np.cos(angle), np.sin(angle)], axis=1) / speed[:, None]
    away = 4.5 * rng.uniform(-1, 1, (2, n)) / speed
    scale = 4.5 / speed
    ahead = world["offset"][a] - world["offset"][b] + world["place"][a + b][angle_row(angle)] / speed
    ahead += lever @ (world["shift"][b] - world["shift"][a]) + world["away"][b] * away[1] - world["away"][a] * away[0]
    ahead += rng.normal(0, np.sqrt(2) * OPTIONS.object_sigma * scale)
    rows = np.arange(n)
    return Passages(rows, rows + 1000, np.full(n, 20), ahead, np.zeros(n), lever, away[0], away[1], scale, rows, rows)


def angle_row(angle: np.ndarray) -> np.ndarray:
    return np.round(angle / (np.pi / 4)).astype(int) % 8


def drawn_world(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "offset": rng.uniform(-60, 60, 3), "away": rng.normal(0, OPTIONS.away_sigma, 3),
        "shift": rng.normal(0, OPTIONS.shift_sigma, (3, 2)), "place": rng.normal(0, OPTIONS.place_sigma, (4, 8)),
    }  # fmt: skip


def test_offsets_are_honest_about_what_is_left(rng):
    """200 sites of three cameras; the weights that guard against outliers cost a little: NEES 1.9 of 2 measured."""
    errors, covs = [], []
    contrast = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    for _ in range(200):
        world = drawn_world(rng)
        links = [
            ClockLink(CAMERAS[a], CAMERAS[b], 0.0, 20.0, 5.0, passages(rng, a, b, world))
            for a, b in ((0, 1), (0, 2), (1, 2))
        ]
        start = world["offset"] + rng.normal(0, 0.2, 3)
        courses = {name: Course(offset=start[i : i + 1]) for i, name in enumerate(CAMERAS)}
        offset, cov = _refine(courses, links, OPTIONS)
        errors.append(contrast @ (offset - world["offset"]))
        covs.append(contrast @ cov @ contrast.T)
    assert_consistent(np.array(errors), np.array(covs))


def test_unknown_clocks_of_a_square_are_found(rng):
    offset = {"A": 0.0, "B": 31.7, "C": -83.2, "D": 4.4}
    found = estimate_clocks(traffic(rng, offset), square())
    truth = np.array([offset[name] for name in found.cameras])
    error = found.offset - truth + truth.mean()
    assert found.cameras == ("A", "B", "C", "D")
    assert np.abs(error).max() < 0.05  # s
    assert np.abs(error / found.sigma).max() < 4.0


def test_a_stream_that_loses_frames_is_found_in_the_recording(rng):
    """C loses 9 s, and from then on shows every car before the others see it, so that nothing is compared."""
    steady = traffic(rng, dict.fromkeys("ABCD", 0.0))
    lost = (steady.camera == "C") & (steady.time > 1018.0) & (steady.time < 1027.0)
    time = np.where((steady.camera == "C") & (steady.time >= 1027.0), steady.time - 9.0, steady.time)
    found = estimate_clocks(steady.replace(time=time).take(~lost), square())
    assert found.cameras == ("A", "B", "C", "C", "D")
    assert np.abs(found.offset - [0.0, 0.0, 0.0, -9.0, 0.0]).max() < 0.05  # s
    assert abs(found.since[3] - 1018.0) < 3.0
    corrected = found.correct(steady.replace(time=time)).time
    assert np.median(np.abs(corrected - steady.time)[~lost]) < 0.05


def test_a_camera_without_paths_meets_none():
    none, one = (Paths(*(np.zeros(shape) for shape in ((n,), (n,), (n, 2), (n, 2), (n, 2), (n,)))) for n in (0, 9))
    assert len(meet(none, one, 10.0, 1)) == len(meet(one, none, 10.0, 1)) == 0


def link(a: str, b: str, ahead: float, score: float) -> ClockLink:
    rng = np.random.default_rng(1)
    return ClockLink(a, b, ahead, score, 2.0, passages(rng, 0, 1, drawn_world(rng)))


def test_the_weakest_link_of_a_loop_that_does_not_add_up_goes():
    kept, offset, _ = _consistent([link("A", "B", 2.0, 20), link("B", "C", 3.0, 15), link("A", "C", 9.0, 5)], OPTIONS)
    assert len(kept) == 2
    assert offset["A"] - offset["C"] == 5.0


def test_links_of_like_strength_that_contradict_each_other_all_go():
    kept, offset, why = _consistent([link("A", "B", 2.0, 20), link("B", "C", 3.0, 6), link("A", "C", 9.0, 5)], OPTIONS)
    assert [(one.a, one.b) for one in kept] == [("A", "B")]
    assert "C" not in offset
    assert "miss each other by 4.0 s" in why["C"]


def test_paths_that_agree_on_many_differences_are_ambiguous(rng):
    """A tram every 90 s: nothing tells one from the next."""
    def tram(shift: float) -> Paths:
        time = np.concatenate([90.0 * k + shift + np.arange(40) * 0.5 for k in range(8)])
        xy = np.tile(np.column_stack([np.arange(40) * 4.0, np.zeros(40)]), (8, 1))
        n = len(time)
        velocity, away = np.tile([8.0, 0.0], (n, 1)), np.tile([0.0, 1.0], (n, 1))
        return Paths(np.repeat(np.arange(8), 40), time, xy, velocity, away, np.full(n, 4.5))

    said = _search("A", "B", tram(0.0), tram(3.0), OPTIONS)
    assert isinstance(said, str)
    assert said.startswith("ambiguous: ")


def test_cameras_that_see_nothing_move_are_refused(rng):
    still = traffic(rng, dict.fromkeys("ABCD", 0.0))
    still = still.replace(box=np.tile(still.box[:1], (len(still), 1)), foot=np.tile(still.foot[:1], (len(still), 1)))
    with pytest.raises(GeometryError, match="A: it saw nothing that moves"):
        estimate_clocks(still, square())
    with pytest.raises(GeometryError, match="longer recording"):
        estimate_clocks(Detections(), square())


@pytest.mark.slow
def test_clocks_of_a_real_junction_are_found_within_the_stamps(recording):
    site, detections = read_cityflow(recording("cityflow"))
    shift = {"c002": -41.0, "c003": 0.0, "c004": 77.7}
    added = np.array([shift[name] for name in detections.camera.tolist()])
    moved = detections.replace(time=detections.time + added)
    found = estimate_clocks(moved, site)
    first = np.isinf(found.since)
    cameras = np.array(found.cameras)
    error = found.offset[first] - np.array([shift[name] for name in cameras[first].tolist()])
    assert 0.5 * np.ptp(error) < 0.2  # s; measured 0.16, of which the stamps' own error is the most
    # c003 has 114 frames less than the others, which go on for 11.4 s longer: they are lost from 120 s on
    assert set(cameras[~first].tolist()) == {"c003"}
    lost = np.diff(found.offset[cameras == "c003"])
    assert (lost < -0.5).all()
    assert -11.4 < lost.sum() < -9.0  # s; measured -10.0
