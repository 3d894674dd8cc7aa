"""Light on a scene at one moment: lamps that are on, daylight through the open sides, the sun and its shadows."""

from dataclasses import dataclass, replace

import numpy as np
import shapely

from geoloc.synthetic.rendering.atlas import remap
from geoloc.synthetic.rendering.faces import Faces
from geoloc.synthetic.rendering.scene import Scene

LATITUDE, DECLINATION = np.radians(48.0), np.radians(14.0)  # of the sun in late summer
LAMP_COLOUR = np.array([0.86, 1.0, 1.0], np.float32)  # BGR
NOON, EVENING = np.array([0.94, 1.0, 1.04], np.float32), np.array([0.42, 0.74, 1.15], np.float32)
LAMP_POWER, SUN_POWER, NIGHT = 0.85, 1.7, 0.006
BOUNCE = 0.3  # share of a light that reaches faces turned away from it, by way of the others
REACH = 16.0  # m that a lamp's light carries
SHADOW_PX = 1800  # along the longer side of the map of shadows
CONTACT = 0.5  # m around a car in which the floor is darker


@dataclass(frozen=True, eq=False)
class Light:
    """Light on faces at one moment.

    `table` (P, 2) is the light of lamps and of the sky at the faces' points, those of a face from `start` (F,) on.
    `sun` (3,) is the direction towards it and `sunlight` (3,) BGR its light, 0 where it does not shine; `sky` (3,) the
    light of the sky, `glow` how bright lamps look, `lit` (L,) which are on.
    """

    table: np.ndarray
    start: np.ndarray
    lit: np.ndarray
    sun: np.ndarray
    sunlight: np.ndarray
    sky: np.ndarray
    clouds: float
    hour: float
    shadow: "ShadowMap | None"

    def on(self, row: np.ndarray, cells: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Light (N, 3) BGR but the sun's, at shares a, b (N,) of the faces `row` (N,) with `cells` (N, 2) points."""
        x, y = a * (cells[:, 0] - 1), b * (cells[:, 1] - 1)
        column = np.clip(x.astype(np.int32), 0, cells[:, 0] - 2)
        line = np.clip(y.astype(np.int32), 0, cells[:, 1] - 2)
        x, y = (x - column)[:, None], (y - line)[:, None]
        first = self.start[row] + line * cells[:, 0] + column
        below = first + cells[:, 0]
        upper = self.table[first] * (1 - x) + self.table[first + 1] * x
        lower = self.table[below] * (1 - x) + self.table[below + 1] * x
        found = upper * (1 - y) + lower * y
        return found[:, :1] * LAMP_COLOUR + found[:, 1:] * self.sky


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """How far the sun's rays come: places `axes` (3, 3) @ xyz, the last towards the sun, on a grid of `step` m."""

    axes: np.ndarray
    low: np.ndarray
    step: float
    height: np.ndarray  # (H, W) along the last axis of what is met first

    def shine(self, xyz: np.ndarray) -> np.ndarray:
        """Share (N,) of the sun that reaches points (N, 3) m, soft at the edges."""
        at = xyz @ self.axes.T
        x, y = ((at[:, :2] - self.low) / self.step).T
        total = np.zeros(len(xyz), np.float32)
        for dx, dy in ((-0.9, -0.4), (0.4, -0.9), (0.9, 0.4), (-0.4, 0.9)):
            total += self._between(x + dx, y + dy, at[:, 2])
        return total / 4

    def _between(self, x: np.ndarray, y: np.ndarray, height: np.ndarray) -> np.ndarray:
        column = np.clip(x.astype(int), 0, self.height.shape[1] - 2)
        row = np.clip(y.astype(int), 0, self.height.shape[0] - 2)
        x, y = np.clip(x - column, 0.0, 1.0), np.clip(y - row, 0.0, 1.0)
        total = np.zeros(len(height), np.float32)
        for i, j, weight in ((0, 0, (1 - x) * (1 - y)), (0, 1, x * (1 - y)), (1, 0, (1 - x) * y), (1, 1, x * y)):
            over = self.height[row + i, column + j] - height
            total += weight.astype(np.float32) * np.clip(1.0 - (over - 0.06) / 0.06, 0.0, 1.0)
        return total


def sun_direction(hour: float) -> np.ndarray:
    """Towards the sun (3,), east north up, at an hour of solar time."""
    turn = np.radians(15.0 * (hour - 12.0))
    east = -np.cos(DECLINATION) * np.sin(turn)
    north = np.cos(LATITUDE) * np.sin(DECLINATION) - np.sin(LATITUDE) * np.cos(DECLINATION) * np.cos(turn)
    up = np.sin(LATITUDE) * np.sin(DECLINATION) + np.cos(LATITUDE) * np.cos(DECLINATION) * np.cos(turn)
    return np.array([east, north, up])


def light_up(
    scene: Scene, faces: Faces, places: np.ndarray, hour: float, clouds: float, lit: np.ndarray
) -> Light:
    """Light on `faces` (the scene's first) with cars at `places` (C, 5): x, y, z, heading, length."""
    sun = sun_direction(hour)
    day = float(np.clip((sun[2] + 0.12) / 0.3, 0.0, 1.0)) ** 2
    low = float(np.clip(1.0 - sun[2] / 0.45, 0.0, 1.0))
    sky = (NIGHT + day * (0.55 + 0.45 * clouds) * (1.0 - 0.35 * clouds)) * np.array([1.12, 1.0, 0.92], np.float32)
    strength = SUN_POWER * float(np.clip(sun[2] * 8.0, 0.0, 1.0)) * float(np.clip(1.25 - 1.6 * clouds, 0.0, 1.0))
    sunlight = strength * (low * EVENING + (1 - low) * NOON)
    points, normals, start = _points(faces)
    table = np.column_stack([_from_lamps(scene, points, normals, lit), _from_sky(scene, points, normals)])
    for row in scene.floors.tolist():
        part = slice(start[row], start[row] + int(np.prod(faces.cells[row])))
        table[part] *= contact(points[part], places)[:, None]
    shadow = cast_shadows(scene, faces, sun) if strength > 0 else None
    return Light(table.astype(np.float32), start, lit, sun.astype(np.float32), sunlight.astype(np.float32),
                 sky.astype(np.float32), clouds, hour, shadow)  # fmt: skip


def light_upon(scene: Scene, faces: Faces, light: Light) -> Light:
    """The light of a moment on other `faces`, such as those of a car that drives through it."""
    points, normals, start = _points(faces)
    table = np.column_stack([_from_lamps(scene, points, normals, light.lit), _from_sky(scene, points, normals)])
    return replace(light, table=table.astype(np.float32), start=start)


def _points(faces: Faces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (P, 3) on the faces at which light is found, their normals, and where those of each face start."""
    count = faces.cells.prod(axis=1)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    row = np.repeat(np.arange(len(faces)), count)
    number = np.arange(len(row)) - start[row]
    line, column = np.divmod(number, faces.cells[row, 0])
    a, b = column / (faces.cells[row, 0] - 1), line / (faces.cells[row, 1] - 1)
    normals = faces.normal[row]
    # a little inwards and off the face, so that a corner is not under the wall that stands on it
    a, b = 0.002 + 0.996 * a, 0.002 + 0.996 * b
    points = faces.corner[row] + a[:, None] * faces.right[row] + b[:, None] * faces.down[row] + 0.01 * normals
    return points.astype(np.float32), normals.astype(np.float32), start


def _from_lamps(scene: Scene, points: np.ndarray, normals: np.ndarray, lit: np.ndarray) -> np.ndarray:
    """Light (P,) of the lamps that are `lit`, each on its own storey and as far as it carries."""
    light = np.full(len(points), 0.004, np.float32)
    floors = _storeys(scene)
    storey = np.searchsorted(floors, scene.lamps[:, 2])
    for number in np.unique(storey).tolist():
        lamps = scene.lamps[lit & (storey == number)].astype(np.float32)
        top = scene.lamps[storey == number, 2].max() + 0.3
        rows = np.flatnonzero((points[:, 2] > floors[number - 1] - 0.3) & (points[:, 2] < top))
        place, normal = points[rows].T.copy(), normals[rows].T.copy()
        total = np.zeros(len(rows), np.float32)
        for lamp in lamps:
            x, y, z = lamp[0] - place[0], lamp[1] - place[1], lamp[2] - place[2]
            near = np.flatnonzero(x * x + y * y < REACH**2)
            x, y, z = x[near], y[near], z[near]
            square = x * x + y * y + z * z
            far = np.sqrt(square)
            facing = np.maximum((normal[0, near] * x + normal[1, near] * y + normal[2, near] * z) / far, 0.0)
            total[near] += np.maximum(z / far, 0.12) * (BOUNCE + (1 - BOUNCE) * facing) / (square + 0.4)
        light[rows] += LAMP_POWER * total
    return light


def _storeys(scene: Scene) -> np.ndarray:
    """Heights of the floors, ascending, with one far below."""
    z = [float(surface.plane[2]) for level in scene.site_map.levels for surface in level.surfaces[:1]]
    return np.array([-np.inf, *sorted(z)])


def _from_sky(scene: Scene, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """The share of a bright sky's light that reaches points: all under it, and what comes through openings."""
    roofed = np.zeros(len(points), bool)
    for level in scene.site_map.levels:
        for surface in level.surfaces:
            under = np.flatnonzero(surface.z_at(points[:, :2].astype(float)) > points[:, 2] + 0.3)
            roofed[under[surface.holds(points[under, :2].astype(float))]] = True
    light = np.where(roofed, 0.012, 0.65 + 0.35 * normals[:, 2]).astype(np.float32)
    inside, openings = np.flatnonzero(roofed), scene.openings
    for i in range(len(openings.area)):
        rows = inside[(points[inside, 2] > openings.low[i] - 0.3) & (points[inside, 2] < openings.high[i] + 0.05)]
        away = openings.middle[i].astype(np.float32) - points[rows]
        square = (away * away).sum(axis=1)
        far = np.sqrt(square) + 1e-3
        leaving = np.maximum(-(away @ openings.normal[i].astype(np.float32)) / far, 0.0)
        facing = BOUNCE + (1 - BOUNCE) * np.maximum((normals[rows] * away).sum(axis=1) / far, 0.0)
        light[rows] += 1.6 * openings.area[i] * leaving * facing / (np.pi * square + openings.area[i])
    return light


def contact(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How much light (P,) cars at `places` leave to the floor under and around them."""
    left = np.ones(len(points), np.float32)
    x_all, y_all, z_all = points.T.copy()
    for x, y, z, heading, length in places.tolist():
        near = np.flatnonzero((np.abs(x_all - x) < length) & (np.abs(y_all - y) < length) & (np.abs(z_all - z) < 0.5))
        dx, dy = x_all[near] - np.float32(x), y_all[near] - np.float32(y)
        ahead = np.abs(dx * np.cos(heading) + dy * np.sin(heading)) - length / 2
        aside = np.abs(dy * np.cos(heading) - dx * np.sin(heading)) - 0.9
        off = np.hypot(np.maximum(ahead + 0.35, 0), np.maximum(aside + 0.35, 0))
        left[near] *= 1.0 - 0.8 * np.clip(1.0 - off / CONTACT, 0.0, 1.0) ** 1.5
    return left


def cast_shadows(scene: Scene, faces: Faces, sun: np.ndarray) -> ShadowMap:
    """What the sun's rays meet first, over the site's bounds."""
    east = np.cross([0.0, 0.0, 1.0], sun)
    east /= np.linalg.norm(east)
    axes = np.stack([east, np.cross(sun, east), sun])
    surfaces = [surface for level in scene.site_map.levels for surface in level.surfaces]
    x0, y0, x1, y1 = shapely.total_bounds([surface.polygon for surface in surfaces])
    top = max(float(surface.z_at(np.array([(x0 + x1) / 2, (y0 + y1) / 2]))) for surface in surfaces)
    corners = np.array([(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (-0.5, top + 3.0)]) @ axes[:2].T
    low, high = corners.min(axis=0), corners.max(axis=0)
    step = float((high - low).max() / SHADOW_PX)
    size = np.ceil((high - low) / step).astype(int) + 1
    height = np.full((size[1], size[0]), -np.inf, np.float32)
    rows = np.flatnonzero(faces.normal @ sun > 1e-3)
    own = [(edge[rows] @ axes.T).astype(np.float32) for edge in (faces.corner, faces.right, faces.down)]
    for k, row in enumerate(rows.tolist()):
        _shade(height, scene, faces, row, [edge[k] for edge in own], low, step)
    return ShadowMap(axes, low, step, height)


def _shade(
    height: np.ndarray, scene: Scene, faces: Faces, row: int, own: list[np.ndarray], low: np.ndarray, step: float
) -> None:
    corner, right, down = own
    ends = np.stack([corner, corner + right, corner + down, corner + right + down])[:, :2]
    first = np.maximum(np.ceil((ends.min(axis=0) - low) / step).astype(int), 0)
    last = np.minimum(np.floor((ends.max(axis=0) - low) / step).astype(int), np.array(height.shape[::-1]) - 1)
    if (last < first).any():
        return
    x = low[0] + step * np.arange(first[0], last[0] + 1, dtype=np.float32)[None] - corner[0]
    y = low[1] + step * np.arange(first[1], last[1] + 1, dtype=np.float32)[:, None] - corner[1]
    area = right[0] * down[1] - right[1] * down[0]
    a, b = (x * down[1] - y * down[0]) / area, (right[0] * y - right[1] * x) / area
    met = (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
    if faces.mask[row] >= 0:
        where = np.nonzero(met)
        met[where] = scene.atlas.there(faces.mask[row], faces.patch[row, 2] < 0, a[where], b[where])
    part = height[first[1] : last[1] + 1, first[0] : last[0] + 1]
    np.maximum(part, corner[2] + a * right[2] + b * down[2], out=part, where=met)


def sky_colour(light: Light, noise: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Colours (N, 3) of the sky in directions (N, 3), with its clouds and the glare about the sun."""
    up = np.maximum(rays[:, 2:], 0.0) / np.linalg.norm(rays, axis=1, keepdims=True)
    zenith = np.array([1.5, 1.02, 0.68], np.float32) * light.sky.mean()
    horizon = np.array([1.18, 1.12, 1.04], np.float32) * light.sky.mean()
    low = float(np.clip(1.0 - abs(light.sun[2]) / 0.3, 0.0, 1.0))
    horizon = horizon * (1 - 0.6 * low + 0.6 * low * EVENING)
    colour = horizon + (zenith - horizon) * np.sqrt(up)
    spread = 26.0 / (up[:, 0] + 0.12)
    drift = 40.0 * light.hour
    cover = 1.6 * remap(noise, rays[:, 0] * spread + drift, rays[:, 1] * spread, border=3)[:, 0]  # 3: repeated
    thick = np.clip((cover - 1.4 + 2.6 * light.clouds) * 0.8, 0.0, 1.0)[:, None]
    colour = colour + thick * (1.3 * light.sky.mean() * (1.0 - 0.12 * np.clip(cover, -1, 1))[:, None] - colour)
    glare = np.clip(rays @ light.sun / np.linalg.norm(rays, axis=1), 0.0, 1.0) ** 600
    return np.asarray(colour + glare[:, None] * light.sunlight * 6.0, np.float32)
