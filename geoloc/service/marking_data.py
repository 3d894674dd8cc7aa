"""What the marking page is told, as JSON: map, marks, residuals, and the map drawn into the still."""

from typing import Any

import numpy as np
import shapely

from geoloc.calibrate.solution import Solution
from geoloc.draw.extent import choose_extent
from geoloc.draw.layers import control_level
from geoloc.draw.page_data import Json, map_data
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import ControlPoint, Level, SiteMap
from geoloc.service.marking import MarkingSession
from geoloc.service.marking_state import Verdict
from geoloc.service.proposal_box import ProposalBox
from geoloc.service.scan_view import COLOURS, ScanPicture

STEP = 0.5  # m between the points of a map's line that are drawn into a still
MAX_POINTS = 40_000  # of all lines together; beyond it the step grows
AROUND = 0.5  # of the still's size: lines that leave it farther are cut


def site_data(session: MarkingSession) -> Json:
    """What does not change: the map, its extent, the plan picture, the cameras and their stills."""
    site_map = session.site.site_map
    spots = np.array([point.xyz[:2] for point in session.control_points], float).reshape(-1, 2)
    data = {
        **map_data(site_map),
        "site": session.site.name,
        "box": np.round(_extent(session, spots), 2).tolist(),
        "file": str(session.folder / "marks.csv"),
        "cameras": [_camera_data(session, i) for i in range(len(session.stills))],
        "plan": None,
        "scan": None if session.scan is None else {"colours": list(COLOURS)},
        "sigma_z": [max(0.02, max(surface.sigma_z for surface in level.surfaces)) for level in site_map.levels],
    }
    if session.plan is not None:
        data["plan"] = {"size": list(session.plan.size), "affine": session.plan.world_from_pixel.tolist()}
    return data


def state_data(session: MarkingSession) -> Json:
    """What changes: marks by camera, control points, whether there is something to undo."""
    state, site_map = session.state, session.site.site_map
    lines: dict[str, list[Json]] = {still.camera: [] for still in session.stills}
    for camera, line in zip(state.lines.camera.tolist(), _line_rows(session), strict=True):
        lines.setdefault(camera, []).append(line)
    marks: dict[str, list[Json]] = {still.camera: [] for still in session.stills}
    rows = zip(state.marks.camera.tolist(), state.marks.point.tolist(), state.marks.pixel.tolist(), strict=True)
    for (camera, point, (u, v)), sigma in zip(rows, state.marks.sigma.tolist(), strict=True):
        marks.setdefault(camera, []).append({"point": point, "u": u, "v": v, "sigma": sigma})
    own = {point.name for point in state.points}
    decided = {} if session.proposals is None else _proposal_data(session.proposals)
    return {
        **decided,
        "revision": session.revision,
        "changed": session.changed_camera,
        "marks": marks,
        "lines": lines,
        "points": [_point_data(point, site_map, point.name in own) for point in session.control_points],
        "undo": session.can_undo,
        "redo": session.can_redo,
    }


def _proposal_data(box: ProposalBox) -> Json:
    """Stalls of the map by level, those that are proposed, and whether a decision can be taken back."""
    index = box.map.level_index
    return {
        "stalls": [level["stalls"] for level in map_data(box.map)["levels"]],
        "proposals": [
            {
                "name": each.place.name, "level": index[each.place.level],
                "confidence": round(each.confidence, 3), "sigma": round(each.sigma, 3),
                "rings": [np.round(shapely.get_coordinates(each.place.polygon.exterior), 3).ravel().tolist()],
            }
            for each in box.open
        ],
        "take_back": box.can_take_back,
    }  # fmt: skip


def verdict_data(session: MarkingSession, camera: str, verdict: Verdict) -> Json:
    """Residuals by point, the camera that was found with the map in its still, and what the solver says of it."""
    solution = verdict.solution
    of_camera = solution.marks.camera == camera
    names = solution.marks.point[of_camera].tolist()
    rows = zip(names, solution.residual[of_camera].tolist(), solution.used[of_camera].tolist(), strict=True)
    found = next((known for known in solution.cameras if known.name == camera), None)
    following = verdict.next_mark
    data: Json = {
        "residuals": {name: {"du": _finite(du), "dv": _finite(dv), "used": used} for name, (du, dv), used in rows},
        "rms": _rms(solution, of_camera),
        "headline": verdict.headline,
        "wrong": verdict.wrong,
        "ground": [_finite(sigma) for sigma in verdict.ground_m],
        "present": verdict.present,
        "freed": list(verdict.freed),
        "turned": [round(angle, 6) if np.isfinite(angle) else None for angle in verdict.turned],
        "notes": list(solution.notes),
        "refused": [[item.reason, item.next_step] for item in solution.refused if item.camera == camera],
        "camera": None if found is None else _found_data(session, found),
        "next": None,
    }
    if following is not None:
        level = control_level(session.site.site_map, ControlPoint("next", following.xyz))
        data["next"] = {
            "u": following.pixel[0], "v": following.pixel[1], "x": following.xyz[0], "y": following.xyz[1],
            "point": following.point, "words": following.words,
            "level": session.site.site_map.level_index.get(level, 0),
        }  # fmt: skip
    return data


