"""What a bundle adjustment is given, and the columns of its unknowns.

The unknowns are the border (poses, lenses, and the points between which distances are measured) and the other
points, each of which meets the border alone and is eliminated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy import sparse

from geoloc.errors import GeometryError, InputError
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.estimators.seen_lines import SeenLines
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye

FOCAL = "f"  # fx and fy together, their ratio kept
LEAST_SIGMA = 1e-6  # m; a point that is stated as exact is held this tightly


@dataclass(frozen=True, eq=False)
class Sights:
    """N pixels (N, 2) of `point` (N,) int in `camera` (N,) int, each axis with standard deviation `sigma` (N,) px."""

    camera: np.ndarray
    point: np.ndarray
    pixel: np.ndarray
    sigma: np.ndarray

    def take(self, rows: np.ndarray) -> "Sights":
        """The rows that a mask or an index selects."""
        return Sights(self.camera[rows], self.point[rows], self.pixel[rows], self.sigma[rows])


@dataclass(frozen=True, eq=False)
class Surveyed:
    """Q points (Q,) int whose places (Q, 3) m are known to `sigma` (Q, 3) m."""

    point: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    xyz: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    sigma: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))


@dataclass(frozen=True, eq=False)
class Spans:
    """D distances (D,) m between points `ends` (D, 2) int, with `sigma` (D,) m."""

    ends: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    metres: np.ndarray = field(default_factory=lambda: np.zeros(0))
    sigma: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, eq=False)
class Heights:
    """H cameras (H,) int whose centres lie on planes z = a x + b y + c, `plane` (H, 3), to `sigma` (H,) m."""

    camera: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    plane: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    sigma: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, eq=False)
class Network:
    """Cameras and points (P, 3) m where the adjustment starts, and what was measured.

    `lens` (C,) int says which lens a camera has: cameras of one number share its parameters. `freed` says, for
    each lens, which of them are unknowns; "f" is fx and fy with their ratio kept. `priors` say what is known of each
    lens before any measurement, None where nothing is; empty if nothing is known of any. `held` (C,) bool are cameras
    that stay as they are: their `calib_cov` is carried into what they support, and is not made smaller.
    """

    cameras: tuple[Camera, ...]
    points: np.ndarray
    sights: Sights
    surveyed: Surveyed = field(default_factory=Surveyed)
    spans: Spans = field(default_factory=Spans)
    heights: Heights = field(default_factory=Heights)
    lines: SeenLines = field(default_factory=SeenLines)
    lens: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    freed: tuple[tuple[str, ...], ...] = ()
    priors: tuple[CameraPrior | None, ...] = ()
    held: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        n = len(self.cameras)
        if not len(self.lens):
            object.__setattr__(self, "lens", np.arange(n))
            object.__setattr__(self, "freed", self.freed or tuple(camera.freed for camera in self.cameras))
        if not len(self.held):
            object.__setattr__(self, "held", np.zeros(n, bool))
        n_lenses = int(self.lens.max(initial=-1)) + 1
        if len(self.lens) != n or len(self.held) != n or len(self.freed) != n_lenses:
            raise InputError(f"bundle of {n} cameras: give a lens and `held` for each, and `freed` for each lens")
        if len(self.priors) not in (0, n_lenses):
            raise InputError(f"bundle of {n_lenses} lenses: {len(self.priors)} priors; give one or None for each lens")
        for camera in self.cameras:
            camera.require_pose("cannot be adjusted")
        _check_shared(self)
        _check_rows(self)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each unknown of a network stands in the border, and how rows meet."""

    network: Network

    @cached_property
    def ties(self) -> tuple[np.ndarray, ...]:
        """For each lens, derivative of all its parameters by its unknowns: (P, k)."""
        first = [self.network.cameras[int(np.argmax(self.network.lens == g))] for g in range(len(self.network.freed))]
        return tuple(tie_matrix(camera, names) for camera, names in zip(first, self.network.freed, strict=True))

    @cached_property
    def lens_start(self) -> np.ndarray:
        """First column of each lens, and the end: (L + 1,)."""
        sizes = [len(names) for names in self.network.freed]
        return 6 * len(self.network.cameras) + np.concatenate([[0], np.cumsum(sizes)]).astype(int)

    @cached_property
    def promoted(self) -> np.ndarray:
        """Points (p,) int that stand in the border, for a distance ends at them."""
        return np.unique(self.network.spans.ends)

    @cached_property
    def point_column(self) -> np.ndarray:
        """First column of each point (P,) that stands in the border; -1 of the others."""
        column = np.full(len(self.network.points), -1)
        column[self.promoted] = self.lens_start[-1] + 3 * np.arange(len(self.promoted))
        return column

    @cached_property
    def size(self) -> int:
        """Number of the border's unknowns."""
        return int(self.lens_start[-1] + 3 * len(self.promoted))

    @cached_property
    def columns(self) -> np.ndarray:
        """Columns (C, K) of each camera's pose and lens; `size`, a column of nothing, fills the rest."""
        n = len(self.network.cameras)
        width = 6 + max((len(names) for names in self.network.freed), default=0)
        columns = np.full((n, width), self.size)
        columns[:, :6] = 6 * np.arange(n)[:, None] + np.arange(6)
        for i, lens in enumerate(self.network.lens.tolist()):
            own = np.arange(self.lens_start[lens], self.lens_start[lens + 1])
            columns[i, 6 : 6 + len(own)] = own
        return columns

    @cached_property
    def free(self) -> np.ndarray:
        """Columns (F,) that are solved for: all but those of held cameras and of their lenses."""
        held = np.zeros(self.size + 1, dtype=bool)
        held[self.columns[self.network.held]] = True
        return np.flatnonzero(~held[: self.size])

    @cached_property
    def order(self) -> np.ndarray:
        """The sights (N,) by kind of lens, then by camera: what `sights`, `slices` and `pairs` count in."""
        return np.argsort(self.rank[self.network.sights.camera], kind="stable")

    @cached_property
    def rank(self) -> np.ndarray:
        """Place (C,) of each camera among all, cameras of one kind of lens together."""
        kinds = [kind_of(camera) for camera in self.network.cameras]
        rank = np.empty(len(kinds), dtype=int)
        rank[sorted(range(len(kinds)), key=lambda i: (kinds[i], i))] = np.arange(len(kinds))
        return rank

    @cached_property
    def sights(self) -> Sights:
        """The network's sights in `order`."""
        return self.network.sights.take(self.order)

    @cached_property
    def slices(self) -> tuple[tuple[int, slice], ...]:
        """Each camera that sees something, with its rows of `sights`."""
        return tuple(_runs(self.sights.camera))

    @cached_property
    def kinds(self) -> tuple[tuple[tuple[str, int], slice], ...]:
        """Each kind of lens, with its rows of `sights`."""
        kinds = [kind_of(camera) for camera in self.network.cameras]
        names = sorted(set(kinds))
        code = np.array([names.index(kind) for kind in kinds])
        return tuple((names[i], rows) for i, rows in _runs(code[self.sights.camera]))

    @cached_property
    def eliminated(self) -> np.ndarray:
        """Which of `sights` (N,) bool are of points that are eliminated."""
        return self.point_column[self.sights.point] < 0

    @cached_property
    def by_point(self) -> sparse.csr_array:
        """Sums rows of `sights` over the points that are eliminated: (P, N)."""
        rows = np.flatnonzero(self.eliminated)
        shape = (len(self.network.points), len(self.sights.camera))
        return sparse.csr_array((np.ones(len(rows)), (self.sights.point[rows], rows)), shape=shape)

    def sum_blocks(self, rows: np.ndarray, blocks: np.ndarray) -> np.ndarray:
        """Sums (P, 3, 3) of `blocks` (M, 3, 3) over the points that `rows` (M,) of `sights` see."""
        shape = (len(self.network.points), len(rows))
        sums = sparse.csr_array((np.ones(len(rows)), (self.sights.point[rows], np.arange(len(rows)))), shape=shape)
        return (sums @ blocks.reshape(-1, 9)).reshape(-1, 3, 3)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, tuple[tuple[int, int, slice], ...]]:
        """Every two sights of an eliminated point: rows (M,) and rows (M,), the runs of one pair of cameras."""
        first, second = _pairs(self.sights.point, np.flatnonzero(self.eliminated))
        n = len(self.network.cameras)
        key = self.sights.camera[first] * n + self.sights.camera[second]
        order = np.argsort(key, kind="stable")
        runs = tuple((code // n, code % n, rows) for code, rows in _runs(key[order]))
        return first[order], second[order], runs


def kind_of(camera: Camera) -> tuple[str, int]:
    """The equations of a camera's lens, and how many parameters they take."""
    return ("fisheye" if isinstance(camera.lens, Fisheye) else "radial_tangential"), len(camera.lens.params)


def tie_matrix(camera: Camera, names: Sequence[str]) -> np.ndarray:
    """Derivative of a lens's parameters by the unknowns of these names: (P, k); "f" moves fx and fy alike."""
    known = camera.lens.parameter_names
    matrix = np.zeros((len(known), len(names)))
    for column, name in enumerate(names):
        if name == FOCAL:
            matrix[:2, column] = 1.0, camera.lens.params[1] / camera.lens.params[0]
        else:
            matrix[known.index(name), column] = 1.0
    return matrix


def _runs(values: np.ndarray) -> list[tuple[int, slice]]:
    """Runs of equal values: the value and its rows."""
    if not len(values):
        return []
    edges = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [len(values)]]).tolist()
    return [(int(values[a]), slice(a, b)) for a, b in pairwise(edges)]


