"""`tools/accuracy.py` runs what is there, says what it skips, and prints nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIELDS = ["recording", "part", "figure", "value", "low", "high", "unit", "protocol"]


def accuracy(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "tools" / "accuracy.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


def test_absent_recordings_are_skipped_with_a_word(tmp_path: Path) -> None:
    done = accuracy("wildtrack", "--data", str(tmp_path), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "wildtrack: skipped" in done.stderr


def test_broken_recording_is_named_and_fails(tmp_path: Path) -> None:
    (tmp_path / "multiviewx").mkdir()
    done = accuracy("multiviewx", "--data", str(tmp_path), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, [])
    assert "multiviewx: failed: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("nowhere",), ("wildtrack", "--data", "/no/such/folder")])
def test_wrong_calls_end_with_two(arguments: tuple[str, ...]) -> None:
    assert accuracy(*arguments).returncode == 2


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("wildtrack", {"moda", "modp", "precision", "recall", "nees", "moda_offline", "moda_fusion", "moda_peer"}),
        ("multiviewx", {"position_error_median_m", "moda", "id_switches"}),
        ("cmc", {"people_mean", "people_mean_peer", "agreement_idf1"}),
    ],
)
def test_json_has_every_asked_figure_once_a_part(name: str, asked: set[str], recording) -> None:
    done = accuracy(name, "--data", str(recording(name).parent), "--json")
    figures = json.loads(done.stdout)
    assert done.returncode == 0
    assert all(list(figure) == FIELDS for figure in figures)
    assert asked <= {figure["figure"] for figure in figures}
    keys = [(figure["part"], figure["figure"]) for figure in figures]
    assert len(keys) == len(set(keys))
    for figure in figures:
        if figure["low"] is not None:
            assert figure["low"] <= figure["value"] <= figure["high"]
