"""Frames that show nothing: another size, dark, covered, frozen. Each is named with what to do."""

from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.options import check_range
from geoloc.scene.camera import Camera

SMALL = (160, 90)
OTHER_SIZE = "another size than the first frame's, in another shape: the stream's setting changed; calibrate it anew"
DARK = "dark: nothing can be told at night without light; add light, or leave these hours out"
COVERED = "without any detail: a lens cap, a cover, or a wall of fog; look at the camera"
FROZEN = "the same picture as before: the camera or its recorder hangs; restart it"


@dataclass(frozen=True)
class CheckOptions:
    """From when on a picture shows nothing."""

    dark: float = 14.0  # grey value below which the brightest hundredth of a picture is dark
    detail: float = 1.2  # grey values of its finest detail, below which it is covered
    frozen_s: float = 5.0  # for which a picture must not be the same to the last bit

    def __post_init__(self) -> None:
        check_range(self, dark=(0, 255), detail=(0, 255), frozen_s=(0, 1e9))


class PictureCheck:
    """Checks one camera's frames in the order of their times."""

    def __init__(self, camera: Camera, options: CheckOptions | None = None) -> None:
        self.camera, self.options = camera, options or CheckOptions()
        self._shape: tuple[int, ...] = ()
        self._last = np.zeros(0, np.uint8)
        self._since = -np.inf

    def reason(self, image: np.ndarray, time: float) -> str:
        """Why a frame (H, W, 3) uint8 at `time` (s) cannot be used; empty if it can."""
        if self._shape and not _same_shape(self._shape, image.shape):
            return OTHER_SIZE
        self._shape = self._shape or image.shape
        small = cv2.resize(image, SMALL, interpolation=cv2.INTER_AREA).mean(axis=2)
        if float(np.quantile(small, 0.99)) < self.options.dark:
            return DARK
        # a picture has edges somewhere: only the sharpest part is asked
        detail = np.abs(cv2.Laplacian(small, cv2.CV_64F))
        if float(np.quantile(detail, 0.98)) < self.options.detail:
            return COVERED
        sample = np.ascontiguousarray(image[::7, ::7])
        if sample.shape == self._last.shape and np.array_equal(sample, self._last):
            return FROZEN if time - self._since >= self.options.frozen_s else ""
        self._last, self._since = sample, time
        return ""


def _same_shape(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return abs(a[1] * b[0] / (a[0] * b[1]) - 1.0) < 0.01