def scan_data(picture: ScanPicture) -> Json:
    """Where a picture of the scan lies on the map, and what its colours mean (m over the level)."""
    height, width = picture.height.shape
    affine = picture.affine.tolist()
    return {"size": [width, height], "affine": affine, "low": _finite(picture.low), "high": _finite(picture.high)}


def _line_rows(session: MarkingSession) -> list[Json]:
    lines = session.state.lines
    columns = (lines.kind.tolist(), lines.group.tolist(), lines.start.tolist(), lines.end.tolist())
    return [dict(zip(("kind", "group", "start", "end"), row, strict=True)) for row in zip(*columns, strict=True)]


def _extent(session: MarkingSession, spots: np.ndarray) -> np.ndarray:
    if session.plan is None:
        return np.asarray(choose_extent(session.site, (), spots))
    width, height = session.plan.size
    corners = session.plan.xy(np.array([[0, 0], [width, 0], [width, height], [0, height]], float) - 0.5)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _camera_data(session: MarkingSession, index: int) -> Json:
    still = session.stills[index]
    known = {camera.name: camera.size for camera in session.site.cameras}
    size = known.get(still.camera, still.size)
    warning = ""
    if tuple(size) != still.size:
        warning = (
            f"This still has {still.size[0]} × {still.size[1]} px, the calibration of {still.camera} "
            f"{size[0]} × {size[1]} px: take a still of the camera as it runs."
        )
    return {"name": still.camera, "size": list(still.size), "warning": warning}


def _point_data(point: ControlPoint, site_map: SiteMap, own: bool) -> Json:
    level = site_map.level_index.get(control_level(site_map, point), 0)
    x, y, z = (round(value, 4) for value in point.xyz)
    return {"name": point.name, "x": x, "y": y, "z": z, "sigma": list(point.sigma), "level": level, "own": own}


def _found_data(session: MarkingSession, camera: Camera) -> Json:
    site_map = session.site.site_map
    x, y, z = camera.centre_world.tolist()
    below = [float(level.z_at(np.array([[x, y]]))[0]) for level in site_map.levels]
    ground = max((at for at in below if at < z), default=float("nan"))
    forward = camera.cam_from_world.rotation.as_matrix()[2]
    predicted = camera.project(np.array([point.xyz for point in session.control_points], float).reshape(-1, 3))
    seen = np.isfinite(predicted).all(axis=1) & camera.inside(predicted)
    names = [point.name for point in session.control_points]
    lens = dict(zip(camera.lens.parameter_names, camera.lens.params.tolist(), strict=True))
    return {
        "x": round(x, 3), "y": round(y, 3), "height": _finite(z - ground),
        "ahead": round(float(np.arctan2(forward[1], forward[0])), 4),
        "focal": _finite(lens["fx"]), "freed": list(camera.freed),
        "sigma": np.round(_centre_sigma(camera), 4).tolist(),
        "predicted": {name: _rounded(at) for name, at, good in zip(names, predicted, seen, strict=True) if good},
        "lines": [still_lines(camera, site_map, level) for level in site_map.levels],
    }  # fmt: skip


def _centre_sigma(camera: Camera) -> np.ndarray:
    """Standard deviation (3,) m of the camera's place: d centre = -R' t' of exp(xi) * cam_from_world."""
    rotation = camera.cam_from_world.rotation.as_matrix()
    cov = rotation.T @ camera.calib_cov[3:6, 3:6] @ rotation
    return np.sqrt(np.maximum(np.diag(cov), 0.0))


def still_lines(camera: Camera, site_map: SiteMap, level: Level) -> list[list[float]]:
    """Outlines, stalls, zones and walls of a level as a camera sees them: polylines [u, v, u, v, ...] px."""
    things = [surface.polygon for surface in level.surfaces if not surface.polygon.is_empty]
    things += [place.polygon for place in (*site_map.stalls, *site_map.zones) if place.level == level.name]
    things += [occluder.geometry for occluder in site_map.occluders if occluder.level == level.name]
    if not things:
        return []
    lines = shapely.get_parts([shapely.boundary(t) if shapely.get_dimensions(t) == 2 else t for t in things])
    step = max(STEP, float(shapely.length(lines).sum()) / MAX_POINTS)
    fine = shapely.segmentize(lines, step)
    xy, owner = shapely.get_coordinates(fine, return_index=True)
    pixels = camera.project(np.column_stack([xy, level.z_extended(xy)]))
    margin = AROUND * np.array(camera.size)
    with np.errstate(invalid="ignore"):
        good = np.all((pixels > -margin) & (pixels < np.array(camera.size) + margin), axis=1)
    breaks = np.flatnonzero((owner[1:] != owner[:-1]) | ~good[1:] | ~good[:-1]) + 1
    runs = np.split(np.arange(len(xy)), breaks)
    return [np.round(pixels[run], 1).ravel().tolist() for run in runs if len(run) > 1]


def _rms(solution: Solution, rows: np.ndarray) -> float | None:
    length = np.linalg.norm(solution.residual[rows & solution.used], axis=1)
    length = length[np.isfinite(length)]
    return float(np.sqrt((length**2).mean())) if len(length) else None


def _finite(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None


def _rounded(values: np.ndarray) -> list[Any]:
    return np.round(values, 2).tolist()
