"""Straight lines of the world that stills show (plumb lines, level lines that are parallel, the horizon), as residuals.

The rays of a line's ends, r and s, span a plane through the camera, in which a line of world direction d lies:
(r x s) . R d = 0; an end on the horizon has r . R z = 0. Each is divided by the standard deviation that the ends
give it to first order, so that a residual is in sigmas whatever the lens. The bearing of a group of parallel lines
is found anew wherever the lines are looked at, and eliminated (variable projection; Golub and Pereyra 1973).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from geoloc.scene.distortion import radial_tangential_jacobians, undistort_rows
from geoloc.scene.known import ImageLines
from geoloc.scene.lenses import Fisheye, Lens, fisheye_jacobians, fisheye_rays

PLUMB, HORIZON = -1, -2
UNSEEN = 1e3  # residual, in sigmas, of a line that leaves the field of the lens
BEARING_STEPS = 4
AGREES = 0.1  # rad; a line farther off has no say in where the search for a bearing starts
MOST_TRIED = 12  # lines of a group whose bearing is tried

Weigh = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class SeenLines:
    """L lines from `start` to `end` (L, 2) px in `camera` (L,) int, each end off by `sigma` (L,) px.

    `group` (L,) is PLUMB, HORIZON or the number of a direction; the G directions are level, with `bearing` (G,) rad
    clockwise from north, NaN where it is not known, and its `bearing_sigma` (G,) rad.
    What counts or does not are the statements: the L lines, then the G bearings.
    """

    camera: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    start: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    end: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    sigma: np.ndarray = field(default_factory=lambda: np.zeros(0))
    group: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    bearing: np.ndarray = field(default_factory=lambda: np.zeros(0))
    bearing_sigma: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.sigma)

    def kept(self, good: np.ndarray) -> "SeenLines":
        """The lines with the good statements (L + G,) bool alone; a bearing that is not good is unknown."""
        n = len(self)
        names = ("camera", "start", "end", "sigma", "group")
        bearing = np.where(good[n:], self.bearing, np.nan)
        return replace(self, bearing=bearing, **{name: getattr(self, name)[good[:n]] for name in names})

    def of(self, rows: np.ndarray) -> "SeenLines":
        """The lines (L,) bool alone, all bearings as they were."""
        return self.kept(np.concatenate([rows, np.ones(len(self.bearing), bool)]))

    @property
    def n_statements(self) -> int:
        return len(self) + len(self.bearing)

    @cached_property
    def row_line(self) -> np.ndarray:
        """The line (R,) of each residual, -1 for that of a stated bearing: a line of the horizon has two."""
        lines = np.arange(len(self))
        stated = np.flatnonzero(np.isfinite(self.bearing))
        return np.concatenate([lines, lines[self.group == HORIZON], np.full(len(stated), -1)])

    @cached_property
    def row_group(self) -> np.ndarray:
        """The direction (R,) that each residual is about; negative where it is up."""
        n = int((self.row_line >= 0).sum())
        return np.concatenate([self.group[self.row_line[:n]], np.flatnonzero(np.isfinite(self.bearing))])

    @cached_property
    def row_statement(self) -> np.ndarray:
        """The statement (R,) that each residual belongs to."""
        return np.where(self.row_line >= 0, self.row_line, len(self) + self.row_group)

    @cached_property
    def freedom(self) -> int:
        """How many independent things the lines say: residuals less unknown bearings."""
        return len(self.row_line) - len(np.unique(self.row_group[self.row_group >= 0]))

    @property
    def of_up(self) -> np.ndarray:
        """Which lines (L,) say where up is."""
        return self.group < 0


def seen_lines(table: ImageLines, index: Mapping[str, int]) -> tuple[SeenLines, tuple[str, ...]]:
    """The lines of the cameras in `index`, numbered by it, and the names of the directions."""
    table = table.take(np.isin(table.camera, list(index)))
    parallel = table.kind == "parallel"
    names = np.unique(table.group[parallel])
    group = np.where(table.kind == "plumb", PLUMB, HORIZON)
    group[parallel] = np.searchsorted(names, table.group[parallel])
    bearing, sigma = np.full(len(names), np.nan), np.full(len(names), np.nan)
    for row in np.flatnonzero(np.isfinite(table.bearing_deg)).tolist():
        bearing[group[row]], sigma[group[row]] = table.bearing[row], table.bearing_sigma[row]
    camera = np.array([index[name] for name in table.camera.tolist()], int)
    return SeenLines(camera, table.start, table.end, table.sigma, group, bearing, sigma), tuple(names.tolist())


@dataclass(frozen=True, eq=False)
class Ends:
    """The rays (B, L, 2, 3) of both ends of L lines through B lenses, and how they change.

    `by_pixel` (B, L, 2, 3, 2), `by_lens` (B, L, 2, 3, K) by the K unknowns of a lens; `focal_by_lens` (B, L, K) is
    the derivative of the logarithm of the focal length. NaN where the lens cannot be undone.
    """

    rays: np.ndarray
    by_pixel: np.ndarray
    by_lens: np.ndarray
    focal_by_lens: np.ndarray


def ends_through(kind: type[Lens], params: np.ndarray, lines: SeenLines, by_unknowns: np.ndarray) -> Ends:
    """The ends of L lines through B lenses of parameters (B, P); `by_unknowns` (B, P, K) is their derivative."""
    n_fits, n = len(params), 2 * len(lines)
    pixels = np.tile(np.stack([lines.start, lines.end], axis=1).reshape(-1, 2), (n_fits, 1))
    rows, limits = np.repeat(params, n, axis=0), np.repeat(_limits(kind, params), n)
    fisheye = kind is Fisheye
    rays = (fisheye_rays if fisheye else undistort_rows)(rows, limits, pixels)
    _, by_point, by_param = (fisheye_jacobians if fisheye else radial_tangential_jacobians)(rows, rays)
    # of all changes of the ray that bring the pixel, the one across it
    transposed, shape = by_point.swapaxes(1, 2), (n_fits, len(lines), 2, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_pixel = transposed @ _inverse_2(by_point @ transposed)
        by_lens = (-by_pixel @ by_param).reshape(*shape, -1) @ by_unknowns[:, None, None]
    focal = params[:, :2].mean(axis=1)
    by_focal = by_unknowns[:, :2].mean(axis=1) / focal[:, None]
    return Ends(
        rays.reshape(shape), by_pixel.reshape(*shape, 2), by_lens,
        np.repeat(by_focal[:, None], len(lines), axis=1),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class LineRows:
    """R residuals of B sets of lines, in sigmas, with derivatives by a camera's rotation and lens and by bearings.

    Rows that a bearing moves are to be `projected`, which eliminates it.
    """

    lines: SeenLines
    residual: np.ndarray  # (B, R)
    by_rotation: np.ndarray  # (B, R, 3)
    by_lens: np.ndarray  # (B, R, K)
    by_bearing: np.ndarray  # (B, R)

    def projected(self, jacobian: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rooted `weight` (B, R) times residual (B, R) and `jacobian` (B, R, K), less what bearings could take up.

        Also what share (B, R) of each row they take up.
        """
        root = np.sqrt(weight)
        residual, rows = self.residual * root, jacobian * root[..., None]
        lean, share = self.by_bearing * root, np.zeros_like(root)
        for group in np.unique(self.lines.row_group[self.lines.row_group >= 0]).tolist():
            own = self.lines.row_group == group
            along = lean[:, own]
            size2 = np.maximum((along**2).sum(axis=1, keepdims=True), 1e-30)
            rows[:, own] -= along[..., None] * (along[:, None] @ rows[:, own] / size2[..., None])
            residual[:, own] -= along * (along * residual[:, own]).sum(axis=1, keepdims=True) / size2
            share[:, own] = along**2 / size2
        return residual, rows, share


