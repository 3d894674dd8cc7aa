"""Files of tracks as others write them: what can be read is, the rest is counted and named."""

from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.io.track_tables import IGNORED, TrackFileOptions, is_box_file, read_positions, read_track_boxes
from geoloc.io.tracks import write_tracks
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Tracks

GARAGE = Path(__file__).parents[2] / "fixtures" / "garage"


def test_malformed_rows_are_skipped_counted_and_named(tmp_path: Path) -> None:
    file = tmp_path / "walks.csv"
    file.write_text("time,id,x,y\n0,1,2.0,3.0\n0,one,2,3\n1,1,nan,3\n1,2,4,5,6\nsoon,2,4,5\n2,2,7,8\n1.7e12,3,1,1\n")
    tracks, report = read_positions(file)
    np.testing.assert_array_equal(tracks.xy, [[2, 3], [7, 8]])
    assert np.isnan(tracks.cov).all()
    assert {reason: item.first for reason, item in report.skipped.items()} == {
        "another number of cells than columns": (5,),
        "no readable time": (6,),
        "time looks like milliseconds: divide it by 1000": (8,),
        "no readable identity": (3,),
        "position is NaN or infinite": (4,),
    }
    assert "2 rows, 5 rows skipped" in str(report)


def test_our_own_tracks_come_back_with_their_covariance(tmp_path: Path) -> None:
    cov = np.diag([0.04, 0.09, 1.0, 1.0])[None]
    tracks = Tracks(time=[1.0], track=[7], level=["P1"], xy=[[1.5, 2.5]], velocity=[[0.1, 0.2]], cov=cov)
    tracks = tracks.replace(bias_cov=0.01 * np.eye(2)[None], state=["confirmed"])
    write_tracks(tmp_path / "t.csv", tracks, SiteMap((Level("P1", (Surface(),)),)))
    read, _ = read_positions(tmp_path / "t.csv")
    np.testing.assert_array_equal(read.position_cov, tracks.position_cov)
    assert (read.track[0], read.level[0], read.velocity[0, 1]) == (7, "P1", 0.2)


def test_truth_that_no_camera_shows_is_ignored() -> None:
    truth, report = read_positions(GARAGE / "truth.csv.gz")
    assert report.n_skipped == 0
    assert 0 < (truth.state == IGNORED).sum() < len(truth)
    assert np.isfinite(truth.z).all()


def test_boxes_are_not_taken_for_positions(tmp_path: Path) -> None:
    file = tmp_path / "gate.txt"
    file.write_text("1,1,10,20,30,40,1,-1,-1,-1\n1,2,10,20,30,40,0,-1,-1,-1\n2,1,10,20,0,40,1,-1,-1,-1\n")
    assert is_box_file(file)
    boxes, report = read_track_boxes(file, TrackFileOptions(fps=10, start=5))
    np.testing.assert_array_equal(boxes.box[0], [8.5, 18.5, 38.5, 58.5])  # counted from 1, corner to corner
    assert boxes.state.tolist() == ["", IGNORED]  # MOTChallenge marks with 0 what is not to be scored
    assert (boxes.time[0], boxes.camera[0], report.n_skipped) == (5.1, "gate", 1)
    plane = tmp_path / "boxes.csv"
    plane.write_text("frame,camera,id,x1,y1,x2,y2\n3,c1,4,1,2,3,4\n")
    with pytest.raises(InputError, match="no ground-plane score"):
        read_positions(plane)
    assert read_track_boxes(plane)[0].camera.tolist() == ["c1"]


def test_positions_of_motchallenge_lines_are_metres(tmp_path: Path) -> None:
    file = tmp_path / "world.txt"
    file.write_text("1,5,-1,-1,-1,-1,1,2.5,3.5,0\n")
    assert not is_box_file(file)
    tracks, _ = read_positions(file, TrackFileOptions(fps=10))
    np.testing.assert_array_equal(tracks.xy, [[2.5, 3.5]])


@pytest.mark.parametrize("text", ["", "time,id,east,north\n0,1,2,3\n", "id,x,y\n1,2,3\n", "{}\n"])
def test_files_without_what_is_needed_say_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=r"x\.csv"):
        read_positions(file)


def test_cityflow_rows_are_boxes_of_their_cameras(data_dir: Path) -> None:
    boxes, report = read_track_boxes(data_dir / "cityflow" / "gt" / "S01_c002-c004.txt.gz", TrackFileOptions(fps=10))
    assert np.unique(boxes.camera).tolist() == ["c002", "c003", "c004"]
    assert (len(boxes), report.n_skipped) == (19020, 0)


PLAIN = "time,track,x,y\n0,1,2.5,3\n0.1,1,2.75,3\n0.1,2,8,9\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
@pytest.mark.parametrize("header", ["time,track,x,y", "Time,Track,X,Y", "TIME,ID,X,Y"])
def test_other_separators_and_upper_case_headers_are_read(tmp_path: Path, separator: str, header: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text(PLAIN.replace("time,track,x,y", header).replace(",", separator))
    assert not is_box_file(file)
    tracks, report = read_positions(file)
    np.testing.assert_array_equal(tracks.xy, [[2.5, 3], [2.75, 3], [8, 9]])
    assert tracks.track.tolist() == [1, 1, 2]
    assert report.n_skipped == 0


def test_identities_that_are_names_get_numbers_that_files_share(tmp_path: Path) -> None:
    lines = ["time,id,x,y", "0,car-1,2,3", "0,van-2,4,5", "1,car-1,2,4"]
    for name, n in (("a", 4), ("b", 3)):
        (tmp_path / name).write_text("\n".join(lines[:n]))
    (ours, report), (other, _) = (read_positions(tmp_path / name) for name in ("a", "b"))
    assert ours.track[0] == ours.track[2] != ours.track[1]
    assert (ours.track >= 0).all()
    np.testing.assert_array_equal(other.track, ours.track[: len(other)])
    assert "such as 'van-2'" in report.notes[0]


def test_columns_of_numbers_alone_are_read_as_those_with_text(tmp_path: Path) -> None:
    """Whole files of numbers take a faster way, which must not show."""
    numbers, text = tmp_path / "n.csv", tmp_path / "t.csv"
    rows = [f"{i / 10!r},{i % 3},{float(np.sin(i))!r},{i!r}e-3,0{i % 2}" for i in range(50)]
    numbers.write_text("\n".join(["time,id,x,y,level", *rows]))
    text.write_text("\n".join(["time,id,x,y,level,label", *(f"{row},car" for row in rows)]))
    (fast, fast_report), (slow, slow_report) = read_positions(numbers), read_positions(text)
    for column in ("time", "track", "xy", "level"):
        np.testing.assert_array_equal(getattr(fast, column), getattr(slow, column))
    assert set(fast.level.tolist()) == {"00", "01"}
    assert fast_report.n_rows == slow_report.n_rows == 50


def test_lines_are_counted_alike_with_blank_ones_between(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    for blank, line in (("", 5), ("\n", 6)):
        file.write_text(PLAIN + blank + "0.2,1,nan,3\n")
        report = read_positions(file)[1]
        assert report.skipped["position is NaN or infinite"].first == (line,)
