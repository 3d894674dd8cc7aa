"""Shared fixtures: seeded randomness, and the real recordings where they are."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


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


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, for pages; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright; pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium; apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=BROWSER_ARGUMENTS)
        yield running
        running.close()
