"""Pictures into a network's square input and its boxes back, exact to the half pixel.

A network's coordinates count from the corner of its input: corner 0 is geoloc's -0.5. A picture of (w, h) px is shrunk
to (round(w s), round(h s)) px, which scales both axes by what the rounding really made, and put in the middle.
"""

from dataclasses import dataclass

import cv2
import numpy as np

GREY = 114  # around the picture, as these networks are taught


@dataclass(frozen=True)
class Letterbox:
    """How a part of a picture, from `low` (x, y) px on, lies in an input: scale and offset (x, y) px of both axes."""

    low: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[int, int]
    size: tuple[int, int]  # (width, height) of the part in the input

    @classmethod
    def of(cls, part: tuple[int, int, int, int], side: tuple[int, int], most: float = np.inf) -> "Letterbox":
        """Of the part x0, y0, x1, y1 px in an input of `side` (width, height) px, enlarged `most` times at most."""
        width, height = part[2] - part[0], part[3] - part[1]
        scale = min(side[0] / width, side[1] / height, most)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        offset = (side[0] - size[0]) // 2, (side[1] - size[1]) // 2
        return cls((part[0], part[1]), (size[0] / width, size[1] / height), offset, size)

    def put(self, image: np.ndarray, into: np.ndarray) -> None:
        """Draw the part of a picture (H, W, 3) BGR uint8 into an input (3, H, W) float32 RGB 0 to 1."""
        x, y = self.low
        width, height = round(self.size[0] / self.scale[0]), round(self.size[1] / self.scale[1])
        own = image[y : y + height, x : x + width]
        if (width, height) != self.size:
            how = cv2.INTER_AREA if self.scale[0] < 0.5 else cv2.INTER_LINEAR
            own = cv2.resize(own, self.size, interpolation=how)
        dx, dy = self.offset
        into[:] = GREY / 255.0
        rows, columns = slice(dy, dy + self.size[1]), slice(dx, dx + self.size[0])
        for channel, plane in enumerate(reversed(cv2.split(own))):
            np.multiply(plane, np.float32(1 / 255), out=into[channel, rows, columns])

    def back(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of the picture of points (..., 2) of the input, counted from its corner."""
        return (points - np.array(self.offset)) / np.array(self.scale) + np.array(self.low) - 0.5
