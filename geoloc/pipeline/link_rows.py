"""The rows of linked tracks: renumbered, bodies that several tracks show made one, short gaps filled."""

import numpy as np

from geoloc.pipeline.camera_sets import CameraSets
from geoloc.pipeline.tracklets import HIDDEN, Tracklets, is_seen
from geoloc.scene.kinds import kind_column
from geoloc.scene.tables import GroundPoints, Tracks


def linked_rows(
    tracks: Tracks, tracklets: Tracklets, number: np.ndarray, cameras: CameraSets, fill_s: float
) -> tuple[Tracks, np.ndarray]:
    """All rows under the `number` (n,) of each tracklet, in order of time and track, one an object and time.

    Also (m, 2) the objects that went into the rows of others, and those others. Rows without a point stay where
    they lie between two rows of one object; gaps of up to `fill_s` that have none are filled.
    """
    seen = tracklets.tracks.replace(track=number[tracklets.of_row])
    seen, alias = _one_a_time(seen, cameras)
    kept = _unseen(tracks, tracklets, number)
    filled = _filled(seen, np.unique(tracks.time), fill_s)
    others = _others(tracks, tracklets)
    out = Tracks.concat([seen, kept, filled, others])
    order = np.lexsort((np.repeat(np.arange(4), [len(seen), len(kept), len(filled), len(others)]), out.track, out.time))
    out = out.take(order)
    out = out.take(_is_first(out))
    return out.take(np.lexsort((out.track, out.time))), alias


def linked_points(points: GroundPoints, alias: np.ndarray) -> GroundPoints:
    """`points` whose objects went into another's row named after that one: `alias` (m, 2) object, the other."""
    if not len(alias) or not len(points):
        return points
    alias = alias[np.argsort(alias[:, 0], kind="stable")]
    place = np.minimum(np.searchsorted(alias[:, 0], points.object), len(alias) - 1)
    renamed = np.where(alias[place, 0] == points.object, alias[place, 1], points.object)
    return points.replace(object=renamed)


def _one_a_time(rows: Tracks, cameras: CameraSets) -> tuple[Tracks, np.ndarray]:
    """Rows of one object and time made one: their mean by information, of errors that may be the same ones.

    Of two that one camera tells apart only the better known is kept: they are not one object then.
    """
    rows = rows.take(np.lexsort((np.trace(rows.position_cov, axis1=1, axis2=2), rows.time, rows.track)))
    first = _is_first(rows)
    group, best = np.cumsum(first) - 1, np.flatnonzero(first)
    double = np.flatnonzero(~first)
    double = double[~cameras.share(rows.object[double], rows.object[best[group[double]]])]
    if not len(double):
        return rows.take(best), np.zeros((0, 2), dtype=int)
    several = np.unique(group[double])
    member = np.sort(np.append(best[several], double))
    place = np.searchsorted(several, group[member])
    count = np.bincount(place)
    state, cov = _intersection(rows.take(member), place, count)
    out = rows.take(best)
    xy, velocity, joint, bias = out.xy.copy(), out.velocity.copy(), out.cov.copy(), out.bias_cov.copy()
    xy[several], velocity[several], joint[several] = state[:, :2], state[:, 2:], cov
    bias[several] = _sums(rows.bias_cov[member], place, len(count)) / count[:, None, None]
    alias = np.column_stack([rows.object[double], rows.object[best[group[double]]]])
    alias = alias[(alias >= 0).all(axis=1)]
    return out.replace(xy=xy, velocity=velocity, cov=joint, bias_cov=bias), alias


def _is_first(rows: Tracks) -> np.ndarray:
    """The first row (N,) bool of each object and time, of rows in that order."""
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (np.diff(rows.track) != 0) | (np.diff(rows.time) != 0)
    return first