def _pairs(point: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of `rows` that see one point, the earlier row first."""
    rows = rows[np.argsort(point[rows], kind="stable")]
    _, start, count = np.unique(point[rows], return_index=True, return_counts=True)
    found = [(np.empty(0, int), np.empty(0, int))]
    for n in np.unique(count[count > 1]).tolist():
        a, b = np.triu_indices(n, 1)
        base = start[count == n][:, None]
        found.append((rows[(base + a).ravel()], rows[(base + b).ravel()]))
    first, second = (np.concatenate(part) for part in zip(*found, strict=True))
    return first, second


def _check_shared(network: Network) -> None:
    for lens, names in enumerate(network.freed):
        members = [network.cameras[i] for i in np.flatnonzero(network.lens == lens)]
        if not members:
            raise InputError(f"lens {lens} is that of no camera; number the lenses from 0 on")
        first = members[0]
        for camera in members:
            same = kind_of(camera) == kind_of(first) and np.array_equal(camera.lens.params, first.lens.params)
            if not same:
                raise InputError(f"cameras {first.name!r} and {camera.name!r} share a lens; start both with one lens")
        known = first.lens.parameter_names
        unknown = [name for name in names if name != FOCAL and name not in known]
        if unknown or len(set(names)) < len(names) or (FOCAL in names and {"fx", "fy"} & set(names)):
            said = f"camera {first.name!r}: lens parameters {', '.join(names)} cannot be freed"
            raise InputError(f"{said}; each once, of f (fx and fy together), {', '.join(known)}")


def _check_rows(network: Network) -> None:
    sights, n_points = network.sights, len(network.points)
    for what, values, limit in (
        ("camera", sights.camera, len(network.cameras)),
        ("point", sights.point, n_points),
        ("line's camera", network.lines.camera, len(network.cameras)),
        ("surveyed point", network.surveyed.point, n_points),
        ("distance's end", network.spans.ends, n_points),
    ):
        if len(values) and not (values.min() >= 0 and values.max() < limit):
            raise InputError(f"bundle: a {what} has a number outside 0 to {limit - 1}")
    if not (np.isfinite(sights.pixel).all() and (sights.sigma > 0).all() and np.isfinite(network.points).all()):
        raise InputError("bundle: pixels and points must be finite, and every sigma positive")


def require_placed(network: Network) -> None:
    """Raise GeometryError if a point is neither surveyed, nor the end of a distance, nor seen by two cameras."""
    views = np.unique(network.sights.point * len(network.cameras) + network.sights.camera) // len(network.cameras)
    n_views = np.bincount(views, minlength=len(network.points))
    n_views[network.surveyed.point] += 2
    n_views[network.spans.ends] += 2  # stands in the border, whose own check tells whether it is determined
    lost = np.flatnonzero(n_views < 2)
    if len(lost):
        which = f"{len(lost)} points, first {lost[0]}"
        raise GeometryError(f"bundle: {which}, are neither surveyed nor seen by two cameras; leave them out")
