"""Ties weighed against marks: cameras adjusted on both, unless the ties contradict what the marks say."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.stats import chi2

from geoloc.calibrate.joint import JointSolution
from geoloc.calibrate.solution import Solution
from geoloc.calibrate.ties import TieOptions, Ties
from geoloc.scene.camera import Camera
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import SiteMap

if TYPE_CHECKING:
    from geoloc.calibrate.site import CalibrationOptions


class Solve(Protocol):
    """An adjustment of cameras from marks and a map."""

    def __call__(
        self, cameras: Sequence[Camera], *, marks: Marks, site_map: SiteMap, options: "CalibrationOptions"
    ) -> JointSolution:
        """The cameras, adjusted together."""


def tied(
    found: JointSolution, ties: Ties, marks: Marks, site_map: SiteMap, solve: Solve, options: "CalibrationOptions"
) -> JointSolution:
    """The solution `found` from `marks`, adjusted again with `ties`, which are no part of what is returned.

    Ties of a camera that would move farther than its marks allow are dropped, and said. The marks keep the scatter
    that they have among themselves: ties neither sharpen nor blunt them.
    """
    scatter, base, notes = found.scatter or 1.0, found.solution, list(ties.notes)
    held = replace(options, joint=replace(options.joint, estimate_sigma=False))
    own = marks.replace(sigma=marks.sigma * scatter)
    while len(ties.marks):  # those of one camera fewer each time
        again = _solved(base.cameras, own, ties, site_map, solve, held)
        moved = contradicted(base.cameras, again.solution.cameras, options.ties)
        if not moved:
            notes.append(_words(base, again.solution, ties))
            return replace(again, solution=_stripped(again.solution, ties, scatter, notes))
        worst = max(moved, key=lambda name: moved[name])
        how = (
            f"they would move it by {moved[worst]:.0f} sigma of what its marks say"
            if np.isfinite(moved[worst])
            else ("they and its marks do not agree")
        )
        notes.append(
            f"ties: those of camera {worst} are dropped: {how}. Either they are wrong (a pattern that repeats, things "
            "above the ground) or its marks are"
        )
        ties = ties.without(set(ties.marks.point[ties.marks.camera == worst].tolist()))
    return replace(found, solution=replace(base, notes=(*base.notes, *notes)))


def contradicted(before: Sequence[Camera], after: Sequence[Camera], options: TieOptions) -> dict[str, float]:
    """Cameras that moved farther than what was known of them before allows, with by how many sigmas.

    One that could not be placed any more is infinitely far.
    """
    was = {camera.name: camera for camera in before if camera.calib_cov[:6, :6].any()}
    now = {camera.name for camera in after}
    found = {camera.name: np.inf for camera in before if camera.name not in now}
    for camera in after:
        if camera.name not in was:
            continue
        old = was[camera.name]
        step = (camera.cam_from_world * old.cam_from_world.inv()).as_exp_coords()
        distance2 = float(step @ np.linalg.solve(old.calib_cov[:6, :6], step))
        if distance2 > chi2.isf(options.contradiction, 6):
            found[camera.name] = float(np.sqrt(distance2))
    return found


def _solved(
    cameras: Sequence[Camera], marks: Marks, ties: Ties, site_map: SiteMap, solve: Solve,
    options: "CalibrationOptions",
) -> JointSolution:  # fmt: skip
    """Marks and ties in one adjustment, the ties' sigmas widened to how they scatter.

    The ground's height is uncertain twice: from place to place, as the ties have it, and as a whole, which no number
    of ties averages out. The latter is what the cameras change by where all of it is one sigma higher.
    """
    known = (*site_map.control_points, *ties.on_ground)
    again = solve(
        cameras, marks=Marks.concat([marks, ties.marks]), site_map=replace(site_map, control_points=known),
        options=options,
    )  # fmt: skip
    widened = ties.marks.replace(sigma=ties.marks.sigma * max(_scatter(again.solution, ties), 1.0))
    raised = tuple(replace(one, xyz=(*one.xyz[:2], one.xyz[2] + one.sigma[2])) for one in ties.on_ground)
    level, higher = (
        solve(
            again.solution.cameras, marks=Marks.concat([marks, widened]), options=options,
            site_map=replace(site_map, control_points=(*site_map.control_points, *ground)),
        )
        for ground in (ties.on_ground, raised)
    )  # fmt: skip
    widened_cameras = _with_common_height(level.solution.cameras, higher.solution.cameras)
    return replace(level, solution=replace(level.solution, cameras=widened_cameras))


def _with_common_height(cameras: Sequence[Camera], higher: Sequence[Camera]) -> tuple[Camera, ...]:
    """`cameras`, as uncertain besides as they differ from those that a higher ground gives."""
    other = {camera.name: camera for camera in higher}
    found = []
    for camera in cameras:
        if camera.name in other:
            twin = other[camera.name]
            at = [camera.lens.parameter_names.index(name) for name in camera.freed]
            step = (twin.cam_from_world * camera.cam_from_world.inv()).as_exp_coords()
            change = np.concatenate([step, (twin.lens.params - camera.lens.params)[at]])
            camera = replace(camera, calib_cov=camera.calib_cov + np.outer(change, change))
        found.append(camera)
    return tuple(found)


def _scatter(solution: Solution, ties: Ties) -> float:
    """How widely the ties that count scatter, in their sigmas, of the freedom that they leave."""
    rows = solution.used & np.isin(solution.marks.point, ties.marks.point)
    residual = solution.residual[rows] / solution.marks.sigma[rows, None]
    # each tie point takes two unknowns out of four equations: its place in plan
    freedom = 2 * int(rows.sum()) - 2 * len(np.unique(solution.marks.point[rows]))
    return float(np.sqrt((residual**2).sum() / freedom)) if freedom > 0 else 1.0


def _words(before: Solution, after: Solution, ties: Ties) -> str:
    rows = np.isin(after.marks.point, ties.marks.point)
    n_all, n_used = (len(np.unique(after.marks.point[own])) for own in (rows, rows & after.used))
    was = {camera.name: camera.centre_world for camera in before.cameras}
    moved = {c.name: float(np.linalg.norm(c.centre_world - was[c.name])) for c in after.cameras if c.name in was}
    most = max(moved, key=lambda name: moved[name])
    rms = float(np.sqrt((after.residual[rows & after.used] ** 2).sum(axis=1).mean())) if n_used else float("nan")
    return (
        f"ties: {n_used} of {n_all} tie points agree with the marks (rms {rms:.2f} px); they moved camera {most} "
        f"most, by {100 * moved[most]:.1f} cm"
    )


def _stripped(solution: Solution, ties: Ties, scatter: float, notes: Sequence[str]) -> Solution:
    """What is said of people's marks alone."""
    kept = ~np.isin(solution.marks.point, ties.marks.point)
    names = set(ties.marks.point.tolist())
    marks = solution.marks.take(kept)
    return replace(
        solution,
        marks=marks.replace(sigma=marks.sigma / scatter),
        residual=solution.residual[kept],
        used=solution.used[kept],
        points=tuple(point for point in solution.points if point.name not in names),
        notes=(*solution.notes, *notes),
    )
