"""The tables of the main path: each column's dtype, shape and unit."""

from typing import ClassVar

import numpy as np

from geoloc.scene.columns import WIDTH, Column, Table

N_MODES = 4  # of a camera's calibration, whose errors are learned


class Detections(Table):
    """What a detector saw: boxes in pixels. Rows that share camera and time are one camera frame."""

    id: np.ndarray
    time: np.ndarray
    camera: np.ndarray
    box: np.ndarray
    foot: np.ndarray
    foot_cov: np.ndarray
    label: np.ndarray
    score: np.ndarray
    embedding: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "id": Column(int),
        "time": Column(float, unit="s"),
        "camera": Column(str),
        "box": Column(float, (4,), "px"),  # left, top, right, bottom
        "foot": Column(float, (2,), "px"),  # where the object touches the ground; NaN: from the box
        "foot_cov": Column(float, (2, 2), "px2"),  # NaN: from the box
        "label": Column(str),
        "score": Column(float, missing=1.0),
        "embedding": Column(np.float32, (WIDTH,)),
    }


class Dropped(Table):
    """Rows that a stage could not use: which detection, and why."""

    detection: np.ndarray
    reason: np.ndarray
    columns: ClassVar[dict[str, Column]] = {"detection": Column(int), "reason": Column(str)}


class GroundPoints(Table):
    """Detections on the map: where a foot meets a level, with both covariances."""

    time: np.ndarray
    camera: np.ndarray
    detection: np.ndarray
    object: np.ndarray
    level: np.ndarray
    level_probability: np.ndarray
    xy: np.ndarray
    z: np.ndarray
    cov: np.ndarray
    bias_cov: np.ndarray
    modes: np.ndarray
    away: np.ndarray
    foot: np.ndarray
    box: np.ndarray
    height: np.ndarray
    height_var: np.ndarray
    label: np.ndarray
    score: np.ndarray
    embedding: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "camera": Column(str),
        "detection": Column(int),
        "object": Column(int),  # -1: in none yet
        "level": Column(str),
        "level_probability": Column(float, missing=1.0),  # that it is this one, by its camera alone
        "xy": Column(float, (2,), "m"),
        "z": Column(float, unit="m"),  # of the level there
        "cov": Column(float, (2, 2), "m2"),
        "bias_cov": Column(float, (2, 2), "m2"),
        "modes": Column(float, (2, N_MODES), "m"),  # what the camera's likeliest errors of one sigma mean here
        "away": Column(float, (2,)),  # unit vector on the map that points away from the camera
        "foot": Column(float, (2,), "px"),  # middle of the box's lower edge; NaN where it was given, or not seen
        "box": Column(float, (4,), "px"),  # left, top, right, bottom
        "height": Column(float, unit="m"),  # of a vehicle, by its boxes; NaN: not known
        "height_var": Column(float, unit="m2"),
        "label": Column(str),
        "score": Column(float, missing=1.0),
        "embedding": Column(np.float32, (WIDTH,)),
    }


class Objects(Table):
    """Points of several cameras fused: one row an object and time."""

    object: np.ndarray
    time: np.ndarray
    level: np.ndarray
    level_probability: np.ndarray
    xyz: np.ndarray
    cov: np.ndarray
    bias_cov: np.ndarray
    height: np.ndarray
    height_var: np.ndarray
    label: np.ndarray
    score: np.ndarray
    best_score: np.ndarray
    n_cameras: np.ndarray
    camera_set: np.ndarray
    track: np.ndarray
    embedding: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "object": Column(int),
        "time": Column(float, unit="s"),
        "level": Column(str),
        "level_probability": Column(float, missing=1.0),  # that it is this one, by this window alone
        "xyz": Column(float, (3,), "m"),
        "cov": Column(float, (3, 3), "m2"),
        "bias_cov": Column(float, (3, 3), "m2"),
        "height": Column(float, unit="m"),  # of a vehicle, by its boxes; NaN: not known
        "height_var": Column(float, unit="m2"),
        "label": Column(str),
        "score": Column(float, missing=1.0),  # probability that the object exists, given this window alone
        "best_score": Column(float, missing=1.0),  # highest score of its detections
        "n_cameras": Column(int),
        "camera_set": Column(int),  # equal numbers: seen by the same cameras, so with the same bias
        "track": Column(int),  # the track that the association put it with; -1: a new one
        "embedding": Column(np.float32, (WIDTH,)),  # mean of its detections', of unit length
    }


class Tracks(Table):
    """Objects that keep their identity: one row a track and time."""

    time: np.ndarray
    track: np.ndarray
    object: np.ndarray
    level: np.ndarray
    level_probability: np.ndarray
    xy: np.ndarray
    z: np.ndarray
    velocity: np.ndarray
    cov: np.ndarray
    bias_cov: np.ndarray
    height: np.ndarray
    height_var: np.ndarray
    label: np.ndarray
    score: np.ndarray
    heading: np.ndarray
    heading_sigma: np.ndarray
    still_since: np.ndarray
    state: np.ndarray
    life: np.ndarray
    revision: np.ndarray
    embedding: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "track": Column(int),
        "object": Column(int),  # -1: coasting
        "level": Column(str),
        "level_probability": Column(float, missing=1.0),  # that it is on this one, by all that was seen of it
        "xy": Column(float, (2,), "m"),
        "z": Column(float, unit="m"),  # of the level where it was seen last
        "velocity": Column(float, (2,), "m/s"),
        "cov": Column(float, (4, 4), "m2, m2/s, m2/s2"),  # of x, y, vx, vy
        "bias_cov": Column(float, (2, 2), "m2"),
        "height": Column(float, unit="m"),  # of a vehicle, by its boxes; NaN: not known
        "height_var": Column(float, unit="m2"),
        "label": Column(str),
        "score": Column(float, missing=1.0),  # probability that the object exists
        "heading": Column(float, unit="rad"),  # it drives or last drove this way, from east; NaN: not known
        "heading_sigma": Column(float, unit="rad"),  # of that, or of its reverse
        "still_since": Column(float, unit="s"),  # it has stood where it stands since then; NaN: not known
        "state": Column(str),  # tentative, confirmed or coasting
        "life": Column(str),  # of its object: tentative, confirmed, parked or hidden; empty: not followed so far
        "revision": Column(int, missing=0),  # how often its object's past was corrected
        "embedding": Column(np.float32, (WIDTH,)),  # running mean, of unit length
    }

    @property
    def position_cov(self) -> np.ndarray:
        """Covariance of the position as it is to be reported, noise and bias: (N, 2, 2) m²."""
        return self.cov[:, :2, :2] + self.bias_cov
