"""The landmark map of a site: points in space, what they look like in each image that saw them, and how sure all is.

Made by `mapping.build_landmarks`, kept on disk by `landmark_storage`, asked by `relocalization.relocalize`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.geometry.gaussian import symmetric
from geoloc.relocalize.landmark_index import LandmarkIndex, build_index
from geoloc.relocalize.map_frame import MapFrame
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Lens

# Beta distribution of a new landmark's presence: four in five last, and what is there stays or goes for good
STAYS = (0.8, 0.2)
NOTHING2 = 1e8  # variance of what rests on nothing
LEAST_SHARE = 1e-12  # information beside the strongest; what has less is unknown, not infinite


@dataclass(frozen=True)
class FeatureNoise:
    """How far features lie from where they should: sigma² = floor² + (per_scale * scale)² px² on each axis.

    A blob's place is known to a share of its size (Zeisl et al. 2009). `shared` is what the errors of one image have
    in common, from lens and survey: an error of the image's pose that is as uncertain as if a single point had told it
    with this sigma (px), however many did.
    """

    floor: float = 0.3
    per_scale: float = 0.1
    shared: float = 0.1

    def __post_init__(self) -> None:
        if not all(np.isfinite(value) and value >= 0 for value in (self.floor, self.per_scale, self.shared)):
            raise InputError(f"feature noise {self}: all must be finite and at least 0")
        if self.floor == 0:
            raise InputError("feature noise: the floor must be positive")

    def sigma(self, scale: np.ndarray) -> np.ndarray:
        """Standard deviation (N,) px of each axis of features of `scale` (N,) px."""
        return np.hypot(self.floor, self.per_scale * np.asarray(scale, float))


@dataclass(frozen=True, eq=False)
class LandmarkMap:
    """P landmarks, and N observations of them in the images of `cameras`.

    `points` (P, 3) m with `point_cov` (P, 3, 3) m² from the observations' noise and the cameras' `calib_cov`, of which
    the latter is common to many points: a pose carries it on (`pose_fit.leaning`). Of observations, ordered by image:
    `image` (N,) int, `point` (N,) int, `pixels` (N, 2) px, `scale` (N,) px, `descriptors` (N, D) uint8 (or float32) by
    `extractor`. `lenses` are pairs of a lens as several of its cameras stated it and as the map found it.
    `stored_index` is what its file holds for the search; `index` makes it otherwise. `repeats` (K, 3) is what the best
    wrong place gathered for each of some images of the map (`Evidence.support` and `pieces`, 0 where there was none),
    and 1 where it was the best of all. `frame` is what is open of the whole map's place on the site. `seen` and
    `missed` (P,) are how often each landmark has been there or gone when the map was updated (`upkeep`), in visits.
    """

    cameras: tuple[Camera, ...]
    points: np.ndarray
    point_cov: np.ndarray
    image: np.ndarray
    point: np.ndarray
    pixels: np.ndarray
    scale: np.ndarray
    descriptors: np.ndarray
    extractor: str
    noise: FeatureNoise
    lenses: tuple[tuple[Lens, Lens], ...] = ()
    stored_index: LandmarkIndex | None = None
    repeats: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    frame: MapFrame = field(default_factory=MapFrame)
    seen: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    missed: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        n, n_points = len(self.image), len(self.points)
        for name in ("seen", "missed"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(n_points, np.float32))
        shapes = {
            "points": (n_points, 3), "point_cov": (n_points, 3, 3), "image": (n,), "point": (n,), "pixels": (n, 2),
            "scale": (n,), "descriptors": (n, *self.descriptors.shape[1:2]),
            "repeats": (*self.repeats.shape[:1], 3), "seen": (n_points,), "missed": (n_points,),
        }  # fmt: skip
        for name, shape in shapes.items():
            found = getattr(self, name)
            if found.shape != shape:
                raise InputError(f"landmark map: {name} has shape {found.shape}; it must be {shape}")
            if found.dtype.kind == "f" and not np.isfinite(found).all():
                raise InputError(f"landmark map: {name} holds NaN or infinity")
        if (self.seen < 0).any() or (self.missed < 0).any():
            raise InputError("landmark map: counts of seen and missed must not be negative")
        _check_index("image", self.image, len(self.cameras))
        _check_index("point", self.point, n_points)
        if (np.diff(self.image) < 0).any():
            raise InputError("landmark map: observations are not in the order of their images")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images."""
        return tuple(camera.name for camera in self.cameras)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where the observations of each image begin, and the end: (C + 1,)."""
        return np.searchsorted(self.image, np.arange(len(self.cameras) + 1))

    def rows(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Observations (M,) of some images."""
        parts = [np.arange(self.starts[i], self.starts[i + 1]) for i in np.asarray(images, int).tolist()]
        return np.concatenate(parts) if parts else np.zeros(0, int)

    @cached_property
    def centres(self) -> np.ndarray:
        """Where the images were taken: (C, 3) m."""
        return np.array([camera.centre_world for camera in self.cameras])

    @cached_property
    def n_views(self) -> np.ndarray:
        """In how many images each landmark was observed: (P,)."""
        return np.bincount(self.point, minlength=len(self.points))

    @cached_property
    def presence(self) -> np.ndarray:
        """Probability (P,) that each landmark is still there: the mean of its Beta distribution."""
        here, gone = STAYS
        return np.asarray((here + self.seen) / (here + gone + self.seen + self.missed), float)

    @cached_property
    def present(self) -> np.ndarray:
        """Which landmarks (P,) bool are more probably there than not."""
        return self.presence >= 0.5

    @cached_property
    def index(self) -> LandmarkIndex:
        """What it is searched by."""
        return self.stored_index or build_index(self.descriptors, self.image, self.scale)

    @cached_property
    def _by_point(self) -> tuple[np.ndarray, np.ndarray]:
        """Observations (N,) ordered by landmark, and where those of each begin (P + 1,)."""
        order = np.argsort(self.point, kind="stable")
        return order, np.concatenate([[0], np.cumsum(self.n_views)])

    def sights(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Observations (M,) int of some landmarks (K,) int, each of them once, and which one each is of (M,) from 0."""
        order, starts = self._by_point
        n = self.n_views[points]
        of = np.repeat(np.arange(len(points)), n)
        within = np.arange(len(of)) - np.repeat(np.cumsum(n) - n, n)
        return order[starts[points][of] + within], of

    def shown_in(self, images: np.ndarray) -> np.ndarray:
        """Landmarks (M,) int, in order, that some of the images (K,) int show."""
        return np.unique(self.point[self.rows(images)])

    def shared_points(self, images: np.ndarray) -> np.ndarray:
        """How many landmarks some images (K,) int have in common, two at a time: (K, K) int."""
        from scipy import sparse

        rows = self.rows(images)
        _, point = np.unique(self.point[rows], return_inverse=True)
        which = np.repeat(np.arange(len(images)), np.diff(self.starts)[images])
        n_points = int(point.max(initial=-1)) + 1
        seen = sparse.csr_array((np.ones(len(rows), np.int32), (which, point)), shape=(len(images), n_points))
        seen.data[:] = 1
        return np.asarray((seen @ seen.T).todense())

    def unit_cov(self, image: int) -> np.ndarray:
        """Covariance (6 + k, 6 + k) of an image's pose and freed lens from one of its landmarks at 1 px."""
        known = self._unit_covs
        if image not in known:
            known[image] = unit_cov(self.cameras[image], self.points[self.point[self.rows([image])]])
        return known[image]

    @cached_property
    def _unit_covs(self) -> dict[int, np.ndarray]:
        return {}

    def lens_as_found(self, stated: Lens) -> Lens:
        """A lens as the map found it, if it is one that it was given; otherwise as it is."""
        for given, found in self.lenses:
            if given.model == stated.model and np.array_equal(given.params, stated.params):
                return found
        return stated

    def image_row(self, name: str) -> int:
        """The number of the image of a name."""
        if name not in self.names:
            raise unknown_name("image", name, self.names, "the landmark map")
        return self.names.index(name)

    def without(self, images: Sequence[str]) -> "LandmarkMap":
        """The map without the observations in some images, and without landmarks that fewer than two others saw.

        Places and covariances stay as they are: for a map as if the images had never been, build it without them.
        """
        gone = np.isin(np.arange(len(self.cameras)), [self.image_row(name) for name in images])
        left = ~gone[self.image]
        kept = np.bincount(self.point[left], minlength=len(self.points)) >= 2
        return self.kept(kept, left & kept[self.point], ~gone)

    def kept(
        self, points: np.ndarray, observations: np.ndarray, images: np.ndarray | None = None
    ) -> "LandmarkMap":
        """The map of some `points` (P,) bool, `observations` (N,) bool of those, and `images` (C,) bool.

        The images are those that still observe something unless they are stated.
        """
        if images is None:
            images = np.isin(np.arange(len(self.cameras)), self.image[observations])
        number, image_number = np.cumsum(points) - 1, np.cumsum(images) - 1
        taken = {name: getattr(self, name)[observations] for name in ("pixels", "scale", "descriptors")}
        return replace(
            self, cameras=tuple(each for each, stays in zip(self.cameras, images, strict=True) if stays),
            points=self.points[points], point_cov=self.point_cov[points], image=image_number[self.image[observations]],
            point=number[self.point[observations]], seen=self.seen[points], missed=self.missed[points],
            stored_index=None, **taken,
        )  # fmt: skip

    @property
    def n_bytes(self) -> int:
        """Memory of its arrays and of what it is searched by (bytes), less what stays in a file."""
        values = [getattr(self, each.name) for each in fields(self)]
        arrays = [each for each in values if isinstance(each, np.ndarray) and not isinstance(each.base, np.memmap)]
        return sum(each.nbytes for each in arrays) + self.index.n_bytes


def unit_cov(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Covariance (6 + k, 6 + k) of pose and freed lens from one point at 1 px, as these (N, 3) are on average.

    All but unknown where all lie behind the camera: a pose that rests on them rests on nothing.
    """
    _, _, by_calib = camera.jacobians(points)
    rows = by_calib[np.isfinite(by_calib).all(axis=(1, 2))].reshape(-1, by_calib.shape[2])
    if not len(rows):
        return NOTHING2 * np.eye(by_calib.shape[2])
    return len(rows) / 2 * bounded_inverse(rows.T @ rows)


def bounded_inverse(information: np.ndarray) -> np.ndarray:
    """Covariance (d, d) of an information matrix (d, d): what nothing determines is very uncertain, not infinite."""
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    return symmetric((vectors / np.maximum(values, LEAST_SHARE)) @ vectors.T / np.outer(scale, scale))


def _check_index(what: str, numbers: np.ndarray, n: int) -> None:
    if numbers.dtype.kind not in "iu" or (len(numbers) and not (numbers.min() >= 0 and numbers.max() < n)):
        raise InputError(f"landmark map: an observation's {what} is not one of the {n}")
