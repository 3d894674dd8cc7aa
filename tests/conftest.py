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


@pytest.fixture
def open_file(browser):
    """Function that opens a page of a file and, at the end, holds it to no error and no request but for itself."""
    opened = []

    def open_(path, width=1280, height=800, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        page, complaints = context.new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: complaints.append(r.url) if r.url.split(":")[0] not in ("file", "data") else None)
        page.goto(path.as_uri())
        opened.append((context, complaints))
        return page

    yield open_
    for context, complaints in opened:
        context.close()
        assert complaints == []
