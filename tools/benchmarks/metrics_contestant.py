"""One contestant of the benchmark of tracking scores, in a process of its own: prints what it took as JSON.

    python tools/benchmarks/metrics_contestant.py geoloc --frames 1000

Imports nothing of the other benchmarks, so that it also runs in an environment that holds the peers alone.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

if TYPE_CHECKING:
    from geoloc.metrics.matching import Pairs

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

N_OBJECTS = 100
FRAMES_A_NAME = 125  # after which a track is lost and found again under another name
ZERO_DISTANCE = 2.0  # m
THRESHOLD = 0.5

Figures = dict[str, float]
Given = list[np.ndarray] | None  # similarity (n, m) of each frame, or None: to be computed, and timed


@dataclass(frozen=True)
class Recording:
    """What each contestant starts from: ids (n,) int and positions (n, 2) m of each frame."""

    truth_ids: list[np.ndarray]
    truth_xy: list[np.ndarray]
    result_ids: list[np.ndarray]
    result_xy: list[np.ndarray]


def recording(n_frames: int, side: float) -> Recording:
    """Walkers on a square of `side` m; a tracker that misses 10 %, strays 2 %, and renames every 125 frames.

    After 1,000 frames other walkers come, so that the number of identities grows with the recording's length.
    """
    rng = np.random.default_rng(3)
    xy, velocity = rng.uniform(0, side, (N_OBJECTS, 2)), rng.normal(0, 0.05, (N_OBJECTS, 2))
    ids, lag = np.arange(N_OBJECTS), rng.integers(0, FRAMES_A_NAME, N_OBJECTS)
    parts: list[tuple[np.ndarray, ...]] = []
    n_names = n_frames // FRAMES_A_NAME
    for frame in range(n_frames):
        velocity = 0.98 * velocity + rng.normal(0, 0.01, xy.shape)
        out = (xy + velocity < 0) | (xy + velocity > side)
        velocity = np.where(out, -velocity, velocity)
        xy = xy + velocity
        seen = np.flatnonzero(rng.random(N_OBJECTS) < 0.9)
        sigma = np.where(rng.random(len(seen)) < 0.02, 3.0, 0.3)[:, None]
        name = (frame + lag) // FRAMES_A_NAME % n_names * N_OBJECTS + ids
        found = xy[seen] + sigma * rng.normal(0, 1, (len(seen), 2))
        parts.append((frame // 1000 * N_OBJECTS + ids, xy, name[seen], found))
    return Recording(*(list(column) for column in zip(*parts, strict=True)))


def similarities(data: Recording) -> list[np.ndarray]:
    """Similarity (n, m) of each frame, in [0, 1]: 1 - distance / zero distance."""
    apart = [t[:, None] - r[None] for t, r in zip(data.truth_xy, data.result_xy, strict=True)]
    return [np.maximum(0.0, 1.0 - np.hypot(d[..., 0], d[..., 1]) / ZERO_DISTANCE) for d in apart]


def geoloc_pairs(data: Recording, given: Given) -> "Pairs":
    """What geoloc's scores start from."""
    from geoloc.metrics.matching import Sightings, pair_positions, pair_similarities

    if given is not None:
        return pair_similarities(data.truth_ids, data.result_ids, given)
    truth, result = (
        Sightings(np.repeat(np.arange(len(ids)), [len(rows) for rows in ids]), np.concatenate(ids), np.concatenate(xy))
        for ids, xy in ((data.truth_ids, data.truth_xy), (data.result_ids, data.result_xy))
    )
    return pair_positions(truth, result, ZERO_DISTANCE)


def geoloc_run(data: Recording, given: Given) -> Figures:
    """HOTA, CLEAR and identity by geoloc."""
    from geoloc.metrics.hota import score_hota
    from geoloc.metrics.tracking import score_clear, score_identity

    pairs = geoloc_pairs(data, given)
    hota, clear, identity = score_hota(pairs), score_clear(pairs, THRESHOLD), score_identity(pairs, THRESHOLD)
    found = {"HOTA": "hota", "DetA": "det_a", "AssA": "ass_a", "LocA": "loc_a", "AssRe": "ass_re", "AssPr": "ass_pr"}
    figures = {theirs: hota.figure(ours) for theirs, ours in found.items()}
    figures |= {"MOTA": clear.mota, "MOTP": clear.motp, "IDSW": clear.switches, "Frag": clear.fragments}
    figures |= {"MT": clear.mostly_tracked, "PT": clear.partly_tracked, "ML": clear.mostly_lost}
    return figures | {"IDF1": identity.idf1, "IDP": identity.idp, "IDR": identity.idr}


