"""What a fixed camera saw when it was calibrated, pinned: patches on several scales with their rays, and features."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from geoloc.errors import GeometryError, InputError
from geoloc.features.extraction import extract, find_extractor
from geoloc.features.local import ExtractionOptions, Extractor, LocalFeatures
from geoloc.relocalize.motions import Sights
from geoloc.relocalize.patches import (
    REACH,
    SIDE,
    Patches,
    from_level,
    level_of,
    pick_patches,
    to_level,
)
from geoloc.scene.camera import Camera
from geoloc.scene.ground import intersect_ground
from geoloc.scene.sitemap import SiteMap

WIDTH = 1920  # px; the finest level of wider images is the next that is about so wide
SHORTEST = 96  # px; a level's shorter side is no less
MOST_LEVELS = 4
MOST_PATCHES = (100, 160, 250, 300)  # from the coarsest level to the finest
OCTAVES = 5
FEWEST = 12  # patches of the level that has most: with fewer nothing can be told
FEW = ExtractionOptions(max_features=700)  # features for large motions
FEATURES_AT = 480  # px; about the width of the image that features for large motions are taken from


@dataclass(frozen=True, eq=False)
class Level:
    """Patches of one scale; `controls` sees 3 x 3 points around each, row by row, `stable` (N,) how often found."""

    patches: Patches
    controls: Sights
    found: np.ndarray
    missed: np.ndarray

    def __len__(self) -> int:
        return len(self.patches)

    def places(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the patches' pixels (N, K, 2) lie in the frame's level after a motion, and d place / d pixel (N, 2, 2).

        Biquadratic between the 3 x 3 points.
        """
        factor = self.patches.factor
        at = to_level(self.controls.moved(theta), factor).reshape(len(self), 9, 2)
        at = np.where(np.isfinite(at), at, -1e4)
        by_pixel = np.stack([at[:, 5] - at[:, 3], at[:, 7] - at[:, 1]], axis=-1) / (2.0 * REACH)
        return np.matmul(_BIQUADRATIC, at.astype(np.float32)), by_pixel

    @cached_property
    def middles(self) -> Sights:
        """The patches' centres."""
        return self.controls.take(np.arange(4, 9 * len(self), 9))

    @property
    def stability(self) -> np.ndarray:
        """Share (N,) of the frames in which each patch is found again: its expected value after a uniform prior."""
        return (self.found + 1.0) / (self.found + self.missed + 2.0)


@dataclass(frozen=True, eq=False)
class Reference:
    """One pinned image of a camera. `levels` from the coarsest to the finest; `small` is the coarsest level's image.

    `name` tells references of one camera apart, such as "day" and "night"; its `extractor` finds the features
    by which large motions are looked for.
    """

    camera: Camera
    name: str
    levels: tuple[Level, ...]
    small: np.ndarray
    contrast: np.ndarray
    image: np.ndarray
    wanted: np.ndarray
    extractor: Extractor

    @cached_property
    def features(self) -> tuple[LocalFeatures, np.ndarray]:
        """Few, large features and their rays (N, 3): for large motions, so made when one is looked for."""
        found, pixels = features_of(self.camera, self.image, self.extractor, self.wanted)
        return found, self.camera.lens.unproject(pixels)

    def learned(self, levels: tuple[Level, ...]) -> "Reference":
        """The same with what was learned about which patches are stable."""
        return replace(self, levels=levels)


def pin_reference(
    camera: Camera,
    image: np.ndarray,
    name: str = "",
    wanted: np.ndarray | None = None,
    site_map: SiteMap | None = None,
    extractor: str | Extractor = "rootsift",
) -> Reference:
    """Pin what `camera` saw, grey values (H, W) uint8, when its calibration was true.

    `wanted` (H, W) bool is true where landmarks may lie (none: everywhere): leave out clocks that are burnt in, trees
    and roads full of traffic. With a `site_map` what lies on its ground has a depth, and a shift of the camera can be
    told from a rotation. Motions of many degrees are looked for by features of an `extractor`. GeometryError where it
    shows too little; InputError for an image of another size; a camera that is known by a homography only has no rays
    and is refused.
    """
    camera.require_pose("cannot be checked for a rotation")
    image = np.asarray(image)
    width, height = camera.size
    if image.dtype != np.uint8 or image.shape != (height, width):
        found = f"{image.dtype} of shape {image.shape}"
        raise InputError(f"camera {camera.name!r}: reference is {found}; give grey values ({height}, {width}) uint8")
    allowed = np.ones(image.shape, bool) if wanted is None else np.asarray(wanted, bool)
    if allowed.shape != image.shape:
        raise InputError(f"camera {camera.name!r}: wanted is of shape {allowed.shape}, its image of {image.shape}")
    factors = level_factors(camera.size)
    pictures = [level_of(image, factor) for factor in factors]
    levels = tuple(
        _level(camera, site_map, picture, factor, most, _shrunk(allowed, factor))
        for picture, factor, most in zip(pictures, factors, MOST_PATCHES[-len(factors) :], strict=True)
    )
    most = max(map(len, levels))
    if most < FEWEST:
        shows = f"camera {camera.name!r}: its reference shows {most} landmarks, {FEWEST} are needed"
        raise GeometryError(f"{shows}; pin a picture in which the scene is to be seen")
    run = find_extractor(extractor, FEW)
    return Reference(camera, name, levels, pictures[0], contrast_of(image), image, allowed, run)


