"""Shared fixtures: seeded randomness, and the real recordings where they are."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real recordings: GEOLOC_DATA, or ../shared/data beside the project."""
    folder = Path(os.environ.get("GEOLOC_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}; set GEOLOC_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def recording(data_dir: Path):
    """Function from a recording's name to its folder; skips where that recording is absent."""

    def folder(name: str) -> Path:
        if not (data_dir / name).is_dir():
            pytest.skip(f"recording {name!r} is not in {data_dir}")
        return data_dir / name

    return folder
