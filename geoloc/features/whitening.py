"""Whitening: directions in which all places differ alike, or in which one place differs from itself, weigh less.

What is common to every image of a site (a horizon, a stamp of the time) then no longer makes two of them alike. It is
linear discriminant analysis of one exemplar against the rest (Hariharan, Malik and Ramanan 2012), kept to the leading
directions (Jégou and Chum 2012).
"""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import GeometryError, InputError
from geoloc.options import check_range

SMALLEST = 1e-6  # of the largest variance: below it is rounding


@dataclass(frozen=True)
class WhiteningOptions:
    """How far to whiten."""

    max_dim: int = 512  # directions that are kept, those of the largest variance
    ridge: float = 1.0  # added to each variance, in mean variances of an image: what few images cannot tell
    variation: float = 1.0  # weight of how a place differs from itself against how places differ

    def __post_init__(self) -> None:
        check_range(self, max_dim=(1, 1_000_000), ridge=(1e-6, 1e6), variation=(0, 1e6))


@dataclass(frozen=True, eq=False)
class Whitening:
    """Takes vectors (N, D) to unit vectors (N, d): `mean` (D,), `matrix` (D, d), both float32.

    The matrix has the values of half precision, so that a file needs no more.
    """

    mean: np.ndarray
    matrix: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Whitened unit vectors (N, d) float32; all 0 where a vector says nothing."""
        return unit_rows((np.asarray(vectors, np.float32) - self.mean) @ self.matrix)


    def halved(self) -> np.ndarray:
        """The matrix (D, d) float16, nothing lost."""
        return self.matrix.astype(np.float16)


def train_whitening(
    vectors: np.ndarray, variations: np.ndarray, options: WhiteningOptions | None = None
) -> Whitening:
    """Whitening of vectors (N, D) of N places, and of how they vary: differences (M, D) between images of one place.

    GeometryError where all are equal.
    """
    options = options or WhiteningOptions()
    vectors, variations = np.asarray(vectors, np.float32), np.asarray(variations, np.float32)
    if vectors.ndim != 2 or not vectors.size or variations.ndim != 2 or variations.shape[1] != vectors.shape[1]:
        raise InputError(f"vectors {vectors.shape} with variations {variations.shape}; give (N, D) and (M, D)")
    mean = vectors.mean(axis=0)
    weight = np.sqrt(options.variation * len(vectors) / max(len(variations), 1))
    rows = np.concatenate([vectors - mean, np.float32(weight) * variations])
    variance, directions = _principal(rows, options.max_dim)
    if not len(variance):
        raise GeometryError(f"{len(vectors)} images all look the same: nothing tells places apart; are they all dark?")
    ridge = options.ridge * float(np.einsum("nd,nd->", rows, rows)) / len(vectors)
    matrix = directions / np.sqrt((variance + ridge) / len(vectors))
    return Whitening(mean, matrix.astype(np.float16).astype(np.float32))


def _principal(rows: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Summed squares (d,) along the leading directions (D, d) of rows (N, D): by the smaller of both Gram matrices."""
    wide = rows.shape[1] > rows.shape[0]
    gram = (rows @ rows.T if wide else rows.T @ rows).astype(float)
    square, vectors = np.linalg.eigh(gram)
    kept = np.flatnonzero(square > SMALLEST * max(square[-1], 1e-30))[::-1][:most]
    square, vectors = square[kept], vectors[:, kept]
    return square, rows.T @ (vectors / np.sqrt(square)) if wide else vectors


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows (N, D) float32 of unit length; rows of zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
