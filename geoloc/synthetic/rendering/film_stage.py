"""One camera's stage: what of a scene stands still in its picture, and actors drawn over it.

What stands still is drawn once, with all its edges smooth; actors are cast into the windows that they fill, four rays
a pixel, and hidden by what is nearer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np

from geoloc.scene.camera import Camera
from geoloc.synthetic.rendering.casting import View, cast_image
from geoloc.synthetic.rendering.faces import Faces
from geoloc.synthetic.rendering.film_actors import Actor, Pose, person_faces
from geoloc.synthetic.rendering.film_light import SHADOW_M, beam, headlights, shadow_of
from geoloc.synthetic.rendering.lighting import LAMP_COLOUR, light_upon
from geoloc.synthetic.rendering.moment import Moment
from geoloc.synthetic.rendering.picture import Sight, camera_rays, radiance, ray_steps, shade
from geoloc.synthetic.rendering.viewpoints import resized

DRIVES = 0.15  # m/s from which a car's headlights are on
GLARE = 5.0  # light of a headlight that is looked into
FAR_M = 32.0  # from the camera, beyond which shadows and beams are too small to see
SPARSE = 7  # every so many pixels tell whether a beam falls on anything at all
LAMP_M = 0.09  # radius of a headlight


@dataclass(frozen=True, eq=False)
class Layer:
    """An actor in a window (rows, columns) of a picture of twice the size: `near` one over its distance, 0 for none."""

    part: tuple[slice, slice]
    near: np.ndarray
    colour: np.ndarray


@dataclass(eq=False)
class Stage:
    """What stands still in one camera, under each of the moments (which differ in their lamps alone)."""

    camera: Camera
    moments: Sequence[Moment]
    light: list[np.ndarray]  # (H, W, 3) of each moment
    arriving: list[np.ndarray]  # (H, W) of each moment, at what the pixels' middles see
    albedo: np.ndarray  # (H, W, 3)
    xyz: np.ndarray  # (H, W, 3) m; NaN: the sky
    normal: np.ndarray  # (H, W, 3)
    floor: np.ndarray  # (H, W) bool
    storey: float  # m, height of the floor that most of the picture shows
    rays: np.ndarray  # (3, 2 H, 2 W)
    near: np.ndarray  # (2 H, 2 W) one over the distance
    _layers: dict[int, tuple[tuple[float, ...], Layer | None]] = field(default_factory=dict)
    _shadows: dict[int, tuple[tuple[float, ...], np.ndarray, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def floor_rows(self) -> np.ndarray:
        """Which pixels show a floor."""
        return np.flatnonzero(self.floor)

    def show(self, which: int, actors: dict[int, Actor], poses: dict[int, Pose]) -> np.ndarray:
        """Light (H, W, 3) of the moment `which` with `actors` at `poses`."""
        light, arriving = self.light[which].copy(), self.arriving[which]
        flat, moment = light.reshape(-1, 3), self.moments[which]
        lamps = moment.scene.lamps[moment.light.lit]
        centre, shown = self.camera.centre_world, {}
        for number, pose in poses.items():
            if np.linalg.norm(pose.xyz - centre) < FAR_M and abs(pose.xyz[2] - self.storey) < 1.0:
                shown[number] = pose
        for number, pose in shown.items():
            rows, left = self._shadow(which, actors[number], pose, lamps, arriving.reshape(-1))
            flat[rows] *= left[:, None]
        driving = [n for n, pose in shown.items() if actors[n].car is not None and pose.speed > DRIVES]
        xyz, normal = self.xyz.reshape(-1, 3), self.normal.reshape(-1, 3)
        for number in driving:
            how = actors[number], poses[number]
            if beam(*how, xyz[::SPARSE], normal[::SPARSE]).max() < 1e-3:
                continue
            extra = beam(*how, xyz, normal)
            rows = np.flatnonzero(extra > 1e-3)
            flat[rows] += self.albedo.reshape(-1, 3)[rows] * extra[rows, None] * LAMP_COLOUR
        near = self._paste(light, which, actors, poses)
        for number in driving:
            self._glare(light, near, actors[number], poses[number])
        return light

    def _paste(self, light: np.ndarray, which: int, actors: dict[int, Actor], poses: dict[int, Pose]) -> np.ndarray:
        near, cover = self.near.copy(), np.zeros(self.near.shape, np.float32)
        colour = np.zeros((*self.near.shape, 3), np.float32)
        drawn = False
        for number, pose in poses.items():
            layer = self._layer(which, actors[number], pose)
            if layer is None:
                continue
            seen = layer.near > near[layer.part]
            np.copyto(near[layer.part], layer.near, where=seen)
            np.copyto(colour[layer.part], layer.colour, where=seen[..., None])
            np.copyto(cover[layer.part], 1.0, where=seen)
            drawn = True
        if drawn:
            size = light.shape[1::-1]
            share = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)[..., None]
            light *= 1.0 - share
            light += cv2.resize(colour * cover[..., None], size, interpolation=cv2.INTER_AREA)
        return near

    def _layer(self, which: int, actor: Actor, pose: Pose) -> Layer | None:
        key = (float(which), *pose.xyz.tolist(), pose.heading)
        if actor.number in self._layers and self._layers[actor.number][0] == key:
            return self._layers[actor.number][1]
        if actor.car is not None:
            faces = actor.car.moved(pose.place)
        else:
            faces = person_faces([actor], [pose], self.camera.centre_world[:2])
        layer = self._drawn(which, faces)
        self._layers[actor.number] = key, layer
        return layer

    def _drawn(self, which: int, faces: Faces) -> Layer | None:
        part = self._window(faces)
        if part is None:
            return None
        grid = np.ascontiguousarray(self.rays[:, part[0], part[1]])
        view = View.of(faces, self.camera.centre_world)
        if not len(view.rows):
            return None
        moment = self.moments[which]
        first, _ = cast_image(view, moment.scene.atlas, grid)
        rows = np.flatnonzero(first.reshape(-1) >= 0)
        if not len(rows):
            return None
        flat = grid.reshape(3, -1)
        right, below = (step.reshape(3, -1) for step in ray_steps(grid))
        own = replace(moment, faces=faces, light=light_upon(moment.scene, faces, moment.light))
        face = first.reshape(-1)[rows]
        near, colour = np.zeros(first.size, np.float32), np.zeros((first.size, 3), np.float32)
        near[rows] = (view.forms[face, 2] * flat[:, rows].T).sum(axis=1)
        colour[rows] = np.minimum(shade(own, view, Sight(face, flat[:, rows], right[:, rows], below[:, rows])), 4.0)
        return Layer(part, near.reshape(first.shape), colour.reshape(*first.shape, 3))

    def _window(self, faces: Faces) -> tuple[slice, slice] | None:
        corners = [faces.corner + a * faces.right + b * faces.down for a in (0, 1) for b in (0, 1)]
        pixels = self.camera.project(np.concatenate(corners))
        there = np.isfinite(pixels).all(axis=1)
        height, width = self.near.shape
        if not there.any():
            return None
        low, high = 2 * pixels[there].min(axis=0) - 3, 2 * pixels[there].max(axis=0) + 5
        if not there.all():  # it reaches behind the camera: any pixel may show it
            low, high = np.zeros(2), np.array([width, height], float)
        x0, y0 = np.maximum(low, 0).astype(int)
        x1, y1 = np.minimum(high, [width, height]).astype(int)
        return (slice(y0, y1), slice(x0, x1)) if min(x1 - x0, y1 - y0) >= 2 else None

    def _shadow(
        self, which: int, actor: Actor, pose: Pose, lamps: np.ndarray, arriving: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        key = (float(which), *pose.xyz.tolist(), pose.heading)
        known = self._shadows.get(actor.number)
        if known is not None and known[0] == key:
            return known[1], known[2]
        xyz = self.xyz.reshape(-1, 3)
        reach, ground = SHADOW_M + 0.5 * actor.size[0], self.floor_rows
        away = np.abs(xyz[ground] - pose.xyz.astype(np.float32))
        rows = ground[(away[:, 0] < reach) & (away[:, 1] < reach) & (away[:, 2] < 0.5)]
        left = shadow_of(actor, pose, lamps, xyz[rows], arriving[rows])
        self._shadows[actor.number] = key, rows, left
        return rows, left

    def _glare(self, light: np.ndarray, near: np.ndarray, actor: Actor, pose: Pose) -> None:
        """The headlights themselves, as far as they look at the camera and nothing hides them."""
        centre = self.camera.centre_world
        for lamp in headlights(actor, pose):
            away = centre - lamp
            far = float(np.linalg.norm(away))
            facing = float(away[:2] @ [np.cos(pose.heading), np.sin(pose.heading)]) / far
            pixel = self.camera.project(lamp[None])[0]
            if facing <= 0.1 or not self.camera.inside(pixel[None])[0]:
                continue
            x, y = np.rint(pixel * 2 + 0.5).astype(int)
            if near[min(y, near.shape[0] - 1), min(x, near.shape[1] - 1)] > 1.0 / max(far - 0.6, 0.1):
                continue
            beside = self.camera.project((lamp + np.array([0.0, 0.0, LAMP_M]))[None])[0]
            radius = max(float(np.linalg.norm(beside - pixel)), 0.7)
            reach = int(4 * radius) + 2
            x, y = np.rint(pixel).astype(int)
            rows = slice(max(y - reach, 0), y + reach + 1), slice(max(x - reach, 0), x + reach + 1)
            v, u = np.mgrid[rows[0], rows[1]][:, : light.shape[0], : light.shape[1]]
            v, u = v[: light[rows].shape[0], : light[rows].shape[1]], u[: light[rows].shape[0], : light[rows].shape[1]]
            spot = np.exp(-0.5 * ((u - pixel[0]) ** 2 + (v - pixel[1]) ** 2) / radius**2)
            light[rows] += (GLARE * facing * spot[..., None] * LAMP_COLOUR).astype(np.float32)


def set_stage(camera: Camera, moments: Sequence[Moment]) -> Stage:
    """The stage of a camera; its pictures have the camera's size."""
    moment, scene = moments[0], moments[0].scene
    grid = camera_rays(camera)
    shape = grid.shape[1:]
    view = View.of(moment.faces, camera.centre_world)
    first, _ = cast_image(view, scene.atlas, grid)
    flat = first.reshape(-1)
    rows = np.flatnonzero(flat >= 0)
    right, below = (step.reshape(3, -1) for step in ray_steps(grid))
    spots = Sight(flat[rows], grid.reshape(3, -1)[:, rows], right[:, rows], below[:, rows]).spots(view)
    xyz, normal = np.full((first.size, 3), np.nan, np.float32), np.zeros((first.size, 3), np.float32)
    xyz[rows], normal[rows] = spots.xyz, view.faces.normal[spots.face]
    floor = np.zeros(first.size, bool)
    floor[rows] = np.isin(view.rows[spots.face], scene.floors)
    light = [radiance(each, camera) for each in moments]
    arriving = [np.full((first.size, 3), 1.0, np.float32) for _ in moments]
    for each, out in zip(moments, arriving, strict=True):
        face = spots.face
        out[rows] = each.light.on(view.rows[face], view.faces.cells[face], spots.a, spots.b)
    albedo = np.clip(light[0].reshape(-1, 3) / np.maximum(arriving[0], 0.02), 0.0, 1.0)
    twice = resized(camera, (2 * camera.size[0], 2 * camera.size[1]))
    rays = camera_rays(twice)
    seen, _ = cast_image(view, scene.atlas, rays)
    near = np.zeros(seen.size, np.float32)
    there = np.flatnonzero(seen.reshape(-1) >= 0)
    near[there] = (view.forms[seen.reshape(-1)[there], 2] * rays.reshape(3, -1)[:, there].T).sum(axis=1)
    return Stage(
        camera=camera,
        moments=moments,
        light=light,
        arriving=[each.mean(axis=1).reshape(shape) for each in arriving],
        albedo=albedo.reshape(*shape, 3),
        xyz=xyz.reshape(*shape, 3),
        normal=normal.reshape(*shape, 3),
        floor=floor.reshape(shape),
        storey=float(np.median(xyz[floor, 2])),
        rays=rays,
        near=near.reshape(seen.shape),
    )
