"""A whole site from its marks: each camera alone first, then all together; or one camera anew among the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from geoloc.calibrate.held_lens import with_held_lens
from geoloc.calibrate.joint import JointOptions, JointSolution, calibrate_jointly
from geoloc.calibrate.redo import redo_camera
from geoloc.calibrate.single import calibrate_each
from geoloc.calibrate.single_case import SingleOptions
from geoloc.calibrate.solution import Solution
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
    wanted = {only: sizes[only]} if only else dict(sizes)
    own = marks.take(np.isin(marks.camera, list(wanted)))
    points = site_map.control_points
    alone, estimated = calibrate_each(wanted, own, points, options.single, known, site_map)
    if options.alone or not alone.cameras:
        return alone
    others = present if only else ()
    try:
        found = _together(alone.cameras, estimated, marks, site_map, known, options, others)
        if find_ties is None:
            return _merged(alone, found.solution)
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
    """All cameras in one adjustment, each free in what its marks carry; with `others`, one among them as they stand."""
    points = {point.name for point in site_map.control_points} | set(marks.point.tolist())
    besides = known.about({camera.name for camera in cameras}, points)
    if others:
        start = next(camera for camera in cameras if camera.name in free)
        standing = {camera.name: camera for camera in others}
        freed = free[start.name]
        return redo_camera(start.name, start, marks, site_map, standing, besides, freed, options.joint)
    starts = {camera.name: camera for camera in cameras}
    own = marks.take(np.isin(marks.camera, list(starts)))
    return calibrate_jointly(own, site_map, starts, besides, free, options=options.joint)


def _merged(alone: Solution, together: Solution) -> Solution:
    """The joint solution; a camera that it refuses though its own marks place it keeps its place alone."""
    adjusted = {camera.name: camera for camera in together.cameras}
    places = {point.name: point.xyz for point in together.points}
    cameras = []
    for camera in alone.cameras:
        if camera.name in adjusted:
            rows = np.flatnonzero(together.used & (together.marks.camera == camera.name))
            xyz = np.array([places[name] for name in together.marks.point[rows].tolist()])
            camera = with_held_lens(adjusted[camera.name], camera, xyz, together.marks.sigma[rows])
        cameras.append(camera)
    apart = [f"{refused.camera}: placed by its own marks alone: {refused.reason}" for refused in together.refused]
    notes = tuple(dict.fromkeys((*alone.notes, *together.notes, *apart)))
    return replace(together, cameras=tuple(cameras), refused=alone.refused, notes=notes)
