"""A site on disk, and a way to call the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_samples import Done, walkers, yard

from geoloc.cli.main import main
from geoloc.io.detection_writers import write_detections
from geoloc.scene.storage import save_site


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def run(*words: str | Path) -> Done:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the yard's files and boxes.csv."""
    site = yard()
    save_site(site, tmp_path)
    write_detections(tmp_path / "boxes.csv", walkers(site))
    return tmp_path
