"""What a map page tells of cameras: still with the map's lines, residuals of marks, what they see, alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoloc.calibrate.ground_cells import level_ground
from geoloc.draw.page_data import camera_data
from geoloc.draw.still_lines import still_lines
from geoloc.draw.words import one_line
from geoloc.scene.camera import Camera
from geoloc.scene.footprint import Footprint
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap

Json = dict[str, Any]


@dataclass(frozen=True)
class CameraAlarm:
    """Something was wrong with a camera from `start` to `end` (Unix s; inf: up to the end): `kind` is a word or two.

    Such as "moved", "blocked", "clock off", "silent"; `why` says more.
    """

    camera: str
    start: float
    end: float = np.inf
    kind: str = "moved"
    why: str = ""


def camera_cards(
    site: Site, seen: Sequence[Footprint], marks: Marks | None, alarms: Sequence[CameraAlarm], start: float, end: float
) -> list[Json]:
    """`camera_data`, and of each camera its size, the map's lines in it (px), its marks, coverage and alarms.

    Times of alarms count from `start` (s). InputError for an alarm of a camera that the site does not have.
    """
    for alarm in alarms:
        site.camera(alarm.camera)
    sight = _sight(site)
    found = []
    for camera, card in zip(site.cameras, camera_data(site, seen), strict=True):
        mine = [alarm for alarm in alarms if alarm.camera == camera.name]
        lines = [[line.kind, np.round(line.pixels).astype(int).ravel().tolist()] for line in _lines(camera, site)]
        residuals = _residuals(camera, site.site_map, marks) if marks is not None else []
        told = [
            [round(a.start - start, 2), round(min(a.end, end) - start, 2), one_line(a.kind, 40), one_line(a.why, 200)]
            for a in mine
        ]
        found.append({
            **card, "size": [int(n) for n in camera.size], "lines": lines, "marks": residuals, "alarms": told,
            "sight": sight.get(camera.name, []),
        })  # fmt: skip
    return found


def _lines(camera: Camera, site: Site) -> list[Any]:
    return list(still_lines(camera, site.site_map)) if np.isfinite(camera.anchor_xy).all() else []


def _residuals(camera: Camera, site_map: SiteMap, marks: Marks) -> list[list[Any]]:
    """Marks of a camera whose points the map has: name, pixel, and how far off the camera puts the point (px)."""
    places = {point.name: point.xyz for point in site_map.control_points}
    found: list[list[Any]] = []
    if camera.is_homography:
        return found
    for row in np.flatnonzero(marks.camera == camera.name).tolist():
        name = str(marks.point[row])
        if name in places:
            off = camera.project(np.array([places[name]], float))[0] - marks.pixel[row]
            if np.isfinite(off).all():
                found.append([one_line(name, 40), *np.round([*marks.pixel[row], *off], 2).tolist()])
    return found


def _sight(site: Site) -> dict[str, list[Json]]:
    """What each camera sees of each level: area (m²), share of the level, ground sigma (m; median, worst tenth)."""
    found: dict[str, list[Json]] = {}
    for index in range(len(site.site_map.levels)) if site.cameras else ():
        ground = level_ground(site, index)
        for view in ground.views:
            area = ground.cell**2 * len(view.cells)
            known = view.sigma[np.isfinite(view.sigma)]
            middle, worst = np.quantile(known, [0.5, 0.9]).tolist() if len(known) else (None, None)
            found.setdefault(view.camera, []).append({
                "level": index, "area": round(area, 1),
                "share": round(min(area / ground.area_m2, 1.0), 4) if ground.area_m2 else None,
                "sigma": middle and round(middle, 4), "worst": worst and round(worst, 4),
            })  # fmt: skip
    return found


def check_names(site: Site, names: Mapping[str, np.ndarray]) -> None:
    """InputError where a still is of a camera that the site does not have."""
    for name in names:
        site.camera(name)
