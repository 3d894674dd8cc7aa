"""Do two images show the same patches in the same order? Patches of their layouts matched within a window.

Every region of the query looks for one common shift, and regions may differ in theirs by a cell, so that a camera that
was turned, moved or zoomed a little still agrees with its picture from before (as CoHOG's regions do, Zaffar et al.
2020, but with an order). What most images of a site share is whitened away, whatever its place in the image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from geoloc.errors import InputError
from geoloc.features.layout import PATCH, clear_edges, layout_patches

DIM = 64  # of a whitened patch
RIDGE = 0.1  # of the mean variance, added to each: what few images cannot tell
STEP = 2  # cells between the query's patches
WINDOW = 6  # cells, the largest shift: a fifth of the image's width
REGION = 7  # cells along the side of a region
SLACK = 1  # cells by which a region's shift may differ from the common one
STEPS = 255.0  # of a stored layout
PAIRS = 300  # of images, by which chance is known
FEWEST = 4  # images or scores, under which they do not tell what chance gives
SMALLEST = 1e-6  # sigma
FAINT = 1e-9


@dataclass(frozen=True, eq=False)
class PatchMatcher:
    """Compares layouts: patches less their `mean` (D,) by `matrix` (D, d); chance gives a score `level` ± `sigma`."""

    mean: np.ndarray
    matrix: np.ndarray
    level: float
    sigma: float

    @classmethod
    def learn(cls, layouts: np.ndarray, rng: np.random.Generator) -> Self:
        """From stored layouts (N, rows, columns, bins) uint8 of a site's images."""
        if layouts.ndim != 4 or not len(layouts):
            raise InputError(f"layouts {layouts.shape}; give those of at least one image, (N, rows, columns, bins)")
        each = max(1, 50_000 // len(layouts))
        drawn = np.concatenate([rng.permutation(layout_patches(layout)[0])[:each] for layout in layouts])
        mean = drawn.mean(axis=0)
        variance, axes = np.linalg.eigh((drawn - mean).T @ (drawn - mean) / len(drawn))
        variance, axes = variance[::-1][:DIM], axes[:, ::-1][:, :DIM]
        ridge = max(RIDGE * float(variance.mean()), FAINT)
        bare = cls(mean, (axes / np.sqrt(np.maximum(variance, 0) + ridge)).astype(np.float32), 0.0, 1.0)
        return cls(bare.mean, bare.matrix, *bare._chance(layouts, rng))

    def _chance(self, layouts: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
        n = len(layouts)
        if n < FEWEST:
            return level_of_chance(np.zeros(0))
        rows = rng.integers(0, n, PAIRS)
        others = (rows + rng.integers(1, n, PAIRS)) % n
        scores = [self.compare(layouts[a], layouts[b][None])[0] for a, b in zip(rows, others, strict=True)]
        return level_of_chance(np.array(scores))

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it has learnt, for a file."""
        return {"mean": self.mean, "matrix": self.matrix, "chance": np.array([self.level, self.sigma])}

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The matcher that gave these arrays."""
        return cls(arrays["mean"], arrays["matrix"], *(float(x) for x in arrays["chance"]))

    def compare(self, query: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """How much more alike (K,) a query's layout is to those of candidates (K, ...) than chance, in sigmas."""
        rows, columns = (side - PATCH + 1 for side in query.shape[:2])
        y, x = (each.ravel() for each in np.mgrid[0:rows:STEP, 0:columns:STEP])
        patches = self._weighted(query)[y * columns + x]
        grid = (rows, columns)
        scores = [_agreement((patches @ self._weighted(each).T).reshape(-1, *grid), y, x) for each in candidates]
        return (np.array(scores).reshape(-1) - self.level) / self.sigma

    def _weighted(self, layout: np.ndarray) -> np.ndarray:
        """All patches (N, d), whitened; their lengths are the contrast's fourth root, of mean square 1."""
        patches, contrast = layout_patches(layout)
        vectors = (patches - self.mean) @ self.matrix
        weight = contrast**0.25 / np.maximum(np.linalg.norm(vectors, axis=1), FAINT)
        vectors *= weight[:, None]
        return vectors / max(float(np.sqrt(np.mean(np.sqrt(contrast)))), FAINT)


def level_of_chance(scores: np.ndarray) -> tuple[float, float]:
    """Level and sigma of scores (N,) of images of different places, though some may be of one; 0 and 1 of too few."""
    if len(scores) < FEWEST:
        return 0.0, 1.0
    low, middle = np.quantile(scores, [0.1587, 0.5])  # one sigma under the median no image of one place lies
    return float(middle), max(float(middle - low), SMALLEST)


def _agreement(alike: np.ndarray, y: np.ndarray, x: np.ndarray) -> float:
    """Mean of what patches (M,) at rows y, columns x are alike (M, rows, columns) to another's, best shift."""
    from scipy.ndimage import maximum_filter

    padded = np.pad(alike, ((0, 0), (WINDOW, WINDOW), (WINDOW, WINDOW)))
    shifts = np.arange(2 * WINDOW + 1)
    rows, columns = (y[:, None] + shifts)[:, :, None], (x[:, None] + shifts)[:, None]
    at_shift = padded[np.arange(len(y))[:, None, None], rows, columns]
    _, region = np.unique((y // REGION) * alike.shape[2] + x // REGION, return_inverse=True)
    members = (np.arange(region.max() + 1)[:, None] == region).astype(np.float32)
    votes = np.tensordot(members, at_shift, axes=1)
    votes = maximum_filter(votes, size=(1, 2 * SLACK + 1, 2 * SLACK + 1), mode="constant")
    return float(votes.sum(axis=0).max()) / len(y)


def stored_layout(layout: np.ndarray) -> np.ndarray:
    """The clear half of a layout (rows, columns, channels) in steps of its largest value: uint8."""
    clear = clear_edges(layout)
    quantised: np.ndarray = np.rint(clear * (STEPS / max(float(clear.max()), FAINT))).astype(np.uint8)
    return quantised
