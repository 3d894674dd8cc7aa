"""Tracklets: the stretches of tracks within which nobody doubts that they show one object."""

from dataclasses import dataclass

import numpy as np

from geoloc.pipeline.link_costs import LinkCostOptions, Sights
from geoloc.pipeline.paces import Paces
from geoloc.pipeline.packed import level_rows
from geoloc.scene.kinds import family_of, kind_column
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

HIDDEN = "hidden"  # life of rows that remember an object that nobody sees
ENTRY_S = 1.0  # from a tracklet's first row on, after which its filter knows its velocity
JUMP_SIGMA = 5.0
MISSED_FRAMES = 3.5  # usual gaps between a track's rows; over so few nobody doubts its identity
STAND_SIGMA = 3.0  # an object within so many sigmas of where it was seen last,
STAND_DISTANCE = 0.25  # or within so much of its class's length, stood there
LEAST_STAND_S = 2.0


@dataclass(frozen=True, eq=False)
class Tracklets:
    """Stretches of rows of `tracks`, one row a stretch; those of one track follow each other in time."""

    tracks: Tracks  # rows with a point, in order of track and time
    start: np.ndarray  # (n,) first row of each
    stop: np.ndarray  # (n,) the row after its last one
    firsts: Sights
    lasts: Sights

    def __len__(self) -> int:
        return len(self.start)

    @property
    def number(self) -> np.ndarray:
        """The track (n,) that each is a stretch of."""
        return self.tracks.track[self.start]

    @property
    def of_row(self) -> np.ndarray:
        """The tracklet of each row of `tracks`."""
        return np.repeat(np.arange(len(self)), self.stop - self.start)


def cut_into_tracklets(tracks: Tracks, site: Site, cut_s: float, costs: LinkCostOptions) -> Tracklets:
    """The tracklets of `tracks`, the tracks of all windows of a recording.

    A track is cut where it had no point for longer than `cut_s` and than some frames take, where it jumps farther
    than the `top_speed` of `costs` times its class's speed allows, and where its class changes.
    """
    tracks = tracks.take(is_seen(tracks) & np.isin(tracks.track, np.unique(tracks.track[tracks.state != "tentative"])))
    order = np.lexsort((tracks.time, tracks.track))
    tracks = tracks.take(order)
    track, time = tracks.track, tracks.time
    again = (np.diff(track) == 0) & (np.diff(time) == 0)
    if again.any():  # one object has one place at a time: the first row counts
        tracks = tracks.take(np.flatnonzero(np.append(True, ~again)))
        track, time = tracks.track, tracks.time
    family = _families(tracks)
    cut = np.ones(len(tracks), dtype=bool)
    if len(tracks) > 1:
        gap, goes_on = np.diff(time), np.diff(track) == 0
        usual = float(np.median(gap[goes_on])) if goes_on.any() else 0.0
        cut[1:] = ~goes_on | (gap > max(cut_s, MISSED_FRAMES * usual)) | (family[1:] != family[:-1])
        cut[1:] |= _jumps(tracks, costs.top_speed)
    start = np.flatnonzero(cut)
    stop = np.append(start[1:], len(tracks)) if len(start) else start
    level = level_rows(site.site_map, tracks.coded("level"))
    looks = _mean_looks(tracks.embedding, start)
    pace = _pace(tracks, costs)
    firsts = _sights(tracks, start, _entries(time, start, stop), level, family, pace, np.zeros(len(start)), looks)
    lasts = _sights(tracks, stop - 1, stop - 1, level, family, pace, _stood(tracks, start, stop), looks)
    return Tracklets(tracks, start, stop, firsts, lasts)


def is_seen(tracks: Tracks) -> np.ndarray:
    """Rows (N,) bool that a point supports; of a table that does not name objects, those that do not coast."""
    if (tracks.object >= 0).any():
        return (tracks.object >= 0) & (tracks.life != HIDDEN)
    return (tracks.state != "coasting") & (tracks.life != HIDDEN)


def _families(tracks: Tracks) -> np.ndarray:
    labels = tracks.coded("label")
    return np.array([family_of(name) for name in labels.names], dtype=np.str_)[labels.code]


def _jumps(tracks: Tracks, top_speed: float) -> np.ndarray:
    """Whether each row but the first lies farther from the one before than an object can have come."""
    apart = np.linalg.norm(np.diff(tracks.xy, axis=0), axis=1)
    sigma = np.sqrt(np.trace(tracks.position_cov, axis1=1, axis2=2))
    most = top_speed * kind_column(tracks.label[1:], "speed") * np.abs(np.diff(tracks.time))
    return apart > most + JUMP_SIGMA * np.hypot(sigma[1:], sigma[:-1])


def _pace(tracks: Tracks, costs: LinkCostOptions) -> np.ndarray:
    """Mean and standard deviation (N, 2) m/s of the speed of what moves in this recording, of each row's family."""
    labels, paces = tracks.coded("label"), Paces(costs.pace, costs.pace_spread)
    paces.learn(labels.names, labels.code, tracks.velocity)
    return paces.of(labels.names).take(labels.code, axis=0)


def _entries(time: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """The row (n,) of each tracklet at which its filter knows its velocity, or its last one."""
    if not len(start):
        return start
    settled = time >= np.repeat(time[start] + ENTRY_S, stop - start)
    last = np.repeat(stop - 1, stop - start)
    return np.minimum.reduceat(np.where(settled, np.arange(len(time)), last), start)


def _stood(tracks: Tracks, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """For how long (n,) s each tracklet had stood where it ended; 0: it moved."""
    if not len(start):
        return np.zeros(0)
    last = np.repeat(stop - 1, stop - start)
    sigma = np.sqrt(0.5 * np.trace(tracks.cov[:, :2, :2], axis1=1, axis2=2))
    allowed = np.maximum(STAND_SIGMA * sigma, STAND_DISTANCE * kind_column(tracks.label, "length"))
    elsewhere = np.linalg.norm(tracks.xy - tracks.xy[last], axis=1) > allowed
    before = np.maximum.reduceat(np.where(elsewhere, np.arange(len(tracks)), -1), start)
    stood = tracks.time[stop - 1] - tracks.time[np.maximum(before + 1, start)]
    return np.where(stood >= LEAST_STAND_S, stood, 0.0)


def _mean_looks(embedding: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Mean embedding (n, D) of each tracklet's rows, of unit length; zeros where none is known."""
    known = np.where(np.isfinite(embedding), embedding, 0.0)
    if not len(start) or not embedding.shape[1]:
        return np.zeros((len(start), embedding.shape[1]))
    total = np.add.reduceat(known, start, axis=0)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0)


def _sights(
    tracks: Tracks,
    at: np.ndarray,
    moves_as: np.ndarray,
    level: np.ndarray,
    family: np.ndarray,
    pace: np.ndarray,
    stays_s: np.ndarray,
    looks: np.ndarray,
) -> Sights:
    """Places of rows `at`, with velocity and covariance of rows `moves_as`."""
    label = tracks.label[at]
    return Sights(
        time=tracks.time[at],
        level=level[at],
        xy=tracks.xy[at],
        velocity=tracks.velocity[moves_as],
        cov=tracks.cov[moves_as],
        bias_cov=tracks.bias_cov[at],
        stays_s=stays_s,
        family=family[at],
        length=kind_column(label, "length"),
        speed=kind_column(label, "speed"),
        pace=pace[at],
        acceleration=kind_column(label, "acceleration"),
        height=tracks.height[moves_as],
        height_var=tracks.height_var[moves_as],
        embedding=looks,
    )
