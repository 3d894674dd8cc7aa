"""Place recognition on SPED gives what its reference figures say: HOG 0.47, the published CoHOG 0.50."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from recordings.sped import peers, run

from geoloc.errors import InputError
from geoloc.evaluation.retrieval import RetrievalOptions, evaluate_retrieval
from geoloc.evaluation.robustness.images import place_run


@pytest.mark.slow
def test_hog_and_cohog_score_as_known(recording) -> None:
    figures = {figure.figure: figure for figure in peers(recording("sped"))}
    value = {name: figure.value for name, figure in figures.items()}
    assert value["recall_at_1"] == pytest.approx(47, abs=1.5)  # 47.8
    assert value["recall_at_1_peer"] == pytest.approx(50, abs=0.5)  # 49.9
    assert value["recall_at_1"] < value["map"] < value["recall_at_5"]
    assert all(figure.low < figure.value < figure.high for figure in figures.values())


def test_pictures_without_texture_are_no_match() -> None:
    # equal descriptors tie with every reference: chance, not the reference that comes first
    report = evaluate_retrieval(place_run("flat", np.zeros((10, 4)), np.zeros((10, 4))), RetrievalOptions((1, 5)))
    assert report.figure("cmc@1").value == pytest.approx(10)
    assert report.figure("queries_tied").value == 10


def test_a_folder_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no query image"):
        run(tmp_path)
