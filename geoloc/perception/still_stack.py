"""All stills of a camera as one: what stays, and what differs between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.perception.rectify import check_still
from geoloc.scene.camera import Camera

MAD = 1.4826  # sigma of a normal distribution over its median absolute deviation
GREY_WIDTH = 480  # px of the picture in which faults are looked for


@dataclass(frozen=True)
class StackOptions:
    """Which stills are of use, and what differs."""

    dark: float = 28.0  # grey value that nine tenths of a still stay below: night, or a cap on the lens
    bright: float = 225.0  # grey value that nine tenths of a still exceed
    sharp: float = 4.0  # spread of the Laplacian (grey values) below which a still is blurred
    differs: float = 0.16  # natural logarithm of brightness by which a pixel changes that shows other things each time

    def __post_init__(self) -> None:
        check_range(self, dark=(0, 255), bright=(0, 255), sharp=(0, 255), differs=(0.01, 5))


@dataclass(frozen=True, eq=False)
class Stack:
    """The stills of one camera: `image` (H, W, 3) uint8 BGR is their median, all brought to one exposure.

    `steady` (H, W) bool: where most of them agree; all of it with one still alone.
    """

    camera: Camera
    image: np.ndarray
    steady: np.ndarray
    n_stills: int
    stills: tuple[np.ndarray, ...] = ()


def still_fault(still: np.ndarray, options: StackOptions | None = None) -> str:
    """Why a still (H, W, 3) shows too little to survey a site, and what to do; empty if it does not."""
    options = options or StackOptions()
    grey = np.asarray(cv2.cvtColor(still, cv2.COLOR_BGR2GRAY))
    low, high = np.percentile(grey, [10, 90]).tolist()
    if high < options.dark:
        return f"it is dark: nine tenths are below grey value {high:.0f}; take one by day or with the lamps on"
    if low > options.bright:
        return f"it is overexposed: nine tenths are above grey value {low:.0f}; take one in softer light"
    scale = min(1.0, GREY_WIDTH / grey.shape[1])
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    spread = float(cv2.Laplacian(small, cv2.CV_32F, ksize=1).std())
    if spread < options.sharp:
        return f"it is blurred or shows next to nothing (Laplacian {spread:.1f}); clean or focus the lens"
    return ""


def stack_stills(
    camera: Camera, stills: Mapping[str, np.ndarray], options: StackOptions | None = None
) -> tuple[Stack | None, dict[str, str]]:
    """The stills (H, W, 3) uint8 BGR of a camera by their names as one, and why some were left out.

    None where none is of use. Stills of another size than the first are refused.
    """
    options = options or StackOptions()
    left_out, used = {}, dict[str, np.ndarray]()
    for name, still in stills.items():
        check_still(still, name, camera.size)
        fault = still_fault(still, options)
        if fault:
            left_out[name] = fault
        else:
            used[name] = still
    if not used:
        return None, left_out
    first = next(iter(used))
    for name, still in used.items():
        if still.shape != used[first].shape:
            ours, theirs = (f"{each.shape[1]} x {each.shape[0]} px" for each in (still, used[first]))
            raise InputError(f"{name} is {ours}, {first} of the same camera {theirs}; give stills of one size")
    image, steady = _median(list(used.values()), options.differs)
    return Stack(camera, image, steady, len(used), tuple(used.values())), left_out


def _median(stills: Sequence[np.ndarray], differs: float) -> tuple[np.ndarray, np.ndarray]:
    shape = stills[0].shape
    if len(stills) == 1:
        return stills[0], np.ones(shape[:2], bool)
    gains = _gains(stills)
    image, steady = np.empty(shape, np.uint8), np.empty(shape[:2], bool)
    for start in range(0, shape[0], 64):  # a band at a time: many stills of many pixels
        rows = slice(start, start + 64)
        band = np.stack([still[rows].astype(np.float32) * gain for still, gain in zip(stills, gains, strict=True)])
        middle = np.median(band, axis=0)
        image[rows] = np.clip(middle, 0, 255)
        off = np.abs(np.log((band + 8.0) / (middle + 8.0))).max(axis=3)
        steady[rows] = np.median(off, axis=0) < differs
    return image, np.asarray(cv2.erode(steady.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _gains(stills: Sequence[np.ndarray]) -> list[float]:
    """By how much each is to be brightened so that most of it is as bright as in all of them."""
    step = max(1, stills[0].shape[1] // 320)
    logs = np.stack([np.log(still[::step, ::step].mean(axis=2) + 4.0) for still in stills])
    return np.exp([float(np.median(np.median(logs, axis=0) - log)) for log in logs]).tolist()
