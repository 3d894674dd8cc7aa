"""A landmark map of as many images as wanted, out of a few real ones: laid side by side, each copy with other looks.

Of a copy each landmark's histograms (SIFT's) are mixed, half and half, of those of two other landmarks, drawn anew for
each copy. So descriptors stay what histograms of real gradients are, two observations of a landmark stay alike, and no
copy looks like another. Mixed histograms are nearer to each other than real ones, which makes them the harder to tell
apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from benchmarks.hloc_style import StoredImage
from geoloc.features.local import QUANTUM, LocalFeatures, root_quantised, unit_descriptors
from geoloc.relocalize.landmarks import LandmarkMap

APART = 200.0  # m between copies
ROW = 32  # copies


def tiled(first: Sequence[LandmarkMap], others: Sequence[LandmarkMap], n_images: int) -> LandmarkMap:
    """Maps `first` as they are, then copies of `others` in turn, until there are `n_images`."""
    parts = [_moved(part, place) for place, part in enumerate(first)]
    n = sum(len(part.cameras) for part in parts)
    while n < n_images:
        part = others[len(parts) % len(others)]
        parts.append(_moved(mixed(part, len(parts)), len(parts)))
        n += len(part.cameras)
    return joined(parts)


def mixed(part: LandmarkMap, seed: int) -> LandmarkMap:
    """A map whose landmarks look otherwise."""
    rng = np.random.default_rng(seed)
    order, n = np.argsort(part.point, kind="stable"), part.n_views
    starts, looks = np.cumsum(n) - n, []
    for _ in range(2):
        other = rng.permutation(len(part))[part.point]
        seen = (rng.random(len(other)) * n[other]).astype(int)  # any of the other's observations
        looks.append(part.descriptors[order[starts[other] + seen]])
    return replace(part, descriptors=mix(*looks))


def mix(descriptors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """RootSIFT (N, 128) uint8 of histograms mixed half and half from those of two."""
    return root_quantised(descriptors.astype(np.float32) ** 2 + others.astype(np.float32) ** 2)


def offset_of(place: int) -> np.ndarray:
    """Where a copy lies (3,) m beside its original."""
    return APART * np.array([place % ROW, place // ROW, 0.0])


def joined(parts: Sequence[LandmarkMap]) -> LandmarkMap:
    """Maps that share nothing as one."""
    images = np.cumsum([0, *(len(part.cameras) for part in parts)])
    points = np.cumsum([0, *(len(part) for part in parts)])
    points_of, image_of, point_of = (
        np.concatenate(each)
        for each in (
            [part.points for part in parts],
            [part.image + start for part, start in zip(parts, images, strict=False)],
            [part.point + start for part, start in zip(parts, points, strict=False)],
        )
    )
    cov, pixels, scale, descriptors = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("point_cov", "pixels", "scale", "descriptors")
    )
    return LandmarkMap(
        tuple(camera for part in parts for camera in part.cameras), points_of, cov, image_of.astype(np.int32),
        point_of.astype(np.int32), pixels, scale, descriptors, parts[0].extractor, parts[0].noise, parts[0].lenses,
    )  # fmt: skip


def _moved(part: LandmarkMap, place: int) -> LandmarkMap:
    offset = offset_of(place)
    back = RigidTransform.from_translation(-offset)
    cameras = tuple(
        replace(camera, name=f"{place}:{camera.name}", cam_from_world=camera.cam_from_world * back)
        for camera in part.cameras
    )
    return replace(part, cameras=cameras, points=part.points + offset, stored_index=None)


def stored_images(landmarks: LandmarkMap, features: dict[str, LocalFeatures]) -> list[StoredImage]:
    """All features, by the image's name, of each of a map's images, with their landmarks."""
    found = []
    for image, camera in enumerate(landmarks.cameras):
        own = features[camera.name]
        row_of = {each.tobytes(): row for row, each in enumerate(own.descriptors)}
        point, rows = np.full(len(own), -1), landmarks.rows(np.array([image]))
        point[[row_of[each.tobytes()] for each in landmarks.descriptors[rows]]] = landmarks.point[rows]
        found.append(StoredImage(unit_descriptors(own.descriptors), point))
    return found


def copied_images(landmarks: LandmarkMap, parts: Sequence[Sequence[StoredImage]]) -> Callable[[int], StoredImage]:
    """What is stored of an image of a `tiled` map: of a copy, its original's features, each mixed of two others."""
    copies = np.array([int(name.split(":")[0]) for name in landmarks.names])
    first_image = np.searchsorted(copies, np.arange(copies[-1] + 1))
    own_points = [1 + max(int(image.point.max()) for image in part) for part in parts]
    first_point = np.cumsum([0, *(own_points[copy % len(parts)] for copy in range(copies[-1]))])

    def stored(image: int) -> StoredImage:
        copy = int(copies[image])
        own = parts[copy % len(parts)][image - first_image[copy]]
        described = own.descriptors
        if copy >= len(parts):
            rng, raw = np.random.default_rng(image), np.rint(QUANTUM * described)
            described = unit_descriptors(mix(rng.permutation(raw), rng.permutation(raw)))
        return StoredImage(described, np.where(own.point >= 0, own.point + first_point[copy], -1))

    return stored
