"""What a garage is fitted with: lamps, pipes, signs over the lanes, doors, and small things on the walls."""

import numpy as np
import shapely
from shapely import Polygon

from geoloc.scene.sitemap import Level, Occluder
from geoloc.synthetic.rendering import furniture, surfaces
from geoloc.synthetic.rendering.shell import THICK, Shell

BAY, YARD = (5.2, 8.0), (13.0, 12.0)  # m between lamps along x and y, under a ceiling and under the sky
HANG = 0.12  # m from ceiling to lamp
MOST_LINES = 12  # of a polygon's corners along x or y
MAST = 4.5  # m; height of lamps where there is no ceiling


def add_notices(shell: Shell) -> None:
    """Small things on the walls, by chance: by them one tells a level or an aisle from the others."""
    for thing in shell.site_map.occluders:
        if thing.geometry.geom_type.endswith("Polygon") or thing.height < 0.8:
            continue
        level = shell.site_map.level(thing.level)
        count = int(shell.rng.poisson(shell.options.n_notices * thing.geometry.length * 2))
        for patch in furniture.notices(shell.maker, shell.rng, count):
            xy = shapely.get_coordinates(thing.geometry)
            i = int(shell.rng.integers(len(xy) - 1))
            length = float(np.linalg.norm(xy[i + 1] - xy[i]))
            width, height = 0.0075 * patch.width, 0.0075 * patch.height
            if length < width + 0.5 or height > 0.8 * thing.height:
                continue
            along = (xy[i + 1] - xy[i]) / length * shell.rng.choice([-1, 1])
            start = xy[i] if along @ (xy[i + 1] - xy[i]) > 0 else xy[i + 1]
            corner = start + along * shell.rng.uniform(0.2, length - 0.2 - width)
            corner = corner + np.array([along[1], -along[0]]) * (THICK / 2 + 0.012)
            z = float(level.z_extended(corner[None])[0])
            z += min(0.95 * thing.height, shell.rng.uniform(1.3, 2.0) if thing.height > 2 else 0.95 * thing.height)
            shell.faces.add([*corner, z], [*along * width, 0.0], [0.0, 0.0, -height], patch)


def add_doors(shell: Shell, thing: Occluder) -> None:
    """A door with its sign in each house of the map, on the side that is turned to the middle of the level."""
    if not thing.geometry.geom_type.endswith("Polygon"):
        return
    middle = np.array(shell.site_map.level(thing.level).surfaces[0].polygon.centroid.coords[0])
    for polygon in shapely.get_parts(thing.geometry):
        xy, foot, top = shell.footprint(thing, polygon)
        edges = np.diff(xy, axis=0)
        lengths = np.linalg.norm(edges, axis=1)
        inward = ((middle - (xy[:-1] + xy[1:]) / 2) * np.stack([edges[:, 1], -edges[:, 0]], axis=1)).sum(axis=1)
        fit = np.where(lengths > 2.5, inward / lengths, -np.inf)
        i = int(np.argmax(fit))
        if top - foot > 2.6 and np.isfinite(fit[i]):
            _door(shell, xy[i], edges[i] / lengths[i], foot, thing.level)


def _door(shell: Shell, start: np.ndarray, along: np.ndarray, foot: float, level: str) -> None:
    """Steel door, the sign over it, and the board with the level's name, on a wall from `start` (2,) `along` (2,)."""
    things = (
        (0.3, 1.0, foot + 2.1, 2.1, furniture.door(shell.maker, shell.rng)),
        (0.35, 0.9, foot + 2.5, 0.3, furniture.board(shell.maker, "EXIT", surfaces.GREEN, (0.9, 0.3))),
        (1.6, 0.7, foot + 2.0, 0.5, furniture.board(shell.maker, level.upper(), surfaces.BLUE, (0.7, 0.5))),
    )
    out = 0.015 * np.array([along[1], -along[0]])
    for at, width, z, height, patch in things:
        shell.faces.add([*(start + along * at + out), z], [*along * width, 0.0], [0, 0, -height], patch)


