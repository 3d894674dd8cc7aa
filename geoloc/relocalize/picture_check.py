"""What a picture's grey values say before anything is looked for in it."""

import numpy as np

from geoloc.errors import InputError

LEAST_SIDE = 64  # px
LARGEST_SIDE = 20_000  # px
BLACK, WHITE = 12, 243  # grey values; a picture all but wholly beyond them is too dark or too bright
ALL_BUT = 0.98
FLAT = 3.0  # grey values between the 1st and the 99th percentile


def picture_fault(image: np.ndarray) -> str:
    """Why a picture (H, W) uint8 shows nothing that can be placed; "" if nothing speaks against it."""
    image = np.asarray(image)
    if image.ndim != 2 or image.dtype != np.uint8:
        raise InputError(f"picture of shape {image.shape} and {image.dtype}; give grey values (height, width) uint8")
    height, width = image.shape
    if min(image.shape) < LEAST_SIDE:
        return f"the picture has {width} x {height} px; it takes {LEAST_SIDE} px a side"
    if max(image.shape) > LARGEST_SIDE:
        raise InputError(f"the picture has {width} x {height} px; halve it to at most {LARGEST_SIDE} px a side")
    if (image <= BLACK).mean() > ALL_BUT:
        return "the picture is black"
    if (image >= WHITE).mean() > ALL_BUT:
        return "the picture is overexposed: all but wholly white"
    low, high = np.percentile(image, [1, 99])
    if high - low < FLAT:
        return f"the picture is flat: grey value {low:.0f} all over"
    return ""
