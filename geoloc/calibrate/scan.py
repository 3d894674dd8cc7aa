"""A scan of a site registered to its map: where it lies, how well that is known, and when it cannot be told.

The scan's points are sought on the map's own faces (floors, walls, pillars). Every place that the scan's plan allows
is tried; a second place that explains nearly as much is told instead of choosing.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import RigidTransform

from geoloc.calibrate.scan_faces import Faces, map_faces
from geoloc.calibrate.scan_fit import Anchors, Fit, refine
from geoloc.calibrate.scan_search import (
    balanced,
    improve,
    normals_of,
    require_open3d,
    rms_between,
    search_places,
    thin_out,
)
from geoloc.errors import GeometryError, InputError
from geoloc.geometry.se3 import cross_matrix
from geoloc.options import check_range
from geoloc.scene.sitemap import ControlPoint, SiteMap

COARSE = (2.0, 0.8)  # m, gates of the ICP that ranks the places
N_RANKED = 4000  # points that rank them
N_FITTED = 20_000  # points that the best is laid on the map with
N_TRIED = 12  # places that ICP improves
N_REFINED = 5  # places that are refined to the end
SAME = 0.5  # m; places whose points lie nearer to each other than this are one
LEAST_POINTS = 500


@dataclass(frozen=True)
class ScanOptions:
    """How a scan is laid on a map."""

    cell: float = 0.25  # m; one point of each cube of this size is used
    gate: float = 0.15  # m; points farther from a face than this do not lie on it
    wall_sigma: float = 0.03  # m; how well the map knows where its walls and pillars stand
    least_matched: float = 0.3  # share of the scan that must lie on the map's faces
    margin: float = (
        0.03  # share of the scan, half of it no floor, by which the best place must explain more than any other
    )
    worst_sigma: float = 0.5  # m; a scan that may slide farther than this is refused
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(self, cell=(0.02, 5), gate=(0.01, 2), wall_sigma=(1e-3, 2), least_matched=(0, 1), margin=(0, 1))
        check_range(self, worst_sigma=(1e-3, 100), seed=(0, 2**31 - 1))


@dataclass(frozen=True, eq=False)
class ScanRegistration:
    """Where a scan lies: `world = world_from_scan(scale * scan)`.

    `cov` (7, 7) is that of `exp(xi) * world_from_scan` (rotation in rad, translation in m) and of the scale's
    logarithm (zero where the scale was held). `rms` (m) is the residual along the faces' normals of the share
    `matched` of the scan; `noise` (m) that of one point about its own face; `runner_up` the share that the next best
    place explains.
    """

    world_from_scan: RigidTransform
    scale: float
    cov: np.ndarray
    rms: float
    noise: float
    matched: float
    runner_up: float

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points of the scan (N, 3) in the world, m."""
        return self.world_from_scan.apply(self.scale * np.asarray(points, float).reshape(-1, 3))

    def point_cov(self, points_world: np.ndarray) -> np.ndarray:
        """Covariance (N, 3, 3) m² that the registration leaves in points (N, 3) of the registered scan."""
        xyz = np.asarray(points_world, float).reshape(-1, 3)
        lever = (xyz - self.world_from_scan.translation)[:, :, None]
        jacobian = np.concatenate([-cross_matrix(xyz), np.tile(np.eye(3), (len(xyz), 1, 1)), lever], axis=2)
        return jacobian @ self.cov @ np.swapaxes(jacobian, 1, 2)


