"""Identities over time as annotators or other systems state them: for evaluation, the engine never sees them."""

from typing import ClassVar

import numpy as np

from geoloc.scene.tables import Column, Table


class GroundTruth(Table):
    """True positions on the site's map, in metres."""

    time: np.ndarray
    id: np.ndarray
    xy: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "id": Column(int),  # -1: the annotation has no identities
        "xy": Column(float, (2,), "m"),
    }


class BoxTracks(Table):
    """Boxes with the identity of the object, the same in all cameras, in the pixels of `Detections.box`."""

    time: np.ndarray
    camera: np.ndarray
    frame: np.ndarray
    id: np.ndarray
    box: np.ndarray
    state: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "camera": Column(str),
        "frame": Column(int),  # the recording's own number
        "id": Column(int),
        "box": Column(float, (4,), "px"),
        "state": Column(str),  # "ignored": a truth that is neither to be found nor wrong when found
    }
