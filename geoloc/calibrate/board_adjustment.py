"""The least-squares adjustment of boards: lenses, cameras of a rig, and where the board was in every view.

Unknown are, of each camera, its pose (but the first's, which is the world) and its lens as f, aspect, cx, cy and its
coefficients, fx = f and fy = f * aspect; and the pose of the board in every view. A lens parameter may have a prior,
a mean with a standard deviation: where the pictures say little it keeps its honest width. Levenberg-Marquardt on the
cameras' unknowns after the views' are eliminated (Schur complement); the inverse of that same matrix is their
covariance, whatever the views' poses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.calibrate.board_slip import Pull, Slip, Slips
from geoloc.geometry.se3 import cross_matrix, perturb
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import LENSES, Lens

MAX_STEPS = 60
MAX_ROUGH = 15  # steps of a robust adjustment
SETTLED = 1e-9  # relative change of the cost
NEAR = 1e-4  # the same of a robust adjustment, from which another one starts
BEHIND_PX = 1e4  # the residual that a corner behind its camera counts with
CAUCHY = 2.0  # sigmas at which a corner's weight is halved


@dataclass(frozen=True, eq=False)
class Sightings:
    """N corners seen: index of camera and view (N,), where on the board (N, 3) m, where in the picture (N, 2) px."""

    camera: np.ndarray
    view: np.ndarray
    point: np.ndarray
    pixel: np.ndarray

    def take(self, rows: np.ndarray) -> "Sightings":
        """The rows that a mask or index selects."""
        return Sightings(self.camera[rows], self.view[rows], self.point[rows], self.pixel[rows])


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known of a lens's unknowns beforehand: mean and sigma (P,); sigma 0 holds one, infinity frees it."""

    mean: np.ndarray
    sigma: np.ndarray


