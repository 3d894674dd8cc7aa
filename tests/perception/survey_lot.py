"""A small lot with five stalls, two cameras that see them, and their stills."""

from dataclasses import replace

import numpy as np

from geoloc.geometry.se3 import perturb
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, Place, SiteMap, Surface
from geoloc.synthetic.rendering.viewpoints import resized
from geoloc.synthetic.stills import render_still
from geoloc.synthetic.world import make_camera, rectangle

SIZE = (960, 540)
STALL = (2.5, 5.0)  # m
FIRST = (4.0, 10.0)  # m, lower left corner of the row
N_STALLS = 5


def lot(wall: bool = False) -> Site:
    """The lot with its stalls on the map."""
    ground = Level("lot", (Surface((0.0, 0.0, 0.0), rectangle(0, 0, 22, 18), 0.005),))
    stalls = tuple(Place(f"S{i + 1}", "lot", rectangle(*corners(i)), "stall") for i in range(N_STALLS))
    walls = (Occluder("wall", "lot", rectangle(8.0, 8.0, 14.0, 8.3), 2.5),) if wall else ()
    cameras = (
        resized(make_camera("west", (2.0, 0.5, 6.0), (8.5, 12.0, 0.0), 75.0, 0.05, 0.01), SIZE),
        resized(make_camera("east", (20.0, 2.0, 5.5), (11.5, 12.0, 0.0), 75.0, 0.05, 0.01), SIZE),
    )
    return Site("lot", cameras, SiteMap((ground,), stalls=stalls, occluders=walls))


def corners(i: int) -> tuple[float, float, float, float]:
    x = FIRST[0] + i * STALL[0]
    return x, FIRST[1], x + STALL[0], FIRST[1] + STALL[1]


def bare(site: Site) -> Site:
    """The site without stalls on its map."""
    return replace(site, site_map=replace(site.site_map, stalls=()))


def stills_of(site: Site, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {camera.name: render_still(camera, site.site_map, rng) for camera in site.cameras}


def drawn_off(site: Site, rng: np.random.Generator) -> Site:
    """Cameras off by draws from what they state."""
    return replace(site, cameras=tuple(_off(camera, rng) for camera in site.cameras))


def _off(camera: Camera, rng: np.random.Generator) -> Camera:
    move = rng.multivariate_normal(np.zeros(6), camera.calib_cov)
    return replace(camera, cam_from_world=perturb(camera.cam_from_world, move))
