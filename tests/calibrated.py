"""A calibrated garage for tests of reports: marks on control points with 1 px noise, poses fitted to them."""

from dataclasses import replace

import numpy as np
import shapely

from geoloc.calibrate.solution import Refused, Solution
from geoloc.geometry.se3 import look_at, perturb
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.occlusion import Occlusion
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, Place, SiteMap, Surface
from geoloc.synthetic.garage import garage

CROSSES = [(4.0, 4.0, 0.0), (15.0, 3.0, 0.0), (26.0, 5.0, 0.0), (6.0, 11.0, 0.0), (24.0, 11.5, 0.0)]
REFUSED = "p1-row-a"  # sees three points


def fit_pose(camera: Camera, points: np.ndarray, pixels: np.ndarray, sigma: float = 1.0) -> Camera:
    """Least squares pose from a start nearby, with its covariance."""
    for _ in range(10):
        found, _, by_calib = camera.jacobians(points)
        rows = by_calib[:, :, :6].reshape(-1, 6)
        step = np.linalg.lstsq(rows, (pixels - found).ravel(), rcond=None)[0]
        camera = replace(camera, cam_from_world=perturb(camera.cam_from_world, step))
    rows = camera.jacobians(points)[2][:, :, :6].reshape(-1, 6)
    return replace(camera, calib_cov=sigma**2 * np.linalg.inv(rows.T @ rows))


def mark(site: Site, rng: np.random.Generator, sigma: float = 1.0) -> Marks:
    """Every control point that a camera sees, marked in its still."""
    points = site.site_map.control_points
    xyz, names = np.array([point.xyz for point in points]), np.array([point.name for point in points])
    hidden = Occlusion(site.site_map)
    rows = []
    for camera in site.cameras:
        pixel = camera.project(xyz)
        seen = np.isfinite(pixel).all(axis=1)
        seen[seen] = camera.inside(pixel[seen]) & ~hidden(camera.centre_world, xyz[seen] + [0.0, 0.0, 0.02])
        noisy = pixel[seen] + rng.normal(0, sigma, (int(seen.sum()), 2))
        rows += [(camera.name, name, spot) for name, spot in zip(names[seen], noisy, strict=True)]
    camera_names, point_names, pixels = zip(*rows, strict=True)
    return Marks(camera=list(camera_names), point=list(point_names), pixel=np.array(pixels))


def solve(site: Site, marks: Marks, used: np.ndarray | None = None) -> Solution:
    """Poses fitted to the used marks; cameras with fewer than four are refused."""
    used = np.ones(len(marks), dtype=bool) if used is None else used
    xyz = {point.name: point.xyz for point in site.site_map.control_points}
    places = np.array([xyz[name] for name in marks.point.tolist()])
    residual, cameras, refused = np.full((len(marks), 2), np.nan), [], []
    for camera in site.cameras:
        rows = np.flatnonzero((marks.camera == camera.name) & used)
        if 0 < len(rows) < 4:
            reason = f"it has {len(rows)} marks, and four are the fewest that tell two poses apart"
            refused.append(Refused(camera.name, reason, "mark more points in its still"))
        elif len(rows):
            fitted = fit_pose(camera, places[rows], marks.pixel[rows])
            every = marks.camera == camera.name
            residual[every] = marks.pixel[every] - fitted.project(places[every])
            cameras.append(fitted)
    return Solution(tuple(cameras), marks, residual, used, site.site_map.control_points, tuple(refused))


def calibrated_garage(rng: np.random.Generator) -> tuple[Site, Solution]:
    """The garage as it is, and a solution of it from marks."""
    site = garage().site
    return site, solve(site, mark(site, rng))


def yard(*centres: tuple[float, float], k1: float = -0.12) -> Site:
    """A lot of 30 m x 20 m with ten stalls, a wall across it, and a small camera with a round lens at each centre."""
    lens = RadialTangential(np.array([260.0, 260.0, 239.5, 134.5, k1, 0.0, 0.0, 0.0]))
    cameras = tuple(
        Camera(f"pole {i + 1}", lens, (480, 270), look_at(np.array([*xy, 6.0]), np.array([15.0, 10.0, 0.0])))
        for i, xy in enumerate(centres)
    )
    stalls = tuple(Place(f"S{i}", "lot", shapely.box(2 + 2.5 * i, 13, 4.5 + 2.5 * i, 18), "stall") for i in range(10))
    points = tuple(
        ControlPoint(f"cross {i}", xyz)
        for i, xyz in enumerate(CROSSES)
    )
    lot = Level("lot", (Surface((0.0, 0.0, 0.0), shapely.box(0, 0, 30, 20)),))
    wall = Occluder("wall", "lot", shapely.LineString([(10, 8), (20, 8)]), 1.5)
    return Site("yard", cameras, SiteMap((lot,), stalls=stalls, occluders=(wall,), control_points=points))
