"""Stills that overlap registered whole on the ground, by kornia: for texture that has no features to match.

The two patches of ground are brought over each other by the homography that makes them most alike. What is left is
measured block by block (Lucas and Kanade 1981): its scatter says how far the whole may be off.
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import cv2
import numpy as np

from geoloc.calibrate.overlap import (
    GroundPatch,
    OverlapOptions,
    TiePoints,
    apply_homography,
    lay_on_ground,
    reach,
    require_texture,
    tie,
)
from geoloc.errors import GeometryError, InputError
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import SiteMap

BLOCK = 48  # px of a patch
SIDE = 480  # px, to which the patches are shrunk for the search
LEVELS, ITERATIONS, RATE = 4, 80, 3e-3
LIKENESS = 0.5  # correlation of the two patches, once registered, below which they do not show the same
SYSTEMATIC = 0.05  # px of a patch; what resampling two stills leaves common to all blocks
FLAT = 8.0  # px of sigma; a block that is known worse has no texture


@dataclass(frozen=True, eq=False)
class GroundShift:
    """By how much the second still must move on the ground, in plan: `shift` (2,) m with `cov` (2, 2) m², at
    `shift_at` (2,) m, the middle of the overlap.

    `likeness` is the correlation of the two patches; `ties` are the blocks as tie points.
    """

    shift: np.ndarray
    shift_at: np.ndarray
    cov: np.ndarray
    likeness: float
    ties: TiePoints


def register_on_ground(
    cameras: tuple[Camera, Camera], images: tuple[np.ndarray, np.ndarray], site_map: SiteMap, level: str,
    options: OverlapOptions = OverlapOptions(),  # noqa: B008 - frozen
) -> GroundShift:  # fmt: skip
    """The shift between two stills' ground by direct image registration; extra `torch`.

    GeometryError where the shared ground is bare, the patches do not become alike, or would move farther than the
    cameras' covariances allow.
    """
    torch, kornia = _kornia()
    patch = lay_on_ground(cameras, images, site_map, level, options)
    require_texture(cameras, patch, options)
    flat = [_evened(image, patch.seen) for image in patch.images]
    second_from_first = _homography(torch, kornia, flat)
    size, back = flat[0].shape[::-1], cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(flat[1], second_from_first, size, flags=cv2.INTER_LINEAR | back)
    seen = cv2.warpPerspective(patch.seen.astype(np.uint8), second_from_first, size, flags=cv2.INTER_NEAREST | back)
    both = patch.seen & (seen > 0)
    names = " and ".join(camera.name for camera in cameras)
    likeness = float(np.corrcoef(flat[0][both], moved[both])[0, 1]) if both.sum() > BLOCK**2 else 0.0
    if likeness < LIKENESS:
        need = f"{likeness:.2f}, {LIKENESS} is needed"
        raise GeometryError(
            f"cameras {names}: the ground they share does not look alike (correlation {need}); mark tie points"
        )
    at, left, information = _blocks(flat[0], moved, both)
    if len(at) < 4:
        raise GeometryError(
            f"cameras {names}: {len(at)} blocks of the shared ground have texture, 4 are needed; mark tie points"
        )
    return _shift(cameras, patch, second_from_first, (at, left, information), likeness, options)


def _kornia() -> tuple[ModuleType, ModuleType]:
    try:
        return import_module("torch"), import_module("kornia")
    except (ImportError, OSError) as error:
        raise InputError(f"direct image registration needs kornia ({error}); pip install 'geoloc[torch]'") from error


def _evened(image: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The image less its neighbourhood's brightness, by its contrast: cameras expose differently. Zero where unseen."""
    weight = seen.astype(np.float32)
    value = image.astype(np.float32) * weight
    area = np.maximum(cv2.GaussianBlur(weight, (0, 0), 12.0), 1e-3)
    high = (image - cv2.GaussianBlur(value, (0, 0), 12.0) / area) * weight
    contrast = np.sqrt(
        cv2.GaussianBlur(high**2, (0, 0), 24.0) / np.maximum(cv2.GaussianBlur(weight, (0, 0), 24.0), 1e-3)
    )
    return np.clip(high / (contrast + 2.0), -3.0, 3.0).astype(np.float32) * weight


