"""What finds local features in an image, by name: "rootsift" needs no weights and is the default.

"disk", "keynet" and "onnx" are networks from files.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.features.learned import Learned
from geoloc.features.local import ExtractionOptions, Extractor, LocalFeatures, RootSift

MIN_SIDE = 16  # px; a smaller image has no features
MAX_SIDE = 6000  # px; a larger image is halved, or more, before features are looked for

EXTRACTORS: dict[str, Callable[[ExtractionOptions], Extractor]] = {
    "rootsift": RootSift,
    "disk": Learned.disk,
    "keynet": Learned.keynet,
    "onnx": Learned.onnx,
}


def extract(
    image: np.ndarray,
    extractor: str | Extractor = "rootsift",
    options: ExtractionOptions | None = None,
    mask: np.ndarray | None = None,
) -> LocalFeatures:
    """Features of grey values (H, W) uint8, by a name of `EXTRACTORS` with `options`, or by an instance.

    `mask` (H, W) bool is true where features are wanted; none: everywhere. An image under `MIN_SIDE` px has none; of
    one over `MAX_SIDE` px means over squares of pixels are looked at, and `pixels` and `scale` are the image's own.
    """
    image = np.asarray(image)
    if image.ndim != 2 or image.dtype != np.uint8:
        raise InputError(f"image of shape {image.shape} and {image.dtype}; give grey values (height, width) uint8")
    wanted = np.ones(image.shape, bool) if mask is None else np.asarray(mask, bool)
    if wanted.shape != image.shape:
        raise InputError(f"mask of shape {wanted.shape} on an image of {image.shape}; give one value a pixel")
    run = find_extractor(extractor, options)
    factor = max(1 << (options.halvings if options else 0), -(-max(image.shape) // MAX_SIDE))
    if min(image.shape) // factor < MIN_SIDE:
        padded = np.zeros((MIN_SIDE, MIN_SIDE), np.uint8)
        return run(padded, np.zeros(padded.shape, bool)).take(np.zeros(0, int))
    return run(np.ascontiguousarray(image), wanted) if factor == 1 else _shrunk(run, image, wanted, factor)


def _shrunk(run: Extractor, image: np.ndarray, wanted: np.ndarray, factor: int) -> LocalFeatures:
    import cv2

    height, width = (side // factor for side in image.shape)
    cut = slice(0, height * factor), slice(0, width * factor)
    small = cv2.resize(image[cut], (width, height), interpolation=cv2.INTER_AREA)
    found = run(np.asarray(small), wanted[cut][::factor, ::factor])
    return replace(found, pixels=(found.pixels + 0.5) * np.float32(factor) - 0.5, scale=found.scale * factor)


def find_extractor(extractor: str | Extractor, options: ExtractionOptions | None = None) -> Extractor:
    """The extractor of a name; an instance as it is."""
    if not isinstance(extractor, str):
        return extractor
    if extractor not in EXTRACTORS:
        raise unknown_name("extractor", extractor, EXTRACTORS)
    return EXTRACTORS[extractor](options or ExtractionOptions())