def line_rows(lines: SeenLines, rotation: np.ndarray, ends: Ends, weigh: Weigh) -> LineRows:
    """The residuals of lines through cameras of `rotation` (B, L, 3, 3), bearings where `weigh` puts them.

    `weigh` takes residuals (B, R) in sigmas to the weights that they have.
    """
    bearing = _bearings(lines, rotation, ends, weigh)
    n_lines = int((lines.row_line >= 0).sum())
    line = lines.row_line[:n_lines]
    found = _rows(lines, rotation, ends, bearing)
    flat = _cross(found.by_direction, found.direction)  # (B, R, 3): c x (g by c) with the sign of w x c
    lens = np.einsum("brea,break->brk", found.by_rays, ends.by_lens[:, line])
    lens = lens + found.value[..., None] * ends.focal_by_lens[:, line]
    sigma = found.sigma
    seen = np.isfinite(found.value) & np.isfinite(sigma) & (sigma > 0) & np.isfinite(lens).all(axis=-1)
    safe = np.where(seen, sigma, 1.0)
    lean = np.einsum("bri,bri->br", found.by_direction, found.turned)

    def rows(values: np.ndarray) -> np.ndarray:
        mask = seen.reshape(*seen.shape, *[1] * (values.ndim - 2))
        return np.where(mask, values / safe.reshape(mask.shape), 0.0)

    stated = lines.row_group[n_lines:]
    known = _turn(bearing[:, stated] - lines.bearing[stated]) / lines.bearing_sigma[stated]
    extra = np.zeros((len(bearing), len(stated)))
    return LineRows(
        lines,
        np.concatenate([np.where(seen, rows(found.value), UNSEEN), known], axis=1),
        np.concatenate([rows(-flat), np.repeat(extra[..., None], 3, axis=2)], axis=1),
        np.concatenate([rows(lens), np.repeat(extra[..., None], lens.shape[2], axis=2)], axis=1),
        np.concatenate([rows(lean), extra + 1.0 / lines.bearing_sigma[stated]], axis=1),
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """Of the R rows of lines: what should be zero, its sigma, and its derivatives."""

    value: np.ndarray  # (B, R)
    sigma: np.ndarray
    direction: np.ndarray  # (B, R, 3) of the world line, in the camera
    turned: np.ndarray  # (B, R, 3) its derivative by the bearing
    by_direction: np.ndarray  # (B, R, 3)
    by_rays: np.ndarray  # (B, R, 2, 3) by both ends' rays


def _rows(lines: SeenLines, rotation: np.ndarray, ends: Ends, bearing: np.ndarray) -> _Rows:
    line = lines.row_line[lines.row_line >= 0]
    group = lines.group[line]
    second = np.arange(len(line)) >= len(lines)
    level, horizon = (group >= 0)[:, None], (group == HORIZON)[:, None]
    world, turned = np.zeros((2, len(bearing), len(line), 3))
    if len(lines.bearing):
        angle = bearing[:, np.maximum(group, 0)]
        world[..., 0], world[..., 1] = np.sin(angle), np.cos(angle)
        turned[..., 0], turned[..., 1] = np.cos(angle), -np.sin(angle)
    world, turned = np.where(level, world, [0.0, 0.0, 1.0]), np.where(level, turned, 0.0)
    turn = rotation[:, line]
    direction, turned = ((turn @ part[..., None])[..., 0] for part in (world, turned))
    first, last = ends.rays[:, line, 0], ends.rays[:, line, 1]
    by_direction = np.where(horizon, np.where(second[:, None], last, first), _cross(first, last))
    by_first = np.where(horizon, np.where(second[:, None], 0.0, direction), _cross(last, direction))
    by_last = np.where(horizon, np.where(second[:, None], direction, 0.0), _cross(direction, first))
    by_rays = np.stack([by_first, by_last], axis=2)
    by_pixel = np.einsum("brea,breap->brep", by_rays, ends.by_pixel[:, line])
    sigma = lines.sigma[line] * np.sqrt((by_pixel**2).sum(axis=(2, 3)))
    value = np.einsum("bri,bri->br", by_direction, direction)
    return _Rows(value, sigma, direction, turned, by_direction, by_rays)


def _bearings(lines: SeenLines, rotation: np.ndarray, ends: Ends, weigh: Weigh) -> np.ndarray:
    """The bearings (B, G) rad that the lines and what is stated want: the best of those of each line, refined."""
    n_groups = len(lines.bearing)
    bearing = np.tile(np.nan_to_num(lines.bearing), (len(rotation), 1))
    if not n_groups:
        return bearing
    normal = np.nan_to_num(_cross(ends.rays[:, :, 0], ends.rays[:, :, 1]))
    flat = np.einsum("bli,blij->blj", normal, rotation)[..., :2]
    for group, stated in enumerate(lines.bearing.tolist()):
        own = flat[:, lines.group == group][:, :MOST_TRIED]
        if np.isfinite(stated):  # one opinion among the others
            said = np.broadcast_to([np.cos(stated), -np.sin(stated)], (len(own), 1, 2))
            own = np.concatenate([said, own], axis=1)
        if own.shape[1]:
            found, near = _first_bearing(own), float(np.nan_to_num(stated))
            bearing[:, group] = near + _turn(found - near)
    line = lines.row_line[lines.row_line >= 0]
    sigma = _rows(lines, rotation, ends, bearing).sigma
    flat = np.where((np.isfinite(sigma) & (sigma > 0))[..., None], flat[:, line] / sigma[..., None], 0.0)
    flat[:, lines.group[line] < 0] = 0.0
    stated = lines.row_group[len(line) :]
    known = np.broadcast_to(1.0 / lines.bearing_sigma[stated], (len(bearing), len(stated)))
    of_group = (lines.row_group[:, None] == np.arange(n_groups)).astype(float)
    for _ in range(BEARING_STEPS):
        angle = bearing[:, np.maximum(lines.group[line], 0)]
        sine, cosine = np.sin(angle), np.cos(angle)
        residual = np.hstack([
            flat[..., 0] * sine + flat[..., 1] * cosine, _turn(bearing[:, stated] - lines.bearing[stated]) * known,
        ])  # fmt: skip
        lean = np.hstack([flat[..., 0] * cosine - flat[..., 1] * sine, known])
        weight = weigh(residual) * lean
        pull, stiff = (weight * residual) @ of_group, (weight * lean) @ of_group
        bearing = bearing - np.clip(pull / np.maximum(stiff, 1e-30), -0.3, 0.3)
    return bearing


def _first_bearing(flat: np.ndarray) -> np.ndarray:
    """Of the level directions in the planes of K lines, that (B,) to which most others come near.

    `flat` (B, K, 2) is the level part of the planes' normals.
    """
    own = np.arctan2(-flat[..., 1], flat[..., 0])
    along = np.stack([np.sin(own), np.cos(own)], axis=-1)
    unit = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-30)
    cost = np.minimum(np.einsum("bki,bci->bck", unit, along) ** 2, AGREES**2).sum(axis=2)
    return np.take_along_axis(own, cost.argmin(axis=1)[:, None], axis=1)[:, 0]


