"""Tables: every column has its dtype and shape or is refused by name; what is missing says so; rows stay frozen."""

import numpy as np
import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.scene.columns import name_codes
from geoloc.scene.tables import Detections, Dropped, GroundPoints, Objects, Tracks

TABLES = pytest.mark.parametrize("table", [Detections, Dropped, GroundPoints, Objects, Tracks])


def boxes(n=3, **columns):
    return Detections(time=np.arange(float(n)), box=np.arange(4.0 * n).reshape(n, 4), **columns)


@TABLES
def test_an_empty_table_has_every_column_in_its_shape(table):
    empty = table()
    assert len(empty) == 0
    for name, column in table.columns.items():
        array = getattr(empty, name)
        want = (0, *(0 if size == -1 else size for size in column.shape))
        assert array.shape == want
        assert array.dtype.kind == np.dtype(column.dtype).kind


@TABLES
def test_every_declared_column_is_annotated_and_the_other_way_round(table):
    assert list(table.columns) == [name for name, kind in table.__annotations__.items() if kind is np.ndarray]


def test_columns_that_are_not_given_are_missing_not_zero():
    rows = boxes(2)
    assert rows.id.tolist() == [-1, -1]
    assert rows.camera.tolist() == ["", ""]
    assert np.isnan(rows.foot).all()
    assert np.isnan(rows.foot_cov).all()
    assert rows.score.tolist() == [1.0, 1.0]
    assert rows.embedding.shape == (2, 0)


def test_an_unknown_column_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="column 'boxes' of Detections; did you mean 'box'"):
        Detections(boxes=np.zeros((1, 4)))
    with pytest.raises(UnknownNameError, match="'scores' of Detections; did you mean 'score'"):
        boxes().replace(scores=[1, 1, 1])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"box": np.zeros((3, 5))}, r"Detections.box: shape \(3, 5\); it must be \(3, 4\)"),
        ({"box": np.zeros(4)}, r"Detections.box: shape \(4,\)"),
        ({"box": []}, r"Detections.box: shape \(0, 4\); it must be \(3, 4\)"),
        ({"score": [1.0, 2.0]}, r"Detections.score: shape \(2,\); it must be \(3\)"),
        ({"score": 1.0}, r"Detections.score: shape \(\)"),
        ({"id": [1.5, 2.0, 3.0]}, "Detections.id: cannot read the values as int"),
        ({"id": ["a", "b", "c"]}, "Detections.id: cannot read the values as int"),
        ({"score": ["high", "low", "x"]}, "Detections.score: cannot read the values as float"),
        ({"box": [[1, 2, 3, 4], [1, 2], [3]]}, "Detections.box: cannot read the values as float"),
        ({"embedding": np.zeros(3)}, r"Detections.embedding: shape \(3,\); it must be \(3, D\)"),
    ],
)
def test_a_column_that_does_not_fit_is_refused_by_name(columns, message):
    with pytest.raises(InputError, match=message):
        Detections(time=[0.0, 1.0, 2.0], **columns)


def test_tables_are_frozen():
    rows = boxes()
    with pytest.raises(AttributeError, match=r"frozen; use replace\(time=...\)"):
        rows.time = np.zeros(3)
    for _, array in rows:
        assert not array.flags.writeable
    for table in (rows.take([0]), rows.replace(score=[0.1, 0.2, 0.3]), Detections.concat([rows, rows]), Detections()):
        assert not any(array.flags.writeable for _, array in table)
    with pytest.raises(TypeError, match="unhashable"):
        hash(rows)


def test_making_a_table_does_not_freeze_the_callers_array():
    time = np.zeros(2)
    Detections(time=time)
    boxes(2).replace(time=time)
    time[0] = 1.0
    assert time.flags.writeable


def test_rows_are_taken_by_index_mask_or_nothing():
    rows = boxes(3, camera=["a", "b", "c"])
    assert rows.take(np.array([2, 0])).camera.tolist() == ["c", "a"]
    assert rows.take(np.array([False, True, False])).time.tolist() == [1.0]
    assert len(rows.take([])) == 0
    assert rows.take([]).box.shape == (0, 4)


def test_concatenation_keeps_order_and_widens_what_has_no_embedding():
    with_embedding = boxes(2, embedding=np.ones((2, 3)), camera=["gate", "yard"])
    joined = Detections.concat([boxes(1, camera=["entrance"]), Detections(), with_embedding])
    assert joined.camera.tolist() == ["entrance", "gate", "yard"]
    assert joined.embedding.dtype == np.float32
    assert np.isnan(joined.embedding[0]).all()
    assert (joined.embedding[1:] == 1).all()
    assert Detections.concat([]) == Detections()
    with pytest.raises(InputError, match=r"widths \[3, 5\] differ"):
        Detections.concat([with_embedding, boxes(1, embedding=np.ones((1, 5)))])


def test_equality_is_by_value_and_missing_equals_missing():
    assert boxes() == boxes()
    assert boxes() != boxes(score=[0.5, 1, 1])
    assert boxes() != boxes(2)
    assert Detections() != GroundPoints()


def test_dtypes_are_declared_not_guessed():
    rows = Detections(time=[1, 2], id=np.array([3, 4], np.int32), camera=np.array(["a", "bb"], object), score=[1, 0])
    assert (rows.time.dtype, rows.id.dtype, rows.score.dtype) == (np.float64, np.int64, np.float64)
    assert rows.camera.dtype.kind == "U"
    tracks = Tracks(time=[0.0], cov=np.eye(4)[None], bias_cov=2 * np.eye(2)[None])
    np.testing.assert_array_equal(tracks.position_cov, [3 * np.eye(2)])


def test_names_are_coded_in_their_order():
    names, codes = name_codes(np.array(["b", "a", "b", ""]))
    assert names == ["", "a", "b"]
    assert codes.tolist() == [2, 1, 2, 0]
