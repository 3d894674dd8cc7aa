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


def rank_images(features: LocalFeatures, landmarks: LandmarkMap, least: float = 0.0) -> np.ndarray:
    """The map's images (C,) int by how many features of the query they seem to share, best first.

    Only those with at least a share `least` of the best one's votes.
    """
    _check_extractor(features, landmarks)
    votes = landmarks.index.votes(features.descriptors, features.scale, len(landmarks.cameras))
    order = np.argsort(-votes, kind="stable")
    return order[votes[order] >= least * votes.max(initial=0.0)]


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
    features: LocalFeatures, landmarks: LandmarkMap, groups: Sequence[np.ndarray], options: MatchingOptions
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each group of images, rows of features (M,) and landmarks (M,) that match as they look in one of the images.

    No pair comes twice in a group. Landmarks that are probably gone match nothing.
    """
    _check_extractor(features, landmarks)
    if not len(groups):
        return []
    images, index = np.concatenate(groups), landmarks.index
    rows, which = landmarks.rows(images), np.repeat(np.arange(len(images)), np.diff(landmarks.starts)[images])
    there = landmarks.present[landmarks.point[rows]]
    rows, which = rows[there], which[there]
    probes = index.words.nearest(features.descriptors, PROBES)
    described = landmarks.descriptors[rows], index.word[rows], which
    found, of = match_words(features.descriptors, probes, *described, options)
    pairs = np.stack([found, landmarks.point[rows[of]]], axis=1)
    ends = np.cumsum([len(group) for group in groups])
    cuts = np.searchsorted(which[of], ends)  # matches are ordered by image
    each = [np.unique(part, axis=0) for part in np.split(pairs, cuts[:-1])]
    return [(part[:, 0], part[:, 1]) for part in each]


def _check_extractor(features: LocalFeatures, landmarks: LandmarkMap) -> None:
    if features.extractor != landmarks.extractor:
        made = f"the map's features are {landmarks.extractor!r}"
        raise InputError(f"the image's features are {features.extractor!r}, {made}; use one extractor for both")
