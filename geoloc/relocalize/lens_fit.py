"""What a map's images say of a lens that several of them share: small errors of its calibration are in all of them.

Poses are held, points give way (eliminated by Schur's complement), and the focal length, principal point and two
terms of radial distortion go where the residuals want them. An image that states the same lens is then placed with the
lens as it was found, so that the map and the image agree.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geoloc.relocalize.landmarks import FeatureNoise
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Lens, RadialTangential

FEWEST_IMAGES = 3  # that share a lens: of fewer, what one pose is off by would pass for the lens's
FEWEST_SIGHTS = 300
STEPS = 8
TAILS = 4.0  # degrees of freedom of the features' errors
FREE = ((0, 1), (2,), (3,), (4,), (5,))  # parameters that move together: f, cx, cy, k1, k2


def shared_lenses(cameras: Sequence[Camera]) -> list[np.ndarray]:
    """Cameras (K,) int of each straight lens (without distortion or with four terms) that enough of them share."""
    keys = [(camera.lens.model, camera.size, camera.lens.params.tobytes()) for camera in cameras]
    groups = [np.array([i for i, other in enumerate(keys) if other == key]) for key in dict.fromkeys(keys)]
    straight = ("pinhole", "radial_tangential")
    return [
        group
        for group in groups
        if len(group) >= FEWEST_IMAGES
        and cameras[group[0]].lens.model in straight
        # what a calibration states as open is carried as it is: a lens would take up what poses are off by
        and not any(cameras[i].calib_cov.any() for i in group.tolist())
        and len(cameras[group[0]].lens.params) <= 8
    ]


def refine_lens(
    cameras: Sequence[Camera],
    group: np.ndarray,
    image: np.ndarray,
    point: np.ndarray,
    pixels: np.ndarray,
    scale: np.ndarray,
    xyz: np.ndarray,
    noise: FeatureNoise,
) -> Lens:
    """The lens of the cameras of a `group`, from sights (N,) of points (P, 3) m in all cameras.

    Sights in cameras of other lenses only hold the points. The lens as it was where too few tell, or where it changes
    no more than its residuals' noise would have it (Schwarz's criterion, 1978).
    """
    stated = cameras[group[0]].lens
    own = np.isin(image, group)
    if own.sum() < FEWEST_SIGHTS:
        return stated
    params, places = np.pad(stated.params, (0, 8 - len(stated.params))), xyz.copy()
    ratio = params[1] / params[0]
    spread = np.zeros((8, len(FREE)))
    for column, rows in enumerate(FREE):
        spread[list(rows), column] = (1.0, ratio)[: len(rows)]
    sigma = noise.sigma(scale)
    total, matrix = np.zeros(len(FREE)), np.eye(len(FREE))
    for _ in range(STEPS):
        residual, by_point, by_lens = _linear(cameras, own, image, point, pixels, places, params, spread)
        weight = (TAILS + 2) / (TAILS + (residual**2).sum(axis=1) / sigma**2) / sigma**2
        weighed = by_point.swapaxes(1, 2) * weight[:, None, None]
        normal, right = np.zeros((len(places), 3, 3)), np.zeros((len(places), 3))
        border = np.zeros((len(places), 3, len(FREE)))
        np.add.at(normal, point, weighed @ by_point)
        np.add.at(right, point, np.einsum("nab,nb->na", weighed, residual))
        np.add.at(border, point, weighed @ by_lens)
        inverse = np.linalg.pinv(normal)
        lens_weighed = by_lens.swapaxes(1, 2) * weight[:, None, None]
        matrix = (lens_weighed @ by_lens).sum(axis=0) - np.einsum("pab,pac,pcd->bd", border, inverse, border)
        pull = np.einsum("nab,nb->a", lens_weighed, residual) - np.einsum("pab,pac,pc->b", border, inverse, right)
        size = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
        step = np.linalg.lstsq(matrix / np.outer(size, size), pull / size, rcond=1e-10)[0] / size
        params, total = params + spread @ step, total + step
        places = places + np.einsum("pab,pb->pa", inverse, right - border @ step)
    possible = np.isfinite(params).all() and (params[:2] > 0).all()
    tells = total @ matrix @ total > len(FREE) * np.log(own.sum())
    return RadialTangential(params) if possible and tells else stated


def _linear(
    cameras: Sequence[Camera],
    own: np.ndarray,
    image: np.ndarray,
    point: np.ndarray,
    pixels: np.ndarray,
    places: np.ndarray,
    params: np.ndarray,
    spread: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals (N, 2) px of the sights, and derivatives of what is predicted by points and by lens (N, 2, 5)."""
    n = len(image)
    residual, by_point, by_lens = np.zeros((n, 2)), np.zeros((n, 2, 3)), np.zeros((n, 2, spread.shape[1]))
    lens = RadialTangential(params)
    for index in np.unique(image).tolist():
        rows = np.flatnonzero(image == index)
        camera, mine = cameras[index], bool(own[rows[0]])
        through = replace(camera, lens=lens, freed=(), calib_cov=np.zeros((6, 6))) if mine else camera
        predicted, by_point[rows], _ = through.jacobians(places[point[rows]])
        residual[rows] = pixels[rows] - predicted
        if mine:
            _, _, by_params = lens.jacobians(camera.cam_from_world.apply(places[point[rows]]))
            by_lens[rows] = by_params @ spread
    gone = ~np.isfinite(residual).all(axis=1)  # behind a camera that a step has bent
    residual[gone], by_point[gone], by_lens[gone] = 0.0, 0.0, 0.0
    return residual, by_point, by_lens
