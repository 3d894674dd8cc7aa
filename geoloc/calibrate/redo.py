"""One camera added or done again, all others as they stand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from geoloc.calibrate.joint import JointOptions, JointSolution, calibrate_jointly
from geoloc.calibrate.joint_case import ends_of
from geoloc.calibrate.overlap import PLACE_SIGMA
from geoloc.errors import unknown_name
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.scene.camera import Camera
from geoloc.scene.known import Known
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import SiteMap


def redo_camera(
    name: str,
    start: Camera,
    marks: Marks,
    site_map: SiteMap,
    others: Mapping[str, Camera],
    known: Known = Known(),  # noqa: B008 - frozen
    free: Sequence[str] | None = None,
    options: JointOptions = JointOptions(),  # noqa: B008 - frozen
    prior: CameraPrior | None = None,
) -> JointSolution:
    """Calibrate camera `name` from `start`, with the cameras in `others` held at their poses.

    Of the others only marks of tie points that this camera sees count, for their poses have used up the rest;
    their `calib_cov` is carried into this camera's. `prior` is what is known of its lens before any mark.
    GeometryError if the marks cannot place it.
    """
    if name not in marks.camera.tolist():
        raise unknown_name("camera", name, marks.camera.tolist(), "the marks")
    mine = marks.camera == name
    controls = [point.name for point in site_map.control_points if max(point.sigma[:2]) < PLACE_SIGMA]
    ties = np.isin(marks.point, marks.point[mine]) & ~np.isin(marks.point, controls)
    starts = {own: camera for own, camera in others.items() if own != name and not camera.is_homography}
    rows = mine | (ties & np.isin(marks.camera, list(starts)))
    helping = {own: starts[own] for own in np.unique(marks.camera[rows & ~mine]).tolist()}
    own_points, controlled = set(marks.point[mine].tolist()), {*controls, *marks.point[rows].tolist()}
    own = known.about({name}, controlled)
    touching = [bool({a, b} & own_points) for a, b in ends_of(own.distances)]
    own = replace(own, distances=own.distances.take(np.array(touching, bool)))
    frees = {name: tuple(free)} if free is not None else {}
    starts, priors = {**helping, name: start}, {name: prior} if prior is not None else {}
    return calibrate_jointly(marks.take(rows), site_map, starts, own, frees, tuple(helping), options, priors)
