"""What boards cover of a picture: in words, and as the sigma that the lens is left with at every pixel."""

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.geometry.gaussian import worst_sigma
from geoloc.geometry.se3 import cross_matrix
from geoloc.scene.lenses import Lens

CELLS = 24  # along the longer side, at which the lens's sigma is looked at
LEAST_SHARE = 0.04  # of all corners: fewer in a third of the picture, and it is as good as empty
MOST_GROWTH = 5.0  # of the lens's sigma from the corners' places to the picture's edge, before it is told
LEAST_EDGE_PX = 0.5  # a lens's sigma that is told
THIRDS = ("left", "right", "upper", "lower")


def coverage_notes(pixel: np.ndarray, lens: Lens, cov: np.ndarray, size: tuple[int, int]) -> list[str]:
    """Where corners (N, 2) px are missing and what that costs, with the next step."""
    empty = empty_thirds(pixel, size)
    notes = [f"no board in the {third} third of the picture: hold it there" for third in empty]
    grid, sigma = lens_sigma(lens, cov, size)
    corners = sigma[[0, 0, -1, -1], [0, -1, 0, -1]]
    if not np.isfinite(corners).all():
        notes.append("the lens's model folds over before the picture's corners: show the board there")
        return notes
    inside = float(np.median(sigma_at(pixel, grid, sigma)))
    worst = float(corners.max())
    if worst > max(MOST_GROWTH * inside, LEAST_EDGE_PX):
        near = f"the lens is good to {inside:.2g} px where the boards were"
        notes.append(f"{near}, but to {worst:.2g} px in a corner of the picture")
    return notes


def empty_thirds(pixel: np.ndarray, size: tuple[int, int]) -> list[str]:
    """Which outer thirds of the picture are without corners (N, 2) px."""
    share = (pixel + 0.5) / np.array(size)
    has = [share[:, 0] < 1 / 3, share[:, 0] > 2 / 3, share[:, 1] < 1 / 3, share[:, 1] > 2 / 3]
    return [third for third, rows in zip(THIRDS, has, strict=True) if rows.mean() < LEAST_SHARE]


def spread_of_tilts(cam_from_board: RigidTransform) -> float:
    """Widest angle (deg) between two of the boards' normals; 0 for a single one."""
    normals = cam_from_board.rotation.as_matrix().reshape(-1, 3, 3)[:, :, 2]
    return float(np.rad2deg(np.arccos(np.clip((normals @ normals.T).min(), -1.0, 1.0))))


def lens_sigma(lens: Lens, cov: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A grid of pixels (H, W, 2) over the picture, and the worst sigma (H, W) px that `cov` leaves there.

    A turn of the camera is taken out first, for whoever finds its pose takes it up: what remains is how far off the
    lens is from any lens at all that is turned a little (as in mrcal's projection uncertainty). NaN where the lens
    cannot be undone.
    """
    n = np.maximum(np.round(CELLS * np.array(size) / max(size)).astype(int), 2)
    u, v = (np.linspace(-0.5, side - 0.5, int(k)) for side, k in zip(size, n, strict=True))
    grid = np.stack(np.meshgrid(u, v), axis=-1)
    rays = lens.unproject(grid.reshape(-1, 2))
    good = np.isfinite(rays).all(axis=1)
    sigma = np.full(len(rays), np.nan)
    _, by_ray, by_lens = lens.jacobians(rays[good])
    turn = (-by_ray @ cross_matrix(rays[good])).reshape(-1, 3)
    flat = by_lens.reshape(len(turn), -1)
    rest = (flat - turn @ np.linalg.lstsq(turn, flat, rcond=None)[0]).reshape(by_lens.shape)
    sigma[good] = worst_sigma(rest @ cov @ rest.transpose(0, 2, 1))
    return grid, sigma.reshape(grid.shape[:2])


def sigma_at(pixel: np.ndarray, grid: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """The grid's `sigma` (H, W) at the points of the grid nearest to pixels (N, 2): (N,)."""
    step = grid[1, 1] - grid[0, 0]
    column, row = np.round((pixel - grid[0, 0]) / step).astype(int).T
    return sigma[np.clip(row, 0, sigma.shape[0] - 1), np.clip(column, 0, sigma.shape[1] - 1)]
