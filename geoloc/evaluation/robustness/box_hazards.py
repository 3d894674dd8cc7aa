"""What goes wrong in the detector: boxes missed, hidden, invented, shaken."""

from dataclasses import replace

import numpy as np

from geoloc.evaluation.robustness.hazard import Case, Hazard
from geoloc.scene.tables import Detections

EPISODE_S = 3.0  # how long something stands in the way
COMMON = 0.5  # share of the variance of a box edge's error that both edges of a direction have in common


def miss_boxes(case: Case, share: float, rng: np.random.Generator) -> Case:
    """A `share` of the boxes is missing, each by its own chance."""
    return case.take(rng.random(len(case.detections)) >= share)


def hide_boxes(case: Case, share: float, rng: np.random.Generator) -> Case:
    """In each camera something hides a `share` of the image's width from top to bottom, elsewhere every EPISODE_S.

    What has its foot behind it is missed in every frame of the episode, as behind a lorry.
    """
    detections = case.detections
    episode = np.floor((detections.time - detections.time.min(initial=np.inf)) / EPISODE_S).astype(int)
    which = np.unique(np.stack([case.camera, episode]), axis=1, return_inverse=True)[1].ravel()
    start = rng.random(int(which.max(initial=-1)) + 1)[which]
    place = 0.5 * (detections.box[:, 0] + detections.box[:, 2]) / _widths(case)
    # the strip goes over the image's edge and comes in again, so that every place is hidden alike
    return case.take(np.mod(place - start, 1.0) >= share)


def invent_boxes(case: Case, mean: float, rng: np.random.Generator) -> Case:
    """Each camera frame has a Poisson number of false boxes more.

    Each is one of the same camera's boxes with its score, class, size and height in the image, moved along the
    row to a place drawn uniformly: where a box of that size belongs, and nothing else gives it away.
    """
    detections = case.detections
    frame = case.frame
    first = np.unique(frame, return_index=True)[1]
    host = np.repeat(first, rng.poisson(mean, len(first)))
    if not len(host):
        return case
    model = _of_same_camera(case.camera, case.camera[host], rng)
    wide = detections.box[model, 2] - detections.box[model, 0]
    left = rng.random(len(host)) * np.maximum(_widths(case)[model] - wide, 0.0)
    shift = left - detections.box[model, 0]
    false = detections.take(model).replace(
        id=detections.id.max() + 1 + np.arange(len(host)),
        time=detections.time[host],
        box=detections.box[model] + shift[:, None] * [1.0, 0.0, 1.0, 0.0],
        foot=detections.foot[model] + shift[:, None] * [1.0, 0.0],
    )
    table = Detections.concat([detections, false])
    return replace(case, detections=table, delay=np.concatenate([case.delay, case.delay[host]]))


def shake_boxes(case: Case, sigma: float, rng: np.random.Generator) -> Case:
    """Edges err by a standard deviation of `sigma` times the box's size, anew in every frame.

    Left and right share half of the variance, as do top and bottom: boxes are shifted and mis-sized alike. A
    foot that the detector states moves with the lower edge's middle.
    """
    box = case.detections.box
    size = np.stack([box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]], axis=1)
    common, own = rng.normal(size=(len(box), 2)), rng.normal(size=(2, len(box), 2))
    low, high = (sigma * size * (np.sqrt(COMMON) * common + np.sqrt(1.0 - COMMON) * one) for one in own)
    edges = np.sort(np.stack([box[:, :2] + low, box[:, 2:] + high]), axis=0)
    foot = case.detections.foot + np.stack([0.5 * (low[:, 0] + high[:, 0]), high[:, 1]], axis=1)
    return case.with_columns(box=np.concatenate(list(edges), axis=1), foot=foot)


def _widths(case: Case) -> np.ndarray:
    """Width (N,) px of the image of each detection; of a camera that the site lacks, how far its boxes reach."""
    widths = np.array([camera.size[0] for camera in case.site.cameras], dtype=float)
    rows = case.site.camera_rows(case.detections.camera)
    known = np.append(widths, 0.0)[rows]
    return np.where(rows >= 0, known, case.detections.box[:, 2].max(initial=1.0))


def _of_same_camera(camera: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A row drawn among those of each `wanted` camera (K,): (K,) indices into `camera` (N,)."""
    order = np.argsort(camera, kind="stable")
    start = np.searchsorted(camera[order], wanted, "left")
    count = np.searchsorted(camera[order], wanted, "right") - start
    return order[start + np.floor(rng.random(len(wanted)) * count).astype(int)]


BOX_HAZARDS: dict[str, Hazard[Case]] = {
    hazard.name: hazard
    for hazard in (
        Hazard("boxes_missed", "boxes are missing, each by chance", "of boxes", (0.1, 0.2, 0.35, 0.5, 0.7), miss_boxes),
        Hazard("boxes_hidden", "something hides a strip for 3 s", "of width", (0.1, 0.2, 0.35, 0.5, 0.7), hide_boxes),
        Hazard("false_boxes", "false boxes", "a frame", (0.25, 0.5, 1.0, 2.0, 4.0), invent_boxes),
        Hazard("box_jitter", "box edges err", "of its size", (0.02, 0.04, 0.08, 0.12, 0.2), shake_boxes),
    )
}
