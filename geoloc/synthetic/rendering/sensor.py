"""What lens and sensor make of light: exposure, blur, shaking, drops on the glass, things in front, noise."""

from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.options import check_range
from geoloc.synthetic.rendering.noise import smooth_noise

MIDDLE = 0.19  # light to which the exposure brings the mean
MOST_GAIN = 22.0  # of a sensor at night
CUT = 3.0  # exposed light above which the exposure takes no heed of more
BLOOM = 0.05  # share of what is far too bright that spreads


@dataclass(frozen=True)
class PictureOptions:
    """What a camera adds to the light that comes to it."""

    exposure: float = 0.0  # stops brighter than what the camera would choose
    blur_px: float = 0.5  # standard deviation of the lens's blur
    vibration_px: float = 0.0  # length of a streak in a direction that is drawn
    noise: float = 1.0  # times an ordinary sensor's
    drops: int = 0  # on the glass
    covered: float = 0.0  # share of the picture behind something close to the camera
    vignette: float = 0.25  # share of the light that is lost in the corners

    def __post_init__(self) -> None:
        check_range(self, exposure=(-8, 8), blur_px=(0, 100), vibration_px=(0, 200), noise=(0, 100))
        check_range(self, drops=(0, 10_000), covered=(0, 1), vignette=(0, 1))


def exposure_gain(light: np.ndarray) -> float:
    """The gain that a camera chooses for light (H, W, 3)."""
    return min(MIDDLE / max(float(np.mean(np.minimum(light, CUT * np.median(light) + 0.02))), 1e-6), MOST_GAIN)


def expose(
    light: np.ndarray, rng: np.random.Generator, options: PictureOptions, gain: float | None = None
) -> np.ndarray:
    """The picture (H, W, 3) uint8 of light (H, W, 3) float32; `gain` is what the camera chooses if not given."""
    gain = exposure_gain(light) if gain is None else gain
    if options.covered > 0:
        light = _cover(light, options.covered, rng)
    if options.drops:
        light = draw_drops(light.shape[:2], options.drops, rng).bend(light)
    if options.vibration_px > 0:
        light = _shake(light, options.vibration_px, rng)
    if options.blur_px > 0:
        light = cv2.GaussianBlur(light, (0, 0), options.blur_px)
    light = light * np.float32(gain * 2.0**options.exposure) * _vignette(light.shape, options.vignette)
    over = np.minimum(np.maximum(light - 1.0, 0.0), 8.0)
    if over.any():
        light = light + BLOOM * cv2.GaussianBlur(over, (0, 0), light.shape[1] / 60)
    spread = options.noise * np.sqrt(7e-5 * gain**0.5 * np.maximum(light, 0) + (5e-4 * gain**0.5) ** 2)
    light = light + spread * rng.normal(size=light.shape).astype(np.float32)
    shown = np.maximum(light, 0.0)
    shown = shown * (1.0 + shown / 9.0) / (1.0 + shown)  # highlights roll off (Reinhard et al. 2002, eq. 4)
    return np.asarray(np.clip(255.0 * (1.28 * shown) ** (1 / 2.2), 0, 255).astype(np.uint8))


def _vignette(shape: tuple[int, ...], share: float) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    return np.asarray((1.0 - share * (0.5 * (x * x + y * y)) ** 1.5)[..., None], np.float32)


def _shake(light: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """A streak centred on each point, so that the picture keeps its place."""
    turn, reach = rng.uniform(0, np.pi), int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for along in np.linspace(-length / 2, length / 2, 4 * reach + 1):
        x, y = reach + along * np.cos(turn), reach + along * np.sin(turn)
        i, j = int(y), int(x)
        for di, dj in ((0, 0), (0, 1), (1, 0), (1, 1)):
            weight = (1 - abs(y - i - di)) * (1 - abs(x - j - dj))
            if weight > 0:
                kernel[i + di, j + dj] += weight
    return np.asarray(cv2.filter2D(light, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT))


@dataclass(frozen=True, eq=False)
class Drops:
    """Drops of rain on the glass: where each pixel looks, x and y (H, W) px, how much of it drops cover (H, W)."""

    x: np.ndarray
    y: np.ndarray
    cover: np.ndarray

    def bend(self, light: np.ndarray) -> np.ndarray:
        """Light (H, W, 3) through the drops: small lenses that show the picture upside down and blurred."""
        soft = cv2.GaussianBlur(light, (0, 0), light.shape[1] / 160)
        bent = cv2.remap(soft, self.x, self.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(light + self.cover[..., None] * (bent * 0.96 - light))


def draw_drops(shape: tuple[int, int], n: int, rng: np.random.Generator) -> Drops:
    """`n` drops on a picture of (height, width) px."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cover = np.zeros((height, width), np.float32)
    for _ in range(n):
        spot, radius = rng.random(2) * [width, height], width * rng.uniform(0.006, 0.028)
        tall = rng.uniform(1.0, 1.4)
        half = int(radius * tall) + 3
        low = np.maximum((spot - half).astype(int), 0)
        part = slice(low[1], int(spot[1]) + half), slice(low[0], int(spot[0]) + half)
        dx, dy = x[part] - spot[0], (y[part] - spot[1]) / tall
        far = np.hypot(dx, dy) / radius
        inside = np.clip((1.0 - far) * radius * 0.5, 0.0, 1.0)
        bend = np.where(far < 1, -4.0 * (1 - far * 0.5), 0.0)
        x[part] += inside * bend * dx
        y[part] += inside * bend * dy * tall
        cover[part] = np.maximum(cover[part], inside)
    return Drops(x, y, cover)


def _cover(light: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Something out of focus before the camera, over a share of the picture, from a side that is drawn."""
    height, width = light.shape[:2]
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = (x - width / 2) * np.cos(turn) + (y - height / 2) * np.sin(turn)
    along += 0.12 * width * smooth_noise((height, width), width / 3, rng)
    edge = np.quantile(along, 1.0 - share)
    inside = np.clip((along - edge) / (0.01 * width) + 0.5, 0.0, 1.0)[..., None]
    tone = float(np.median(light)) * rng.uniform(0.2, 0.9) * rng.uniform(0.7, 1.3, 3)
    pattern = 1.0 + 0.25 * smooth_noise((height, width), width / 14, rng)
    return np.asarray(light + inside * (pattern[..., None] * tone.astype(np.float32) - light), np.float32)
