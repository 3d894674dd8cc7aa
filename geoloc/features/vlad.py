"""VLAD: an image by what its local descriptors differ in from the words of a vocabulary learnt on the site.

Jégou, Douze, Schmid and Pérez 2010, with each word's sum of unit length (Arandjelović and Zisserman 2013), so that a
fence of a hundred equal posts counts once, and square roots of the components (Perronnin, Sánchez and Mensink 2010).
It does not know where in the image a descriptor lies: it stands a change of the viewpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from geoloc.errors import GeometryError, InputError
from geoloc.options import check_range

ITERATIONS = 20  # of k-means: words hardly move after


@dataclass(frozen=True)
class VladOptions:
    """How fine a vocabulary is."""

    words: int = 64  # fewer where the site has under `per_word` descriptors a word
    local_dim: int = 64  # of a local descriptor, the directions in which they differ most
    max_training: int = 30_000  # descriptors that the vocabulary is learnt from
    per_word: int = 40

    def __post_init__(self) -> None:
        check_range(self, words=(1, 100_000), local_dim=(1, 100_000))
        check_range(self, max_training=(1, 100_000_000), per_word=(1, 1_000_000))


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """`words` (K, d) among descriptors less their `mean` (D,), along `axes` (D, d)."""

    mean: np.ndarray
    axes: np.ndarray
    words: np.ndarray

    @property
    def dim(self) -> int:
        """Length of a VLAD vector."""
        return int(self.words.size)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, for a file."""
        return {"mean": self.mean, "axes": self.axes, "words": self.words}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The vocabulary that gave these arrays."""
        return cls(arrays["mean"], arrays["axes"], arrays["words"])


def train_vocabulary(
    descriptors: Sequence[np.ndarray], rng: np.random.Generator, options: VladOptions | None = None
) -> Vocabulary:
    """A vocabulary of local descriptors (N, D) float32 of each image; GeometryError where there are none."""
    from scipy.cluster.vq import kmeans2

    options = options or VladOptions()
    drawn = _drawn([each for each in descriptors if len(each)], rng, options.max_training)
    mean = drawn.mean(axis=0)
    _, axes = np.linalg.eigh((drawn - mean).T @ (drawn - mean))
    axes = np.ascontiguousarray(axes[:, ::-1][:, : options.local_dim], np.float32)
    local = (drawn - mean) @ axes
    n_words = max(1, min(options.words, len(local) // options.per_word))
    words, label = kmeans2(local, n_words, iter=ITERATIONS, minit="++", rng=rng)
    used = np.bincount(label, minlength=n_words) > 0
    return Vocabulary(mean, axes, words[used].astype(np.float32))


def _drawn(descriptors: Sequence[np.ndarray], rng: np.random.Generator, most: int) -> np.ndarray:
    if not descriptors:
        raise GeometryError("no image has local descriptors to learn a vocabulary of; are the images dark or empty?")
    every = np.concatenate(descriptors)
    rows: np.ndarray = every[np.sort(rng.permutation(len(every))[:most])].astype(np.float32)
    return rows


def vlad(descriptors: np.ndarray, weight: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """VLAD vector (K d,) float32 of unit length, of local descriptors (N, D) that weigh (N,); all 0 without any."""
    if descriptors.ndim != 2 or descriptors.shape[1] != len(vocabulary.mean):
        raise InputError(f"descriptors {descriptors.shape} for a vocabulary of {len(vocabulary.mean)}: train anew")
    local, words = (descriptors - vocabulary.mean) @ vocabulary.axes, vocabulary.words
    nearest = np.argmax(local @ words.T - 0.5 * np.einsum("kd,kd->k", words, words), axis=1)
    shares = np.zeros((len(local), len(words)), np.float32)
    shares[np.arange(len(local)), nearest] = weight
    sums = shares.T @ local - shares.sum(axis=0)[:, None] * words
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    sums = np.divide(sums, length, out=np.zeros_like(sums), where=length > 0)
    rooted = np.sign(sums) * np.sqrt(np.abs(sums))
    total = np.linalg.norm(rooted)
    return np.ravel(rooted / total if total > 0 else rooted).astype(np.float32)