def register_scan(points: np.ndarray, site_map: SiteMap, options: ScanOptions = ScanOptions()) -> ScanRegistration:
    """Find where a scan (N, 3) in metres, of any pose, lies on the map; extra `scan`.

    GeometryError where the map has no walls, the scan does not fit it, another place fits nearly as well (a
    symmetric site), or the faces that were matched let it slide.
    """
    require_open3d()
    points = _checked(points)
    middle = np.median(points, axis=0)  # a scan in grid coordinates lies megametres from its origin
    rng = np.random.default_rng(options.seed)
    thin = thin_out(points - middle, options.cell, rng)
    faces = map_faces(site_map, options.cell, options.wall_sigma)
    if not faces.upright.any():
        raise GeometryError("the map has no walls or pillars to lay a scan on; pick 3 control points in the scan")
    normals = normals_of(thin, 4 * options.cell)
    rows = rng.permutation(len(thin))[:N_FITTED]
    starts = search_places(thin[rows], normals[rows], faces)
    tree = cKDTree(faces.points)
    fits = _ranked(thin[rows][balanced(normals[rows], N_RANKED)], faces, tree, starts, options)
    runner_up = _require_unique(thin, fits, options)
    best = refine(thin[rows], faces, tree, fits[0].world_from_scan, 1.0, (options.gate,))
    return _registration(best, middle, runner_up, options)


def register_by_points(
    points: np.ndarray,
    picked: np.ndarray,
    control_points: tuple[ControlPoint, ...],
    site_map: SiteMap,
    free_scale: bool = False,
    pick_sigma: float = 0.05,
    options: ScanOptions = ScanOptions(),
) -> ScanRegistration:
    """As `register_scan` where `picked` (K, 3) of the scan are known to be these control points, K >= 3.

    `pick_sigma` (m) is how well each was hit, per axis; the control points' own sigma comes on top.

    The scan's unit may be unknown (`free_scale`): photogrammetry's is. The picks say where it lies, so that a
    symmetric site is none the less decided; the map's faces refine it.
    """
    points, picked = _checked(points), np.asarray(picked, float).reshape(-1, 3)
    middle = np.median(points, axis=0)
    pose, scale = _closed_form(picked - middle, control_points, free_scale)
    world = np.array([point.xyz for point in control_points])
    sigma = np.hypot(np.array([point.sigma for point in control_points]), pick_sigma)
    anchors = Anchors(picked - middle, world, sigma)
    thin = thin_out(points - middle, options.cell / scale, np.random.default_rng(options.seed))
    faces = map_faces(site_map, options.cell, options.wall_sigma)
    gates = (COARSE[-1], 2 * options.gate, options.gate)
    thin = thin[np.random.default_rng(options.seed).permutation(len(thin))[:N_FITTED]]
    fit = refine(thin, faces, cKDTree(faces.points), pose, scale, gates, free_scale, anchors)
    _require_picks(fit, picked - middle, control_points)
    return _registration(fit, middle, 0.0, options)


def _checked(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"scan: points of shape {points.shape}; give finite (N, 3) in metres")
    if len(points) < LEAST_POINTS:
        raise InputError(f"scan: {len(points)} points; at least {LEAST_POINTS} are needed")
    return points


def _ranked(
    few: np.ndarray, faces: Faces, tree: cKDTree, starts: list[RigidTransform], options: ScanOptions
) -> list[Fit]:
    """Fits of `few` points from the best of `starts`, the best first, no two of one place."""
    starts = _best(few[::3], tree, starts, COARSE[-1])[:N_TRIED]
    coarse = _best(few, tree, [improve(few, faces, start, COARSE) for start in starts], 2 * options.cell)
    fits: list[Fit] = []
    for pose in coarse:
        if all(rms_between(few, pose, fit.world_from_scan) > SAME for fit in fits):
            fits.append(refine(few, faces, tree, pose, 1.0, (0.5, options.gate)))
        if len(fits) == N_REFINED:
            break
    return sorted(fits, key=lambda fit: -fit.matched.mean())


def _best(few: np.ndarray, tree: cKDTree, poses: list[RigidTransform], reach: float) -> list[RigidTransform]:
    """The poses in the order of how much of the scan they bring within `reach` (m) of the map."""
    shares = [np.isfinite(tree.query(pose.apply(few), distance_upper_bound=reach)[0]).mean() for pose in poses]
    return [poses[index] for index in np.argsort(shares)[::-1].tolist()]


