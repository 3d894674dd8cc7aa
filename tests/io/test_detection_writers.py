"""What is written is what is read again."""

from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.io.detection_writers import WRITERS, write_detections
from geoloc.io.detections import read_detections
from geoloc.scene.tables import Detections


def some_detections(rng: np.random.Generator, n: int = 40) -> Detections:
    corner = rng.uniform(0, 1000, (n, 2))
    foot = np.full((n, 2), np.nan)
    foot[::3] = rng.uniform(0, 1000, foot[::3].shape)
    return Detections(
        id=np.arange(n),
        time=1.7e9 + rng.uniform(0, 60, n),
        camera=rng.choice(["gate", "hall, north", 'the "old" one'], n),
        box=np.concatenate([corner, corner + rng.uniform(1, 200, (n, 2))], axis=1),
        foot=foot,
        label=rng.choice(["", "car"], n),
        score=rng.uniform(0, 1, n),
    )


@pytest.mark.parametrize("ending", WRITERS)
def test_every_number_comes_back_as_it_was(ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    written = some_detections(rng)
    write_detections(tmp_path / f"boxes{ending}", written)
    result = read_detections(tmp_path / f"boxes{ending}")
    assert result.report.n_skipped == 0
    assert result.detections == written


def test_embeddings_go_to_json_lines_and_are_refused_by_csv(tmp_path: Path, rng: np.random.Generator) -> None:
    written = some_detections(rng).replace(embedding=rng.normal(size=(40, 5)).astype(np.float32))
    write_detections(tmp_path / "boxes.jsonl", written)
    assert read_detections(tmp_path / "boxes.jsonl").detections == written
    with pytest.raises(InputError, match="no place for embeddings"):
        write_detections(tmp_path / "boxes.csv", written)
    assert not (tmp_path / "boxes.csv").exists()


def test_a_covariance_that_would_be_lost_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    written = some_detections(rng).replace(foot_cov=np.broadcast_to(np.eye(2), (40, 2, 2)))
    with pytest.raises(InputError, match="foot_cov"):
        write_detections(tmp_path / "boxes.csv", written)


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ending"):
        write_detections(tmp_path / "boxes.xml", Detections())
