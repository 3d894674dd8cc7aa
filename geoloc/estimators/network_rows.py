"""Every measurement of a network at a state of its unknowns: residuals, derivatives and weights, in sigmas."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.estimators.camera_prior import UNKNOWNS, lens_residuals
from geoloc.estimators.network import FOCAL, LEAST_SIGMA, Layout, Network
from geoloc.estimators.seen_lines import Ends, LineRows, ends_through, line_rows
from geoloc.geometry.se3 import perturb
from geoloc.scene.distortion import radial_tangential_jacobians
from geoloc.scene.lenses import fisheye_jacobians

# by squared sigmas of a measurement: what it costs, and the weight that its square then has
Loss = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def squares(size2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares: every measurement counts in full."""
    return size2, np.ones_like(size2)


def huber(scale: float) -> Loss:
    """Squares up to `scale` sigmas, and linear beyond (Huber 1964)."""

    def loss(size2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight = scale / np.maximum(np.sqrt(size2), scale)
        return np.where(weight < 1.0, 2.0 * scale * np.sqrt(size2) - scale**2, size2), weight

    return loss


def geman_mcclure(scale: float) -> Loss:
    """Squares near zero; what lies far beyond `scale` sigmas no longer pulls at all (Geman and McClure 1985)."""

    def loss(size2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight = 1.0 / (1.0 + size2 / scale**2)
        return size2 * weight, weight * weight

    return loss


@dataclass(frozen=True, eq=False)
class State:
    """Values of all unknowns: poses (C), parameters of each camera's lens, points (P, 3) m."""

    poses: RigidTransform
    params: tuple[np.ndarray, ...]
    points: np.ndarray

    def moved(self, layout: Layout, border: np.ndarray, points: np.ndarray) -> "State":
        """After a step of the border's unknowns (B,) and of the eliminated points (P, 3)."""
        n = len(self.params)
        params, start = [], layout.lens_start
        for i, lens in enumerate(layout.network.lens.tolist()):
            params.append(self.params[i] + layout.ties[lens] @ border[start[lens] : start[lens + 1]])
        points = points.copy()
        points[layout.promoted] = border[start[-1] :].reshape(-1, 3)
        return State(perturb(self.poses, border[: 6 * n].reshape(n, 6)), tuple(params), self.points + points)


def start_of(network: Network) -> State:
    """Where the network says that the adjustment starts."""
    matrices = np.stack([camera.cam_from_world.as_matrix() for camera in network.cameras])
    params = tuple(np.array(camera.lens.params) for camera in network.cameras)
    return State(RigidTransform.from_matrix(matrices), params, np.array(network.points, float))


@dataclass(frozen=True, eq=False)
class Sighted:
    """Predictions for N sights: pixels (N, 2), derivatives by the point (N, 2, 3) and the camera (N, 2, K)."""

    pixel: np.ndarray
    by_point: np.ndarray
    by_camera: np.ndarray


@dataclass(frozen=True, eq=False)
class Linear:
    """All measurements at a state, divided by their sigmas and rooted weights.

    `cost` is infinite where a sight has no pixel. `row_*` are the measurements that touch only the border.
    """

    cost: float
    residual: np.ndarray  # (N, 2) of the sights
    by_point: np.ndarray  # (N, 2, 3)
    by_camera: np.ndarray  # (N, 2, K)
    weight: np.ndarray  # (N,)
    survey_pull: np.ndarray  # (P, 3) sum of the surveys' gradients
    survey_information: np.ndarray  # (P, 3) and of their diagonal information
    row_residual: np.ndarray  # (R,)
    row_jacobian: np.ndarray  # (R, B)
    row_taken: np.ndarray  # (R,) what share of a measurement goes to a bearing that was eliminated


def predict(layout: Layout, state: State) -> Sighted:
    """Pixels and derivatives of the layout's sights."""
    sights = layout.sights
    n, width = len(sights.point), layout.columns.shape[1]
    matrices = state.poses.as_matrix()
    points_cam = state.points[sights.point]
    for camera, rows in layout.slices:
        points_cam[rows] = points_cam[rows] @ matrices[camera, :3, :3].T + matrices[camera, :3, 3]
    pixel, by_cam, by_point = np.empty((n, 2)), np.empty((n, 2, 3)), np.empty((n, 2, 3))
    by_camera = np.zeros((n, 2, width))
    for (kind, n_params), rows in layout.kinds:
        jacobians = fisheye_jacobians if kind == "fisheye" else radial_tangential_jacobians
        stacked = np.array([own if len(own) == n_params else np.zeros(n_params) for own in state.params])
        params = stacked[sights.camera[rows]]
        pixel[rows], by_cam[rows], by_lens = jacobians(params, points_cam[rows])
        for camera, own in layout.slices:
            tie = layout.ties[layout.network.lens[camera]]
            if tie.size and rows.start <= own.start < rows.stop:
                mine = by_lens[own.start - rows.start : own.stop - rows.start]
                by_camera[own, :, 6 : 6 + tie.shape[1]] = mine @ tie
    for camera, rows in layout.slices:
        by_point[rows] = by_cam[rows] @ matrices[camera, :3, :3]
    by_camera[:, :, :3] = _by_rotation(points_cam, by_cam)
    by_camera[:, :, 3:6] = by_cam
    return Sighted(pixel, by_point, by_camera)


def linearise(layout: Layout, state: State, loss: Loss) -> Linear:
    """All measurements of a network at `state`; sights, distances and heights are weighed by `loss`.

    Surveys are not: points give way to marks before poses do, so under a loss a wrong start would bend the map. Nor is
    what is known of lenses beforehand.
    """
    sights, seen = layout.sights, predict(layout, state)
    residual = (sights.pixel - seen.pixel) / sights.sigma[:, None]
    cost, weight = loss(np.einsum("ni,ni->n", residual, residual))
    scale = np.sqrt(weight)
    by_scale = (scale / sights.sigma)[:, None, None]
    residual, by_point, by_camera = residual * scale[:, None], seen.by_point * by_scale, seen.by_camera * by_scale
    total = float(cost.sum())
    survey_cost, pull, information = _surveys(layout.network, state)
    drawn, taken = _lines(layout, state, loss)
    parts = [_spans(layout, state, loss), _heights(layout, state, loss), drawn]
    parts += [_promoted_surveys(layout, pull, information), _priors(layout, state)]
    total += survey_cost + sum(part[0] for part in parts)
    promoted = ~layout.eliminated
    rows = [part[1:] for part in parts] + [_promoted_sights(layout, residual, by_point, by_camera, promoted)]
    n_measured = len(parts[0][1]) + len(parts[1][1])
    row_residual = np.concatenate([row[0] for row in rows])
    row_jacobian = np.concatenate([row[1] for row in rows])
    if promoted.any():
        # from here on they are rows of the border alone
        residual, by_point, by_camera = (np.where(_like(promoted, x), 0.0, x) for x in (residual, by_point, by_camera))
    return Linear(
        total if np.isfinite(total) else np.inf,
        residual, by_point, by_camera, weight, pull, information, row_residual, row_jacobian,
        np.concatenate([np.zeros(n_measured), taken, np.zeros(len(row_residual) - n_measured - len(taken))]),
    )  # fmt: skip


def _like(mask: np.ndarray, array: np.ndarray) -> np.ndarray:
    return mask.reshape(-1, *[1] * (array.ndim - 1))


def _by_rotation(points_cam: np.ndarray, by_cam: np.ndarray) -> np.ndarray:
    """Derivative (N, 2, 3) by the rotation of a pose: x × g for each row g of the derivative by the point."""
    (x, y, z), (u, v, w) = points_cam.T[:, :, None], np.moveaxis(by_cam, -1, 0)
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)


def _surveys(network: Network, state: State) -> tuple[float, np.ndarray, np.ndarray]:
    surveyed = network.surveyed
    sigma = np.maximum(surveyed.sigma, LEAST_SIGMA)
    off = (surveyed.xyz - state.points[surveyed.point]) / sigma
    pull, information = np.zeros_like(state.points), np.zeros_like(state.points)
    np.add.at(pull, surveyed.point, off / sigma)
    np.add.at(information, surveyed.point, 1.0 / sigma**2)
    return float(np.vdot(off, off)), pull, information


def _promoted_surveys(
    layout: Layout, pull: np.ndarray, information: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Surveys of the points in the border, as rows of it; what they cost is counted already."""
    points = layout.promoted
    root = np.sqrt(information[points]).ravel()
    known = np.flatnonzero(root > 0)
    jacobian = np.zeros((len(known), layout.size))
    columns = (layout.point_column[points][:, None] + np.arange(3)).ravel()[known]
    jacobian[np.arange(len(known)), columns] = root[known]
    return 0.0, pull[points].ravel()[known] / root[known], jacobian


def _priors(layout: Layout, state: State) -> tuple[float, np.ndarray, np.ndarray]:
    """What is known of lenses beforehand, of the parameters that are free."""
    network, cost = layout.network, 0.0
    residuals, jacobians = [np.zeros(0)], [np.zeros((0, layout.size))]
    for lens, prior in enumerate(network.priors):
        names = network.freed[lens]
        if prior is None or not names:
            continue
        params = state.params[int(np.argmax(network.lens == lens))]
        free = np.isin(UNKNOWNS, [FOCAL if name in ("fx", "fy") else name for name in names])
        off, by_unknown = lens_residuals(prior, params[None], free[None])
        by_param = np.zeros((len(UNKNOWNS), len(params)))
        by_param[0, :2] = 0.5  # the mean of fx and fy
        for unknown, parameter in enumerate(range(2, min(6, len(params))), start=1):
            by_param[unknown, parameter] = 1.0
        jacobian = np.zeros((len(UNKNOWNS), layout.size))
        jacobian[:, layout.lens_start[lens] : layout.lens_start[lens + 1]] = (
            by_unknown[0] @ by_param @ layout.ties[lens]
        )
        cost += float(off[0] @ off[0])
        residuals.append(-off[0][free])
        jacobians.append(jacobian[free])
    return cost, np.concatenate(residuals), np.concatenate(jacobians)


def _spans(layout: Layout, state: State, loss: Loss) -> tuple[float, np.ndarray, np.ndarray]:
    spans = layout.network.spans
    apart = state.points[spans.ends[:, 0]] - state.points[spans.ends[:, 1]]
    length = np.linalg.norm(apart, axis=1)
    residual = (spans.metres - length) / spans.sigma
    cost, weight = loss(residual**2)
    scale = np.sqrt(weight)
    toward = (scale / (spans.sigma * np.maximum(length, 1e-9)))[:, None] * apart
    jacobian = np.zeros((len(length), layout.size))
    rows = np.arange(len(length))[:, None]
    for end, sign in ((0, 1.0), (1, -1.0)):
        jacobian[rows, layout.point_column[spans.ends[:, end]][:, None] + np.arange(3)] += sign * toward
    return float(cost.sum()), scale * residual, jacobian


def _heights(layout: Layout, state: State, loss: Loss) -> tuple[float, np.ndarray, np.ndarray]:
    heights = layout.network.heights
    a, b, c = heights.plane.T
    inverse = state.poses.as_matrix()[heights.camera]
    turn = inverse[:, :3, :3]
    centre = -np.einsum("hji,hj->hi", turn, inverse[:, :3, 3])
    over = centre[:, 2] - a * centre[:, 0] - b * centre[:, 1]
    residual = (c - over) / heights.sigma
    cost, weight = loss(residual**2)
    scale = np.sqrt(weight)
    # centre = -R' t moves by -R' v under a translation v of exp(xi), and not at all under a rotation about it
    normal = np.stack([-a, -b, np.ones_like(a)], axis=1)
    by_shift = -np.einsum("hi,hji->hj", normal, turn)
    jacobian = np.zeros((len(c), layout.size))
    rows = np.arange(len(c))[:, None]
    jacobian[rows, 6 * heights.camera[:, None] + 3 + np.arange(3)] = (scale / heights.sigma)[:, None] * by_shift
    return float(cost.sum()), scale * residual, jacobian


def line_residuals(layout: Layout, state: State, loss: Loss) -> LineRows:
    """The residuals of all lines at a state, (1, R); their derivatives by the lens are padded to its widest."""
    network, n = layout.network, len(layout.network.lines)
    width = layout.columns.shape[1] - 6
    shape = (1, n, 2, 3)
    ends = Ends(
        np.empty(shape), np.empty((*shape, 2)), np.zeros((*shape, width)), np.zeros((1, n, width)),
        np.zeros((1, n), bool),
    )  # fmt: skip
    for camera in np.unique(network.lines.camera).tolist():
        rows = network.lines.camera == camera
        tie = layout.ties[network.lens[camera]]
        kind = type(network.cameras[camera].lens)
        through = ends_through(kind, state.params[camera][None], network.lines.of(rows), tie[None])
        ends.rays[:, rows], ends.by_pixel[:, rows], ends.seen[:, rows] = through.rays, through.by_pixel, through.seen
        ends.by_lens[:, rows, ..., : tie.shape[1]] = through.by_lens
        ends.focal_by_lens[:, rows, : tie.shape[1]] = through.focal_by_lens
    rotation = state.poses.as_matrix()[network.lines.camera][None, :, :3, :3]
    return line_rows(network.lines, rotation, ends, lambda residual: loss(residual**2)[1])


def _lines(layout: Layout, state: State, loss: Loss) -> tuple[tuple[float, np.ndarray, np.ndarray], np.ndarray]:
    """Lines as rows of the border, their bearings eliminated; and what share of each row went into them."""
    lines = layout.network.lines
    jacobian = np.zeros((len(lines.row_line), layout.size + 1))
    if not len(lines):
        return (0.0, np.zeros(0), jacobian[:, :-1]), np.zeros(0)
    rows = line_residuals(layout, state, loss)
    cost, weight = loss(rows.residual**2)
    drawn = np.flatnonzero(lines.row_line >= 0)
    columns = layout.columns[lines.camera[lines.row_line[drawn]]]
    by_camera = np.concatenate([rows.by_rotation, np.zeros_like(rows.by_rotation), rows.by_lens], axis=2)[0, drawn]
    jacobian[drawn[:, None], columns] = by_camera
    residual, own, share = rows.projected(jacobian[None, :, :-1], weight)
    return (float(cost.sum()), -residual[0], own[0]), share[0]


def rows_by_held(layout: Layout, state: State, camera: int, held: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the lines' rows by the border (R, B), and by lens parameters (R, H) of a camera that are held."""
    network, lens = layout.network, int(layout.network.lens[camera])
    freed = list(network.freed)
    freed[lens] = (*freed[lens], *held)
    wider = Layout(replace(network, freed=tuple(freed)))
    (_, _, rows), _ = _lines(wider, state, squares)
    column = wider.lens_start[lens] + len(network.freed[lens]) + np.arange(len(held))
    return np.delete(rows, column, axis=1), rows[:, column]


def _promoted_sights(
    layout: Layout, residual: np.ndarray, by_point: np.ndarray, by_camera: np.ndarray, promoted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(promoted)
    jacobian = np.zeros((len(rows), 2, layout.size + 1))
    at = np.arange(len(rows))[:, None]
    place = layout.point_column[layout.sights.point[rows]][:, None] + np.arange(3)
    for side in (0, 1):
        jacobian[at, side, layout.columns[layout.sights.camera[rows]]] = by_camera[rows, side]
        jacobian[at, side, place] = by_point[rows, side]
    return residual[rows].ravel(), jacobian[:, :, :-1].reshape(-1, layout.size)
