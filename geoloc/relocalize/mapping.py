"""A landmark map from images whose cameras are known: match, chain, triangulate, and learn how noisy it all is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from geoloc.errors import GeometryError, InputError
from geoloc.estimators.triangulation import Refusal, TriangulationOptions, triangulate
from geoloc.features.local import LocalFeatures
from geoloc.features.matches import Matches
from geoloc.features.matching import MatchingOptions
from geoloc.options import check_range
from geoloc.relocalize.feature_noise import learn_noise, learn_shared
from geoloc.relocalize.landmarks import FeatureNoise, LandmarkMap
from geoloc.relocalize.lens_fit import refine_lens, shared_lenses
from geoloc.relocalize.repeats import learn_repeats
from geoloc.relocalize.tracks import Tracks, chain, choose_pairs, match_pairs
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Lens

ROUNDS = 2  # the noise is learned from residuals, which depend on what it lets pass
FEWEST_POINTS = 12
BLOCK = 4096  # tracks
# of what has passed the gates already
LAX = TriangulationOptions(robust=False, gate_probability=1.0, min_parallax=1e-6, max_sigma=1e6, max_relative_sigma=1e6)


@dataclass(frozen=True)
class MappingOptions:
    """How a landmark map is built."""

    matching: MatchingOptions = field(default_factory=MatchingOptions)
    triangulation: TriangulationOptions = field(
        default_factory=lambda: TriangulationOptions(min_parallax=0.005, max_sigma=1.0)
    )
    n_neighbours: int = 30  # images that each image is matched with, those that see most of what it sees
    refine_lenses: bool = True  # let small errors of a lens that several images share go where the residuals want them
    seed: int = 1  # of the search for places of the site that look alike
    start: FeatureNoise = field(default_factory=FeatureNoise)  # before it is learned from this map's own residuals

    def __post_init__(self) -> None:
        check_range(self, n_neighbours=(1, 10_000))


Tell = Callable[[int, int], None]


def silent(done: int, of: int) -> None:
    """Progress that nobody looks at."""


def build_landmarks(
    features: Sequence[LocalFeatures],
    cameras: Sequence[Camera],
    options: MappingOptions | None = None,
    tell: Tell = silent,
) -> LandmarkMap:
    """The map of landmarks that two images or more saw, from the features of each image and its camera, in order.

    Poses stay as they are; what their `calib_cov` says is carried into gates and, when a query is answered, into its
    covariance. `tell` is called after each matched pair with how many are done, of how many. GeometryError where too
    little matches.
    """
    options = options or MappingOptions()
    extractor = _check(features, cameras)

    def agree(i: int, j: int, matches: Matches) -> np.ndarray:
        rows = (features[i].pixels[matches.rows_a], features[j].pixels[matches.rows_b])
        scales = (features[i].scale[matches.rows_a], features[j].scale[matches.rows_b])
        return _meet((cameras[i], cameras[j]), rows, scales, options)

    chosen, sizes = choose_pairs(cameras, options.n_neighbours), [camera.size for camera in cameras]
    pairs = match_pairs(features, chosen, options.matching, agree, tell, sizes)
    tracks = chain(features, pairs)
    if tracks.n < FEWEST_POINTS:
        raise GeometryError(
            f"landmarks: only {tracks.n} points were found in two images or more of {len(cameras)}; "
            "give images that overlap by half, and check that the cameras are those of the images"
        )
    placed = observed(features, tracks)
    noise = options.start
    lenses: tuple[tuple[Lens, Lens], ...] = ()
    for _ in range(ROUNDS):
        found = place(placed, cameras, noise, options.triangulation)
        used = found.used & (found.redundancy > 0)
        known2 = survey_px2(placed, cameras, found)[used]
        noise = learn_noise(found.residual[used], found.redundancy[used], placed.scale[used], noise, known2)
    found = place(placed, cameras, noise, options.triangulation)
    if options.refine_lenses:
        cameras, lenses = _with_lenses(placed, cameras, found, noise)
        found = place(placed, cameras, noise, options.triangulation)
    kept = placed.take(found.used)
    landmarks = _landmarks(kept, cameras, place(kept, cameras, noise, LAX, slack=0.0), noise, extractor)
    landmarks = replace(landmarks, noise=replace(noise, shared=learn_shared(landmarks)), lenses=lenses)
    return replace(landmarks, repeats=learn_repeats(landmarks, np.random.default_rng(options.seed)))


def _check(features: Sequence[LocalFeatures], cameras: Sequence[Camera]) -> str:
    if len(features) != len(cameras) or len(cameras) < 2:
        raise InputError(f"landmarks: {len(features)} images with {len(cameras)} cameras; give two or more of each")
    extractors = {each.extractor for each in features}
    if len(extractors) > 1:
        raise InputError(f"landmarks: features of different extractors: {', '.join(sorted(extractors))}")
    names = [camera.name for camera in cameras]
    if len(set(names)) < len(names):
        raise InputError("landmarks: two images have one name; names must differ")
    for camera in cameras:
        camera.require_pose("cannot place landmarks")
    return extractors.pop()


def _meet(
    cameras: tuple[Camera, Camera],
    pixels: tuple[np.ndarray, np.ndarray],
    scales: tuple[np.ndarray, np.ndarray],
    options: MappingOptions,
) -> np.ndarray:
    """Which matches' rays meet in front of both cameras, as far as their uncertainty tells: (M,) bool."""
    both = np.stack(pixels, axis=1).astype(float)
    sigma = np.stack([options.start.sigma(scale) for scale in scales], axis=1)
    cov = sigma[..., None, None] ** 2 * np.eye(2)
    refusal = triangulate(both, cameras, cov, replace(options.triangulation, robust=False)).refusal
    return np.isin(refusal, [Refusal.NONE, Refusal.PARALLEL, Refusal.VAGUE])


