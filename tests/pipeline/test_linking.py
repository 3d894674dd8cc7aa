"""A whole recording linked: tracks that break, cross, stand, double and repeat."""

import numpy as np
import pytest
from sites import square

from geoloc import GroundPoints, InputError, LinkingOptions, Tracks, link, smooth
from geoloc.pipeline.link_costs import LinkCostOptions, LinkCosts, wandered
from geoloc.pipeline.link_rows import carried
from geoloc.pipeline.motion import constant_velocity
from geoloc.pipeline.tracklets import cut_into_tracklets
from geoloc.retrieval.rerank.one_to_one import best_matching, link_probabilities
from geoloc.scene.site import Site

RATE = 10.0  # Hz
SIGMA = 0.05  # m
COV = np.diag([SIGMA**2, SIGMA**2, 0.04, 0.04])


@pytest.fixture(scope="module")
def site() -> Site:
    return square()


def track(
    number: int,
    start: float,
    stop: float,
    xy: tuple[float, float],
    velocity: tuple[float, float],
    rng: np.random.Generator,
    label: str = "person",
) -> Tracks:
    """One track from `start` to `stop` s, of an object that is at `xy` at time 0."""
    time = np.arange(np.ceil(start * RATE), stop * RATE) / RATE
    n = len(time)
    return Tracks(
        time=time,
        track=np.full(n, number),
        object=1000 * number + np.arange(n),
        level=np.full(n, "ground"),
        xy=np.array(xy) + time[:, None] * np.array(velocity) + rng.normal(0.0, SIGMA, (n, 2)),
        z=np.zeros(n),
        velocity=np.tile(velocity, (n, 1)),
        cov=np.broadcast_to(COV, (n, 4, 4)),
        bias_cov=np.broadcast_to(1e-3 * np.eye(2), (n, 2, 2)),
        label=np.full(n, label),
        score=np.full(n, 0.99),
        state=np.full(n, "confirmed"),
    )


def joined(*tracks: Tracks) -> Tracks:
    table = Tracks.concat(list(tracks))
    return table.take(np.lexsort((table.track, table.time)))


def points_of(tracks: Tracks, camera: dict[int, str]) -> GroundPoints:
    """A point of one camera for each row, by track."""
    names = [camera[number] for number in tracks.track.tolist()]
    return GroundPoints(object=tracks.object, camera=names, time=tracks.time)


def assert_one_place_at_a_time(tracks: Tracks) -> None:
    assert len(np.unique(np.column_stack([tracks.time, tracks.track]), axis=0)) == len(tracks)


def test_a_walker_behind_a_pillar_keeps_the_earlier_number(site: Site, rng: np.random.Generator) -> None:
    tracks = joined(
        track(4, 0.0, 4.0, (-6.0, 0.0), (1.2, 0.0), rng),
        track(9, 6.5, 12.0, (-6.0, 0.0), (1.2, 0.0), rng),
        track(5, 0.0, 12.0, (0.0, 6.0), (0.0, -0.1), rng),
    )
    linked = link(tracks, site)
    assert set(linked.tracks.track.tolist()) == {4, 5}
    known = [event for event in linked.lineage.events if event.kind == "recognised"]
    assert [(event.number, event.others) for event in known] == [(4, (9,))]
    assert known[0].probability > 0.5
    assert "after 2.6 s" in known[0].why
    assert_one_place_at_a_time(linked.tracks)


def test_short_gaps_are_filled_and_smoothed_across(site: Site, rng: np.random.Generator) -> None:
    tracks = joined(
        track(1, 0.0, 4.0, (-6.0, 0.0), (1.2, 0.0), rng),
        track(2, 6.0, 12.0, (-6.0, 0.0), (1.2, 0.0), rng),
        track(3, 0.0, 12.0, (0.0, 6.0), (0.0, -0.1), rng),
    )
    linked = link(tracks, site).tracks
    mine = linked.take(linked.track == 1)
    assert len(mine) == 120  # a row in each window, 20 of them of nobody's boxes
    smoothed = smooth(linked, site)
    gap = smoothed.take((smoothed.track == 1) & (smoothed.time > 4.0) & (smoothed.time < 6.0))
    off = np.linalg.norm(gap.xy - np.column_stack([-6.0 + 1.2 * gap.time, np.zeros(len(gap))]), axis=1)
    assert len(gap) >= 19
    assert off.max() < 0.4, off.max()  # 0.1 m


def test_two_that_cross_out_of_sight_go_on_as_they_went(site: Site, rng: np.random.Generator) -> None:
    tracks = joined(
        track(1, 0.0, 4.0, (-6.0, -0.5), (1.2, 0.1), rng),
        track(2, 0.0, 4.0, (6.0, 0.5), (-1.2, -0.1), rng),
        track(3, 6.0, 10.0, (-6.0, -0.5), (1.2, 0.1), rng),
        track(4, 6.0, 10.0, (6.0, 0.5), (-1.2, -0.1), rng),
    )
    linked = link(tracks, site).tracks
    for number, velocity in ((1, 1.2), (2, -1.2)):
        assert (linked.velocity[linked.track == number, 0] == velocity).all()
    assert len(np.unique(linked.track)) == 2


