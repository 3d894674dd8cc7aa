"""Where objects were, as few keys between which they went straight: what a map page carries of a recording.

A recording is walked piece by piece (`geoloc.io.track_pieces`); what is held of it is the keys alone. What stands still
is two keys, however long it stands.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from geoloc.draw.layers import TrackPath, drawable, track_paths
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks

TOLERANCES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # m by which a kept way may be off; 0: every row is kept
SHAPE = 0.3  # by which the logarithm of a covariance between two keys may be off: 15 % of a sigma
STILL_M = 0.3  # m from one place, within which all positions of what is parked must lie to be one place
STANDS = ("parked", "hidden")
LEAST_SIGMA = 1e-3  # m; a covariance is taken for at least so much


@dataclass(frozen=True, eq=False)
class Keys:
    """One track's keys in the order of time.

    `time` (K,) s; `xy` (K, 2) m; `shape` (K, 3) the logarithm of the position's covariance (xx, xy, yy; NaN: not
    known); `level` (K,) index; `state`, `life` (K,) names; `cut` (K,) bool: nothing is known up to the next key.
    """

    track: int
    label: str
    time: np.ndarray
    xy: np.ndarray
    shape: np.ndarray
    level: np.ndarray
    state: np.ndarray
    life: np.ndarray
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.time)


def find_keys(
    pieces: Iterable[Tracks], site_map: SiteMap, gap_s: float, max_keys: int
) -> tuple[list[Keys], float]:
    """Keys of all tracks, by number, and the tolerance (m): the least of TOLERANCES that gives at most `max_keys`.

    `pieces` are walked once for every tolerance that is tried, and each time no farther than to one key too many.
    """
    for tolerance in TOLERANCES:
        found: list[Keys] = []
        n = 0
        for keys in _walked(pieces, site_map, gap_s, tolerance):
            found.append(keys)
            n += len(keys)
            if n > max_keys and tolerance < TOLERANCES[-1]:
                break
        else:
            break
    return sorted(found, key=lambda keys: keys.track), tolerance


def _walked(pieces: Iterable[Tracks], site_map: SiteMap, gap_s: float, tolerance: float) -> Iterator[Keys]:
    for piece in pieces:
        tracks = drawable(piece, site_map)
        shape = log_cov(tracks.position_cov)
        level = site_map.level_rows(tracks.level)
        for path in track_paths(tracks, gap_s):
            yield track_keys(tracks, path, level, shape, tolerance)


def track_keys(tracks: Tracks, path: TrackPath, level: np.ndarray, shape: np.ndarray, tolerance: float) -> Keys:
    """The keys of one track of a `drawable` table with its `level` (N,) and `shape` (N, 3)."""
    rows = path.rows
    time, xy, state, life = tracks.time[rows], tracks.xy[rows], tracks.state[rows], tracks.life[rows]
    ends = np.zeros(len(time), bool)
    ends[[piece.stop - 1 - rows.start for piece in path.pieces]] = True
    fixed = ends.copy()
    fixed[[piece.start - rows.start for piece in path.pieces]] = True
    other = np.flatnonzero((life[1:] != life[:-1]) | (state[1:] != state[:-1]))
    fixed[other] = fixed[other + 1] = True
    keep = np.ones(len(time), bool)
    if tolerance > 0:
        xy = _still(xy, life, fixed)
        values = np.column_stack([xy / tolerance, np.nan_to_num(shape[rows]) / SHAPE])
        keep = thinned(time, values, fixed)
    found = Keys(path.track, path.label, time, xy, shape[rows], level[rows], state, life, ends)
    columns = ("time", "xy", "shape", "level", "state", "life", "cut")
    return replace(found, **{name: getattr(found, name)[keep] for name in columns})


def thinned(time: np.ndarray, values: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Rows (N,) bool to keep, the `fixed` ones among them, so that straight lines in time pass the others within 1.

    Of `values` (N, D) the first two are a place, which is off by its distance. Halving at the row that is farthest
    off (Douglas and Peucker, 1973), all parts at once.
    """
    keep = fixed.copy()
    keep[[0, -1]] = True
    rows = np.flatnonzero(~keep)
    while len(rows):
        kept = np.flatnonzero(keep)
        before = np.searchsorted(kept, rows) - 1
        a, b = kept[before], kept[before + 1]
        share = ((time[rows] - time[a]) / np.maximum(time[b] - time[a], 1e-9))[:, None]
        off = values[rows] - values[a] - share * (values[b] - values[a])
        far = np.maximum(np.hypot(off[:, 0], off[:, 1]), np.abs(off[:, 2:]).max(axis=1, initial=0.0))
        starts = np.flatnonzero(np.diff(before, prepend=-1))
        worst = np.maximum.reduceat(far, starts)
        part = np.cumsum(np.diff(before, prepend=-1) != 0) - 1
        at_worst = np.flatnonzero((far == worst[part]) & (worst[part] > 1.0))
        keep[rows[at_worst[np.unique(part[at_worst], return_index=True)[1]]]] = True
        rows = rows[(worst[part] > 1.0) & ~keep[rows]]
    return keep


def log_cov(cov: np.ndarray) -> np.ndarray:
    """Logarithm of covariances (N, 2, 2) m² as xx, xy, yy (N, 3); NaN where one is not finite.

    Between two logarithms every mixture is that of a covariance, which is not so of angles.
    """
    good = np.isfinite(cov).all(axis=(1, 2))
    value, vector = np.linalg.eigh(np.where(good[:, None, None], cov, np.eye(2)))
    logs = np.log(np.maximum(value, LEAST_SIGMA**2))
    whole = np.einsum("nij,nj,nkj->nik", vector, logs, vector)
    found = np.column_stack([whole[:, 0, 0], whole[:, 0, 1], whole[:, 1, 1]])
    found[~good] = np.nan
    return found


def _still(xy: np.ndarray, life: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """The positions, where what is parked keeps within STILL_M of one place replaced by that place."""
    cuts = np.flatnonzero(life[1:] != life[:-1]) + 1
    xy = xy.copy()
    for start, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(xy)], strict=True):
        if life[start] in STANDS:
            middle = np.median(xy[start:end], axis=0)
            if np.hypot(*(xy[start:end] - middle).T).max() <= STILL_M:
                xy[start:end] = middle
    return xy