def _limits(kind: type[Lens], params: np.ndarray) -> np.ndarray:
    """How far (B,) from their axes lenses of `params` (B, P) are one-to-one."""
    if kind is Fisheye or params[:, 6:].any():
        return np.array([kind(row).limit for row in params])  # type: ignore[call-arg]
    k1, k2 = (params[:, column] if params.shape[1] > column else np.zeros(len(params)) for column in (4, 5))
    # r (1 + k1 r² + k2 r⁴) turns where 1 + 3 k1 r² + 5 k2 r⁴ = 0
    root = np.sqrt(np.maximum(9 * k1**2 - 20 * k2, 0.0))
    turns = -3 * k1 + root
    has = (9 * k1**2 >= 20 * k2) & (turns > 1e-12)
    return np.where(has, np.sqrt(2.0 / np.where(has, turns, 1.0)), np.inf)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of (..., 3), faster than NumPy's for few rows."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)


def _turn(angle: np.ndarray) -> np.ndarray:
    """An angle between two lines that have no sense: between -90 and 90 degrees."""
    return (angle + 0.5 * np.pi) % np.pi - 0.5 * np.pi


def _inverse_2(matrix: np.ndarray) -> np.ndarray:
    (a, b), (c, d) = np.moveaxis(matrix, (-2, -1), (0, 1))
    inverse = np.stack([np.stack([d, -b], -1), np.stack([-c, a], -1)], -2)
    return inverse / (a * d - b * c)[..., None, None]
