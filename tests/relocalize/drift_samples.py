"""A yard seen by one camera: ground and a far backdrop of drawn textures, rendered ray by ray for any pose and zoom."""

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential
from geoloc.scene.sitemap import Level, SiteMap, Surface

SIZE = (640, 360)
LENS = RadialTangential(np.array([600.0, 600.0, 321.0, 178.0, -0.12, 0.03, 0.0, 0.0]))
POSE = look_at(np.array([0.0, -14.0, 6.0]), np.array([0.0, 4.0, 2.0]))
COV = np.diag([1e-6] * 3 + [1e-4] * 3)
CAMERA = Camera("gate", LENS, SIZE, POSE, COV)
YARD = SiteMap((Level("ground", (Surface(sigma_z=0.02),)),))
TEXEL = 0.02  # m of the ground
FAR = 500.0  # texels a radian of the backdrop
SOFT_M = (14.0, 26.0)  # the ground's paint fades between these distances


def textures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ground and backdrop (2048, 2048) float32: patches of paint with soft edges, and grain."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(2):
        image = np.full((2048, 2048), 110.0, np.float32)
        for _ in range(900):
            centre, size = rng.uniform(0, 2048, 2), rng.uniform(8, 90, 2)
            corners = cv2.boxPoints((tuple(centre), tuple(size), float(rng.uniform(0, 180)))).astype(np.int32)
            cv2.fillConvexPoly(image, corners, float(rng.uniform(30, 220)))
        grain = cv2.GaussianBlur(rng.normal(0, 40, image.shape).astype(np.float32), (0, 0), 2.0)
        found.append(np.asarray(cv2.GaussianBlur(image, (0, 0), 1.2) + grain))
    return found[0], found[1]


def seen(
    scene: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    turn: np.ndarray | None = None,
    shift: np.ndarray | None = None,
    zoom: float = 0.0,
    noise: float = 3.0,
) -> np.ndarray:
    """The camera's picture (H, W) uint8 after a turn (rad) and a shift (m) as in `exp(xi) * cam_from_world`."""
    moved = RigidTransform.from_components(
        np.zeros(3) if shift is None else shift, Rotation.from_rotvec(np.zeros(3) if turn is None else turn)
    )
    camera = replace(CAMERA, cam_from_world=moved * POSE)
    rays = _rays(zoom) @ camera.cam_from_world.rotation.as_matrix()
    centre = camera.centre_world
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.where(rays[:, 2] < -0.02, -centre[2] / rays[:, 2], np.nan)
    ground = (centre[:2] + along[:, None] * rays[:, :2]) / TEXEL + 1024.0
    bearing = np.stack([np.arctan2(rays[:, 0], rays[:, 1]), np.arctan2(rays[:, 2], np.hypot(rays[:, 0], rays[:, 1]))])
    # what is finer than a pixel is not drawn: it would flicker
    clear = np.clip((SOFT_M[1] - along) / (SOFT_M[1] - SOFT_M[0]), 0.0, 1.0)
    layers = [110.0 + clear * (_at(scene[0], ground) - 110.0), _at(scene[1], FAR * bearing.T + 1024.0)]
    light = np.where(np.isfinite(along), layers[0], layers[1]).reshape(SIZE[::-1])
    return np.clip(np.rint(light + rng.normal(0.0, noise, light.shape)), 0, 255).astype(np.uint8)


def covered(image: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """The image with its left `share` covered by another picture."""
    out = image.copy()
    width = int(share * image.shape[1])
    out[:, :width] = other[:, :width]
    return out


@lru_cache(maxsize=2)
def _rays(zoom: float) -> np.ndarray:
    params = np.array(LENS.params)
    params[:2] *= np.exp(zoom)
    pixels = np.stack(np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1])), axis=-1).reshape(-1, 2)
    return RadialTangential(params).unproject(pixels)


def _at(texture: np.ndarray, places: np.ndarray) -> np.ndarray:
    grid = np.nan_to_num(places, nan=0.0).astype(np.float32).reshape(SIZE[1], SIZE[0], 2)
    x, y = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])
    return np.asarray(cv2.remap(texture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)).ravel()
