"""Every reader of detections, over the same three boxes: the malformed is counted, the other refused."""

import gzip
import json

import numpy as np
import pytest
from detection_samples import BOXES, IDS, SAMPLES, TIMES, make_coco, make_csv

from geoloc.errors import InputError, UnknownNameError
from geoloc.io.detections import READERS, ReadOptions, read_detections
from geoloc.io.sniff import DESCRIPTIONS, look
from geoloc.scene.tables import Detections

TRUTH_IDS = {"track_id", "object_id", "personID", "person", "identity", "track", "object", "activity"}


def test_every_reader_has_a_sample():
    assert set(SAMPLES) == set(READERS)


def test_every_reader_gives_the_same_boxes(kind, sample, folder):
    result = read_detections(sample.make(folder, IDS), kind, sample.options)
    found = result.detections
    assert found.id.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.time, TIMES, atol=1e-9)
    np.testing.assert_allclose(found.box, BOXES, atol=1e-4)  # an archive holds float32
    assert set(found.camera) in ({"C1"}, {"c001"})
    assert result.report.n_rows == 3
    assert result.report.n_skipped == 0


def test_every_file_is_recognised_by_its_look(kind, sample, folder):
    path = sample.make(folder, IDS)
    assert look(path) == kind
    assert len(read_detections(path, options=sample.options).detections) == 3


def test_permuted_truth_ids_change_nothing(kind, sample, folder):
    """No identity reaches the engine: neither in a column, nor by its order."""
    before = read_detections(sample.make(folder, IDS), kind, sample.options).detections
    after = read_detections(sample.make(folder, [3, 1, 8]), kind, sample.options).detections
    assert before == after


def test_detections_have_no_column_for_an_identity():
    assert not TRUTH_IDS & set(Detections.columns)


def test_an_empty_file_gives_an_empty_table_and_says_so(kind, sample, folder):
    path = folder / "empty"
    path.write_bytes(b"")
    result = read_detections(path, kind, sample.options)
    assert len(result.detections) == 0
    assert "empty" in str(result.report)


def test_a_file_of_another_kind_is_refused_with_what_it_looks_like(kind, sample, folder):
    other = "coco" if kind != "coco" else "csv"
    path = SAMPLES[other].make(folder, IDS)
    with pytest.raises(InputError, match="looks like") as error:
        read_detections(path, kind, sample.options)
    assert DESCRIPTIONS[other] in str(error.value)
    assert f"read it as {other!r}" in str(error.value)


@pytest.mark.parametrize("kind", sorted(SAMPLES.keys() - {"annotations", "fairmot", "parquet"}))  # text files
def test_gzip_is_read_like_plain(kind, sample, folder):
    path = sample.make(folder, IDS)
    packed = folder / "packed" / (path.name + ".gz")
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert (
        read_detections(packed, kind, sample.options).detections
        == read_detections(path, kind, sample.options).detections
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("1,C1,nan,0,10,10", "NaN or infinite"),
        ("1,C1,0,0,inf,10", "NaN or infinite"),
        ("1,C1,10,0,0,10", "no positive width"),
        ("1,C1,0,0,10,0", "no positive width"),
        ("nan,C1,0,0,10,10", "time is NaN"),
        ("1700000000000,C1,0,0,10,10", "milliseconds"),
        ("1,C1,0,0,10", "fewer cells"),
        ("1,C1,0,0,10,10,5", "more cells"),
        ("1,C1,zero,0,10,10", "not a number"),
        ("1,,0,0,10,10", "no camera"),
        (",C1,0,0,10,10", "no time"),
        ("1,C1,2000,0,2010,10", "outside the image"),
        ("1,C1,-20,0,-1,10", "outside the image"),
        ("1," + "C" * 300 + ",0,0,10,10", "longer than"),
    ],
)
def test_a_malformed_row_is_skipped_counted_and_named(folder, bad, reason):
    path = folder / "boxes.csv"
    path.write_text(f"time,camera,x1,y1,x2,y2\n0,C1,0,0,10,10\n{bad}\n2,C1,0,0,10,10\n")
    result = read_detections(path, options=ReadOptions(sizes={"C1": (1920, 1080)}))
    assert result.detections.time.tolist() == [0.0, 2.0]
    assert result.detections.id.tolist() == [0, 2]  # ids are rows of the file, so a box can be found again
    (named, skipped), *rest = result.report.skipped.items()
    assert not rest
    assert reason in named
    assert skipped.first == (3,)
    assert "line 3" in str(result.report)


def test_boxes_partly_outside_the_image_are_kept(folder):
    path = folder / "boxes.csv"
    path.write_text("time,camera,x1,y1,x2,y2\n0,C1,-20,-20,5,5\n0,C1,1900,1000,2500,2000\n")
    assert len(read_detections(path, options=ReadOptions(sizes={"": (1920, 1080)})).detections) == 2


def test_unknown_columns_are_named_and_not_read(folder):
    path = folder / "boxes.csv"
    path.write_text("time,camera,x1,y1,x2,y2,personID,speed\n0,C1,0,0,10,10,4,2\n")
    report = read_detections(path).report
    assert "'personID'" in str(report)
    assert "'speed'" in str(report)


