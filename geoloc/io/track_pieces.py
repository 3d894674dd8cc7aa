"""A recording in pieces of whole tracks, so that a day of it is written without being held.

A piece is a table of tracks in the order of track and time; every track lies in one piece. What is held at once is
a piece: some 20,000 rows, or one track where that is longer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from geoloc.errors import InputError
from geoloc.geometry.gaussian import symmetric
from geoloc.scene.columns import LATEST_TIME
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks


class Pieces(Protocol):
    """Tracks in pieces; may be walked more than once."""

    def __iter__(self) -> Iterator[Tracks]:
        """Pieces of whole tracks."""


@dataclass(frozen=True, eq=False)
class TablePieces:
    """A table in memory, as one piece."""

    tracks: Tracks

    def __iter__(self) -> Iterator[Tracks]:
        """The table in order, checked."""
        if len(self.tracks):
            yield in_order(self.tracks)


@dataclass(frozen=True, eq=False)
class OneTrack:
    """Of other pieces only the track of one number; InputError where there is none."""

    pieces: Pieces
    number: int

    def __iter__(self) -> Iterator[Tracks]:
        """The track as one piece."""
        for tracks in self.pieces:
            mine = tracks.track == self.number
            if mine.any():
                yield tracks.take(mine)
                return
        raise InputError(f"there is no track {self.number}")


class Counted:
    """Other pieces, and how many tracks and states they held when they were walked last."""

    def __init__(self, pieces: Pieces) -> None:
        self.pieces, self.n_tracks, self.n_states = pieces, 0, 0

    def __iter__(self) -> Iterator[Tracks]:
        """The pieces, counted as they go by."""
        self.n_tracks = self.n_states = 0
        for tracks in self.pieces:
            self.n_tracks += len(np.unique(tracks.track))
            self.n_states += len(tracks)
            yield tracks


@dataclass(frozen=True, eq=False)
class Recording:
    """What an export holds: a site and what moved on it. `landmarks` (N, 3) m are points of its landmark map."""

    site: Site
    pieces: Pieces
    landmarks: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))


def in_order(tracks: Tracks) -> Tracks:
    """The same rows by track and time; a state that no file should hold is refused by name."""
    _check(tracks)
    return tracks.take(np.lexsort((tracks.time, tracks.track)))


def each_track(tracks: Tracks) -> Iterator[np.ndarray]:
    """Rows of each track of a table that is in order."""
    starts = np.flatnonzero(np.diff(tracks.track, prepend=tracks.track[:1] - 1))
    if len(starts):
        yield from np.split(np.arange(len(tracks)), starts[1:])


def _check(tracks: Tracks) -> None:
    numbers = (tracks.time[:, None], tracks.xy, tracks.velocity, tracks.position_cov.reshape(-1, 4))
    bad = ~np.isfinite(np.concatenate(numbers, axis=1)).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"track {tracks.track[row]} at {tracks.time[row]} s: its position, velocity or covariance is not "
            f"finite ({int(bad.sum())} such rows); drop them with tracks.take"
        )
    smallest = np.linalg.eigvalsh(symmetric(tracks.position_cov))[:, 0]
    negative = smallest < -1e-9 * np.trace(tracks.position_cov, axis1=1, axis2=2)
    if negative.any():
        row = int(np.flatnonzero(negative)[0])
        raise InputError(
            f"track {tracks.track[row]} at {tracks.time[row]} s: its covariance is none (variance < 0)"
        )
    if len(tracks) and np.abs(tracks.time).max() > LATEST_TIME:
        raise InputError(f"times up to {tracks.time.max():g} look like milliseconds; divide them by 1000")
