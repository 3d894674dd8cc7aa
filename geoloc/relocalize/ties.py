"""What says where a model is: its known cameras, surveyed points marked in its pictures, fixes of its pictures."""

from collections.abc import Mapping, Sequence

import numpy as np

from geoloc.errors import unknown_name
from geoloc.estimators.triangulation import Refusal, TriangulationOptions, triangulate
from geoloc.relocalize.map_frame import Tie
from geoloc.scene.camera import Camera
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint

CENTRE_SIGMA = 0.05  # m; of a known camera that states no covariance, and of what the model itself is off by
LAX = TriangulationOptions(robust=False, gate_probability=1.0, min_parallax=0.01, max_sigma=1e6, max_relative_sigma=0.2)
WALK = "walk"  # the group of the fixes of one walk


def camera_ties(model: Sequence[Camera], known: Sequence[Camera]) -> list[Tie]:
    """Of the model's cameras those that are `known`: their centres."""
    own = {camera.name: camera for camera in model}
    ties = []
    for camera in known:
        if camera.name in own:
            turn = camera.cam_from_world.rotation.as_matrix()
            cov = turn.T @ camera.calib_cov[3:6, 3:6] @ turn + CENTRE_SIGMA**2 * np.eye(3)
            ties.append(Tie(f"camera {camera.name}", own[camera.name].centre_world, camera.centre_world, cov))
    return ties


def point_ties(
    model: Sequence[Camera], marks: Marks, points: Sequence[ControlPoint]
) -> tuple[list[Tie], tuple[str, ...]]:
    """Control points marked in two of the model's pictures or more, and why others give none."""
    named = {point.name: point for point in points}
    index = {camera.name: i for i, camera in enumerate(model)}
    ties, notes = [], []
    for name in dict.fromkeys(marks.point.tolist()):
        if name not in named:
            raise unknown_name("control point", name, named, "the map")
        rows = [row for row in np.flatnonzero(marks.point == name).tolist() if marks.camera[row] in index]
        if len(rows) < 2:
            notes.append(f"point {name}: marked in {len(rows)} pictures of the model; it takes two")
            continue
        cameras = [model[index[marks.camera[row]]] for row in rows]
        cov = marks.sigma[rows][None, :, None, None] ** 2 * np.eye(2)
        found = triangulate(marks.pixel[rows][None], cameras, cov, LAX)
        if found.refusal[0] != Refusal.NONE:
            notes.append(f"point {name}: its marks do not meet ({Refusal(found.refusal[0]).name.lower()})")
            continue
        survey = np.diag(np.square(named[name].sigma)) + 1e-8 * np.eye(3)
        ties.append(Tie(f"point {name}", found.xyz[0], np.array(named[name].xyz), survey, found.cov[0]))
    return ties, tuple(notes)


def fix_ties(
    model: Sequence[Camera], places: Mapping[str, np.ndarray], covs: Mapping[str, np.ndarray], common: float
) -> tuple[list[Tie], dict[str, np.ndarray]]:
    """Fixes of the model's pictures at `places` (3,) m with `covs` (3, 3) m², and what they have in common.

    `common` is the share of their variance that all fixes of the walk share.
    """
    own = [camera for camera in model if camera.name in places]
    if not own:
        return [], {}
    shared = common * np.mean([covs[camera.name] for camera in own], axis=0)
    ties = [
        Tie(f"fix {camera.name}", camera.centre_world, places[camera.name], (1 - common) * covs[camera.name],
            group=WALK if common else "")
        for camera in own
    ]  # fmt: skip
    return ties, {WALK: shared} if common else {}
