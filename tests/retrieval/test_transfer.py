"""Rows leave one backend and come into another as they were, or not at all."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.retrieval import transfer
from geoloc.retrieval.indexes import INDEXES
from geoloc.retrieval.transfer import copy_rows, export_rows, import_rows
from geoloc.retrieval.where import Where

FIELDS = {"camera": str, "time": float, "track": int}
IDS = np.array([7, 0, 3, 12, 5])


@pytest.fixture
def source(make, rng):
    index = make("exact", 4, FIELDS)
    camera = np.array(["gate", "", 'a "quoted" \\ name', "Zürich 東", "%s {x} 'y'\n"])
    time = np.array([1.5, np.nan, -1e300, 0.1 + 0.2, 1.7e9])
    track = np.array([-1, 2**62, 0, 5, -(2**40)])
    index.add(IDS, rng.normal(size=(5, 4)), {"camera": camera, "time": time, "track": track})
    return index


def assert_same(one, other) -> None:
    np.testing.assert_array_equal(one.ids(), other.ids())
    (vectors, rows), (vectors2, rows2) = one.read(one.ids()), other.read(one.ids())
    np.testing.assert_array_equal(vectors, vectors2)
    for name in FIELDS:
        np.testing.assert_array_equal(rows[name], rows2[name])


@pytest.mark.parametrize("name", list(INDEXES))
def test_rows_go_through_every_backend_and_a_folder_unchanged(make, source, name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(transfer, "BLOCK", 2)
    there, back = make(name, 4, FIELDS), make("exact", 4, FIELDS)
    assert copy_rows(source, there) == 5
    assert_same(source, there)
    for value in source.read(source.ids())[1]["camera"].tolist():
        where = Where().equal("camera", value)
        np.testing.assert_array_equal(there.ids(where), source.ids(where))
    assert export_rows(there, tmp_path / "rows") == 5
    assert import_rows(tmp_path / "rows", back) == 5
    assert_same(source, back)


def test_part_of_the_rows_can_be_copied(make, source) -> None:
    target = make("exact", 4, FIELDS)
    assert copy_rows(source, target, Where().between("time", 0, 10)) == 2
    assert target.ids().tolist() == [7, 12]


def test_rows_of_another_kind_are_refused(make, source, tmp_path) -> None:
    with pytest.raises(InputError, match="holds rows of dim 3"):
        copy_rows(source, make("exact", 3, FIELDS))
    with pytest.raises(InputError, match="holds rows of fields"):
        copy_rows(source, make("exact", 4, {"camera": str}))
    export_rows(source, tmp_path / "rows")
    with pytest.raises(InputError, match="is not empty"):
        export_rows(source, tmp_path / "rows")
    told = make("exact", 4, FIELDS, model="one")
    export_rows(told, tmp_path / "told")
    with pytest.raises(InputError, match="'other' was asked for"):
        import_rows(tmp_path / "told", make("exact", 4, FIELDS, model="other"))


def test_a_folder_that_is_not_whole_is_refused(make, source, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(transfer, "BLOCK", 2)
    export_rows(source, tmp_path)
    (tmp_path / "000001.npz").unlink()
    with pytest.raises(InputError, match="holds 3 rows, about"):
        import_rows(tmp_path, make("exact", 4, FIELDS))
    (tmp_path / "about.json").unlink()
    with pytest.raises(InputError, match="no such file"):
        import_rows(tmp_path, make("exact", 4, FIELDS))


def test_an_id_that_is_there_already_stops_a_copy_before_its_first_row(make, source) -> None:
    target = make("exact", 4, FIELDS)
    copy_rows(source, target, Where().ids(np.array([12])))
    with pytest.raises(InputError, match="holds id 12 already"):
        copy_rows(source, target)
    assert len(target) == 1
