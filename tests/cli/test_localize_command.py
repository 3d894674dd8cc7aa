"""`geoloc localize`: files in, files out, and a report that hides nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_samples import START, Done, walkers, yard

import geoloc
from geoloc.io.detection_writers import write_detections
from geoloc.io.tracks import read_tracks
from geoloc.pipeline.localizer import localize
from geoloc.scene.lenses import Pinhole
from geoloc.scene.storage import save_site
from geoloc.scene.versions import save_version

Call = Callable[..., Done]


def test_a_folder_gets_every_form_and_the_run(call: Call, root: Path) -> None:
    done = call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "out")
    assert done.code == 0
    names = {path.name for path in (root / "out").iterdir()}
    assert names == {"tracks.geojson", "tracks.csv", "plan.png", "map.html", "run.json"}
    assert "tracks     3 with" in done.out
    assert "% |" in done.err  # the progress bar


def test_tracks_are_those_of_the_api(call: Call, root: Path) -> None:
    call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "tracks.csv")
    site = yard()
    tracks = localize(walkers(site), site)
    tracks = tracks.take(tracks.state != "tentative")
    written = read_tracks(root / "tracks.csv")
    order = np.lexsort((tracks.time, tracks.track))
    np.testing.assert_allclose(written.xy, tracks.xy[order], atol=1e-9)
    assert (written.track == tracks.track[order]).all()


def test_the_run_is_written_beside_its_result(call: Call, root: Path) -> None:
    (root / "busy.toml").write_text("[tracking]\nacceleration = 2.0\nlifetime_s = 30\n")
    words = ("--options", root / "busy.toml", "--set", "tracking.acceleration=3", "--set", "window_s=0.2")
    call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "tracks.csv", *words)
    run = json.loads((root / "tracks.run.json").read_text())
    assert run["geoloc"] == geoloc.__version__
    tracking = run["options"]["tracking"]
    assert (tracking["acceleration"], tracking["lifetime_s"], tracking["max_coast_s"]) == (3.0, 30.0, 5.0)
    assert run["options"]["window_s"] == 0.2
    assert run["command"].startswith("geoloc localize yard ")


def test_unknown_option_is_refused_with_the_nearest_before_any_work(call: Call, root: Path) -> None:
    words = ("--root", root, "-o", root / "out", "--set", "tracking.acceleratoin=3")
    done = call("localize", "yard", root / "boxes.csv", *words)
    assert done.code == 2
    assert "did you mean 'tracking.acceleration'?" in done.err
    assert not (root / "out").exists()


def test_what_was_skipped_and_dropped_is_counted_by_reason(call: Call, root: Path) -> None:
    lines = (root / "boxes.csv").read_text().splitlines()
    bad = [
        f"{START},gate,100,100,90,200,person,0.9",
        f"{START * 1000},gate,100,100,190,200,person,0.9",
        f"{START},nowhere,100,100,190,200,person,0.9",
        f"{START},gate,100,100,nan,200,person,0.9",
        f"{START},gate,100",
    ]
    (root / "boxes.csv").write_text("\n".join([*lines, *bad]) + "\n")
    done = call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "tracks.csv", "--json")
    report = done.json
    assert report["rows_read"] == len(lines) - 1 + len(bad)
    assert report["rows_dropped"] == {"unknown camera 'nowhere'": 1}
    assert sum(report["rows_skipped"].values()) == 4
    assert "time looks like milliseconds: divide it by 1000" in report["rows_skipped"]
    assert report["tracks"] == 3


def test_an_empty_file_gives_no_tracks_and_says_so(call: Call, root: Path) -> None:
    (root / "boxes.csv").write_text("")
    done = call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "out")
    assert done.code == 0
    assert "the file is empty" in done.out
    assert len(read_tracks(root / "out" / "tracks.csv")) == 0


def test_files_of_one_camera_each_are_one_recording(call: Call, root: Path) -> None:
    site = yard()
    boxes = walkers(site)
    for name in ("gate", "hall"):
        own = boxes.take(boxes.camera == name)
        corner = own.box[:, :2] + 1.0  # MOTChallenge counts pixels from 1
        rows = np.column_stack([1 + np.round((own.time - START) * 10), corner, own.box[:, 2:] - own.box[:, :2]])
        text = "".join(f"{r[0]:.0f},-1,{r[1]},{r[2]},{r[3]},{r[4]},0.9,-1,-1,-1\n" for r in rows)
        (root / f"{name}.txt").write_text(text)
    words = ("--root", root, "--fps", "10", "--start", str(START), "-o", root / "tracks.csv", "--json")
    done = call("localize", "yard", f"gate={root / 'gate.txt'}", f"hall={root / 'hall.txt'}", *words)
    assert (done.code, done.json["tracks"], done.json["cameras"]) == (0, 3, 2)


def test_a_camera_that_the_site_lacks_is_named(call: Call, root: Path) -> None:
    done = call("localize", "yard", f"gtae={root / 'boxes.csv'}", "--root", root, "-o", root / "out")
    assert done.code == 2
    assert "did you mean 'gate'?" in done.err


def test_a_site_without_a_datum_gets_no_geojson(call: Call, tmp_path: Path) -> None:
    site = yard(datum=False)
    save_site(site, tmp_path)
    write_detections(tmp_path / "boxes.csv", walkers(site, 1.0))
    words = ("localize", "yard", tmp_path / "boxes.csv", "--root", tmp_path)
    assert call(*words, "-o", tmp_path / "out").code == 0
    assert not (tmp_path / "out" / "tracks.geojson").exists()
    asked = call(*words, "-o", tmp_path / "tracks.geojson")
    assert asked.code == 2
    assert "datum" in asked.err


def test_an_unknown_ending_is_refused_before_any_work(call: Call, root: Path) -> None:
    done = call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "tracks.kml")
    assert done.code == 2
    assert "unknown ending '.kml'" in done.err


def test_smoothing_uses_what_came_after(call: Call, root: Path) -> None:
    words = ("localize", "yard", root / "boxes.csv", "--root", root)
    call(*words, "-o", root / "online.csv")
    call(*words, "-o", root / "smooth.csv", "--smooth")
    online, smooth = read_tracks(root / "online.csv"), read_tracks(root / "smooth.csv")
    assert len(smooth) >= len(online)
    first = [table.cov[table.time == table.time.min(), 2, 2].max() for table in (online, smooth)]
    assert first[1] < 0.5 * first[0], first  # the first velocity is known from what followed


@pytest.mark.parametrize("text", ['{"type": "FeatureCollection", "features": []}', "\x89PNG\r\n"])
def test_a_file_of_another_kind_is_refused_with_what_it_looks_like(call: Call, root: Path, text: str) -> None:
    (root / "boxes.csv").write_bytes(text.encode("latin-1"))
    done = call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "out")
    assert done.code == 2
    assert "looks like" in done.err


def test_a_recording_takes_the_cameras_that_were_true_then(call: Call, root: Path) -> None:
    site = yard()
    later = replace(site.cameras[0], lens=Pinhole(np.array([900.0, 900.0, 639.5, 359.5])))
    save_version("yard", site.cameras, root, "ann", "first", valid_from=START - 10)
    save_version("yard", (later, site.cameras[1]), root, "ann", "zoomed", valid_from=START + 1e6)
    words = ("localize", "yard", root / "boxes.csv", "--root", root)
    try:
        call(*words, "-o", root / "now.csv")
        call(*words, "-o", root / "then.csv", "--calibrated-at", START)
        tracks = localize(walkers(site), site)
        tracks = tracks.take(tracks.state != "tentative")
        then, now = read_tracks(root / "then.csv"), read_tracks(root / "now.csv")
        order = np.lexsort((tracks.time, tracks.track))
        np.testing.assert_allclose(then.xy, tracks.xy[order], atol=1e-9)
        assert len(now) != len(then) or not np.allclose(now.xy, then.xy, atol=0.01)
    finally:
        save_site(site, root)


def test_clocks_that_cannot_be_compared_are_refused_with_the_reason(call: Call, root: Path) -> None:
    done = call("localize", "yard", root / "boxes.csv", "--clocks", "--root", root, "-o", root / "out")
    assert done.code == 2
    assert "no two cameras' clocks can be compared" in done.err
    assert "give a longer recording of moving objects" in done.err


def test_what_was_learned_of_the_clocks_is_reported(call: Call, root: Path) -> None:
    done = call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "out", "--json")
    report = json.loads(done.out)["clock_offsets_s"], json.loads(done.out)["clock_sigmas_s"]
    assert report[0].keys() == report[1].keys() == {camera.name for camera in yard().cameras}
    assert max(map(abs, report[0].values())) < 0.05  # s; the boxes are of one clock


def test_a_log_of_packets_is_put_in_order_and_what_it_took_is_reported(call: Call, root: Path) -> None:
    text = (root / "boxes.csv").read_text().splitlines()
    (root / "log.csv").write_text("\n".join([text[0], *text[4:], *text[1:4], text[10]]) + "\n")
    words = "--root", root, "-o", root / "out", "--json"
    plain = json.loads(call("localize", "yard", root / "boxes.csv", *words).out)
    packets = json.loads(call("localize", "yard", root / "log.csv", "--packets", *words).out)
    assert packets["positions"] == plain["positions"]
    assert packets["packets"]["frames out of order"] > 0
    assert sum(packets["packets"].values()) > 1
