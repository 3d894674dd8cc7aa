"""What a landmark map is searched by: the word of each observation, and signatures of those that vote for images.

Hamming embedding (Jégou, Douze and Schmid 2008): within a word, descriptors whose signatures differ in few bits are
alike. Voters have finer words the more of them there are, so that a query meets about as many in a large map as in a
small one.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy.fft import dct

from geoloc.errors import InputError
from geoloc.features.local import unit_descriptors
from geoloc.features.words import Words, train_words

N_WORDS = 256  # for matching
PER_WORD = 16  # observations of a word on average, at least
VOTERS = 500  # observations of each image, and features of a query, that vote: the largest, which last best
VOTERS_PER_WORD = 256
MAX_VOTER_WORDS = 2048
VOTER_WORDS = 4  # of a query's voter
BITS = 64
ALIKE = 20  # bits that two signatures of one look may differ by: by chance it is 32, with a sigma of 4
SPREAD = 10.0  # bits; how fast a vote loses weight


@dataclass(frozen=True, eq=False)
class LandmarkIndex:
    """Of N observations their `word` (N,) uint8 among `words`; of V of them, the voters, ordered by their own words
    `voter_words`, `signature` (V,) uint64 and `image` (V,) int32, those of word k from `starts[k]` (K + 1,) on.

    `axes` (D, BITS) float32 make a signature of what a descriptor leaves over beside its word.
    """

    words: Words
    word: np.ndarray
    voter_words: Words
    axes: np.ndarray
    signature: np.ndarray
    image: np.ndarray
    starts: np.ndarray

    def __post_init__(self) -> None:
        n, dim = len(self.signature), self.words.centres.shape[1]
        shapes = {"image": (n,), "starts": (len(self.voter_words) + 1,), "axes": (dim, BITS)}
        if any(getattr(self, name).shape != shape for name, shape in shapes.items()):
            raise InputError("landmark index: its arrays do not fit each other; build the map anew")
        ends = self.starts[[0, -1]].tolist() == [0, n] and (np.diff(self.starts) >= 0).all()
        if not ends or (len(self.word) and self.word.max() >= len(self.words)):
            raise InputError("landmark index: its words are not those that it holds; build the map anew")

    @property
    def n_bytes(self) -> int:
        """Memory of its arrays (bytes)."""
        values = [getattr(self, each.name) for each in fields(self)]
        return sum(each.centres.nbytes if isinstance(each, Words) else each.nbytes for each in values)

    def votes(self, descriptors: np.ndarray, scale: np.ndarray, n_images: int) -> np.ndarray:
        """How much speaks for each image (C,), of a query's descriptors (M, D) of `scale` (M,) px.

        A feature votes once for an image, and the less the more images it votes for.
        """
        rows = np.argsort(-scale, kind="stable")[:VOTERS]
        words = self.voter_words.nearest(descriptors[rows], VOTER_WORDS)
        own = signatures(descriptors[np.repeat(rows, words.shape[1])], words.ravel(), self.voter_words, self.axes)
        n = (self.starts[1:] - self.starts[:-1])[words.ravel()]
        pair = np.repeat(np.arange(len(n)), n)
        voter = np.arange(len(pair)) + np.repeat(self.starts[words.ravel()] - (np.cumsum(n) - n), n)
        bits = np.bitwise_count(self.signature[voter] ^ own[pair])
        alike = np.flatnonzero(bits <= ALIKE)
        feature, image = pair[alike] // words.shape[1], self.image[voter[alike]]
        order = np.lexsort((bits[alike], image, feature))
        key = feature[order] * n_images + image[order]
        order = order[np.diff(key, prepend=-1) != 0]
        n_voted = np.bincount(feature[order], minlength=len(rows))[feature[order]]
        weight = np.exp(-((bits[alike[order]] / SPREAD) ** 2)) * np.log1p(n_images / n_voted)
        return np.bincount(image[order], weight, minlength=n_images)


def build_index(descriptors: np.ndarray, image: np.ndarray, scale: np.ndarray) -> LandmarkIndex:
    """Of observations (N, D), ordered by their image (N,) int, of `scale` (N,) px; N at least 1."""
    words = train_words(descriptors, min(N_WORDS, max(1, len(descriptors) // PER_WORD)))
    largest = np.lexsort((-scale, image))
    first = np.searchsorted(image, image)  # of the image that is in the same place of the order
    voters = np.sort(largest[np.arange(len(image)) - first < VOTERS])
    described = descriptors[voters]
    voter_words = train_words(described, min(MAX_VOTER_WORDS, max(1, len(voters) // VOTERS_PER_WORD)))
    voter_word = voter_words.nearest(described)[:, 0]
    left = unit_descriptors(described[:: max(1, len(described) // 20_000)])
    left = left - voter_words.centres[voter_words.nearest(left)[:, 0]]
    axes = _axes(left)
    order = np.argsort(voter_word, kind="stable")
    return LandmarkIndex(
        words, words.nearest(descriptors)[:, 0].astype(np.uint8), voter_words, axes,
        signatures(described[order], voter_word[order], voter_words, axes), image[voters][order].astype(np.int32),
        np.searchsorted(voter_word[order], np.arange(len(voter_words) + 1)),
    )  # fmt: skip


def signatures(descriptors: np.ndarray, word: np.ndarray, words: Words, axes: np.ndarray) -> np.ndarray:
    """Signatures (N,) uint64 of descriptors (N, D) beside their word (N,): on which side of it they lie, by axes."""
    sides = np.empty((len(descriptors), BITS), bool)
    for start in range(0, len(descriptors), 65_536):
        part = slice(start, start + 65_536)
        sides[part] = (unit_descriptors(descriptors[part]) - words.centres[word[part]]) @ axes > 0
    return np.packbits(sides, axis=1).view(np.uint64)[:, 0]


def _axes(left: np.ndarray) -> np.ndarray:
    """Axes (D, BITS): the directions in which rows (N, D) vary most, mixed so that each carries as much."""
    _, directions = np.linalg.eigh((left.T @ left).astype(float))
    directions = directions[:, ::-1][:, :BITS]
    return (directions @ dct(np.eye(BITS), norm="ortho")[: directions.shape[1]]).astype(np.float32)
