"""Detections to points on the map, with both covariances (design: "two covariances, everywhere").

With A = d pixel / d ground and J = d pixel / d (pose, freed lens parameters):
cov = A⁻¹ Σ_px A⁻ᵀ and bias_cov = A⁻¹ (J P Jᵀ + (d pixel / d z)(d pixel / d z)ᵀ sigma_z²) A⁻ᵀ.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.geometry.gaussian import inverse_2x2, is_covariance_2x2, worst_sigma
from geoloc.geometry.se3 import cross_matrix
from geoloc.options import check_range
from geoloc.scene.ground import intersect_ground
from geoloc.scene.lenses import (
    Fisheye,
    Homography,
    fisheye_jacobians,
    fisheye_rays,
    radial_tangential_jacobians,
    undistort_rows,
)
from geoloc.scene.rig import Rig, rig_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Dropped, GroundPoints

EDGE_PX = 2.0  # a box that comes this close to the image's edge is cut off by it


@dataclass(frozen=True)
class ProjectionOptions:
    """How a box becomes a point, and which points are too vague to keep."""

    foot_sigma_px: float = 1.0  # floor of the foot's standard deviation in each axis
    foot_sigma_across: float = 0.05  # of the box's width: standard deviation of the foot along the image row
    foot_sigma_along: float = 0.02  # of the box's height: standard deviation of the foot along the column
    cut_sigma: float = 0.3  # the same two, of width and height, where the image's edge cuts the box off
    max_sigma: float = 10.0  # m; a point whose worst standard deviation is larger is dropped

    def __post_init__(self) -> None:
        check_range(self, foot_sigma_px=(1e-3, 1e3), foot_sigma_across=(0, 1), foot_sigma_along=(0, 1))
        check_range(self, cut_sigma=(0, 10), max_sigma=(1e-6, 1e6))


def project_to_ground(
    detections: Detections, site: Site, options: ProjectionOptions | None = None
) -> tuple[GroundPoints, Dropped]:
    """Where the detections' feet meet the map, and the rows that have no such point, with the reason."""
    options = options or ProjectionOptions()
    rig = rig_of(site)
    camera = site.camera_rows(detections.camera)
    foot, foot_cov = feet(detections, rig, camera, options)
    reason = _unusable(detections, rig, camera, foot, foot_cov)
    rows = np.flatnonzero(reason == "")
    found = _Found.blank(len(rows))
    for index, family in enumerate(rig.families):
        of_family = rig.family[camera[rows]] == index
        if of_family.all():
            part = slice(None)
        else:
            part = np.flatnonzero(of_family)  # type: ignore[assignment]
        solve = _from_homography if family is Homography else _from_rays
        solve(found, part, rig, index, camera[rows][part], foot[rows][part], foot_cov[rows][part], site)
    lost = np.isnan(found.xy[:, 0])
    with np.errstate(invalid="ignore"):
        vague = ~(worst_sigma(found.cov + found.bias_cov) <= options.max_sigma)
    reason[rows[lost]] = "its ray meets no level of the map"
    reason[rows[vague & ~lost]] = f"worst sigma above {options.max_sigma:g} m"
    good = ~(lost | vague)
    kept = rows[good]
    points = GroundPoints(
        time=detections.time[kept],
        camera=detections.camera[kept],
        detection=detections.id[kept],
        level=site.site_map.level_names[found.level[good]],
        xy=found.xy[good],
        z=site.site_map.z_at(found.level[good], found.xy[good]),
        cov=found.cov[good],
        bias_cov=found.bias_cov[good],
        away=found.away[good],
        label=detections.label[kept],
        score=detections.score[kept],
        embedding=detections.embedding[kept],
    )
    dropped = np.flatnonzero(reason != "")
    return points, Dropped(detection=detections.id[dropped], reason=reason[dropped])


