"""How much a site repeats: what the images of its map find where they were not taken."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.features.local import LocalFeatures
from geoloc.relocalize.estimate import Hypothesis
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.relocalization import Query, RelocalizationOptions, find_hypotheses
from geoloc.scene.camera import Camera

MOST_APART, MOST_TOGETHER = 40, 8  # images that are looked for elsewhere, or where all look
FEWEST_ELSEWHERE = 2  # images
NEAR = 0.02  # of the image's longer side: what landmarks of the right place are off by


def learn_repeats(landmarks: LandmarkMap, rng: np.random.Generator) -> np.ndarray:
    """Of K images what their best wrong place gathered (K, 3), and whether it was the best of all; 0: none.

    Looked for where the images are that see nothing of the same; where there are none, in the map of all the others,
    whose facades may repeat too.
    """
    options, found = RelocalizationOptions(min_probability=1.0), []  # never sure: all places are looked at
    linked = landmarks.shared_points(np.arange(len(landmarks.cameras))) >= options.fewest_shared
    np.fill_diagonal(linked, True)
    apart = (~linked).sum(axis=1) >= FEWEST_ELSEWHERE
    images = np.linspace(0, len(linked) - 1, MOST_APART if apart.any() else MOST_TOGETHER).round().astype(int)
    for image in np.unique(images).tolist():
        here = linked[image] if apart[image] else np.arange(len(linked)) == image
        rest = landmarks.without([name for name, gone in zip(landmarks.names, here, strict=True) if gone])
        query, gathered = _query(landmarks, image), (0.0, 0, 0)
        for number, each in enumerate(find_hypotheses(query, rest, rng, options) if len(rest) else ()):
            if not _is_right(each, landmarks.cameras[image], query, rest):
                gathered = max(each.evidence.support, 0.0), each.evidence.pieces, int(number == 0)
                break
        found.append(gathered)
    return np.array(found, float).reshape(-1, 3)


def _is_right(found: Hypothesis, camera: Camera, query: Query, rest: LandmarkMap) -> bool:
    """Whether the image was found where it was taken."""
    off = camera.project(rest.points[found.points]) - query.features.pixels[found.features]
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