def _require_unique(thin: np.ndarray, fits: list[Fit], options: ScanOptions) -> float:
    """The share of the scan that the best other place explains; GeometryError if that is nearly as much."""
    best = fits[0]
    if best.matched.mean() < options.least_matched:
        raise GeometryError(
            f"the scan does not fit the map: {best.matched.mean():.0%} of it lies on the map's faces at best; "
            "is it of this site, in metres, and is the map complete? Else pick 3 control points in it"
        )
    others = [fit for fit in fits[1:] if rms_between(thin, best.world_from_scan, fit.world_from_scan) > SAME]
    if not others:
        return 0.0
    margins = [float(best.matched.mean() - fit.matched.mean()) for fit in others]
    nearest = int(np.argmin(margins))
    if margins[nearest] < options.margin:
        away = rms_between(thin, best.world_from_scan, others[nearest].world_from_scan)
        shares = f"{best.matched.mean():.1%} and {others[nearest].matched.mean():.1%}"
        raise GeometryError(
            f"the scan fits the map in two places alike ({shares} of it lie on the map's faces, {away:.1f} m apart on "
            "average): the site is symmetric; pick 3 control points in the scan"
        )
    return float(others[nearest].matched.mean())


def _registration(fit: Fit, middle: np.ndarray, runner_up: float, options: ScanOptions) -> ScanRegistration:
    """The fit of a scan less `middle` as that of the scan; GeometryError if it may slide."""
    back = fit.scale * middle
    pose = fit.world_from_scan * RigidTransform.from_translation(-back)
    # a larger scale moves the scan's own origin: in the fit it moved its middle
    by_scale = np.eye(7)
    by_scale[3:6, 6] = -(fit.world_from_scan.rotation.apply(back))
    rms = float(np.sqrt((fit.residual[fit.matched] ** 2).mean())) if fit.matched.any() else np.inf
    cov = by_scale @ fit.cov @ by_scale.T
    found = ScanRegistration(pose, fit.scale, cov, rms, fit.noise, float(fit.matched.mean()), runner_up)
    if found.matched < options.least_matched:
        raise GeometryError(f"the scan does not fit the map: {found.matched:.0%} of it lies on the map's faces")
    at = fit.world_from_scan.translation[None]
    values, vectors = np.linalg.eigh(found.point_cov(at)[0])
    if np.sqrt(values[-1]) > options.worst_sigma:
        way = ", ".join(f"{part:+.2f}" for part in vectors[:, -1])
        raise GeometryError(
            f"the faces that the scan lies on let it slide ({np.sqrt(values[-1]):.1f} m along east, north, up {way}); "
            "add walls to the map across that way, or pick control points in the scan"
        )
    return found


def _closed_form(
    picked: np.ndarray, control_points: tuple[ControlPoint, ...], free_scale: bool
) -> tuple[RigidTransform, float]:
    """Pose and scale from pairs (Umeyama 1991)."""
    if len(picked) != len(control_points) or len(picked) < 3:
        raise InputError(f"scan: {len(picked)} picks for {len(control_points)} control points; pair at least 3")
    world = np.array([point.xyz for point in control_points])
    a, b = picked - picked.mean(axis=0), world - world.mean(axis=0)
    u, d, vt = np.linalg.svd(b.T @ a)
    if d[1] < 1e-3 * d[0]:
        raise GeometryError("the picked points lie on one line; pick one at least 5 m off it")
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = float((d * np.diag(sign)).sum() / (a**2).sum()) if free_scale else 1.0
    offset = world.mean(axis=0) - scale * rotation @ picked.mean(axis=0)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, offset
    return RigidTransform.from_matrix(matrix), scale


def _require_picks(fit: Fit, picked: np.ndarray, control_points: tuple[ControlPoint, ...]) -> None:
    """Refuse picks that the registered scan puts elsewhere: swapped, or of another unit."""
    off = np.linalg.norm(fit.apply(picked) - np.array([point.xyz for point in control_points]), axis=1)
    allowed = COARSE[-1] + 3.0 * np.array([max(point.sigma) for point in control_points])
    if (off > allowed).any():
        row = int(np.argmax(off / allowed))
        name = control_points[row].name
        raise GeometryError(
            f"control point {name!r}: its pick lies {off[row]:.1f} m from it once the scan is laid on the map; is it "
            "swapped with another, or is the scan in another unit?"
        )
