"""Truth on disk comes back as it was; a file that is broken is refused by name and line."""

from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.synthetic import Observation, Truth
from geoloc.synthetic.storage import load_truth, save_truth


@pytest.fixture
def truth(garage_seen: Observation) -> Truth:
    return garage_seen.truth.take(garage_seen.truth.time < garage_seen.truth.time.min() + 20)


def test_truth_comes_back_from_its_file(truth: Truth, tmp_path: Path) -> None:
    save_truth(truth, tmp_path / "truth.csv.gz")
    loaded = load_truth(tmp_path / "truth.csv.gz")
    for name, column in truth:
        other = getattr(loaded, name)
        if column.dtype.kind == "f":
            assert np.abs(column - other).max() < 1e-4, name
        else:
            assert np.array_equal(column, other), name
    first = (tmp_path / "truth.csv.gz").read_bytes()
    save_truth(truth, tmp_path / "truth.csv.gz")
    assert (tmp_path / "truth.csv.gz").read_bytes() == first


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no truth"),
        ("a,b\n1,2\n", "no truth"),
        ("HEAD\n1,2,3\n", "line 2 has 3 cells"),
        ("HEAD\nx,1,car,g,0,0,0,0,0,0,1,1,1,1\n", "something else"),
    ],
)
def test_broken_truth_files_are_refused_by_name(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    head = "time,object,label,level,x,y,z,vx,vy,heading,length,width,height,n_cameras"
    file.write_text(text.replace("HEAD", head), encoding="utf-8")
    with pytest.raises(InputError, match=told) as caught:
        load_truth(file)
    assert "truth.csv" in str(caught.value)


def test_a_truth_without_rows_comes_back_empty(tmp_path: Path) -> None:
    save_truth(Truth(), tmp_path / "truth.csv")
    assert len(load_truth(tmp_path / "truth.csv")) == 0
