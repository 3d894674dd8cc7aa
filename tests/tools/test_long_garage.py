"""The garage's working day, and the scene of the trackers' benchmark: stays, numbers, clocks, points."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.scene.tables import Tracks
from geoloc.synthetic import long_garage

TOOLS = Path(__file__).resolve().parents[2] / "tools"
HOUR = 3600.0


@pytest.fixture(autouse=True)
def tools(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))


def car(number: int, came: float, stood: float, drove: float = 60.0, every: float = 10.0) -> Tracks:
    """A car that drives in for `drove` s, stands for `stood` s, and drives out."""
    time = np.arange(came, came + 2 * drove + stood, every)
    ahead = np.clip(time - came, 0, drove) + np.clip(time - came - drove - stood, 0, drove)
    moves = (time - came < drove) | (time - came >= drove + stood)
    xy = np.column_stack([ahead, np.full(len(time), 5.0 * number)])
    velocity = np.column_stack([moves.astype(float), np.zeros(len(time))])
    return Tracks(time=time, track=np.full(len(time), number), xy=xy, velocity=velocity)


def test_only_whole_stays_of_an_hour_count_and_each_lost_number_is_told() -> None:
    from recordings.long_stays import long_stays, numbers_of_truth

    always = car(0, 0.0, 4 * HOUR - 120)
    kept, lost, short = car(1, 600.0, 1.5 * HOUR), car(2, 900.0, 2.0 * HOUR), car(3, 900.0, 0.5 * HOUR)
    came_late = car(4, 3 * HOUR, 2 * HOUR)
    truth = Tracks.concat([always, kept, lost, short, came_late])
    truth = truth.take(truth.time < 4 * HOUR)
    number = 100 + truth.track + 50 * ((truth.track == 2) & (truth.time > 900 + HOUR))
    frame = np.round(truth.time / 10).astype(int)
    pairs = pair_positions(Sightings(frame, truth.track, truth.xy), Sightings(frame, number, truth.xy + 0.1), 4.0)
    stays = long_stays(truth, numbers_of_truth(pairs, number, 0.5), HOUR)
    assert stays.object.tolist() == [1, 2]
    assert stays.same.tolist() == [True, False]
    assert (stays.came[1], stays.left[1]) == (102, 152)
    assert stays.changed == "while it came 0, while it stood 1, while it left 0"


def test_a_car_that_no_track_ever_showed_kept_no_number() -> None:
    from recordings.long_stays import long_stays

    truth = Tracks.concat([car(0, 0.0, 4 * HOUR), car(1, 600.0, 1.5 * HOUR)])
    stays = long_stays(truth, np.full(len(truth), -1), HOUR)
    assert stays.same.tolist() == [False]


def test_clocks_are_off_by_at_most_what_is_said() -> None:
    from recordings.garage_parts import Clocks

    world = long_garage()
    clocks = Clocks.draw(world, 0.5, 1e-5, 5)
    assert 0.4 < np.abs(clocks.offset).max() <= 0.5
    ahead = clocks.at(world.traffic.start_time + 8 * HOUR)
    assert set(ahead) == {camera.name for camera in world.site.cameras}
    assert abs(sum(ahead.values())) < 1e-9
    assert np.abs(clocks.drift).max() * 8 * HOUR <= 0.29


def test_a_seeded_scene_is_the_same_for_all_and_its_points_err_as_they_say() -> None:
    from benchmarks.seeded_scene import NOISE_M, draw_scene
    from benchmarks.trackers import EXACT_FEET, KNOWING, run_geoloc

    scene, again = draw_scene(20, 15, 3), draw_scene(20, 15, 3)
    assert all(a == b for a, b in zip(scene.steps, again.steps, strict=True))
    tracked, scans = run_geoloc(scene.site, scene.steps, replace(KNOWING, footprint=EXACT_FEET))
    assert len(scans) == len(tracked.cpu_s) == 15
    for number, (_, cameras) in enumerate(scans):
        ((xy, cov),) = cameras
        assert np.allclose(cov, NOISE_M**2 * np.eye(2), rtol=0.05, atol=1e-4)
        true = scene.truth.where[scene.truth.frame == number]
        assert np.median(np.linalg.norm(xy[:, None] - true, axis=2).min(axis=1)) < 2 * NOISE_M
