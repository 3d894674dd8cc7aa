"""Tracks out, `write_tracks` and `WRITERS`, and our own CSV back in, `read_tracks`."""

from pathlib import Path
from typing import Protocol

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.files import write_whole
from geoloc.geometry.gaussian import symmetric
from geoloc.io.track_csv import csv_text, read_tracks
from geoloc.io.track_geojson import geojson_text
from geoloc.io.track_mot import mot_text
from geoloc.io.track_options import WriteOptions
from geoloc.scene.columns import LATEST_TIME
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks

__all__ = ["WRITERS", "TrackWriter", "WriteOptions", "read_tracks", "write_tracks"]

ENDINGS = {".geojson": "geojson", ".json": "geojson", ".csv": "csv", ".txt": "mot"}


class TrackWriter(Protocol):
    """Puts tracks into one format."""

    def __call__(self, tracks: Tracks, site_map: SiteMap, options: WriteOptions) -> str:
        """The whole content of the file; rows in the order of track and time."""


WRITERS: dict[str, TrackWriter] = {"geojson": geojson_text, "csv": csv_text, "mot": mot_text}


def write_tracks(
    path: Path | str,
    tracks: Tracks,
    site_map: SiteMap,
    kind: str | None = None,
    options: WriteOptions | None = None,
) -> None:
    """Write tracks to a file, whole or not at all.

    `kind` is a key of `WRITERS`; None goes by the file's ending. A state whose place or time is not finite is
    refused by name; so is GeoJSON for a map without a datum.
    """
    kind = kind or ENDINGS.get(Path(path).suffix.lower(), Path(path).suffix)
    if kind not in WRITERS:
        raise unknown_name("kind of tracks file", kind, WRITERS)
    _check(tracks)
    in_order = tracks.take(np.lexsort((tracks.time, tracks.track)))
    write_whole(path, WRITERS[kind](in_order, site_map, options or WriteOptions()))


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
