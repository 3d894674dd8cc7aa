"""Writes fixtures/authorities/tracking.json: a small crowd and what TrackEval and py-motmetrics say of it.

Needs an environment of its own, because trackeval brings another OpenCV distribution:
    python -m venv authorities && . authorities/bin/activate
    pip install --no-deps trackeval==1.3.0
    pip install numpy scipy pycocotools tabulate matplotlib motmetrics==1.4.0
    python tools/authorities/tracking_values.py
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import motmetrics
import numpy as np
from trackeval.datasets._base_dataset import _BaseDataset
from trackeval.metrics import CLEAR, HOTA, Identity

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "authorities" / "tracking.json"
COMMAND = "python tools/authorities/tracking_values.py"
ZERO_DISTANCE = 2.0  # m
MOT_FIGURES = ["idf1", "idp", "idr", "recall", "precision", "num_false_positives", "num_misses"]
MOT_FIGURES += ["num_switches", "num_fragmentations", "mota", "motp", "mostly_tracked", "mostly_lost"]

Values = dict[str, Any]


def crowd(rng: np.random.Generator, n_frames: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (frame, id, x, y) of truth and of a tracker that misses, invents, swaps and breaks off."""
    truth, result = [], []
    xy, velocity = rng.uniform(0, 6, (n, 2)), rng.normal(0, 0.4, (n, 2))
    name = 100 + np.arange(n)
    for frame in range(n_frames):
        xy = xy + velocity
        velocity = velocity + rng.normal(0, 0.1, (n, 2)) + 0.05 * (3.0 - xy)
        if rng.random() < 0.3:
            a, b = rng.choice(n, 2, replace=False)
            name[[a, b]] = name[[b, a]] if rng.random() < 0.5 else (name[a], name.max() + 1)
        there = rng.random(n) < 0.9
        seen = (rng.random(n) < 0.8) & (frame != 11)  # one frame without any result
        there &= frame != 17  # and one without any truth
        truth += [(frame, i, *np.round(xy[i], 3)) for i in np.flatnonzero(there)]
        noisy = np.round(xy + rng.normal(0, 0.35, xy.shape), 3)
        result += [(frame, name[i], *noisy[i]) for i in np.flatnonzero(seen)]
        if frame % 3 == 0:
            result.append((frame, 9000 + frame // 9, *np.round(rng.uniform(0, 6, 2), 3)))
    return np.array(truth), np.array(result)


def boxes_of(rows: np.ndarray) -> np.ndarray:
    """The same rows with boxes (left, top, right, bottom, px) in place of the positions."""
    left, top = np.round(60 * rows[:, 2]), np.round(40 * rows[:, 3])
    return np.column_stack([rows[:, :2], left, top, left + 70, top + 120])


def similarities(truth: np.ndarray, result: np.ndarray, kind: str) -> list[np.ndarray]:
    """TrackEval's own similarity of each frame."""
    frames = np.arange(int(max(truth[:, 0].max(), result[:, 0].max())) + 1)
    parts = [(truth[truth[:, 0] == f, 2:], result[result[:, 0] == f, 2:]) for f in frames]
    if kind == "boxes":
        return [_BaseDataset._calculate_box_ious(t, r, box_format="x0y0x1y1") for t, r in parts]
    return [_BaseDataset._calculate_euclidean_similarity(t, r, zero_distance=ZERO_DISTANCE) for t, r in parts]


def trackeval_values(truth: np.ndarray, result: np.ndarray, similarity: list[np.ndarray]) -> Values:
    """Every figure of TrackEval's HOTA, CLEAR and Identity at its default threshold of 0.5."""
    data: Values = {"num_timesteps": len(similarity), "similarity_scores": similarity}
    for name, rows in (("gt", truth), ("tracker", result)):
        names, ids = np.unique(rows[:, 1], return_inverse=True)
        data[f"{name}_ids"] = [ids[rows[:, 0] == f] for f in range(len(similarity))]
        data[f"num_{name}_ids"], data[f"num_{name}_dets"] = len(names), len(rows)
    values: Values = {}
    for metric in (HOTA(), CLEAR({"PRINT_CONFIG": False}), Identity({"PRINT_CONFIG": False})):
        values |= {key: np.asarray(value).tolist() for key, value in metric.eval_sequence(data).items()}
    return values


def motmetrics_values(truth: np.ndarray, result: np.ndarray, similarity: list[np.ndarray]) -> Values:
    """py-motmetrics' figures with pairs below a similarity of 0.5 forbidden."""
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame, matrix in enumerate(similarity):
        distance = np.where(matrix >= 0.5, 1.0 - matrix, np.nan)
        ids = [rows[rows[:, 0] == frame, 1].astype(int) for rows in (truth, result)]
        accumulator.update(*ids, distance)
    summary = motmetrics.metrics.create().compute(accumulator, metrics=MOT_FIGURES)
    return {name: float(summary[name].iloc[0]) for name in MOT_FIGURES}


def main() -> None:
    """Write the file whole."""
    content: Values = {
        "command": COMMAND,
        "versions": {name: version(name) for name in ("trackeval", "motmetrics", "numpy", "scipy")},
        "zero_distance": ZERO_DISTANCE,
    }
    truth, result = crowd(np.random.default_rng(7), n_frames=40, n=8)
    for kind in ("positions", "boxes"):
        t, r = (truth, result) if kind == "positions" else (boxes_of(truth), boxes_of(result))
        similarity = similarities(t, r, kind)
        content[kind] = {
            "truth": t.tolist(),
            "result": r.tolist(),
            "trackeval": trackeval_values(t, r, similarity),
            "motmetrics": motmetrics_values(t, r, similarity),
        }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    part = OUT.with_suffix(".part")
    part.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(OUT)


if __name__ == "__main__":
    main()
