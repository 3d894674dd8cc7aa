"""Tie points between stills that overlap: both are laid on the ground by the present cameras and matched there.

On the ground two views of one place look alike whatever the cameras' angles, and the present calibration says where to
look. What is matched goes back to each still's own pixels, as marks for the joint adjustment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.errors import GeometryError, InputError
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.ground import intersect_ground
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap, Surface

GATE_SIGMAS = 4.0
LEAST_SHARED = 50  # of the first still's grid of 160 x 120
PLACE_SIGMA = 100.0  # m; a tie point's place in plan is not known beforehand


class NoOverlapError(GeometryError):
    """Two cameras share no ground."""


@dataclass(frozen=True)
class OverlapOptions:
    """How stills are matched on the ground."""

    max_side: int = 1200  # px of the longer side of a ground patch
    coarsest: float = 0.15  # m of ground to a pixel; ground seen more coarsely is left out
    off_by: float = 0.5  # m by which the present cameras may disagree, where their covariances say less
    ratio: float = 0.8  # a match must be nearer than this times the second best (Lowe 2004)
    least_matches: int = 8
    most_ties: int = 200  # kept, spread evenly over the overlap
    least_sigma_px: float = 0.05  # in the still, of a tie point
    least_contrast: float = 4.0  # grey levels, standard deviation of the patch

    def __post_init__(self) -> None:
        check_range(self, max_side=(64, 8000), coarsest=(1e-3, 10), off_by=(0, 100), ratio=(0.1, 1))
        check_range(
            self, least_matches=(4, 10_000), most_ties=(4, 10_000), least_sigma_px=(0.01, 100), least_contrast=(0, 255)
        )


@dataclass(frozen=True, eq=False)
class GroundPatch:
    """Two stills laid on one piece of ground: pixel (column, row) is `origin + step * (column, row)` in plan, m."""

    images: tuple[np.ndarray, np.ndarray]  # (H, W) uint8 each
    seen: np.ndarray  # (H, W) bool, by both
    origin: np.ndarray  # (2,) m
    step: float  # m
    surface: Surface

    def world(self, at: np.ndarray) -> np.ndarray:
        """Points (N, 3) m of patch pixels (N, 2)."""
        xy = self.origin + self.step * np.asarray(at, float).reshape(-1, 2)
        return np.column_stack([xy, self.surface.z_at(xy)])


@dataclass(frozen=True, eq=False)
class TiePoints:
    """Marks of points that two stills share, and what the map knows of those points: their height.

    `shift` (2,) m is by how much the second still must move on the ground to agree with the first at `shift_at` (2,)
    m, the middle of the matches; `scatter_px` how well the matches agree with each other, in pixels of the patch.
    """

    marks: Marks
    on_ground: tuple[ControlPoint, ...]
    shift: np.ndarray
    shift_at: np.ndarray
    scatter_px: float


def lay_on_ground(
    cameras: tuple[Camera, Camera], images: tuple[np.ndarray, np.ndarray], site_map: SiteMap, level: str,
    options: OverlapOptions = OverlapOptions(),
) -> GroundPatch:  # fmt: skip
    """The ground of `level` that both cameras see, from each one's still; NoOverlapError if they share none.

    Of a level of several surfaces it is the one of which they share most.
    """
    for camera, image in zip(cameras, images, strict=True):
        if image.shape[1::-1] != tuple(camera.size):
            found = f"its still has {image.shape[1]} x {image.shape[0]} px, its calibration {camera.size}"
            raise InputError(f"camera {camera.name!r}: {found}; give the still it was calibrated on")
    shared = [(_shared(cameras, site_map, one, options), one) for one in site_map.level(level).surfaces]
    best, surface = max(shared, key=lambda one: len(one[0]))
    if len(best) < LEAST_SHARED:
        names = " and ".join(camera.name for camera in cameras)
        raise NoOverlapError(f"cameras {names} share no ground of level {level!r}; tie them by marks")
    low, high = np.percentile(best[:, :2], [1, 99], axis=0)
    step = max(_pixel_of(cameras, best), float((high - low).max()) / options.max_side)
    size = np.maximum(((high - low) / step).astype(int), 2)
    grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=-1).reshape(-1, 2)
    xy = low + step * grid
    world = np.column_stack([xy, surface.z_at(xy)])
    laid, seen = [], surface.holds(xy)
    for camera, image in zip(cameras, images, strict=True):
        pixels = _visible(camera, site_map, world, options)
        seen &= np.isfinite(pixels[:, 0])
        at = np.nan_to_num(pixels, nan=-1.0).astype(np.float32).reshape(size[1], size[0], 2)
        laid.append(cv2.remap(_grey(image), at[..., 0], at[..., 1], cv2.INTER_LINEAR))
    return GroundPatch((laid[0], laid[1]), seen.reshape(size[1], size[0]), low, step, surface)


def match_on_ground(
    cameras: tuple[Camera, Camera], images: tuple[np.ndarray, np.ndarray], site_map: SiteMap, level: str,
    options: OverlapOptions = OverlapOptions(),
) -> TiePoints:  # fmt: skip
    """Tie points of two overlapping stills by SIFT on the ground; GeometryError where texture or overlap is too poor.

    A match must lie where both cameras, with their covariances, allow it, and all matches must follow one
    homography of the patch, which is what an error of two poses looks like on a plane.
    """
    patch = lay_on_ground(cameras, images, site_map, level, options)
    require_texture(cameras, patch, options)
    first, second = _matches(patch, options)
    close = np.linalg.norm(second - first, axis=1) < reach(cameras, patch, options)
    first, second = first[close], second[close]
    names = " and ".join(camera.name for camera in cameras)
    refusal = f"cameras {names}: {{}} matches on the ground agree, {options.least_matches} are needed; mark tie points"
    if len(first) < options.least_matches:
        raise GeometryError(refusal.format(len(first)))
    motion, kept = cv2.findHomography(first, second, cv2.RANSAC, 3.0, maxIters=4000, confidence=0.999)
    kept = np.zeros(len(first), dtype=bool) if motion is None else np.asarray(kept).ravel().astype(bool)
    if kept.sum() < max(options.least_matches, 0.3 * len(first)):
        raise GeometryError(refusal.format(int(kept.sum())))
    first, second = first[kept], second[kept]
    residual = second - apply_homography(motion, first)
    # a normal error's median length is 1.177 sigma; eight parameters were fitted to these very matches
    freedom = np.sqrt(2 * len(first) / max(2 * len(first) - 8, 1))
    scatter = float(np.median(np.linalg.norm(residual, axis=1)) / 1.1774 * freedom)
    honest = np.linalg.norm(residual, axis=1) < 4.0 * max(scatter, 0.05)
    first, second = first[honest], second[honest]
    middle = first.mean(axis=0)
    shift = patch.step * (middle - apply_homography(motion, middle[None])[0])
    rows = _spread(first, options.most_ties)
    return tie(cameras, patch, (first[rows], second[rows]), scatter, shift, patch.world(middle)[0, :2], options)


def apply_homography(matrix: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Where a homography (3, 3) takes pixels (N, 2)."""
    moved = np.column_stack([at, np.ones(len(at))]) @ matrix.T
    return moved[:, :2] / moved[:, 2:]