def feet(
    detections: Detections, rig: Rig, camera: np.ndarray, options: ProjectionOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Foot pixels (N, 2) and their covariances (N, 2, 2) px²: as given, else from the box's lower edge."""
    box = detections.box
    with np.errstate(invalid="ignore", over="ignore"):
        size = box[:, 2:] - box[:, :2]
    from_box = np.stack([0.5 * (box[:, 0] + box[:, 2]), box[:, 3]], axis=-1)
    far_edge = rig.size[camera] - 0.5 - EDGE_PX
    with np.errstate(invalid="ignore"):
        cut = box[:, 2:] >= far_edge
        cut[:, 0] |= box[:, 0] <= EDGE_PX - 0.5
    share = np.where(cut, options.cut_sigma, (options.foot_sigma_across, options.foot_sigma_along))
    cov = np.zeros((len(box), 2, 2))
    with np.errstate(over="ignore"):
        cov[:, [0, 1], [0, 1]] = options.foot_sigma_px**2 + (share * size) ** 2
    foot = np.where(np.isnan(detections.foot), from_box, detections.foot)
    return foot, np.where(np.isnan(detections.foot_cov), cov, detections.foot_cov)


def _unusable(
    detections: Detections, rig: Rig, camera: np.ndarray, foot: np.ndarray, foot_cov: np.ndarray
) -> np.ndarray:
    """Reason (N,) why a row cannot be projected; empty where it can. Of several reasons the last one counts."""
    score, (left, top, right, bottom) = detections.score, detections.box.T
    u, v = foot.T
    with np.errstate(invalid="ignore", over="ignore"):
        infinite = np.isinf(left) | np.isinf(top) | np.isinf(right) | np.isinf(bottom)
        tests = {
            "score outside [0, 1]": ~((score >= 0) & (score <= 1)),
            "singular foot covariance, or none": ~is_covariance_2x2(foot_cov),
            "foot without a box needs its foot_cov": np.isnan(foot_cov[:, 0, 0]),
            "foot or its covariance is half given": _half(detections.foot) | _half(detections.foot_cov.reshape(-1, 4)),
            "wholly outside the image": _outside(detections.box, foot, rig.size[camera]),
            "box of negative size": (right < left) | (bottom < top),
            "no finite foot or box": ~np.isfinite(u + v) | infinite,
            "no finite time": ~np.isfinite(detections.time),
        }
    reason = np.full(len(detections), "", dtype="<U48")
    for name, failed in tests.items():
        if failed.any():
            reason[failed] = name
    unknown = camera < 0
    if unknown.any():
        named = np.char.add(np.char.add("unknown camera '", detections.camera[unknown]), "'")
        reason = reason.astype(np.promote_types(reason.dtype, named.dtype))
        reason[unknown] = named
    return reason


def _half(values: np.ndarray) -> np.ndarray:
    """Rows (N,) of `values` (N, d) of which some are missing and some are not."""
    first, *others = np.isnan(values).T
    return np.logical_or.reduce([other != first for other in others])


def _outside(box: np.ndarray, foot: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Which boxes (N, 4) px lie wholly outside their images; of rows without a box, which feet (N, 2) do."""
    width, height = size.T - 0.5
    outside = (box[:, 2] < -0.5) | (box[:, 3] < -0.5) | (box[:, 0] > width) | (box[:, 1] > height)
    rows = np.flatnonzero(np.isnan(box[:, 0]))
    if len(rows):
        outside[rows] = (foot[rows] < -0.5).any(axis=1) | (foot[rows] > size[rows] - 0.5).any(axis=1)
    return outside


@dataclass
class _Found:
    """Results of all rows, filled family by family."""

    xy: np.ndarray
    level: np.ndarray
    cov: np.ndarray
    bias_cov: np.ndarray
    away: np.ndarray

    @classmethod
    def blank(cls, n: int) -> "_Found":
        nan = np.full((n, 2), np.nan)
        return cls(nan, np.full(n, -1), np.full((n, 2, 2), np.nan), np.full((n, 2, 2), np.nan), nan.copy())


def _from_rays(
    found: _Found,
    part: slice,
    rig: Rig,
    family: int,
    camera: np.ndarray,
    foot: np.ndarray,
    foot_cov: np.ndarray,
    site: Site,
) -> None:
    fisheye = rig.families[family] is Fisheye
    params = rig.params[family][camera]
    rays_cam = (fisheye_rays if fisheye else undistort_rows)(params, rig.limit[camera], foot)
    rotation, centre = rig.rotation[camera], rig.centre[camera]
    rays = np.einsum("nji,nj->ni", rotation, rays_cam)
    hits = intersect_ground(site.site_map, centre, rays)
    points_cam = np.einsum("nij,nj->ni", rotation, hits.xyz) + rig.translation[camera]
    jacobians = fisheye_jacobians if fisheye else radial_tangential_jacobians
    _, by_cam, by_lens = jacobians(params, points_cam)
    by_world = by_cam @ rotation
    ground_from_pixel = inverse_2x2(by_world[:, :, :2] + by_world[:, :, 2:] * hits.slope[:, None, :])
    by_calib = np.concatenate(
        [-by_cam @ cross_matrix(points_cam), by_cam, np.take_along_axis(by_lens, rig.freed[camera][:, None], 2)],
        axis=2,
    )
    by_height = by_world[:, :, 2:] * hits.sigma_z[:, None, None]
    bias_px = by_calib @ rig.calib_cov[camera] @ by_calib.swapaxes(1, 2) + by_height @ by_height.swapaxes(1, 2)
    offset = hits.xyz[:, :2] - centre[:, :2]
    found.xy[part] = hits.xyz[:, :2]
    found.level[part] = hits.level
    found.cov[part] = ground_from_pixel @ foot_cov @ ground_from_pixel.swapaxes(1, 2)
    found.bias_cov[part] = ground_from_pixel @ bias_px @ ground_from_pixel.swapaxes(1, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found.away[part] = offset / np.linalg.norm(offset, axis=1, keepdims=True)


def _from_homography(
    found: _Found,
    part: slice,
    rig: Rig,
    family: int,
    camera: np.ndarray,
    foot: np.ndarray,
    foot_cov: np.ndarray,
    site: Site,
) -> None:
    matrix = rig.params[family][camera].reshape(-1, 3, 3)
    inverse = np.linalg.inv(matrix)
    ground = np.einsum("nij,nj->ni", inverse[:, :, :2], foot) + inverse[:, :, 2]
    # the ground lies on the side of the horizon on which the lower edge of the image lies
    bottom = np.einsum("nj,nj->n", inverse[:, 2, :2], rig.size[camera] * (0.5, 1.0)) + inverse[:, 2, 2]
    depth = np.where(ground[:, 2] * bottom > 0, ground[:, 2], np.nan)
    xy = ground[:, :2] / depth[:, None]
    image = np.einsum("nij,nj->ni", matrix[:, :, :2], xy) + matrix[:, :, 2]
    by_ground = (matrix[:, :2, :2] - foot[:, :, None] * matrix[:, 2:, :2]) / image[:, 2, None, None]
    ground_from_pixel = inverse_2x2(by_ground)
    up = -ground_from_pixel[:, :, 1]  # a step up the image is a step away from an upright camera
    level = rig.level[camera]
    on_map = np.zeros(len(xy), dtype=bool)
    for index in np.unique(level):
        rows = np.flatnonzero(level == index)
        on_map[rows] = np.isfinite(site.site_map.levels[index].z_at(xy[rows]))
    found.xy[part] = np.where(on_map[:, None], xy, np.nan)
    found.level[part] = level
    found.cov[part] = ground_from_pixel @ foot_cov @ ground_from_pixel.swapaxes(1, 2)
    found.bias_cov[part] = (
        ground_from_pixel @ ground_from_pixel.swapaxes(1, 2) * rig.homography_var[camera][:, None, None]
    )
    found.away[part] = up / np.linalg.norm(up, axis=1, keepdims=True)
