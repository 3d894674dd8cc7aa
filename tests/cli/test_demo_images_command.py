"""`geoloc demo --images`: pictures to try landmarks, relocalization and checks on; small ones here."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_samples import Done

from geoloc.cli import demo_images, main
from geoloc.files import read_columns
from geoloc.scene.storage import load_cameras, load_site

Call = Callable[..., Done]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_images, "SIZE", (160, 90))
    monkeypatch.setattr(demo_images, "WALK_SIZE", (160, 90))
    monkeypatch.setattr(demo_images, "WALKED", 4.0)
    monkeypatch.setattr(demo_images, "TEXEL", 0.1)
    monkeypatch.setattr(demo_images, "HOURS", np.array([12.0, 13.0]))


def test_the_demo_draws_what_the_commands_it_names_need(small: None, tmp_path: Path, call: Call) -> None:
    done = call("demo", "--images", "-o", tmp_path / "images")
    assert done.code == 0
    root = tmp_path / "images"
    site = load_site("garage", root)
    assert {path.stem for path in (root / "stills").iterdir()} == set(site.camera_index)
    walk = load_cameras(root / "walk.json")
    assert {path.stem for path in (root / "walk").iterdir()} == {camera.name for camera in walk}
    phones = read_columns(root / "phones.csv")
    assert [level != "P1" for level in phones["level"]] == [False] * 3 + [True]
    frames = sorted((root / "day" / demo_images.TURNED).iterdir())
    assert len(frames) == 2
    grey = cv2.imread(str(frames[0]), cv2.IMREAD_GRAYSCALE)
    assert grey.shape == site.camera(demo_images.TURNED).size[::-1]
    for line in done.out.splitlines()[1:]:
        words = line.split()
        assert words[0] == "geoloc"
        main._parser(words[1], main._load(words[1])).parse_args(words[1:])
