"""`geoloc map`: a site and a run's tracks as picture and page."""

from collections.abc import Callable
from pathlib import Path

from cli_samples import Done

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


def test_tracks_are_not_written_by_map(call: Call, root: Path) -> None:
    done = call("map", "yard", "--root", root, "-o", root / "tracks.csv")
    assert done.code == 2
    assert "unknown ending '.csv'; use .png, .html" in done.err
