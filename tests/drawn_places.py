"""Places that are drawn: buildings, roads and poles at random, and the same place under other light."""

import numpy as np


def draw_place(rng: np.random.Generator, width: int = 160, height: int = 120) -> np.ndarray:
    """A picture (H, W) uint8 of boxes and lines that no other draw shares."""
    import cv2

    image = np.full((height, width), rng.integers(60, 200), np.uint8)
    for _ in range(25):
        corner, size = rng.integers(0, [width, height]), rng.integers(6, 40, 2)
        cv2.rectangle(image, corner.tolist(), (corner + size).tolist(), int(rng.integers(20, 240)), -1)
    for _ in range(12):
        ends = rng.integers(0, [width, height], (2, 2)).tolist()
        cv2.line(image, *ends, int(rng.integers(0, 256)), int(rng.integers(1, 4)))
    return image


def other_season(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The place with half of the light, exchanged dark and bright in its lower half (snow), noise and a shadow."""
    light = image.astype(float)
    light[len(light) // 2 :] = 255 - light[len(light) // 2 :]
    light *= np.linspace(0.3, 0.8, image.shape[1])
    return np.clip(light + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
