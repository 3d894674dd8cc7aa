"""`geoloc mark`: the page is served until it is ended, and wrong calls end at once."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_samples import Done
from PIL import Image

from geoloc.io.world_files import write_world_file

Call = Callable[..., Done]


@pytest.fixture
def stills(root: Path) -> Path:
    (root / "stills").mkdir()
    for camera in ("gate", "new"):
        Image.new("RGB", (1280, 720)).save(root / "stills" / f"{camera}.png")
    return root / "stills"


def test_the_page_is_served_until_it_is_ended(root: Path, stills: Path) -> None:
    (root / "calibration" / "yard" / "marks.csv").write_text("camera,point,u,v\ngate,a,1,2\n")
    write_world_file(stills.parent / "plan.pgw", np.array([[0.1, 0, -30], [0, -0.1, 30]]))
    Image.new("RGB", (600, 600)).save(stills.parent / "plan.png")
    words = ["mark", "yard", "--root", root, "--stills", stills, "--plan", root / "plan.png", "--no-browser"]
    command = [sys.executable, "-m", "geoloc", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        url = running.stdout.readline().strip()
        try:
            names = ("site", "state", "solve/0", "solve/1")
            data = {name: json.load(urllib.request.urlopen(url + name)) for name in names}
        finally:
            running.terminate()
            _, said = running.communicate(timeout=20)
    assert running.returncode == 0
    assert "1 marks in" in said
    assert [camera["name"] for camera in data["site"]["cameras"]] == ["gate", "new"]
    np.testing.assert_allclose(data["site"]["plan"]["affine"], [[0.1, 0, -30], [0, -0.1, 30]], atol=1e-9)
    assert data["state"]["marks"]["gate"] == [{"point": "a", "u": 1.0, "v": 2.0, "sigma": 1.0}]
    assert data["solve/0"]["camera"]["height"] == pytest.approx(5.0)
    assert data["solve/1"]["refused"][0][0] == "0 marks at points of the map; pose and focal length need at least 5"


def test_a_site_without_cameras_can_be_marked(call: Call, root: Path, stills: Path) -> None:
    (root / "calibration" / "yard" / "cameras.json").unlink()
    done = call("mark", "yard", "--root", root, "--stills", stills, "--port", "70000", "--no-browser")
    assert done.code == 2
    assert "--port 70000" in done.err
    (root / "calibration" / "yard" / "marks.csv").write_text("camera,point\n")
    done = call("mark", "yard", "--root", root, "--stills", stills, "--no-browser")
    assert "no column 'u'" in done.err  # the cameras were not missed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--stills", "nowhere"), "no stills; put one picture a camera there"),
        (("--stills", "stills", "--plan", "stills/gate.png"), "no world file beside it"),
        (("--stills", "stills", "--port", "-1"), "--port -1"),
    ],
)
def test_wrong_calls_end_with_2_and_the_next_step(
    call: Call, root: Path, stills: Path, words: tuple[str, ...], said: str
) -> None:
    paths = [str(root / word) if word[0].isalpha() else word for word in words]
    done = call("mark", "yard", "--root", root, "--no-browser", *paths)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_an_unknown_site_names_the_nearest(call: Call, root: Path, stills: Path) -> None:
    done = call("mark", "yart", "--root", root, "--stills", stills)
    assert done.code == 2
    assert "did you mean 'yard'?" in done.err
