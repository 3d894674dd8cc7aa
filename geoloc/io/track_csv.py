"""Tracks as CSV, with everything that the table holds but the embedding, and back.

Columns: track, time (UTC Unix s), object (-1 = coasting), level, level_probability (that it is this one), x, y
(m, east and north of the datum), z (m, of the ground there), vx, vy (m/s), label, score, state, lon, lat (degrees,
WGS84; empty where the map has no datum), sigma (m, largest standard deviation of the reported position in any
direction), then the upper triangle of the covariance of x, y, vx, vy row by row, cov_x_x ... cov_vy_vy (m², m²/s,
m²/s²), and of the bias, bias_x_x, bias_x_y, bias_y_y (m²). Numbers come back bit by bit; z, lon, lat and sigma are
not read back.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import column_pieces
from geoloc.geometry.gaussian import worst_sigma
from geoloc.io.track_geojson import heights, positions_on_earth
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording, in_order
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks

PIECE_ROWS = 20_000
AXES = ("x", "y", "vx", "vy")
UPPER = [(i, j) for i in range(4) for j in range(i, 4)]
BIAS_UPPER = [(0, 0), (0, 1), (1, 1)]
SINCE = ("level_probability",)  # columns that files of before do not have
COV_COLUMNS = [f"cov_{AXES[i]}_{AXES[j]}" for i, j in UPPER]
BIAS_COLUMNS = [f"bias_{AXES[i]}_{AXES[j]}" for i, j in BIAS_UPPER]
TEXT_COLUMNS = ("level", "label", "state")
WHOLE_COLUMNS = ("track", "object")
COLUMNS = (
    *("track", "time", "object", "level", "level_probability", "x", "y", "z", "vx", "vy", "label", "score", "state"),
    *("lon", "lat", "sigma"),
    *COV_COLUMNS,
    *BIAS_COLUMNS,
)


def csv_lines(recording: Recording, options: WriteOptions) -> Iterator[str]:
    """CSV of tracks in the order of track and time, a piece at a time."""
    yield ",".join(COLUMNS) + "\r\n"
    for tracks in recording.pieces:
        columns = _cells(tracks, recording.site.site_map)
        out = io.StringIO(newline="")
        rows = zip(*(columns[name] for name in COLUMNS), strict=True)
        csv.writer(out, lineterminator="\r\n").writerows(rows)
        yield out.getvalue()


def _cells(tracks: Tracks, site_map: SiteMap) -> dict[str, list[object]]:
    if site_map.datum is None:
        lon: list[object] = [""] * len(tracks)
        lat = lon
    else:
        lon, lat = (values.tolist() for values in np.round(positions_on_earth(tracks, site_map)[0].T, 9))
    covs = {name: tracks.cov[:, i, j].tolist() for name, (i, j) in zip(COV_COLUMNS, UPPER, strict=True)}
    biases = {name: tracks.bias_cov[:, i, j].tolist() for name, (i, j) in zip(BIAS_COLUMNS, BIAS_UPPER, strict=True)}
    return {
        "track": tracks.track.tolist(),
        "time": tracks.time.tolist(),
        "object": tracks.object.tolist(),
        "level": tracks.level.tolist(),
        "level_probability": tracks.level_probability.tolist(),
        **{name: values.tolist() for name, values in zip(("x", "y"), tracks.xy.T, strict=True)},
        "z": np.round(heights(tracks, site_map), 4).tolist(),
        **{name: values.tolist() for name, values in zip(("vx", "vy"), tracks.velocity.T, strict=True)},
        "label": tracks.label.tolist(),
        "score": tracks.score.tolist(),
        "state": tracks.state.tolist(),
        "lon": lon,
        "lat": lat,
        "sigma": np.round(worst_sigma(tracks.position_cov), 4).tolist(),
        **covs,
        **biases,
    }


def read_tracks(path: Path | str) -> Tracks:
    """Tracks of a CSV file that `write_tracks` wrote; a broken line is refused with its number."""
    return next(_tables(path, np.inf))


@dataclass(frozen=True, eq=False)
class FilePieces:
    """A CSV of `write_tracks`, read piece by piece; its rows must lie together by track, as they were written."""

    path: Path

    def __iter__(self) -> Iterator[Tracks]:
        """Pieces of the file, in order and checked; InputError for a track whose rows lie apart."""
        over: set[int] = set()
        for piece in _tables(self.path, PIECE_ROWS):
            numbers = set(np.unique(piece.track).tolist())
            if numbers & over:
                raise InputError(
                    f"{self.path}: rows of track {min(numbers & over)} lie apart; sort it by track and time, as "
                    "`geoloc localize` writes it (read_tracks, then write_tracks, does)"
                )
            over |= numbers
            yield in_order(piece)


def _tables(path: Path | str, n_rows: float) -> Iterator[Tracks]:
    for cells in column_pieces(path, "track", n_rows):
        if not cells:
            raise InputError(f"{path}: the file is empty; it must hold tracks that write_tracks wrote")
        missing = [name for name in COLUMNS if name not in cells and name not in SINCE]
        if missing:
            raise InputError(f"{path}: not tracks of geoloc; it has no column {', '.join(missing[:5])}")
        yield _table(cells, path)


def _table(cells: dict[str, list[str]], path: Path | str) -> Tracks:
    def numbers(name: str) -> np.ndarray:
        try:
            return np.array(cells[name], dtype=int if name in WHOLE_COLUMNS else float)
        except (ValueError, OverflowError) as error:
            raise InputError(f"{path}: column {name}: {error}") from error

    def matrix(names: list[str], places: list[tuple[int, int]], n: int) -> np.ndarray:
        out = np.zeros((len(cells["track"]), n, n))
        for name, (i, j) in zip(names, places, strict=True):
            out[:, i, j] = out[:, j, i] = numbers(name)
        return out

    later = {name: numbers(name) for name in SINCE if name in cells}
    return Tracks(
        time=numbers("time"),
        track=numbers("track"),
        object=numbers("object"),
        xy=np.stack([numbers("x"), numbers("y")], axis=1),
        velocity=np.stack([numbers("vx"), numbers("vy")], axis=1),
        score=numbers("score"),
        cov=matrix(COV_COLUMNS, UPPER, 4),
        bias_cov=matrix(BIAS_COLUMNS, BIAS_UPPER, 2),
        **later,
        **{name: np.array(cells[name], dtype=str) for name in TEXT_COLUMNS},
    )
