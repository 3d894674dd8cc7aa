"""Which images of a map an image may show the same as, and which of its features which landmarks."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from geoloc.errors import InputError
from geoloc.features.local import LocalFeatures
from geoloc.features.matching import MatchingOptions
from geoloc.features.word_matching import match_words
from geoloc.relocalize.landmarks import LandmarkMap

PROBES = 8  # words in which a feature is looked for: 0.993 of what a comparison with all finds


def rank_images(features: LocalFeatures, landmarks: LandmarkMap) -> np.ndarray:
    """The map's images (C,) int by how many features of the query they seem to share, best first."""
    _check_extractor(features, landmarks)
    votes = landmarks.index.votes(features.descriptors, features.scale, len(landmarks.cameras))
    return np.argsort(-votes, kind="stable")


def group_images(images: Sequence[int] | np.ndarray, landmarks: LandmarkMap, fewest: int) -> list[np.ndarray]:
    """The candidates in groups that look at one place: joined where two share at least `fewest` landmarks."""
    images = np.asarray(images, int)
    if not len(images):
        return []
    shared = landmarks.shared_points(images) >= fewest
    _, label = connected_components(sparse.csr_array(shared), directed=False)
    order = np.unique(label, return_index=True)[1]
    return [images[label == label[first]] for first in np.sort(order)]


def match_landmarks(
    features: LocalFeatures, landmarks: LandmarkMap, images: np.ndarray, options: MatchingOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of features (M,) and landmarks (M,) that match as the landmarks look in some images; no pair twice."""
    _check_extractor(features, landmarks)
    rows, index = landmarks.rows(images), landmarks.index
    which = np.repeat(np.arange(len(images)), np.diff(landmarks.starts)[images])
    probes = index.words.nearest(features.descriptors, PROBES)
    found, of = match_words(
        features.descriptors, probes, landmarks.descriptors[rows], index.word[rows], which, options
    )
    pairs = np.unique(np.stack([found, landmarks.point[rows[of]]], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _check_extractor(features: LocalFeatures, landmarks: LandmarkMap) -> None:
    if features.extractor != landmarks.extractor:
        made = f"the map's features are {landmarks.extractor!r}"
        raise InputError(f"the image's features are {features.extractor!r}, {made}; use one extractor for both")
