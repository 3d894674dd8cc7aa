"""VLAD: an image by what its local features differ in from the words of a vocabulary learnt on the site.

Jégou, Douze, Schmid and Pérez 2010, with each word's sum of unit length (Arandjelović and Zisserman 2013), so that a
fence of a hundred equal posts counts once, and square roots of the components (Perronnin, Sánchez and Mensink 2010).
It does not know where in the image a feature lies: it stands a change of the viewpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.errors import GeometryError, InputError
from geoloc.features.local import LocalFeatures, unit_descriptors
from geoloc.options import check_range

ITERATIONS = 20  # of k-means: words hardly move after


@dataclass(frozen=True)
class VladOptions:
    """How fine a vocabulary is."""

    words: int = 64  # fewer where the site has under `per_word` features a word
    local_dim: int = 64  # of a feature's descriptor, the directions in which features differ most
    max_training: int = 100_000  # features that the vocabulary is learnt from
    per_word: int = 40

    def __post_init__(self) -> None:
        check_range(self, words=(1, 100_000), local_dim=(1, 100_000))
        check_range(self, max_training=(1, 100_000_000), per_word=(1, 1_000_000))


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """`words` (K, d) among descriptors less their `mean` (D,) along `axes` (D, d), of features of one `extractor`."""

    mean: np.ndarray
    axes: np.ndarray
    words: np.ndarray
    extractor: str

    @property
    def dim(self) -> int:
        """Length of a VLAD vector."""
        return int(self.words.size)

    def local(self, features: LocalFeatures) -> np.ndarray:
        """Descriptors (N, d) as the words are."""
        if features.extractor != self.extractor:
            raise InputError(f"features of {features.extractor!r} for a vocabulary of {self.extractor!r}: train anew")
        local: np.ndarray = (unit_descriptors(features.descriptors) - self.mean) @ self.axes
        return local


def train_vocabulary(
    features: Sequence[LocalFeatures], rng: np.random.Generator, options: VladOptions | None = None
) -> Vocabulary:
    """A vocabulary of the features of a site's images; GeometryError where they have none."""
    from scipy.cluster.vq import kmeans2

    options = options or VladOptions()
    drawn = _drawn([f for f in features if len(f)], rng, options.max_training)
    mean = drawn.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((drawn - mean).T, bias=True).reshape(drawn.shape[1], -1))
    axes = np.ascontiguousarray(axes[:, ::-1][:, : options.local_dim], np.float32)
    local = (drawn - mean) @ axes
    n_words = max(1, min(options.words, len(local) // options.per_word))
    words, label = kmeans2(local, n_words, iter=ITERATIONS, minit="++", rng=rng, missing="warn")
    used = np.bincount(label, minlength=n_words) > 0
    return Vocabulary(mean, axes, words[used].astype(np.float32), features[0].extractor)


def _drawn(features: Sequence[LocalFeatures], rng: np.random.Generator, most: int) -> np.ndarray:
    if not features:
        raise GeometryError("no image has local features: a vocabulary needs some; are the images dark or empty?")
    every = np.concatenate([f.descriptors for f in features])
    rows = np.sort(rng.permutation(len(every))[:most])
    return unit_descriptors(every[rows])


def vlad(features: LocalFeatures, vocabulary: Vocabulary) -> np.ndarray:
    """VLAD vector (K d,) float32 of unit length; all 0 without features."""
    local, words = vocabulary.local(features), vocabulary.words
    nearest = np.argmax(local @ words.T - 0.5 * np.einsum("kd,kd->k", words, words), axis=1)
    order = np.argsort(nearest, kind="stable")
    found, start = np.unique(nearest[order], return_index=True)
    sums = np.zeros_like(words)
    if len(found):
        sums[found] = np.add.reduceat((local - words[nearest])[order], start, axis=0)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    sums = np.divide(sums, length, out=np.zeros_like(sums), where=length > 0)
    rooted = np.sign(sums) * np.sqrt(np.abs(sums))
    total = np.linalg.norm(rooted)
    return np.ravel(rooted / total if total > 0 else rooted).astype(np.float32)
