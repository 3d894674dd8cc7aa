"""Whether control points, floors and cameras of one map can belong to each other: swapped axes and feet are named."""

from dataclasses import replace

import numpy as np
import shapely

from geoloc.calibrate.solution import Refused, Solution
from geoloc.errors import InputError
from geoloc.scene.occlusion import Occlusion
from geoloc.scene.sitemap import SiteMap

FOOT = 0.3048  # m
NEAR_FLOOR = 0.3  # m by which a point that lies on a floor may be under it, besides three of its sigmas
ON_FLOOR = 0.1  # m, the same of a point that is taken to lie on it
BESIDE = 1.0  # m by which a point may lie outside all outlines
FEWEST = 6  # points that are judged
ODD, RIGHT = 0.7, 0.95  # share of points inside the outlines: below the first as they are, above the second otherwise
MANY = 0.6  # share of points that must lie on floors, were heights in feet, to say that they are
MISTAKES = {
    "x and y (or latitude and longitude) swapped": lambda xy: xy[:, ::-1],
    "x and y in feet": lambda xy: xy * FOOT,
}


def check_control_points(site_map: SiteMap) -> None:
    """Raise InputError where many control points lie outside the map's floors, and one usual mistake explains it."""
    xy = np.array([point.xyz[:2] for point in site_map.control_points]).reshape(-1, 2)
    found = _inside(site_map, xy)
    if len(xy) < FEWEST or found >= ODD * len(xy):
        return
    for words, undone in MISTAKES.items():
        others = _inside(site_map, undone(xy))
        if others >= RIGHT * len(xy):
            raise InputError(
                f"control points: {found} of {len(xy)} lie inside the map's levels, {others} would if they were "
                f"given with {words}: give metres, x east and y north"
            )


def words_on_heights(site_map: SiteMap) -> list[str]:
    """Whether heights of control points look like feet."""
    xyz = np.array([point.xyz for point in site_map.control_points]).reshape(-1, 3)
    reach = ON_FLOOR + 3.0 * np.array([point.sigma[2] for point in site_map.control_points])
    found, others = (_on_floors(site_map, xyz * [1.0, 1.0, unit], reach) for unit in (1.0, FOOT))
    if len(xyz) < FEWEST or others < MANY * len(xyz) or found > MANY * others:
        return []
    on = f"{found} of {len(xyz)} control points lie on a floor, {others} would if their heights were feet"
    return [f"{on}: give heights in metres"]


def refuse_hidden(solution: Solution, site_map: SiteMap) -> Solution:
    """The solution without cameras from whose place floors of the map hide most of what they marked.

    Points of one plane that are mirrored fit a camera on its other side as well as the right one.
    """
    floors = Occlusion(replace(site_map, occluders=()))
    places = {point.name: point for point in solution.points}
    good, refused = [], []
    for camera in solution.cameras:
        mine = solution.marks.point[(solution.marks.camera == camera.name) & solution.used]
        points = [places[name] for name in mine.tolist() if name in places]
        lift = np.array([[0.0, 0.0, NEAR_FLOOR + 3.0 * point.sigma[2]] for point in points]).reshape(-1, 3)
        xyz = np.array([point.xyz for point in points]).reshape(-1, 3)
        hidden = int(floors(camera.centre_world, xyz + lift).sum()) if len(points) else 0
        if 2 * hidden <= len(points):
            good.append(camera)
            continue
        reason = f"from where its marks put it, a floor of the map hides {hidden} of {len(points)} marked points"
        step = "are x and y (latitude and longitude) of the points swapped, or do points and floors differ in height?"
        refused.append(Refused(camera.name, reason, step))
    return replace(solution, cameras=tuple(good), refused=(*solution.refused, *refused))


def _inside(site_map: SiteMap, xy: np.ndarray) -> int:
    """How many points (N, 2) m lie inside or just beside a level's outline; all where one is endless."""
    outlines = [surface.polygon for level in site_map.levels for surface in level.surfaces]
    if not outlines or any(outline.is_empty for outline in outlines):
        return len(xy)
    return int(shapely.contains_xy(shapely.union_all(outlines).buffer(BESIDE), xy).sum())


def _on_floors(site_map: SiteMap, xyz: np.ndarray, reach: np.ndarray) -> int:
    """How many points (N, 3) m lie within `reach` (N,) m of a floor's height, inside its outline."""
    found = np.zeros(len(xyz), dtype=bool)
    for level in site_map.levels:
        for surface in level.surfaces:
            found |= surface.holds(xyz[:, :2]) & (np.abs(xyz[:, 2] - surface.z_at(xyz[:, :2])) <= reach)
    return int(found.sum())
