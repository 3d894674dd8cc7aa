"""Writes fixtures/authorities/tracking.json: small scenes and what TrackEval and py-motmetrics say of them.

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
MOT_FIGURES += ["num_switches", "num_fragmentations", "mota", "motp"]
MOT_FIGURES += ["mostly_tracked", "partially_tracked", "mostly_lost"]
N_ORDERS = 6  # orders of the rows in which scenes with ties must have the same figures

Values = dict[str, Any]
Scene = tuple[np.ndarray, np.ndarray]
METRICS = (HOTA(), CLEAR({"PRINT_CONFIG": False}), Identity({"PRINT_CONFIG": False}))


def crowd(rng: np.random.Generator, n_frames: int, n: int) -> Scene:
    """Rows (frame, id, x, y) of truth and of a tracker that misses, invents, swaps and breaks off, on 6 x 6 m."""
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


def grid(rng: np.random.Generator, n_frames: int, n: int) -> Scene:
    """Rows on a grid of 0.4 m, several to a place, so that equal distances abound; nobody is seen twice."""
    frame, ids = np.repeat(np.arange(n_frames), n), np.arange(n_frames * n)
    there = rng.integers(0, 16, (n_frames * n, 2))
    near = there + rng.integers(-1, 2, there.shape)
    seen = rng.random(len(ids)) < 0.9
    truth = np.column_stack([frame, ids, np.round(0.4 * there, 3)])
    return truth, np.column_stack([frame, ids, np.round(0.4 * near, 3)])[seen]


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


def trackeval_values(truth: np.ndarray, result: np.ndarray, similarity: list[np.ndarray]) -> list[Values]:
    """TrackEval's HOTA, CLEAR and Identity, at its default threshold of 0.5."""
    data: Values = {"num_timesteps": len(similarity), "similarity_scores": similarity}
    for name, rows in (("gt", truth), ("tracker", result)):
        names, ids = np.unique(rows[:, 1], return_inverse=True)
        data[f"{name}_ids"] = [ids[rows[:, 0] == f] for f in range(len(similarity))]
        data[f"num_{name}_ids"], data[f"num_{name}_dets"] = len(names), len(rows)
    return [metric.eval_sequence(data) for metric in METRICS]


def listed(found: list[Values]) -> Values:
    """The figures of all three in one table."""
    return {key: np.asarray(value).tolist() for values in found for key, value in values.items()}


def combined_by_trackeval(scenes: dict[str, list[Values]]) -> Values:
    """The figures of several scenes as one benchmark."""
    return listed([m.combine_sequences({k: v[i] for k, v in scenes.items()}) for i, m in enumerate(METRICS)])


def accumulated(truth: np.ndarray, result: np.ndarray, similarity: list[np.ndarray]) -> motmetrics.MOTAccumulator:
    """py-motmetrics' events, with pairs below a similarity of 0.5 forbidden."""
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame, matrix in enumerate(similarity):
        distance = np.where(matrix >= 0.5, 1.0 - matrix, np.nan)
        ids = [rows[rows[:, 0] == frame, 1].astype(int) for rows in (truth, result)]
        accumulator.update(*ids, distance)
    return accumulator


def motmetrics_values(accumulators: dict[str, motmetrics.MOTAccumulator]) -> dict[str, Values]:
    """py-motmetrics' figures of each scene, and of all as "OVERALL"."""
    summary = motmetrics.metrics.create().compute_many(
        list(accumulators.values()), metrics=MOT_FIGURES, names=list(accumulators), generate_overall=True
    )
    return {row: {name: float(summary.loc[row, name]) for name in MOT_FIGURES} for row in summary.index}


def refuse_if_ties_decide(truth: np.ndarray, result: np.ndarray) -> None:
    """A figure that hangs on which of two equal choices is taken is no authority for anybody."""
    rng, found = np.random.default_rng(0), []
    for _ in range(N_ORDERS):
        t, r = rng.permutation(truth), rng.permutation(result)
        found.append(listed(trackeval_values(t, r, similarities(t, r, "positions"))))
    for key, value in found[0].items():
        if not all(np.allclose(other[key], value, rtol=0, atol=1e-12) for other in found):
            raise RuntimeError(f"{key} hangs on the order of the rows; try another seed")


def main() -> None:
    """Write the file whole."""
    content: Values = {
        "command": COMMAND,
        "versions": {name: version(name) for name in ("trackeval", "motmetrics", "numpy", "scipy")},
        "zero_distance": ZERO_DISTANCE,
    }
    few = crowd(np.random.default_rng(7), n_frames=40, n=8)
    scenes = {"positions": few, "boxes": (boxes_of(few[0]), boxes_of(few[1]))}
    scenes["crowd"] = crowd(np.random.default_rng(8), n_frames=30, n=40)
    scenes["ties"] = grid(np.random.default_rng(1), n_frames=10, n=30)
    refuse_if_ties_decide(*scenes["ties"])
    similarity = {name: similarities(*scene, name) for name, scene in scenes.items()}
    trackeval = {name: trackeval_values(*scene, similarity[name]) for name, scene in scenes.items()}
    motm = motmetrics_values({name: accumulated(*scene, similarity[name]) for name, scene in scenes.items()})
    for name, (truth, result) in scenes.items():
        content[name] = {"truth": truth.tolist(), "result": result.tolist()}
        content[name] |= {"trackeval": listed(trackeval[name]), "motmetrics": motm[name]}
    content["combined"] = {"trackeval": combined_by_trackeval(trackeval), "motmetrics": motm["OVERALL"]}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    part = OUT.with_suffix(".part")
    part.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(OUT)


if __name__ == "__main__":
    main()
