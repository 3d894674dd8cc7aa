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


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_feet_keep_their_covariances(tmp_path: Path, rng: np.random.Generator, ending: str) -> None:
    cov = np.full((40, 2, 2), np.nan)
    cov[::2] = [[4.0, -1.25], [-1.25, 2.5]]
    foot = np.where(np.isfinite(cov[:, 0]), rng.uniform(0, 900, (40, 2)), np.nan)
    written = some_detections(rng).replace(foot=foot, foot_cov=cov)
    write_detections(tmp_path / f"boxes{ending}", written)
    assert read_detections(tmp_path / f"boxes{ending}").detections == written


def test_a_covariance_without_its_foot_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    written = some_detections(rng)
    written = written.replace(foot=np.full((40, 2), np.nan), foot_cov=np.broadcast_to(np.eye(2), (40, 2, 2)))
    with pytest.raises(InputError, match="foot_cov and no foot"):
        write_detections(tmp_path / "boxes.csv", written)


def test_a_foot_with_a_broken_covariance_is_left_out_with_a_reason(tmp_path: Path) -> None:
    header = "time,camera,x1,y1,x2,y2,foot_u,foot_v,foot_uu,foot_uv,foot_vv\n"
    (tmp_path / "boxes.csv").write_text(header + "0,a,1,1,9,9,5,9,1,2,1\n0,a,1,1,9,9,5,9,2,1,2\n0,a,1,1,9,9,,,2,1,2\n")
    read = read_detections(tmp_path / "boxes.csv")
    assert len(read.detections) == 1
    assert read.report.n_skipped == 2


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ending"):
        write_detections(tmp_path / "boxes.xml", Detections())
