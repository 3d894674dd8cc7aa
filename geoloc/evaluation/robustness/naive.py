"""A naive tracker, to compare with: what a page of code does without geometry of errors, motion or absence."""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment

from geoloc.evaluation.robustness.hazard import Case
from geoloc.evaluation.robustness.systems import deliver
from geoloc.pipeline.projection import project_to_ground
from geoloc.scene.kinds import kind_column
from geoloc.scene.tables import GroundPoints, Tracks

NEAR_M = 0.35  # apart, and half a class's length more, for feet of one object, and from window to window
FORGET_S = 2.0  # after which an object is given up


@dataclass(frozen=True, eq=False)
class _Objects:
    """Where objects are, one row each."""

    track: np.ndarray  # (K,) int
    time: np.ndarray  # (K,) s, of the last sighting
    xyz: np.ndarray  # (K, 3) m
    near: np.ndarray  # (K,) m
    level: np.ndarray  # (K,) str


def run_naive(case: Case, window_s: float = 0.1, drop_late: bool = False) -> Tracks:
    """Feet of each window clustered by average linkage, class by class; clusters linked to the nearest object.

    No calibration error, motion or evidence of absence, and no covariance: its NEES is undefined. Everything
    that is seen is taken for an object.
    """
    none = np.empty(0)
    known = _Objects(np.empty(0, dtype=int), none, np.empty((0, 3)), none, np.empty(0, dtype=np.str_))
    tracks, now, n_tracks = [], -np.inf, 0
    for window in deliver(case, window_s, drop_late):
        now = max(now, float(window.time.mean()))
        found = _clusters(project_to_ground(window, case.site)[0], now, n_tracks)
        n_tracks += len(found.track)
        found = _linked(known, found)
        kept = ~np.isin(known.track, found.track) & (known.time >= now - FORGET_S)
        columns = ((getattr(known, name)[kept], getattr(found, name)) for name in _Objects.__annotations__)
        known = _Objects(*(np.concatenate(pair) for pair in columns))
        tracks.append(_table(found))
    return Tracks.concat(tracks)


def _clusters(points: GroundPoints, now: float, first: int) -> _Objects:
    """The means of the clusters of a window's points, with track numbers from `first` on."""
    xyz = np.column_stack([points.xy, points.z])
    near = NEAR_M + 0.5 * kind_column(points.label, "length")
    rows = [np.flatnonzero(near == size) for size in np.unique(near)]
    groups = [row[members] for row in rows for members in _groups(xyz[row], near[row[0]])]
    means = np.array([xyz[group].mean(axis=0) for group in groups]).reshape(-1, 3)
    heads = np.array([group[0] for group in groups], dtype=int)
    n = len(groups)
    return _Objects(first + np.arange(n), np.full(n, now), means, near[heads], points.level[heads])


def _groups(xyz: np.ndarray, near: float) -> list[np.ndarray]:
    if len(xyz) < 2:
        return [np.arange(len(xyz))]
    label = fcluster(linkage(xyz, "average"), near, "distance")
    return [np.flatnonzero(label == which) for which in np.unique(label)]


def _linked(known: _Objects, found: _Objects) -> _Objects:
    """`found` with the track numbers of the known objects that they continue, by least total distance."""
    if not len(known.track) or not len(found.track):
        return found
    distance = np.linalg.norm(found.xyz[:, None] - known.xyz[None], axis=2) / found.near[:, None]
    rows, cols = linear_sum_assignment(np.minimum(distance, 1.0))
    near = distance[rows, cols] < 1.0
    track = found.track.copy()
    track[rows[near]] = known.track[cols[near]]
    return _Objects(track, found.time, found.xyz, found.near, found.level)


def _table(found: _Objects) -> Tracks:
    n = len(found.track)
    return Tracks(
        time=found.time,
        track=found.track,
        level=found.level,
        xy=found.xyz[:, :2],
        z=found.xyz[:, 2],
        velocity=np.zeros((n, 2)),
        state=np.full(n, "confirmed"),
    )
