"""Which views of an object are kept: few, good, and unlike each other."""

from collections.abc import Iterator, Sequence

import numpy as np

from geoloc.retrieval.looks import Looks

NEW_CAMERA = 0.1  # what a camera that has not shown the object yet counts for, as a difference of cosines


def choose_views(
    vectors: np.ndarray, quality: np.ndarray, camera: np.ndarray, room: int, least_novelty: float = 0.0
) -> np.ndarray:
    """Rows (n,) of at most `room` views that stand for all: unit vectors (N, D), quality (N,) 0 to 1, `camera` (N,).

    The best view comes first; then, one by one, the one with the greatest product of quality and difference to those
    that are chosen (farthest points first, Gonzalez 1985). What differs by less than `least_novelty`, as 1 - cosine,
    from a chosen view of its camera is left out.
    """
    chosen = _choose(vectors[None], quality[None], np.asarray(camera)[None], room, least_novelty)[0]
    return chosen[chosen >= 0]


def _choose(
    vectors: np.ndarray, quality: np.ndarray, camera: np.ndarray, room: int, least_novelty: float
) -> np.ndarray:
    """What `choose_views` chooses of G objects at once, (G, n), -1 for none: vectors (G, N, D), the others (G, N)."""
    n_each, n = vectors.shape[:2]
    each, chosen = np.arange(n_each), np.full((n_each, min(room, n)), -1)
    difference, own = np.ones((n_each, n)), np.ones((n_each, n))  # own: to the chosen views of its own camera
    fresh, taken = np.ones((n_each, n), bool), np.zeros((n_each, n), bool)  # fresh: its camera has not shown it yet
    weight = np.maximum(quality, 1e-6)
    for step in range(chosen.shape[1]):
        gain = np.where(taken | (own < least_novelty), -1.0, weight * (difference + NEW_CAMERA * fresh))
        best = gain.argmax(axis=1)
        goes_on = gain[each, best] >= 0.0
        if not goes_on.any():
            break
        chosen[goes_on, step] = best[goes_on]
        taken[each[goes_on], best[goes_on]] = True
        apart = 1.0 - np.matmul(vectors, vectors[each, best][:, :, None])[:, :, 0]
        difference = np.minimum(difference, apart)
        here = camera == camera[each, best][:, None]
        own = np.where(here, np.minimum(own, apart), own)
        fresh &= ~here
    return chosen


def kept_rows(looks: Looks, room: int, least_novelty: float) -> np.ndarray:
    """Rows (n,) of the views that `choose_views` keeps of each object."""
    body, camera = bodies_of(looks), looks.coded("camera").code
    order = np.argsort(body, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(body[order])) + 1) if len(order) else []
    kept = [np.zeros(0, int)]
    for many in _same_sizes(parts):
        all_stay = _stay_all(looks.vector[many], camera[many], room, least_novelty)
        kept.append(many[all_stay].reshape(-1))
        some = many[~all_stay]
        chosen = _choose(looks.vector[some], looks.quality[some], camera[some], room, least_novelty)
        kept.append(np.take_along_axis(some, np.maximum(chosen, 0), axis=1)[chosen >= 0])
    return np.concatenate(kept)


def _stay_all(vectors: np.ndarray, camera: np.ndarray, room: int, least_novelty: float) -> np.ndarray:
    """Of which (G,) of many objects `choose_views` keeps all: unit vectors (G, N, D), cameras (G, N) int."""
    n = vectors.shape[1]
    if n > room:
        return np.zeros(len(vectors), bool)
    apart = 1.0 - vectors @ vectors.transpose(0, 2, 1)
    alike = (apart < least_novelty) & (camera[:, :, None] == camera[:, None, :]) & ~np.eye(n, dtype=bool)
    return np.asarray(~alike.any(axis=(1, 2)))


def _same_sizes(parts: Sequence[np.ndarray], most: int = 4096) -> Iterator[np.ndarray]:
    """Parts (N,) of equal length together, (G, N), at most so many numbers at a time."""
    for n in sorted({len(part) for part in parts}):
        alike = np.stack([part for part in parts if len(part) == n])
        step = max(1, most // max(n, 1))
        yield from (alike[start : start + step] for start in range(0, len(alike), step))


def bodies_of(looks: Looks) -> np.ndarray:
    """Number (N,) of the object that each row shows, from 0: of one site and identity, or of one camera's track.

    A row that has neither stands for itself.
    """
    keys: list[tuple[object, ...]] = []
    rows = zip(looks.site.tolist(), looks.object.tolist(), looks.camera.tolist(), looks.track.tolist(), strict=True)
    for number, (site, body, camera, track) in enumerate(rows):
        own: tuple[object, ...] = (site, camera, track) if track >= 0 else (number,)
        keys.append((site, body) if body >= 0 else own)
    known = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([known[key] for key in keys], dtype=int)
