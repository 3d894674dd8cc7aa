"""How much a site repeats: what the images of its map find where they were not taken."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.features.local import LocalFeatures
from geoloc.relocalize.estimate import Hypothesis
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.relocalization import Query, RelocalizationOptions, find_hypotheses
from geoloc.scene.camera import Camera

MOST_IMAGES = 40  # that are looked for elsewhere
FEWEST_IMAGES = 2  # that are left elsewhere
NEAR = 0.02  # of the image's longer side: what landmarks of the right place are off by


def learn_repeats(landmarks: LandmarkMap, rng: np.random.Generator) -> np.ndarray:
    """Support and pieces (K, 2) of the best place of each of K images among all that look elsewhere; 0: none.

    Empty where every image looks where all the others do: nothing can be told of what is elsewhere.
    """
    options, found = RelocalizationOptions(), []
    images = np.unique(np.linspace(0, len(landmarks.cameras) - 1, MOST_IMAGES).round().astype(int))
    for image in images.tolist():
        linked = landmarks.shared_points[image] >= options.fewest_shared
        linked[image] = True
        if (~linked).sum() < FEWEST_IMAGES:
            continue
        elsewhere = landmarks.without([name for name, here in zip(landmarks.names, linked, strict=True) if here])
        query, gathered = _query(landmarks, image), (0.0, 0)
        for each in find_hypotheses(query, elsewhere, rng, options) if len(elsewhere) else ():
            if not _is_right(each, landmarks.cameras[image], query, elsewhere):
                gathered = max(each.evidence.support, 0.0), each.evidence.pieces
                break
        found.append(gathered)
    return np.array(found, float).reshape(-1, 2)


def _is_right(found: Hypothesis, camera: Camera, query: Query, elsewhere: LandmarkMap) -> bool:
    """Whether the image was found where it was taken: some of what it shows was not told to be the same."""
    off = camera.project(elsewhere.points[found.points]) - query.features.pixels[found.features]
    return bool((np.linalg.norm(off, axis=1) < NEAR * max(camera.size)).mean() > 0.5)  # false for NaN


def _query(landmarks: LandmarkMap, image: int) -> Query:
    """An image of the map as a query: those of its features that became landmarks."""
    rows, camera = landmarks.rows([image]), landmarks.cameras[image]
    nothing = np.zeros(len(rows), np.float32)
    features = LocalFeatures(
        landmarks.pixels[rows], landmarks.scale[rows], nothing, nothing, landmarks.descriptors[rows],
        landmarks.extractor,
    )  # fmt: skip
    return Query(features, camera.size, replace(camera, cam_from_world=RigidTransform.identity()))
