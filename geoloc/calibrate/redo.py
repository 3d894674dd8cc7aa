"""One camera added or done again, all others as they stand, and what that changes on the ground."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.calibrate.joint import JointOptions, JointSolution, calibrate_jointly
from geoloc.calibrate.joint_case import Measured
from geoloc.calibrate.overlap import PLACE_SIGMA
from geoloc.errors import GeometryError, unknown_name
from geoloc.scene.camera import Camera
from geoloc.scene.ground import intersect_ground
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import SiteMap

GRID = (16, 12)  # pixels across and down at which the ground is compared
FARTHEST = 100.0  # m from the camera; beyond it a hair's breadth of tilt is metres


@dataclass(frozen=True, eq=False)
class GroundChange:
    """How far the ground under M pixels (M, 2) of one camera moved: `shift` (M, 2) m, from `xy` (M, 2) m.

    Pixels that meet the ground within 100 m both before and after, on a grid over the image.
    """

    camera: str
    pixel: np.ndarray
    xy: np.ndarray
    shift: np.ndarray

    @property
    def words(self) -> str:
        """One line in centimetres."""
        if not len(self.shift):
            return f"camera {self.camera}: no ground within {FARTHEST:.0f} m is seen both before and after"
        size = 100.0 * np.linalg.norm(self.shift, axis=1)
        worst = int(np.argmax(size))
        east, north = 100.0 * np.median(self.shift, axis=0)
        (u, v), (x, y) = self.pixel[worst], self.xy[worst]
        return (
            f"camera {self.camera}: the ground moved by {np.median(size):.1f} cm (median; {east:+.1f} east, "
            f"{north:+.1f} north), 90 % of it by less than {np.quantile(size, 0.9):.1f} cm, at most "
            f"{size[worst]:.1f} cm, at pixel ({u:.0f}, {v:.0f}), map ({x:.1f}, {y:.1f})"
        )


def redo_camera(
    name: str,
    start: Camera,
    marks: Marks,
    site_map: SiteMap,
    others: Mapping[str, Camera],
    measured: Measured = Measured(),  # noqa: B008 - frozen
    free: Sequence[str] | None = None,
    options: JointOptions = JointOptions(),  # noqa: B008 - frozen
) -> JointSolution:
    """Calibrate camera `name` from `start`, with the cameras in `others` held at their poses.

    Of the others only marks of tie points that this camera sees count, for their poses have used up the rest;
    their `calib_cov` is carried into this camera's. GeometryError if the marks cannot place it.
    """
    if name not in marks.camera.tolist():
        raise unknown_name("camera", name, marks.camera.tolist(), "the marks")
    mine = marks.camera == name
    controls = [point.name for point in site_map.control_points if max(point.sigma[:2]) < PLACE_SIGMA]
    ties = np.isin(marks.point, marks.point[mine]) & ~np.isin(marks.point, controls)
    starts = {own: camera for own, camera in others.items() if own != name and not camera.is_homography}
    rows = mine | (ties & np.isin(marks.camera, list(starts)))
    helping = {own: starts[own] for own in np.unique(marks.camera[rows & ~mine]).tolist()}
    own_measures = Measured(
        tuple(d for d in measured.distances if {d.a, d.b} & set(marks.point[mine].tolist())),
        tuple(height for height in measured.heights if height.camera == name),
    )
    frees = {name: tuple(free)} if free is not None else {}
    return calibrate_jointly(
        marks.take(rows), site_map, {**helping, name: start}, own_measures, frees, tuple(helping), options
    )


def ground_change(before: Camera, after: Camera, site_map: SiteMap) -> GroundChange:
    """What the ground under the same pixels is before and after a camera was calibrated again."""
    if before.size != after.size:
        raise GeometryError(f"camera {after.name!r}: its images were {before.size} px and are {after.size} px now")
    width, height = after.size
    u, v = np.meshgrid(np.linspace(0, width - 1, GRID[0]), np.linspace(0, height - 1, GRID[1]))
    pixel = np.column_stack([u.ravel(), v.ravel()])
    first, second = (_ground(camera, pixel, site_map) for camera in (before, after))
    seen = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    return GroundChange(after.name, pixel[seen], first[seen], (second - first)[seen])


def _ground(camera: Camera, pixel: np.ndarray, site_map: SiteMap) -> np.ndarray:
    """Ground (M, 2) m under pixels; NaN where there is none within reach."""
    rays = camera.unproject(pixel)
    xy = np.full((len(pixel), 2), np.nan)
    rows = np.flatnonzero(np.isfinite(rays).all(axis=1))
    hits = intersect_ground(site_map, camera.centre_world[None], rays[rows])
    near = hits.distance < FARTHEST
    xy[rows[near]] = hits.xyz[near, :2]
    return xy