def add_lamps(shell: Shell, level: Level) -> None:
    """Lamps over every bay; pipes and a tray for cables where there is a ceiling."""
    surface = level.surfaces[0]
    x0, y0, x1, y1 = _main_box(surface.polygon)
    tube = furniture.plain(shell.maker, (244, 250, 252), shell.rng)
    housing = furniture.plain(shell.maker, (190, 192, 194), shell.rng)
    middle = np.array([[(x0 + x1) / 2, (y0 + y1) / 2]])
    above = float(shell.ceiling(level, middle)[0])
    bay = BAY if np.isfinite(above) else YARD
    xs, ys = np.arange(x0 + bay[0] / 2, x1, bay[0]), np.arange(y0 + bay[1] / 2, y1, bay[1])
    for x, y in np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).tolist():
        spot = np.array([[x, y]])
        over = float(shell.ceiling(level, spot)[0])
        if not surface.holds(spot)[0] or np.isfinite(over) != np.isfinite(above):
            continue
        z = over - HANG if np.isfinite(over) else float(surface.z_at(spot)[0]) + MAST
        furniture.add_lamp(shell.faces, np.array([x, y, z]), len(shell.lamps), tube, housing)
        shell.lamps.append(np.array([x, y, z - furniture.LAMP[2]]))
        if not np.isfinite(over):
            foot = float(surface.z_at(spot)[0])
            shell.faces.box([x - 0.04, y - 0.04, foot], [x + 0.04, y + 0.04, z], [housing] * 4)
    if np.isfinite(above):
        _pipes(shell, (x0, y0, x1, y1), above)


def _pipes(shell: Shell, box: tuple[float, float, float, float], above: float) -> None:
    x0, y0, x1, y1 = box
    span = y1 - y0
    runs = ((0.08, 0.07, (172, 176, 178)), (0.09, 0.03, (40, 40, 170)), (0.43, 0.1, (150, 152, 150)),
            (0.5, 0.035, (40, 40, 170)), (0.58, 0.05, (150, 130, 70)), (0.9, 0.07, (172, 176, 178)))  # fmt: skip
    for share, radius, colour in runs:
        y, z = y0 + share * span + 2 * radius, above - radius - 0.03
        texture = furniture.pipe_texture(shell.maker, colour, shell.rng)
        ends = np.array([x0 + 1.5, y, z]), np.array([x1 - 1.5, y, z])
        furniture.add_pipe(shell.faces, *ends, radius, texture)
    tray = furniture.pipe_texture(shell.maker, (138, 140, 142), shell.rng)
    for x in np.arange(x0 + 0.5, x1 - 3.5, 3.0):
        y = y0 + 0.36 * span
        shell.faces.box([x, y, above - 0.16], [x + 3.0, y + 0.3, above - 0.08], [tray] * 4, bottom=tray)


def add_signs(shell: Shell) -> None:
    """Boards over lanes that lead one way, at both of their ends, read by who drives there."""
    for zone in shell.site_map.zones:
        if zone.kind != "lane" or not np.isfinite(zone.direction):
            continue
        level = shell.site_map.level(zone.level)
        x0, y0, x1, y1 = zone.polygon.bounds
        ahead = np.array([np.cos(zone.direction), np.sin(zone.direction)])
        right = np.array([ahead[1], -ahead[0]])
        middle, reach = np.array([x0 + x1, y0 + y1]) / 2, abs(ahead) @ [x1 - x0, y1 - y0] / 2
        for share, text, colour in ((-0.55, "EXIT ->", surfaces.GREEN), (0.6, zone.level.upper(), surfaces.BLUE)):
            spot = middle + share * reach * ahead
            above = float(shell.ceiling(level, spot[None])[0])
            if not np.isfinite(above):
                continue
            size = (1.6, 0.32) if len(text) > 3 else (0.7, 0.32)
            patch = furniture.board(shell.maker, text, colour, size)
            corner = np.array([*(spot - right * size[0] / 2), above - 0.14])
            edge, down = np.array([*right * size[0], 0.0]), np.array([0, 0, -size[1]])
            shell.faces.add(corner, edge, down, patch)
            back = furniture.plain(shell.maker, (120, 120, 120), shell.rng)
            shell.faces.add(corner + edge + [*0.03 * ahead, 0], -edge, down, back)


def _main_box(polygon: Polygon) -> tuple[float, float, float, float]:
    """Bounds of the largest rectangle on the lines of a polygon's corners that lies in it; of all if those are many."""
    xy = shapely.get_coordinates(polygon.exterior)
    xs, ys = np.unique(xy[:, 0].round(3)), np.unique(xy[:, 1].round(3))
    if len(xs) > MOST_LINES or len(ys) > MOST_LINES:
        return polygon.bounds
    boxes = [shapely.box(a, c, b, d) for a in xs for b in xs if b > a for c in ys for d in ys if d > c]
    held = [box for box in boxes if polygon.buffer(1e-3).covers(box)] or [polygon.envelope]
    bounds = max(held, key=lambda box: box.area).bounds
    return bounds
