"""Detections to points on the map, with both covariances (design: "two covariances, everywhere")."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.lazily import hits, lens, levels
from geoloc.pipeline.packed import camera_arrays, camera_rows, level_areas, level_names, surface_arrays, wide_surfaces
from geoloc.scene.columns import Coded
from geoloc.scene.joints import GAP
from geoloc.scene.lenses import Fisheye, Homography, fisheye_jacobians, fisheye_rays
from geoloc.scene.linearise import by_parameters, linearise_radial_tangential
from geoloc.scene.rig import Rig, rig_of
from geoloc.scene.site import Site
from geoloc.scene.tables import N_MODES, Detections, Dropped, GroundPoints

NOT_THERE = 9  # place in UNUSABLE
GRID = 16, 12  # places in an image, across and down, by which its camera's modes are told
BLOCK = 16384  # rows whose rays are worked out at once, so that their arrays stay in the cache
UNUSABLE = (  # in the order of `kernels.hits`
    "",
    "score outside [0, 1]",
    "singular foot covariance, or none",
    "foot without a box needs its foot_cov",
    "foot or its covariance is half given",
    "wholly outside the image",
    "box of negative size",
    "no finite foot or box",
    "no finite time",
    "its ray meets no level of the map",
    "worst sigma above {max_sigma:g} m",
    "unknown camera {camera!r}",
)


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
    return _project(detections, site, options).tables(detections, site, options)


def project_to_levels(
    detections: Detections, site: Site, options: ProjectionOptions | None = None
) -> tuple[GroundPoints, Dropped]:
    """As `project_to_ground`, and after these a row more of each box that may as well stand on another level.

    The `level_probability` of both rows, which have one `detection`, add up to one.
    """
    options = options or ProjectionOptions()
    found = _project(detections, site, options)
    points, dropped = found.tables(detections, site, options)
    rows = np.flatnonzero((found.other >= 0) & (found.why == 0))
    if not len(rows):
        return points, dropped
    others = _on_others(found, rows, camera_rows(site, detections.coded("camera")), site, options.max_sigma)
    there = others.why == 0
    if not there.any():
        return points, dropped
    return GroundPoints.concat([points, others.points(detections, site).take(there)]), dropped


def _project(detections: Detections, site: Site, options: ProjectionOptions) -> "_Found":
    camera = camera_rows(site, detections.coded("camera"))
    found = _Found(len(camera))
    _find_feet(found, detections, camera, site, options)
    for family in range(len(rig_of(site).families)):
        rows = _rows_of_family(camera, family, site)
        for start in range(0, len(rows), BLOCK):
            _find_hits(found, rows[start : start + BLOCK], camera, family, site, options.max_sigma)
    return found


def _on_others(found: "_Found", rows: np.ndarray, camera: np.ndarray, site: Site, max_sigma: float) -> "_Found":
    """What is found of `rows` on the next likely level of each, and of no other row.

    Where both levels meet in height there is nothing to choose: it is one place.
    """
    rig, arrays, other = rig_of(site), camera_arrays(site), _Found(len(camera))
    other.pixel, other.pixel_cov, other.foot, other.why[:] = found.pixel, found.pixel_cov, found.foot, NOT_THERE
    other.why[rows] = 0
    for family, level in sorted({*zip(arrays.family[camera[rows]].tolist(), found.other[rows].tolist(), strict=True)}):
        own = rows[(arrays.family[camera[rows]] == family) & (found.other[rows] == level)]
        rays = _linearise(rig, family, camera[own], other.pixel.take(own, axis=1))
        out = other.why, other.level, other.xy, other.z, other.cov, other.bias_cov, other.modes, other.away
        where = arrays.rotation, arrays.centre, arrays.calib_cov[family], calib_modes(site)[family]
        hits.hit_rays(own, camera, *rays, other.pixel_cov, *where, wide_surfaces(site.site_map, level), max_sigma, *out)
    other.sure = 1.0 - found.sure
    other.why[rows[np.abs(other.z[rows] - found.z[rows]) <= GAP]] = NOT_THERE
    return other


def feet_of(
    detections: Detections, site: Site, options: ProjectionOptions | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) of the detections' feet and their covariance (N, 2, 2) px²; NaN pixels where there is no foot."""
    found = _Found(len(detections))
    camera = camera_rows(site, detections.coded("camera"))
    _find_feet(found, detections, camera, site, options or ProjectionOptions())
    uu, uv, vv = found.pixel_cov
    return found.pixel.T, np.stack([uu, uv, uv, vv], axis=-1).reshape(-1, 2, 2)