def _intersection(rows: Tracks, place: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States (G, 4) and covariances (G, 4, 4) of groups: covariance intersection with equal weights."""
    full = rows.cov.copy()
    full[:, :2, :2] += rows.bias_cov
    information = np.linalg.inv(full)
    state = np.concatenate([rows.xy, rows.velocity], axis=1)
    total = _sums(information, place, len(count))
    weighted = _sums(np.einsum("kij,kj->ki", information, state), place, len(count))
    mean = np.linalg.solve(total, weighted[:, :, None])[:, :, 0]
    # the noise alone, under the weights of noise and bias together
    gain = np.linalg.solve(total[place], information)
    cov = _sums(gain @ rows.cov @ gain.swapaxes(1, 2), place, len(count))
    return mean, cov * count[:, None, None]


def _sums(values: np.ndarray, place: np.ndarray, n: int) -> np.ndarray:
    out = np.zeros((n, *values.shape[1:]))
    np.add.at(out, place, values)
    return out


def _unseen(tracks: Tracks, tracklets: Tracklets, number: np.ndarray) -> Tracks:
    """Rows without a point that lie between two of one object, and those that remember it at its end."""
    rows = tracks.take(~is_seen(tracks) & np.isin(tracks.track, tracklets.number))
    if not len(rows):
        return rows
    seen, of_row = tracklets.tracks, tracklets.of_row
    # the point before each row and the one after it, in its own track
    place = _rank(seen, rows)
    before, after = place - 1, np.minimum(place, len(seen) - 1)
    has_before = (before >= 0) & (seen.track[np.maximum(before, 0)] == rows.track)
    has_after = (place < len(seen)) & (seen.track[after] == rows.track)
    mine = number[of_row[np.maximum(before, 0)]]
    theirs = number[of_row[after]]
    end = np.full(int(number.max()) + 1, -np.inf)
    np.maximum.at(end, number, tracklets.lasts.time)
    last = (rows.life == HIDDEN) & ~has_after & (rows.time > end[mine])
    kept = has_before & ((has_after & (mine == theirs)) | last)
    return rows.take(kept).replace(track=mine[kept])


def _rank(seen: Tracks, rows: Tracks) -> np.ndarray:
    """How many of the rows `seen`, in order of track and time, come before each of `rows`."""
    joined_track, joined_time = np.append(seen.track, rows.track), np.append(seen.time, rows.time)
    is_row = np.arange(len(joined_track)) >= len(seen)
    order = np.lexsort((is_row, joined_time, joined_track))
    so_far = np.cumsum(~is_row[order])
    rank = np.empty(len(order), dtype=int)
    rank[order] = so_far
    return rank[len(seen) :]


def _filled(seen: Tracks, times: np.ndarray, fill_s: float) -> Tracks:
    """Rows at the windows' `times` in gaps of up to `fill_s` of an object's rows, as its filter would have coasted."""
    gap = np.diff(seen.time)
    at = np.searchsorted(times, seen.time)
    missing = np.diff(at) - 1
    rows = np.flatnonzero((np.diff(seen.track) == 0) & (missing > 0) & (gap <= fill_s))
    count = missing[rows]
    source = np.repeat(rows, count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
    out = seen.take(source)
    time = times[at[source] + step]
    noise = kind_column(out.label, "acceleration")
    state = np.concatenate([out.xy, out.velocity], axis=1)
    state, cov = carried(state, out.cov, time - out.time, noise)
    n = len(out)
    return out.replace(
        time=time,
        object=np.full(n, -1),
        xy=state[:, :2],
        velocity=state[:, 2:],
        cov=cov,
        state=np.full(n, "coasting"),
    )


def _others(tracks: Tracks, tracklets: Tracklets) -> Tracks:
    """Rows of tracks that have no tracklet: never confirmed."""
    return tracks.take(~np.isin(tracks.track, tracklets.number))


def carried(state: np.ndarray, cov: np.ndarray, dt: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States (K, 4) and covariances (K, 4, 4) after dt (K,) s at constant velocity: `motion`'s, for many rows."""
    transition = np.tile(np.eye(4), (len(dt), 1, 1))
    transition[:, [0, 1], [2, 3]] = dt[:, None]
    added = np.zeros((len(dt), 4, 4))
    density = noise**2
    added[:, [0, 1], [0, 1]] = (density * dt**3 / 3.0)[:, None]
    added[:, [0, 1, 2, 3], [2, 3, 0, 1]] = (density * dt**2 / 2.0)[:, None]
    added[:, [2, 3], [2, 3]] = (density * dt)[:, None]
    moved = np.einsum("kij,kj->ki", transition, state)
    return moved, transition @ cov @ transition.swapaxes(1, 2) + added
