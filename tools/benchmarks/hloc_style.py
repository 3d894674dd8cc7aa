"""An hloc-style localizer of library calls alone: the peer that relocalization is measured beside.

The features of the best ten images are matched with the query's by mutual nearest neighbours and ratio test in one
matrix product each (BLAS), and the pose comes of pycolmap's PnP-RANSAC with refinement, at the thresholds that hloc
ships with. It states no covariance and refuses nothing.
"""

from dataclasses import dataclass

import numpy as np
import pycolmap
from scipy.spatial.transform import RigidTransform

from geoloc.geometry.se3 import from_rt
from geoloc.scene.camera import Camera

TOP = 10
RATIO = 0.8
MAX_ERROR = 12.0  # px
FEWEST = 4


@dataclass(frozen=True, eq=False)
class StoredImage:
    """Unit descriptors (N, 128) float32 of all features of an image of the map, and their landmarks (N,), -1: none."""

    descriptors: np.ndarray
    point: np.ndarray


def match_images(query: np.ndarray, images: list[StoredImage]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the query's unit descriptors (N, 128) float32 and landmarks that match."""
    rows, points = [np.zeros(0, int)], [np.zeros(0, int)]
    for image in images:
        alike = query @ image.descriptors.T
        every = np.arange(len(alike))
        best = alike.argmax(axis=1)
        first = alike[every, best]
        mutual = alike.argmax(axis=0)[best] == every
        alike[every, best] = -np.inf
        second = alike.max(axis=1)
        near, following = (np.sqrt(np.maximum(2 - 2 * each, 0)) for each in (first, second))
        good = np.flatnonzero(mutual & (near < RATIO * following) & (image.point[best] >= 0))
        rows.append(good)
        points.append(image.point[best[good]])
    pairs = np.unique(np.stack([np.concatenate(rows), np.concatenate(points)], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def pose_of(camera: Camera, pixels: np.ndarray, xyz: np.ndarray) -> RigidTransform | None:
    """The pose of a pinhole camera from pixels (M, 2) of points (M, 3) m; None where there is none."""
    if len(pixels) < FEWEST:
        return None
    width, height = camera.size
    fx, fy, cx, cy = camera.lens.params[:4].tolist()
    lens = pycolmap.Camera(model="PINHOLE", width=width, height=height, params=[fx, fy, cx + 0.5, cy + 0.5])
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error = MAX_ERROR
    found = pycolmap.estimate_and_refine_absolute_pose(pixels + 0.5, xyz, lens, options)
    if found is None:
        return None
    pose = found["cam_from_world"]
    return from_rt(pose.rotation.matrix(), pose.translation)
