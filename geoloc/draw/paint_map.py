"""The fixed things of a plan view: surfaces, zones, stalls, walls, pillars, control points, cameras."""

from collections.abc import Sequence

import numpy as np
import shapely
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from shapely import Geometry

from geoloc.draw.extent import nice_step
from geoloc.draw.layers import control_level
from geoloc.draw.panel import CAMERAS, MAP, Dot, Panel
from geoloc.draw.style import FOOTPRINT_ALPHAS, OUTLINE_PT, STALL_PT, WALL_PT, blend
from geoloc.draw.words import one_line
from geoloc.scene.camera import Camera
from geoloc.scene.footprint import Footprint
from geoloc.scene.sitemap import Level, Place, SiteMap

GRID_LINES = 4  # about so many along the longer side
MANY = 7  # footprints on one level: from here on their outlines are fainter
CAMERA_PT = 17.0  # length of a camera's sign


def paint_map(panel: Panel, site_map: SiteMap) -> None:
    """Everything of the map that lies on the panel's level."""
    level = site_map.level(panel.level)
    _paint_ground(panel, level)
    _paint_other_levels(panel, [other for other in site_map.levels if other is not level])
    _paint_zones(panel, site_map.zones)
    _paint_stalls(panel, [stall for stall in site_map.stalls if stall.level == level.name])
    standing = [occluder.geometry for occluder in site_map.occluders if occluder.level == level.name]
    _paint_occluders(panel, standing)
    _paint_control(panel, site_map)


def paint_footprints(panel: Panel, seen: Sequence[Footprint]) -> None:
    """Footprints of the cameras on this level: where several overlap, the tint is deeper."""
    areas = [footprint.area for footprint in seen if footprint.level == panel.level]
    colour, (least, most, together) = panel.palette.footprint, FOOTPRINT_ALPHAS
    for area in areas:
        alpha = float(np.clip(together / len(areas), least, most))
        panel.areas([area], (colour, alpha), 2.2, (colour, 0.45 if len(areas) < MANY else 0.25), OUTLINE_PT)
    if areas:
        patch = Patch(facecolor=(colour, together), edgecolor=(colour, 0.6), linewidth=OUTLINE_PT)
        panel.explain(CAMERAS, "footprint of a camera", patch)


def paint_cameras(panel: Panel, cameras: Sequence[Camera]) -> list[tuple[np.ndarray, str]]:
    """Signs of cameras, hollow where only a homography is known; returns where (2,) m and their names."""
    palette, found = panel.palette, []
    for camera in cameras:
        spot = camera.anchor_xy
        if not panel.shows(spot):
            continue
        if not camera.is_homography:
            panel.areas([_wedge(camera, CAMERA_PT / panel.pt_per_m)], (palette.camera, 0.35), 6.0)
        face = palette.ground if camera.is_homography else palette.camera
        dot = Dot("s", 4.6, face, palette.camera, 1.1)
        panel.dots(spot, dot, 6.1)
        name = "camera, place not known" if camera.is_homography else "camera"
        panel.explain(CAMERAS, name, dot.line(np.empty(0)))
        found.append((spot, camera.name))
    return found


def _paint_ground(panel: Panel, level: Level) -> None:
    palette, (x0, y0, x1, y1) = panel.palette, panel.box.tolist()
    outlines = [surface.polygon for surface in level.surfaces]
    everywhere = any(outline.is_empty for outline in outlines)
    panel.areas([shapely.box(x0, y0, x1, y1)], palette.ground if everywhere else palette.outside, 0.0)
    panel.areas(outlines, palette.ground, 0.5)
    panel.lines(_polylines([outline.boundary for outline in outlines]), [palette.edge], 1.1, 2.0)
    step = nice_step(max(x1 - x0, y1 - y0) / GRID_LINES)
    xs, ys = (np.arange(np.ceil(a / step), np.floor(b / step) + 1) * step for a, b in ((x0, x1), (y0, y1)))
    lines = [np.array([[x, y0], [x, y1]]) for x in xs] + [np.array([[x0, y], [x1, y]]) for y in ys]
    panel.lines(lines, [palette.grid], 0.6, 0.8)
    panel.axes.set_xticks(xs)
    panel.axes.set_yticks(ys)


