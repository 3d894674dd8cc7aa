"""State that survives: kill -9 at any moment, torn and damaged files, other sites and options."""

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from parking import OPTIONS, STEP, lot, seen_windows
from sites import square

from geoloc.errors import InputError, UnknownNameError
from geoloc.geometry.se3 import perturb
from geoloc.options import merge_options
from geoloc.pipeline.codec import encode
from geoloc.pipeline.epochs import given_of
from geoloc.pipeline.journal import JournaledLocalizer, JournalOptions, load_state
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.packets import Answer, PacketLocalizer, packets_of
from geoloc.pipeline.record_log import part_paths, read_part
from geoloc.scene.fingerprint import calibration_fingerprint
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Tracks

SECONDS = 24.0
OFTEN = JournalOptions(snapshot_s=2.0, sync_s=0.5, keep_log_s=0.0, keep_history_s=1e9)

RARELY = JournalOptions(snapshot_s=1e9, keep_log_s=1e9)


@pytest.fixture(scope="module")
def site() -> Site:
    return lot()


@pytest.fixture(scope="module")
def windows() -> list[Detections]:
    return list(seen_windows(SECONDS))


@pytest.fixture(scope="module")
def straight(site: Site, windows: list[Detections]) -> tuple[list[str], bytes]:
    """What an engine that nothing happens to says of each window, and its state at the end."""
    localizer = Localizer(site, OPTIONS)
    said = [digest(localizer.step(window)) for window in windows]
    return said, state_of(localizer)


@pytest.fixture(scope="module")
def packets(windows: list[Detections]) -> list[Detections]:
    """The frames of the cameras as they come: one camera is late, all are a little out of order."""
    frames = [frame for window in windows for frame in packets_of(window)]
    rng = np.random.default_rng(7)
    arrival = [frame.time[0] + rng.uniform(0, 1.0) + 2.0 * (frame.camera[0] == "C") for frame in frames]
    return [frames[i] for i in np.argsort(arrival)]


def digest(answer: Tracks | list[Answer]) -> str:
    content = hashlib.sha256()
    for tracks in [answer] if isinstance(answer, Tracks) else [tracks for one in answer for tracks in one.tracks]:
        for name, column in tracks:
            content.update(name.encode() + column.tobytes())
    return content.hexdigest()


def state_of(engine: Localizer | PacketLocalizer) -> bytes:
    localizer = engine if isinstance(engine, Localizer) else engine.localizer
    return encode(engine, given_of(localizer.site, localizer.options))