def stand_under(
    pixel: np.ndarray, pixel_cov: np.ndarray, height: np.ndarray, camera: np.ndarray, site: Site, max_sigma: float
) -> tuple[np.ndarray, GroundPoints]:
    """Where upright things stand whose tops, `height` (N,) m above the ground, are pixels (2, N): rows and points.

    `pixel_cov` (3, N) px² is uu, uv, vv. Points have level, xy, z, cov, bias_cov and away; rows (n,) are those that
    have one: none in cameras (N,) that are known by a homography, or are lower than the top.
    """
    found, rig, arrays = _Found(len(camera)), rig_of(site), camera_arrays(site)
    found.pixel, found.pixel_cov = pixel, pixel_cov
    for family, tall in sorted({*zip(arrays.family[camera].tolist(), height.tolist(), strict=True)}):
        rows = np.flatnonzero((arrays.family[camera] == family) & (height == tall))
        if rig.families[family] is Homography:
            found.why[rows] = 1
            continue
        # seen from so much lower, the tops are feet
        centre = arrays.centre - np.array([0.0, 0.0, tall])
        _hit_rays(found, rows, camera, family, site, centre, max_sigma)
    kept = np.flatnonzero(found.why == 0)
    return kept, GroundPoints.trusted(
        time=np.full(len(kept), np.nan),
        level=Coded(level_names(site.site_map), found.level[kept]),
        level_probability=found.sure[kept],
        xy=found.xy[kept],
        z=found.z[kept],
        away=found.away[kept],
        modes=found.modes[kept],
        cov=found.cov[kept],
        bias_cov=found.bias_cov[kept],
    )


class _Found:
    """What is known of N rows, filled in stage by stage; see `kernels.hits`."""

    def __init__(self, n: int) -> None:
        self.pixel, self.pixel_cov = np.empty((2, n)), np.empty((3, n))
        self.why = np.zeros(n, dtype=np.int8)
        self.level = np.zeros(n, dtype=np.int64)
        self.sure = np.ones(n)  # that it is this level
        self.other = np.full(n, -1)  # the next likely one, -1: none is
        self.foot = np.empty((n, 2))  # of a box's lower edge
        self.xy, self.z, self.away = np.empty((n, 2)), np.empty(n), np.empty((n, 2))
        self.cov, self.bias_cov, self.modes = np.empty((n, 2, 2)), np.empty((n, 2, 2)), np.empty((n, 2, N_MODES))

    def tables(self, detections: Detections, site: Site, options: ProjectionOptions) -> tuple[GroundPoints, Dropped]:
        """The rows that have a point, and the others with the reason."""
        points = self.points(detections, site)
        if not self.why.any():
            return points, NOTHING_DROPPED
        dropped = np.flatnonzero(self.why)
        why, camera = self.why[dropped].tolist(), detections.camera[dropped].tolist()
        said = [UNUSABLE[w].format(max_sigma=options.max_sigma, camera=c) for w, c in zip(why, camera, strict=True)]
        reason = np.array(said, dtype=np.str_)
        return points.take(self.why == 0), Dropped(detection=detections.id[dropped], reason=reason)

    def points(self, detections: Detections, site: Site) -> GroundPoints:
        """A point of each row; of one that has none it means nothing."""
        return GroundPoints.trusted(
            time=detections.time,
            camera=detections.coded("camera"),
            detection=detections.id,
            level=Coded(level_names(site.site_map), self.level),
            level_probability=self.sure,
            xy=self.xy,
            z=self.z,
            cov=self.cov,
            bias_cov=self.bias_cov,
            away=self.away,
            modes=self.modes,
            foot=self.foot,
            box=detections.box,
            label=detections.coded("label"),
            score=detections.score,
            embedding=detections.embedding,
        )


