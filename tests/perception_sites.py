"""A small car park with cameras, and pictures of bodies in it that tests share."""

import cv2
import numpy as np
import shapely

from geoloc.geometry.se3 import look_at
from geoloc.perception.silhouettes import BODIES, draw_outline, outlines, place_points
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface

SIZE = (480, 270)


def car_park(stalls: bool = True, n_cameras: int = 2) -> Site:
    """A yard of 24 m by 20 m, a row of five stalls in its north, cameras on masts in the south."""
    places = tuple(
        Place(f"S{k}", "yard", shapely.box(-6.5 + 2.6 * k, 4.0, -3.9 + 2.6 * k, 9.0), "stall") for k in range(5)
    )
    lens = Pinhole(np.array([380.0, 380.0, 239.5, 134.5]))
    spots = [(0.0, -11.0, 4.5), (9.0, -10.0, 4.0), (-9.0, -10.0, 4.0)]
    cov = np.diag([0.001, 0.001, 0.001, 0.02, 0.02, 0.02]) ** 2
    cameras = tuple(
        Camera(f"mast-{k}", lens, SIZE, look_at(np.array(spot), np.array([0.0, 3.0, 0.5])), cov)
        for k, spot in enumerate(spots[:n_cameras])
    )
    level = Level("yard", (Surface((0.0, 0.0, 0.0), shapely.box(-12, -10, 12, 10), 0.01),))
    return Site("yard", cameras, SiteMap((level,), stalls=places if stalls else ()))


def mask_of(camera: Camera, *bodies: tuple[str, float, float, float]) -> np.ndarray:
    """A mask (H, W) uint8 of bodies: label, x, y (m), heading (rad)."""
    mask = np.zeros(camera.size[::-1], np.uint8)
    for label, x, y, heading in bodies:
        points = place_points(BODIES[label], np.array([[x, y, 0.0]]), np.array([heading]))
        mask |= 255 * draw_outline(outlines(camera, points)[0], (0, 0), camera.size)
    return mask


def empty_yard(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture (H, W, 3) uint8 of a grey, stained ground."""
    stains = cv2.GaussianBlur(rng.normal(0, 1, size[::-1]).astype(np.float32), (0, 0), 3)
    grain = rng.normal(0, 4, size[::-1])
    picture = 85 + 60 * stains / np.abs(stains).max() + grain
    return np.clip(np.repeat(picture[..., None], 3, axis=2), 0, 255).astype(np.uint8)


def with_noise(picture: np.ndarray, rng: np.random.Generator, times: float = 1.0) -> np.ndarray:
    """The picture in `times` its light, with a sensor's noise."""
    return np.clip(picture * times + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def painted(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The picture with a mask in one colour, and a texture of its own."""
    out = picture.copy()
    rows, columns = np.nonzero(mask)
    out[rows, columns] = np.array(colour) * (0.8 + 0.2 * ((rows // 4 + columns // 4) % 2))[:, None]
    return out
