"""Bundle adjustment: all cameras and points of a network at once, with the covariance of everything.

Levenberg-Marquardt on the Schur complement, analytic derivatives, robust losses by reweighting. The complement
is dense: meant for up to a few hundred cameras, which all see the same site.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import GeometryError
from geoloc.estimators.network import Layout, Network, require_placed
from geoloc.estimators.network_rows import (
    Linear,
    Loss,
    State,
    linearise,
    predict,
    rows_by_held,
    squares,
    start_of,
)
from geoloc.estimators.schur import (
    Reduced,
    border_cov,
    normal_equations,
    point_covs,
    point_leans,
    reduce,
    solve,
    weakest,
)
from geoloc.geometry.gaussian import symmetric
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import LENSES

MAX_STEPS = 60
SETTLED = 1e-5  # squared sigmas that a step still promises
SETTLED_SHARE = 1e-9  # or of the cost
FIRST_DAMPING = 1e-4
MOST_DAMPING = 1e8
UNDETERMINED = 1e-13  # information beside that before the points are eliminated; rounding leaves 1e-15


class UndeterminedError(GeometryError):
    """The measurements leave something open; `cameras` are the names of those whose pose or lens it moves."""

    def __init__(self, message: str, cameras: tuple[str, ...]) -> None:
        super().__init__(message)
        self.cameras = cameras


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The network at its optimum: a state, and the equations there."""

    layout: Layout
    state: State
    linear: Linear
    n_steps: int
    settled: bool

    @property
    def cost(self) -> float:
        """Sum over all measurements of their loss: without a loss, of squared sigmas."""
        return self.linear.cost


def adjust(network: Network, loss: Loss = squares, max_steps: int = MAX_STEPS) -> Adjusted:
    """The network's most likely cameras and points; GeometryError if it starts with a point behind a camera."""
    require_placed(network)
    layout, state = Layout(network), start_of(network)
    linear = linearise(layout, state, loss)
    if not np.isfinite(linear.cost):
        _refuse_start(layout, state)
    damping, growth, settled, n_steps = FIRST_DAMPING, 2.0, False, 0
    normal = normal_equations(layout, linear)
    while n_steps < max_steps and not settled and damping < MOST_DAMPING:
        n_steps += 1
        reduced = reduce(normal, damping)
        try:
            border = solve(reduced)
        except np.linalg.LinAlgError:
            damping, growth = damping * growth, 2.0 * growth
            continue
        points = reduced.step(border)
        promised = float(border @ normal.border_right + np.vdot(points, normal.point_right))
        moved = state.moved(layout, border, points)
        found = linearise(layout, moved, loss) if _possible(moved) else None
        gain = linear.cost - found.cost if found is not None else -np.inf
        settled = promised <= max(SETTLED, SETTLED_SHARE * linear.cost)
        if found is None or not gain > 0:
            damping, growth = damping * growth, 2.0 * growth
            continue
        state, linear = moved, found
        normal = normal_equations(layout, linear)
        damping = max(damping * max(1.0 / 3.0, 1.0 - (2.0 * gain / promised - 1.0) ** 3), 1e-12)
        growth = 2.0
    return Adjusted(layout, state, linear, n_steps, settled)