@dataclass(frozen=True, eq=False)
class Observed:
    """The observations of tracks, ordered by track, with the columns of their features."""

    tracks: Tracks
    pixels: np.ndarray
    scale: np.ndarray
    descriptors: np.ndarray

    def take(self, rows: np.ndarray) -> "Observed":
        """Those that a mask selects; tracks keep their numbers."""
        tracks = self.tracks
        left = Tracks(tracks.image[rows], tracks.feature[rows], tracks.track[rows], tracks.n)
        return Observed(left, self.pixels[rows], self.scale[rows], self.descriptors[rows])


@dataclass(frozen=True, eq=False)
class Placed:
    """Where T tracks are: `xyz` (T, 3), `cov` (T, 3, 3) of noise and calibration, `refusal` (T,).

    Of N observations `residual` (N, 2) px and whether they were `used`.

    `redundancy` (N,) is the share of an observation's error that its residual shows.
    """

    xyz: np.ndarray
    cov: np.ndarray
    refusal: np.ndarray
    residual: np.ndarray
    used: np.ndarray
    redundancy: np.ndarray


def observed(features: Sequence[LocalFeatures], tracks: Tracks) -> Observed:
    """The observations' columns out of the images' features."""
    starts = np.concatenate([[0], np.cumsum([len(each) for each in features])])
    rows = starts[tracks.image] + tracks.feature
    pixels, scale, descriptors = (
        np.concatenate([getattr(each, name) for each in features])[rows] for name in ("pixels", "scale", "descriptors")
    )
    return Observed(tracks, pixels, scale.astype(float), descriptors)


