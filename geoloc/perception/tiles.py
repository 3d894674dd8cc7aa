"""Parts of a picture at which a network looks by themselves, so that far ground has the same scale as near ground."""

import numpy as np

from geoloc.perception.scaled import PERSON_M
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site

OVERLAP = 0.25  # of a tile's side: what lies across an edge is whole in the next one
FINER = 1.6  # times sharper than the whole picture a tile must be to be worth a look
CELLS = 24, 16
MOST = 16


def ground_scale(site: Site, camera: Camera, cells: tuple[int, int] = CELLS) -> np.ndarray:
    """Px per m (rows, columns) of things that stand at the ground in each cell of a picture; NaN: no ground there."""
    width, height = camera.size
    u, v = ((np.arange(n) + 0.5) / n * side - 0.5 for n, side in zip(cells, (width, height), strict=True))
    rays = camera.unproject(np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2))
    centre, found = camera.centre_world, np.full(len(rays), np.nan)
    for level in site.site_map.levels:
        for surface in level.surfaces:
            a, b, c = surface.plane
            with np.errstate(divide="ignore", invalid="ignore"):
                far = (a * centre[0] + b * centre[1] + c - centre[2]) / (rays[:, 2] - rays[:, 0] * a - rays[:, 1] * b)
            foot = centre + far[:, None] * rays
            met = np.flatnonzero((far > 0) & np.isfinite(foot).all(axis=1))
            met = met[surface.holds(foot[met, :2])]
            tall = camera.project(foot[met] + [0.0, 0.0, PERSON_M]) - camera.project(foot[met])
            scale = np.linalg.norm(tall, axis=1) / PERSON_M
            found[met] = np.fmax(found[met], scale)  # of several levels the nearest is seen
    return found.reshape(cells[1], cells[0])


def choose_tiles(
    site: Site, camera: Camera, side: tuple[int, int], px_per_m: float
) -> list[tuple[int, int, int, int]]:
    """Parts x0, y0, x1, y1 px: the whole picture, then tiles over the ground that it would show below `px_per_m`.

    `side` (width, height) px is the network's input.
    """
    width, height = camera.size
    whole = (0, 0, width, height)
    shrunk = min(side[0] / width, side[1] / height)
    scale = ground_scale(site, camera)
    far = scale * shrunk < px_per_m
    rows, columns = np.nonzero(far)
    if not len(rows):
        return [whole]
    typical = float(np.nanmedian(scale[far]))
    span = min(side[0] * typical / px_per_m, width), min(side[1] * typical / px_per_m, height)
    if width < FINER * span[0] and height < FINER * span[1]:
        return [whole]
    cell = width / CELLS[0], height / CELLS[1]
    x0, x1 = columns.min() * cell[0], (columns.max() + 1) * cell[0]
    y0, y1 = rows.min() * cell[1] - PERSON_M * typical, (rows.max() + 1) * cell[1]  # heads are above their feet
    tiles = []
    for top in _starts(max(y0, 0.0), y1, span[1], height):
        for left in _starts(x0, x1, span[0], width):
            part = slice(int(top / cell[1]), int(np.ceil((top + span[1]) / cell[1]))), slice(
                int(left / cell[0]), int(np.ceil((left + span[0]) / cell[0]))
            )
            if far[part].any():
                corner = round(left), round(top)
                tiles.append((*corner, min(corner[0] + round(span[0]), width), min(corner[1] + round(span[1]), height)))
    return [whole, *tiles[:MOST]]


def _starts(low: float, high: float, span: float, most: float) -> list[float]:
    """Where spans begin that cover low to high, overlapping, within 0 to `most`."""
    step = (1.0 - OVERLAP) * span
    n = max(1, int(np.ceil((high - low - span) / step)) + 1)
    room = max(high - low - span, 0.0)
    starts = [low + (room * k / (n - 1) if n > 1 else 0.0) for k in range(n)]
    return [min(max(start, 0.0), most - span) for start in starts]
