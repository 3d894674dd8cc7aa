"""Bad input, end to end: every hazard gets one clear answer, through the API and through the command line.

An answer names what is wrong, which one, what was found, and what to do next. Readers and files of sites have
tests of their own beside them.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import RigidTransform

import geoloc
from geoloc.cli.main import main
from geoloc.errors import GeometryError, InputError, UnknownNameError
from geoloc.geometry.se3 import look_at
from geoloc.pipeline.localizer import replay
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography, Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap
from geoloc.scene.tables import Detections, GroundPoints

BOX = [620.0, 330.0, 660.0, 430.0]  # of a person who stands in view of `gate`
TIMES = 1_700_000_000.0 + 0.1 * np.arange(8)
HEADER = "time,camera,x1,y1,x2,y2\n"
ROW = "1700000000.0,gate,620,330,660,430\n"


def camera(name: str = "gate", z: float = 5.0) -> Camera:
    lens = Pinhole(np.array([800.0, 800.0, 639.5, 359.5]))
    pose = look_at(np.array([0.0, -15.0, z]), np.array([0.0, 0.0, z - 5.0]))
    return Camera(name, lens, (1280, 720), pose, np.diag([1e-6] * 3 + [1e-4] * 3))


def translation(z: float) -> list[float]:
    return camera(z=z).cam_from_world.translation.tolist()


def yard() -> Site:
    return Site("yard", (camera(),))


def boxes(**columns: object) -> Detections:
    n = len(TIMES)
    whole = {"id": np.arange(n), "time": TIMES, "camera": np.full(n, "gate"), "box": np.tile(BOX, (n, 1))}
    return Detections(**{**whole, **columns})


def walker() -> Detections:
    boxes_px = BOX + 9.0 * np.arange(len(TIMES))[:, None] * np.array([1, 0, 1, 0])
    return boxes(box=boxes_px, score=np.full(len(TIMES), 0.9))


def spoilt(column: str, value: object) -> Detections:
    """Good boxes of a walker, of which number 3 has another value in one column."""
    table = walker()
    array = np.array(getattr(table, column), dtype=object if isinstance(value, str) else float)
    array[3] = value
    return table.replace(**{column: array.astype(str) if isinstance(value, str) else array})


BAD_ROWS = {
    "NaN box": ("box", np.nan, "no finite foot or box"),
    "infinite box": ("box", np.inf, "no finite foot or box"),
    "one infinite edge": ("box", [-np.inf, 330, 660, 430], "no finite foot or box"),
    "negative width": ("box", [660, 330, 620, 430], "box of negative size"),
    "negative height": ("box", [620, 430, 660, 330], "box of negative size"),
    "box left of the image": ("box", [-80, 330, -40, 430], "wholly outside the image"),
    "box under the image": ("box", [620, 730, 660, 830], "wholly outside the image"),
    "box beyond all range": ("box", [-1e300, 0, 1e300, 430], "singular foot covariance, or none"),
    "unknown camera": ("camera", "gaet", "unknown camera 'gaet'"),
    "no camera": ("camera", "", "unknown camera ''"),
    "NaN time": ("time", np.nan, "no finite time"),
    "infinite time": ("time", -np.inf, "no finite time"),
    "NaN score": ("score", np.nan, "score outside [0, 1]"),
    "score in per cent": ("score", 97.0, "score outside [0, 1]"),
    "half a foot": ("foot", [640.0, np.nan], "foot or its covariance is half given"),
    "zero foot covariance": ("foot_cov", 0.0, "singular foot covariance, or none"),
    "flat foot covariance": ("foot_cov", [[1.0, 1.0], [1.0, 1.0]], "singular foot covariance, or none"),
    "negative foot covariance": ("foot_cov", [[-1.0, 0.0], [0.0, -1.0]], "singular foot covariance, or none"),
    "lopsided foot covariance": ("foot_cov", [[1.0, 0.5], [0.0, 1.0]], "singular foot covariance, or none"),
    "half a foot covariance": ("foot_cov", [[1.0, np.nan], [np.nan, 1.0]], "foot or its covariance is half given"),
}


@pytest.mark.parametrize("hazard", BAD_ROWS)
def test_a_bad_row_is_dropped_with_its_reason_and_harms_no_other(hazard, caplog):
    column, value, reason = BAD_ROWS[hazard]
    table = spoilt(column, value)
    _, dropped = geoloc.project_to_ground(table, yard())
    assert (dropped.detection.tolist(), dropped.reason.tolist()) == ([3], [reason])
    tracks = geoloc.localize(table, yard())
    assert f"1 of 8 detections could not be used: 1 x {reason}" in caplog.text
    good = geoloc.localize(walker().take(np.arange(8) != 3), yard())
    both = tracks.take(np.isin(tracks.time, good.time))  # the window of the bad row may be there, without a box
    assert both.track.tolist() == good.track.tolist()
    np.testing.assert_allclose(both.xy, good.xy, atol=1e-9)


def test_a_foot_without_a_box_must_say_how_sure_it_is():
    table = boxes(box=np.full((8, 4), np.nan), foot=np.tile([640.0, 430.0], (8, 1)))
    _, dropped = geoloc.project_to_ground(table, yard())
    assert set(dropped.reason.tolist()) == {"foot without a box needs its foot_cov"}
    points, _ = geoloc.project_to_ground(table.replace(foot_cov=np.tile(np.eye(2), (8, 1, 1))), yard())
    assert len(points) == 8
    outside = table.replace(foot=np.tile([640.0, 800.0], (8, 1)), foot_cov=np.tile(np.eye(2), (8, 1, 1)))
    _, dropped = geoloc.project_to_ground(outside, yard())
    assert set(dropped.reason.tolist()) == {"wholly outside the image"}


NUMBERS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(-100, 2000))
SQUARES = st.lists(NUMBERS, min_size=4, max_size=4)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(SQUARES, NUMBERS, NUMBERS, NUMBERS, SQUARES, SQUARES), min_size=1, max_size=4))
def test_whatever_numbers_a_row_holds_it_is_used_or_dropped_with_a_reason(rows):
    box, score, u, v, cov, embedding = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    table = Detections(
        id=np.arange(n),
        time=np.full(n, TIMES[0]),
        camera=np.full(n, "gate"),
        box=box,
        foot=np.column_stack([u, v]),
        foot_cov=cov.reshape(n, 2, 2),
        score=score,
        embedding=np.clip(embedding, -1e38, 1e38),  # what float32 holds
    )
    points, dropped = geoloc.project_to_ground(table, yard())
    assert sorted([*points.detection.tolist(), *dropped.detection.tolist()]) == list(range(n))
    assert "" not in dropped.reason.tolist()
    localizer = geoloc.Localizer(yard())
    (tracks,) = replay(localizer, table)
    assert localizer.dropped.total() + len(localizer.points) == n
    for name, values in tracks:
        assert values.dtype.kind != "f" or np.isfinite(values).all(), name


def test_times_in_milliseconds_are_refused_and_named():
    with pytest.raises(InputError, match=r"detection 0 of camera 'gate': time 1700000000000 .*8 such.*by 1000"):
        geoloc.localize(boxes(time=1000 * TIMES), yard())
    with pytest.raises(InputError, match=r"detection 3 .*milliseconds \(1 such rows\)"):
        geoloc.localize(spoilt("time", 1.7e12), yard())
    localizer = geoloc.Localizer(yard())
    with pytest.raises(InputError, match="milliseconds"):
        localizer.step(boxes(time=1000 * TIMES))
    with pytest.raises(InputError, match="in seconds"):
        localizer.step(boxes(), 1.7e12)
    with pytest.raises(InputError, match="in seconds"):
        localizer.step(boxes(), np.nan)
    assert len(localizer.step(boxes())) > 0  # what was refused left no trace
    with pytest.raises(InputError, match="milliseconds"):
        geoloc.windows(boxes(time=1e6 * TIMES), 0.1)


def test_no_finite_time_at_all_is_refused():
    with pytest.raises(InputError, match="none of the 8 detections has a finite time"):
        geoloc.localize(boxes(time=np.full(8, np.nan)), yard())


def test_a_recording_out_of_order_is_put_in_order_and_a_live_window_is_refused():
    assert geoloc.localize(boxes().take(np.arange(8)[::-1]), yard()) == geoloc.localize(boxes(), yard())
    localizer = geoloc.Localizer(yard())
    localizer.step(boxes(), TIMES[1])
    with pytest.raises(InputError, match=r"comes after one at 17\d+\.\d+ s; sort the windows"):
        localizer.step(boxes(), TIMES[0])


def test_a_recording_of_none_of_the_sites_cameras_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="'gaet' of site 'yard'; did you mean 'gate'"):
        geoloc.localize(boxes(camera=np.full(8, "gaet")), yard())


def test_a_site_without_cameras_is_refused():
    with pytest.raises(InputError, match="site 'empty' has no cameras"):
        geoloc.project_to_ground(boxes(), Site("empty", ()))


def test_a_site_without_levels_is_refused():
    with pytest.raises(InputError, match="no level; add at least one surface"):
        SiteMap(levels=())
    with pytest.raises(InputError, match="at least one surface"):
        Level("ground", ())


def test_a_camera_under_the_ground_is_refused_with_its_depth():
    with pytest.raises(InputError, match=r"'gate' is 5\.00 m under the ground \(level 'ground'"):
        geoloc.localize(boxes(), Site("cellar", (camera(z=-5.0),)))


def test_a_pose_that_is_none_is_refused():
    lens, size = camera().lens, (1280, 720)
    with pytest.raises(InputError, match=r"'a': cam_from_world is a ndarray; give SciPy's RigidTransform"):
        Camera("a", lens, size, np.eye(4))
    with pytest.raises(InputError, match="not one finite pose"):
        Camera("a", lens, size, RigidTransform.from_translation([np.nan, 0.0, 5.0]))


SINGULAR = {
    "missing": np.full((2, 2), np.nan),
    "zero": np.zeros((2, 2)),
    "flat": np.ones((2, 2)),
    "negative": -np.eye(2),
    "infinite": np.full((2, 2), np.inf),
    "lopsided": np.array([[1.0, 0.5], [0.0, 1.0]]),
}


@pytest.mark.parametrize("kind", SINGULAR)
def test_a_singular_covariance_is_refused_by_every_stage_that_inverts_it(kind):
    bad = SINGULAR[kind]
    points, _ = geoloc.project_to_ground(boxes(camera=np.full(8, "gate")), yard())
    groups = geoloc.associate(points.take(np.arange(1)))
    cov = np.array(points.cov)
    cov[2] = bad
    with pytest.raises(InputError, match=r"cov \+ bias_cov of points, then tracks: row 2 is .* no covariance \(1 such"):
        geoloc.associate(points.replace(cov=cov, bias_cov=np.zeros_like(cov)))
    alone = points.take(np.arange(1)).replace(cov=bad[None], bias_cov=np.zeros((1, 2, 2)))
    with pytest.raises(InputError, match=r"cov \+ bias_cov of points: row 0"):
        geoloc.fuse(alone, groups, yard())
    with pytest.raises(InputError, match="second covariance: row 0"):
        geoloc.covariance_intersection(np.zeros((1, 2, 2)), np.stack([np.eye(2), bad])[None])
    with pytest.raises(InputError, match=r"pixel_cov of 2 pixels, first of point 0 in camera 'gate', is not"):
        geoloc.triangulate(np.full((1, 2, 2), 300.0), [camera("gate"), camera("hall")], bad)


def test_points_without_their_bias_are_refused_not_taken_for_exact():
    points, _ = geoloc.project_to_ground(boxes(), yard())
    bare = GroundPoints(**{name: values for name, values in points if name != "bias_cov"})
    with pytest.raises(InputError, match="bias_cov"):
        geoloc.associate(bare)


def test_a_homography_camera_refuses_heights_poses_and_triangulation_by_name():
    flat = Camera("flat", Homography(np.diag([50.0, 50.0, 1.0]).ravel()), (100, 100), homography_level="ground")
    point = np.zeros((1, 3))
    for ask in (flat.project, flat.jacobians, lambda at: flat.unproject(at[:, :2]), lambda _: flat.centre_world):
        with pytest.raises(GeometryError, match=r"camera 'flat' is known by a homography only: .*calibrate its pose"):
            ask(point)
    with pytest.raises(GeometryError, match=r"'flat'.*triangulate"):
        geoloc.triangulate(np.full((1, 2, 2), 50.0), [flat, camera()], np.eye(2))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    geoloc.save_site(yard(), tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = main([str(word) for word in words])
    return code, capsys.readouterr().err


BAD_FILES = {
    "milliseconds": (HEADER + ROW.replace("1700000000.0", "1700000000000"), r"milliseconds.*\(line 2\)"),
    "NaN": (HEADER + ROW.replace("620", "nan"), r"NaN or infinite edge \(line 2\)"),
    "negative size": (HEADER + ROW.replace("620", "700"), r"no positive width and height \(line 2\)"),
    "outside": (HEADER + ROW.replace("620,330,660", "-90,330,-50"), r"wholly outside the image \(line 2\)"),
    "unknown camera": (HEADER + ROW.replace("gate", "gaet"), r"'gaet' of site 'yard'; did you mean 'gate'"),
    "truncated JSON": ('[{"image_id": "gate_1", "bbox": [1, 2, 3', r"boxes: JSON breaks at line 1.*truncated"),
    "truncated JSON line": ('{"time": 0, "camera": "gate", "box": [1', r"line is not whole JSON \(line 1\)"),
    "another kind": ('{"type": "FeatureCollection", "features": []}', "looks like GeoJSON"),
    "a picture": ("\x89PNG", "looks like a PNG picture"),
}


@pytest.mark.parametrize("hazard", BAD_FILES)
def test_a_file_of_which_nothing_can_be_used_ends_with_2_and_one_line(hazard, root, capsys):
    content, words = BAD_FILES[hazard]
    (root / "boxes").write_bytes(content.encode("latin-1"))
    code, err = run(capsys, "localize", "yard", root / "boxes", "--root", root, "-o", root / "out")
    assert code == 2
    assert err.startswith("geoloc localize: ")
    assert err.count("\n") == 1, err
    assert re.search(words, err), err
    assert not (root / "out").exists()


BAD_SITES = {
    "empty map": ("sitemaps/yard.geojson", lambda text: "", "yard.geojson: the file is empty"),
    "truncated map": ("sitemaps/yard.geojson", lambda text: text[: len(text) // 2], "is it truncated?"),
    "no levels": (
        "sitemaps/yard.geojson",
        lambda text: json.dumps({**json.loads(text), "features": []}),
        "yard.geojson: has no level: add a feature of kind 'surface'",
    ),
    "empty cameras": ("calibration/yard/cameras.json", lambda text: "", "cameras.json: the file is empty"),
    "truncated cameras": ("calibration/yard/cameras.json", lambda text: text[:300], "is it truncated?"),
    "under the ground": (
        "calibration/yard/cameras.json",
        lambda text: text.replace(str(translation(5.0)), str(translation(-2.0))),
        "camera 'gate' is 2.00 m under the ground",
    ),
    "no covariance": (
        "calibration/yard/cameras.json",
        lambda text: text.replace("0.0001", "-0.0001"),
        "camera 'gate': calib_cov has the negative variance -0.0001",
    ),
    "NaN": ("calibration/yard/cameras.json", lambda text: text.replace("800.0", "NaN"), "holds NaN"),
}


@pytest.mark.parametrize("hazard", BAD_SITES)
def test_a_bad_site_ends_with_2_and_one_line_that_names_the_file(hazard, root, capsys):
    name, damage, words = BAD_SITES[hazard]
    text = (root / name).read_text()
    assert damage(text) != text
    (root / name).write_text(damage(text))
    code, err = run(capsys, "check", "yard", "--root", root)
    assert code == 2
    assert err.startswith(f"geoloc check: {root / name}: ")
    assert err.count("\n") == 1, err
    assert words in err


def test_what_cannot_be_written_ends_with_2_and_names_the_file(root, capsys):
    (root / "boxes.csv").write_text(HEADER + ROW)
    taken = root / "boxes.csv" / "deep"
    code, err = run(capsys, "localize", "yard", root / "boxes.csv", "--root", root, "-o", taken)
    assert code == 2
    assert f"{taken / 'tracks.csv'}: cannot be written" in err.splitlines()[-1]


def test_empty_files_of_every_sort_are_called_empty(root, capsys):
    (root / "empty").write_text("")
    for words in (("map", "yard", root / "empty"), ("convert", "cameras", root / "empty", "--site", "yard")):
        code, err = run(capsys, *words, "--root", root)
        assert code == 2
        assert "empty: the file is empty; it must hold" in err
    (root / "empty.toml").write_text("")
    options = geoloc.load_options(geoloc.LocalizerOptions(), root / "empty.toml")
    assert options == geoloc.LocalizerOptions()
