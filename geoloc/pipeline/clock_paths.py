"""Paths over the ground that one camera alone saw, and where two cameras saw paths that agree.

At one place of a road an object is once. If two cameras see a path there in the same direction, the difference of
their stamps is their clocks' difference, provided that it was one object: `meet` lists such passages, true and false.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from geoloc.geometry.vectors import unit_rows
from geoloc.pipeline.localizer import Localizer, LocalizerOptions
from geoloc.pipeline.localizer import replay as steps_of
from geoloc.pipeline.smoothing import smooth
from geoloc.scene.kinds import kind_column
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints, Tracks

MOVING = 0.25  # of the class's speed: slower objects say little about time
STEP = 0.25  # of the class's length: way between samples of a path
LEAST_STEP_M = 0.5
LEAST_REACH_M = 1.5
SAME_WAY = 0.9  # cosine between two paths that agree


@dataclass(frozen=True, eq=False)
class Paths:
    """Samples of moving objects' paths in one camera, at equal distances: rows sorted by track, then time."""

    track: np.ndarray  # (N,)
    time: np.ndarray  # (N,) s, the camera's stamps
    xy: np.ndarray  # (N, 2) m
    velocity: np.ndarray  # (N, 2) m/s
    away: np.ndarray  # (N, 2) unit vector away from the camera
    length: np.ndarray  # (N,) m, of the class

    def __len__(self) -> int:
        return len(self.track)

    def take(self, rows: np.ndarray) -> "Paths":
        """The rows that a mask or index selects."""
        return Paths(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Passages:
    """Pairs of tracks of cameras a and b that pass the same ground in the same direction, a row a pair.

    `ahead` is a's stamp less b's at the same place: the difference of their clocks (plus what `lever` tells), if
    the pair is one object. A persistent shift of camera a's points by s (m) adds -lever · s to it, of b's +lever · s.
    """

    track_a: np.ndarray  # (M,)
    track_b: np.ndarray  # (M,)
    count: np.ndarray  # (M,) places where they were compared
    ahead: np.ndarray  # (M,) s, median over the places
    spread: np.ndarray  # (M,) s, median deviation from it
    lever: np.ndarray  # (M, 2) s/m, mean of direction over speed
    away_a: np.ndarray  # (M,) s per length that a's points stand nearer to their camera
    away_b: np.ndarray  # (M,) the same of b
    scale: np.ndarray  # (M,) s, time in which the object goes its own length
    time_a: np.ndarray  # (M,) s, a's stamp, mean over the places
    time_b: np.ndarray  # (M,) s

    def __len__(self) -> int:
        return len(self.track_a)

    def take(self, rows: np.ndarray) -> "Passages":
        """The rows that a mask or index selects."""
        return Passages(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def paths_of(detections: Detections, site: Site, camera: str, options: LocalizerOptions) -> Paths:
    """The paths that `camera` alone saw: tracked and smoothed by the engine itself, then sampled."""
    alone = Site(site.name, (site.camera(camera),), site.site_map)
    # what one camera does not see where another does is no matter here, and its own gaps are bridged
    options = replace(options, existence=replace(options.existence, detection_probability=0.0))
    localizer = Localizer(alone, options)
    tracks, points = [], []
    for step in steps_of(localizer, detections.take(detections.camera == camera)):
        tracks.append(step)
        points.append(localizer.points)
    return _sampled(smooth(Tracks.concat(tracks), alone, options.tracking), GroundPoints.concat(points))


def _sampled(tracks: Tracks, points: GroundPoints) -> Paths:
    tracks = tracks.take(tracks.object >= 0)
    tracks = tracks.take(np.lexsort((tracks.time, tracks.track)))
    moved = np.hypot(*np.diff(tracks.xy, axis=0, prepend=tracks.xy[:1]).T)
    length = kind_column(tracks.label, "length")
    place = np.floor(np.cumsum(moved) / np.maximum(STEP * length, LEAST_STEP_M))
    fresh = (np.diff(place, prepend=-1.0) != 0) | (np.diff(tracks.track, prepend=-1) != 0)
    fresh &= np.hypot(*tracks.velocity.T) > MOVING * kind_column(tracks.label, "speed")
    tracks, length = tracks.take(fresh), length[fresh]
    order = np.argsort(points.object, kind="stable")
    row = order[np.searchsorted(points.object, tracks.object, sorter=order)] if len(points) else np.zeros(0, int)
    return Paths(tracks.track, tracks.time, tracks.xy, tracks.velocity, points.away[row], length)


def meet(a: Paths, b: Paths, max_offset_s: float, least: int) -> Passages:
    """Pairs of paths that agree in at least `least` places, with stamps at most `max_offset_s` apart."""
    found = [_passages(*part) for part in _agreeing(a, b, max_offset_s)]
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] if found else [np.zeros(0)] * 11
    if not found:
        columns[5] = np.zeros((0, 2))
    passages = Passages(*columns)
    return passages.take(passages.count >= least)


def _agreeing(
    a: Paths, b: Paths, max_offset_s: float
) -> Iterator[tuple[Paths, Paths, np.ndarray, np.ndarray, np.ndarray]]:
    """For each track of a: rows of a and b that are close, the times between them and the direction over speed."""
    if not len(a) or not len(b):
        return
    tree = cKDTree(b.xy)
    starts = np.flatnonzero(np.diff(a.track, prepend=-1))
    for start, stop in zip(starts, np.append(starts[1:], len(a)), strict=True):
        reach = np.maximum(a.length[start:stop], LEAST_REACH_M)
        near = tree.query_ball_point(a.xy[start:stop], reach)
        i = np.repeat(np.arange(start, stop), [len(rows) for rows in near])
        j = np.concatenate([np.asarray(rows, dtype=np.intp) for rows in near])
        unit_a, unit_b = unit_rows(a.velocity[i]), unit_rows(b.velocity[j])
        agrees = (unit_a * unit_b).sum(axis=1) > SAME_WAY
        agrees &= np.abs(a.time[i] - b.time[j]) <= max_offset_s
        i, j, unit = i[agrees], j[agrees], unit_rows(unit_a[agrees] + unit_b[agrees])
        if not len(i):
            continue
        apart = b.xy[j] - a.xy[i]
        nearest = np.lexsort((np.hypot(*apart.T), i, b.track[j]))
        first = (np.diff(b.track[j][nearest], prepend=-1) != 0) | (np.diff(i[nearest], prepend=-1) != 0)
        rows = nearest[first]
        i, j, unit, apart = i[rows], j[rows], unit[rows], apart[rows]
        lever = unit / (0.5 * (np.hypot(*a.velocity[i].T) + np.hypot(*b.velocity[j].T)))[:, None]
        yield a, b, np.stack([i, j]), a.time[i] - b.time[j] + (apart * lever).sum(axis=1), lever


def _passages(a: Paths, b: Paths, rows: np.ndarray, ahead: np.ndarray, lever: np.ndarray) -> tuple[np.ndarray, ...]:
    """Columns of `Passages` from the agreeing rows of one track of a, sorted by track of b."""
    i, j = rows
    starts = np.flatnonzero(np.diff(b.track[j], prepend=-1))
    count = np.diff(starts, append=len(j))
    middle = _medians(ahead, starts, count)
    spread = _medians(np.abs(ahead - np.repeat(middle, count)), starts, count)

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.add.reduceat(values, starts, axis=0)
        return total / (count[:, None] if values.ndim == 2 else count)

    away_a = a.length[i] * (a.away[i] * lever).sum(axis=1)
    away_b = b.length[j] * (b.away[j] * lever).sum(axis=1)
    scale = a.length[i] * np.hypot(*lever.T)
    return (
        a.track[i][starts], b.track[j][starts], count, middle, spread,
        mean(lever), mean(away_a), mean(away_b), mean(scale), mean(a.time[i]), mean(b.time[j]),
    )  # fmt: skip


def _medians(values: np.ndarray, starts: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Median of each run of `count` values from `starts` on."""
    run = np.repeat(np.arange(len(starts)), count)
    ordered = values[np.lexsort((values, run))]
    return 0.5 * (ordered[starts + (count - 1) // 2] + ordered[starts + count // 2])
