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
    chosen: list[int] = []
    difference = np.ones(len(vectors))
    own = np.ones(len(vectors))  # to the chosen views of its own camera
    fresh = np.ones(len(vectors), bool)  # its camera has not shown the object yet
    weight = np.maximum(quality, 1e-6)
    while len(chosen) < min(room, len(vectors)):
        gain = weight * (difference + NEW_CAMERA * fresh)
        gain[chosen] = -1.0
        gain[own < least_novelty] = -1.0
        best = int(np.argmax(gain))
        if gain[best] < 0.0:
            break
        chosen.append(best)
        apart = 1.0 - vectors @ vectors[best]
        difference = np.minimum(difference, apart)
        here = camera == camera[best]
        own[here] = np.minimum(own[here], apart[here])
        fresh &= ~here
    return np.array(chosen, dtype=int)


def kept_rows(looks: Looks, room: int, least_novelty: float) -> np.ndarray:
    """Rows (n,) of the views that `choose_views` keeps of each object."""
    body, camera = bodies_of(looks), looks.coded("camera").code
    order = np.argsort(body, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(body[order])) + 1) if len(order) else []
    kept = [np.zeros(0, int)]
    for many in _same_sizes(parts):
        all_stay = _stay_all(looks.vector[many], camera[many], room, least_novelty)
        kept.append(many[all_stay].reshape(-1))
        for rows in many[~all_stay]:
            chosen = choose_views(looks.vector[rows], looks.quality[rows], camera[rows], room, least_novelty)
            kept.append(rows[chosen])
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
