"""Packets late, out of order, twice, too many: nothing stops, all is counted, and the answer is the sorted run's."""

import numpy as np
import pytest
from sites import square, walk

from geoloc.options import merge_options
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, replay
from geoloc.pipeline.packets import PacketLocalizer, packets_of, replay_packets
from geoloc.scene.tables import Detections, Tracks

START = 1000.0


@pytest.fixture
def crowd(rng):
    """Eight walkers, 6 s at 10 Hz; each camera exposes at its own moment."""
    start, velocity = rng.uniform(-5, 5, (8, 2)), rng.normal(0, 0.8, (8, 2))
    table = walk(square(), start, velocity, START + np.arange(0.0, 6.0, 0.1), rng)
    phase = {"A": 0.0, "B": 0.011, "C": 0.023, "D": 0.037}
    return table.replace(time=table.time + np.array([phase[name] for name in table.camera.tolist()]))


def engine(**changes: object) -> Localizer:
    return Localizer(square(), merge_options(LocalizerOptions(), changes))


def frames_of(table: Detections) -> list[Detections]:
    """Frames in order of time."""
    return list(packets_of(table.take(np.lexsort((table.camera, table.time)))))


def run(live: PacketLocalizer, packets: list[Detections]) -> Tracks:
    """What was said last of each window, in order."""
    said = {}
    for packet in packets:
        said |= {answer.window: answer.tracks for answer in live.push(packet)}
    said |= {answer.window: answer.tracks for answer in live.finish()}
    return Tracks.concat([tracks for number in sorted(said) for tracks in said[number]])


def sorted_run(table: Detections) -> tuple[Localizer, Tracks]:
    localizer = Localizer(square())
    return localizer, Tracks.concat(list(replay(localizer, table)))


def same_bytes(a: Tracks, b: Tracks) -> bool:
    columns = zip(a, b, strict=True)
    return all(left.astype(right.dtype).tobytes() == right.tobytes() for (_, left), (_, right) in columns)


def test_packets_in_order_give_the_answer_of_the_recording(crowd):
    live = PacketLocalizer(Localizer(square()))
    assert same_bytes(run(live, frames_of(crowd)), sorted_run(crowd)[1])
    assert not live.counts


@pytest.mark.parametrize("late_s", [0.2, 1.5, 4.0])
def test_packets_out_of_order_give_the_answer_of_the_sorted_recording_bit_for_bit(crowd, rng, late_s):
    packets = frames_of(crowd)
    arrival = [float(packet.time[0]) + rng.uniform(0, late_s) for packet in packets]
    live = PacketLocalizer(Localizer(square()))
    tracks = run(live, [packets[i] for i in np.argsort(arrival)])
    localizer, expected = sorted_run(crowd)
    assert same_bytes(tracks, expected)
    assert same_bytes(live.localizer.tracker.predict(START + 7.0), localizer.tracker.predict(START + 7.0))
    assert (live.counts["frames put in their place by replay"] > 0) == (late_s > 0.3)
    assert live.counts["later than the horizon"] == 0


def test_the_first_packet_may_come_last(crowd):
    packets = frames_of(crowd)
    live = PacketLocalizer(Localizer(square()))
    assert same_bytes(run(live, packets[1:] + packets[:1]), sorted_run(crowd)[1])


def test_a_later_packet_may_come_first_before_any_window_was_closed(crowd):
    packets = frames_of(crowd)
    k = next(k for k, packet in enumerate(packets) if packet.time[0] > START + 1.0)
    arrival = [packets[k], *packets[:k], *packets[k + 1 :]]
    assert same_bytes(run(PacketLocalizer(Localizer(square())), arrival), sorted_run(crowd)[1])


def test_a_camera_that_is_always_late_is_put_in_its_place(crowd):
    packets = frames_of(crowd)
    arrival = [packet.time[0] + 2.0 * (packet.camera[0] == "C") for packet in packets]
    live = PacketLocalizer(Localizer(square()))
    assert same_bytes(run(live, [packets[i] for i in np.argsort(arrival)]), sorted_run(crowd)[1])
    # 60 windows; a replay a second goes back by 2 to 4 s
    assert live.counts["windows replayed"] < 300


def test_what_comes_later_than_the_horizon_is_counted_and_changes_nothing(crowd):
    packets = frames_of(crowd)
    late, rest = packets[5], packets[:5] + packets[6:]
    live = PacketLocalizer(engine(packets={"horizon_s": 1.0}))
    tracks = run(live, [*rest, late])
    assert live.counts["later than the horizon"] == len(late)
    assert same_bytes(tracks, sorted_run(Detections.concat(rest))[1])


def test_memory_is_that_of_the_horizon(crowd):
    live = PacketLocalizer(engine(packets={"horizon_s": 1.0, "replay_every_s": 0.5}))
    kept = []
    for packet in frames_of(crowd):
        live.push(packet)
        kept.append(len(live._windows))
    # 1 s of horizon, 0.5 s between copies, 0.3 s of waiting: 18 windows of 0.1 s and the open one
    assert max(kept) <= 21
    assert len(live._rows) <= 16


def test_a_frame_that_comes_twice_counts_once(crowd):
    packets = frames_of(crowd)
    other = packets[40].replace(box=packets[40].box + 5.0, foot=packets[40].foot + 5.0)
    again = packets[40].replace(id=packets[40].id + 10_000)
    live = PacketLocalizer(Localizer(square()))
    assert same_bytes(run(live, [*packets[:43], again, other, *packets[43:]]), sorted_run(crowd)[1])
    assert live.counts["frame came twice"] == len(again)
    assert live.counts["frame came twice with other boxes"] == len(other)


