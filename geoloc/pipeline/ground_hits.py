"""Feet to the ground with both covariances: rows of any cameras of one lens family, components first.

With A = d pixel / d ground and J = d pixel / d (pose, freed lens parameters):
cov = A⁻¹ Σ_px A⁻ᵀ and bias_cov = A⁻¹ (J P Jᵀ + (d pixel / d z)(d pixel / d z)ᵀ sigma_z²) A⁻ᵀ.
With W = d pixel / d world and M = A⁻¹ W, the ground point of a pixel moves by -M (ω x d + v) where the camera
turns by ω and shifts by v (in world axes; d is the way from the camera to the point), and by -M (0, 0, z)
where the ground rises by z. So A⁻¹ J = [M [d]ₓ', M, A⁻¹ d pixel / d lens] needs no pixel of the solution.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.geometry.solver import congruence_2, inverse_2
from geoloc.scene.ground import intersect_ground
from geoloc.scene.lenses import Fisheye, fisheye_jacobians, fisheye_rays
from geoloc.scene.linearise import by_parameters, linearise_radial_tangential
from geoloc.scene.rig import Rig
from geoloc.scene.sitemap import SiteMap


@dataclass(frozen=True, eq=False)
class FootHits:
    """Where n feet meet the map: NaN and level -1 where they do not. Covariances are xx, xy, yy."""

    xyz: np.ndarray  # (3, n) m
    level: np.ndarray  # (n,) index into the map's levels
    cov: np.ndarray  # (3, n) m²
    bias_cov: np.ndarray  # (3, n) m²
    away: np.ndarray  # (2, n) unit vector


def hits_of_rays(
    foot: np.ndarray, foot_cov: np.ndarray, cameras: np.ndarray, family: int, rig: Rig, site_map: SiteMap
) -> FootHits:
    """Hits of `foot` (2, n) px with `foot_cov` (3, n) px², of `cameras` (n or 1,) that have a pose."""
    params, limit = rig.params[family][:, cameras], rig.limit[cameras]
    rotation, centre = rig.rotation[:, :, cameras], rig.centre[cameras].T
    rays, by_cam = _linearise(rig.families[family], params, limit, foot)
    rays_world = np.einsum("kjn,kn->jn", rotation, rays)
    hits = intersect_ground(site_map, centre.T, rays_world.T)
    way = hits.xyz.T - centre
    by_world = np.einsum("ikn,kjn->ijn", by_cam, rotation)
    by_world /= hits.distance
    by_ground = by_world[:, :2]
    if hits.slope.any():
        by_ground = by_ground + by_world[:, 2:] * hits.slope.T
    ground_from_pixel = inverse_2(by_ground)
    onto_ground = np.einsum("ikn,kjn->ijn", ground_from_pixel, by_world)
    by_calib = np.empty((6 + len(rig.freed[family]), 2, rays.shape[1]))
    _cross(way, onto_ground, by_calib[:3])
    by_calib[3:6] = onto_ground.swapaxes(0, 1)
    if rig.freed[family]:
        by_lens = _by_parameters(rig.families[family], params, rays, rig.freed[family])
        by_calib[6:] = np.einsum("ikn,pkn->pin", ground_from_pixel, by_lens)
    bias_cov = _calibration_cov(by_calib, rig.calib_cov[family][:, :, cameras])
    rise = onto_ground[:, 2] * hits.sigma_z
    bias_cov[0] += rise[0] * rise[0]
    bias_cov[1] += rise[0] * rise[1]
    bias_cov[2] += rise[1] * rise[1]
    length = np.sqrt(way[0] * way[0] + way[1] * way[1])
    # right under the camera no direction is away from it: any will do
    away = np.where(length > 0, way[:2] / length, [[1.0], [0.0]])
    return FootHits(hits.xyz.T, hits.level, congruence_2(ground_from_pixel, foot_cov), bias_cov, away)


def hits_of_homographies(
    foot: np.ndarray, foot_cov: np.ndarray, cameras: np.ndarray, family: int, rig: Rig, site_map: SiteMap
) -> FootHits:
    """As `hits_of_rays`, of cameras that are known by a homography of one level only."""
    matrix = rig.params[family][:, cameras].reshape(3, 3, -1)
    inverse = rig.ground_from_image[:, :, cameras]
    ground = np.einsum("ijn,jn->in", inverse[:, :2], foot) + inverse[:, 2]
    xy = ground[:2] / np.where(ground[2] > 0, ground[2], np.nan)
    scale = np.einsum("jn,jn->n", matrix[2, :2], xy) + matrix[2, 2]
    by_ground = (matrix[:2, :2] - foot[:, None] * matrix[2, :2]) / scale
    ground_from_pixel = inverse_2(by_ground)
    level = np.broadcast_to(rig.level[cameras], xy.shape[1:])
    z = site_map.z_at(level, xy.T)
    xyz = np.where(np.isnan(z), np.nan, (*xy, z))
    error = np.zeros_like(foot_cov)
    error[0] = error[2] = rig.homography_var[cameras]
    up = -ground_from_pixel[:, 1]  # a step up the image is a step away from an upright camera
    return FootHits(
        xyz,
        level,
        congruence_2(ground_from_pixel, foot_cov),
        congruence_2(ground_from_pixel, error),
        up / np.sqrt(up[0] * up[0] + up[1] * up[1]),
    )


def _linearise(
    family: type, params: np.ndarray, limit: np.ndarray, pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rays (3, n) and d pixel / d point at their tips (2, 3, n), as `Lens.linearise` of each row's lens."""
    if family is not Fisheye:
        return linearise_radial_tangential(params, limit, pixels)
    rays = fisheye_rays(params.T, limit, pixels.T)
    _, by_point, _ = fisheye_jacobians(params.T, rays)
    return rays.T, by_point.transpose(1, 2, 0)


def _by_parameters(family: type, params: np.ndarray, rays: np.ndarray, which: tuple[int, ...]) -> np.ndarray:
    """d pixel / d some lens parameters at the tips of rays (3, n): (k, 2, n)."""
    if family is not Fisheye:
        return by_parameters(params, rays, which)
    _, _, by_params = fisheye_jacobians(params.T, rays.T)
    return by_params[:, :, which].transpose(2, 1, 0)


def _calibration_cov(by_calib: np.ndarray, calib_cov: np.ndarray) -> np.ndarray:
    """xx, xy, yy (3, n) of J P J' for J' (p, 2, n) and P (p, p, n or 1)."""
    if calib_cov.shape[2] == 1:
        half = (calib_cov[:, :, 0] @ by_calib.reshape(len(by_calib), -1)).reshape(by_calib.shape)
    else:
        half = np.einsum("pin,pqn->qin", by_calib, calib_cov)
    out = np.empty((3, by_calib.shape[2]))
    for row, (i, j) in enumerate(((0, 0), (0, 1), (1, 1))):
        np.einsum("pn,pn->n", half[:, i], by_calib[:, j], out=out[row])
    return out


def _cross(way: np.ndarray, onto_ground: np.ndarray, out: np.ndarray) -> None:
    """`way` (3, n) x each row of (2, 3, n), into (3, 2, n)."""
    x, y, z = way
    for i, (a, b, c) in enumerate(onto_ground):
        np.subtract(y * c, z * b, out=out[0, i])
        np.subtract(z * a, x * c, out=out[1, i])
        np.subtract(x * b, y * a, out=out[2, i])
