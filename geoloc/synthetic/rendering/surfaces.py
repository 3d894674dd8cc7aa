"""Textures of ceilings, walls, pillars and squares: concrete that is nowhere twice the same, and writing."""

import cv2
import numpy as np

from geoloc.scene.sitemap import Surface
from geoloc.synthetic.rendering.noise import fractal_noise, smooth_noise

WHITE, YELLOW, BLUE, GREEN, RED, DARK = (
    (222, 228, 230), (60, 190, 225), (150, 96, 38), (96, 140, 60), (44, 44, 176), (46, 46, 48),
)  # fmt: skip
LABELLED = 2.0  # m; a pillar that high has its number on it
PANEL = (2.4, 1.2)  # m; formwork of ceilings


def concrete(shape: tuple[int, int], texel: float, grey: float, rng: np.random.Generator) -> np.ndarray:
    """Concrete (H, W, 3) float32 BGR with cloudy stains and pores; `texel` in m."""
    cells = np.array([3.1, 1.1, 0.37, 0.12, 0.04]) / texel
    tone = fractal_noise(shape, cells.tolist(), [4.0, 4.5, 4.0, 3.5, 4.0], rng)
    blotches = smooth_noise(shape, 0.8 / texel, rng) + 0.6 * smooth_noise(shape, 0.2 / texel, rng)
    tone -= 16.0 * np.clip(blotches - 1.5, 0.0, 1.2)
    warmth = 1.5 * smooth_noise(shape, 2.2 / texel, rng)
    image = np.repeat((grey + tone)[..., None], 3, axis=2)
    image[..., 0] -= 3.0 + warmth
    image[..., 2] += warmth
    return image


def paving(surface: Surface, texel: float, rng: np.random.Generator) -> np.ndarray:
    """Ground (H, W, 3) uint8 of a square: slabs of stone in courses, each of its own tone, with a band around."""
    x0, y0, x1, y1 = surface.polygon.bounds
    shape = round((y1 - y0) / texel), round((x1 - x0) / texel)
    image = concrete(shape, texel, 138.0, rng)
    course = 0.6
    for row in range(int(np.ceil((y1 - y0) / course))):
        top, bottom = round(row * course / texel), round((row + 1) * course / texel)
        edge = -rng.random() * 1.2
        while edge < x1 - x0:
            width = rng.uniform(0.6, 1.3)
            left, right = max(round(edge / texel), 0), round((edge + width) / texel)
            image[top:bottom, left:right] += rng.normal(0.0, 9.0) + rng.normal(0.0, 2.0, 3)
            image[top:bottom, max(right - 1, 0) : right] -= 34.0
            edge += width
        image[max(bottom - 1, 0) : bottom] -= 30.0
    gum = rng.random((int(shape[0] * shape[1] * texel**2 * 0.6), 2)) * [shape[1], shape[0]]
    for x, y in gum.astype(int).tolist():
        cv2.circle(image, (x, y), int(rng.integers(1, 3)), [rng.uniform(60, 110)] * 3, -1, cv2.LINE_AA)
    return as_image(image)


def ceiling(width: float, depth: float, texel: float, rng: np.random.Generator) -> np.ndarray:
    """Underside of a slab (H, W, 3) uint8: panels of formwork with their joints and tie holes, stains of water."""
    shape = round(depth / texel), round(width / texel)
    image = concrete(shape, texel, 150.0, rng)
    for i, x in enumerate(np.arange(0, width, PANEL[0])):
        for j, y in enumerate(np.arange(0, depth, PANEL[1])):
            a, b = round(y / texel), round(x / texel)
            image[a : a + round(PANEL[1] / texel), b : b + round(PANEL[0] / texel)] += rng.normal(0, 3.5) + (i + j) % 2
            image[a : a + 1, b : b + round(PANEL[0] / texel)] -= 24.0
            image[a : a + round(PANEL[1] / texel), b : b + 1] -= 24.0
            for hole in (0.25, 0.75):
                middle = round((x + hole * PANEL[0]) / texel), round((y + 0.5 * PANEL[1]) / texel)
                cv2.circle(image, middle, max(1, round(0.025 / texel)), (86.0,) * 3, -1, cv2.LINE_AA)
    for _ in range(round(width * depth / 60)):
        spot = rng.random(2) * [shape[1], shape[0]]
        radius = rng.uniform(0.2, 0.9) / texel
        blot(image, spot, radius, -22.0 if rng.random() < 0.6 else 20.0, rng)
    return as_image(image)


