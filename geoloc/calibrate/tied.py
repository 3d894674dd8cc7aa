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
from geoloc.scene.sitemap import ControlPoint, SiteMap

if TYPE_CHECKING:
    from geoloc.calibrate.site import CalibrationOptions

TOLERATED = 1.05  # scatter of ties, in their sigmas, up to which their sigmas stay


class Solve(Protocol):
    """An adjustment of cameras from marks and a map."""

    def __call__(
        self, cameras: Sequence[Camera], *, marks: Marks, site_map: SiteMap, options: "CalibrationOptions"
    ) -> JointSolution:
        """The cameras, adjusted together."""


def tied(
    found: JointSolution, ties: Ties, marks: Marks, site_map: SiteMap, solve: Solve, options: "CalibrationOptions"
) -> Solution:
    """The solution `found` from `marks`, adjusted again with `ties`, which are no part of what is returned.

    Ties of a camera that would move farther than its marks allow are dropped, and said. The marks keep the scatter
    that they have among themselves: ties neither sharpen nor blunt them.
    """
    scatter, base, notes = found.scatter or 1.0, found.solution, list(ties.notes)
    held = replace(options, joint=replace(options.joint, estimate_sigma=False))
    own = marks.replace(sigma=marks.sigma * scatter)
    while len(ties.marks):
        again = _solved(base.cameras, own, ties, site_map, solve, held)
        moved = contradicted(base.cameras, again.solution.cameras, options.ties)
        if not moved:
            notes.append(_words(base, again.solution, ties))
            return _stripped(again.solution, ties, scatter, notes)
        worst = max(moved, key=lambda name: moved[name])
        notes.append(
            f"ties: those of camera {worst} are dropped: they would move it by {moved[worst]:.0f} sigma of what its "
            "marks say. Either they are wrong (a pattern that repeats, things above the ground) or its marks are"
        )
        ties = ties.without(set(ties.marks.point[ties.marks.camera == worst].tolist()))
    return replace(base, notes=(*base.notes, *notes))


def shared_height(points: Sequence[ControlPoint]) -> tuple[ControlPoint, ...]:
    """The same, each height as uncertain as makes all of them together no surer than the ground's height is."""
    widen = np.sqrt(max(len(points), 1))
    return tuple(replace(point, sigma=(*point.sigma[:2], point.sigma[2] * widen)) for point in points)


def contradicted(before: Sequence[Camera], after: Sequence[Camera], options: TieOptions) -> dict[str, float]:
    """Cameras that moved farther than what was known of them before allows, with by how many sigmas."""
    was = {camera.name: camera for camera in before if camera.calib_cov[:6, :6].any()}
    found = {}
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
    """Marks and ties in one adjustment, the ties' sigmas widened to how they scatter."""
    points = (*site_map.control_points, *shared_height(ties.on_ground))
    tied_map = replace(site_map, control_points=points)
    again = solve(cameras, marks=Marks.concat([marks, ties.marks]), site_map=tied_map, options=options)
    spread = _scatter(again.solution, ties)
    if spread <= TOLERATED:
        return again
    wider = ties.marks.replace(sigma=ties.marks.sigma * spread)
    return solve(cameras, marks=Marks.concat([marks, wider]), site_map=tied_map, options=options)


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
