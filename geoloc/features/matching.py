"""Which features of two images look alike: mutual nearest neighbours that are clearly nearer than the next.

All distances come out of one matrix product a block (BLAS), which beats trees at these sizes and is exact.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.features.learned_matching import match_lightglue
from geoloc.features.local import LocalFeatures, unit_descriptors
from geoloc.features.matches import Matches, Sizes
from geoloc.options import check_range

BLOCK = 2048  # rows of a at a time: the block of distances stays in the caches' reach


@dataclass(frozen=True)
class MatchingOptions:
    """What counts as a match."""

    max_ratio: float = 0.8  # of the distance to the nearest over that to the next, either way (Lowe 2004); 1: no test
    max_distance: float = 2.0  # between unit descriptors; 2 is no limit
    matcher: str = "nearest"  # of MATCHERS: what pairs of whole images are matched by
    weights: str = ""  # path of the file that "lightglue" is in; its ratio is one less the network's confidence

    def __post_init__(self) -> None:
        check_range(self, max_ratio=(0, 1), max_distance=(0, 2))
        if self.matcher not in MATCHERS:
            raise unknown_name("matcher", self.matcher, MATCHERS)


class Matcher(Protocol):
    """What matches the features of two images of `sizes`."""

    def __call__(self, a: LocalFeatures, b: LocalFeatures, sizes: Sizes, options: MatchingOptions) -> Matches:
        """Their matches, ordered by the rows of a; no row of either twice."""


def match(
    a: LocalFeatures, b: LocalFeatures, options: MatchingOptions | None = None, sizes: Sizes | None = None
) -> Matches:
    """Matches between two images; the same with a and b exchanged. Features of different extractors are refused.

    `sizes` (width, height) px of both images: what networks that match want to know; none: as far as features reach.
    """
    if a.extractor != b.extractor:
        raise InputError(f"features of {a.extractor!r} cannot be matched with those of {b.extractor!r}")
    options = options or MatchingOptions()
    return MATCHERS[options.matcher](a, b, sizes or (_reach(a), _reach(b)), options)


def _reach(features: LocalFeatures) -> tuple[int, int]:
    x, y = np.ceil(features.pixels.max(axis=0, initial=0.0)).astype(int).tolist()
    return x + 1, y + 1


def _nearest(a: LocalFeatures, b: LocalFeatures, sizes: Sizes, options: MatchingOptions) -> Matches:
    return match_descriptors(a.descriptors, b.descriptors, options)


def _lightglue(a: LocalFeatures, b: LocalFeatures, sizes: Sizes, options: MatchingOptions) -> Matches:
    found = match_lightglue(a, b, sizes, options.weights)
    return found.take((found.distance <= options.max_distance) & (found.ratio <= options.max_ratio))


MATCHERS: dict[str, Matcher] = {"nearest": _nearest, "lightglue": _lightglue}


def match_descriptors(a: np.ndarray, b: np.ndarray, options: MatchingOptions | None = None) -> Matches:
    """As `match`, of bare descriptors (N, D) and (M, D)."""
    options = options or MatchingOptions()
    if not len(a) or not len(b):
        none = np.zeros(0, int)
        return Matches(none, none, np.zeros(0), np.zeros(0))
    nearest_a, first_a, second_a, nearest_b, first_b, second_b = _two_nearest(unit_descriptors(a), unit_descriptors(b))
    rows_a = np.flatnonzero(nearest_b[nearest_a] == np.arange(len(a)))
    rows_b = nearest_a[rows_a]
    distance = first_a[rows_a]
    ratio = np.maximum(distance_ratio(distance, second_a[rows_a]), distance_ratio(first_b[rows_b], second_b[rows_b]))
    good = (distance <= options.max_distance) & ((ratio < options.max_ratio) | (options.max_ratio == 1.0))
    return Matches(rows_a, rows_b, distance, ratio).take(good)


def _two_nearest(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of each row of a its nearest row of b, that one's distance, and the next one's; then the same of each row of b.

    Of b it is told only of those that are nearest to some row of a, as a mutual one is; of the others the row is -1.
    Minima down the columns are slow to locate, quick to find: so the nearest of a are taken out, and what is left
    only matters by how near it comes.
    """
    length_b = np.einsum("nd,nd->n", b, b)
    nearest_a, two_a = np.empty(len(a), int), np.empty((2, len(a)), np.float32)
    rest_b = np.full(len(b), np.inf, np.float32)
    for start in range(0, len(a), BLOCK):
        block = a[start : start + BLOCK]
        rows, own = np.arange(len(block)), slice(start, start + len(block))
        squared = block @ b.T
        squared *= -2
        squared += length_b
        squared += np.einsum("nd,nd->n", block, block)[:, None]
        nearest_a[own] = at = squared.argmin(axis=1)
        two_a[0, own] = squared[rows, at]
        squared[rows, at] = np.inf
        two_a[1, own] = squared.min(axis=1)
        rest_b = np.minimum(rest_b, squared.min(axis=0))
    order = np.lexsort((two_a[0], nearest_a))
    names, begins = np.unique(nearest_a[order], return_index=True)
    nearest_b, two_b = np.full(len(b), -1), np.stack([rest_b, rest_b])
    first = two_a[0][order[begins]]
    following = np.append(two_a[0][order], np.inf)[begins + 1]
    alone = np.append(nearest_a[order], -1)[begins + 1] != names
    nearest_b[names] = np.where(first <= rest_b[names], order[begins], -1)
    two_b[1, names] = np.minimum(rest_b[names], np.where(alone, np.inf, following))
    two_b[0, names] = first
    two_a, two_b = (np.sqrt(np.maximum(two, 0)) for two in (two_a, two_b))
    return nearest_a, two_a[0], two_a[1], nearest_b, two_b[0], two_b[1]


def distance_ratio(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Nearest (N,) over next (N,): equally near ones decide nothing, at 0 too; one that is alone is clear."""
    ratio = np.ones_like(first)
    np.divide(first, second, out=ratio, where=second > 0)
    return ratio
