"""Stills of a textured floor, rendered through true cameras with distortion, and cameras that are a little off."""

from dataclasses import replace

import cv2
import numpy as np

from geoloc.geometry.se3 import perturb
from geoloc.scene.camera import Camera
from geoloc.scene.ground import intersect_ground
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.world import make_camera

PIXEL = 0.01  # m of the texture
SITE_MAP = SiteMap()


def texture(rng: np.random.Generator, size: int = 2400) -> np.ndarray:
    """Worn asphalt: blotches of many sizes, painted lines and cracks."""
    image = np.full((size, size), 110.0)
    for scale, height in ((3, 14), (9, 14), (30, 18), (100, 20)):
        noise = cv2.GaussianBlur(rng.normal(size=(size // 2, size // 2)).astype(np.float32), (0, 0), scale / 2)
        image += height * cv2.resize(noise / noise.std(), (size, size))
    for _ in range(60):
        start, end = rng.integers(0, size, 2), rng.integers(0, size, 2)
        end = start + (end - start) // 6
        cv2.line(image, start.tolist(), end.tolist(), float(rng.uniform(20, 230)), int(rng.integers(2, 12)))
    return np.clip(image, 0, 255).astype(np.float32)


def render(camera: Camera, floor: np.ndarray, rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """The still (H, W) uint8 of a floor that lies around the origin."""
    width, height = camera.size
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    rays = camera.unproject(np.column_stack([u.ravel(), v.ravel()]))
    hits = intersect_ground(SITE_MAP, camera.centre_world[None], np.nan_to_num(rays, nan=1.0))
    at = np.nan_to_num(hits.xyz[:, :2] / PIXEL + floor.shape[0] / 2, nan=-10)
    at = at.reshape(height, width, 2).astype(np.float32)
    still = cv2.remap(cv2.GaussianBlur(floor, (0, 0), 1.0), at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderValue=90)
    return np.clip(still * gain + rng.normal(size=still.shape) * 2.0, 0, 255).astype(np.uint8)


def pair() -> tuple[Camera, Camera]:
    """Two true cameras that see one floor from two sides, with distortion."""
    return (
        make_camera("a", (-6.0, -5.0, 5.0), (0.0, 0.0, 0.0), field_deg=75),
        make_camera("b", (6.5, -3.0, 4.5), (0.5, 0.5, 0.0), field_deg=80),
    )


def off(camera: Camera, rng: np.random.Generator) -> Camera:
    """The camera as a loose calibration has it: drawn from its own covariance."""
    xi = rng.multivariate_normal(np.zeros(6), camera.calib_cov)
    return replace(camera, cam_from_world=perturb(camera.cam_from_world, xi))
