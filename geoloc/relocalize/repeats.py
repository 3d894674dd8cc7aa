"""How much a site repeats: what the images of its map find where they were not taken."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.features.local import LocalFeatures
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.relocalization import Query, RelocalizationOptions, find_hypotheses

MOST_IMAGES = 40  # that are looked for elsewhere
FEWEST_IMAGES = 2  # that are left elsewhere


def learn_repeats(landmarks: LandmarkMap, rng: np.random.Generator) -> np.ndarray:
    """Support and pieces (K, 2) of the best place of each of K images among all that share nothing with it; 0: none.

    Empty where every image shares landmarks with all the others: nothing can be told of what is elsewhere.
    """
    options, found = RelocalizationOptions(), []
    images = np.unique(np.linspace(0, len(landmarks.cameras) - 1, MOST_IMAGES).round().astype(int))
    for image in images.tolist():
        linked = landmarks.shared_points[image] > 0
        linked[image] = True
        if (~linked).sum() < FEWEST_IMAGES:
            continue
        elsewhere = landmarks.without([name for name, here in zip(landmarks.names, linked, strict=True) if here])
        if len(elsewhere):
            best = find_hypotheses(_query(landmarks, image), elsewhere, rng, options)[:1]
            found.append((max(best[0].evidence.support, 0.0), best[0].evidence.pieces) if best else (0.0, 0))
    return np.array(found, float).reshape(-1, 2)


def _query(landmarks: LandmarkMap, image: int) -> Query:
    """An image of the map as a query: those of its features that became landmarks."""
    rows, camera = landmarks.rows([image]), landmarks.cameras[image]
    nothing = np.zeros(len(rows), np.float32)
    features = LocalFeatures(
        landmarks.pixels[rows], landmarks.scale[rows], nothing, nothing, landmarks.descriptors[rows],
        landmarks.extractor,
    )  # fmt: skip
    return Query(features, camera.size, replace(camera, cam_from_world=RigidTransform.identity()))