def _spread(at: np.ndarray, most: int) -> np.ndarray:
    """At most `most` rows of pixels (N, 2), one of each cell of a grid: near neighbours say the same."""
    low, extent = at.min(axis=0), np.ptp(at, axis=0).max() + 1.0
    n_cells = int(np.sqrt(2 * most))
    while True:
        cells = ((at - low) / extent * n_cells).astype(int)
        _, rows = np.unique(cells, axis=0, return_index=True)
        if len(rows) <= most:
            return rows
        n_cells -= 1


def tie(
    cameras: tuple[Camera, Camera], patch: GroundPatch, at: tuple[np.ndarray, np.ndarray], scatter: float,
    shift: np.ndarray, shift_at: np.ndarray, options: OverlapOptions,
) -> TiePoints:  # fmt: skip
    """Patch pixels (N, 2) of matches as marks in both stills; each still has its share of the scatter."""
    names = [f"tie {cameras[0].name} {cameras[1].name} {i + 1}" for i in range(len(at[0]))]
    parts = []
    for camera, where in zip(cameras, at, strict=True):
        world = patch.world(where)
        pixels, by_world, _ = camera.jacobians(world)
        a, b, _ = patch.surface.plane
        on_plane = by_world[:, :, :2] + by_world[:, :, 2:] * np.array([a, b])
        scale = np.sqrt((on_plane**2).sum(axis=(1, 2)) / 2)
        sigma = np.maximum(scale * patch.step * scatter / np.sqrt(2), options.least_sigma_px)
        parts.append(Marks(camera=[camera.name] * len(names), point=names, pixel=pixels, sigma=sigma))
    middle = patch.world((at[0] + at[1]) / 2)
    sigma_z = max(patch.surface.sigma_z, 1e-3)
    known = tuple(
        ControlPoint(name, (float(x), float(y), float(z)), (PLACE_SIGMA, PLACE_SIGMA, sigma_z))
        for name, (x, y, z) in zip(names, middle, strict=True)
    )
    marks = Marks(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in Marks.columns})
    return TiePoints(marks, known, shift, shift_at, scatter)