def place(
    observed: Observed,
    cameras: Sequence[Camera],
    noise: FeatureNoise,
    options: TriangulationOptions,
    slack: float = 1.0,
) -> Placed:
    """Triangulate all tracks, a block at a time: a block's table of pixels is as wide as the images that see it.

    Sigmas are widened by `slack` floors: no point is to be refused for what all points of an image share.
    """
    tracks, n = observed.tracks, len(observed.pixels)
    out = Placed(
        np.full((tracks.n, 3), np.nan), np.full((tracks.n, 3, 3), np.nan), np.zeros(tracks.n, np.int8),
        np.full((n, 2), np.nan), np.zeros(n, bool), np.zeros(n),
    )  # fmt: skip
    sigma = np.hypot(noise.sigma(observed.scale), slack * noise.floor)
    starts = np.searchsorted(tracks.track, np.arange(tracks.n + 1))
    for first in range(0, tracks.n, BLOCK):
        last = min(first + BLOCK, tracks.n)
        rows = np.arange(starts[first], starts[last])
        images, column = np.unique(tracks.image[rows], return_inverse=True)
        at = tracks.track[rows] - first, column
        pixels = np.full((last - first, len(images), 2), np.nan)
        cov = np.tile(np.eye(2), (*pixels.shape[:2], 1, 1))
        pixels[at], cov[at] = observed.pixels[rows], sigma[rows, None, None] ** 2 * np.eye(2)
        found = triangulate(pixels, [cameras[i] for i in images.tolist()], cov, options)
        out.xyz[first:last], out.refusal[first:last] = found.xyz, found.refusal
        out.cov[first:last] = found.cov + found.bias_cov
        out.residual[rows], out.used[rows] = found.residual_px[at], found.used[at]
        views = found.n_views[at[0]]
        out.redundancy[rows] = (2 * views - 3) / np.maximum(2 * views, 1)
    return out


def survey_px2(observed: Observed, cameras: Sequence[Camera], placed: Placed) -> np.ndarray:
    """Variance (N,) px² of an axis of each observation's residual from what its camera's `calib_cov` leaves open."""
    out = np.zeros(len(observed.pixels))
    for index, camera in enumerate(cameras):
        rows = np.flatnonzero((observed.tracks.image == index) & placed.used)
        if camera.calib_cov.any() and len(rows):
            _, _, by_calib = camera.jacobians(placed.xyz[observed.tracks.track[rows]])
            out[rows] = np.einsum("nij,jk,nik->n", by_calib, camera.calib_cov, by_calib) / 2
    return out


def _with_lenses(
    observed: Observed, cameras: Sequence[Camera], placed: Placed, noise: FeatureNoise
) -> tuple[tuple[Camera, ...], tuple[tuple[Lens, Lens], ...]]:
    """The cameras with lenses that several share as their images tell, and those lenses, as stated and as found."""
    rows = np.flatnonzero(placed.used & (placed.refusal == Refusal.NONE)[observed.tracks.track])
    names, point = np.unique(observed.tracks.track[rows], return_inverse=True)
    image, pixels = observed.tracks.image[rows], observed.pixels[rows].astype(float)
    refined, lenses = list(cameras), []
    for group in shared_lenses(cameras):
        lens = refine_lens(refined, group, image, point, pixels, observed.scale[rows], placed.xyz[names], noise)
        lenses.append((cameras[group[0]].lens, lens))
        for index in group.tolist():
            refined[index] = replace(cameras[index], lens=lens)
    return tuple(refined), tuple(lenses)


def _landmarks(
    observed: Observed, cameras: Sequence[Camera], placed: Placed, noise: FeatureNoise, extractor: str
) -> LandmarkMap:
    good, tracks = placed.refusal == Refusal.NONE, observed.tracks
    if good.sum() < FEWEST_POINTS:
        counts = np.bincount(placed.refusal, minlength=len(Refusal))
        why = ", ".join(f"{reason.name.lower()} {counts[reason]}" for reason in Refusal if reason and counts[reason])
        said = f"landmarks: only {good.sum()} of {tracks.n} points could be placed ({why})"
        raise GeometryError(f"{said}; are the cameras those of the images?")
    rows = np.flatnonzero(placed.used & good[tracks.track])
    number = np.cumsum(good) - 1
    rows = rows[np.lexsort((tracks.track[rows], tracks.image[rows]))]
    return LandmarkMap(
        tuple(cameras), placed.xyz[good], placed.cov[good], tracks.image[rows].astype(np.int32),
        number[tracks.track[rows]].astype(np.int32), observed.pixels[rows], observed.scale[rows].astype(np.float32),
        observed.descriptors[rows], extractor, noise,
    )  # fmt: skip
