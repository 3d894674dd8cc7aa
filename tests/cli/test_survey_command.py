"""`geoloc survey`: files that other commands read, and refusals that name what to mend."""

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "perception"))
from survey_lot import N_STALLS, bare, lot, stills_of

from geoloc.cli.main import main
from geoloc.io.marks import read_marks
from geoloc.io.points import read_points
from geoloc.io.world_files import read_plan_image
from geoloc.scene.proposals import load_proposals
from geoloc.scene.storage import save_site


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A root with the lot, and a folder of its stills."""
    root = tmp_path_factory.mktemp("survey")
    save_site(bare(lot()), root)
    for name, still in stills_of(lot()).items():
        (root / "stills").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "stills" / f"{name}.png"), still)
    return root


def survey(drawn, capsys, *more, stills="stills"):
    status = main(["survey", "lot", str(drawn / stills), "--root", str(drawn), "-o", str(drawn / "out"), *more])
    out, err = capsys.readouterr()
    return status, out, err.strip().splitlines()[-1] if err.strip() else ""


def test_what_a_survey_writes_is_what_other_commands_read(drawn, capsys):
    status, out, _ = survey(drawn, capsys, "--json")
    report = json.loads(out)
    assert status == 0
    assert report["levels"]["lot"]["stalls_proposed"] == N_STALLS
    assert all(Path(path).is_file() for path in report["written"])
    site = bare(lot())
    assert len(load_proposals(drawn / "out" / "stalls.geojson", site.site_map)) == N_STALLS
    size = cv2.imread(str(drawn / "out" / "lot-mosaic.png")).shape[1::-1]
    plan = read_plan_image(drawn / "out" / "lot-mosaic.png", size)
    x, y = plan.xy(np.array([[0, 0], [size[0] - 1, size[1] - 1]])).T
    assert 0 <= min(x) < max(x) <= 22.5 and 0 <= min(y) < max(y) <= 18.5  # noqa: PT018
    points = read_points(drawn / "out" / "landmarks.csv").points
    marks = read_marks(drawn / "out" / "marks.csv").marks
    assert set(marks.point.tolist()) <= {point.name for point in points}
    assert set(marks.camera.tolist()) <= {"east", "west"}


def test_a_still_of_another_camera_is_named(drawn, capsys):
    shutil.copytree(drawn / "stills", drawn / "strange")
    (drawn / "strange" / "west.png").rename(drawn / "strange" / "wst.png")
    status, _, said = survey(drawn, capsys, stills="strange")
    assert status == 2
    assert "unknown camera 'wst'" in said
    assert "'west'" in said


def test_a_still_of_another_shape_is_named(drawn, capsys):
    (drawn / "cut").mkdir()
    cv2.imwrite(str(drawn / "cut" / "west.png"), np.full((300, 960, 3), 90, np.uint8))
    status, _, said = survey(drawn, capsys, stills="cut")
    assert status == 2
    assert "960 x 300, its camera 960 x 540" in said


def test_night_in_every_still_is_refused_with_the_next_step(drawn, capsys):
    (drawn / "night").mkdir()
    cv2.imwrite(str(drawn / "night" / "west.png"), np.full((540, 960, 3), 6, np.uint8))
    status, _, said = survey(drawn, capsys, stills="night")
    assert status == 2
    assert "take one by day or with the lamps on" in said


def test_a_folder_without_stills_is_refused(drawn, capsys):
    (drawn / "empty").mkdir()
    assert survey(drawn, capsys, stills="empty")[0] == 2
    assert "name them after their cameras" in survey(drawn, capsys, stills="empty")[2]