def test_a_track_that_jumps_becomes_two_and_no_number_is_used_twice(site: Site, rng: np.random.Generator) -> None:
    tracks = joined(track(1, 0.0, 5.0, (-8.0, -8.0), (0.1, 0.0), rng), track(1, 5.0, 9.0, (8.0, 8.0), (0.1, 0.0), rng))
    linked = link(tracks, site)
    assert np.unique(linked.tracks.track).tolist() == [1, 2]
    assert [event.number for event in linked.lineage.events if event.kind == "split"] == [1]


def test_two_cameras_views_of_one_walker_become_one_row(site: Site, rng: np.random.Generator) -> None:
    first = track(1, 0.0, 8.0, (-6.0, 0.0), (1.2, 0.0), rng)
    second = track(2, 2.0, 10.0, (-6.0, 0.06), (1.2, 0.0), rng)
    others = [track(3 + i, 0.0, 10.0, (-5.0 + 3 * i, 5.0), (0.1, 0.0), rng) for i in range(3)]
    tracks = joined(first, second, *others)
    cameras = {1: "A", 2: "B", 3: "C", 4: "C", 5: "C"}
    linked = link(tracks, site, points=points_of(tracks, cameras))
    assert set(linked.tracks.track.tolist()) == {1, 3, 4, 5}
    assert_one_place_at_a_time(linked.tracks)
    # every box is still found from the rows
    assert np.isin(linked.points.object, linked.tracks.object).all()


def test_two_that_one_camera_tells_apart_stay_two(site: Site, rng: np.random.Generator) -> None:
    tracks = joined(track(1, 0.0, 8.0, (-6.0, 0.0), (1.2, 0.0), rng), track(2, 0.0, 8.0, (-6.0, 0.1), (1.2, 0.0), rng))
    two = link(tracks, site, points=points_of(tracks, {1: "A", 2: "A"}))
    one = link(tracks, site, points=points_of(tracks, {1: "A", 2: "B"}))
    assert len(np.unique(two.tracks.track)) == 2
    assert len(np.unique(one.tracks.track)) == 1


def test_a_parked_car_hidden_for_hours_is_the_same_and_one_of_another_class_is_not(
    site: Site, rng: np.random.Generator
) -> None:
    stands = [
        track(1, 0.0, 20.0, (2.0, 3.0), (0.0, 0.0), rng, "car"),
        track(7, 9000.0, 9020.0, (2.0, 3.0), (0.0, 0.0), rng, "car"),
        track(8, 9100.0, 9110.0, (2.0, 3.0), (0.0, 0.0), rng, "person"),
    ]
    linked = link(joined(*stands), site).tracks
    assert set(linked.track[linked.label == "car"].tolist()) == {1}
    assert set(linked.track[linked.label == "person"].tolist()) == {8}


def test_looks_decide_where_places_do_not(site: Site, rng: np.random.Generator) -> None:
    looks = np.eye(4, dtype=np.float32)
    parts = [
        track(1, 0.0, 4.0, (-1.0, -0.3), (0.1, 0.0), rng),
        track(2, 0.0, 4.0, (-1.0, 0.3), (0.1, 0.0), rng),
        track(3, 7.0, 10.0, (-1.0, -0.3), (0.1, 0.0), rng),
        track(4, 7.0, 10.0, (-1.0, 0.3), (0.1, 0.0), rng),
    ]
    swapped = [
        part.replace(embedding=np.tile(looks[i], (len(part), 1))) for part, i in zip(parts, (0, 1, 1, 0), strict=True)
    ]
    linked = link(joined(*swapped), site).tracks
    for number in (1, 2):
        mine = linked.take(linked.track == number)
        assert len(np.unique(mine.embedding, axis=0)) == 1


def test_the_order_of_rows_changes_nothing_and_a_second_run_gives_the_same_bytes(
    site: Site, rng: np.random.Generator
) -> None:
    tracks = joined(
        *(track(i, 3.0 * (i % 3), 3.0 * (i % 3) + 2.5, (i - 4.0, 0.5 * i), (0.5, 0.2), rng) for i in range(9))
    )
    once, again = link(tracks, site), link(tracks, site)
    shuffled = link(tracks.take(rng.permutation(len(tracks))), site)
    assert once.tracks == again.tracks == shuffled.tracks
    assert once.lineage.events == again.lineage.events == shuffled.lineage.events


def test_nothing_one_row_and_one_track_come_back_as_they_are(site: Site, rng: np.random.Generator) -> None:
    assert len(link(Tracks(), site).tracks) == 0
    one = track(3, 0.0, 5.0, (0.0, 0.0), (0.1, 0.0), rng)
    assert link(one.take(slice(0, 1)), site).tracks.track.tolist() == [3]
    assert link(one, site).tracks == one


