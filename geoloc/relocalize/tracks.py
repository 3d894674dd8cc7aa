"""Tracks: features of several images that show one point, chained from matches of pairs of images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from geoloc.features.local import LocalFeatures
from geoloc.features.matches import Matches
from geoloc.features.matching import MatchingOptions, match

SAME_PLACE = 1.5  # px; features of one image nearer than this are one place, found turned two ways
SAMPLES = ((0.1, 0.5, 0.9), (2.0, 6.0, 20.0, 60.0))  # shares of the image's sides, and distances (m), of what is seen

Pairs = dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]  # rows of two images' features that match


@dataclass(frozen=True, eq=False)
class Tracks:
    """N observations, `image` (N,), `feature` (N,) and `track` (N,) int, ordered by track; T tracks."""

    image: np.ndarray
    feature: np.ndarray
    track: np.ndarray
    n: int


def choose_pairs(cameras: Sequence, n_neighbours: int) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of cameras whose views meet: each with the `n_neighbours` that see most of what it sees."""
    n = len(cameras)
    if n <= n_neighbours + 1:
        return list(combinations(range(n), 2))
    shares, depths = SAMPLES
    seen = np.zeros((n, n))
    for i, camera in enumerate(cameras):
        pixels = np.array([(u, v) for u in shares for v in shares]) * np.array(camera.size)
        rays = camera.unproject(pixels)
        rays = rays[np.isfinite(rays).all(axis=1)]
        points = (camera.centre_world + np.array(depths)[:, None, None] * rays).reshape(-1, 3)
        for j, other in enumerate(cameras):
            if i != j:
                seen[i, j] = other.inside(np.nan_to_num(other.project(points), nan=-1e9)).mean()
    both = np.minimum(seen, seen.T)
    order = np.argsort(-both, axis=1, kind="stable")[:, :n_neighbours]
    pairs = {(min(i, j), max(i, j)) for i in range(n) for j in order[i].tolist() if both[i, j] > 0}
    return sorted(pairs)


def match_pairs(
    features: Sequence[LocalFeatures],
    pairs: Sequence[tuple[int, int]],
    options: MatchingOptions,
    agree: Callable[[int, int, Matches], np.ndarray],
    tell: Callable[[int, int], None] = lambda done, of: None,
    sizes: Sequence[tuple[int, int]] = (),
) -> Pairs:
    """Matches of the pairs that `agree`, given the two images and their matches, says are right (M,) bool."""
    found: Pairs = {}
    for done, (i, j) in enumerate(pairs):
        matches = match(features[i], features[j], options, (sizes[i], sizes[j]) if sizes else None)
        if len(matches):
            right = agree(i, j, matches)
            found[i, j] = matches.rows_a[right], matches.rows_b[right]
        tell(done + 1, len(pairs))
    return found


def chain(features: Sequence[LocalFeatures], pairs: Pairs) -> Tracks:
    """Tracks of two images or more; where an image would be in one twice, at different places, it is left out of it."""
    starts = np.concatenate([[0], np.cumsum([len(each) for each in features])]).astype(int)
    first = np.concatenate([starts[i] + rows for (i, _), (rows, _) in pairs.items()] or [np.zeros(0, int)])
    second = np.concatenate([starts[j] + rows for (_, j), (_, rows) in pairs.items()] or [np.zeros(0, int)])
    graph = sparse.coo_array((np.ones(len(first), bool), (first, second)), shape=(starts[-1], starts[-1]))
    _, label = connected_components(graph, directed=False)
    rows = np.flatnonzero(np.bincount(label, minlength=1)[label] > 1)
    image = np.searchsorted(starts, rows, side="right") - 1
    feature = rows - starts[image]
    kept = _one_an_image(features, image, feature, label[rows])
    image, feature, label = image[kept], feature[kept], label[rows][kept]
    kept = np.bincount(label)[label] > 1 if len(label) else np.zeros(0, bool)
    image, feature, label = image[kept], feature[kept], label[kept]
    order = np.lexsort((image, label))
    names, track = np.unique(label[order], return_inverse=True)
    return Tracks(image[order], feature[order], track, len(names))


def _one_an_image(
    features: Sequence[LocalFeatures], image: np.ndarray, feature: np.ndarray, label: np.ndarray
) -> np.ndarray:
    """Which observations to keep (N,) bool: of those in one image and track the first, or none if they lie apart."""
    kept = np.ones(len(image), bool)
    order = np.lexsort((feature, image, label))
    same = (np.diff(label[order]) == 0) & (np.diff(image[order]) == 0)
    begins = np.flatnonzero(np.concatenate([[True], ~same]))
    for begin, end in zip(begins, np.append(begins[1:], len(order)), strict=True):
        if end - begin > 1:
            rows = order[begin:end]
            pixels = features[image[rows[0]]].pixels[feature[rows]]
            kept[rows] = False
            kept[rows[0]] = bool((np.ptp(pixels, axis=0) < SAME_PLACE).all())
    return kept
