"""Where a body stands by its mask or its keypoints, as pixel and covariance."""

import cv2
import numpy as np

from geoloc.perception.contact import foot_of
from geoloc.perception.explaining import ExplainOptions, best_place
from geoloc.perception.silhouettes import BODIES, Body
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site

AS = {"pedestrian": "person", "motorcycle": "bicycle", "cyclist": "bicycle", "vehicle": "car", "bus": "truck"}
ANKLES = (15, 16)  # of COCO's seventeen keypoints
SURE = 0.4  # score from which a keypoint is taken
SOLE = 0.035  # of a person's height, from ankle to sole
ANKLE_SIGMA, SOLE_SIGMA = 0.02, 0.012  # of a person's height
EDGE_PX = 1.5  # of masks: what they are off at their edge
SIZE_SHARE = 0.05


def body_of(label: str) -> Body | None:
    """The body of a detector's label; None of one that has none."""
    name = label.strip().lower()
    return BODIES.get(AS.get(name, name))


def mask_foot(
    site: Site, camera: Camera, mask: np.ndarray, label: str, options: ExplainOptions | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Pixel (2,) and covariance (2, 2) of where the body of a mask (H, W) uint8 stands; None where it fits none.

    A solid of its class is laid into the mask: wheels, sides and roof say more than the lower edge's middle.
    """
    body = body_of(label)
    if body is None or cv2.countNonZero(mask) < 12:
        return None
    found = best_place(site, camera, mask, body, options)
    if found is None:
        return None
    return foot_of(camera, found.body, found.xyz, found.heading, EDGE_PX, SIZE_SHARE)


def keypoint_foot(points: np.ndarray, box: np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The same of a person's keypoints (K, 3) px and score, COCO's seventeen: the middle between the soles."""
    if body_of(label) is not BODIES["person"] or len(points) <= max(ANKLES):
        return None
    ankles = points[list(ANKLES)]
    ankles = ankles[ankles[:, 2] >= SURE]
    if not len(ankles):
        return None
    tall = box[3] - box[1]
    foot = ankles[:, :2].mean(axis=0)
    foot[1] += SOLE * tall
    # where only one is seen, the other foot is elsewhere
    spread = 0.5 * np.ptp(ankles[:, :2], axis=0).max() if len(ankles) > 1 else 0.06 * tall
    single = 1.0 if len(ankles) == 1 else 0.5
    sigma = np.hypot(ANKLE_SIGMA * tall * single, SOLE_SIGMA * tall) + 0.15 * spread
    return foot, np.eye(2) * max(sigma, 0.7) ** 2
