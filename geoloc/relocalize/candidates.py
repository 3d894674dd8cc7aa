"""Which images of a map an image may show the same as, and which of its features which landmarks."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from geoloc.errors import InputError
from geoloc.features.local import LocalFeatures, unit_descriptors
from geoloc.features.matching import MatchingOptions, match_descriptors
from geoloc.relocalize.landmarks import LandmarkMap

VOTERS = 400  # features of the query, and landmarks of each image, that vote: the largest, which last best
CLEAR = 0.9  # ratio of nearest to next landmark within an image, below which a feature votes for the image


def rank_images(features: LocalFeatures, landmarks: LandmarkMap) -> np.ndarray:
    """The map's images (C,) int by how many features of the query they seem to share, best first."""
    query = unit_descriptors(features.descriptors[np.argsort(-features.scale, kind="stable")[:VOTERS]])
    votes = np.zeros(len(landmarks.cameras))
    for image in range(len(votes)):
        rows = landmarks.rows([image])
        rows = rows[np.argsort(-landmarks.scale[rows], kind="stable")[:VOTERS]]
        if len(rows) > 1 and len(query):
            near = np.partition(-(query @ unit_descriptors(landmarks.descriptors[rows]).T), 1, axis=1)[:, :2]
            first, second = np.sqrt(np.maximum(2 + 2 * near.T, 0))  # of unit descriptors
            votes[image] = (first < CLEAR * second).sum()
    return np.argsort(-votes, kind="stable")


def group_images(images: Sequence[int] | np.ndarray, landmarks: LandmarkMap, fewest: int) -> list[np.ndarray]:
    """The candidates in groups that look at one place: joined where two share at least `fewest` landmarks."""
    images = np.asarray(images, int)
    if not len(images):
        return []
    shared = landmarks.shared_points[np.ix_(images, images)] >= fewest
    _, label = connected_components(sparse.csr_array(shared), directed=False)
    order = np.unique(label, return_index=True)[1]
    return [images[label == label[first]] for first in np.sort(order)]


def match_landmarks(
    features: LocalFeatures, landmarks: LandmarkMap, images: np.ndarray, options: MatchingOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of features (M,) and landmarks (M,) that match as the landmarks look in some images; no pair twice.

    Landmarks that are probably gone match nothing.
    """
    if features.extractor != landmarks.extractor:
        made = f"the map's features are {landmarks.extractor!r}"
        raise InputError(f"the image's features are {features.extractor!r}, {made}; use one extractor for both")
    found = [np.zeros((0, 2), int)]
    for image in images.tolist():
        rows = landmarks.rows([image])
        rows = rows[landmarks.present[landmarks.point[rows]]]
        matches = match_descriptors(features.descriptors, landmarks.descriptors[rows], options)
        found.append(np.stack([matches.rows_a, landmarks.point[rows[matches.rows_b]]], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, 0], pairs[:, 1]
