"""`geoloc localize --state` and `geoloc ask`: a state over restarts, and questions to it."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_samples import START, Done, walkers, yard

from geoloc.io.detection_writers import write_detections
from geoloc.io.tracks import read_tracks

Call = Callable[..., Done]


@pytest.fixture
def kept(call: Call, root: Path) -> Path:
    done = call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "t.csv", "--state", root / "state")
    assert done.code == 0
    return root


def test_two_files_with_one_state_are_as_one(call: Call, root: Path) -> None:
    whole = walkers(yard())
    early = whole.time < START + 2.0
    write_detections(root / "one.csv", whole.take(early))
    write_detections(root / "two.csv", whole.take(~early))
    common = ("--root", root, "--state", root / "state", "-o")
    assert call("localize", "yard", root / "one.csv", *common, root / "a.csv").code == 0
    done = call("localize", "yard", root / "two.csv", *common, root / "b.csv")
    assert "goes on after 20 windows" in done.out
    call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "c.csv")
    parts = [read_tracks(root / name) for name in ("a.csv", "b.csv")]
    straight = read_tracks(root / "c.csv")
    joined = type(straight).concat(parts)
    order = np.lexsort((joined.time, joined.track))
    assert (joined.track[order] == straight.track).all()
    np.testing.assert_array_equal(joined.xy[order], straight.xy)


def test_the_same_command_again_has_nothing_left_to_do(call: Call, kept: Path) -> None:
    words = ("--root", kept, "-o", kept / "again.csv", "--state", kept / "state")
    done = call("localize", "yard", kept / "boxes.csv", *words)
    assert done.code == 0
    assert "goes on after 40 windows" in done.out
    assert "tracks     0 with 0 positions" in done.out


def test_other_options_are_refused_with_what_to_do(call: Call, kept: Path) -> None:
    words = ("--root", kept, "-o", kept / "x.csv", "--state", kept / "state", "--set", "tracking.birth_score=0.2")
    done = call("localize", "yard", kept / "boxes.csv", *words)
    assert done.code == 2
    assert "option tracking.birth_score is 0.2, and 0.5 in this state; continue with its own options" in done.err


def test_where_for_people_and_for_machines(call: Call, kept: Path) -> None:
    ask = ("ask", "yard", kept / "state", "--root", kept)
    done = call(*ask, "where", "3")
    assert done.code == 0
    assert "3 person" in done.out
    assert re.search(r"in sight, by gate, hall, calibration [0-9a-f]{12}, revision 0", done.out)
    assert "the site's calibration: " in done.out
    told = call(*ask, "where", "3", "--time", "2023-11-14T22:13:22", "--json").json
    assert told["time"] == START + 2.0
    assert told["provenance"]["cameras"] == ["gate", "hall"]
    assert len(call(*ask, "at", "--json").json) == 3
    assert len(call(*ask, "who", "ground", "--from", str(START), "--json").json) == 3
    assert call(*ask, "occupancy", "--json").json["levels"] == [["ground", 3]]
    assert "3 is new: at 22:13:20" in call(*ask, "lineage", "3").out
    told = call(*ask, "lineage", "3", "--json").json
    assert (told["numbers"], told["edges"], told["events"][0]["kind"]) == ([3], [], "born")


def test_packets_go_on_where_they_ended(call: Call, root: Path) -> None:
    text = (root / "boxes.csv").read_text().splitlines()
    late = [*text[7:61], *text[1:7], *text[61:]]  # two frames come second after second
    (root / "log.csv").write_text("\n".join([text[0], *late]) + "\n")
    (root / "begun.csv").write_text("\n".join([text[0], *late[:96]]) + "\n")
    words = ("--root", root, "--packets", "-o", root / "t.csv")
    call("localize", "yard", root / "log.csv", *words)
    straight = read_tracks(root / "t.csv")
    state = ("--state", root / "state")
    assert call("localize", "yard", root / "begun.csv", *words, *state).code == 0
    done = call("localize", "yard", root / "log.csv", *words, *state)
    assert "goes on after" in done.out
    rest = read_tracks(root / "t.csv")
    first = rest.time.min()
    assert first > START + 1.0
    assert rest == straight.take(straight.time >= first)
    again = call("localize", "yard", root / "log.csv", *words, *state)
    assert "tracks     0 with 0 positions" in again.out


def test_a_new_calibration_is_refused_until_told(call: Call, kept: Path) -> None:
    path = kept / "calibration" / "yard" / "cameras.json"
    path.write_text(path.read_text().replace("800.0", "801.0"))
    words = ("localize", "yard", kept / "boxes.csv", "--root", kept, "-o", kept / "x.csv", "--state", kept / "state")
    done = call(*words)
    assert done.code == 2
    assert "was made with calibration" in done.err
    assert call("ask", "yard", kept / "state", "where", "3", "--root", kept).code == 0
    assert call(*words, "--changed", "calibration").code == 0
    assert call(*words).code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("where", "seven"), "give the number of an object"),
        (("where", "99"), "no object 99 was there"),
        (("who",), "give the name of a zone, stall or level"),
        (("stall", "A1"), "unknown stall 'A1'"),
        (("at", "--time", "noon"), "write UTC Unix seconds, or such as"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    call: Call, kept: Path, words: tuple[str, ...], message: str
) -> None:
    done = call("ask", "yard", kept / "state", *words, "--root", kept)
    assert done.code == 2
    assert message in done.err


def test_a_folder_without_a_state_is_refused(call: Call, root: Path) -> None:
    done = call("ask", "yard", root / "nothing", "at", "--root", root)
    assert done.code == 2
    assert "holds no state" in done.err


def test_smoothed_numbers_are_not_given_again_live(call: Call, root: Path) -> None:
    boxes = walkers(yard(), 8.0)
    hidden = (boxes.time >= START + 1.0) & (boxes.time < START + 2.0) & (boxes.id % 3 == 0)
    early, late = boxes.time < START + 4.0, boxes.time >= START + 5.0
    write_detections(root / "one.csv", boxes.take(early & ~hidden))
    moved = boxes.take(late)
    write_detections(root / "two.csv", moved.replace(box=moved.box + np.array([60.0, 0.0, 60.0, 0.0])))
    never = ("linking.goes_on=1e-6", "linking.same_probability=1.0", "linking.open_same_probability=1.0")
    cut = tuple(word for one in never for word in ("--set", one))
    common = ("--root", root, "--state", root / "state", *cut, "-o")
    assert call("localize", "yard", root / "one.csv", "--smooth", *common, root / "a.csv").code == 0
    given = set(read_tracks(root / "a.csv").track.tolist())
    assert len(given) == 4
    assert call("localize", "yard", root / "two.csv", *common, root / "b.csv").code == 0
    again = set(read_tracks(root / "b.csv").track.tolist())
    assert max(given) not in again
