"""Pictures of a moment: radiance by ray casting, then what lens and sensor make of it.

Each pixel has one ray and the filtered texture of what it meets; where edges pass, eight rays spread over it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.errors import InputError
from geoloc.scene.camera import Camera
from geoloc.synthetic.rendering.atlas import remap
from geoloc.synthetic.rendering.casting import View, cast_image, cast_near
from geoloc.synthetic.rendering.lighting import sky_colour
from geoloc.synthetic.rendering.moment import Moment, turned_to
from geoloc.synthetic.rendering.scene import GRAIN, GRAIN_TEXEL
from geoloc.synthetic.rendering.sensor import PictureOptions, expose

# no two in one row or column of eight: an edge along either covers a pixel step by step as it passes
RAYS = np.array([(1, -3), (-1, 3), (5, 1), (-3, -5), (-5, 5), (-7, -1), (3, 7), (7, -7)], np.float32) / 16
LINEAR = (np.linspace(0.0, 1.0, 256) ** 2.2).astype(np.float32)
PART = np.float32(0.7)  # of a pixel: what a face that shares it covers of it, along a side
GLOW = 2.6  # light of a lamp that is looked at
BLOCK = 1 << 16  # rays that are shaded at once: what they need stays in the caches' reach
COARSE = 0.9  # reflection of the lightest texture


def take_picture(
    moment: Moment, camera: Camera, rng: np.random.Generator, options: PictureOptions | None = None
) -> np.ndarray:
    """What a camera shows of a moment: (H, W, 3) uint8 BGR. `rng` draws noise, drops, and what is in the way.

    A camera that is known by a homography only is refused.
    """
    return expose(radiance(moment, camera), rng, options or PictureOptions())


def radiance(moment: Moment, camera: Camera) -> np.ndarray:
    """Light (H, W, 3) float32 BGR that comes to each pixel: about 1 for white in the sun."""
    camera.require_pose("cannot be drawn")
    grid = camera_rays(camera)
    height, width = grid.shape[1:]
    view = View.of(turned_to(moment, camera.centre_world), camera.centre_world)
    first, thin = cast_image(view, moment.scene.atlas, grid)
    right, below = ray_steps(grid)
    flat, flat_right, flat_below = (part.reshape(3, -1) for part in (grid, right, below))
    edge = _edges(first) | (thin >= 0)
    edges, plain = np.flatnonzero(edge), np.flatnonzero(~edge)
    image = np.zeros((height * width, 3), np.float32)
    sight = Sight(first.reshape(-1)[plain], flat[:, plain], flat_right[:, plain], flat_below[:, plain])
    image[plain] = shade(moment, view, sight)
    if len(edges):
        moves = flat_right[:, edges, None] * RAYS[:, 0] + flat_below[:, edges, None] * RAYS[:, 1]
        rays = flat[:, edges, None] + moves
        found = cast_near(view, moment.scene.atlas, rays, _around(first, thin, edges))
        owner, face, count, middle = _groups(found, rays)
        own = edges[owner]
        colour = shade(moment, view, Sight(face, middle, PART * flat_right[:, own], PART * flat_below[:, own]))
        # what is far brighter than the sensor can show would eat into its neighbours' edges: it is cut there too
        colour = np.minimum(colour, 4.0) * (count / len(RAYS))[:, None]
        image[edges] = np.stack([np.bincount(owner, channel, len(edges)) for channel in colour.T], axis=1)
    return image.reshape(height, width, 3)


def ranges(moment: Moment, camera: Camera) -> np.ndarray:
    """How far (H, W) m along its ray each pixel's centre sees; infinite where that is the sky."""
    grid = camera_rays(camera)
    view = View.of(turned_to(moment, camera.centre_world), camera.centre_world)
    first, _ = cast_image(view, moment.scene.atlas, grid)
    far = np.full(first.shape, np.inf)
    met = first >= 0
    far[met] = 1.0 / (view.forms[first[met], 2] * grid[:, met].T).sum(axis=1)
    return far


