"""`geoloc map`: a site and a run's tracks as picture and page."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from cli_samples import Done

from geoloc.scene.storage import load_site

Call = Callable[..., Done]


def test_a_site_alone_is_drawn(call: Call, root: Path) -> None:
    done = call("map", "yard", "--root", root, "-o", root / "out")
    assert done.code == 0
    assert (root / "out" / "plan.png").read_bytes().startswith(b"\x89PNG")
    assert "yard" in (root / "out" / "map.html").read_text()


def test_tracks_of_a_run_are_drawn(call: Call, root: Path) -> None:
    call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "tracks.csv")
    done = call("map", "yard", root / "tracks.csv", "--root", root, "-o", root / "plan.png", "--json")
    assert done.json == {"site": "yard", "cameras": 2, "tracks": 3, "written": [str(root / "plan.png")]}
    alone = call("map", "yard", "--root", root, "-o", root / "alone.png")
    assert alone.code == 0
    assert (root / "plan.png").read_bytes() != (root / "alone.png").read_bytes()


def test_a_file_that_holds_no_tracks_is_refused(call: Call, root: Path) -> None:
    done = call("map", "yard", root / "boxes.csv", "--root", root, "-o", root / "plan.png")
    assert done.code == 2
    assert "not tracks of geoloc" in done.err
    assert not (root / "plan.png").exists()


def test_tracks_go_into_files_for_other_tools_and_what_is_lost_is_said(call: Call, root: Path) -> None:
    call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "tracks.csv")
    out = [root / "a.kmz", root / "a.mfjson", root / "a.tum", root / "a.html"]
    to = [word for path in out for word in ("-o", path)]
    done = call("map", "yard", root / "tracks.csv", "--root", root, *to, "--track", 1)
    assert done.code == 0
    assert all(path.is_file() for path in out)
    lines = done.out.splitlines()
    assert len(lines) == 4
    assert f"wrote {root / 'a.tum'} (tum): without uncertainty, level" in done.out
    done = call("map", "yard", root / "tracks.csv", "--root", root, "-o", root / "a.kml", "--json")
    assert done.json["tracks"] == 3
    assert "covariance" in done.json["without"][str(root / "a.kml")]


def test_landmarks_go_into_a_scene(call: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 3.0]])
    monkeypatch.setattr("geoloc.cli.map.load_landmarks", lambda path, mapped: SimpleNamespace(points=points))
    for words in (("a.ply",), ("b.ply", "--landmarks", "any.npz")):
        assert call("map", "yard", "--root", root, "-o", root / words[0], *words[1:]).code == 0
    more = (root / "b.ply").stat().st_size - (root / "a.ply").stat().st_size
    assert abs(more - 2 * 27) <= 2  # 27 bytes a vertex, and the digits of their number


def test_an_ending_that_is_none_is_refused(call: Call, root: Path) -> None:
    done = call("map", "yard", "--root", root, "-o", root / "tracks.shp")
    assert done.code == 2
    assert "unknown ending '.shp'; use .png, .svg" in done.err


def test_films_stills_and_alarms_of_a_run(call: Call, root: Path) -> None:
    """A film of a span; a folder with each still drawn over; a page that knows of a camera's alarm."""
    call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "tracks.csv")
    site = load_site("yard", root)
    for camera in site.cameras:
        (root / "stills").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "stills" / f"{camera.name}.png"), np.full((*camera.size[::-1], 3), 120, np.uint8))
    alarm = {"camera": site.cameras[0].name, "state": "moved", "since": 0.0, "raised": 1.0, "ended": None}
    (root / "alarms.json").write_text(json.dumps({"alarms": [alarm]}))
    words = ("map", "yard", root / "tracks.csv", "--root", root, "--stills", root / "stills", "--dpi", 40)
    done = call(*words, "-o", root / "out", "--alarms", root / "alarms.json", "--to", "+2")
    assert done.code == 0, done.err
    drawn = sorted(path.name for path in (root / "out").rglob("*") if path.is_file())
    assert drawn == sorted(["map.html", "mosaic.png", "plan.png", *(f"{camera.name}.jpg" for camera in site.cameras)])
    assert '"moved"' in (root / "out" / "map.html").read_text()
    done = call(*words, "-o", root / "a.gif", "--from", "+0.5", "--to", "+1", "--speed", 1)
    assert done.code == 0, done.err
    assert (root / "a.gif").read_bytes().startswith(b"GIF89a")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--from", "noon"), "time 'noon'"),
        (("--from", "+900000"), "it has no tracks from"),
        (("--alarms", "boxes.csv"), "JSON breaks"),
        (("--gallery", "nowhere"), "no gallery there"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(call: Call, root: Path, words: tuple[str, str], says: str) -> None:
    call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "tracks.csv")
    given = (words[0], root / words[1] if words[0] != "--from" else words[1])
    done = call("map", "yard", root / "tracks.csv", "--root", root, "-o", root / "a.html", *given)
    assert done.code == 2
    assert says in done.err
    assert not (root / "a.html").exists()
