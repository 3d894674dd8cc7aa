"""Noise of which textures are made: smooth at a scale, of many scales, and such that repeats without a seam."""

from collections.abc import Sequence

import cv2
import numpy as np


def smooth_noise(shape: tuple[int, int], cell: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (H, W) float32 of about unit variance whose values change over `cell` px."""
    height, width = shape
    if cell <= 1.0:
        return rng.normal(0.0, 1.0, shape).astype(np.float32)
    rows, columns = int(np.ceil(height / cell)) + 4, int(np.ceil(width / cell)) + 4
    coarse = rng.normal(0.0, 1.4, (rows, columns)).astype(np.float32)
    fine = cv2.resize(coarse, (int(columns * cell), int(rows * cell)), interpolation=cv2.INTER_CUBIC)
    top, left = (rng.random(2) * cell).astype(int) + int(cell)  # away from the rim, where it is flat
    return np.ascontiguousarray(fine[top : top + height, left : left + width])


def fractal_noise(
    shape: tuple[int, int], cells: Sequence[float], weights: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """The sum (H, W) float32 of noises that change over `cells` px, with their weights."""
    total = np.zeros(shape, np.float32)
    for cell, weight in zip(cells, weights, strict=True):
        total += weight * smooth_noise(shape, cell, rng)
    return total


def periodic_noise(size: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (size, size) float32 of unit variance, without a seam where it is repeated.

    It holds waves `low` to `high` px long, the longer ones the stronger.
    """
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    with np.errstate(divide="ignore"):
        wave = 1.0 / frequency
    strength = np.where((wave >= low) & (wave <= high), wave, 0.0)
    phases = rng.normal(size=(*strength.shape, 2)) @ [1.0, 1.0j]
    noise = np.fft.irfft2(strength * phases, (size, size))
    return (noise / noise.std()).astype(np.float32)
