"""`geoloc demo`: end to end, from files that the next command can read."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_samples import Done

from geoloc.io.tracks import read_tracks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def test_the_demo_scores_and_writes_everything(call: Callable[..., Done], folder: Path) -> None:
    done = call("demo", "--seconds", "12", "-o", folder)
    assert done.code == 0
    names = {path.name for path in folder.iterdir()}
    files = {"boxes.csv", "truth.csv", "tracks.geojson", "tracks.csv", "plan.png", "map.html"}
    files |= {"report.html", "run.json"}
    assert names == files | {"sitemaps", "calibration"}
    for word in ("position error, median", "position error, 95 %", "NEES", "HOTA", "IDF1", "MOTA", "camera frames"):
        assert word in done.out
    assert "% |" in done.err  # the progress bar
    run = json.loads((folder / "run.json").read_text())
    assert run["options"]["tracking"]
    assert run["report"]["camera_frames"] == 14 * 60
    error = float(re.search(r"position error, median +(\S+) m", done.out)[1])
    assert error < 0.6  # m; measured 0.29


def test_what_the_demo_wrote_can_be_localized_again(call: Callable[..., Done], folder: Path) -> None:
    if not (folder / "boxes.csv").exists():
        call("demo", "--seconds", "12", "-o", folder)
    done = call("localize", "garage", folder / "boxes.csv", "--root", folder, "-o", folder / "again.csv")
    assert done.code == 0
    first, again = read_tracks(folder / "tracks.csv"), read_tracks(folder / "again.csv")
    np.testing.assert_array_equal(again.track, first.track)
    np.testing.assert_array_equal(again.time, first.time)
    np.testing.assert_allclose(again.xy, first.xy, atol=1e-6)  # m; poses were rounded on their way through a file


def test_too_short_a_recording_is_refused(call: Callable[..., Done], tmp_path: Path) -> None:
    done = call("demo", "--seconds", "0", "-o", tmp_path)
    assert done.code == 2
    assert "duration" in done.err


@pytest.mark.slow
def test_the_trial_site_is_calibrated_and_held_against_its_truth(
    call: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # rendering is tested elsewhere and takes a minute
    monkeypatch.setattr(
        "geoloc.synthetic.trial.render_still", lambda camera, *_: np.zeros((*camera.size[::-1], 3), "u1")
    )
    done = call("demo", "--calibration", "-o", tmp_path)
    assert done.code == 0, done.err
    names = {"sitemaps", "calibration", "stills", "truth.json", "calibration.html"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert len(list((tmp_path / "stills").iterdir())) == 8
    assert "p2-ramp-head: mark 2 more points" in done.out  # it is left for the user
    assert "is wrong" in done.out  # the mark at the wrong thing
    rows = done.out.partition("against the truth")[2].splitlines()[3:10]
    off = {row.split()[0]: row.split()[1:3] for row in rows}
    for camera, (number, unit) in off.items():
        metres = float(number) * {"cm": 0.01, "mm": 0.001, "m": 1.0}[unit]
        assert metres < 0.8, camera  # measured 0.02 to 0.39
    again = call("calibrate", "garage", "--root", tmp_path, "--versions")
    assert "the demo's own marks" in again.out
    for name in ("marks.csv", "cameras.toml", "wide.json", "garage.geojson"):
        assert name in again.out
