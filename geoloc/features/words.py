"""Visual words: descriptors in groups that look alike, so that a descriptor is compared with its likes alone.

k-means (Lloyd 1982) from rows that are spread evenly over the descriptors: the same descriptors give the same words.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from geoloc.features.local import unit_descriptors

MAX_TRAINING = 60_000  # descriptors that words are learned from
ROUNDS = 8
BLOCK = 4096  # descriptors at a time


@dataclass(frozen=True, eq=False)
class Words:
    """K centres (K, D) float32 of unit descriptors."""

    centres: np.ndarray

    def __len__(self) -> int:
        return len(self.centres)

    @cached_property
    def _half_squares(self) -> np.ndarray:
        return 0.5 * np.einsum("kd,kd->k", self.centres, self.centres)

    def nearest(self, descriptors: np.ndarray, n: int = 1) -> np.ndarray:
        """The `n` nearest words of descriptors (N, D), in no order: (N, min(n, K)) int."""
        n = min(n, len(self))
        found = np.empty((len(descriptors), n), np.intp)
        for start in range(0, len(descriptors), BLOCK):
            near = self._half_squares - unit_descriptors(descriptors[start : start + BLOCK]) @ self.centres.T
            part = near.argmin(axis=1)[:, None] if n == 1 else np.argpartition(near, n - 1, axis=1)[:, :n]
            found[start : start + BLOCK] = part
        return found


def train_words(descriptors: np.ndarray, n: int) -> Words:
    """At most `n` words of descriptors (N, D), N at least 1; of few descriptors each has its own."""
    step = max(1, -(-len(descriptors) // MAX_TRAINING))
    rows = unit_descriptors(descriptors[::step])
    words = Words(rows[np.unique(np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(int))])
    for _ in range(ROUNDS):
        label = words.nearest(rows)[:, 0]
        order = np.argsort(label, kind="stable")
        first = np.flatnonzero(np.diff(label[order], prepend=-1))
        sums = np.add.reduceat(rows[order], first, axis=0)
        words = Words(sums / np.diff(np.append(first, len(rows)))[:, None].astype(np.float32))
    return words