NOTHING_DROPPED = Dropped()


def _find_feet(
    found: _Found, detections: Detections, camera: np.ndarray, site: Site, options: ProjectionOptions
) -> None:
    hits.feet(
        camera,
        camera_arrays(site).size,
        np.ascontiguousarray(detections.box),
        np.ascontiguousarray(detections.foot),
        np.ascontiguousarray(detections.foot_cov),
        np.ascontiguousarray(detections.score),
        np.ascontiguousarray(detections.time),
        options.foot_sigma_px,
        options.foot_sigma_across,
        options.foot_sigma_along,
        options.cut_sigma,
        found.pixel,
        found.pixel_cov,
        found.why,
        found.foot,
    )


def _rows_of_family(camera: np.ndarray, family: int, site: Site) -> np.ndarray:
    """Rows (n,) whose cameras have this lens family."""
    if len(rig_of(site).families) == 1:
        return np.arange(len(camera))  # those of no camera have no foot
    return np.flatnonzero((camera >= 0) & (camera_arrays(site).family[camera] == family))


def _find_hits(found: _Found, rows: np.ndarray, camera: np.ndarray, family: int, site: Site, max_sigma: float) -> None:
    rig, arrays, surfaces = rig_of(site), camera_arrays(site), surface_arrays(site.site_map)
    if rig.families[family] is Homography:
        out = found.why, found.level, found.xy, found.z, found.cov, found.bias_cov, found.modes, found.away
        matrices = arrays.matrix, arrays.inverse, arrays.level, arrays.homography_var
        hits.hit_homographies(rows, camera, found.pixel, found.pixel_cov, *matrices, surfaces, max_sigma, *out)
        return
    _hit_rays(found, rows, camera, family, site, arrays.centre, max_sigma)


def _hit_rays(
    found: _Found, rows: np.ndarray, camera: np.ndarray, family: int, site: Site, centre: np.ndarray, max_sigma: float
) -> None:
    rig, arrays, surfaces = rig_of(site), camera_arrays(site), surface_arrays(site.site_map)
    out = found.why, found.level, found.xy, found.z, found.cov, found.bias_cov, found.modes, found.away
    rays = _linearise(rig, family, camera[rows], found.pixel.take(rows, axis=1))
    where = arrays.rotation, centre, arrays.calib_cov[family], calib_modes(site)[family]
    hits.hit_rays(rows, camera, *rays, found.pixel_cov, *where, surfaces, max_sigma, *out)
    n_levels = len(site.site_map.levels)
    if n_levels > 1:
        at = found.why, found.level, found.xy, found.z, found.cov, found.bias_cov, camera, centre, surfaces
        levels.tell_levels(rows, *at, level_areas(site.site_map), n_levels, found.sure, found.other)


@lru_cache(maxsize=16)
def calib_modes(site: Site) -> tuple[np.ndarray, ...]:
    """The steps (C, 6 + k, N_MODES) in pose and lens that move each family's cameras' points most, of one sigma each.

    With calib_cov = L Lᵀ and the design X L of points all over the image, they are the principal ones: L times the
    first right singular vectors. Zeros where a camera sees no ground, or has no pose.
    """
    rig, arrays = rig_of(site), camera_arrays(site)
    camera = np.repeat(np.arange(len(site.cameras)), GRID[0] * GRID[1])
    bases = []
    for family, calib_cov in enumerate(arrays.calib_cov):
        basis = np.zeros((*calib_cov.shape[:2], N_MODES))
        bases.append(basis)
        rows = _rows_of_family(camera, family, site)
        if not len(rows) or rig.families[family] is Homography:
            continue
        value, vector = np.linalg.eigh(calib_cov)
        root = vector * np.sqrt(np.maximum(value, 0.0))[:, None, :]
        designs = _designs_over_images(site, family, rows, camera, root)
        for c in np.unique(camera[rows]).tolist():
            design = designs[rows[camera[rows] == c]]
            design = design[np.isfinite(design[:, 0, 0])].reshape(-1, root.shape[2])
            if len(design):
                first = np.linalg.svd(design, full_matrices=False)[2][:N_MODES].T
                basis[c, :, : first.shape[1]] = root[c] @ first
    return tuple(bases)


