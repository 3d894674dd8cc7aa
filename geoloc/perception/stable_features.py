"""What of a camera's stills can be found again: features that stay, how often they are there, and where they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from geoloc.estimators.triangulation import TriangulationOptions, triangulate
from geoloc.features.extraction import extract
from geoloc.features.local import ExtractionOptions, LocalFeatures
from geoloc.features.matching import MatchingOptions, match_descriptors
from geoloc.options import check_range
from geoloc.perception.still_stack import Stack
from geoloc.scene.camera import Camera

PATCH = 8  # px to each side of a place that make it out
SHIFT = 2  # px by which it may lie elsewhere in another still
FLAT = 3.0  # grey values; a patch that varies less shows nothing


@dataclass(frozen=True)
class FeatureOptions:
    """Which features are kept, and which of two cameras are one."""

    most: int = 3000  # of each camera
    repeatability: float = 0.6  # share of the stills in which a feature must be found
    alike: float = 0.6  # correlation of two patches from which on they show one thing
    max_ratio: float = 0.9  # of distances of descriptors, in matching two cameras
    pixel_sigma: float = 0.7  # px, of a feature

    def __post_init__(self) -> None:
        check_range(self, most=(1, 100_000), repeatability=(0, 1), alike=(-1, 1), max_ratio=(0, 1))
        check_range(self, pixel_sigma=(0.01, 100))


@dataclass(frozen=True, eq=False)
class StableFeatures:
    """Features of one camera that stay, and the share (N,) of its stills that show each; NaN with one still."""

    camera: Camera
    features: LocalFeatures
    repeatability: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, eq=False)
class SharedPoints:
    """N points that two cameras or more show: `xyz` (N, 3) m, their covariance (N, 3, 3) m² with all of it, and the
    row (N, C) of each among the features of `cameras`, -1 where one does not show it."""

    cameras: tuple[str, ...]
    xyz: np.ndarray
    cov: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.xyz)


def stable_features(stack: Stack, options: FeatureOptions | None = None) -> StableFeatures:
    """Features of a camera's stills that are not of what moves, and are there in most of them."""
    options = options or FeatureOptions()
    grey = np.asarray(cv2.cvtColor(stack.image, cv2.COLOR_BGR2GRAY))
    found = extract(grey, options=ExtractionOptions(max_features=2 * options.most), mask=stack.steady)
    share = repeatability(stack, found.pixels, options)
    keep = np.flatnonzero(np.isnan(share) | (share >= options.repeatability))[: options.most]
    scale = stack.camera.size[0] / grey.shape[1]
    kept = found.take(keep)
    if scale != 1.0:
        pixels = ((kept.pixels + 0.5) * scale - 0.5).astype(np.float32)
        kept = LocalFeatures(pixels, kept.scale * scale, kept.angle, kept.response, kept.descriptors, kept.extractor)
    return StableFeatures(stack.camera, kept, share[keep])


def repeatability(stack: Stack, pixels: np.ndarray, options: FeatureOptions | None = None) -> np.ndarray:
    """The share (N,) of a camera's stills that show at pixels (N, 2) of theirs what their median shows.

    NaN with one still: nothing is known of that. 0 at the edge, and where there is nothing to see.
    """
    options = options or FeatureOptions()
    if stack.n_stills < 2:
        return np.full(len(pixels), np.nan)
    middle = cv2.cvtColor(stack.image, cv2.COLOR_BGR2GRAY)
    greys = [cv2.cvtColor(still, cv2.COLOR_BGR2GRAY) for still in stack.stills]
    height, width = middle.shape
    share = np.zeros(len(pixels))
    for i, (u, v) in enumerate(np.rint(pixels).astype(int).tolist()):
        wide = PATCH + SHIFT
        if not (wide <= u < width - wide and wide <= v < height - wide):
            continue
        patch = middle[v - PATCH : v + PATCH + 1, u - PATCH : u + PATCH + 1]
        if patch.std() < FLAT:
            continue
        area = slice(v - wide, v + wide + 1), slice(u - wide, u + wide + 1)
        likeness = [float(cv2.matchTemplate(grey[area], patch, cv2.TM_CCOEFF_NORMED).max()) for grey in greys]
        share[i] = float(np.mean(np.array(likeness) >= options.alike))
    return share


def shared_points(features: Sequence[StableFeatures], options: FeatureOptions | None = None) -> SharedPoints:
    """Points that cameras show together: features that look alike and whose rays meet within their sigmas.

    Cameras known by a homography only have no rays, and take no part.
    """
    options = options or FeatureOptions()
    usable = [each for each in features if not each.camera.is_homography and len(each)]
    names = tuple(each.camera.name for each in usable)
    groups: dict[tuple[int, int], int] = {}
    members: list[dict[int, int]] = []
    for a, b in combinations(range(len(usable)), 2):
        first, second = usable[a], usable[b]
        matching = MatchingOptions(max_ratio=options.max_ratio)
        found = match_descriptors(first.features.descriptors, second.features.descriptors, matching)
        good = _meeting(first, second, found.rows_a, found.rows_b, options)
        for i, j in zip(found.rows_a[good].tolist(), found.rows_b[good].tolist(), strict=True):
            _tie(groups, members, (a, i), (b, j))
    whole = [group for group in members if len(group) > 1]
    rows = np.full((len(whole), len(usable)), -1)
    for number, group in enumerate(whole):
        rows[number, list(group)] = list(group.values())
    return _placed(usable, names, rows, options)


def _tie(groups: dict[tuple[int, int], int], members: list[dict[int, int]], *ends: tuple[int, int]) -> None:
    """Put two features into one group; what would give a camera two features in it is left out."""
    one, other = (groups.get(end) for end in ends)
    if one is None and other is None:
        groups |= dict.fromkeys(ends, len(members))
        members.append(dict(ends))
    elif one is None or other is None:
        known, free = (one, ends[1]) if other is None else (other, ends[0])
        assert known is not None
        if free[0] not in members[known]:
            members[known][free[0]], groups[free] = free[1], known


def _meeting(
    one: StableFeatures, other: StableFeatures, a: np.ndarray, b: np.ndarray, options: FeatureOptions
) -> np.ndarray:
    """Which pairs (N,) of features could be of one point: rows."""
    if not len(a):
        return np.zeros(0, int)
    pixels = np.stack([one.features.pixels[a], other.features.pixels[b]], axis=1).astype(float)
    found = triangulate(pixels, (one.camera, other.camera), options.pixel_sigma**2 * np.eye(2), _strict())
    return np.flatnonzero(found.refusal == 0)


def _strict() -> TriangulationOptions:
    return TriangulationOptions(robust=False, gate_probability=0.99, min_parallax=0.02, max_sigma=2.0)


def _placed(
    usable: Sequence[StableFeatures], names: tuple[str, ...], rows: np.ndarray, options: FeatureOptions
) -> SharedPoints:
    if not len(rows):
        return SharedPoints(names, np.zeros((0, 3)), np.zeros((0, 3, 3)), rows.reshape(0, len(names)))
    pixels = np.full((*rows.shape, 2), np.nan)
    for c, each in enumerate(usable):
        seen = rows[:, c] >= 0
        pixels[seen, c] = each.features.pixels[rows[seen, c]]
    cameras = [each.camera for each in usable]
    found = triangulate(pixels, cameras, options.pixel_sigma**2 * np.eye(2), _strict())
    good = found.refusal == 0
    return SharedPoints(names, found.xyz[good], (found.cov + found.bias_cov)[good], rows[good])