def _shared(cameras: tuple[Camera, Camera], site_map: SiteMap, surface: Surface, options: OverlapOptions) -> np.ndarray:
    """Points (N, 3) m of a surface that both cameras see, from a grid of the first one's pixels."""
    width, height = cameras[0].size
    u, v = np.meshgrid(np.linspace(0, width - 1, 160), np.linspace(0, height - 1, 120))
    rays = cameras[0].unproject(np.column_stack([u.ravel(), v.ravel()]))
    rays = rays[np.isfinite(rays).all(axis=1)]
    hits = intersect_ground(site_map, cameras[0].centre_world[None], rays)
    world = hits.xyz[np.isfinite(hits.xyz[:, 0])]
    world = world[surface.holds(world[:, :2]) & (np.abs(surface.z_at(world[:, :2]) - world[:, 2]) < 1e-3)]
    for camera in cameras:
        world = world[np.isfinite(_visible(camera, site_map, world, options)[:, 0])]
    return world


def _visible(camera: Camera, site_map: SiteMap, world: np.ndarray, options: OverlapOptions) -> np.ndarray:
    """Pixels (N, 2) of ground points; NaN off the image, where another floor is in front, and where too coarse."""
    pixels, by_world, _ = camera.jacobians(world)
    good = np.isfinite(pixels).all(axis=1) & camera.inside(pixels)
    stretch = np.linalg.svd(by_world[good][:, :, :2], compute_uv=False)[:, -1] if good.any() else np.zeros(0)
    good[np.flatnonzero(good)[stretch < 1.0 / options.coarsest]] = False
    rows = np.flatnonzero(good)
    rays = world[rows] - camera.centre_world
    hits = intersect_ground(site_map, camera.centre_world[None], rays)
    good[rows[~(np.abs(hits.distance - 1.0) < 1e-3)]] = False
    return np.where(good[:, None], pixels, np.nan)


def _pixel_of(cameras: Sequence[Camera], world: np.ndarray) -> float:
    """How much ground a pixel of the coarser still covers, m: the median over the overlap."""
    scales = [np.sqrt(np.abs(np.linalg.det(camera.jacobians(world)[1][:, :, :2]))) for camera in cameras]
    return float(np.median(1.0 / np.minimum(*scales)))


def reach(cameras: Sequence[Camera], patch: GroundPatch, options: OverlapOptions) -> float:
    """How far apart, in patch pixels, the present cameras may put one place."""
    rows, columns = np.nonzero(patch.seen)
    world = patch.world(np.array([[np.median(columns), np.median(rows)]]))
    variance = options.off_by**2
    for camera in cameras:
        _, by_world, by_calib = camera.jacobians(world)
        onto_ground = np.linalg.inv(by_world[0][:, :2])
        jacobian = onto_ground @ by_calib[0]
        variance += float(np.linalg.eigvalsh(jacobian @ camera.calib_cov @ jacobian.T)[-1]) * GATE_SIGMAS**2
    return np.sqrt(variance) / patch.step + 2.0


def require_texture(cameras: Sequence[Camera], patch: GroundPatch, options: OverlapOptions) -> None:
    for camera, image in zip(cameras, patch.images, strict=True):
        spread = float(image[patch.seen].std()) if patch.seen.any() else 0.0
        if spread < options.least_contrast:
            raise GeometryError(
                f"camera {camera.name!r}: the ground it shares is bare ({spread:.1f} grey levels of contrast, "
                f"{options.least_contrast:g} are needed); mark tie points by hand"
            )


def _matches(patch: GroundPatch, options: OverlapOptions) -> tuple[np.ndarray, np.ndarray]:
    """Patch pixels (N, 2) of mutual SIFT matches that pass the ratio test."""
    sift = cv2.SIFT.create(nfeatures=4000, contrastThreshold=0.02)
    mask = cv2.erode(patch.seen.astype(np.uint8), np.ones((9, 9), np.uint8)) * 255
    found = [sift.detectAndCompute(image, mask) for image in patch.images]
    if any(len(points) < 2 for points, _ in found):
        return np.zeros((0, 2)), np.zeros((0, 2))
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    forth = matcher.knnMatch(found[0][1], found[1][1], k=2)
    back = {match.queryIdx: match.trainIdx for match in matcher.match(found[1][1], found[0][1])}
    pairs = [
        (near.queryIdx, near.trainIdx)
        for near, other in forth
        if near.distance < options.ratio * other.distance and back[near.trainIdx] == near.queryIdx
    ]
    at = [np.array([point.pt for point in points], float) for points, _ in found]
    index = np.array(sorted({(a, b) for a, b in pairs}), dtype=int).reshape(-1, 2)
    return at[0][index[:, 0]], at[1][index[:, 1]]


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
