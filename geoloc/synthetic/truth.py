"""What is so, and what each camera could see of it: the two tables that synthetic worlds add."""

from typing import ClassVar

import numpy as np

from geoloc.scene.columns import Column, Table


class Truth(Table):
    """Where every object really is: one row an object and time."""

    time: np.ndarray
    object: np.ndarray
    label: np.ndarray
    level: np.ndarray
    xyz: np.ndarray
    velocity: np.ndarray
    heading: np.ndarray
    size: np.ndarray
    n_cameras: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "object": Column(int),
        "label": Column(str),
        "level": Column(str),
        "xyz": Column(float, (3,), "m"),  # centre of the footprint, on the ground
        "velocity": Column(float, (2,), "m/s"),
        "heading": Column(float, unit="rad"),  # where the front points, from east, counter-clockwise
        "size": Column(float, (3,), "m"),  # length, width, height
        "n_cameras": Column(int),  # that show it well enough for a detector; -1: not observed yet
    }


class Glimpses(Table):
    """What the cameras' images truly held: one row an object, camera and frame, detected or not."""

    time: np.ndarray
    camera: np.ndarray
    object: np.ndarray
    box: np.ndarray
    hidden: np.ndarray
    chance: np.ndarray
    detection: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),  # true time, whatever the camera's clock says
        "camera": Column(str),
        "object": Column(int),
        "box": Column(float, (4,), "px"),  # true projection, cut at the image's border
        "hidden": Column(float),  # share of the object behind something else or beyond the border, 0 to 1
        "chance": Column(float),  # probability with which the detector finds it
        "detection": Column(int),  # -1: missed
    }
