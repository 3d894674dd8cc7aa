"""`geoloc undo`: what it would do, what it does, that it lasts, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_samples import Done

from geoloc.geometry.se3 import look_at
from geoloc.io.detection_writers import write_detections
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.storage import load_site, save_site
from geoloc.scene.tables import Detections

Call = Callable[..., Done]
START, STEP = 1_700_000_000.0, 0.2  # s
LEAVES, COMES, NOW, ENDS = 5.0, 10.0, 15.0, 20.0  # s: the cameras go dark, they are back, the operator looks, the end
FIRST, SECOND, FAR = (3.0, 4.0, 0.0), (3.2, 4.1, 0.0), (80.0, 80.0, 0.0)  # m
SET = ("window_s=0.2", "heard_s=0.0", "identity.park_s=3.0")


def lot() -> Site:
    """Two cameras over a car that stands, and one that watches something else."""
    lens, cov = Pinhole(np.array([700.0, 700.0, 639.5, 359.5])), np.diag([1e-6] * 3 + [1e-4] * 3)
    seen = {"gate": ((-8.0, -9.0, 6.0), FIRST), "hall": ((14.0, -8.0, 6.0), FIRST), "back": ((70.0, 70.0, 5.0), FAR)}
    cameras = [
        Camera(name, lens, (1280, 720), look_at(np.array(eye), np.array(at)), cov) for name, (eye, at) in seen.items()
    ]
    return Site("lot", tuple(cameras), SiteMap((Level("ground", (Surface(sigma_z=0.02),)),)))


def boxes(since: float, until: float) -> Detections:
    """A car stands until two cameras go dark; when they are back, another one stands there."""
    rng, rows = np.random.default_rng(3), []
    for k in range(round(ENDS / STEP)):
        time, noise = k * STEP, rng.normal(0, 1.5, (3, 2))
        for camera, off in zip(lot().cameras, noise, strict=True):
            dark = LEAVES <= time < COMES and camera.name != "back"
            xyz = FAR if camera.name == "back" else FIRST if time < LEAVES else SECOND
            foot = camera.project(np.array([xyz]))[0] + off
            if not dark and since <= time + 1e-9 < until:
                box = np.array([[foot[0] - 60, foot[1] - 90, foot[0] + 60, foot[1]]])
                rows.append((START + time, camera.name, box, foot))
    return Detections(
        id=np.arange(len(rows)),
        time=np.array([row[0] for row in rows]),
        camera=np.array([row[1] for row in rows]),
        box=np.concatenate([row[2] for row in rows]),
        foot=np.array([row[3] for row in rows]),
        label=np.full(len(rows), "car"),
        score=np.full(len(rows), 0.9),
    )


@pytest.fixture
def root(tmp_path: Path, call: Call) -> Path:
    """A state whose engine took the second car for the first."""
    save_site(lot(), tmp_path)
    write_detections(tmp_path / "early.jsonl", boxes(0.0, NOW))
    write_detections(tmp_path / "late.jsonl", boxes(NOW, ENDS))
    done = localized(call, tmp_path, "early.jsonl")
    assert done.code == 0, done.err
    return tmp_path


def localized(call: Call, root: Path, boxes: str) -> Done:
    words = ["--root", root, "-o", root / "t.csv", "--state", root / "state"]
    return call("localize", "lot", root / boxes, *words, *(word for one in SET for word in ("--set", one)))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def test_what_was_taken_for_one_is_shown_undone_and_stays_undone(call: Call, root: Path) -> None:
    undo = ("undo", "lot", root / "state", "--root", root)
    (event,) = call(*undo, "list", "--json").json
    number, (other,) = event["number"], event["others"]
    assert event["kind"] == "recognised"
    assert f"event {event['id']}: {other} is {number}, which was lost from sight" in call(*undo, "list").out
    before = contents(root / "state")
    shown = call(*undo, event["id"])
    assert shown.code == 0
    assert f"now:\n  {number} car" in shown.out
    assert f"without it:\n  {number} car hidden" in shown.out
    assert f"\n  {other} car confirmed" in shown.out or f"\n  {other} car parked" in shown.out
    assert "nothing was changed; --yes does it" in shown.out
    assert contents(root / "state") == before
    done = call(*undo, event["id"], "--yes", "--why", "the first is red")
    assert f"{other} is not {number}: taken back: at 22:13:34, the first is red" in done.out
    assert call(*undo, "list").out == "nothing can be undone\n"
    assert localized(call, root, "late.jsonl").code == 0
    place = call("ask", "lot", root / "state", "where", other, "--root", root, "--json").json
    assert (place["object"], place["life"]) == (other, "parked")
    told = call("ask", "lot", root / "state", "lineage", number, "--root", root, "--json").json
    assert [one["kind"] for one in told["events"] if one["others"]] == ["recognised", "undone"]


def test_it_is_in_the_log_and_replayed_without_any_snapshot(call: Call, root: Path) -> None:
    undo = ("undo", "lot", root / "state", "--root", root)
    (event,) = call(*undo, "list", "--json").json
    assert call(*undo, event["id"], "--yes").code == 0
    ask = ("ask", "lot", root / "state", "lineage", event["number"], "--root", root, "--json")
    told = call(*ask).json
    for path in (root / "state").glob("snapshot-*"):
        path.unlink()
    assert call(*ask).json == told
    assert [one["kind"] for one in told["events"] if one["others"]] == ["recognised", "undone"]


def test_a_site_that_was_calibrated_again_meanwhile_is_no_hindrance(call: Call, root: Path) -> None:
    path = root / "calibration" / "lot" / "cameras.json"
    path.write_text(path.read_text().replace("700.0", "701.0"))
    undo = ("undo", "lot", root / "state", "--root", root)
    (event,) = call(*undo, "list", "--json").json
    assert call(*undo, event["id"], "--yes").code == 0
    assert "was made with calibration" in localized(call, root, "late.jsonl").err


def test_what_cannot_be_undone_is_refused_with_the_reason(call: Call, root: Path) -> None:
    undo = ("undo", "lot", root / "state", "--root", root)
    (event,) = call(*undo, "list", "--json").json
    before = contents(root / "state")
    for words, message in (
        (("999", "--yes"), f"no event 999 among those that are remembered; what can be undone: {event['id']}"),
        (("1", "--yes"), "event 1 (2 is new: at 22:13:20) took no two objects for one"),
        (("last", "--yes"), "give the number of an event, or: list"),
    ):
        done = call(*undo, *words)
        assert done.code == 2
        assert message in done.err
    assert contents(root / "state") == before
    assert call(*undo, event["id"], "--yes").code == 0
    again = call(*undo, event["id"], "--yes")
    assert again.code == 2
    assert "was undone, split again, or is too long ago; nothing can be undone" in again.err


def test_a_state_that_an_engine_is_at_work_on_is_shown_and_not_changed(call: Call, root: Path) -> None:
    undo = ("undo", "lot", root / "state", "--root", root)
    (event,) = call(*undo, "list", "--json").json
    with JournaledLocalizer.open(load_site("lot", root), root / "state"):
        assert call(*undo, event["id"]).code == 0
        done = call(*undo, event["id"], "--yes")
        assert done.code == 2
        assert "another process is at work on this state" in done.err
