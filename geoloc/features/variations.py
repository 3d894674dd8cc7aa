"""How a place's image may differ when a camera sags, is knocked or is set up again nearby: small random warps.

They teach a descriptor what it must not depend on, without a second image of any place.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.features.layout import checked_image
from geoloc.options import check_range


@dataclass(frozen=True)
class VariationOptions:
    """Largest changes, each drawn evenly up to it."""

    copies: int = 2  # of each image, warped each its own way
    max_images: int = 1500  # that are warped for a training
    shift: float = 0.03  # of the image's width or height
    zoom: float = 0.04
    turn: float = 0.015  # rad
    tilt: float = 0.02  # change of scale from the image's middle to its edge

    def __post_init__(self) -> None:
        check_range(self, copies=(1, 100), max_images=(0, 1_000_000))
        check_range(self, shift=(0, 1), zoom=(0, 0.9), turn=(0, 3.2), tilt=(0, 0.5))


def vary(image: np.ndarray, rng: np.random.Generator, options: VariationOptions | None = None) -> np.ndarray:
    """Grey values (H, W) uint8 under a small random homography; what comes from outside stays as it was."""
    import cv2

    options = options or VariationOptions()
    height, width = checked_image(image).shape
    size, middle = np.array([width, height]), np.array([width - 1, height - 1]) / 2
    zoom, turn = 1 + rng.uniform(-1, 1) * options.zoom, rng.uniform(-1, 1) * options.turn
    cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
    around = np.eye(3)
    around[:2, :2] = [[cosine, -sine], [sine, cosine]]
    around[2, :2] = rng.uniform(-2, 2, 2) * options.tilt / size
    around[:2, 2] = rng.uniform(-1, 1, 2) * options.shift * size
    to_middle = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, 1]])
    new_from_old = np.linalg.inv(to_middle) @ around @ to_middle
    kept = image.copy()
    cv2.warpPerspective(image, new_from_old, (width, height), dst=kept, borderMode=cv2.BORDER_TRANSPARENT)
    return kept
