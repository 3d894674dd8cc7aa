"""Levels of a calibration report in a page: ground sigma, who sees what, the mosaic of the stills."""

import base64
from collections.abc import Sequence

import cv2
import numpy as np
import shapely
from shapely import Geometry

from geoloc.calibrate.ground_cells import LevelGround
from geoloc.draw.error_chart import WIDTH, Ground, paper, scale_bar
from geoloc.draw.ground_bands import N_BANDS, band_labels, bands, length_text, region
from geoloc.draw.layers import MAIN_SHARE
from geoloc.draw.svg import points, short, text
from geoloc.draw.words import counted
from geoloc.perception.ground_mosaic import Mosaic, MosaicOptions
from geoloc.perception.ground_sheet import SightOptions
from geoloc.scene.site import Site

FOOT = 52  # room for scale bar and colours
MARGIN = 0.03  # of the longer side
LEAST_SPAN = 4.0  # m
HOVERS = 34  # places along the longer side that tell their value
APART = 70.0  # px between labels of bands
MOST_COUNT = 4  # cameras from which on all have the last colour
QUALITY = 82  # of the mosaic's picture
# as much as a page shows, of all that a camera sees
LAID = MosaicOptions(longest=1400, sight=SightOptions(reach=150.0, coarsest=2.0))


def shown_ground(grounds: Sequence[LevelGround], site: Site) -> Ground:
    """The part of the ground that all levels' maps show: what is seen, the cameras, and what has an outline there."""
    boxes = [np.concatenate([g.corner, g.corner + g.cell * np.array(g.shape[::-1])]) for g in grounds if min(g.shape)]
    boxes += [np.tile(camera.anchor_xy, 2) for camera in site.cameras]
    seen = np.concatenate([np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]]) if boxes else np.zeros(4)
    span = max(float((seen[2:] - seen[:2]).max()), LEAST_SPAN)
    around = shapely.box(*(seen + span * np.array([-1, -1, 1, 1])))
    outlines = [surface.polygon for level in site.site_map.levels for surface in level.surfaces]
    outlines += [stall.polygon for stall in site.site_map.stalls]
    inside = [outline for outline in outlines if not outline.is_empty and around.contains(outline)]
    x0, y0, x1, y1 = shapely.total_bounds([*inside, shapely.box(*seen)] if boxes or not inside else inside)
    pad = MARGIN * max(x1 - x0, y1 - y0, LEAST_SPAN)
    width = max(x1 - x0, LEAST_SPAN) + 2 * pad
    return Ground(np.array([x0 - pad, y0 - pad, x0 - pad + width, y1 + pad]), WIDTH / width)


def sigma_map(site: Site, ground: LevelGround, view: Ground, edges: np.ndarray, cameras: Sequence[str]) -> str:
    """Ground sigma in bands of colour with their edges labelled, and the signs of some `cameras`."""
    clip = f"sigma-{site.site_map.level_index[ground.name]}"
    filled = "".join(
        f'<path class="h{i}" d="{_path(view, rings)}"/>' for i, rings in enumerate(bands(ground, edges)) if rings
    )
    seen = _path(view, region(ground, np.isfinite(ground.sigma)))
    drawn = [paper(view), f'<clipPath id="{clip}"><path clip-rule="evenodd" d="{seen}"/></clipPath>']
    drawn.append(f'<g clip-path="url(#{clip})" class="bands">{filled}</g>' if seen else "")
    drawn += [_plan(site, ground.name, view), _hovers(ground, view), _cameras(site, cameras, view)]
    for spot, label in band_labels(ground, edges, APART / view.scale):
        x, y = view.pixels(spot[None])[0].tolist()
        drawn.append(f'<text class="band" x="{short(x)}" y="{short(y + 4)}">{text(label)}</text>')
    legend = _band_legend(view, edges)
    return _figure(view, [*drawn, scale_bar(view), legend], f"ground sigma of level {ground.name}")


def coverage_map(site: Site, ground: LevelGround, view: Ground, cameras: Sequence[str]) -> str:
    """How many cameras see each place, blind stalls hatched, and the signs of some `cameras`."""
    hatch = f"blind-{site.site_map.level_index[ground.name]}"
    drawn = [
        f'<pattern id="{hatch}" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<path class="hatch" d="M0 0V7"/></pattern>',
        paper(view),
    ]
    for n in range(1, MOST_COUNT + 1):
        drawn.append(f'<path class="count n{n}" d="{_path(view, region(ground, ground.count >= n))}"/>')
    drawn.append(_plan(site, ground.name, view))
    blind = {stall.name: stall for stall in ground.stalls if stall.blind}
    for place in (stall for stall in site.site_map.stalls if stall.name in blind and stall.level == ground.name):
        says = f"stall {place.name}: {100 * blind[place.name].seen:.0f} % seen"
        path = _path(view, _rings(place.polygon))
        drawn.append(f'<path class="blind" fill="url(#{hatch})" d="{path}" data-tip="{text(says)}"/>')
    drawn += [_hovers(ground, view), _cameras(site, cameras, view), scale_bar(view), _count_legend(view)]
    return _figure(view, drawn, f"coverage of level {ground.name}")


def cameras_by_level(grounds: Sequence[LevelGround]) -> dict[str, list[str]]:
    """Which cameras are there for a level: those that see as much of it as MAIN_SHARE of what they see of any."""
    most: dict[str, int] = {}
    for view in (view for ground in grounds for view in ground.views):
        most[view.camera] = max(most.get(view.camera, 0), len(view.cells))
    return {
        ground.name: [v.camera for v in ground.views if len(v.cells) >= MAIN_SHARE * most[v.camera]]
        for ground in grounds
    }


