"""Which features of two images belong together."""

from dataclasses import dataclass

import numpy as np

Sizes = tuple[tuple[int, int], tuple[int, int]]  # width and height of two images, px


@dataclass(frozen=True, eq=False)
class Matches:
    """M matches, ordered by `rows_a`: `rows_a`, `rows_b` (M,) int; `distance` (M,) between unit descriptors.

    `ratio` (M,) is that of the nearest to the next, the worse of both directions.
    """

    rows_a: np.ndarray
    rows_b: np.ndarray
    distance: np.ndarray
    ratio: np.ndarray

    def __len__(self) -> int:
        return len(self.rows_a)

    def take(self, rows: np.ndarray) -> "Matches":
        """The matches that a mask or index selects."""
        return Matches(self.rows_a[rows], self.rows_b[rows], self.distance[rows], self.ratio[rows])