@dataclass(frozen=True, eq=False)
class State:
    """Cameras, and the board's pose in each of V views."""

    cameras: tuple[Camera, ...]
    world_from_board: RigidTransform

    def residuals(self, seen: Sightings) -> np.ndarray:
        """Marked less predicted (N, 2) px; NaN behind a camera."""
        world = self.world_from_board[seen.view].apply(seen.point)
        out = np.empty_like(seen.pixel)
        for i, camera in enumerate(self.cameras):
            rows = seen.camera == i
            pixels, _, _ = camera.lens.jacobians(camera.cam_from_world.apply(world[rows]))
            out[rows] = seen.pixel[rows] - pixels
        return out


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The state at the minimum; residuals (N, 2) px; cov (M, M) of all cameras' unknowns for the sigma_px given.

    `columns` holds, for each camera, where its unknowns stand in `cov`: pose (6, none for the first camera), then
    those of the lens's that are not held.
    """

    state: State
    residual: np.ndarray
    cov: np.ndarray
    columns: tuple[np.ndarray, ...]
    free: tuple[np.ndarray, ...]  # of each camera's lens unknowns, which are not held: (P,) bool
    slips: tuple[Slips, ...] = ()  # of each camera, where a slip was allowed


Priors = Callable[[State], list[Prior]]  # of each camera's lens; they may depend on where the adjustment is


def lens_unknowns(lens: Lens) -> np.ndarray:
    """f, fy / fx, cx, cy and coefficients (P,) of a lens."""
    return np.concatenate([[lens.params[0], lens.params[1] / lens.params[0]], lens.params[2:]])


def lens_of(model: str, unknowns: np.ndarray) -> Lens:
    """The lens of such unknowns."""
    return LENSES[model](np.concatenate([[unknowns[0], unknowns[0] * unknowns[1]], unknowns[2:]]))


def by_unknowns(lens: Lens) -> np.ndarray:
    """d params / d unknowns (P, P)."""
    out = np.eye(len(lens.params))
    out[1, 0], out[1, 1] = lens.params[1] / lens.params[0], lens.params[0]
    return out


def adjust(
    state: State,
    seen: Sightings,
    used: np.ndarray,
    priors: Sequence[Prior],
    sigma_px: float | np.ndarray,
    robust: bool = False,
    slip: Slip | None = None,
) -> Adjusted:
    """Minimise squared residuals of the rows `used` (N,) over `sigma_px`, one or one a camera (C,), with priors.

    `robust` weighs large ones down as Cauchy's distribution does, `slip` lets every picture's board slip: one or the
    other. A view without used rows keeps its pose.
    """
    views, view = np.unique(seen.view[used], return_inverse=True)
    part = replace(seen.take(used), view=view.reshape(-1))
    cameras = tuple(_held(camera, prior) for camera, prior in zip(state.cameras, priors, strict=True))
    inner = State(cameras, state.world_from_board[views])
    sigma = np.broadcast_to(sigma_px, len(state.cameras))
    system = _System(inner, part, tuple(priors), sigma, robust, slip)
    inner = _minimise(system, inner)
    normal = system.normal(inner)
    cov = safe_inverse(normal.reduced(0.0)[0])
    pose = state.world_from_board.as_matrix()
    pose[views] = inner.world_from_board.as_matrix()
    state = State(inner.cameras, RigidTransform.from_matrix(pose))
    slips = system.slips(inner, np.linalg.inv(normal.views), views, len(pose)) if slip is not None else ()
    return Adjusted(state, state.residuals(seen), cov, system.columns, system.free, slips)


def _held(camera: Camera, prior: Prior) -> Camera:
    """The camera with those unknowns of its lens that are known exactly as they are known."""
    unknowns = np.where(prior.sigma > 0, lens_unknowns(camera.lens), prior.mean)
    return replace(camera, lens=lens_of(camera.lens.model, unknowns))


def _minimise(system: "_System", state: State) -> State:
    cost, damping = system.cost(state), 1e-4
    for _ in range(MAX_ROUGH if system.robust else MAX_STEPS):
        normal = system.normal(state)
        trial, trial_cost = state, np.inf
        while damping < 1e12:
            trial = system.stepped(state, normal, damping)
            trial_cost = system.cost(trial)
            if trial_cost <= cost:
                break
            damping = max(4.0 * damping, 1e-8)
        if not trial_cost < cost * (1.0 - (NEAR if system.robust else SETTLED)):
            return trial if trial_cost <= cost else state
        state, cost, damping = trial, trial_cost, 0.1 * damping
    return state


def safe_inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric matrix (M, M) of mixed units; what it does not determine gets a huge variance."""
    diagonal = np.diag(matrix)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))  # rounding may leave less than nothing
    values, vectors = np.linalg.eigh(matrix * np.outer(scale, scale))
    half = vectors * scale[:, None] / np.sqrt(np.maximum(values, 1e-13))
    return half @ half.T