@dataclass(frozen=True, eq=False)
class Bundle:
    """An adjusted network with its covariances; everything is in the order of the network that was given.

    `cameras` carry `calib_cov`; `points` (P, 3) m have covariances `point_cov` (P, 3, 3) m². `residual` (N, 2) px
    is marked less predicted, `weight` (N,) what the loss left of each sight.
    """

    adjusted: Adjusted
    reduced: Reduced
    cov: np.ndarray  # (B, B) of the border
    cameras: tuple[Camera, ...]
    point_cov: np.ndarray
    residual: np.ndarray
    weight: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """Points (P, 3) m."""
        return self.adjusted.state.points

    def cross_cov(self, first: int, second: int) -> np.ndarray:
        """Covariance (6 + k, 6 + l) between two cameras' variables, in the order of their `calib_cov`."""
        into = _to_calib(self.adjusted.layout, first), _to_calib(self.adjusted.layout, second)
        return into[0] @ self.cov @ into[1].T

    def pull(self, camera: int, held: Sequence[str]) -> np.ndarray:
        """How a camera's variables, as in its `calib_cov`, follow lens parameters that were held wrongly: (6 + k, H).

        Points give way as far as all that places them lets them (consider analysis; Tapley, Schutz and Born 2004,
        ch. 6).
        """
        layout, sights = self.adjusted.layout, self.adjusted.layout.network.sights
        rows = np.flatnonzero((sights.camera == camera) & (self.weight > 0))
        xyz, into = self.points[sights.point[rows]], _to_calib(layout, camera)
        nothing = np.zeros((6 + len(held),) * 2)
        _, by_world, by_held = replace(self.cameras[camera], freed=tuple(held), calib_cov=nothing).jacobians(xyz)
        leans = np.einsum("mij,mjb->mib", by_world, point_leans(self.reduced, sights.point[rows]))
        leans += self.cameras[camera].jacobians(xyz)[2] @ into
        weight = self.weight[rows] / sights.sigma[rows] ** 2
        lines, lines_by_held = rows_by_held(layout, self.adjusted.state, camera, tuple(held))
        together = np.einsum("m,mib,mih->bh", weight, leans, by_held[:, :, 6:]) + lines.T @ lines_by_held
        return np.asarray(-into @ self.cov @ together)

    def predict(self, camera: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (M, 2) of points (M,) in a camera, and their covariances (M, 2, 2) px², without a mark's own noise."""
        layout = self.adjusted.layout
        pixel, by_world, by_calib = self.cameras[camera].jacobians(self.points[points])
        leans = np.einsum("mij,mjb->mib", by_world, point_leans(self.reduced, points))
        leans += by_calib @ _to_calib(layout, camera)
        own = by_world @ self.reduced.point_inverse[points] @ by_world.transpose(0, 2, 1)
        return pixel, symmetric(own + leans @ self.cov @ leans.transpose(0, 2, 1))


def bundle(network: Network, loss: Loss = squares, max_steps: int = MAX_STEPS) -> Bundle:
    """Adjust a network and take all covariances out of the same equations.

    UndeterminedError, naming what is loose, where the measurements leave an unknown open. Covariances are those
    of least squares with the loss's weights.
    """
    adjusted = adjust(network, loss, max_steps)
    layout = adjusted.layout
    reduced = reduce(normal_equations(layout, adjusted.linear), 0.0)
    loose = _loosest(reduced)
    if loose is not None:
        raise _undetermined(layout, loose)
    cov = border_cov(reduced, _held_cov(layout))
    seen = predict(layout, adjusted.state)
    residual, weight = np.empty_like(seen.pixel), np.empty(len(seen.pixel))
    residual[layout.order] = layout.sights.pixel - seen.pixel
    weight[layout.order] = adjusted.linear.weight
    cameras = tuple(_camera(layout, adjusted.state, cov, i) for i in range(len(network.cameras)))
    return Bundle(adjusted, reduced, cov, cameras, point_covs(reduced, cov), residual, weight)


def _loosest(reduced: Reduced) -> np.ndarray | None:
    """The direction (B,) of the border that the measurements leave undetermined; None if there is none."""
    if not len(reduced.normal.layout.free):
        return None
    if not np.isfinite(reduced.matrix).all():
        return np.ones(len(reduced.right))
    least, direction = weakest(reduced)
    return direction if least < UNDETERMINED else None


def _undetermined(layout: Layout, direction: np.ndarray) -> UndeterminedError:
    share = np.append(direction, 0.0)[layout.columns].max(axis=1)
    names = tuple(layout.network.cameras[i].name for i in np.flatnonzero(share > 0.1))
    what = f"the pose or lens of {', '.join(map(repr, names))}" if names else "the place of points of distances"
    return UndeterminedError(f"bundle: the measurements leave {what} undetermined; add control points or marks", names)


def _possible(state: State) -> bool:
    """Whether a step left every lens with a positive focal length, and everything finite."""
    finite = np.isfinite(state.points).all() and np.isfinite(state.poses.as_matrix()).all()
    return bool(finite and all(np.isfinite(own).all() and (own[:2] > 0).all() for own in state.params))


def _refuse_start(layout: Layout, state: State) -> None:
    behind = np.flatnonzero(~np.isfinite(predict(layout, state).pixel).all(axis=1))
    row = behind[0]
    camera = layout.network.cameras[layout.sights.camera[row]].name
    raise GeometryError(
        f"bundle: {len(behind)} points start behind their cameras, first point {layout.sights.point[row]} of camera "
        f"{camera!r}; give better starting poses or leave those sights out"
    )


def _to_calib(layout: Layout, camera: int) -> np.ndarray:
    """Derivative (6 + k, B) of a camera's pose and freed lens parameters by the border."""
    _, rows = _freed(layout, camera)
    lens = layout.network.lens[camera]
    tie = layout.ties[lens]
    matrix = np.zeros((6 + len(rows), layout.size))
    matrix[range(6), layout.columns[camera, :6]] = 1.0
    matrix[6:, layout.lens_start[lens] : layout.lens_start[lens + 1]] = tie[rows]
    return matrix


def _freed(layout: Layout, camera: int) -> tuple[tuple[str, ...], np.ndarray]:
    """The lens parameters that any unknown of the camera's lens moves."""
    rows = np.flatnonzero(layout.ties[layout.network.lens[camera]].any(axis=1))
    names = layout.network.cameras[camera].lens.parameter_names
    return tuple(names[row] for row in rows), rows


def _camera(layout: Layout, state: State, cov: np.ndarray, index: int) -> Camera:
    start = layout.network.cameras[index]
    if layout.network.held[index]:
        return start
    into = _to_calib(layout, index)
    lens = LENSES[start.lens.model](state.params[index])
    pose, freed = state.poses[index], _freed(layout, index)[0]
    return replace(start, lens=lens, cam_from_world=pose, calib_cov=symmetric(into @ cov @ into.T), freed=freed)


def _held_cov(layout: Layout) -> np.ndarray:
    """What is known of held cameras (B, B): their `calib_cov`, and nothing between two of them."""
    cov = np.zeros((layout.size, layout.size))
    for i in np.flatnonzero(layout.network.held).tolist():
        camera = layout.network.cameras[i]
        names, _ = _freed(layout, i)
        into = np.linalg.pinv(_to_calib(layout, i))
        spread = np.zeros((6 + len(names), 6 + len(camera.freed)))
        spread[range(6), range(6)] = 1.0
        for column, name in enumerate(camera.freed):
            if name in names:
                spread[6 + names.index(name), 6 + column] = 1.0
        own = into @ spread
        cov += own @ camera.calib_cov @ own.T
    return cov
