"""Several views of one object made one: means over a track, by quality, with what a camera does to all removed.

A camera's light and angle move all of its vectors alike, often farther than identity does. So each camera's mean is
taken out before views are compared across cameras; and as a track's views differ by pose and occlusion, their mean
tells more than any of them.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.numbering import numbered
from geoloc.retrieval.rerank.expansion import unit_rows
from geoloc.retrieval.rerank.neighbours import checked_vectors


@dataclass(frozen=True, eq=False)
class Pooled:
    """One unit vector (G, D) float32 a group: `group` (G,) its name, `of_row` (N,) the group that each row is in.

    `weight` (G,) is what its views weigh together.
    """

    vectors: np.ndarray
    group: np.ndarray
    of_row: np.ndarray
    weight: np.ndarray


def remove_means(vectors: np.ndarray, camera: np.ndarray, track: np.ndarray | None = None) -> np.ndarray:
    """Vectors (N, D) less the mean of their `camera` (N,), of unit length again: (N, D) float32.

    Given `track` (N,), each track counts once in the mean, however long it stood there. A camera with one track only
    has no mean that could be told from it: its vectors stay.
    """
    vectors = checked_vectors(vectors, "vectors").astype(float)
    _, of_camera = numbered(_fits(camera, vectors))
    tracks, of_track = numbered(np.arange(len(vectors)) if track is None else _fits(track, vectors))
    weight = 1.0 / np.bincount(of_track, minlength=len(tracks))[of_track] if len(tracks) else np.zeros(0)
    means = _sums(vectors, of_camera, weight) / np.maximum(np.bincount(of_camera, weight), 1e-12)[:, None]
    several = np.bincount(of_camera, weight) > 1.5
    return unit_rows(vectors - np.where(several[of_camera, None], means[of_camera], 0.0))


def pool(vectors: np.ndarray, group: np.ndarray, weight: np.ndarray | None = None) -> Pooled:
    """The weighted mean of the vectors (N, D) of each `group` (N,), of unit length; `weight` (N,) >= 0."""
    vectors = checked_vectors(vectors, "vectors")
    weight = np.ones(len(vectors)) if weight is None else _fits(weight, vectors).astype(float)
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise InputError("pooling: weights must be finite and not negative, one a row")
    groups, of_row = numbered(_fits(group, vectors))
    return Pooled(unit_rows(_sums(vectors, of_row, weight)), groups, of_row, np.bincount(of_row, weight))


def _fits(column: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    column = np.asarray(column)
    if column.shape != (len(vectors),):
        raise InputError(f"pooling: a column {column.shape} beside vectors {vectors.shape}; give one value a row")
    return column


def _sums(vectors: np.ndarray, group: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted sums (G, D) of the rows of each group."""
    from scipy.sparse import csr_array

    n = int(group.max(initial=-1)) + 1
    return np.asarray(csr_array((weight, (group, np.arange(len(group)))), (n, len(group))) @ vectors)