def _designs_over_images(
    site: Site, family: int, rows: np.ndarray, camera: np.ndarray, root: np.ndarray
) -> np.ndarray:
    """What steps `root` (C, p, p) mean (N, 2, p) m on the ground at a grid of each camera's pixels; NaN: no ground."""
    rig, arrays, found = rig_of(site), camera_arrays(site), _Found(len(camera))
    share = np.stack(np.meshgrid(*(np.arange(0.5, n) / n for n in GRID)), axis=-1).reshape(-1, 2)
    found.pixel[:] = np.tile(share.T, len(site.cameras)) * arrays.size[:, camera] - 0.5
    found.pixel_cov[:] = np.array([[1.0], [0.0], [1.0]])
    designs = np.empty((len(camera), 2, root.shape[2]))
    rays = _linearise(rig, family, camera[rows], found.pixel.take(rows, axis=1))
    where = arrays.rotation, arrays.centre, arrays.calib_cov[family], root, surface_arrays(site.site_map)
    out = found.why, found.level, found.xy, found.z, found.cov, found.bias_cov, designs, found.away
    hits.hit_rays(rows, camera, *rays, found.pixel_cov, *where, ProjectionOptions.max_sigma, *out)
    designs[found.why != 0] = np.nan
    return designs


def _linearise(
    rig: Rig, family: int, cameras: np.ndarray, pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rays (3, n), d pixel / d point at their tips (2, 3, n), d pixel / d freed lens parameters (k, 2, n)."""
    params, freed, n = rig.params[family], rig.freed[family], len(cameras)
    rays, by_cam, left = np.empty((3, n)), np.empty((2, 3, n)), np.ones(n, dtype=bool)
    lenses = lens_rows(rig, family)
    if not len(lenses) or lens.undo(cameras, pixels, lenses, rig.limit, rays, by_cam, left):
        rows = np.flatnonzero(left)
        own = cameras[rows]
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            rays[:, rows], by_cam[:, :, rows] = _carefully(rig, family, own, pixels.take(rows, axis=1))
    if not freed:
        return rays, by_cam, np.empty((0, 2, n))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if rig.families[family] is Fisheye:
            by_params = fisheye_jacobians(params.T[cameras], rays.T)[2]
            return rays, by_cam, np.ascontiguousarray(by_params[:, :, list(freed)].transpose(2, 1, 0))
        return rays, by_cam, np.ascontiguousarray(by_parameters(params.take(cameras, axis=1), rays, freed))


def _carefully(rig: Rig, family: int, cameras: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As the first two of `_linearise`, for any lens."""
    if len(cameras) and (cameras == cameras[0]).all():
        cameras = cameras[:1]  # constants of one camera are cheaper than a column of them
    params, limit = rig.params[family].take(cameras, axis=1), rig.limit[cameras]
    if rig.families[family] is not Fisheye:
        return linearise_radial_tangential(params, limit, pixels)
    rays = fisheye_rays(params.T, limit, pixels.T)
    return rays.T, fisheye_jacobians(params.T, rays)[1].transpose(1, 2, 0)


@lru_cache(maxsize=64)
def lens_rows(rig: Rig, family: int) -> np.ndarray:
    """The lenses (C, 4 + coefficients) of a family as `kernels.lens` takes them; (0, ...) of one that it does not."""
    params, size = rig.params[family], 4 + lens.COEFFICIENTS
    if rig.families[family] is Fisheye or len(params) > size:
        return np.zeros((0, size))
    return np.ascontiguousarray(np.pad(params, ((0, size - len(params)), (0, 0))).T)
