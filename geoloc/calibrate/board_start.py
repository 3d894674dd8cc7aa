"""Where the adjustment of boards begins: a focal length out of many tried, and a pose for every view."""

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.calibrate.board_adjustment import Priors, Sightings, State, adjust, bare_camera
from geoloc.geometry.se3 import from_rt
from geoloc.scene.lenses import LENSES, Lens

FOCALS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)  # of the longer side
WIDEST = 1.3  # rad; corners farther from the axis do not count in a first pose
N_KEPT = 3  # of the focal lengths are adjusted
SPREAD = 1.0 / np.sqrt(2.0 * np.log(2.0))  # from the median length of residuals to sigma: Rayleigh


def plain_lens(model: str, size: tuple[int, int], focal: float) -> Lens:
    """A lens without distortion, its axis through the middle of the picture."""
    n_coefficients = {"fisheye": 4, "radial_tangential": 5}[model]
    middle = [(size[0] - 1) / 2, (size[1] - 1) / 2]
    return LENSES[model](np.array([focal, focal, *middle, *np.zeros(n_coefficients)]))


def robust_sigma(residual: np.ndarray) -> float:
    """Sigma (px) of each axis out of residuals (N, 2) of which less than half are wrong; at least 0.001."""
    length = np.linalg.norm(residual, axis=1)
    return max(float(SPREAD * np.median(length[np.isfinite(length)])), 1e-3) if len(length) else 1e-3


def first_state(
    name: str, model: str, size: tuple[int, int], seen: Sightings, used: np.ndarray, priors: Priors
) -> State:
    """A state near the minimum for one camera: the best of several focal lengths, adjusted robustly."""
    tried = []
    for share in FOCALS:
        lens = plain_lens(model, size, share * max(size))
        state = State((bare_camera(name, lens, size),), board_poses(lens, seen))
        tried.append((_cost(state, seen, used), share, state))
    tried.sort(key=lambda entry: entry[:2])
    rough = [_robust(state, seen, used, priors) for _, _, state in tried[:N_KEPT]]
    state = min(rough, key=lambda state: _cost(state, seen, used))
    # the poses anew through a lens that is better known: a tilted board has two that look alike from afar
    again = State(state.cameras, board_poses(state.cameras[0].lens, seen))
    state = min(state, again, key=lambda s: _cost(s, seen, used))
    return _robust(state, seen, used, priors)


def board_poses(lens: Lens, seen: Sightings) -> RigidTransform:
    """cam_from_board of every view of one camera, through a lens that is roughly known."""
    rays = lens.unproject(seen.pixel)
    flat = rays[:, :2] / np.maximum(rays[:, 2:], 1e-9)
    good = rays[:, 2] > np.cos(WIDEST)
    n_views = int(seen.view.max()) + 1
    return RigidTransform.concatenate([_pose(seen, flat, (seen.view == v), good) for v in range(n_views)])


def _pose(seen: Sightings, flat: np.ndarray, rows: np.ndarray, good: np.ndarray) -> RigidTransform:
    import cv2

    inside = rows & good
    points = seen.point[inside]
    if len(points) >= 4:
        found, turns, shifts, _ = cv2.solvePnPGeneric(points, flat[inside], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
        if found and np.isfinite(shifts[0]).all() and np.isfinite(turns[0]).all() and float(np.ravel(shifts[0])[2]) > 0:
            return from_rt(np.ravel(turns[0]), np.ravel(shifts[0]))
    # before the camera, as far off as the board is long: somewhere for the adjustment to begin
    extent = float(np.ptp(seen.point[rows], axis=0).max())
    return from_rt(np.zeros(3), np.array([0.0, 0.0, 2.0 * max(extent, 1e-3)]))


def _robust(state: State, seen: Sightings, used: np.ndarray, priors: Priors) -> State:
    for _ in range(2):
        sigma = robust_sigma(state.residuals(seen)[used])
        state = adjust(state, seen, used, priors(state), sigma, robust=True).state
    return state


def _cost(state: State, seen: Sightings, used: np.ndarray) -> float:
    """Sum of lengths of residuals, none of which counts for more than a hundredth of the picture."""
    limit = 0.01 * max(state.cameras[0].size)
    length = np.linalg.norm(state.residuals(seen)[used], axis=1)
    return float(np.where(np.isfinite(length), np.minimum(length, limit), limit).sum())
