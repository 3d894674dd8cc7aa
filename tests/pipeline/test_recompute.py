"""What was said between a camera's move and its discovery: found, flagged, and worked out again from the log."""

from dataclasses import replace

import numpy as np
import pytest
from parking import OPTIONS, START, STEP, cars, lot
from sites import feet_seen

from geoloc.errors import InputError
from geoloc.geometry.se3 import perturb
from geoloc.pipeline.doubts import find_doubts, flag_rows, touched_by
from geoloc.pipeline.journal import JournaledLocalizer, JournalOptions
from geoloc.pipeline.recompute import recompute
from geoloc.pipeline.state_folder import StateFolder
from geoloc.pipeline.stored_state import load_state
from geoloc.scene.storage import save_site
from geoloc.scene.tables import Tracks
from geoloc.scene.versions import list_versions, save_version

MOVED, FOUND, END = START + 8.0, START + 16.0, START + 22.0
RARELY = JournalOptions(snapshot_s=1e9, keep_log_s=1e9)
OFTEN = JournalOptions(snapshot_s=2.0, keep_snapshots=100, keep_log_s=1e9)


def turned(site):
    """The site after a cleaner has turned its first camera by two degrees."""
    first = site.cameras[0]
    return site.with_cameras([replace(first, cam_from_world=perturb(first.cam_from_world, [0, 0.035, 0, 0, 0, 0]))])


def windows(site, after):
    rng, first = np.random.default_rng(5), 0
    for k in range(int((END - START) / STEP)):
        time = START + k * STEP
        window = feet_seen(after if time >= MOVED else site, cars(k * STEP), time, rng, sigma_px=2.0, label="car")
        yield window.replace(id=first + np.arange(len(window)))
        first += len(window)


def worked(site, after, root, journal=RARELY):
    """A state of a site that goes on with the new calibration once the move is found; the tracks that it said."""
    said = []
    parts = list(windows(site, after))
    with JournaledLocalizer.open(site, root / "state", OPTIONS, journal) as journaled:
        said += [journaled.step(window) for window in parts if window.time[0] < FOUND]
    with JournaledLocalizer.open(after, root / "state", None, journal, changed=("calibration",)) as journaled:
        said += [journaled.step(window) for window in parts if window.time[0] >= FOUND]
    return Tracks.concat(said)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    root = tmp_path_factory.mktemp("moved")
    site = lot()
    after = turned(site)
    save_site(site, root)
    said = worked(site, after, root)
    save_version("lot", after.cameras, root, "check", "moved", valid_from=MOVED, doubted_from=MOVED - 2.0)
    return root, site, after, said


def error(state, times):
    """Mean distance (m) of the nearest object from where the car that parks truly was."""
    off = []
    for time in times:
        true = cars(time - START)[0, :2]
        off.append(min(np.linalg.norm(true - one.xy) for one in state.at(time)))
    return float(np.mean(off))


def doubts_of(root, site):
    state = load_state(site, root / "state")
    folder = StateFolder.find(root / "state", site)
    return state, find_doubts(folder, list_versions("lot", root), state.start, state.time)


def test_the_stretch_between_a_move_and_its_discovery_is_found(case):
    root, site, _, _ = case
    state, doubts = doubts_of(root, site)
    assert [one.camera for one in doubts] == [site.cameras[0].name]
    one = doubts[0]
    assert (one.start, one.since) == (MOVED - 2.0, MOVED)
    assert FOUND - 2 * STEP <= one.end <= FOUND
    assert find_doubts(StateFolder.find(root / "state", site), (), state.start, state.time) == ()


def test_rows_that_rest_on_the_camera_are_flagged_and_no_others(case):
    root, site, _, said = case
    state, doubts = doubts_of(root, site)
    touched = touched_by(state, doubts)
    assert touched
    assert {one.camera for one in touched} == {site.cameras[0].name}
    flags = flag_rows(said, touched)
    assert flags.any()
    assert said.time[flags].min() >= MOVED - 2.0
    assert not flags[said.time > FOUND + 2.0].any()


def test_the_state_worked_out_again_is_nearer_to_the_truth_and_the_old_one_stays(case, tmp_path):
    root, site, after, _ = case
    before = {path.name: path.read_bytes() for path in (root / "state").iterdir()}
    state, doubts = doubts_of(root, site)
    done = recompute(site, root / "state", tmp_path / "again", doubts, list_versions("lot", root))
    assert {path.name: path.read_bytes() for path in (root / "state").iterdir()} == before
    again = load_state(after, tmp_path / "again")
    times = np.arange(MOVED + 1.0, FOUND - 1.0, 0.5)
    assert error(again, times) < 0.6 * error(state, times)  # measured 0.10 m beside 0.28
    assert [time for time, _ in done.changes] == [pytest.approx(MOVED)]
    assert done.records == int((END - START) / STEP)
    assert not done.refused
    assert {one.object for one in again.at(END - 1.0)} == {one.object for one in state.at(END - 1.0)}
    # it is what an engine would have said that had known
    with JournaledLocalizer.open(site, tmp_path / "known", OPTIONS, RARELY) as journaled:
        for window in windows(site, after):
            if window.time[0] < MOVED:
                journaled.step(window)
    with JournaledLocalizer.open(after, tmp_path / "known", None, RARELY, changed=("calibration",)) as journaled:
        for window in windows(site, after):
            if window.time[0] >= MOVED:
                journaled.step(window)
    known = load_state(after, tmp_path / "known")
    for one, other in zip(again.at(END - 1.0), known.at(END - 1.0), strict=True):
        assert one.xy == pytest.approx(other.xy, abs=1e-9)
    folder = StateFolder.find(tmp_path / "again", after)
    left = find_doubts(folder, list_versions("lot", root), again.start, again.time)
    # before the move it may have been otherwise already, and between two windows nobody knows when it was
    assert all(np.isnan(one.since) or one.end - one.since < 2 * STEP for one in left)


def test_it_begins_at_the_snapshot_before_the_move(case, tmp_path):
    root, site, after, _ = case
    worked(site, after, tmp_path, OFTEN)
    state = load_state(site, tmp_path / "state")
    folder = StateFolder.find(tmp_path / "state", site)
    doubts = find_doubts(folder, list_versions("lot", root), state.start, state.time)
    done = recompute(site, tmp_path / "state", tmp_path / "again", doubts, list_versions("lot", root))
    assert MOVED - 2.5 <= done.start <= MOVED
    assert done.records < int((END - START) / STEP)
    again = load_state(after, tmp_path / "again")
    times = np.arange(MOVED + 1.0, FOUND - 1.0, 0.5)
    assert error(again, times) < 0.6 * error(state, times)
    assert again.where(state.at(START + 3.0)[0].object, START + 3.0).xy == pytest.approx(
        state.at(START + 3.0)[0].xy, abs=1e-9
    )


def test_what_cannot_be_worked_out_again_says_why(case, tmp_path):
    root, site, _, _ = case
    _, doubts = doubts_of(root, site)
    versions = list_versions("lot", root)
    with pytest.raises(InputError, match="no camera is known to have been otherwise"):
        recompute(site, root / "state", tmp_path / "a", (), versions)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(InputError, match="give a new folder"):
        recompute(site, root / "state", tmp_path / "full", doubts, versions)
