"""`geoloc evaluate`: files in, figures with protocol and interval out; what makes numbers lie ends with code 2."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_samples import Done

from geoloc.io.detections import read_detections
from geoloc.io.tracks import write_tracks
from geoloc.pipeline.localizer import localize
from geoloc.scene.storage import load_site

GARAGE = Path(__file__).parents[2] / "fixtures" / "garage"
TRUTH = GARAGE / "truth.csv.gz"


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first ten seconds of the garage."""
    site, detections = load_site("garage", GARAGE), read_detections(GARAGE / "detections.csv.gz").detections
    start = detections.time.min()
    found = localize(detections.take(detections.time < start + 10), site)
    path = tmp_path_factory.mktemp("run") / "tracks.csv"
    write_tracks(path, found, site.site_map)
    return path


def figures(done: Done) -> dict[str, float]:
    assert done.code == 0, done.err
    return {f["figure"]: f["value"] for report in json.loads(done.out) for f in report["figures"]}


def test_a_run_is_scored_and_the_page_written(call: Callable[..., Done], tracks: Path, tmp_path: Path) -> None:
    done = call("evaluate", tracks, "--truth", TRUTH, "-o", tmp_path, "--set", "block_s=1")
    assert done.code == 0
    for word in ("hota", "t_gospa", "position_error_median_m", "nees", "worst moments", "[1] ground plane", "WARNING"):
        assert word in done.out, word
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.json", "report.txt"}
    reports = json.loads((tmp_path / "report.json").read_text())
    assert [report["family"] for report in reports] == ["tracking", "uncertainty"]
    assert any("the result covers" in warning for warning in reports[0]["warnings"])


def test_two_runs_are_compared_in_pairs(call: Callable[..., Done], tracks: Path, tmp_path: Path) -> None:
    lines = tracks.read_text().splitlines(keepends=True)
    worse = tmp_path / "worse.csv"
    worse.write_text("".join(lines[:1] + [line for i, line in enumerate(lines[1:]) if i % 4]))
    done = call("evaluate", tracks, "--truth", TRUTH, "--against", worse, "--json", "--set", "block_s=1")
    assert done.code == 0, done.err
    found = {d["figure"]: d for d in json.loads(done.out)[0]["differences"]}
    assert found["recall"]["difference"] > 2  # %, of 10 s in 60
    assert found["recall"]["p_value"] < 0.05


def test_sequences_of_motchallenge_pool(call: Callable[..., Done], data_dir: Path) -> None:
    folder = data_dir / "motmetrics_tud"
    names = ("TUD-Campus", "TUD-Stadtmitte")
    results, truths = ([folder / name / file for name in names] for file in ("test.txt", "gt.txt"))
    found = figures(call("evaluate", *results, "--truth", *truths, "--fps", 25, "--json"))
    assert (found["fp"], found["fn"], found["id_switches"]) == (13 + 45, 150 + 452, 14)
    campus = figures(call("evaluate", results[0], "--truth", truths[0], "--fps", 25, "--json"))
    assert campus["mota"] == pytest.approx(52.6, abs=0.05)
    assert campus["idf1"] == pytest.approx(55.8, abs=0.05)


def test_published_tracks_of_several_cameras_score_as_known(call: Callable[..., Done], data_dir: Path) -> None:
    folder = data_dir / "cityflow"
    results = [f"{camera}={folder / 'tracks' / f'{camera}_train.txt.gz'}" for camera in ("c002", "c003", "c004")]
    done = call("evaluate", *results, "--truth", folder / "gt" / "S01_c002-c004.txt.gz", "--fps", 10, "--json")
    assert done.code == 0, done.err
    idf1 = {f["part"]: f["value"] for f in json.loads(done.out)[0]["figures"] if f["figure"] == "idf1"}
    # 46.8, 51.3, 50.0 in pixels of one origin; files in MOTChallenge's form count them from 1
    found = [idf1[f"camera {name}"] for name in ("c002", "c003", "c004")]
    np.testing.assert_allclose(found, [46.8, 51.3, 50.0], atol=0.2)


