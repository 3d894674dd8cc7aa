"""What weather, night and lenses do to an image: (image uint8 (H, W, 3), strength, rng) -> image of that shape.

Light is added and blurred where it is linear, behind the display's gamma. Lengths are shares of the image's
width, so that a strength means the same at any resolution.
"""

from collections.abc import Callable

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.robustness.hazard import Hazard

GAMMA = 2.2
FULL_WELL = 8000.0  # electrons of a pixel of full white
READ_NOISE = 4.0  # electrons
SCENE_M = 60.0  # from the camera to what it looks at, for the haze of rain
EXPOSURE_S = 1.0 / 100.0
FOCAL = 1.0  # focal length in image widths: a horizontal field of 53 degrees
NEAR_M, FAR_M = 0.4, 5.0  # depths at which drops are drawn one by one; farther ones are the haze
THINNEST_MM, THICKEST_MM = 0.5, 5.0  # drops


def darken(image: np.ndarray, stops: float, rng: np.random.Generator) -> np.ndarray:
    """2^-stops of the light at the same gain: photons come as Poisson counts, then read noise and 8 bits."""
    electrons = FULL_WELL * _linear(image) * 2.0**-stops
    noisy = rng.poisson(electrons) + READ_NOISE * rng.normal(size=image.shape)
    return _display(noisy / FULL_WELL)


def defocus(image: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Out of focus: every point becomes a disk of `radius` (% of the width)."""
    del rng  # a lens out of focus is the same in every draw
    size = 0.01 * radius * image.shape[1]
    return _blurred(image, lambda x, y: np.hypot(x, y) <= max(size, 0.1), size)


def motion_blur(image: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """The camera shakes along a straight line of `length` (% of the width), in a direction drawn uniformly."""
    angle, half = rng.uniform(0.0, np.pi), 0.005 * length * image.shape[1]

    def on_path(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        return (np.abs(along) <= max(half, 0.1)) & (np.abs(across) <= 0.1)

    return _blurred(image, on_path, half)


def rain(image: np.ndarray, mm_per_h: float, rng: np.random.Generator) -> np.ndarray:
    """Rain of a rate: haze of the drops that are far away, streaks of those that are near.

    Haze by Koschmieder's law with extinction 0.312 R^0.67 per km over SCENE_M, towards the sky's light. Drops
    follow Marshall and Palmer (1948) and fall at Atlas and Ulbrich's speed (1973); each streak lets its share of
    the exposure through (Garg and Nayar 2007) and shows the mean light of its surroundings, 0.94 of the sky's.
    """
    light = _linear(image)
    sky = np.quantile(light.reshape(-1, 3), 0.9, axis=0)
    through = np.exp(-0.312e-3 * mm_per_h**0.67 * SCENE_M)
    hazy = light * through + sky * (1.0 - through)
    cover = _streaks(image.shape[0], image.shape[1], mm_per_h, rng)[..., None]
    return _display(hazy * (1.0 - cover) + 0.94 * sky * cover)


def _streaks(height: int, width: int, mm_per_h: float, rng: np.random.Generator) -> np.ndarray:
    """Share (H, W) of the exposure in which drops cover each pixel."""
    slope = 4.1 * mm_per_h**-0.21  # per mm
    density = 8000.0 / slope * (np.exp(-slope * THINNEST_MM) - np.exp(-slope * THICKEST_MM))  # per m³
    across, down = 1.0 / FOCAL, height / width / FOCAL
    n = rng.poisson(density * across * down * (FAR_M**3 - NEAR_M**3) / 3.0)
    z = np.cbrt(rng.uniform(NEAR_M**3, FAR_M**3, n))
    share = rng.uniform(np.exp(-slope * THICKEST_MM), np.exp(-slope * THINNEST_MM), n)
    mm = -np.log(share) / slope
    speed = np.maximum(3.78 * mm**0.67, 0.1)  # m/s
    focal_px = FOCAL * width
    length, thick = focal_px * speed * EXPOSURE_S / z, focal_px * 1e-3 * mm / z
    lean = rng.normal(0.0, 0.1) + 0.03 * rng.normal(size=n)  # wind, rad from the vertical
    u, v = width * rng.random(n), (height + length) * rng.random(n) - length
    steps = np.ceil(length).astype(int) + 1
    drop = np.repeat(np.arange(n), steps)
    at = (np.arange(len(drop)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[drop] * length[drop]
    x, y = np.floor(u[drop] + lean[drop] * at).astype(int), np.floor(v[drop] + at).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    # of a pixel on its path a drop covers `thick`, for as long as it takes to fall its own diameter
    share = np.minimum(thick, 1.0) * np.minimum(1e-3 * mm / (speed * EXPOSURE_S), 1.0)
    cover = np.zeros((height, width))
    np.add.at(cover, (y[inside], x[inside]), share[drop[inside]])
    return np.minimum(cover, 1.0)


def _blurred(image: np.ndarray, inside: Callable[[np.ndarray, np.ndarray], np.ndarray], reach: float) -> np.ndarray:
    """The image under a kernel that is even within a shape around (0, 0) px, sampled eight times a pixel."""
    import cv2

    half = int(np.ceil(reach)) + 1
    fine = (np.arange((2 * half + 1) * 8) + 0.5) / 8.0 - half - 0.5
    # a pixel is an area of light, not a point: even a shape within one pixel reaches its neighbours
    tent = np.maximum(1.0 - np.abs(fine[None] - np.arange(-half, half + 1)[:, None]), 0.0)
    x, y = np.meshgrid(fine, fine)
    kernel = tent @ inside(x, y).astype(float) @ tent.T
    return _display(cv2.filter2D(_linear(image), -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT))


def _linear(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"image of {image.dtype} {image.shape}; give uint8 (H, W, 3)")
    return (image / 255.0) ** GAMMA


def _display(light: np.ndarray) -> np.ndarray:
    return np.rint(255.0 * np.clip(light, 0.0, 1.0) ** (1.0 / GAMMA)).astype(np.uint8)


IMAGE_HAZARDS: dict[str, Hazard[np.ndarray]] = {
    hazard.name: hazard
    for hazard in (
        Hazard("darken", "less light, by so many halvings", "stops", (1.0, 2.0, 3.0, 4.5, 6.0), darken),
        Hazard("defocus", "out of focus, radius", "% of width", (0.25, 0.5, 1.0, 1.5, 2.5), defocus),
        Hazard("motion_blur", "the camera shakes, length", "% of width", (1.0, 2.0, 4.0, 6.0, 10.0), motion_blur),
        Hazard("rain", "rain", "mm/h", (5.0, 15.0, 40.0, 80.0, 150.0), rain),
    )
}
