"""What calibration gives: cameras with covariances, what each mark has to say about them, and what was refused."""

from dataclasses import dataclass

import numpy as np

from geoloc.scene.camera import Camera
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint


@dataclass(frozen=True)
class Refused:
    """A camera that the marks cannot calibrate: why, and what to do next."""

    camera: str
    reason: str
    next_step: str


@dataclass(frozen=True, eq=False)
class Solution:
    """Cameras of one adjustment, and the N marks that went into it.

    `cameras` carry `calib_cov` and `freed`. `residual` (N, 2) px is marked less predicted, NaN where the camera was
    refused or nothing else places the point; `used` (N,) bool: not named an outlier. `points` are the control and
    tie points after the adjustment, each with its standard deviation. `notes` are words for people: what was freed
    in which camera and why, which marks are outliers and what they look like (a swapped mark, a typo in a
    coordinate), degenerate geometry. `fitted` are the cameras with the covariance of what was solved for, without
    the doubt about what was held meanwhile: that by which a mark pulls the fit. Empty where it is that of `cameras`.
    """

    cameras: tuple[Camera, ...]
    marks: Marks
    residual: np.ndarray
    used: np.ndarray
    points: tuple[ControlPoint, ...]
    refused: tuple[Refused, ...] = ()
    notes: tuple[str, ...] = ()
    fitted: tuple[Camera, ...] = ()
