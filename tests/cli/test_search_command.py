"""From boxes and pictures to a gallery, and from a picture to an object: who it is, where it is, who it is not."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_samples import SIZE, START, walkers, yard

from geoloc.io.detection_writers import write_detections
from geoloc.scene.tables import Detections

CLOTHES = ((40, 40, 210), (200, 120, 30), (60, 190, 60))  # BGR of the three walkers: red, blue, green


def dressed(path: Path, detections: Detections, every: int = 5) -> None:
    """Pictures of the yard, some of them, with the walkers in colours, called by their times."""
    rng = np.random.default_rng(5)
    steps = np.unique(detections.time)[::every]
    for camera in ("gate", "hall"):
        (path / camera).mkdir(parents=True)
        for time in steps.tolist():
            picture = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
            rows = np.flatnonzero((detections.time == time) & (detections.camera == camera))
            for colour, box in zip(CLOTHES, detections.box[rows].round().astype(int).tolist(), strict=True):
                cv2.rectangle(picture, tuple(box[:2]), tuple(box[2:]), colour, -1)
                middle = (box[1] + box[3]) // 2
                cv2.rectangle(picture, (box[0], middle), tuple(box[2:]), tuple(c // 3 for c in colour), -1)
            noisy = picture + rng.normal(0, 4, picture.shape)
            cv2.imwrite(str(path / camera / f"{time:.1f}.png"), np.clip(noisy, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The yard, its boxes and pictures, its state and gallery."""
    from geoloc.cli.main import main
    from geoloc.scene.storage import save_site

    root = tmp_path_factory.mktemp("yard")
    site = yard()
    save_site(site, root)
    boxes = walkers(site)
    write_detections(root / "boxes.csv", boxes)
    dressed(root / "frames", boxes)
    words = ["localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "out", "--state", root / "state"]
    assert main([str(word) for word in (*words, "--gallery", "--images", root / "frames")]) == 0
    for number, colour in enumerate((*CLOTHES, (230, 230, 230))):
        crop = np.full((90, 36, 3), colour, np.uint8)
        crop[45:] //= 3
        cv2.imwrite(str(root / f"crop-{number}.png"), crop)
    return root


def asked(call, seen: Path, *words: object):
    return call("search", "yard", *words, "--root", seen)


def test_a_picture_finds_its_object_and_where_it_is(call, seen: Path) -> None:
    answers = [
        asked(call, seen, seen / f"crop-{number}.png", "--state", seen / "state", "--json").json for number in range(3)
    ]
    first = [answer["matches"][0] for answer in answers]
    assert len({match["object"] for match in first}) == 3
    assert [match["color"] for match in first] == ["red", "blue", "green"]
    for answer, match in zip(answers, first, strict=True):
        assert match["reasons"][0]["signal"] == "looks"
        where = answer["whereabouts"][0]
        assert where["object"] == match["object"]
        assert where["now"]["level"] == "ground"
        assert where["been"][0]["start"] >= START - 1
    # the red one walks along y at x = -3, the blue one along x at y = 2, the green one stands
    assert answers[0]["whereabouts"][0]["now"]["xy"][0] == pytest.approx(-3.0, abs=0.5)
    assert answers[2]["whereabouts"][0]["now"]["xy"] == pytest.approx([3.0, -2.0], abs=0.5)


def test_the_answer_is_told_in_words(call, seen: Path) -> None:
    done = asked(call, seen, seen / "crop-0.png", "--state", seen / "state")
    assert done.code == 0
    assert "looks like it as seen by" in done.out
    assert "not here" in done.out
    assert "now, " in done.out


def test_filters_narrow_the_answer(call, seen: Path) -> None:
    near = asked(call, seen, seen / "crop-0.png", "--near", "3,-2,1", "--json").json
    assert {match["color"] for match in near["matches"]} == {"green"}
    late = asked(call, seen, seen / "crop-0.png", "--when", f"{START + 1e6}..", "--json").json
    assert (late["matches"], late["not_here"]) == ([], 1.0)
    blue = asked(call, seen, seen / "crop-0.png", "--color", "blue", "--class", "person", "--by", "gate", "--json").json
    assert {match["color"] for match in blue["matches"]} == {"blue"}


def test_a_box_of_a_picture_is_searched(call, seen: Path) -> None:
    still = seen / "frames" / "gate" / f"{START:.1f}.png"
    boxes = walkers(yard())
    row = np.flatnonzero((boxes.time == START) & (boxes.camera == "gate"))[1]
    box = boxes.box[row].round().astype(int).tolist()
    found = asked(call, seen, still, "--box", ",".join(map(str, box)), "--json").json
    assert found["matches"][0]["color"] == "blue"
    outside = asked(call, seen, still, "--box", "5000,10,5100,50")
    assert (outside.code, "shows nothing" in outside.err) == (2, True)


def test_a_picture_may_tell_by_which_camera_and_when_it_was_taken(call, seen: Path) -> None:
    crop = seen / "crop-0.png"
    found = asked(call, seen, crop, "--taken", f"gate,{START + 600.0}", "--json").json
    assert found["matches"][0]["color"] == "red"
    unknown = asked(call, seen, crop, "--taken", f"gatee,{START}")
    assert (unknown.code, "did you mean 'gate'" in unknown.err) == (2, True)
    timeless = asked(call, seen, crop, "--taken", "gate")
    assert (timeless.code, "give a camera and a time" in timeless.err) == (2, True)


def test_an_object_of_the_gallery_is_held_against_the_others(call, seen: Path) -> None:
    number = asked(call, seen, seen / "crop-1.png", "--json").json["matches"][0]["object"]
    found = asked(call, seen, "--object", number, "--json").json
    assert {match["object"] for match in found["matches"]} == {1, 2, 3} - {number}
    assert {"looks", "color"} <= {reason["signal"] for reason in found["matches"][0]["reasons"]}
    assert found["not_here"] > 0.9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give pictures of the object, or --object"),
        (("--object", "99"), "no object 99"),
        (("--object", "1", "--near", "3"), "give x,y or x,y,radius"),
        (("--object", "1", "--near", "a,b"), "give x,y or x,y,radius"),
        (("--object", "1", "--when", "yesterday"), "write UTC Unix seconds"),
        (("--object", "1", "--gallery", "nowhere"), "no gallery; make one with geoloc localize"),
        (("nothing.jpg",), "cannot be read"),
        (("--forget", "99"), "object 99"),
        (("--object", "1", "--by", "gatee"), "did you mean 'gate'"),
        (("--object", "1", "--level", "grund"), "did you mean 'ground'"),
        (("--object", "1", "--color", "reddish"), "did you mean 'red'"),
        (("--object", "1", "--near", "0,0,1e200"), "give metres up to"),
        (("--object", "1", "--taken", "gate,0"), "leave them out with --object"),
        (("nothing.jpg", "--forget", "1"), "give it alone"),
        (("--calibrate", "--forget", "1"), "give it alone"),
        (("--restore", "before"), "no snapshot 'before'"),
        (("--calibrate",), "no track is seen twice"),
    ],
)
def test_bad_questions_are_refused_in_one_line(call, seen: Path, words, said: str) -> None:
    done = asked(call, seen, *words)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_forgotten_object_is_gone_and_a_snapshot_forgets_it_too(call, seen: Path) -> None:
    assert asked(call, seen, "--snapshot", "before").code == 0
    number = asked(call, seen, seen / "crop-2.png", "--json").json["matches"][0]["object"]
    proof = asked(call, seen, "--forget", number, "--state", seen / "state")
    assert "nothing is left" in proof.out
    assert "snapshot before" in proof.out
    assert asked(call, seen, "--restore", "before").code == 0
    left = asked(call, seen, seen / "crop-2.png", "--json").json["matches"]
    assert number not in {match["object"] for match in left}