def _paint_other_levels(panel: Panel, others: Sequence[Level]) -> None:
    outlines = [surface.polygon.boundary for other in others for surface in other.surfaces]
    panel.lines(_polylines(outlines), [panel.palette.edge], 0.6, 0.9, dashed=True)


def _paint_zones(panel: Panel, zones: Sequence[Place]) -> None:
    """Zones of the panel's level; a kind has the same colour on all levels."""
    palette = panel.palette
    for i, kind in enumerate(sorted({zone.kind for zone in zones})):
        face = palette.zones[i % len(palette.zones)]
        edge = blend(palette.muted, face, 0.35)
        here = [zone.polygon for zone in zones if zone.kind == kind and zone.level == panel.level]
        if not here:
            continue
        panel.areas(here, face, 0.7, edge, 0.5)
        panel.explain(MAP, one_line(kind, 24) or "zone", Patch(facecolor=face, edgecolor=edge, linewidth=0.6))


def _paint_stalls(panel: Panel, stalls: Sequence[Place]) -> None:
    palette = panel.palette
    panel.areas([stall.polygon for stall in stalls], "none", 1.5, palette.stall, OUTLINE_PT)
    if stalls:
        panel.explain(MAP, "stall", Patch(facecolor="none", edgecolor=palette.stall, linewidth=1.0))
    colour = blend(palette.muted, palette.ground, 0.7)
    for stall in stalls:
        x0, y0, x1, y1 = np.array(stall.polygon.bounds) * panel.pt_per_m
        # names only where they have room
        if y1 - y0 >= 1.6 * STALL_PT and x1 - x0 >= 0.62 * STALL_PT * len(stall.name):
            middle = shapely.get_coordinates(stall.polygon.representative_point())[0]
            panel.text(middle, stall.name, STALL_PT, colour, 1.6)


def _paint_occluders(panel: Panel, standing: Sequence[Geometry]) -> None:
    palette = panel.palette
    pillars = [thing for thing in standing if shapely.get_dimensions(thing) == 2]
    walls = [thing for thing in standing if shapely.get_dimensions(thing) == 1]
    panel.areas(pillars, palette.pillar, 3.0, palette.wall, OUTLINE_PT)
    panel.lines(_polylines(walls), [palette.wall], WALL_PT, 3.1)
    if walls:
        panel.explain(MAP, "wall", Line2D([], [], color=palette.wall, linewidth=WALL_PT))
    if pillars:
        panel.explain(MAP, "pillar", Patch(facecolor=palette.pillar, edgecolor=palette.wall, linewidth=0.6))


def _paint_control(panel: Panel, site_map: SiteMap) -> None:
    points = [p.xyz[:2] for p in site_map.control_points if control_level(site_map, p) == panel.level]
    if points:
        dot = Dot("^", 5.0, panel.palette.ground, panel.palette.control, 1.1)
        panel.dots(np.array(points), dot, 3.5)
        panel.explain(MAP, "control point", dot.line(np.empty(0)))


def _wedge(camera: Camera, length: float) -> Geometry:
    """Where a camera looks: its image's horizontal field, `length` m long; a disc if it looks down."""
    (width, height), spot = camera.size, camera.anchor_xy
    u, v = np.array([0.0, (width - 1) / 2, width - 1.0]), np.full(3, (height - 1) / 2)
    left, ahead, right = camera.unproject(np.column_stack([u, v]))[:, :2]
    if not np.linalg.norm(ahead) > 0.2:
        return shapely.Point(spot).buffer(length / 2)
    cosine = left @ right / max(np.linalg.norm(left) * np.linalg.norm(right), 1e-12)
    half = np.clip(np.nan_to_num(np.arccos(np.clip(cosine, -1, 1)), nan=np.pi) / 2, 0.2, 0.9)
    angles = np.arctan2(ahead[1], ahead[0]) + np.linspace(-half, half, 13)
    return shapely.Polygon([spot, *(spot + length * np.column_stack([np.cos(angles), np.sin(angles)]))])


def _polylines(geometries: Sequence[Geometry]) -> list[np.ndarray]:
    parts = shapely.get_parts(np.array(list(geometries), dtype=object)) if len(geometries) else []
    return [shapely.get_coordinates(part) for part in parts if not part.is_empty]
