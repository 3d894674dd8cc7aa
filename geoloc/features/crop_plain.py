"""The default embedder of crops: tones, colours by place, gradients by place, and patterns wherever they are.

Nothing is learnt and nothing is downloaded, so that vectors of all sites compare. Light is dealt with in two ways: a
crop's exposure is evened out by half, and gradients are those of the logarithm of the light. A crop and its mirror
image have one vector: a car that is seen from its other side. From view to view colour tells most; gradients and
patterns, whose views differ more, weigh little here, and a head learnt of a site (`retrieval.adapt`) weighs them anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.features.crop_colours import NAMES, colour_shares, evened, middle_weight
from geoloc.features.layout import PATCH, LayoutOptions, clear_edges, gradient_layout, layout_patches
from geoloc.features.vlad import Vocabulary, vlad

VERSION = 2  # of what the vectors mean: raised by whatever changes them
SIDE = 64  # px; crops are brought to this square
BANDS = 6  # of colours, from top to bottom, each with its middle and its sides
SHAPE = LayoutOptions(width_px=SIDE, height_px=SIDE, cell_px=8, bins=8, neighbourhood_px=8.0)
PATTERN = LayoutOptions(width_px=SIDE, height_px=SIDE, cell_px=4, bins=8, neighbourhood_px=8.0)
TONES = (6, 7)  # steps of lightness, and of the square roots of a* and of b*, of CIE L*a*b*
DARKEST, LIGHTEST, MOST_CHROMA = 5.0, 95.0, 60.0
FLAT = 3  # of 255: a crop whose light differs less shows nothing
EVENED = 0.5  # of the way to a middling exposure: black and white stay apart
# Of the parts' cosines; chosen on rendered cars of one garage's other moments, where tones alone did as well.
WEIGHTS = {"tones": 1.0, "colours": 0.5, "shape": 0.2, "patterns": 0.2}


@dataclass(frozen=True)
class PlainEmbedder:
    """Embeds crops by tones, colours, gradients and patterns."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return _dim()

    @property
    def fingerprint(self) -> str:
        """Equal for all sites."""
        return f"plain-{self.dim}-v{VERSION}"

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors (N, dim) float32 of crops (H, W, 3) uint8 BGR: of unit length, all 0 for a blank one."""
        return np.stack([_described(crop) for crop in crops]) if len(crops) else np.zeros((0, self.dim), np.float32)


@lru_cache(maxsize=1)
def _dim() -> int:
    return len(_described(np.zeros((SIDE, SIDE, 3), np.uint8)))


def _described(crop: np.ndarray) -> np.ndarray:
    square = _scaled(crop)
    grey, even = _grey(square), evened(square, EVENED)
    parts = {"tones": _tones(even), "colours": _colours(even), "shape": _shape(grey), "patterns": _patterns(grey)}
    shows = float(np.ptp(square.reshape(-1, 3), axis=0).max()) >= FLAT
    share = {name: np.sqrt(weight / sum(WEIGHTS.values())) for name, weight in WEIGHTS.items()}
    vector = np.concatenate([share[name] * _unit(part.ravel()) for name, part in parts.items()])
    return _unit(vector).astype(np.float32) * np.float32(shows)


def _scaled(crop: np.ndarray) -> np.ndarray:
    import cv2

    shrinks = crop.shape[0] > SIDE or crop.shape[1] > SIDE
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(crop), (SIDE, SIDE), interpolation=way))


def _grey(square: np.ndarray) -> np.ndarray:
    import cv2

    return np.asarray(cv2.cvtColor(square, cv2.COLOR_BGR2GRAY))


@lru_cache(maxsize=1)
def _zones() -> np.ndarray:
    """Weights (2 BANDS, SIDE, SIDE) of zones of a crop that overlap: bands, each with its middle and its sides."""
    y = (np.arange(SIDE) + 0.5) / SIDE
    centre = (np.arange(BANDS) + 0.5) / BANDS
    rows = np.maximum(1 - np.abs(y - centre[:, None]) * BANDS, 0.0)
    inner = np.clip(1.5 - 4.0 * np.abs(y - 0.5), 0.0, 1.0)
    columns = np.stack([inner, 1.0 - inner])
    zones = (rows[:, None, :, None] * columns[None, :, None, :]).reshape(-1, SIDE, SIDE)
    return (zones * middle_weight((SIDE, SIDE))).astype(np.float32)


def _colours(even: np.ndarray) -> np.ndarray:
    """Square roots of the shares of the names in each zone."""
    shares = colour_shares(even).reshape(-1, len(NAMES))
    return np.sqrt(_zones().reshape(len(_zones()), -1) @ shares)


def _tones(even: np.ndarray) -> np.ndarray:
    """Square roots of a histogram of L*, a* and b*, each pixel shared among its neighbouring steps."""
    import cv2

    lab = cv2.cvtColor(even.astype(np.float32) / 255, cv2.COLOR_BGR2Lab).reshape(-1, 3)
    light = (lab[:, 0] - DARKEST) / (LIGHTEST - DARKEST)
    # roots: the difference of grey and a pale colour counts as that of a pale and a full one
    chroma = np.sign(lab[:, 1:]) * np.sqrt(np.abs(lab[:, 1:]) / MOST_CHROMA)
    n_light, n_chroma = TONES
    across, along = (_shared((column + 1) / 2, n_chroma) for column in chroma.T)
    pairs = (across[:, :, None] * along[:, None, :]).reshape(len(lab), -1)
    weighed = _shared(light, n_light) * middle_weight(even.shape[:2]).reshape(-1, 1)
    return np.sqrt(weighed.T @ pairs)


def _shared(values: np.ndarray, n: int) -> np.ndarray:
    """Shares (N, n) of values (N,) from 0 to 1 among `n` steps."""
    place = np.clip(values, 0.0, 1.0) * (n - 1)
    return np.maximum(1.0 - np.abs(place[:, None] - np.arange(n)), 0.0).astype(np.float32)


def _shape(grey: np.ndarray) -> np.ndarray:
    """The layout of gradients, faint ones too, of the crop and its mirror image: half of the columns say all."""
    both = gradient_layout(grey, SHAPE) + gradient_layout(np.ascontiguousarray(grey[:, ::-1]), SHAPE)
    return both[:, : both.shape[1] // 2, : SHAPE.bins]


@lru_cache(maxsize=1)
def _vocabulary() -> Vocabulary:
    """Words that nobody had to learn: an edge of each orientation; patches by their sums and slopes of each."""
    bins, side = PATTERN.bins, PATCH
    flat, slope = np.ones(side), np.linspace(-1, 1, side)
    waves = np.stack([np.outer(*pair).ravel() for pair in ((flat, flat), (flat, slope), (slope, flat))], axis=1)
    axes = np.einsum("cw,bd->cbwd", waves / np.linalg.norm(waves, axis=0), np.eye(bins)).reshape(side * side * bins, -1)
    words = np.tile(np.eye(bins), (1, side * side)) / side
    return Vocabulary(np.zeros(len(axes), np.float32), axes.astype(np.float32), (words @ axes).astype(np.float32))


def _patterns(grey: np.ndarray) -> np.ndarray:
    """VLAD of the patches of the crop and of its mirror image."""
    found = [layout_patches(clear_edges(gradient_layout(each, PATTERN)))
             for each in (grey, np.ascontiguousarray(grey[:, ::-1]))]  # fmt: skip
    patches, contrast = (np.concatenate(part) for part in zip(*found, strict=True))
    return vlad(patches, contrast, _vocabulary())


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
