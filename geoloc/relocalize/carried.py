"""What an image shows of the landmarks around where others have it: for images that are too weak to say it alone."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from geoloc.features.local import LocalFeatures, unit_descriptors
from geoloc.relocalize.evidence import NEAREST, landmarks_in_view, looks_of
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.scene.camera import Camera

ALIKE = 0.9  # share of a map's own observations of one landmark that are as alike as a match must be
SAMPLE = 2000  # landmarks that tell how alike that is
CLEAR = 0.9  # ratio of the nearest to the next likeness in a gate


@dataclass(frozen=True, eq=False)
class Matched:
    """Rows of features and of landmarks (K,) int, one to one."""

    features: np.ndarray
    points: np.ndarray


def how_alike(landmarks: LandmarkMap, rng: np.random.Generator) -> float:
    """Squared distance of descriptors within which `ALIKE` of a landmark's observations lie from its mean look."""
    some = rng.choice(len(landmarks), min(SAMPLE, len(landmarks)), replace=False)
    some.sort()
    rows = np.flatnonzero(np.isin(landmarks.point, some))
    looks = looks_of(landmarks, some)[np.searchsorted(some, landmarks.point[rows])]
    described = unit_descriptors(landmarks.descriptors[rows])
    n = landmarks.n_views[landmarks.point[rows]].astype(float)
    distance2 = 2 - 2 * np.einsum("nd,nd->n", described, looks)
    # the mean holds the observation itself: one that it does not hold lies farther
    return float(np.quantile(distance2 * ((n + 1) / np.maximum(n - 1, 1.0)), ALIKE))


def match_around(features: LocalFeatures, landmarks: LandmarkMap, camera: Camera, alike: float) -> Matched:
    """Landmarks within the gates that `camera`, with its `calib_cov`, leaves around them, and the features they are."""
    points, pixels, radius = landmarks_in_view(landmarks, camera)
    there = landmarks.present[points]
    points, pixels, radius = points[there], pixels[there], radius[there]
    none = Matched(np.zeros(0, int), np.zeros(0, int))
    if not len(points) or len(features) < 2:
        return none
    away, near = cKDTree(features.pixels).query(pixels, k=min(NEAREST, len(features)))
    rows, column = np.nonzero(away <= radius[:, None])
    distance = np.full(away.shape, np.inf)
    described = unit_descriptors(features.descriptors[near[rows, column]])
    distance[rows, column] = 2 - 2 * np.einsum("nd,nd->n", described, looks_of(landmarks, points)[rows])
    order = np.sort(distance, axis=1)
    best = distance.argmin(axis=1)
    clear = (order[:, 0] < alike) & (order[:, 0] < CLEAR**2 * order[:, 1])
    rows = np.flatnonzero(clear)
    found, gap = near[rows, best[rows]], order[rows, 0]
    rows = rows[np.argsort(gap, kind="stable")]
    found = near[rows, best[rows]]
    _, first = np.unique(found, return_index=True)  # each feature is one landmark, the likest
    return Matched(found[first], points[rows[first]])