def test_boxes_against_positions_are_refused(call: Callable[..., Done], tmp_path: Path) -> None:
    boxes = tmp_path / "gate.txt"
    boxes.write_text("1,1,10,20,30,40,1,-1,-1,-1\n")
    done = call("evaluate", boxes, "--truth", TRUTH)
    assert done.code == 2
    done = call("evaluate", TRUTH, "--truth", boxes)
    assert done.code == 2
    assert "no ground-plane score" in done.err


def test_the_truth_as_its_own_result_is_refused(call: Callable[..., Done]) -> None:
    done = call("evaluate", TRUTH, "--truth", TRUTH)
    assert done.code == 2
    assert "truth ids leaked" in done.err
    done = call("evaluate", TRUTH, "--truth", TRUTH, "--oracle", "--set", "t_gospa_most=0")
    assert done.code == 0
    assert "WARNING: oracle run: 100 %" in done.out


def test_innovations_and_probabilities_need_no_truth(call: Callable[..., Done], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{i / 10},{x:.5f},{y:.5f},0.04,0,0.09" for i, (x, y) in enumerate(rng.normal(0, [0.2, 0.3], (2000, 2)))]
    file = tmp_path / "innovations.csv"
    header = "time,innovation_x,innovation_y,cov_x_x,cov_x_y,cov_y_y"
    file.write_text("\n".join([header, *rows, "3,nan,1,1,0,1", "4,1,1,-1,0,1"]))
    done = call("evaluate", file, "--json")
    found = figures(done)
    assert found["nis"] == pytest.approx(2.0, abs=0.2)
    assert found["coverage_95"] == pytest.approx(95, abs=1.5)
    assert "1 x its covariance is none" in done.err
    sure = tmp_path / "odds.csv"
    p = rng.random(2000)
    sure.write_text("time,probability,event\n" + "".join(f"{i},{x},{int(rng.random() < x)}\n" for i, x in enumerate(p)))
    assert figures(call("evaluate", sure, "--json"))["calibration_error"] < 0.05


def test_what_is_missing_is_asked_for(call: Callable[..., Done], tracks: Path, tmp_path: Path) -> None:
    done = call("evaluate", tracks)
    assert done.code == 2
    assert "--truth" in done.err
    done = call("evaluate", tracks, "--truth", tmp_path / "none.csv")
    assert done.code == 2
    assert "none.csv" in done.err
    done = call("evaluate", tracks, "--truth", TRUTH, "--set", "zero_distanc=1")
    assert done.code == 2
    assert "zero_distance" in done.err


HEADER = "time,track,x,y"


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join((HEADER, *rows)) + "\n")
    return path


def walkers(track: str = "{}") -> list[str]:
    """Six walkers over 20 frames of 10 a second, 3 m apart; `track` makes their identity."""
    return [f"{0.1 * f:.1f},{track.format(k)},{0.1 * f:.2f},{3 * k}" for f in range(20) for k in range(6)]


def test_zero_detections_on_the_map_are_all_missed(call: Callable[..., Done], tmp_path: Path) -> None:
    truth, nothing = table(tmp_path / "truth.csv", *walkers()), table(tmp_path / "nothing.csv")
    found = figures(call("evaluate", nothing, "--truth", truth, "--json"))
    assert (found["fn"], found["fp"], found["hota"], found["recall"]) == (120, 0, 0, 0)


def test_a_file_of_malformed_rows_is_no_empty_result(call: Callable[..., Done], tmp_path: Path) -> None:
    truth, named = table(tmp_path / "truth.csv", *walkers()), table(tmp_path / "named.csv", *walkers("{}.5"))
    done = call("evaluate", named, "--truth", truth)
    assert done.code == 2
    assert "none of its 120 rows can be read: no readable identity" in done.err


def test_detections_without_identity_are_all_scored(call: Callable[..., Done], tmp_path: Path) -> None:
    truth = table(tmp_path / "truth.csv", *walkers())
    unnamed = table(tmp_path / "unnamed.csv", *(row.replace(",0.", ",0.0", 1) for row in walkers("-1")))
    found = figures(call("evaluate", unnamed, "--truth", truth, "--oracle", "--json"))
    assert (found["recall"], found["precision"]) == (100, 100)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--set", "clear=foo"), "CLEAR convention"),
        (("--set", "threshold=1"), "threshold"),
        (("--fps", "nan"), "--fps"),
        (("--fps", "-3"), "--fps"),
        (("--truth-sigma", "nan"), "--truth-sigma"),
        (("--truth-sigma", "-1"), "--truth-sigma"),
    ],
)
def test_options_out_of_reach_are_named(
    call: Callable[..., Done], tmp_path: Path, words: tuple[str, str], says: str
) -> None:
    truth = table(tmp_path / "truth.csv", *walkers())
    done = call("evaluate", truth, "--truth", truth, "--oracle", *words)
    assert done.code == 2
    assert says in done.err


