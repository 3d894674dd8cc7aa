"""Where in an image its edges run which way: a grid of gradient orientations that light and seasons leave alone.

Histograms of oriented gradients (Dalal and Triggs 2005) of the logarithm of the light, so that a shadow or an exposure
only adds a constant; without the gradient's sign, because snow exchanges dark and bright.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range

BLACK = 0.05  # of the range: light below it is noise, which the logarithm must not enlarge
FAINT = 0.02  # contrast in log light under which a neighbourhood has no edges to speak of
PATCH = 4  # cells along the side of a patch, as SIFT has
LARGEST = 0.25  # component of a patch's unit vector
TINY = 1e-9
ROUGH = 4  # times its size that an image is first brought to
REACH = 0.6  # of a cell: standard deviation with which an edge is shared with the neighbouring cells


@dataclass(frozen=True)
class LayoutOptions:
    """How fine a layout is."""

    width_px: int = 128  # the image is scaled to this size whatever its shape
    height_px: int = 96
    cell_px: int = 4  # side of a cell of the grid
    bins: int = 8  # of orientation, over half a turn
    neighbourhood_px: float = 8.0  # standard deviation over which contrast is evened out

    def __post_init__(self) -> None:
        check_range(self, width_px=(16, 4096), height_px=(16, 4096), cell_px=(1, 64), bins=(2, 64))
        check_range(self, neighbourhood_px=(0.5, 1000))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of a layout."""
        rows, columns = (len(range(self.cell_px // 2, side, self.cell_px)) for side in (self.height_px, self.width_px))
        return rows, columns, 2 * self.bins


def gradient_layout(image: np.ndarray, options: LayoutOptions | None = None) -> np.ndarray:
    """Layout (rows, columns, 2 bins) float32 of grey values (H, W) uint8; all 0 where the image shows nothing.

    The first `bins` channels weigh edges by their contrast against their neighbourhood, which finds faint ones, the
    others by their contrast in log light, which prefers clear ones; each half has unit length.
    """
    options = options or LayoutOptions()
    along, across = _log_gradients(checked_image(image), options)
    contrast = np.hypot(along, across)
    orientation = np.arctan2(across, along) % np.pi * (options.bins / np.pi)
    evened = contrast / (np.sqrt(_blurred(contrast**2, options.neighbourhood_px)) + FAINT)
    halves = [_unit(_histograms(weight, orientation, options)) for weight in (evened, contrast)]
    return np.concatenate(halves, axis=2)


def clear_edges(layout: np.ndarray) -> np.ndarray:
    """The half of a layout's channels that prefers clear edges: (rows, columns, bins)."""
    half: np.ndarray = layout[:, :, layout.shape[2] // 2 :]
    return half


def layout_patches(layout: np.ndarray, side: int = PATCH) -> tuple[np.ndarray, np.ndarray]:
    """Every patch of `side` × `side` cells of a layout (rows, columns, bins): unit vectors (N, D), contrast (N,).

    As in SIFT's (Lowe 2004) no component is above `LARGEST`, lest one edge be all.
    """
    windows = np.lib.stride_tricks.sliding_window_view(layout.astype(np.float32), (side, side), axis=(0, 1))
    vectors = windows.reshape(-1, layout.shape[2] * side * side)
    contrast = np.linalg.norm(vectors, axis=1)
    clipped = np.minimum(vectors / np.maximum(contrast, TINY)[:, None], LARGEST)
    return clipped / np.maximum(np.linalg.norm(clipped, axis=1, keepdims=True), TINY), contrast


def checked_image(image: np.ndarray) -> np.ndarray:
    """The image, refused unless it is grey values (H, W) uint8 with at least one pixel."""
    image = np.asarray(image)
    if image.ndim != 2 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"image of shape {image.shape} and {image.dtype}; give grey values (height, width) uint8")
    return image


def _log_gradients(image: np.ndarray, options: LayoutOptions) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    width, height = options.width_px, options.height_px
    if image.shape[1] > ROUGH * width and image.shape[0] > ROUGH * height:
        # most of the way in bytes, which is fast; what they round off is evened out on the rest of it
        image = cv2.resize(image, (ROUGH * width, ROUGH * height), interpolation=cv2.INTER_AREA)
    way = cv2.INTER_AREA if image.shape[1] > width or image.shape[0] > height else cv2.INTER_LINEAR
    scaled = cv2.resize(image.astype(np.float32), (width, height), interpolation=way)
    log_light = _blurred(np.log(scaled / 255 + BLACK), 1.0)
    return cv2.Sobel(log_light, cv2.CV_32F, 1, 0), cv2.Sobel(log_light, cv2.CV_32F, 0, 1)


def _histograms(weight: np.ndarray, orientation: np.ndarray, options: LayoutOptions) -> np.ndarray:
    """Weight (rows, columns, bins) around each cell's centre, shared between neighbouring bins and cells."""
    lower = np.floor(orientation).astype(int) % options.bins
    share = orientation - np.floor(orientation)
    votes = np.zeros((*weight.shape, options.bins), np.float32)
    np.put_along_axis(votes, lower[..., None], (weight * (1 - share))[..., None], axis=2)
    np.put_along_axis(votes, (lower[..., None] + 1) % options.bins, (weight * share)[..., None], axis=2)
    half, spread = options.cell_px // 2, _blurred(votes, REACH * options.cell_px)
    return spread[half :: options.cell_px, half :: options.cell_px]


def _blurred(values: np.ndarray, sigma_px: float) -> np.ndarray:
    import cv2

    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px))


def _unit(values: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(values)
    return values / length if length > 0 else values