def mosaic_map(site: Site, ground: LevelGround, view: Ground, laid: Mosaic) -> str:
    """The stills laid onto the map."""
    x0, y0, x1, y1 = laid.extent
    (left, top), (right, bottom) = view.pixels(np.array([[x0, y1], [x1, y0]])).tolist()
    _, data = cv2.imencode(".webp", laid.image, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    source = f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode()}"
    picture = (
        f'<image x="{left:.2f}" y="{top:.2f}" width="{right - left:.2f}" height="{bottom - top:.2f}" '
        f'preserveAspectRatio="none" href="{source}"/>'
    )
    drawn = [paper(view), picture, f'<g class="over">{_plan(site, ground.name, view)}</g>', scale_bar(view)]
    return _figure(view, drawn, f"stills laid onto level {ground.name}")


def _figure(view: Ground, drawn: Sequence[str], label: str) -> str:
    return (
        f'<div class="ground"><svg viewBox="0 0 {WIDTH} {short(view.height + FOOT)}" role="img" '
        f'aria-label="{text(label)}">{"".join(drawn)}</svg></div>'
    )


def _plan(site: Site, level: str, view: Ground) -> str:
    """Outline, stalls, pillars and walls of a level."""
    site_map = site.site_map
    near = shapely.box(*view.box)
    outline = shapely.union_all([surface.polygon for surface in site_map.level(level).surfaces])
    standing = [thing.geometry for thing in site_map.occluders if thing.level == level]
    layers = {
        "outline": [shapely.intersection(outline.boundary, near)],
        "stall": [stall.polygon for stall in site_map.stalls if stall.level == level],
        "pillar": [shape for shape in standing if shape.geom_type.endswith("Polygon")],
        "wall": [shape for shape in standing if not shape.geom_type.endswith("Polygon")],
    }
    return "".join(
        f'<path class="{kind}" d="{"".join(_path(view, _rings(shape)) for shape in shapes)}"/>'
        for kind, shapes in layers.items()
        if shapes
    )


def _rings(geometry: Geometry) -> list[np.ndarray]:
    lines = [part.boundary if part.geom_type == "Polygon" else part for part in shapely.get_parts(geometry)]
    return [shapely.get_coordinates(ring) for line in lines for ring in shapely.get_parts(line)]


def _path(view: Ground, rings: Sequence[np.ndarray]) -> str:
    return "".join(f"M{points(*view.pixels(ring).T)}" for ring in rings if len(ring) > 1)


def _hovers(ground: LevelGround, view: Ground) -> str:
    """Places that tell, under the mouse, who sees them and how sharply."""
    ny, nx = ground.shape
    step = max(1, -(-max(ny, nx) // HOVERS))
    places = np.meshgrid(np.arange(step // 2, ny, step), np.arange(step // 2, nx, step), indexing="ij")
    rows, columns = (part.ravel() for part in places)
    seen = ground.count[rows, columns] > 0
    cells = (rows * nx + columns)[seen]
    xy = ground.centres(cells)
    side = step * ground.cell * view.scale
    corners = view.pixels(xy) - side / 2
    parts = []
    for (x, y), cell, (east, north) in zip(corners.tolist(), cells.tolist(), xy.tolist(), strict=True):
        n, sigma = int(ground.count.flat[cell]), float(ground.sigma.flat[cell])
        known = f"{length_text(sigma)} sharp" if np.isfinite(sigma) else "no error stated"
        says = f"({east:.1f}, {north:.1f}) m: {known}, seen by {counted(n, 'camera')}"
        parts.append(
            f'<rect x="{short(x)}" y="{short(y)}" width="{short(side)}" height="{short(side)}" data-tip="{says}"/>'
        )
    return f'<g class="hovers">{"".join(parts)}</g>'


def _cameras(site: Site, names: Sequence[str], view: Ground) -> str:
    """Signs of the cameras that are there for this level."""
    parts = []
    for name in names:
        spot = site.camera(name).anchor_xy
        if view.shows(spot[None])[0]:
            x, y = view.pixels(spot[None])[0].tolist()
            parts.append(
                f'<rect class="camera" x="{short(x - 4)}" y="{short(y - 4)}" width="8" height="8" rx="2" '
                f'data-tip="{text(name)}"/>'
            )
    return "".join(parts)


def _band_legend(view: Ground, edges: np.ndarray) -> str:
    wide, y = 54, view.height + 12
    left = WIDTH - N_BANDS * wide
    parts = [
        f'<rect class="h{i}" x="{left + i * wide}" y="{short(y)}" width="{wide}" height="10"/>' for i in range(N_BANDS)
    ]
    parts += [
        f'<text x="{left + i * wide}" y="{short(y + 27)}" text-anchor="middle">{text(length_text(edge))}</text>'
        for i, edge in enumerate(edges.tolist(), 1)
    ]
    return "".join(parts)


def _count_legend(view: Ground) -> str:
    wide, y = 46, view.height + 12
    left = WIDTH - MOST_COUNT * wide
    parts = []
    for n in range(1, MOST_COUNT + 1):
        x = left + (n - 1) * wide
        name = f"{n}+" if n == MOST_COUNT else str(n)
        parts.append(f'<rect class="count n{n}" x="{x}" y="{short(y)}" width="{wide}" height="10"/>')
        parts.append(f'<text x="{x + wide // 2}" y="{short(y + 27)}" text-anchor="middle">{name}</text>')
    parts.append(f'<text class="label" x="{left - 8}" y="{short(y + 10)}" text-anchor="end">cameras</text>')
    return "".join(parts)