def test_a_header_without_a_needed_column_is_refused_by_its_name(folder):
    path = folder / "boxes.csv"
    path.write_text("time,x1,y1,x2\n0,0,0,10\n")
    with pytest.raises(InputError, match="no column y2, camera"):
        read_detections(path, "csv")


def test_only_the_first_lines_of_many_bad_rows_are_named(folder):
    path = folder / "boxes.csv"
    path.write_text("time,camera,x1,y1,x2,y2\n" + "1,C1,0,0,x,10\n" * 400)
    result = read_detections(path)
    assert result.report.n_skipped == 400
    assert "line 2, 3, 4, 5, 6, ..." in str(result.report)


def test_truncated_json_is_refused_with_the_place(folder):
    path = make_coco(folder, IDS)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"line 1, column \d+.*truncated"):
        read_detections(path, options=SAMPLES["coco"].options)


def test_a_truncated_last_line_of_json_lines_is_one_bad_row(folder):
    path = SAMPLES["jsonl"].make(folder, IDS)
    path.write_text(path.read_text()[:-20])
    result = read_detections(path)
    assert len(result.detections) == 2
    assert "line is not whole JSON" in result.report.skipped


def test_formats_that_count_frames_ask_for_their_rate(folder):
    path = SAMPLES["mot"].make(folder, IDS)
    with pytest.raises(InputError, match="fps"):
        read_detections(path, options=ReadOptions(camera="C1"))
    with pytest.raises(InputError, match="camera"):
        read_detections(path, options=ReadOptions(fps=25.0))


def test_an_unknown_kind_is_refused_with_the_nearest(folder):
    with pytest.raises(UnknownNameError, match="did you mean 'jsonl'"):
        read_detections(make_csv(folder, IDS), "json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"type": "FeatureCollection", "features": []}', "GeoJSON"),
        (b'{"images": [], "annotations": []}', "COCO data set"),
        (b"\xff\xd8\xff\xe0 picture", "JPEG"),
        (b'<?xml version="1.0"?><opencv_storage></opencv_storage>', "OpenCV calibration"),
        (b"%YAML:1.0\n---\nK: 1\n", "OpenCV calibration"),
        (b"lorem ipsum", "nothing known"),
    ],
)
def test_what_is_no_detections_is_named(folder, content, words):
    path = folder / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_detections(path)


def test_a_missing_file_is_named(folder):
    with pytest.raises(InputError, match=r"nowhere\.csv: there is no such file"):
        read_detections(folder / "nowhere.csv")


def test_mot_confidences_become_scores_and_the_report_says_how(folder):
    path = folder / "det.txt"
    path.write_text("1,-1,1,1,10,10,50,-1,-1,-1\n1,-1,1,1,10,10,100,-1,-1,-1\n1,-1,1,1,10,10,-1,-1,-1,-1\n")
    result = read_detections(path, options=SAMPLES["mot"].options)
    assert result.detections.score.tolist() == [0.5, 1.0, 1.0]
    assert "divided by 100" in str(result.report)


def test_mot_classes_of_the_nine_column_form_become_labels(folder):
    path = folder / "gt.txt"
    path.write_text("1,1,1,1,10,10,1,1,0.5\n1,2,1,1,10,10,1,3,0.5\n")
    assert read_detections(path, options=SAMPLES["mot"].options).detections.label.tolist() == [
        "person",
        "car",
    ]


def test_coco_images_file_gives_camera_time_and_category(folder):
    path = make_coco(folder, IDS)
    listed = [
        {"id": "C1_0", "camera": "gate", "time": 5.0},
        {"id": "C1_1", "file_name": "gate_000010.jpg"},
    ]
    images = folder / "images.json"
    images.write_text(json.dumps({"images": listed, "categories": [{"id": 1, "name": "car"}]}))
    pattern = r"(?P<camera>[a-z]+)_(?P<frame>\d+)"
    options = ReadOptions(images=str(images), image_pattern=pattern, fps=2.0)
    found = read_detections(path, options=options).detections
    assert found.camera.tolist() == ["gate"] * 3
    assert found.time.tolist() == [5.0, 5.0, 5.0]
    assert found.label.tolist() == ["car"] * 3


def test_coco_images_that_are_not_listed_are_counted(folder):
    path = make_coco(folder, IDS)
    images = folder / "images.json"
    images.write_text(json.dumps({"images": [{"id": "C1_0", "camera": "gate", "time": 5.0}]}))
    result = read_detections(path, options=ReadOptions(images=str(images)))
    assert len(result.detections) == 2
    assert "its image has no camera and time" in result.report.skipped


def test_embeddings_and_feet_of_json_lines_are_read(folder):
    path = folder / "boxes.jsonl"
    row = {"time": 1, "camera": "C1", "box": [0, 0, 9, 9], "foot": [4.5, 8], "embedding": [0.6, 0.8]}
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, "embedding": None}) + "\n")
    found = read_detections(path).detections
    assert found.foot.tolist() == [[4.5, 8.0]] * 2
    np.testing.assert_allclose(found.embedding[0], [0.6, 0.8], rtol=1e-6)
    assert np.isnan(found.embedding[1]).all()