def wall(length: float, height: float, texel: float, rng: np.random.Generator, band: bool = True) -> np.ndarray:
    """A wall (H, W, 3) uint8: painted concrete with a coloured band, dirt at its foot, drips, joints of panels."""
    shape = max(2, round(height / texel)), max(2, round(length / texel))
    image = concrete(shape, texel, 176.0, rng)
    up = (shape[0] - 0.5 - np.arange(shape[0])) * texel
    for x in np.arange(1.3, length, 2.6):
        image[:, round(x / texel)] -= 22.0
    if band and height > 0.8:
        worn = 1.0 - 0.5 * (smooth_noise(shape, 0.15 / texel, rng) > 1.9)
        share = ((up > 0.55) & (up < 0.8))[:, None] * worn
        image += share[..., None] * (np.array(BLUE, np.float32) - image) * 0.85
    patchy = np.clip(0.6 + 0.5 * smooth_noise(shape, 0.4 / texel, rng), 0.0, 1.4)
    dirt = np.clip(1.0 - up / 0.35, 0.0, 1.0)[:, None] * patchy
    image -= 42.0 * dirt[..., None]
    for _ in range(rng.poisson(length * 0.5)):
        x, far = int(rng.integers(shape[1])), rng.uniform(0.2, 0.9)
        wide = max(1, round(rng.uniform(0.02, 0.08) / texel))
        fade = np.linspace(1.0, 0.0, max(2, round(far * shape[0])))[:, None, None]
        image[: len(fade), x : x + wide] -= rng.uniform(8, 26) * fade
    return as_image(image)


def pillar(side: float, height: float, text: str, texel: float, rng: np.random.Generator) -> np.ndarray:
    """Four sides of a pillar beside each other (H, 4 W, 3) uint8: bands at its foot, its number on each side."""
    n = max(4, round(side / texel))
    shape = round(height / texel), 4 * n
    image = concrete(shape, texel, 168.0, rng)
    up = (shape[0] - 0.5 - np.arange(shape[0])) * texel
    stripe = np.mod(up[:, None] + 0.5 * texel * (np.arange(shape[1]) % n)[None], 0.3) < 0.15
    foot = (up < 1.0)[:, None]
    worn = np.where(smooth_noise(shape, 0.08 / texel, rng) > 1.7, 0.25, 0.9)[..., None]
    colour = np.where(stripe[..., None], np.array(DARK, np.float32), np.array(YELLOW, np.float32))
    image += foot[..., None] * worn * (colour - image)
    if height >= LABELLED:
        image += ((up > 1.5) & (up < 1.95))[:, None, None] * worn * (np.array(BLUE, np.float32) - image)
    image -= (np.clip(1.0 - up / 0.3, 0, 1) * 30.0)[:, None, None]
    plate = as_image(image)
    for i in range(4 if height >= LABELLED else 0):
        low, high = round((height - 1.92) / texel), round((height - 1.53) / texel)
        write(plate[low:high, i * n : (i + 1) * n], text, WHITE)
    return plate


def write(image: np.ndarray, text: str, colour: tuple[float, float, float], share: float = 0.86) -> None:
    """Write `text` into the middle of a picture (H, W, 3) uint8, as large as fits `share` of it, smoothed."""
    height, width = image.shape[:2]
    font, fine = cv2.FONT_HERSHEY_DUPLEX, 4
    (w, h), _ = cv2.getTextSize(text, font, 1.0, 2)
    size = fine * share * min(width / w, 0.8 * height / h)
    thick = max(1, round(2.2 * size))
    (w, h), _ = cv2.getTextSize(text, font, size, thick)
    cover = np.zeros((fine * height, fine * width), np.uint8)
    cv2.putText(cover, text, ((fine * width - w) // 2, (fine * height + h) // 2), font, size, 255, thick, cv2.LINE_AA)
    share_px = cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255.0
    image[:] = np.rint(image + share_px * (np.array(colour) - image)).astype(np.uint8)


def as_image(values: np.ndarray) -> np.ndarray:
    """Values (H, W, 3) as uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def blot(image: np.ndarray, spot: np.ndarray, radius: float, change: float, rng: np.random.Generator) -> None:
    """A stain with a ragged edge."""
    half = int(1.6 * radius) + 2
    x, y = np.rint(spot).astype(int)
    top, left = max(y - half, 0), max(x - half, 0)
    part = image[top : max(y + half, 0), left : max(x + half, 0)]
    if not part.size:
        return
    rows, columns = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
    ragged = 0.18 * smooth_noise(part.shape[:2], max(radius / 3, 1.0), rng)
    inside = np.clip(3.0 * (1.0 + ragged - np.hypot(rows - y, columns - x) / radius), 0.0, 1.0)
    part += (change * inside)[..., None]
