"""How well a crop shows its object, 0 to 1: its size, its sharpness, what stands before it, what the picture cuts off.

Each is a share of its own and the quality is their product: a view is no better than the worst of them.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.features.crops import check_crop, cut_crops
from geoloc.options import check_range

FINE = 64  # px, the longer side at which sharpness is told: sharp crops of any size are alike there


@dataclass(frozen=True)
class QualityOptions:
    """What counts as small, blurred, hidden and cut."""

    half_size_px: float = 28.0  # height and width, their geometric mean, at which half is told
    half_blur: float = 0.035  # sharpness at which half is told; see `sharpness`
    edge_px: float = 1.5  # from the picture's edge within which a box is taken to be cut there
    cut: float = 0.5  # what is left of a view that one edge cuts

    def __post_init__(self) -> None:
        check_range(self, half_size_px=(1, 10_000), half_blur=(1e-6, 10), edge_px=(0, 1000), cut=(0, 1))


def view_quality(picture: np.ndarray, boxes: np.ndarray, options: QualityOptions | None = None) -> np.ndarray:
    """Quality (N,) of what a picture (H, W, 3) uint8 BGR shows in boxes (N, 4) px: all that were found in it.

    A box hides another where it lies over it and stands nearer: its lower edge is lower. Those that are empty have 0.
    """
    options = options or QualityOptions()
    check_crop(picture, "picture")
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    size = (picture.shape[1], picture.shape[0])
    own = np.array([crop_quality(crop, options) if crop.size else 0.0 for crop in cut_crops(picture, boxes)])
    return own.reshape(-1) * (1.0 - hidden_share(boxes)) * _whole(boxes, size, options)


def crop_quality(crop: np.ndarray, options: QualityOptions | None = None) -> float:
    """Quality of a crop (H, W, 3) uint8 BGR by itself: its size and its sharpness."""
    options = options or QualityOptions()
    check_crop(crop)
    side = float(np.sqrt(crop.shape[0] * crop.shape[1]))
    sharp = sharpness(crop)
    return side**2 / (side**2 + options.half_size_px**2) * sharp / (sharp + options.half_blur)


def sharpness(crop: np.ndarray) -> float:
    """How much of a crop's light changes from pixel to pixel, over how much it changes at all: about 0 to 1.

    The root of the mean square of the Laplacian over that of the light about its mean, at a size of `FINE` px: light
    and contrast cancel, blur does not. A crop without any contrast has 0.
    """
    import cv2

    check_crop(crop)
    scale = FINE / max(crop.shape[:2])
    shape = (max(3, round(crop.shape[1] * scale)), max(3, round(crop.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    grey = cv2.resize(cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_BGR2GRAY), shape, interpolation=way)
    light = np.asarray(grey, np.float32)
    spread = float(light.std())
    return float(np.sqrt(np.mean(cv2.Laplacian(light, cv2.CV_32F) ** 2))) / (4.0 * spread) if spread > 1.0 else 0.0


def hidden_share(boxes: np.ndarray) -> np.ndarray:
    """Share (N,) of each box (N, 4) px of one picture that the box which hides most of it covers."""
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise InputError("boxes are not finite; leave out those that are not")
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9), axis=1)
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    return np.asarray((shared * nearer).max(axis=1, initial=0.0) / area).clip(0.0, 1.0)


def _whole(boxes: np.ndarray, size: tuple[int, int], options: QualityOptions) -> np.ndarray:
    """What is left of views (N,) that the picture's edges cut."""
    low, high = options.edge_px - 0.5, np.array(size) - 0.5 - options.edge_px
    n_cut = (boxes[:, :2] < low).sum(axis=1) + (boxes[:, 2:] > high).sum(axis=1)
    return np.asarray(options.cut**n_cut)
