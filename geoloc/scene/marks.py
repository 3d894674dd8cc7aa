"""Marks: where points of the map were recognised in the cameras' stills."""

from typing import ClassVar

import numpy as np

from geoloc.scene.columns import Column, Table

MARK_SIGMA = 1.0  # px; how well a person marks a point who says nothing about it


class Marks(Table):
    """One row a point marked in a camera's still. A point is a control point of the map, or a tie point that is not.

    Pixels are geoloc's own, (0, 0) the centre of the top-left pixel.
    """

    camera: np.ndarray
    point: np.ndarray
    pixel: np.ndarray
    sigma: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "camera": Column(str),
        "point": Column(str),
        "pixel": Column(float, (2,), "px"),
        "sigma": Column(float, unit="px", missing=MARK_SIGMA),  # standard deviation of each axis
    }