def geoloc_clear_run(data: Recording, given: Given) -> Figures:
    """CLEAR under py-motmetrics' convention, and identity, by geoloc."""
    from geoloc.metrics.tracking import score_clear, score_identity

    pairs = geoloc_pairs(data, given)
    clear, identity = score_clear(pairs, THRESHOLD, "motmetrics"), score_identity(pairs, THRESHOLD)
    figures = {"mota": clear.mota, "num_switches": clear.switches, "num_fragmentations": clear.fragments}
    figures |= {"num_false_positives": clear.false_positives, "num_misses": clear.misses}
    figures |= {"mostly_tracked": clear.mostly_tracked, "partially_tracked": clear.partly_tracked}
    figures |= {"mostly_lost": clear.mostly_lost, "recall": clear.figure("recall")}
    figures["precision"] = clear.figure("precision")
    return figures | {"idf1": identity.idf1, "idp": identity.idp, "idr": identity.idr}


def trackeval_run(data: Recording, given: Given) -> Figures:
    """HOTA, CLEAR and identity by TrackEval, and its own similarity where none is given."""
    from trackeval.datasets._base_dataset import _BaseDataset
    from trackeval.metrics import CLEAR, HOTA, Identity

    if given is None:
        rows = zip(data.truth_xy, data.result_xy, strict=True)
        given = [_BaseDataset._calculate_euclidean_similarity(t, r, zero_distance=ZERO_DISTANCE) for t, r in rows]
    table: dict[str, object] = {"num_timesteps": len(given), "similarity_scores": given}
    for name, ids in (("gt", data.truth_ids), ("tracker", data.result_ids)):
        names, numbers = np.unique(np.concatenate(ids), return_inverse=True)
        table[f"{name}_ids"] = np.split(numbers, np.cumsum([len(rows) for rows in ids])[:-1])
        table[f"num_{name}_ids"], table[f"num_{name}_dets"] = len(names), len(numbers)
    quiet = {"PRINT_CONFIG": False}
    figures: Figures = {}
    for metric in (HOTA(), CLEAR(quiet), Identity(quiet)):
        found = metric.eval_sequence(table)
        figures |= {key: float(np.mean(value)) for key, value in found.items()}
    return figures


def motmetrics_run(data: Recording, given: Given) -> Figures:
    """CLEAR and identity by py-motmetrics, and its own distances where no similarity is given."""
    import motmetrics

    if given is None:
        limit = (ZERO_DISTANCE * (1.0 - THRESHOLD)) ** 2
        rows = zip(data.truth_xy, data.result_xy, strict=True)
        # of plain distances, as the others: of squared ones it would choose other matches here and there
        distances = [np.sqrt(motmetrics.distances.norm2squared_matrix(t, r, max_d2=limit)) for t, r in rows]
    else:
        distances = [np.where(similarity >= THRESHOLD, 1.0 - similarity, np.nan) for similarity in given]
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for truth, result, distance in zip(data.truth_ids, data.result_ids, distances, strict=True):
        accumulator.update(truth, result, distance)
    # all that it prints but MOTP, which is in other units where it computes the distances
    names = [name for name in motmetrics.metrics.motchallenge_metrics if name != "motp"]
    summary = motmetrics.metrics.create().compute(accumulator, metrics=names)
    return {name: float(summary[name].iloc[0]) for name in names}


CONTESTANTS: dict[str, Callable[[Recording, Given], Figures]] = {
    "geoloc": geoloc_run,
    "geoloc-clear": geoloc_clear_run,
    "trackeval": trackeval_run,
    "motmetrics": motmetrics_run,
}


def peak_mb() -> float:
    """The most memory that this process has held, MB (ru_maxrss would count the parent's as well on Linux)."""
    status = Path("/proc/self/status")
    if status.exists():
        words = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()
        return int(words[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # bytes on macOS


def main() -> None:
    """Run one contestant and print its shortest CPU time, its peak memory and its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=list(CONTESTANTS))
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--side", type=float, default=60.0, help="of the square that is walked on, m")
    parser.add_argument("--given", action="store_true", help="similarity is given and not timed")
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    data = recording(asked.frames, asked.side)
    given = similarities(data) if asked.given else None
    few, seconds = recording(2 * FRAMES_A_NAME, asked.side), []
    CONTESTANTS[asked.name](few, similarities(few))  # imports are not timed
    for _ in range(asked.repeat):
        start = time.process_time()
        figures = CONTESTANTS[asked.name](data, given)
        seconds.append(time.process_time() - start)
    print(json.dumps({"seconds": min(seconds), "peak_mb": peak_mb(), "figures": figures}))


if __name__ == "__main__":
    main()