def camera_rays(camera: Camera) -> np.ndarray:
    """The ray (3, H, W) float32 of each pixel."""
    width, height = camera.size
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    rays = camera.unproject(pixels)
    if not np.isfinite(rays).all():
        raise InputError(f"camera {camera.name!r}: its lens has no rays for some pixels, so it cannot be drawn")
    return np.ascontiguousarray(rays.T.reshape(3, height, width), np.float32)


def ray_steps(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How rays change by a pixel to the right and down: (3, H, W) each."""
    right, below = np.empty_like(grid), np.empty_like(grid)
    right[:, :, 1:-1] = 0.5 * (grid[:, :, 2:] - grid[:, :, :-2])
    right[:, :, 0], right[:, :, -1] = grid[:, :, 1] - grid[:, :, 0], grid[:, :, -1] - grid[:, :, -2]
    below[:, 1:-1] = 0.5 * (grid[:, 2:] - grid[:, :-2])
    below[:, 0], below[:, -1] = grid[:, 1] - grid[:, 0], grid[:, -1] - grid[:, -2]
    return right, below


def _edges(first: np.ndarray) -> np.ndarray:
    """Pixels (H, W) bool that see something else than a neighbour."""
    edge = np.zeros(first.shape, np.uint8)
    across, down = first[:, 1:] != first[:, :-1], first[1:] != first[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return np.asarray(edge > 0)


def _around(first: np.ndarray, thin: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """What the pixels (N,) and their eight neighbours see, and what is thin in the pixels: (N, 10)."""
    height, width = first.shape
    wide = np.pad(first, 1, mode="edge")
    shifted = (wide[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return np.stack([part.reshape(-1)[pixels] for part in (*shifted, thin)], axis=1)


def _groups(found: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rays (3, N, S) of one pixel that meet the same face, `found` (N, S), together.

    Of each group its pixel's number and its face (G,), how many rays it has (G,), and their mean (3, G).
    """
    n, s = found.shape
    order = np.argsort(found, axis=1, kind="stable")
    face = np.take_along_axis(found, order, axis=1)
    new = np.ones((n, s), bool)
    new[:, 1:] = face[:, 1:] != face[:, :-1]
    start = np.flatnonzero(new)
    count = np.diff(np.append(start, n * s))
    ordered = rays.reshape(3, -1)[:, (order + s * np.arange(n)[:, None]).reshape(-1)]
    middle = np.add.reduceat(ordered, start, axis=1) / count.astype(np.float32)
    return start // s, face.reshape(-1)[start], count, middle


@dataclass(frozen=True, eq=False)
class Sight:
    """Rays (3, N), the faces (N,) that they meet, -1 for the sky, and how rays change by a pixel (3, N) each."""

    face: np.ndarray
    rays: np.ndarray
    right: np.ndarray
    below: np.ndarray

    def take(self, rows: np.ndarray | slice) -> "Sight":
        """Some of the rays."""
        return Sight(self.face[rows], self.rays[:, rows], self.right[:, rows], self.below[:, rows])

    def spots(self, view: View) -> "Spots":
        """Where rays meet their faces."""
        forms = view.forms.astype(np.float32)[self.face]
        across, along, depth = ((forms[:, i] * self.rays.T).sum(axis=1) for i in range(3))
        a, b = across / depth, along / depth
        change = np.empty((len(a), 4), np.float32)
        for k, step in enumerate((self.right.T, self.below.T)):
            fall = (forms[:, 2] * step).sum(axis=1)
            change[:, k] = ((forms[:, 0] * step).sum(axis=1) - a * fall) / depth
            change[:, 2 + k] = ((forms[:, 1] * step).sum(axis=1) - b * fall) / depth
        return Spots(self.face, a, b, change, view.centre + (self.rays / depth).T)


@dataclass(frozen=True, eq=False)
class Spots:
    """Places on faces (N,): shares a, b (N,) of their edges, and xyz (N, 3) m.

    `change` (N, 4) is how a changes by a pixel to the right and down, then b.
    """

    face: np.ndarray
    a: np.ndarray
    b: np.ndarray
    change: np.ndarray
    xyz: np.ndarray


def shade(moment: Moment, view: View, sight: Sight) -> np.ndarray:
    """Light (N, 3) that comes along rays."""
    colour = np.empty((len(sight.face), 3), np.float32)
    for start in range(0, len(colour), BLOCK):
        part = slice(start, start + BLOCK)
        colour[part] = _shade_block(moment, view, sight.take(part))
    return colour


def _shade_block(moment: Moment, view: View, sight: Sight) -> np.ndarray:
    light, faces = moment.light, view.faces
    colour = np.empty((len(sight.face), 3), np.float32)
    sky, met = np.flatnonzero(sight.face < 0), np.flatnonzero(sight.face >= 0)
    if len(sky):
        colour[sky] = sky_colour(light, moment.scene.grain[0], sight.rays[:, sky].T)
    if not len(met):
        return colour
    spots = sight.take(met).spots(view)
    row, a, b = spots.face, spots.a, spots.b
    patch = faces.patch.astype(np.float32)[row]
    by_pixel = spots.change * np.repeat(patch[:, 2:], 2, axis=1)
    texture = moment.scene.atlas.sample(patch[:, 0] + a * patch[:, 2], patch[:, 1] + b * patch[:, 3], by_pixel)
    _add_grain(moment, view, spots, texture)
    albedo = COARSE * LINEAR[np.clip(texture + 0.5, 0, 255).astype(np.uint8)]
    arriving = light.on(view.rows[row], faces.cells[row], a, b)
    arriving += _sunshine(moment, view, spots)
    lamp = faces.lamp[row]
    shining = (lamp >= 0) & light.lit[lamp]
    arriving[shining] = GLOW
    colour[met] = albedo * arriving
    return colour


def _add_grain(moment: Moment, view: View, spots: Spots, texture: np.ndarray) -> None:
    """Add the grain of concrete to a texture (N, 3), where it is near enough to be seen."""
    faces, row = view.faces, spots.face
    near = np.flatnonzero(faces.rough[row] > 0)
    lengths = np.stack([np.linalg.norm(edge, axis=1) for edge in (faces.right, faces.down)], axis=1).astype(np.float32)
    size = lengths[row[near]] / GRAIN_TEXEL
    pixel = np.abs(spots.change[near] * np.repeat(size, 2, axis=1)).max(axis=1)
    near, size, pixel = (part[pixel < 4.0] for part in (near, size, pixel))
    if not len(near):
        return
    x, y = spots.a[near] * size[:, 0] + 17.0 * view.rows[row[near]], spots.b[near] * size[:, 1]
    level = np.clip(np.log2(np.maximum(pixel, 1e-3)), 0.0, 2.0)
    total = np.zeros(len(near), np.float32)
    # two grains of other directions and scales: together they nowhere repeat
    for u, v in ((x, y), (0.61 * x + 0.43 * y, 0.61 * y - 0.43 * x)):
        for number in range(3):
            weight = np.maximum(1.0 - np.abs(level - number), 0.0)
            rows = np.flatnonzero(weight > 0)
            if len(rows):
                page, scale = moment.scene.grain[number], 0.5**number
                at = [np.mod(value[rows], GRAIN) * scale - 0.5 for value in (u, v)]
                total[rows] += weight[rows] * remap(page, at[0], at[1], cv2.BORDER_WRAP)[:, 0]
    texture[near] += (4.0 * faces.rough[row[near]].astype(np.float32) * total * (1 - level / 2.0))[:, None]


def _sunshine(moment: Moment, view: View, spots: Spots) -> np.ndarray:
    light = moment.light
    arriving = np.zeros((len(spots.face), 3), np.float32)
    if light.shadow is None:
        return arriving
    facing = (view.faces.normal @ light.sun).astype(np.float32)[spots.face]
    rows = np.flatnonzero(facing > 1e-3)
    if len(rows):
        arriving[rows] = (facing[rows] * light.shadow.shine(spots.xyz[rows]))[:, None] * light.sunlight
    return arriving