def _homography(torch: ModuleType, kornia: ModuleType, flat: list[np.ndarray]) -> np.ndarray:
    """second_from_first (3, 3) between the patches' pixels."""
    height, width = flat[0].shape
    scale = min(1.0, SIDE / max(height, width))
    size = (max(int(width * scale), 32), max(int(height * scale), 32))
    small = [
        cv2.resize(cv2.GaussianBlur(image, (0, 0), 1.0 / scale), size, interpolation=cv2.INTER_AREA) for image in flat
    ]
    first, second = (torch.from_numpy(image)[None, None] for image in small)
    registrator = kornia.geometry.ImageRegistrator(
        "homography", loss_fn=torch.nn.functional.l1_loss, pyramid_levels=LEVELS, num_iterations=ITERATIONS, lr=RATE
    )
    normal = registrator.register(second, first).detach().numpy().reshape(3, 3)
    # kornia's pixels run from -1 to 1 between the centres of the outer ones
    from_normal = np.array([[(width - 1) / 2, 0, (width - 1) / 2], [0, (height - 1) / 2, (height - 1) / 2], [0, 0, 1]])
    return from_normal @ normal @ np.linalg.inv(from_normal)


def _blocks(first: np.ndarray, moved: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middles (K, 2) px of blocks with texture, how far `moved` is off (K, 2) px, and its information (K, 2, 2)."""
    smooth = [cv2.GaussianBlur(image, (0, 0), 1.5) for image in (first, moved)]
    mean = (smooth[0] + smooth[1]) / 2
    gx, gy = cv2.Sobel(mean, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(mean, cv2.CV_32F, 0, 1) / 8
    difference = smooth[1] - smooth[0]
    at, left, information = [], [], []
    for y in range(0, first.shape[0] - BLOCK + 1, BLOCK):
        for x in range(0, first.shape[1] - BLOCK + 1, BLOCK):
            piece = np.s_[y : y + BLOCK, x : x + BLOCK]
            if not seen[piece].all():
                continue
            slope = np.column_stack([gx[piece].ravel(), gy[piece].ravel()]).astype(float)
            gap = difference[piece].ravel().astype(float)
            gram = slope.T @ slope
            if np.linalg.eigvalsh(gram)[0] < 1e-6:
                continue
            step = -np.linalg.solve(gram, slope.T @ gap)
            noise = float((gap + slope @ step).var()) * 9.0  # smoothing made neighbours alike: a ninth are independent
            if noise * np.linalg.eigvalsh(np.linalg.inv(gram))[-1] < FLAT**2 and np.abs(step).max() < 4.0:
                at.append([x + (BLOCK - 1) / 2, y + (BLOCK - 1) / 2])
                left.append(step)
                information.append(gram / max(noise, 1e-12))
    return np.array(at).reshape(-1, 2), np.array(left).reshape(-1, 2), np.array(information).reshape(-1, 2, 2)


def _shift(
    cameras: tuple[Camera, Camera], patch: GroundPatch, second_from_first: np.ndarray,
    blocks: tuple[np.ndarray, np.ndarray, np.ndarray], likeness: float, options: OverlapOptions,
) -> GroundShift:  # fmt: skip
    at, left, information = blocks
    cov = np.linalg.inv(information.sum(axis=0))
    mean = cov @ np.einsum("kij,kj->i", information, left)
    off = left - mean
    # blocks that disagree more than their noise says (relief, shadows, lens) widen the whole
    chi2 = float(np.einsum("ki,kij,kj->", off, information, off)) / (2 * len(at) - 2)
    middle = np.linalg.solve(information.sum(axis=0), np.einsum("kij,kj->i", information, at))
    second = apply_homography(second_from_first, middle[None] + mean)[0]
    shift = middle - second
    if np.linalg.norm(shift) > reach(cameras, patch, options):
        names = " and ".join(camera.name for camera in cameras)
        far = f"{np.linalg.norm(shift) * patch.step:.2f} m"
        raise GeometryError(
            f"cameras {names}: the ground would move {far}, farther than their covariances allow; mark tie points"
        )
    place = patch.world(middle[None])[0, :2]
    scatter = float(np.sqrt((off**2).sum() / (2 * len(at) - 2)))
    ties = tie(
        cameras,
        patch,
        (at, apply_homography(second_from_first, at + left)),
        scatter,
        shift * patch.step,
        place,
        options,
    )
    cov = cov * max(chi2, 1.0) + SYSTEMATIC**2 * np.eye(2)
    return GroundShift(shift * patch.step, place, cov * patch.step**2, likeness, ties)
