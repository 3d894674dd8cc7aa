"""Every detector keeps one contract; every bad frame is named."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from perception_sites import SIZE, car_park, empty_yard, mask_of, painted, with_noise
from tiny_onnx import save_tiny

from geoloc.errors import GeometryError, InputError, UnknownNameError
from geoloc.perception.detectors import DETECTORS, DetectOptions, find_detector
from geoloc.perception.explaining import ExplainOptions
from geoloc.perception.frames import FilmSource, FolderSource, Frame, open_source
from geoloc.perception.in_step import in_step
from geoloc.perception.onnx_options import OnnxOptions
from geoloc.perception.picture_checks import COVERED, DARK, FROZEN, OTHER_SIZE, PictureCheck
from geoloc.perception.streams import TOO_SLOW, LatestFrames

SITE = car_park()


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> DetectOptions:
    weights = save_tiny(tmp_path_factory.mktemp("weights") / "tiny.onnx")
    onnx = OnnxOptions(str(weights), classes=("person", "car", "truck"), side_px=64)
    return DetectOptions(onnx=onnx, explain=ExplainOptions(step=1.0))


def frames_of(rng: np.random.Generator, n: int = 3) -> list[list[Frame]]:
    yard = empty_yard(rng)
    car = painted(yard, mask_of(SITE.cameras[0], ("car", 0.0, 0.0, 0.0)), (160, 60, 40))
    return [
        [Frame("mast-0", 10.0 + k, with_noise(car if k else yard, rng)), Frame("mast-1", 10.02 + k, yard)]
        for k in range(n)
    ]


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_gives_boxes_in_the_site_s_pixels_and_can_go_on(name, options, rng) -> None:
    steps = frames_of(rng)
    whole, first = find_detector(name, SITE, options), find_detector(name, SITE, options)
    assert len(whole.detect([])) == 0
    tables = [whole.detect(step) for step in steps]
    for step in steps[:2]:
        first.detect(step)
    second = find_detector(name, SITE, options)
    second.restore(first.arrays())
    assert second.detect(steps[2]) == tables[2]
    for table, step in zip(tables, steps, strict=True):
        assert set(table.camera.tolist()) <= {"mast-0", "mast-1"}
        assert set(table.time.tolist()) <= {frame.time for frame in step}
        assert table.id.tolist() == list(range(len(table)))
        assert ((table.box >= -0.5) & (table.box <= np.tile(np.array(SIZE) - 0.5, 2))).all()
        assert ((table.score >= 0) & (table.score <= 1)).all()


def test_what_comes_into_an_empty_yard_is_found_where_it_stands(options, rng) -> None:
    detector = find_detector("motion", SITE, options)
    yard = empty_yard(np.random.default_rng(20240607))
    detector.show_empty("mast-0", yard)
    detector.detect([Frame("mast-0", 4.0, with_noise(yard, rng))])
    mask = mask_of(SITE.cameras[0], ("car", 1.0, -1.0, 0.3), ("person", -4.0, 1.0, 0.0))
    table = detector.detect([Frame("mast-0", 5.0, with_noise(painted(yard, mask, (150, 70, 40)), rng, 0.85))])
    assert sorted(table.label.tolist()) == ["car", "person"]
    car = table.take(table.label == "car")
    expected = SITE.cameras[0].project(np.array([[1.0, -1.0, 0.0]]))[0]
    assert np.linalg.norm(car.foot[0] - expected) < 8.0  # px; a metre is 35 there
    assert np.linalg.eigvalsh(car.foot_cov[0]).min() > 0


def test_an_unknown_detector_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="motion"):
        find_detector("yolo", SITE)


def test_a_camera_without_a_pose_cannot_tell_sizes() -> None:
    from geoloc.scene.camera import Camera
    from geoloc.scene.lenses import Homography

    flat = SITE.with_cameras([Camera("flat", Homography(np.eye(3).reshape(-1)), SIZE, homography_level="yard")])
    with pytest.raises(GeometryError, match="flat"):
        find_detector("motion", flat).detect([Frame("flat", 0.0, np.zeros((270, 480, 3), np.uint8))])


def test_a_film_of_another_shape_is_refused_as_another_camera_s(options) -> None:
    with pytest.raises(InputError, match="another camera's film"):
        find_detector("motion", SITE, options).detect([Frame("mast-0", 0.0, np.zeros((480, 480, 3), np.uint8))])


def test_frames_that_show_nothing_are_named(rng) -> None:
    check, yard = PictureCheck(SITE.cameras[0]), empty_yard(rng)
    assert check.reason(yard, 0.0) == ""
    assert check.reason(yard // 30, 1.0) == DARK
    assert check.reason(np.full_like(yard, 90), 2.0) == COVERED
    assert check.reason(yard[:200, :200], 3.0) == OTHER_SIZE
    assert check.reason(yard, 4.0) == ""
    assert check.reason(yard, 9.0) == FROZEN
    assert check.reason(with_noise(yard, rng), 10.0) == ""


def save_pictures(folder: Path, times: list[float], rng: np.random.Generator) -> Path:
    folder.mkdir()
    yard = empty_yard(rng)
    for stamp in times:
        cv2.imwrite(str(folder / f"{stamp:.2f}.jpg"), with_noise(yard, rng))
    return folder


def test_corrupt_pictures_are_counted_and_passed_over(tmp_path: Path, rng) -> None:
    folder = save_pictures(tmp_path / "mast-0", [1.0, 2.0, 3.0, 4.0], rng)
    cut = (folder / "2.00.jpg").read_bytes()
    (folder / "2.00.jpg").write_bytes(cut[: len(cut) // 2])
    (folder / "3.00.jpg").write_bytes(b"")
    source = FolderSource("mast-0", folder)
    assert [frame.time for frame in source.frames()] == [1.0, 4.0]
    assert sum(source.problems.values()) == 2


def test_names_without_a_time_and_missing_films_say_what_to_do(tmp_path: Path, rng) -> None:
    folder = save_pictures(tmp_path / "mast-0", [1.0], rng)
    (folder / "1.00.jpg").rename(folder / "first.jpg")
    with pytest.raises(InputError, match="--fps"):
        open_source("mast-0", str(folder))
    assert [f.time for f in open_source("mast-0", str(folder), 5.0, 2.0).frames()] == [5.0]
    with pytest.raises(InputError, match="no such film"):
        open_source("mast-0", str(tmp_path / "none.mp4"))
    (tmp_path / "text.mp4").write_text("not a film")
    with pytest.raises(InputError, match="not a film"):
        FilmSource("mast-0", tmp_path / "text.mp4")


def test_frames_of_all_cameras_come_in_step_with_their_stamps(tmp_path: Path, rng) -> None:
    a = FolderSource("a", save_pictures(tmp_path / "a", [1.0, 2.0, 3.0], rng))
    b = FolderSource("b", save_pictures(tmp_path / "b", [1.04, 2.5, 3.03], rng))
    steps = [[(f.camera, f.time) for f in step] for step in in_step([a, b], 0.05)]
    assert steps == [[("a", 1.0), ("b", 1.04)], [("a", 2.0)], [("b", 2.5)], [("a", 3.0), ("b", 3.03)]]
    assert [len(step) for step in in_step([a, b], 0.05, from_time=2.0)] == [1, 2]
    assert [[f.time for f in s] for s in in_step([a], 0.05, every=1.5)] == [[1.0], [3.0]]
    with pytest.raises(InputError, match="twice"):
        next(in_step([a, a], 0.05))


def test_a_film_s_frames_have_the_film_s_own_stamps(tmp_path: Path, rng) -> None:
    path, yard = tmp_path / "mast-0.avi", empty_yard(rng)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 4.0, SIZE)
    for _ in range(6):
        writer.write(with_noise(yard, rng))
    writer.release()
    assert [frame.time for frame in FilmSource("a", path, 100.0).frames()] == pytest.approx(100 + np.arange(6) / 4)
    assert [f.time for f in FilmSource("a", path, 100.0).frames(every=0.5)] == pytest.approx([100.0, 100.5, 101.0])
    assert [f.time for f in FilmSource("a", path, 0.0, 2.0).frames()] == pytest.approx(np.arange(6) / 2)


def test_frames_that_come_too_fast_are_dropped_and_counted(tmp_path: Path, rng) -> None:
    source = FolderSource("a", save_pictures(tmp_path / "a", [k / 10 for k in range(1, 21)], rng))
    live, seen = LatestFrames(source, pace=40.0), []
    for frame in live.frames():
        seen.append(frame.time)
        time.sleep(0.05)  # slower than they come
    assert seen == sorted(seen)
    assert len(seen) + live.problems[TOO_SLOW] == 20
