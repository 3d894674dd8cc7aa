"""Painted lines as ridges of brightness, to a fraction of a pixel, and edges (Steger 1998, sections 2 and 3)."""

from dataclasses import dataclass

import cv2
import numpy as np

BEYOND = 0.6  # pixels; a ridge's middle lies within its own pixel, a little over for what falls between two
ROUND = 0.6  # second curvature over the first beyond which it is a spot and no line


@dataclass(frozen=True, eq=False)
class RidgePoints:
    """N places on ridges or edges: column and row (N, 2) to a fraction of a pixel, `angle` (N,) rad along it in the
    picture (columns right, rows down), modulo pi, `height` (N,) of its response, and `score` (N,) of that over noise.
    """

    at: np.ndarray
    angle: np.ndarray
    height: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: np.ndarray) -> "RidgePoints":
        """The points that a mask or index selects."""
        return RidgePoints(self.at[rows], self.angle[rows], self.height[rows], self.score[rows])


def bright_ridges(log: np.ndarray, known: np.ndarray, spread: float, least: float, noise: float) -> RidgePoints:
    """Ridges of a logarithmic brightness (H, W) where it is known (H, W) bool, for lines about 2 x `spread` px wide.

    `least` is the contrast (natural logarithm) that counts, `noise` how many times that of the ground beside it.
    """
    flat = filled(log, known)
    soft = cv2.GaussianBlur(flat, (0, 0), spread)
    gx, gy = (cv2.Sobel(soft, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    xx, yy = (cv2.Sobel(soft, cv2.CV_32F, *order, ksize=3, scale=1 / 4) for order in ((2, 0), (0, 2)))
    xy = cv2.Sobel(soft, cv2.CV_32F, 1, 1, ksize=3, scale=1 / 4)
    half, root = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    low, high = half - root, half + root  # low is the curvature across a bright line
    height = -low * spread**2 * 2.6  # of a bar as wide as 2 x spread, 1 where its contrast is 1
    inside = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=max(1, round(2 * spread))) > 0
    floor = local_noise(height, inside, spread)
    good = inside & (low < -1e-9) & (height > np.maximum(least, noise * floor)) & (np.abs(high) < ROUND * np.abs(low))
    rows, columns = np.nonzero(good)
    across = 0.5 * np.arctan2(2 * xy, xx - yy)[rows, columns] + np.pi / 2  # of the lower eigenvalue
    nx, ny = np.cos(across), np.sin(across)
    step = -(gx[rows, columns] * nx + gy[rows, columns] * ny) / low[rows, columns]
    keep = (np.abs(step * nx) <= BEYOND) & (np.abs(step * ny) <= BEYOND)
    at = np.column_stack([columns + step * nx, rows + step * ny])[keep]
    angle = np.mod(across[keep] + np.pi / 2, np.pi)
    found = height[rows, columns][keep]
    return RidgePoints(at, angle, found, found / np.maximum(floor[rows, columns][keep], 1e-6))


def colour_edges(values: np.ndarray, known: np.ndarray, spread: float, least: float, noise: float) -> RidgePoints:
    """Edges of (H, W) values, such as how green the ground is, where a step of `least` or more runs through."""
    flat = filled(values, known)
    soft = cv2.GaussianBlur(flat, (0, 0), spread)
    gx, gy = (cv2.Sobel(soft, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    height = np.hypot(gx, gy) * spread * np.sqrt(2 * np.pi)  # of a sharp step: its size
    inside = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=max(1, round(2 * spread))) > 0
    floor = local_noise(height, inside, spread)
    rows, columns = np.nonzero(inside & (height > np.maximum(least, noise * floor)))
    nx, ny = (part[rows, columns] / np.maximum(np.hypot(gx, gy)[rows, columns], 1e-9) for part in (gx, gy))
    ahead, behind = (_read(height, columns + side * nx, rows + side * ny) for side in (1.0, -1.0))
    here = height[rows, columns]
    bend = ahead - 2 * here + behind
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(bend < 0, -(ahead - behind) / (2 * bend), 2 * BEYOND)
    keep = (here >= ahead) & (here >= behind) & (np.abs(step) <= BEYOND)
    at = np.column_stack([columns + step * nx, rows + step * ny])[keep]
    angle = np.mod(np.arctan2(ny, nx)[keep] + np.pi / 2, np.pi)
    return RidgePoints(at, angle, here[keep], here[keep] / np.maximum(floor[rows, columns][keep], 1e-6))


def filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values (H, W) float32, the nearest known one where there is none."""
    values = values.astype(np.float32)
    if known.all() or not known.any():
        return np.where(known, values, 0.0).astype(np.float32)
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    lookup = np.zeros(int(labels.max()) + 1, np.float32)
    lookup[labels[known]] = values[known]
    return np.asarray(lookup[labels])


def local_noise(response: np.ndarray, known: np.ndarray, spread: float) -> np.ndarray:
    """How much the response varies (H, W) about a place: its middle size in a neighbourhood, as a sigma."""
    size = np.minimum(np.abs(response), np.float32(4 * _middle(np.abs(response), known)))
    width = (2 * round(20.0 * spread) + 1,) * 2
    weight = cv2.blur(known.astype(np.float32), width)
    mean = cv2.blur(np.where(known, size, 0).astype(np.float32), width)
    return np.asarray(1.25 * mean / np.maximum(weight, 1e-3))  # of a normal distribution: sigma over mean size


def _middle(values: np.ndarray, known: np.ndarray) -> float:
    return float(np.median(values[known])) if known.any() else 0.0


def _read(values: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    flat = np.column_stack([columns, rows]).astype(np.float32)
    n, block = len(flat), 1024
    padded = np.zeros((-(-n // block) * block, 2), np.float32)
    padded[:n] = flat
    maps = padded.reshape(-1, block, 2)
    parts = [cv2.remap(values, b[:, 0], b[:, 1], cv2.INTER_LINEAR).ravel() for b in maps]
    return np.concatenate([np.zeros(0, np.float32), *parts])[:n]
