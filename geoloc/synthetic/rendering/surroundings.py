"""What lies around a site: land, houses, trees; and the crowns of the trees that the map has."""

import numpy as np
import shapely

from geoloc.scene.sitemap import Occluder
from geoloc.synthetic.rendering import furniture
from geoloc.synthetic.rendering.figures import TREE, draw_tree
from geoloc.synthetic.rendering.shell import THIN, Shell

OUTSIDE = 240.0  # m; side of the land around


def surround(shell: Shell) -> None:
    """Land, houses and trees around."""
    x0, y0, x1, y1 = shapely.total_bounds([s.polygon for level in shell.site_map.levels for s in level.surfaces])
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    surfaces = [surface for level in shell.site_map.levels for surface in level.surfaces]
    low = min(float(surface.z_at(shapely.get_coordinates(surface.polygon)).min()) for surface in surfaces)
    corner = [*(middle + np.array([-1, 1]) * OUTSIDE / 2), low - 0.06]
    land = furniture.grounds(shell.maker, OUTSIDE, shell.rng)
    shell.faces.add(corner, [OUTSIDE, 0, 0], [0, -OUTSIDE, 0], land, rough=1.0, cell=40.0)
    near = np.array([x1 - x0, y1 - y0]) / 2
    fronts = [furniture.facade(shell.maker, shell.rng) for _ in range(5)]
    for turn in np.arange(0, 2 * np.pi, 2 * np.pi / 13):
        ahead = np.array([np.cos(turn), np.sin(turn)])
        spot = middle + ahead * (near + 26.0 + shell.rng.uniform(0, 14, 1))
        size = shell.rng.uniform([14, 14, 8], [24, 24, 15])
        patches = [fronts[k] for k in shell.rng.integers(0, 5, 4)]
        shell.faces.box([*(spot - size[:2] / 2), low], [*(spot + size[:2] / 2), low + size[2]], patches)
    kinds = [draw_tree(shell.maker, shell.rng) for _ in range(3)]
    for turn in np.arange(0, 2 * np.pi, 2 * np.pi / 22):
        spot = middle + np.array([np.cos(turn), np.sin(turn)]) * (near * 1.05 + 9.0 + shell.rng.uniform(0, 10))
        patch, lean = kinds[int(shell.rng.integers(3))], shell.rng.uniform(0, np.pi)
        high = TREE[1] * shell.rng.uniform(0.7, 1.2)
        for angle in (lean, lean + np.pi / 2, lean + np.pi, lean - np.pi / 2):
            side = 0.5 * TREE[0] * np.array([np.cos(angle), np.sin(angle), 0])
            shell.faces.add(np.array([*spot, low + high]) - side, 2 * side, [0, 0, -high], patch)


def add_crown(shell: Shell, thing: Occluder) -> None:
    """Leaves on a trunk: a thing that is round, thin and high."""
    polygons = shapely.get_parts(thing.geometry) if thing.geometry.geom_type.endswith("Polygon") else []
    for polygon in polygons:
        xy, foot, top = shell.footprint(thing, polygon)
        if len(xy) > 5 and polygon.length < 4 * THIN and top - foot > 3.0:
            _crown(shell, xy[:-1].mean(axis=0), top)


def _crown(shell: Shell, xy: np.ndarray, top: float) -> None:
    patch = draw_tree(shell.maker, shell.rng, trunk=False)
    for turn in np.arange(3) * np.pi / 3 + shell.rng.uniform(0, np.pi):
        side = 0.36 * TREE[0] * np.array([np.cos(turn), np.sin(turn), 0.0])
        corner = np.array([*xy, top + 0.3 * TREE[1]]) - side
        shell.faces.add(corner, 2 * side, [0, 0, -0.72 * TREE[1]], patch)
        shell.faces.add(corner + 2 * side, -2 * side, [0, 0, -0.72 * TREE[1]], patch)
