"""What a roadside camera sees of a level road: segments marked on it, and the paths of vehicles in pixels."""

from typing import ClassVar

import numpy as np

from geoloc.scene.columns import Column, Table

ALONG, ACROSS = "along", "across"


class RoadSegments(Table):
    """One row a straight segment between two marked pixels of one camera's still: a measured distance, a lane line.

    Rows that share a pixel share the point on the road. A segment whose length was not measured (NaN) still
    says its direction, if it has one, and its length is predicted.
    """

    ends: np.ndarray
    length: np.ndarray
    length_sigma: np.ndarray
    direction: np.ndarray
    direction_sigma: np.ndarray
    pixel_sigma: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "ends": Column(float, (2, 2), "px"),  # (0, 0) is the centre of the top-left pixel
        "length": Column(float, unit="m"),  # NaN: not measured
        "length_sigma": Column(float, unit="m", missing=0.01),  # of a tape on a road
        "direction": Column(str),  # ALONG or ACROSS the road; "": unknown
        "direction_sigma": Column(float, unit="rad", missing=0.02),  # marked by eye; a lane line is better
        "pixel_sigma": Column(float, unit="px", missing=2.0),  # of each axis of each end
    }


class PixelTracks(Table):
    """One row a vehicle at one time: the pixel of a point of it that stays on the road, of one camera."""

    time: np.ndarray
    track: np.ndarray
    pixel: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "track": Column(int),
        "pixel": Column(float, (2,), "px"),
    }
