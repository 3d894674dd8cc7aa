"""Tracks that may have been taken for each other: decided at once, corrected where a second or two know better."""

import numpy as np
import pytest
from sites import square, walk

from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.metrics.tracking import score_clear, score_identity
from geoloc.options import merge_options
from geoloc.pipeline.codec import decode, encode
from geoloc.pipeline.hindsight import with_hindsight
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, localize, replay, to_the_end
from geoloc.scene.tables import Detections, Tracks

T0 = 1_700_000_000.0
HALF = T0 + 0.5 * np.arange(8)  # s; two frames a second
# two people beside one another pass each other between the first frame and the second
START = np.array([[-0.14, 0.12], [0.14, -0.12]])
VELOCITY = np.array([[1.2, -0.1], [-1.2, 0.1]])


def options(**decisions: float) -> LocalizerOptions:
    return merge_options(LocalizerOptions(), {"window_s": 0.5, "decisions": decisions})


def numbers_of(tracks: Tracks, start: np.ndarray, velocity: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The number that each walker (columns) has at each time (rows)."""
    out = np.full((len(times), len(start)), -1)
    for k, time in enumerate(times):
        now = tracks.take(np.abs(tracks.time - time) < 0.05)
        for i, xy in enumerate(start + velocity * (time - times[0])):
            out[k, i] = now.track[np.argmin(np.linalg.norm(now.xy - xy, axis=1))]
    return out


def test_two_who_begin_beside_one_another_are_told_apart_once_they_have_a_velocity(rng: np.random.Generator) -> None:
    site = square()
    seen = walk(site, START, VELOCITY, HALF, rng)
    engine = Localizer(site, options())
    online = list(replay(engine, seen))
    said = numbers_of(Tracks.concat(online), START, VELOCITY, HALF)
    assert (said[0] == said[1][::-1]).all()  # the first answer, given at once, is the wrong one
    assert (said[-1] == said[0]).all()  # and corrected online
    assert online[-1].revision.tolist() == [1, 1]
    (event,) = (event for event in engine.identities.lineage.events if event.kind == "exchanged")
    assert {event.number, *event.others} == set(said[0].tolist())
    assert event.since == HALF[1]
    assert event.probability > 0.6
    assert "were taken for each other" in str(event)


def test_a_whole_recording_has_the_numbers_that_proved_right(rng: np.random.Generator) -> None:
    site = square()
    seen = walk(site, START, VELOCITY, HALF, rng)
    said = numbers_of(localize(seen, site, options()), START, VELOCITY, HALF)
    assert (said == said[0]).all()
    final = numbers_of(localize(seen, site, options(lag_s=0.0)), START, VELOCITY, HALF)
    assert (final == final[1]).all(axis=1).sum() == len(HALF) - 1  # without a lag the error stays


def test_what_is_open_at_the_end_of_a_recording_is_decided(rng: np.random.Generator) -> None:
    site, times = square(), HALF[:4]
    seen = walk(site, START, VELOCITY, times, rng)
    said = numbers_of(localize(seen, site, options(lag_s=60.0, exchange_probability=1 - 1e-9)), START, VELOCITY, times)
    assert (said == said[0]).all()


def meeting(rng: np.random.Generator, looks: bool) -> Detections:
    """Two people walk towards each other, meet, and each turns back."""
    site, steps = square(), []
    for k in range(41):
        time = T0 + 0.2 * k
        x = 0.15 + abs(0.2 * (k - 20))
        for place, face in ((-x, [1.0, 0.0, 0.2]), (x, [0.0, 1.0, 0.2])):
            seen = walk(site, np.array([[place, 0.0]]), np.zeros((1, 2)), np.array([time]), rng, sigma_px=4.0)
            if looks:
                seen = seen.replace(embedding=face + 0.1 * rng.normal(size=(len(seen), 3)))
            steps.append(seen)
    table = Detections.concat(steps)
    return table.replace(id=np.arange(len(table)))


@pytest.mark.parametrize("looks", [True, False])
def test_appearance_decides_where_motion_would_say_the_opposite(rng: np.random.Generator, looks: bool) -> None:
    site, seen = square(), meeting(rng, looks)
    how = merge_options(LocalizerOptions(), {"window_s": 0.2, "association": {"appearance_weight": 0.0}})
    tracks = localize(seen, site, how)
    ends = [tracks.take(np.abs(tracks.time - time) < 0.05) for time in (T0 + 1.0, T0 + 7.8)]
    left = [int(now.track[np.argmin(now.xy[:, 0])]) for now in ends]
    assert (left[0] == left[1]) == looks


def test_a_crowd_has_fewer_switches_with_hindsight_and_never_a_worse_identity(rng: np.random.Generator) -> None:
    """Forty people on a square of 10 m, two frames a second, three times.

    Measured: IDF1 97.6 and 42 switches without a lag, 98.1 and 27 with one.
    """
    site, f1, switches = square(), {}, {}
    for lag in (0.0, 2.0):
        scores = [crowd_scores(site, np.random.default_rng(seed), options(lag_s=lag)) for seed in range(3)]
        f1[lag], switches[lag] = np.mean([s[0] for s in scores]), np.sum([s[1] for s in scores])
    assert f1[2.0] > f1[0.0] + 0.002
    assert switches[2.0] < 0.8 * switches[0.0]


def crowd_scores(site: object, rng: np.random.Generator, how: LocalizerOptions) -> tuple[float, float]:
    start, angle = rng.uniform(-5.0, 5.0, (40, 2)), rng.uniform(0.0, 2 * np.pi, 40)
    velocity = 1.2 * np.column_stack([np.cos(angle), np.sin(angle)])
    times = T0 + 0.5 * np.arange(16)
    tracks = localize(walk(site, start, velocity, times, rng, sigma_px=2.0), site, how)
    frame = np.rint((tracks.time - T0) * 2).astype(int)
    xy = start + velocity * (times - T0)[:, None, None]
    truth = Sightings(np.repeat(np.arange(16), 40), np.tile(np.arange(40), 16), xy.reshape(-1, 2))
    pairs = pair_positions(truth, Sightings(frame, tracks.track, tracks.xy), 1.0)
    return score_identity(pairs, 0.5).idf1, float(score_clear(pairs, 0.5).counts[:, 3].sum())


def test_open_pairs_are_few_and_survive_a_snapshot(rng: np.random.Generator) -> None:
    site = square()
    start = rng.uniform(-2.0, 2.0, (40, 2))
    seen = walk(site, start, rng.normal(0.0, 1.0, (40, 2)), HALF, rng, sigma_px=3.0)
    engine = Localizer(site, options(most_pairs=8, exchange_probability=1 - 1e-9, last_probability=0.9))
    counts, halves = [], list(replay(engine, seen.take(seen.time < HALF[4] - 0.1)))
    other = decode(encode(engine, {"site": site}), {"site": site})
    for tracks, again in zip(
        replay(engine, seen.take(seen.time > HALF[4] - 0.1)), replay(other, seen.take(seen.time > HALF[4] - 0.1)),
        strict=True,
    ):
        assert tracks == again
        counts.append(len(engine.tracker._decisions))
    assert max(counts) == 8
    assert halves


def test_a_stream_is_told_what_a_recording_is(rng: np.random.Generator) -> None:
    site = square()
    seen = walk(site, START, VELOCITY, HALF, rng)
    engine = Localizer(site, options())
    tables = with_hindsight(to_the_end(engine, replay(engine, seen)), engine.identities.lineage)
    assert Tracks.concat(tables) == localize(seen, site, options())