def run_until_killed(
    site: Site, folder: Path, inputs: list[Detections], call: str, after: float, starting: bool
) -> Iterator[tuple[int, str]]:
    """A process that goes on with the state in `folder`, and what it answered before it was killed.

    That happens `after` s from its first answer on, or while it is `starting`.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            with JournaledLocalizer.open(site, folder, OPTIONS, OFTEN) as journaled:
                while journaled.number < len(inputs):
                    number = journaled.number
                    answer = getattr(journaled, call)(inputs[number])
                    os.write(writing, f"{number} {digest(answer)}\n".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        first = "" if starting else lines.readline()
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for line in filter(None, (first, *lines)):
            number, said = line.split()
            yield int(number), said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked and killed")
@pytest.mark.parametrize("call", ["step", pytest.param("push", marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    site: Site, windows: list[Detections], packets: list[Detections], call: str, tmp_path: Path
) -> None:
    inputs = windows if call == "step" else packets
    straight = PacketLocalizer(Localizer(site, OPTIONS))
    said = [digest(getattr(straight, call)(one)) for one in inputs]
    rng, answered, kills = np.random.default_rng(5), -1, 0
    while answered < len(inputs) - 1 and kills < 100:
        moment = float(rng.uniform(0.0, 0.05)), kills % 4 == 3
        for number, told in run_until_killed(site, tmp_path / "state", inputs, call, *moment):
            assert told == said[number]
            assert number > answered, "what was answered is never answered again"
            answered = number
        kills += 1
    assert kills >= 3
    with JournaledLocalizer.open(site, tmp_path / "state", OPTIONS, OFTEN) as journaled:
        assert journaled.number == len(inputs)
        assert state_of(journaled.packets) == state_of(straight)


def test_nothing_answered_is_lost_however_a_record_is_torn(
    site: Site, windows: list[Detections], straight: tuple[list[str], bytes], tmp_path: Path, rng: np.random.Generator
) -> None:
    with JournaledLocalizer.open(site, tmp_path / "state", OPTIONS) as journaled:
        for window in windows[:6]:
            journaled.step(window)
        journaled.folder.unlock()
        path = part_paths(tmp_path / "state")[0]
        whole, ends = path.read_bytes(), [len(path.read_bytes())]
        part = read_part(path)
        for record in reversed(part.records):
            ends.append(ends[-1] - len(record) - 8)
        for cut in sorted({*rng.integers(ends[-1], len(whole), 12).tolist(), *ends}):
            path.write_bytes(whole[:cut])
            kept = sum(end <= cut for end in ends[:-1])
            again = JournaledLocalizer.open(site, tmp_path / "state", OPTIONS)
            assert again.number == kept
            assert digest(again.step(windows[kept])) == straight[0][kept]
            again.folder.unlock()
        path.write_bytes(whole)


def test_a_damaged_record_before_good_ones_is_refused_and_nothing_is_cut(
    site: Site, windows: list[Detections], tmp_path: Path
) -> None:
    journaled = JournaledLocalizer.open(site, tmp_path / "state", OPTIONS)
    for window in windows[:5]:
        journaled.step(window)
    journaled.folder.unlock()
    path = part_paths(tmp_path / "state")[0]
    data = bytearray(path.read_bytes())
    for place in (len(data) // 2, read_part(path).end - len(read_part(path).records[-1]) - 300):
        spoilt = data.copy()
        spoilt[place] ^= 0xFF
        path.write_bytes(spoilt)
        with pytest.raises(InputError, match=r"record \d at byte \d+ is damaged, and record \d behind it is not"):
            JournaledLocalizer.open(site, tmp_path / "state", OPTIONS)
        assert path.read_bytes() == spoilt


def test_a_damaged_length_is_no_torn_record(site: Site, windows: list[Detections], tmp_path: Path) -> None:
    journaled = JournaledLocalizer.open(site, tmp_path / "state", OPTIONS)
    for window in windows[:5]:
        journaled.step(window)
    journaled.folder.unlock()
    path = part_paths(tmp_path / "state")[0]
    part = read_part(path)
    data = bytearray(path.read_bytes())
    second = part.end - sum(len(record) + 8 for record in part.records[1:])
    data[second : second + 4] = (1 << 24).to_bytes(4, "little")  # beyond the end, as a torn one's would be
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"record 2 at byte .* is damaged, and record 3 behind it is not"):
        JournaledLocalizer.open(site, tmp_path / "state", OPTIONS)


def test_a_damaged_snapshot_is_passed_over_for_the_one_before(
    site: Site, windows: list[Detections], straight: tuple[list[str], bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    with JournaledLocalizer.open(site, folder, OPTIONS, OFTEN) as journaled:
        for window in windows:
            journaled.step(window)
    snapshots = sorted(folder.glob("snapshot-*"))
    assert len(snapshots) == 2
    snapshots[-1].write_bytes(snapshots[-1].read_bytes()[:-100])
    again = JournaledLocalizer.open(site, folder, OPTIONS, OFTEN)
    assert again.replayed > 0
    assert state_of(again.localizer) == straight[1]
    again.folder.unlock()
    snapshots[0].write_bytes(b"not a snapshot")
    with pytest.raises(InputError, match="no snapshot can be read and the log begins at record"):
        JournaledLocalizer.open(site, folder, OPTIONS, OFTEN)


def test_another_site_calibration_or_option_is_refused_by_name(
    site: Site, windows: list[Detections], tmp_path: Path
) -> None:
    with JournaledLocalizer.open(site, tmp_path / "state", OPTIONS) as journaled:
        journaled.step(windows[0])
    with pytest.raises(InputError, match="was made with calibration"):
        JournaledLocalizer.open(moved(site), tmp_path / "state")
    with pytest.raises(InputError, match="the site's map has changed since"):
        JournaledLocalizer.open(Site("lot", site.cameras, square().site_map), tmp_path / "state")
    with pytest.raises(InputError, match="is the state of site 'lot', not of 'other'"):
        JournaledLocalizer.open(Site("other", site.cameras, site.site_map), tmp_path / "state")
    other = merge_options(OPTIONS, {"tracking": {"birth_score": 0.25}})
    with pytest.raises(InputError, match=r"option tracking.birth_score is 0.25, and 0.5 in this state"):
        JournaledLocalizer.open(site, tmp_path / "state", other)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.txt").write_text("a cat")
    with pytest.raises(InputError, match="is not empty, and holds no state"):
        JournaledLocalizer.open(site, tmp_path / "photos")
    with JournaledLocalizer.open(site, tmp_path / "state") as again:
        assert again.folder.options == OPTIONS


def moved(site: Site) -> Site:
    """The site with one camera calibrated again."""
    one = site.cameras[0]
    pose = perturb(one.cam_from_world, np.full(6, 1e-3))
    return site.with_cameras([type(one)(one.name, one.lens, one.size, pose, one.calib_cov)])


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("call", ["step", "push"])
def test_it_goes_on_with_another_calibration_and_keeps_which_was_which(
    site: Site, windows: list[Detections], packets: list[Detections], tmp_path: Path, call: str, killed: bool
) -> None:
    """Told to, it goes on: the car that parks keeps its number, and each answer says what it was made with."""
    inputs = windows if call == "step" else packets
    half = len(inputs) // 2
    first = JournaledLocalizer.open(site, tmp_path / "state", OPTIONS, RARELY)
    for one in inputs[:half]:
        getattr(first, call)(one)
    time, folder = first.state.time, first.folder
    first.folder.unlock() if killed else first.close()
    other = merge_options(OPTIONS, {"tracking": {"birth_score": 0.25}})
    again = JournaledLocalizer.open(moved(site), folder.path, other, RARELY, changed=("calibration", "options"))
    assert again.number == half
    for one in inputs[half:]:
        getattr(again, call)(one)
    place, before = again.state.where(1), again.state.where(1, time - 1.0)
    assert place.object == before.object == 1
    assert place.provenance.calibration == calibration_fingerprint(moved(site))
    assert before.provenance.calibration == calibration_fingerprint(site)
    state = state_of(again.packets)
    again.folder.unlock()
    stored = load_state(site, folder.path)  # by what the folder says, whatever the site is now
    assert (stored.where(1), stored.where(1, time - 1.0)) == (place, before)
    with JournaledLocalizer.open(moved(site), folder.path, None, RARELY) as third:
        assert state_of(third.packets) == state
    for path in folder.path.glob("snapshot-*"):
        path.unlink()  # the log alone is enough: the change is made again on the way
    with JournaledLocalizer.open(moved(site), folder.path, None, RARELY) as fourth:
        assert fourth.replayed == len(inputs)
        assert state_of(fourth.packets) == state


def test_a_change_that_does_not_fit_is_refused(site: Site, windows: list[Detections], tmp_path: Path) -> None:
    with JournaledLocalizer.open(site, tmp_path / "state", OPTIONS) as journaled:
        journaled.step(windows[0])
    fewer = Site("lot", site.cameras[1:], site.site_map)
    with pytest.raises(InputError, match=r"has other cameras than this state \('A'\); begin a new folder"):
        JournaledLocalizer.open(fewer, tmp_path / "state", changed=("calibration",))
    turning = merge_options(OPTIONS, {"tracking": {"motion": "coordinated_turn"}})
    with pytest.raises(InputError, match=r"option tracking.motion is .* cannot be changed in the middle"):
        JournaledLocalizer.open(site, tmp_path / "state", turning, changed=("options",))
    with pytest.raises(UnknownNameError, match="did you mean 'options'"):
        JournaledLocalizer.open(site, tmp_path / "state", changed=("option",))
    with JournaledLocalizer.open(site, tmp_path / "state") as again:
        assert again.number == 1


def test_what_the_operator_took_back_survives(site: Site, windows: list[Detections], tmp_path: Path) -> None:
    journaled = JournaledLocalizer.open(site, tmp_path / "state", OPTIONS)
    for window in windows[:40]:
        journaled.step(window)
    with pytest.raises(InputError, match="was not decided lately"):
        journaled.undo(1, 2)
    number = journaled.number
    journaled.folder.unlock()
    with JournaledLocalizer.open(site, tmp_path / "state") as again:
        assert again.number == number
        assert state_of(again.packets) == state_of(journaled.packets)


def test_windows_and_packets_do_not_mix_while_packets_wait(
    site: Site, windows: list[Detections], packets: list[Detections], tmp_path: Path
) -> None:
    with JournaledLocalizer.open(site, tmp_path / "state", OPTIONS) as journaled:
        journaled.step(windows[0])
        journaled.push(packets[20])
        with pytest.raises(InputError, match=r"call finish\(\) before a window is given whole"):
            journaled.step(windows[60])
        journaled.finish()
        assert journaled.finish() == []
        journaled.step(windows[60])
        journaled.push(packets[22])
        assert journaled.packets.counts["later than the horizon"] == len(packets[22])


def test_questions_are_answered_while_it_is_at_work(site: Site, windows: list[Detections], tmp_path: Path) -> None:
    with JournaledLocalizer.open(site, tmp_path / "state", OPTIONS, OFTEN) as journaled:
        for k, window in enumerate(windows[:60]):
            journaled.step(window)
            if k % 7 == 0:
                assert load_state(site, tmp_path / "state").at() == journaled.state.at()


def test_two_processes_do_not_write_one_state(site: Site, tmp_path: Path) -> None:
    first = JournaledLocalizer.open(site, tmp_path / "state", OPTIONS)
    with pytest.raises(InputError, match="another process is at work"):
        JournaledLocalizer.open(site, tmp_path / "state")
    first.folder.unlock()


def test_a_clock_that_runs_backwards_is_refused_then_and_after_a_restart(
    site: Site, windows: list[Detections], straight: tuple[list[str], bytes], tmp_path: Path
) -> None:
    journaled = JournaledLocalizer.open(site, tmp_path / "state", OPTIONS)
    for window in windows[:10]:
        journaled.step(window)
    with pytest.raises(InputError, match="sort the windows by time"):
        journaled.step(windows[3])
    journaled.folder.unlock()
    again = JournaledLocalizer.open(site, tmp_path / "state", OPTIONS)
    assert [digest(again.step(window)) for window in windows[10:14]] == straight[0][10:14]
    again.folder.unlock()


def test_disk_and_memory_do_not_grow_with_the_hours(site: Site, tmp_path: Path) -> None:
    short = merge_options(OPTIONS, {"history": {"keep_s": 8.0}})
    keep = JournalOptions(snapshot_s=2.0, sync_s=1e9, keep_log_s=4.0, keep_history_s=12.0)
    sizes = []
    with JournaledLocalizer.open(site, tmp_path / "state", short, keep) as journaled:
        for k, window in enumerate(seen_windows(80.0)):
            journaled.step(window)
            if k * STEP in (40.0, 79.0):
                files = [path.name.partition("-")[0] for path in (tmp_path / "state").iterdir()]
                snapshot = max((tmp_path / "state").glob("snapshot-*")).stat().st_size
                rows = sum(len(chunk.keys) for chunk in journaled.localizer.history.chunks)
                sizes.append((files.count("log"), files.count("snapshot"), files.count("history"), rows, snapshot))
    early, late = sizes
    assert late[0] <= 5
    assert late[1] == 2
    assert late[2] <= early[2] + 1
    assert late[3] <= early[3] + 64
    assert late[4] <= 1.3 * early[4]  # the lineage grows: 20 cars passed in between


def test_a_recording_run_again_does_only_what_is_left(site: Site, windows: list[Detections], tmp_path: Path) -> None:
    recording = Detections.concat(windows[:30])
    straight = list(JournaledLocalizer.open(site, tmp_path / "one", OPTIONS).replay(recording))
    first = JournaledLocalizer.open(site, tmp_path / "two", OPTIONS)
    before = [tracks for _, tracks in zip(range(12), first.replay(recording), strict=False)]
    first.folder.unlock()
    after = list(JournaledLocalizer.open(site, tmp_path / "two", OPTIONS).replay(recording))
    assert len(before) + len(after) == len(straight)
    assert [digest(tracks) for tracks in (*before, *after)] == [digest(tracks) for tracks in straight]


def test_answers_after_the_fact_reach_behind_what_the_engine_keeps(site: Site, tmp_path: Path) -> None:
    short = merge_options(OPTIONS, {"history": {"keep_s": 5.0}})
    with JournaledLocalizer.open(site, tmp_path / "state", short, OFTEN) as journaled:
        for window in seen_windows(40.0):
            journaled.step(window)
        kept = journaled.state.start
        now = journaled.state.where(1)
    stored = load_state(site, tmp_path / "state")
    assert stored.start < kept - 10.0
    assert stored.where(1) == now
    assert stored.where(1, stored.start + 3.0).life == "confirmed"
