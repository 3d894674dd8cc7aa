"""A whole site from its marks: each camera alone first, then all together; or one camera anew among the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from geoloc.calibrate.held_lens import with_held_lens
from geoloc.calibrate.joint import JointOptions, JointSolution, calibrate_jointly
from geoloc.calibrate.map_checks import check_control_points, refuse_hidden
from geoloc.calibrate.redo import redo_camera
from geoloc.calibrate.single import calibrate_each
from geoloc.calibrate.single_case import SingleOptions, lens_prior
from geoloc.calibrate.solution import Refused, Solution
from geoloc.calibrate.tied import tied
from geoloc.calibrate.ties import Finder, TieOptions
from geoloc.errors import GeometryError, unknown_name
from geoloc.scene.camera import Camera
from geoloc.scene.known import Known
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import SiteMap


@dataclass(frozen=True)
class CalibrationOptions:
    """How a site is calibrated."""

    alone: bool = False  # each camera from its own marks, without the others
    single: SingleOptions = field(default_factory=SingleOptions)
    joint: JointOptions = field(default_factory=lambda: JointOptions(estimate_sigma=True))
    ties: TieOptions = field(default_factory=TieOptions)


def calibrate_site(
    sizes: Mapping[str, tuple[int, int]],
    marks: Marks,
    site_map: SiteMap,
    known: Known,
    options: CalibrationOptions | None = None,
    present: Sequence[Camera] = (),
    only: str = "",
    find_ties: Finder | None = None,
) -> Solution:
    """The cameras of `sizes` (width, height px) from `marks`, the map's control points and what else is `known`.

    Each is calibrated alone, which chooses what its marks can carry and names wrong ones; then all are adjusted
    together, so that points that two cameras marked hold them to one map. With `only`, that camera alone is new and
    the `present` ones stay as they are. `find_ties` is given the cameras so found; what it returns joins a second
    adjustment. What the marks cannot carry is in the solution's `refused`.
    """
    options = options or CalibrationOptions()
    if only and only not in sizes:
        raise unknown_name("camera", only, sizes, "the stills")
    check_control_points(site_map)
    wanted = {only: sizes[only]} if only else dict(sizes)
    own = marks.take(np.isin(marks.camera, list(wanted)))
    points = site_map.control_points
    alone, estimated = calibrate_each(wanted, own, points, options.single, known, site_map)
    alone = refuse_hidden(alone, site_map)
    if options.alone or not alone.cameras:
        return alone
    others = present if only else ()
    try:
        found = _together(alone.cameras, estimated, marks, site_map, known, options, others)
        if find_ties is None:
            return _merged(alone, found)
        seen = {camera.name: camera for camera in (*others, *found.solution.cameras)}
        ties = find_ties(tuple(seen.values()))
        solve = partial(_together, free=estimated, known=known, others=others)
        return _merged(alone, tied(found, ties, marks, site_map, solve, options))
    except GeometryError as error:
        return replace(alone, notes=(*alone.notes, f"each camera alone, since together none could be placed: {error}"))


def _together(
    cameras: Sequence[Camera],
    free: Mapping[str, tuple[str, ...]],
    marks: Marks,
    site_map: SiteMap,
    known: Known,
    options: CalibrationOptions,
    others: Sequence[Camera],
) -> JointSolution:
    """All cameras in one adjustment, each lens as `free` as it was alone; with `others`, one among them as they are."""
    points = {point.name for point in site_map.control_points} | set(marks.point.tolist())
    besides = known.about({camera.name for camera in cameras}, points)
    priors = {camera.name: lens_prior(camera, known, options.single) for camera in cameras if camera.name in free}
    if others:
        start = next(camera for camera in cameras if camera.name in free)
        standing = {camera.name: camera for camera in others}
        freed, prior = free[start.name], priors[start.name]
        return redo_camera(start.name, start, marks, site_map, standing, besides, freed, options.joint, prior)
    starts = {camera.name: camera for camera in cameras}
    own = marks.take(np.isin(marks.camera, list(starts)))
    return calibrate_jointly(own, site_map, starts, besides, free, options=options.joint, priors=priors)


def _merged(alone: Solution, joint: JointSolution) -> Solution:
    """The joint solution; a camera that it refuses though its own marks place it keeps its place alone."""
    together = joint.solution
    adjusted = {camera.name: camera for camera in together.cameras}
    cameras = tuple(
        with_held_lens(adjusted[own.name], own, joint.fit, joint.case.cameras.index(own.name))
        if own.name in adjusted
        else own
        for own in alone.cameras
    )
    apart = [f"{refused.camera}: placed by its own marks alone: {refused.reason}" for refused in together.refused]
    notes = tuple(dict.fromkeys((*alone.notes, *together.notes, *apart)))
    found = replace(together, cameras=cameras, refused=(), notes=notes, fitted=together.cameras)
    return with_refused(found, alone.marks, alone.refused)


def with_refused(solution: Solution, marks: Marks, refused: Sequence[Refused]) -> Solution:
    """The solution with cameras more that were refused, and those of `marks` that are theirs: they are told too."""
    own = marks.take(np.isin(marks.camera, [one.camera for one in refused]))
    return replace(
        solution,
        marks=Marks.concat([solution.marks, own]),
        residual=np.concatenate([solution.residual, np.full((len(own), 2), np.nan)]),
        used=np.concatenate([solution.used, np.zeros(len(own), bool)]),
        refused=(*solution.refused, *refused),
    )
