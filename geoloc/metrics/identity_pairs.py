"""Identity across cameras where only some pairs are known: which objects of two cameras share a track.

For recordings whose annotators named objects camera by camera and confirmed a few pairs of them. A pair that
is not confirmed means nothing, so there is recall, and chance is measured by shifting the cameras' clocks.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError


@dataclass(frozen=True, eq=False)
class Sighted:
    """N sightings: an object of a camera, seen in a window, put under a track (-1: none).

    `window` (N,) int numbers the moments at which cameras count as simultaneous; `object` (N,) int is numbered
    within its `camera` (N,) str and is there at most once a window.
    """

    window: np.ndarray
    camera: np.ndarray
    object: np.ndarray
    track: np.ndarray

    def __post_init__(self) -> None:
        shapes = {np.shape(getattr(self, name)) for name in ("window", "camera", "object", "track")}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise InputError(f"sighted: window, camera, object and track have shapes {sorted(shapes)}; give (N,) each")

    def take(self, rows: np.ndarray) -> "Sighted":
        """The rows that a mask or index selects."""
        return Sighted(self.window[rows], self.camera[rows], self.object[rows], self.track[rows])


@dataclass(frozen=True, eq=False)
class ObjectPairs:
    """P pairs of objects of two cameras that are one by their tracks; `a` has the smaller camera name.

    `together` (P,) windows saw both, `same` (P,) of them under one track.
    """

    camera_a: np.ndarray
    object_a: np.ndarray
    camera_b: np.ndarray
    object_b: np.ndarray
    together: np.ndarray
    same: np.ndarray

    def __len__(self) -> int:
        return len(self.same)

    def contains(
        self, camera_a: np.ndarray, object_a: np.ndarray, camera_b: np.ndarray, object_b: np.ndarray
    ) -> np.ndarray:
        """Which of Q pairs, given either way round, are among these: (Q,) bool."""
        found = {*_keys(self.camera_a, self.object_a, self.camera_b, self.object_b)}
        asked = _keys(camera_a, object_a, camera_b, object_b)
        return np.array([(a, b) in found or (b, a) in found for a, b in asked], dtype=bool)


def pairs_of_tracks(sighted: Sighted, share: float = 0.5) -> ObjectPairs:
    """Objects of two cameras under one track for more than `share` of the windows that see both."""
    names, camera = np.unique(sighted.camera, return_inverse=True)
    keys, thing = np.unique(np.stack([camera, sighted.object], axis=1), axis=0, return_inverse=True)
    _, window = np.unique(sighted.window, return_inverse=True)
    presence = window * len(keys) + thing
    if len(np.unique(presence)) != len(presence):
        raise InputError("sighted: an object of a camera comes more than once in a window; keep one box of it")
    first, second = _sharing(window, sighted.track, thing, keys[:, 0])
    couples, same = np.unique(first * len(keys) + second, return_counts=True)
    a, b = couples // max(len(keys), 1), couples % max(len(keys), 1)
    order = np.argsort(thing, kind="stable")
    seen = np.split(window[order], np.cumsum(np.bincount(thing, minlength=len(keys)))[:-1])
    together = np.array([len(np.intersect1d(seen[i], seen[j])) for i, j in zip(a, b, strict=True)], dtype=int)
    kept = same > share * together
    a, b = a[kept], b[kept]
    return ObjectPairs(
        names[keys[a, 0]], keys[a, 1], names[keys[b, 0]], keys[b, 1], together[kept], same[kept]
    )


def path_lengths(time: np.ndarray, group: np.ndarray, xy: np.ndarray, step_m: float = 1.0) -> np.ndarray:
    """How far each group's positions (N, 2) m moved in all: (N,) m, the same for the rows of one `group` (N,).

    Positions are averaged over seconds, and a move counts once it has grown to `step_m`: the jitter of what
    stands still is no path.
    """
    out = np.zeros(len(time))
    order = np.lexsort((time, group))
    cuts = np.flatnonzero(np.diff(np.unique(group, return_inverse=True)[1][order])) + 1
    for rows in np.split(order, cuts) if len(order) else []:
        second = np.unique(np.floor(time[rows]), return_inverse=True)[1]
        mean = np.stack([np.bincount(second, xy[rows, k]) for k in (0, 1)], axis=1) / np.bincount(second)[:, None]
        out[rows] = _moved(mean, step_m)
    return out


def _moved(xy: np.ndarray, step_m: float) -> float:
    total, anchor = 0.0, xy[0]
    for point in xy[1:]:
        step = float(np.hypot(*(point - anchor)))
        if step >= step_m:
            total, anchor = total + step, point
    return total


def _sharing(
    window: np.ndarray, track: np.ndarray, thing: np.ndarray, camera_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Every two things (numbers) of two cameras that a window has under one track, the smaller number first."""
    rows = np.flatnonzero(track >= 0)
    order = rows[np.lexsort((thing[rows], track[rows], window[rows]))]
    first, second = [], []
    for gap in range(1, len(order)):
        left, right = order[:-gap], order[gap:]
        one = (window[left] == window[right]) & (track[left] == track[right])
        if not one.any():
            break
        first.append(thing[left[one]])
        second.append(thing[right[one]])
    a, b = (np.concatenate([np.empty(0, dtype=int), *part]) for part in (first, second))
    apart = camera_of[a] != camera_of[b]
    return a[apart], b[apart]


def _keys(
    camera_a: np.ndarray, object_a: np.ndarray, camera_b: np.ndarray, object_b: np.ndarray
) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    a = zip(np.asarray(camera_a).tolist(), np.asarray(object_a).tolist(), strict=True)
    b = zip(np.asarray(camera_b).tolist(), np.asarray(object_b).tolist(), strict=True)
    return list(zip(a, b, strict=True))
