"""Cameras of pictures of other sizes, and how sharp a camera sees its ground."""

from dataclasses import replace

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import LENSES, Homography
from geoloc.scene.site import Site

SHAPE = 0.01  # relative difference of two pictures' shapes that rounding may make
PERSON_M = 1.7
GRID = 24, 14
FAR_M = 40.0


def scaled_camera(camera: Camera, size: tuple[int, int]) -> Camera:
    """The same camera with pictures of another `size` (width, height) px; another shape is refused."""
    if size == camera.size:
        return camera
    scale = size[0] / camera.size[0]
    if abs(size[1] / camera.size[1] / scale - 1.0) > SHAPE + 1.0 / min(size):
        said = f"camera {camera.name!r}: its pictures are {size[0]}x{size[1]}, it was calibrated at "
        raise InputError(
            f"{said}{camera.size[0]}x{camera.size[1]}, which has another shape: is this another camera's film? "
            "If it was cut or its setting changed, calibrate it anew"
        )
    if isinstance(camera.lens, Homography):
        corner = np.array([[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5], [0, 0, 1.0]])
        return replace(camera, lens=Homography((corner @ camera.lens.matrix).reshape(-1)), size=size)
    params = camera.lens.params.copy()
    params[:2] *= scale
    params[2:4] = (params[2:4] + 0.5) * scale - 0.5  # pixels count from the centre of the first
    return replace(camera, lens=LENSES[camera.lens.model](params), size=size)


def person_heights(site: Site, camera: Camera) -> np.ndarray:
    """How many px a person is high (N,) at places all over what a camera sees of the ground, up to FAR_M away."""
    width, height = camera.size
    u, v = ((np.arange(n) + 0.5) / n * side - 0.5 for n, side in zip(GRID, (width, height), strict=True))
    rays = camera.unproject(np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2))
    centre, heights = camera.centre_world, []
    for level in site.site_map.levels:
        floor = float(np.median([surface.plane[2] for surface in level.surfaces]))
        with np.errstate(divide="ignore", invalid="ignore"):
            far = (floor - centre[2]) / rays[:, 2]
        near = (far > 0) & (far < FAR_M)
        foot = centre + far[near, None] * rays[near]
        tall = camera.project(foot + np.array([0.0, 0.0, PERSON_M])) - camera.project(foot)
        heights.append(np.linalg.norm(tall, axis=1))
    found = np.concatenate(heights) if heights else np.zeros(0)
    return np.asarray(found[np.isfinite(found)])


def working_size(site: Site, camera: Camera, px_per_m: float, least: int, most: int) -> tuple[int, int]:
    """The size (width, height) at which most of a camera's ground has `px_per_m`, `least` to `most` px wide."""
    width, height = camera.size
    most = min(most, width)
    if camera.is_homography:
        return most, max(round(height * most / width), 1)
    tall = person_heights(site, camera)
    own = float(np.quantile(tall, 0.1)) / PERSON_M if len(tall) else px_per_m
    wanted = int(np.clip(round(width * px_per_m / max(own, 1e-6)), min(least, most), most))
    return wanted, max(round(height * wanted / width), 1)
