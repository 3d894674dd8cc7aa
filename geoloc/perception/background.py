"""What a fixed camera sees when nobody is there, and which pixels of a frame are something else.

A frame is compared with the background under the light of the frame: a gain that varies smoothly over the picture is
taken out first, so that lamps, clouds and the camera's own exposure are no objects. What differs and is the background,
only darker or brighter, with all its texture, is a shadow or a beam.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.options import check_range

BLOCK = 16  # px of a side of the blocks in which the light is compared
WINDOW = 5  # px, in which texture is compared
DARK = 6.0  # grey values that are added before ratios are taken
GLARING = 225.0  # grey values of pixels that show a lamp or the sky
SHAKEN = (320, 180)  # px; sizes that the Fourier transform takes as they are: others shift by half a pixel
SLOWER = 0.1
BEAM, SHADOW = 2.6, 0.3  # times the background's light: brighter or darker is an object, whatever its texture


@dataclass(frozen=True)
class BackgroundOptions:
    """When a pixel is no background, and how fast the background changes."""

    sigmas: float = 4.0  # of a pixel's noise: what differs by more is not background
    least: float = 7.0  # grey values by which it must differ at least
    texture: float = 5.0  # grey values that a shadow or beam may leave unexplained
    memory_s: float = 30.0  # in which the background follows what changes slowly
    start_s: float = 4.0  # of frames from which a first background is made
    shake_px: float = 4.0  # farthest that the camera may shake; 0: it does not

    def __post_init__(self) -> None:
        check_range(self, sigmas=(1, 100), least=(0, 255), texture=(0, 255), memory_s=(0.1, 1e6), start_s=(0, 3600))
        check_range(self, shake_px=(0, 100))


@dataclass(frozen=True, eq=False)
class Difference:
    """What of a frame (H, W) is not the background: `moving` uint8 0 or 255, `lit` the same of shadows and beams.

    `shift` (2,) px is how far the camera had shaken, `step` by how much of itself the light changed at once.
    """

    moving: np.ndarray
    lit: np.ndarray
    shift: np.ndarray
    step: float


class Background:
    """The background of one camera with a life; frames are (H, W, 3) uint8 BGR of one size."""

    def __init__(self, options: BackgroundOptions | None = None) -> None:
        self.options = options or BackgroundOptions()
        self.mean = np.zeros((0, 0, 3), np.float32)
        self.noise = np.zeros((0, 0), np.float32)  # (H, W) mean absolute difference, grey values
        self._calm = np.zeros((0, 0), np.float32)  # (h, w) of blocks: share that was background in the last frame
        self._gain = np.zeros((0, 0, 3), np.float32)  # (h, w) log gain of the last frame
        self._begun = np.nan
        self._last = np.nan

    @property
    def known(self) -> bool:
        """Whether there is any background so far."""
        return bool(self.mean.size)

    def start(self, picture: np.ndarray) -> None:
        """Take a picture (H, W, 3) uint8 for the background."""
        self.mean = picture.astype(np.float32)
        self.noise = np.full(picture.shape[:2], 3.0, np.float32)
        rows, columns = (-(-side // BLOCK) for side in picture.shape[:2])
        self._calm = np.ones((rows, columns), np.float32)
        self._gain = np.zeros((rows, columns, 3), np.float32)

    def compare(self, frame: np.ndarray, time: float) -> Difference:
        """What of a frame at `time` (s) is not background. The first frame is taken for it if there is none."""
        if not self.known:
            self.start(frame)
        now = frame.astype(np.float32)
        shift = self._shift(now)
        expected = self._under_light(now, shift)
        difference = cv2.absdiff(now, expected)
        spread = np.maximum(self.options.sigmas * 1.25 * self.noise, self.options.least + 0.01 * _total(expected))
        far = _largest(difference) > spread
        far &= -_largest(-cv2.min(now, expected)) < GLARING  # what glares has no colour to compare
        light = far & self._is_light(now, expected)
        moving = (far & ~light).astype(np.uint8) * 255
        step = float(np.abs(np.median(self._change)))
        return Difference(moving, light.astype(np.uint8) * 255, shift, step)

    def learn(self, frame: np.ndarray, time: float, kept: np.ndarray, unlike: np.ndarray | None = None) -> None:
        """Follow a frame at `time` (s), but where `kept` (H, W) bool says that something stands before it.

        Where it is `unlike` (H, W) bool the background without being anything it is followed ten times slower.
        """
        step = time - self._last if np.isfinite(self._last) else 0.0
        self._begun = time if not np.isfinite(self._begun) else self._begun
        self._last = time
        rows, columns = self._calm.shape
        covered = cv2.resize(kept.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
        self._calm = 1.0 - covered
        age = time - self._begun
        fast = min(max(age, self.options.start_s, 4 * step), self.options.memory_s)
        rate = np.float32(min(step / max(fast, 1e-6), 0.5))
        if rate <= 0:
            return
        # the background is kept under its own light: what changed in the frame's light is taken out first
        own = frame.astype(np.float32) / self._field(frame.shape)
        away = _total(cv2.absdiff(own, self.mean)) / np.float32(3)
        weight = np.where(kept, np.float32(0), rate)
        if unlike is not None:
            weight[unlike] *= np.float32(SLOWER)
            away[unlike] = self.noise[unlike]
        self.mean += weight[..., None] * (own - self.mean)
        self.noise += weight * (np.minimum(away, 30.0) - self.noise)

    def follow_light(self, share: float) -> None:
        """Take a share of the light's gain into the background itself, so that dark colours keep their noise."""
        field = self._field(self.mean.shape) ** np.float32(share)
        self.mean *= field
        self._gain *= np.float32(1.0 - share)

    def renew(self, frame: np.ndarray, where: np.ndarray) -> None:
        """Take the frame for the background `where` (H, W) bool says: something that was part of it has left."""
        self.mean[where] = (frame.astype(np.float32) / self._field(frame.shape))[where]

    def under_light(self) -> np.ndarray:
        """The background (H, W, 3) float32 under the light of the last frame."""
        return self.mean * self._field(self.mean.shape)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that it knows, for `restored`."""
        times = np.array([self._begun, self._last])
        return {"mean": self.mean, "noise": self.noise, "calm": self._calm, "gain": self._gain, "times": times}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `arrays` said."""
        self.mean, self.noise = np.array(arrays["mean"]), np.array(arrays["noise"])
        self._calm, self._gain = np.array(arrays["calm"]), np.array(arrays["gain"])
        self._begun, self._last = (float(value) for value in arrays["times"])

    def _under_light(self, now: np.ndarray, shift: np.ndarray) -> np.ndarray:
        rows, columns = self._calm.shape
        size = (columns, rows)
        ratio = np.log(cv2.resize(now, size, interpolation=cv2.INTER_AREA) + DARK)
        ratio -= np.log(cv2.resize(self.mean, size, interpolation=cv2.INTER_AREA) + DARK)
        weight = np.where(self._calm > 0.6, self._calm, 0.003).astype(np.float32)
        # a single block that differs from all around it is something that came: the median takes no heed of it
        steady = np.stack([cv2.medianBlur(np.ascontiguousarray(ratio[..., c]), 5) for c in range(3)], axis=2)
        inside = np.abs(ratio - steady).max(axis=2) < 0.25
        weight *= np.where(inside, np.float32(1), np.float32(0.02))
        smooth = cv2.GaussianBlur(ratio * weight[..., None], (0, 0), 1.5)
        smooth /= cv2.GaussianBlur(weight, (0, 0), 1.5)[..., None] + np.float32(1e-6)
        self._change = smooth - self._gain
        self._gain = smooth
        expected = (self.mean + DARK) * self._field(now.shape) - DARK
        if shift.any():
            move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
            expected = cv2.warpAffine(expected, move, now.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(expected)

    def _field(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.exp(cv2.resize(self._gain, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))

    def _shift(self, now: np.ndarray) -> np.ndarray:
        if not self.options.shake_px:
            return np.zeros(2)
        a, b = (cv2.resize(_total(image), SHAKEN, interpolation=cv2.INTER_AREA) for image in (self.mean, now))
        (x, y), response = cv2.phaseCorrelate(_edges_of(a), _edges_of(b))
        found = np.array([x * now.shape[1] / SHAKEN[0], y * now.shape[0] / SHAKEN[1]])
        length = float(np.hypot(*found))
        return found if response > 0.15 and 0.4 < length <= self.options.shake_px else np.zeros(2)

    def _is_light(self, now: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Pixels (H, W) bool about which the frame is the background times one number."""
        size = (WINDOW, WINDOW)
        both = cv2.boxFilter(_total(now * expected), -1, size)
        own = cv2.boxFilter(_total(expected * expected), -1, size) + 1.0
        square = cv2.boxFilter(_total(now * now), -1, size)
        times = both / own
        left = np.sqrt(np.maximum(square - times * both, 0.0) / 3.0)
        return (left < self.options.texture + np.float32(0.04 / 3) * _total(now)) & (times > SHADOW) & (times < BEAM)


def _edges_of(image: np.ndarray) -> np.ndarray:
    return cv2.Laplacian(cv2.GaussianBlur(np.asarray(image, np.float32), (0, 0), 1.0), cv2.CV_32F)


def _total(image: np.ndarray) -> np.ndarray:
    """Sum over the three channels."""
    return np.asarray(cv2.transform(image, np.ones((1, 3), np.float32)))


def _largest(image: np.ndarray) -> np.ndarray:
    """Largest of the three channels."""
    first, second, third = cv2.split(image)
    return np.asarray(cv2.max(cv2.max(first, second), third))
