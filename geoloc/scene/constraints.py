"""What is measured on a site besides marks: distances between points, and heights of cameras."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError


@dataclass(frozen=True)
class Distance:
    """A distance of `metres` between the points named `a` and `b`, straight through the air; `sigma` m."""

    a: str
    b: str
    metres: float
    sigma: float = 0.02

    def __post_init__(self) -> None:
        if not (self.a and self.b and self.a != self.b):
            raise InputError(f"distance from {self.a!r} to {self.b!r}: it needs two different points")
        _check_measured(f"distance from {self.a!r} to {self.b!r}", self.metres, self.sigma)


@dataclass(frozen=True)
class CameraHeight:
    """How high a camera's centre stands over the level beneath it, in m; an empty `level` is the map's first."""

    camera: str
    metres: float
    sigma: float = 0.05
    level: str = ""

    def __post_init__(self) -> None:
        _check_measured(f"height of camera {self.camera!r}", self.metres, self.sigma)


def _check_measured(what: str, metres: float, sigma: float) -> None:
    if not (np.isfinite(metres) and metres > 0 and np.isfinite(sigma) and sigma > 0):
        raise InputError(f"{what}: {metres} m, sigma {sigma} m; both must be positive and finite (m, not feet)")