def test_boxes_with_embeddings_need_no_pictures(call, seen: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    boxes = walkers(yard())
    who = np.tile(np.arange(3), len(boxes) // 3)
    true = np.eye(3, 16)
    boxes = boxes.replace(embedding=true[who] + 0.02 * rng.normal(size=(len(boxes), 16)))
    write_detections(tmp_path / "boxes.jsonl", boxes)
    words = ("localize", "yard", tmp_path / "boxes.jsonl", "--root", seen, "-o", tmp_path / "out")
    done = call(*words, "--gallery", tmp_path / "gallery")
    assert "views kept" in done.out
    picture = asked(call, seen, seen / "crop-0.png", "--gallery", tmp_path / "gallery")
    assert "vectors are made elsewhere" in picture.err
    own = asked(call, seen, "--object", "1", "--gallery", tmp_path / "gallery", "--json").json
    assert {match["object"] for match in own["matches"]} == {2, 3}


def test_a_gallery_without_looks_is_refused(call, seen: Path, tmp_path: Path) -> None:
    words = ("localize", "yard", seen / "boxes.csv", "--root", seen, "-o", tmp_path / "out", "--gallery", tmp_path)
    done = call(*words)
    assert (done.code, "the boxes have no embeddings; give --images" in done.err) == (2, True)
    (tmp_path / "frames" / "gate").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "frames" / "gate" / "5.png"), np.zeros((20, 20, 3), np.uint8))
    done = call(*words, "--images", tmp_path / "frames")
    assert "no picture shows a box at its time" in done.err
    assert done.code == 2


def test_what_json_holds_is_json(call, seen: Path) -> None:
    done = asked(call, seen, seen / "crop-3.png", "--json")
    assert set(json.loads(done.out)) == {
        "not_here", "unlisted", "objects_searched", "likeness", "matches", "whereabouts"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["answer.txt", "answer", "answer.jpg"])
def test_a_picture_of_another_form_is_refused_before_anything_is_read(call, tmp_path: Path, name: str) -> None:
    done = call("search", "nowhere", tmp_path / "none.jpg", "--plot", tmp_path / name, "--root", tmp_path)
    assert done.code == 2
    assert "give a file that ends in .png" in done.err
    assert not list(tmp_path.iterdir())