def test_rows_that_repeat_and_tracks_that_never_were_confirmed_do_no_harm(site: Site, rng: np.random.Generator) -> None:
    one = track(3, 0.0, 5.0, (0.0, 0.0), (0.1, 0.0), rng)
    noise = track(6, 1.0, 1.5, (4.0, 4.0), (0.1, 0.0), rng)
    noise = noise.replace(state=np.full(len(noise), "tentative"))
    linked = link(Tracks.concat([one, one, noise]), site).tracks
    assert_one_place_at_a_time(linked)
    assert (linked.state[linked.track == 6] == "tentative").all()
    assert len(linked) == len(one) + len(noise)


def test_tracks_of_a_file_that_names_no_objects_are_linked_too(site: Site, rng: np.random.Generator) -> None:
    tracks = joined(
        track(1, 0.0, 4.0, (-6.0, 0.0), (1.2, 0.0), rng),
        track(2, 5.0, 9.0, (-6.0, 0.0), (1.2, 0.0), rng),
        track(3, 0.0, 9.0, (0.0, 6.0), (0.0, -0.1), rng),
    )
    bare = tracks.replace(object=np.full(len(tracks), -1), state=np.full(len(tracks), ""))
    assert set(link(bare, site).tracks.track.tolist()) == {1, 3}


def test_a_probability_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="same_probability"):
        LinkingOptions(same_probability=1.5)


def test_the_matching_is_the_best_of_all_and_its_probabilities_are_those_of_all(rng: np.random.Generator) -> None:
    n = 3
    end, begin = (part.ravel() for part in np.indices((n, n)))
    for _ in range(20):
        odds = rng.normal(0.0, 2.0, n * n)
        weight, best, marginal = _all_matchings(odds.reshape(n, n))
        chosen = best_matching(end, begin, odds, n)
        assert odds[chosen].sum() == pytest.approx(best)
        sure = link_probabilities(end, begin, odds, n)
        assert np.abs(sure - marginal.ravel() / weight).max() < 0.15  # 0.11: belief propagation is approximate


def _all_matchings(odds: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Sum of weights, largest sum of odds, and weight of each edge, over all matchings."""
    total, best, edges = 0.0, 0.0, np.zeros_like(odds)

    def extend(row: int, used: frozenset[int], taken: tuple[tuple[int, int], ...]) -> None:
        nonlocal total, best
        if row == len(odds):
            value = sum(odds[edge] for edge in taken)
            total, best = total + np.exp(value), max(best, value)
            for edge in taken:
                edges[edge] += np.exp(value)
            return
        extend(row + 1, used, taken)
        for column in set(range(len(odds))) - used:
            extend(row + 1, used | {column}, (*taken, (row, column)))

    extend(0, frozenset(), ())
    return total, best, edges


def test_motions_are_those_of_the_tracker_and_forget_velocities_in_time(rng: np.random.Generator) -> None:
    root = rng.normal(size=(5, 4, 4))
    state, cov, dt, noise = (
        rng.normal(size=(5, 4)),
        root @ root.swapaxes(1, 2),
        rng.uniform(0, 5, 5),
        rng.uniform(1, 2, 5),
    )
    for ours, theirs in zip(
        carried(state, cov, dt, noise), constant_velocity(state, cov, dt, noise, 0.0), strict=False
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    # an object that forgets slowly moves as one of white-noise acceleration does
    slow = wandered(state, cov, dt, noise * np.sqrt(1e5 / 2), 1e5)
    np.testing.assert_allclose(slow[1], carried(state, cov, dt, noise)[1], rtol=1e-3)
    late = wandered(state, cov, np.full(5, 1e4), noise, 10.0)
    np.testing.assert_allclose(late[0][:, 2:], 0.0, atol=1e-9)
    np.testing.assert_allclose(late[1][:, 2, 2], noise**2, rtol=1e-9)


def test_nothing_turns_on_the_spot_at_speed(site: Site, rng: np.random.Generator) -> None:
    tracks = joined(
        track(1, 0.0, 4.0, (-20.0, 0.0), (5.0, 0.0), rng, "car"),
        track(2, 5.0, 8.0, (25.0, 1.0), (-5.0, 0.0), rng, "car"),
    )
    ends = cut_into_tracklets(tracks, site, 0.5, LinkCostOptions())
    costs = LinkCosts(site)
    back = costs.density(ends.lasts.take(np.array([0])), ends.firsts.take(np.array([1])))
    assert back[0] == -np.inf


def test_the_tracks_of_slow_cameras_are_not_cut_between_their_frames(site: Site, rng: np.random.Generator) -> None:
    tracks = track(3, 0.0, 40.0, (-6.0, 0.0), (0.3, 0.0), rng)
    slow = tracks.take(np.arange(0, len(tracks), 10))  # a frame a second
    assert len(cut_into_tracklets(slow, site, 0.5, LinkCostOptions())) == 1
    missing = slow.take((slow.time < 10.0) | (slow.time > 16.0))
    assert len(cut_into_tracklets(missing, site, 0.5, LinkCostOptions())) == 2