def test_one_frame_has_no_jitter_and_no_nan(call: Callable[..., Done], tmp_path: Path) -> None:
    truth = table(tmp_path / "truth.csv", *walkers()[:6])
    done = call("evaluate", truth, "--truth", truth, "--oracle")
    assert done.code == 0, done.err
    assert "one frame has no step" in done.out
    assert " nan" not in done.out


def test_percentages_for_probabilities_are_warned_of_in_the_report(call: Callable[..., Done], tmp_path: Path) -> None:
    path = tmp_path / "forecasts.csv"
    rows = [f"{0.5 * i},{100 * (i % 7) / 7:.1f},{i % 2}" for i in range(70)]
    path.write_text("\n".join(["time,probability,event", *rows]) + "\n")
    done = call("evaluate", path)
    assert done.code == 0, done.err
    assert "WARNING: forecasts.csv: 60 of 70 rows left out: probability is outside [0, 1]" in done.out
    path.write_text(path.read_text().replace(",0.0,", ",50,"))
    done = call("evaluate", path)
    assert (done.code, done.out) == (2, "")
    assert "none of its 70 rows can be read" in done.err


def test_other_level_names_and_milliseconds_are_named(call: Callable[..., Done], tmp_path: Path) -> None:
    truth, result = tmp_path / "truth.csv", tmp_path / "result.csv"
    for path, level in ((truth, "ground"), (result, "G")):
        rows = [f"{row},{level}" for row in walkers()]
        path.write_text("\n".join([f"{HEADER},level", *rows]) + "\n")
    done = call("evaluate", result, "--truth", truth, "--oracle")
    assert done.code == 2
    assert "levels are G, the truth's ground" in done.err
    table(truth, *walkers())
    table(result, *(f"{100 * f},{k},{0.1 * f:.2f},{3 * k}" for f in range(20) for k in range(6)))
    done = call("evaluate", result, "--truth", truth, "--oracle")
    assert done.code == 2
    assert "the result's times look like milliseconds" in done.err


def test_rows_that_the_system_does_not_stand_by_are_told(call: Callable[..., Done], tmp_path: Path) -> None:
    truth, result = table(tmp_path / "truth.csv", *walkers()), tmp_path / "result.csv"
    rows = [f"{row},{'coasting' if i % 4 == 0 else 'confirmed'}" for i, row in enumerate(walkers())]
    result.write_text("\n".join([f"{HEADER},state", *rows]) + "\n")
    done = call("evaluate", result, "--truth", truth, "--oracle")
    assert "WARNING: result.csv: 30 of 120 rows are tentative or coasting: not scored" in done.out


def test_pairs_of_images_in_a_folder_within_are_pointed_at(call: Callable[..., Done], tmp_path: Path) -> None:
    for part in ("query", "ref"):
        (tmp_path / "SPED_Test" / part).mkdir(parents=True)
    done = call("evaluate", "--robustness", str(tmp_path))
    assert "SPED_Test; give that folder" in done.err


def test_poses_that_cannot_be_read_are_warned_of_in_the_report(call: Callable[..., Done], tmp_path: Path) -> None:
    lines = [f"im{i}.jpg 1 0 0 0 {i} {i % 3} 0\n" for i in range(20)]
    (tmp_path / "true.txt").write_text("".join(lines))
    (tmp_path / "ours.txt").write_text("".join(line.replace(" 0\n", " 0.1\n") for line in lines[1:]) + "im0.jpg 1 0\n")
    done = call("evaluate", str(tmp_path / "ours.txt"), "--truth", str(tmp_path / "true.txt"))
    assert "WARNING: ours.txt: 1 of 20 rows left out" in done.out
