"""Whatever bytes a file holds, a reader either reads it or refuses it with InputError."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
from detection_samples import IDS, SAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoloc.errors import InputError
from geoloc.files import read_numbers
from geoloc.io.calibrations import CAMERA_READERS, CameraOptions, read_cameras
from geoloc.io.cmc import read_matlab_matrix
from geoloc.io.detections import READERS, ReadOptions, read_detections
from geoloc.io.tracks import read_tracks
from geoloc.scene.tables import Detections

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TOKENS = """
0 1 -1 1.5 nan inf 1e400 1700000000000 , ; " { } [ ] : null true "time" "camera" "box" "bbox" image_id
detections positionID views time camera x1 y1 x2 y2 C1 <frame> <box <opencv_storage> </opencv_storage> é
%YAML:1.0 --- rows: cols: data: K: R: !!opencv-matrix Homography matrix: Reprojection error:
"""
WORDS = st.sampled_from([*TOKENS.split(), "\n", "\t", "\0"])
TEXTS = st.lists(WORDS, max_size=60).map(" ".join).map(lambda text: text.encode("utf-8"))
CONTENTS = st.one_of(st.binary(max_size=200), TEXTS)
OPTIONS = ReadOptions(camera="C1", fps=10.0, image_pattern=r"(?P<frame>\d+)", sizes={"": (1920, 1080)})


def check_well_formed(found: Detections) -> None:
    assert np.isfinite(found.time).all()
    assert np.isfinite(found.box).all()
    assert (found.box[:, 2:] > found.box[:, :2]).all()
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert len(np.unique(found.id)) == len(found)


@FUZZ
@given(content=CONTENTS)
def test_arbitrary_bytes_are_read_or_refused(tmp_path, content):
    path = tmp_path / "000001"
    path.write_bytes(content)
    for kind in (None, *READERS):
        with suppress(InputError):
            check_well_formed(read_detections(path, kind, OPTIONS).detections)


@FUZZ
@given(content=CONTENTS)
def test_a_reader_called_by_itself_never_crashes(tmp_path, content):
    """Without the look that refuses most of it first."""
    path = tmp_path / "000001"
    path.write_bytes(content)
    for reader in READERS.values():
        with suppress(InputError):
            check_well_formed(reader(path, OPTIONS).detections)


@settings(FUZZ, max_examples=40)
@given(
    cut=st.floats(0, 1), where=st.floats(0, 1), patch=st.one_of(st.binary(max_size=6), WORDS.map(str.encode))
)
def test_damaged_files_are_read_or_refused(tmp_path, cut, where, patch):
    """Files of every kind, truncated and with a few bytes replaced."""
    for kind, sample in SAMPLES.items():
        if kind == "parquet":
            continue
        path = sample.make(tmp_path, IDS)
        path = sorted(path.glob("*.json"))[0] if path.is_dir() else path
        content = path.read_bytes()
        at = int(where * len(content))
        damaged = path.with_name("000002" + path.suffix)
        damaged.write_bytes(
            (content[:at] + patch + content[at + len(patch) :])[: int(cut * len(content) * 1.2)]
        )
        with suppress(InputError):
            check_well_formed(READERS[kind](damaged, sample.options).detections)


@FUZZ
@given(content=CONTENTS)
def test_calibrations_are_read_or_refused(tmp_path, content):
    path = tmp_path / "camera.txt"
    path.write_bytes(content)
    for kind in (None, *CAMERA_READERS):
        with suppress(InputError):
            read_cameras(path, kind, CameraOptions(size=(1920, 1080)))


@FUZZ
@given(
    cut=st.integers(0, 500),
    where=st.integers(0, 500),
    patch=st.sampled_from(["[", "]", ":", "nan", "1e999", "-", "{", "\n"]),
)
def test_damaged_opencv_files_do_not_abort_the_process(tmp_path, cut, where, patch):
    rows = "rows: 3\n   cols: 3\n   dt: d\n   data: [ 1000., 0., 640., 0., 1000., 360., 0., 0., 1. ]\n"
    text = (
        f"%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   {rows}rvec: [ 1., 0., 0. ]\ntvec: [ 1, 2, 3 ]\n"
    )
    text += "image_width: 1280\nimage_height: 720\n"
    path = tmp_path / "camera.yml"
    path.write_text((text[:where] + patch + text[where + 1 :])[: max(cut, 100)])
    with suppress(InputError):
        read_cameras(path, "opencv")


@FUZZ
@given(content=CONTENTS)
def test_other_readers_are_read_or_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    for reader in (read_tracks, read_matlab_matrix, lambda name: read_numbers(name, 3)):
        with suppress(InputError):
            reader(path)


FINITE = st.floats(-1e6, 1e6)
SIZES = st.floats(1e-3, 1e4)
ROWS = st.lists(st.tuples(st.floats(0, 2e9), FINITE, FINITE, SIZES, SIZES, st.floats(0, 1)), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@FUZZ
@given(rows=ROWS, camera=NAMES, label=NAMES)
def test_csv_and_json_lines_come_back_bit_by_bit(tmp_path: Path, rows, camera, label):
    lines, records = ["time,camera,x1,y1,x2,y2,label,score"], []
    for time, x, y, w, h, score in rows:
        name, kind = (f'"{text.replace(chr(34), chr(34) * 2)}"' for text in (camera, label))
        lines.append(f"{time!r},{name},{x!r},{y!r},{x + w!r},{y + h!r},{kind},{score!r}")
        box = [x, y, x + w, y + h]
        records.append(
            json.dumps({"time": time, "camera": camera, "box": box, "label": label, "score": score})
        )
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("\n".join(records), encoding="utf-8")
    for name in ("a.csv", "a.jsonl"):
        found = read_detections(tmp_path / name, name[2:]).detections
        assert found.time.tolist() == [row[0] for row in rows]
        assert found.box.tolist() == [[x, y, x + w, y + h] for _, x, y, w, h, _ in rows]
        assert found.score.tolist() == [row[5] for row in rows]
        assert set(found.camera) <= {camera}
        assert set(found.label) <= {label}
