"""How a fixed camera's image moves when the camera turns, zooms, is cropped or shifted: exact, through its lens.

A motion is a vector theta of `N_MOTION` numbers: rotation (rad, 3) as in `exp(xi) * cam_from_world`, logarithm of the
zoom, shift of the principal point (px, 2), translation (m, 3) as in xi. A pure rotation with zoom needs no depth; a
translation moves only what has an inverse depth.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from geoloc.geometry.se3 import cross_matrix
from geoloc.scene.lenses import Lens

N_MOTION = 9
ROTATION, ZOOM, CROP, TRANSLATION = slice(0, 3), slice(3, 4), slice(4, 6), slice(6, 9)
KINDS = {  # what is freed, the simplest first
    "rotation": (0, 1, 2),
    "rotation and zoom": (0, 1, 2, 3),
    "rotation, zoom and crop": (0, 1, 2, 3, 4, 5),
    "rotation, zoom and translation": (0, 1, 2, 3, 6, 7, 8),
}


@dataclass(frozen=True, eq=False)
class Sights:
    """Where N points of the reference lie in the camera: unit `rays` (N, 3), and 1 / distance along them (N,) 1/m.

    Where the inverse distance is 0 the point is taken to be far away: translation does not move it.
    """

    lens: Lens
    rays: np.ndarray
    inverse: np.ndarray

    def take(self, rows: np.ndarray) -> "Sights":
        """The points that a mask or index selects."""
        return Sights(self.lens, self.rays[rows], self.inverse[rows])

    @cached_property
    def principal(self) -> np.ndarray:
        """Where a zoom leaves the image as it is: (2,) px."""
        return np.asarray(self.lens.params[2:4])

    def moved(self, theta: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of the points after the motion; NaN behind the camera or out of the lens's field."""
        return self._zoomed(self.lens.project(self._turned(theta)), theta)

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Derivative (N, 2, N_MOTION) of `moved`, its rotation and translation by a further exp(xi) on the left."""
        points = self._turned(theta)
        pixels, by_point, _ = self.lens.jacobians(points)
        scale = np.exp(theta[3])
        out = np.zeros((len(points), 2, N_MOTION))
        out[:, :, ROTATION] = -scale * by_point @ cross_matrix(points)
        out[:, :, 3] = scale * (pixels - self.principal)
        out[:, :, CROP] = np.eye(2)
        out[:, :, TRANSLATION] = scale * by_point * self.inverse[:, None, None]
        return out

    def _turned(self, theta: np.ndarray) -> np.ndarray:
        turned = self.rays @ Rotation.from_rotvec(theta[ROTATION]).as_matrix().T
        return turned + self.inverse[:, None] * theta[TRANSLATION]

    def _zoomed(self, pixels: np.ndarray, theta: np.ndarray) -> np.ndarray:
        return self.principal + theta[CROP] + np.exp(theta[3]) * (pixels - self.principal)


def advance(theta: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The motion followed by a small further one: rotations are composed."""
    turn = Rotation.from_rotvec(step[ROTATION])
    out = theta + step
    out[ROTATION] = (turn * Rotation.from_rotvec(theta[ROTATION])).as_rotvec()
    out[TRANSLATION] = turn.apply(theta[TRANSLATION]) + step[TRANSLATION]
    return out
