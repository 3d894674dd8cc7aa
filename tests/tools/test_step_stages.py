"""The profile of a step is of the step as it is."""

from pathlib import Path

import pytest

from geoloc.io.detections import read_detections
from geoloc.pipeline.localizer import windows
from geoloc.scene.storage import load_site

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def tools(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))


def test_every_stage_of_the_profile_is_one_of_the_step():
    """A stage that was renamed would stop the benchmark; one that is no longer called would be missing."""
    from benchmarks.stages import STAGES, stage_seconds

    folder = ROOT / "fixtures" / "plaza"
    detections = read_detections(folder / "detections.csv.gz").detections
    early = detections.take(detections.time < detections.time.min() + 1.0)
    taken = stage_seconds(load_site("plaza", folder), list(windows(early, 0.2)), 1)
    assert len(taken) == len(STAGES)
    assert all(seconds > 0.0 for seconds in taken.values())