def level_factors(size: tuple[int, int]) -> list[int]:
    """How many image pixels make one of each level's, the coarsest first."""
    finest = max(1, round(size[0] / WIDTH))
    factors = [finest * 2**step for step in range(MOST_LEVELS)]
    kept = [factor for factor in factors if min(size) // factor >= SHORTEST]
    return (kept or factors[:1])[::-1]


def features_of(
    camera: Camera, image: np.ndarray, extractor: Extractor, wanted: np.ndarray | None = None
) -> tuple[LocalFeatures, np.ndarray]:
    """Few, large features of an image, and where they lie in it (N, 2) px."""
    import cv2

    factor = max(1, round(camera.size[0] / FEATURES_AT))
    height, width = (side // factor for side in image.shape)
    small = cv2.resize(image[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA)
    mask = None if wanted is None else _shrunk(wanted, factor)
    found = extract(np.asarray(small), extractor, mask=mask)
    return found, from_level(found.pixels.astype(float), factor)


def contrast_of(image: np.ndarray) -> np.ndarray:
    """Mean slopes (OCTAVES,), grey levels a pixel, of an image's half, its quarter and so on: blur takes the first."""
    import cv2

    out = []
    for _ in range(OCTAVES):
        half = max(image.shape[1] // 2, 1), max(image.shape[0] // 2, 1)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA))
        out.append(float(cv2.absdiff(image[:, 1:], image[:, :-1]).mean()) if half[0] > 1 else 0.0)
    return np.array(out)


def _level(
    camera: Camera, site_map: SiteMap | None, picture: np.ndarray, factor: int, most: int, wanted: np.ndarray
) -> Level:
    patches = pick_patches(picture, factor, most, wanted)
    around = patches.pixels[:, None] + factor * REACH * _AROUND[None]
    rays = camera.lens.unproject(around.reshape(-1, 2)).reshape(len(patches), 9, 3)
    known = np.isfinite(rays).all(axis=(1, 2))
    patches, rays = patches.take(known), rays[known].reshape(-1, 3)
    none = np.zeros(len(patches))
    return Level(patches, Sights(camera.lens, rays, _inverse_distance(camera, site_map, rays)), none, none)


def _inverse_distance(camera: Camera, site_map: SiteMap | None, rays: np.ndarray) -> np.ndarray:
    """1 / distance (N,) 1/m of the ground along rays (N, 3) of the camera; 0 where there is none."""
    if site_map is None or not len(rays):
        return np.zeros(len(rays))
    rays_world = rays @ camera.cam_from_world.rotation.as_matrix()
    hits = intersect_ground(site_map, camera.centre_world[None], rays_world)
    return np.where(hits.level >= 0, 1.0 / np.maximum(np.nan_to_num(hits.distance, nan=np.inf), 0.1), 0.0)


def _shrunk(wanted: np.ndarray, factor: int) -> np.ndarray:
    height, width = (side // factor for side in wanted.shape)
    return wanted[: height * factor : factor, : width * factor : factor]


def _biquadratic() -> np.ndarray:
    """Weights (K, 9) of 3 x 3 points, row by row, in each pixel of a patch."""
    at = np.arange(-REACH, REACH + 1) / REACH
    along = np.stack([0.5 * at * (at - 1.0), 1.0 - at * at, 0.5 * at * (at + 1.0)], axis=-1)
    both = along[:, None, :, None] * along[None, :, None, :]  # row, column, their 3 x 3
    return np.asarray(both.reshape(SIDE * SIDE, 9), np.float32)


_AROUND = np.array([(x, y) for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0)])
_BIQUADRATIC = _biquadratic()