def test_a_clock_that_runs_ahead_holds_nobody_up(crowd):
    """Camera C's clock jumps an hour ahead in the middle: the others go on as if it were silent."""
    wrong = (crowd.camera == "C") & (crowd.time > START + 3.0)
    spoilt = crowd.replace(time=crowd.time + 3600.0 * wrong)
    packets = frames_of(spoilt)
    live = PacketLocalizer(Localizer(square()))
    tracks = run(live, [packets[i] for i in np.argsort([p.time[0] - 3600.0 * (p.time[0] > 2e3) for p in packets])])
    assert same_bytes(tracks, sorted_run(crowd.take(~wrong))[1])
    assert live.counts["far ahead of all other cameras"] == wrong.sum()


def test_a_clock_that_runs_backwards_is_counted(crowd):
    back = (crowd.camera == "B") & (crowd.time > START + 4.0)
    packets = frames_of(crowd)
    turned = [p.replace(time=p.time - 1.003) if p.camera[0] == "B" and p.time[0] > START + 4.0 else p for p in packets]
    live = PacketLocalizer(Localizer(square()))
    tracks = run(live, turned)
    assert same_bytes(tracks, sorted_run(crowd.replace(time=crowd.time - 1.003 * back))[1])
    assert live.counts["frames out of order"] > 5


def test_after_a_pause_one_camera_is_enough(crowd):
    """A night without anybody, then one camera alone sees somebody."""
    later = (crowd.time > START + 3.0).astype(float)
    pause = crowd.replace(time=crowd.time + 3600.0 * later).take((later == 0) | (crowd.camera == "A"))
    live = PacketLocalizer(Localizer(square()))
    answers = [answer for packet in frames_of(pause) for answer in live.push(packet)]
    assert max(answer.window for answer in answers) > (START + 3600.0) * 10
    assert same_bytes(run(PacketLocalizer(Localizer(square())), frames_of(pause)), sorted_run(pause)[1])


def test_a_flood_is_bounded(crowd, rng):
    packets = frames_of(crowd)
    n = 10_000
    middle = rng.uniform(0, 1900, (n, 2))
    flood = Detections(
        id=np.arange(n), time=np.full(n, START + 3.005), camera=np.full(n, "A"),
        box=np.concatenate([middle, middle + 20.0], axis=1), label=np.full(n, "person"), score=rng.random(n),
    )  # fmt: skip
    parts = [flood.take(np.arange(50 * i, 50 * i + 110)) for i in range(100)]
    frames = [part.replace(time=np.full(110, START + 4 + i / 100)) for i, part in enumerate(parts)]
    live = PacketLocalizer(engine(max_boxes=200, packets={"max_rows_per_s": 10_500}))
    run(live, [*packets[:120], flood, *packets[120:160], *frames, *packets[160:]])
    assert live.localizer.dropped["more boxes than a frame may have"] == n - 200
    assert live.counts["camera floods"] >= 110 * 100 - 10_500


def test_rows_without_a_place_are_counted(crowd):
    times = crowd.time.copy()
    times[3], times[7] = np.nan, 1.7e12
    cameras = crowd.camera.copy()
    cameras[11] = "Z"
    live = PacketLocalizer(Localizer(square()))
    run(live, [crowd.replace(time=times, camera=cameras)])
    assert live.counts == {"no finite time": 1, "time is not in seconds": 1, "unknown camera": 1}


def test_nothing_comes_of_nothing():
    live = PacketLocalizer(Localizer(square()))
    assert live.push(Detections()) == []
    assert live.finish() == []


def test_a_copy_of_the_engine_lives_its_own_life(crowd):
    localizer = Localizer(square())
    for _ in replay(localizer, crowd.take(crowd.time < START + 2)):
        pass
    twin = localizer.copy()
    assert twin.site is localizer.site
    rest = crowd.take(crowd.time >= START + 2)
    first = Tracks.concat(list(replay(localizer, rest)))
    assert same_bytes(first, Tracks.concat(list(replay(twin, rest))))


def test_an_object_that_teleports_takes_nobody_with_it(crowd, rng):
    """It is everywhere at once; the walkers keep their ids, and the clocks do not jump."""
    alone = np.concatenate([crowd.time[:1], crowd.time[1:][np.diff(crowd.time) > 0]])
    tables = [walk(square(), rng.uniform(-8, 8, (1, 2)), np.zeros((1, 2)), np.array([at]), rng) for at in alone]
    ghost = Detections.concat(tables)
    both = Detections.concat([crowd, ghost.replace(id=10_000 + np.arange(len(ghost)))])
    live = PacketLocalizer(Localizer(square()))
    tracks = run(live, frames_of(both))
    calm = sorted_run(crowd)[1]
    ids = tracks.take((tracks.time > START + 4.0) & (tracks.state == "confirmed")).track
    often = np.unique(ids, return_counts=True)[1] > 10
    assert abs(often.sum() - len(np.unique(calm.take(calm.time > START + 4.0).track))) <= 1
    assert live.localizer.clocks.jumps == []
    assert len(live.localizer.tracker._filters) < 40


def test_a_log_of_what_arrived_gives_the_answer_of_the_sorted_recording(crowd, rng):
    frames = frames_of(crowd)
    arrival = [float(frame.time[0]) + rng.uniform(0, 2.0) for frame in frames]
    log = Detections.concat([frames[i] for i in np.argsort(arrival)])
    live = PacketLocalizer(Localizer(square()))
    assert same_bytes(Tracks.concat([tracks for tracks, _ in replay_packets(live, log)]), sorted_run(crowd)[1])
    assert live.counts["frames put in their place by replay"] > 0