@dataclass(frozen=True, eq=False)
class _Normal:
    """Normal equations: cameras (M, M), views (V, 6, 6), between (V, M, 6), right-hand sides (M,) and (V, 6)."""

    cameras: np.ndarray
    views: np.ndarray
    between: np.ndarray
    to_cameras: np.ndarray
    to_views: np.ndarray

    def reduced(self, damping: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cameras' matrix and right-hand side once the views are eliminated; and the views' inverses."""
        eye = np.eye(6, dtype=bool)
        inverse = np.linalg.inv(np.where(eye, (1.0 + damping) * self.views, self.views))
        half = self.between @ inverse
        matrix = self.cameras + damping * np.diag(np.diag(self.cameras))
        matrix = matrix - np.einsum("vmi,vni->mn", half, self.between)
        return matrix, self.to_cameras - np.einsum("vmi,vi->m", half, self.to_views), inverse


class _System:
    """The unknowns of one adjustment, and its cost and normal equations at a state."""

    def __init__(
        self,
        state: State,
        seen: Sightings,
        priors: tuple[Prior, ...],
        sigma_px: np.ndarray,
        robust: bool,
        slip: Slip | None,
    ) -> None:
        self.seen, self.priors, self.sigma_px, self.robust = seen, priors, sigma_px, robust
        self.free = tuple(prior.sigma > 0 for prior in priors)
        n_own = [6 * (i > 0) + int(free.sum()) for i, free in enumerate(self.free)]
        ends = np.cumsum([0, *n_own])
        self.columns = tuple(np.arange(start, end) for start, end in pairwise(ends.tolist()))
        self.n = int(ends[-1])
        self.rows = [np.flatnonzero(seen.camera == i) for i in range(len(priors))]
        self.n_views = len(state.world_from_board)
        self.pulls = [self._pull(i, camera, state, slip) for i, camera in enumerate(state.cameras) if slip is not None]

    def _pull(self, index: int, camera: Camera, state: State, slip: Slip) -> Pull:
        rows = self.rows[index]
        view = self.seen.view[rows]
        world = state.world_from_board[view].apply(self.seen.point[rows])
        _, by_world, _ = camera.jacobians(world)
        return Pull.of(by_world, world, view, self.n_views, slip, float(self.sigma_px[index]))

    def cost(self, state: State) -> float:
        residual = state.residuals(self.seen)
        residual[~np.isfinite(residual)] = BEHIND_PX
        residual /= self.sigma_px[self.seen.camera, None]
        distance2 = (residual**2).sum(axis=1)
        data = CAUCHY**2 * np.log1p(distance2 / CAUCHY**2) if self.robust else distance2
        total = float(data.sum())
        for rows, pull in zip(self.rows, self.pulls, strict=False):
            total -= float((pull.part(residual[rows, :, None]) ** 2).sum())
        for camera, prior in zip(state.cameras, self.priors, strict=True):
            known = np.isfinite(prior.sigma) & (prior.sigma > 0)
            off = (lens_unknowns(camera.lens) - prior.mean)[known] / prior.sigma[known]
            total += float(off @ off)
        return total if np.isfinite(total) else np.inf

    def normal(self, state: State) -> _Normal:
        m, v = self.n, self.n_views
        out = _Normal(np.zeros((m, m)), np.zeros((v, 6, 6)), np.zeros((v, m, 6)), np.zeros(m), np.zeros((v, 6)))
        world = state.world_from_board[self.seen.view].apply(self.seen.point)
        for i, camera in enumerate(state.cameras):
            self._add_prior(out, i, camera.lens)
            rows, columns = self.rows[i], self.columns[i]
            residual, by_camera, by_view = self._linear(i, camera, world[rows], self.seen.pixel[rows])
            view = self.seen.view[rows]
            out.cameras[np.ix_(columns, columns)] += np.einsum("nim,nik->mk", by_camera, by_camera, optimize=True)
            out.to_cameras[columns] += np.einsum("nim,ni->m", by_camera, residual)
            np.add.at(out.views, view, np.einsum("nim,nik->nmk", by_view, by_view))
            np.add.at(out.to_views, view, np.einsum("nim,ni->nm", by_view, residual))
            cross = np.zeros((v, len(columns), 6))
            np.add.at(cross, view, np.einsum("nim,nik->nmk", by_camera, by_view))
            out.between[:, columns] += cross
            if self.pulls:
                parts = [self.pulls[i].part(values) for values in (residual[:, :, None], by_camera, by_view)]
                _take_off(out, columns, *parts)
        return out

    def slips(self, state: State, view_cov: np.ndarray, views: np.ndarray, n_views: int) -> tuple[Slips, ...]:
        """Every camera's slips in all `n_views` views, of which these are `views`."""
        world = state.world_from_board[self.seen.view].apply(self.seen.point)
        out = []
        for i, camera in enumerate(state.cameras):
            rows = self.rows[i]
            residual, _, by_view = self._linear(i, camera, world[rows], self.seen.pixel[rows])
            found = self.pulls[i].slips(residual, by_view, view_cov)
            wide = Slips(np.full((n_views, 6), np.nan), np.full((n_views, 6), np.nan))
            wide.slip[views], wide.square[views] = found.slip, found.square
            out.append(wide)
        return tuple(out)

    def _linear(
        self, index: int, camera: Camera, world: np.ndarray, pixel: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weighted residuals (n, 2), derivatives by the camera's unknowns (n, 2, m) and the board's pose (n, 2, 6)."""
        predicted, by_world, by_calib = camera.jacobians(world)
        by_lens = by_calib[:, :, 6:] @ by_unknowns(camera.lens)[:, self.free[index]]
        by_camera = by_lens if index == 0 else np.concatenate([by_calib[:, :, :6], by_lens], axis=2)
        by_view = np.concatenate([-by_world @ cross_matrix(world), by_world], axis=2)
        residual = pixel - predicted
        behind = ~np.isfinite(residual).all(axis=1)
        for values in (residual, by_camera, by_view):
            values[behind] = 0.0
        weight = np.full(len(residual), 1.0 / self.sigma_px[index])
        if self.robust:
            distance2 = (residual**2).sum(axis=1) * weight**2
            weight /= np.sqrt(1.0 + distance2 / CAUCHY**2)
        return residual * weight[:, None], by_camera * weight[:, None, None], by_view * weight[:, None, None]

    def _add_prior(self, out: _Normal, index: int, lens: Lens) -> None:
        prior, free = self.priors[index], self.free[index]
        information = 1.0 / prior.sigma[free] ** 2
        at = self.columns[index][6 * (index > 0) :]
        out.cameras[at, at] += information
        out.to_cameras[at] += information * (prior.mean - lens_unknowns(lens))[free]

    def stepped(self, state: State, normal: _Normal, damping: float) -> State:
        matrix, right, inverse = normal.reduced(damping)
        step = safe_inverse(matrix) @ right
        towards = normal.to_views - np.einsum("vmi,m->vi", normal.between, step)
        view_step = np.einsum("vij,vj->vi", inverse, towards)
        cameras = tuple(self._moved(i, camera, step) for i, camera in enumerate(state.cameras))
        return State(cameras, perturb(state.world_from_board, view_step))

    def _moved(self, index: int, camera: Camera, step: np.ndarray) -> Camera:
        own = step[self.columns[index]]
        pose, lens_step = (camera.cam_from_world, own) if index == 0 else (
            perturb(camera.cam_from_world, own[:6]), own[6:]
        )  # fmt: skip
        unknowns = lens_unknowns(camera.lens)
        unknowns[self.free[index]] += lens_step
        # a focal length that a wild step turns negative would be no lens: let the step fail by its cost instead
        unknowns[:2] = np.maximum(unknowns[:2], 1e-3)
        return replace(camera, lens=lens_of(camera.lens.model, unknowns), cam_from_world=pose)


def _take_off(
    out: _Normal, columns: np.ndarray, residual: np.ndarray, by_camera: np.ndarray, by_view: np.ndarray
) -> None:
    """Take the parts that slips take up, (V, 6, k) each, off the normal equations."""
    out.cameras[np.ix_(columns, columns)] -= np.einsum("vai,vaj->ij", by_camera, by_camera)
    out.to_cameras[columns] -= np.einsum("vai,vaj->i", by_camera, residual)
    out.views[:] -= np.einsum("vai,vaj->vij", by_view, by_view)
    out.to_views[:] -= np.einsum("vai,vaj->vi", by_view, residual)
    out.between[:, columns] -= np.einsum("vai,vaj->vij", by_camera, by_view)


def bare_camera(name: str, lens: Lens, size: tuple[int, int], pose: RigidTransform | None = None) -> Camera:
    """A camera of this lens, all of whose parameters are freed, with nothing said of its errors."""
    n = 6 + len(lens.params)
    pose = RigidTransform.identity() if pose is None else pose
    return Camera(name, lens, size, pose, np.zeros((n, n)), lens.parameter_names)
