"""Matches of one image against many at once, each for itself, as `matching.match_descriptors` finds them, by words.

A descriptor is compared with those whose word is among its own nearest (Sivic and Zisserman 2003; several words of
each as Philbin et al. 2008): a hundredth of all pairs, in which nearly every right one is. What is compared, is
compared exactly.
"""

import numpy as np

from geoloc.features.local import unit_descriptors
from geoloc.features.matching import MatchingOptions, distance_ratio

ONE_THREAD = 2**18  # multiplications of a product, up to which OpenBLAS takes one thread


def match_words(
    a: np.ndarray,
    probes: np.ndarray,
    b: np.ndarray,
    word: np.ndarray,
    image: np.ndarray,
    options: MatchingOptions | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (K,) of `a` (N, D) and of `b` (M, D) that match, ordered by image and row of a.

    `probes` (N, P) int are the words in which each row of a is looked for; `word` (M,) int is that of each row of b,
    and `image` (M,) int from 0 on the image that it is of.
    """
    options = options or MatchingOptions()
    if not len(a) or not len(b):
        return np.zeros(0, int), np.zeros(0, int)
    order = np.lexsort((image, word))
    row_a, nearest, next_b, next_a = _nearest(a, probes, b[order], word[order], image[order])
    pair = np.lexsort((nearest, row_a, image[order]))  # of rows of b that have one row of a as theirs, the nearest
    pair = pair[np.isfinite(nearest[pair])]
    row_b, row_a, nearest, next_b, next_a = order[pair], row_a[pair], nearest[pair], next_b[pair], next_a[pair]
    key = image[row_b].astype(np.int64) * len(a) + row_a
    first = np.diff(key, prepend=-1) != 0
    following = np.append(np.where(first, np.inf, nearest), np.inf)[1:]
    next_a = np.minimum(next_a, following)
    distance, next_a, next_b = (np.sqrt(np.maximum(each, 0)) for each in (nearest, next_a, next_b))
    ratio = np.maximum(distance_ratio(distance, next_a), distance_ratio(distance, next_b))
    good = first & (distance <= np.minimum(options.max_distance, next_a))
    good &= (ratio < options.max_ratio) | (options.max_ratio == 1.0)
    return row_a[good], row_b[good]


def _nearest(
    a: np.ndarray, probes: np.ndarray, b: np.ndarray, word: np.ndarray, image: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Of rows of b (M,), ordered by word and image: the nearest row of a, squared distances to it and to the next
    one, and of that row of a to the nearest in the same image that is no nearer to another row of a.
    """
    many, wide_a, wide_b = len(b), _squared(a, first=True), _squared(b, first=False)
    found, (near, following) = np.zeros(many, int), np.full((2, many), np.inf, np.float32)
    rest = np.full((probes.size, int(image.max()) + 1), np.inf, np.float32)
    slots = np.argsort(probes, axis=None, kind="stable")
    names, starts = np.unique(word, return_index=True)
    ends = np.append(starts[1:], many)
    probed = probes.ravel()[slots]
    from_slot, to_slot = np.searchsorted(probed, names), np.searchsorted(probed, names, side="right")
    for start, end, low, high in zip(starts.tolist(), ends.tolist(), from_slot.tolist(), to_slot.tolist(), strict=True):
        if low == high:
            continue
        own = slots[low:high]
        rows = own // probes.shape[1]
        squared = _product(wide_b[start:end], wide_a[rows])
        column, at = np.arange(end - start), squared.argmin(axis=1)
        found[start:end], near[start:end] = rows[at], squared[column, at]
        squared[column, at] = np.inf
        following[start:end] = squared.min(axis=1)
        images = image[start:end]
        edges = np.flatnonzero(np.append(True, images[1:] != images[:-1]))
        rest[own, images[edges, None]] = np.minimum.reduceat(squared, edges, axis=0)
    rest = rest.reshape(*probes.shape, -1).min(axis=1)
    return found, near, following, rest[found, image]


def _product(b: np.ndarray, a: np.ndarray) -> np.ndarray:
    """b @ a.T in tiles so small that BLAS takes one thread: others would be waited for longer than they help."""
    out, side = np.empty((len(b), len(a)), np.float32), max(1, int(np.sqrt(ONE_THREAD / a.shape[1])))
    for row in range(0, len(b), side):
        for column in range(0, len(a), side):
            tile = slice(row, row + side), slice(column, column + side)
            np.matmul(b[tile[0]], a[tile[1]].T, out=out[tile])
    return out


def _squared(descriptors: np.ndarray, first: bool) -> np.ndarray:
    """Rows (N, D + 2) whose products with the other side's are squared distances."""
    values = unit_descriptors(descriptors)
    length, one = np.einsum("nd,nd->n", values, values)[:, None], np.ones((len(values), 1), np.float32)
    return np.concatenate([values, one, length] if first else [-2 * values, length, one], axis=1)
