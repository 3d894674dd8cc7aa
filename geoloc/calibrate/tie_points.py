"""Where tie points start: the place nearest to the rays of all cameras that marked them."""

from collections.abc import Sequence

import numpy as np

from geoloc.scene.camera import Camera

N_ROUNDS = 8
NEAREST = 0.01  # m; a ray that passes this near pulls no harder
FIRST_REACH = 1.0  # m in front of the camera, the least distance at which a point may start


def start_points(
    cameras: Sequence[Camera], camera: np.ndarray, point: np.ndarray, pixel: np.ndarray, n_points: int, usual: float
) -> np.ndarray:
    """Points (P, 3) m with the least sum of distances from their rays; rays that do not meet start `usual` m off.

    Marks are `camera` (N,) int, `point` (N,) int, `pixel` (N, 2). The sum of distances rather than of squares
    (Weiszfeld 1937), so that one wrong mark among several does not drag the point along.
    """
    centres = np.array([own.centre_world for own in cameras]).reshape(-1, 3)[camera]
    rays = np.full((len(camera), 3), np.nan)
    for i, own in enumerate(cameras):
        rays[camera == i] = own.unproject(pixel[camera == i])
    good = np.isfinite(rays).all(axis=1)
    centres, rays, point = centres[good], rays[good], point[good]
    across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
    weight = np.ones(len(point))
    places = np.full((n_points, 3), np.nan)
    for _ in range(N_ROUNDS):
        left, right = np.zeros((n_points, 3, 3)), np.zeros((n_points, 3))
        np.add.at(left, point, weight[:, None, None] * across)
        np.add.at(right, point, weight[:, None] * np.einsum("nij,nj->ni", across, centres))
        size = np.trace(left, axis1=1, axis2=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            solvable = np.linalg.det(left / size[:, None, None]) > 1e-9
        places[solvable] = np.linalg.solve(left[solvable], right[solvable][:, :, None])[:, :, 0]
        miss = np.linalg.norm(np.einsum("nij,nj->ni", across, places[point] - centres), axis=1)
        weight = 1.0 / np.maximum(np.nan_to_num(miss, nan=1.0), NEAREST)
    ahead = np.einsum("ni,ni->n", rays, places[point] - centres) > FIRST_REACH
    behind = np.bincount(point[~ahead], minlength=n_points) > np.bincount(point[ahead], minlength=n_points)
    lost = ~np.isfinite(places).all(axis=1) | behind
    ends, n_rays = np.zeros((n_points, 3)), np.bincount(point, minlength=n_points)
    np.add.at(ends, point, centres + usual * rays)
    places[lost] = (ends / np.maximum(n_rays, 1)[:, None])[lost]
    return places
