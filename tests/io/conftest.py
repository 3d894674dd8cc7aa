"""Samples of every format of detections."""

from pathlib import Path

import pytest
from detection_samples import SAMPLES, Sample

from geoloc.io.detections import READERS


@pytest.fixture(params=sorted(READERS))
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of detections in turn; Parquet is skipped where pyarrow is not installed."""
    if request.param == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow; install geoloc[parquet]")
    return request.param


@pytest.fixture
def sample(kind: str) -> Sample:
    return SAMPLES[kind]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
