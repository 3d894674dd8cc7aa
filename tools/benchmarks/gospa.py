"""GOSPA beside Stone Soup's, and T-GOSPA solved to optimality, on 100 frames of 50 walkers."""

import time
from datetime import datetime, timedelta

import numpy as np

from benchmarks.row import Row, absent, best_time
from geoloc.metrics.gospa import gospa
from geoloc.metrics.matching import Sightings
from geoloc.metrics.trajectory_gospa import trajectory_gospa

N_FRAMES = 100
N_OBJECTS = 50
CUTOFF = 2.0  # m
SWITCH = 2.0  # m
ASKED = "seconds"


def bench_gospa() -> list[Row]:
    """A plaza of 30 x 30 m, then one so crowded that tracks stand within the cutoff of six others."""
    name = f"GOSPA, {N_FRAMES} frames x {N_OBJECTS} objects"
    truth, result = walkers(side=30.0, swaps=0.3)
    ours = best_time(lambda: gospa(truth, result, CUTOFF))
    theirs = stone_soup_s(truth, result)
    rows = [Row(name, "geoloc", 1000 * ours, "ms")]
    if theirs is None:
        rows.append(absent(name, "Stone Soup", "ms", "stonesoup"))
    else:
        rows.append(
            Row(name, "Stone Soup", 1000 * theirs, "ms", theirs / ours, note="states made before the clock starts")
        )
    return [*rows, exact("30 x 30 m", truth, result, CUTOFF), exact("15 x 15 m", *walkers(15.0, 1.0), 1.5 * CUTOFF)]


def exact(where: str, truth: Sightings, result: Sightings, cutoff: float) -> Row:
    """Time of T-GOSPA of order 2, which takes longer than order 1."""
    seconds = best_time(lambda: trajectory_gospa(truth, result, cutoff, SWITCH, 2.0), least=3)
    n_ids = len(np.unique(result.id))
    note = f"exact; cutoff {cutoff:g} m, switch {SWITCH:g} m, {n_ids} result ids"
    return Row(f"T-GOSPA, {N_FRAMES} frames x {N_OBJECTS} objects", where, seconds, "s", None, ASKED, note)


def walkers(side: float, swaps: float) -> tuple[Sightings, Sightings]:
    """Walkers on a square of `side` m, and tracks of them that err by 0.3 m, miss a tenth, and mix up names.

    In each frame the two nearest swap names with probability `swaps`, one of a hundred names ends, and five
    false positions come with names of their own.
    """
    rng = np.random.default_rng(11)
    xy, velocity = rng.uniform(0, side, (N_OBJECTS, 2)), rng.normal(0, 0.3, (N_OBJECTS, 2))
    name = np.arange(N_OBJECTS)
    frames, places, names, found = [], [], [], []
    for frame in range(N_FRAMES):
        velocity = np.where((xy + velocity < 0) | (xy + velocity > side), -velocity, velocity)
        xy = xy + velocity
        if rng.random() < swaps:
            apart = np.linalg.norm(xy[:, None] - xy[None], axis=2) + side * np.eye(N_OBJECTS)
            a, b = np.unravel_index(apart.argmin(), apart.shape)
            name[[a, b]] = name[[b, a]]
        name = np.where(rng.random(N_OBJECTS) < 0.01, 1000 * (frame + 1) + np.arange(N_OBJECTS), name)
        seen = rng.random(N_OBJECTS) > 0.1
        names.append(np.concatenate([name[seen], -5 * frame - np.arange(1, 6)]))
        noisy = xy[seen] + rng.normal(0, 0.3, (int(seen.sum()), 2))
        found.append(np.concatenate([noisy, rng.uniform(0, side, (5, 2))]))
        places.append(xy)
        frames.append(np.full(len(names[-1]), frame))
    frame_of, walker = np.divmod(np.arange(N_FRAMES * N_OBJECTS), N_OBJECTS)
    truth = Sightings(frame_of, walker, np.concatenate(places))
    return truth, Sightings(np.concatenate(frames), np.concatenate(names), np.concatenate(found))


def stone_soup_s(truth: Sightings, result: Sightings) -> float | None:
    """Seconds of Stone Soup's GOSPA over all frames; None if it is not installed."""
    try:
        from stonesoup.metricgenerator.ospametric import GOSPAMetric
        from stonesoup.types.state import State
    except ImportError:
        return None
    metric = GOSPAMetric(c=CUTOFF, p=1)
    frames = []
    for frame in range(N_FRAMES):
        at = datetime(2024, 1, 1) + timedelta(seconds=frame)
        both = (s.where[s.frame == frame][:, :, None] for s in (result, truth))
        frames.append([[State(place, timestamp=at) for place in places] for places in both])
    start = time.perf_counter()
    for found, true in frames:
        metric.compute_gospa_metric(found, true)
    return time.perf_counter() - start
