"""The calibration's share of a ground point's covariance, where pose and lens are strongly correlated."""

from dataclasses import replace

import numpy as np
import pytest
from consistency import assert_consistent
from scipy.spatial.transform import RigidTransform
from sites import DISTORTED, FISHEYE, PINHOLE, square

from geoloc.pipeline.projection import project_to_ground
from geoloc.scene.camera import Camera
from geoloc.scene.distortion import radial_tangential_jacobians
from geoloc.scene.lenses import Fisheye, Lens, fisheye_jacobians
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Surface
from geoloc.scene.tables import Detections

SIGMAS = {"fx": 4.0, "cy": 2.0, "k1": 2e-3, "k2": 2e-3}
N = 4000


def correlated(rng: np.random.Generator, freed: tuple[str, ...]) -> np.ndarray:
    """A covariance of pose and `freed` whose correlations are far from zero."""
    sigmas = np.r_[[1e-3] * 3, [0.02] * 3, [SIGMAS[name] for name in freed]]
    mixed = np.eye(len(sigmas)) + 0.5 * rng.normal(size=(len(sigmas), len(sigmas)))
    cov = mixed @ mixed.T
    scale = sigmas / np.sqrt(np.diag(cov))
    return cov * np.outer(scale, scale)


def seen_by_draws(camera: Camera, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pixels (N, 2) of points (N, 3) m, each through its own draw of the camera's calibration."""
    draw = rng.multivariate_normal(np.zeros(len(camera.calib_cov)), camera.calib_cov, len(points))
    poses = RigidTransform.from_exp_coords(draw[:, :6]) * camera.cam_from_world
    params = np.tile(camera.lens.params, (len(points), 1))
    params[:, camera.freed_index] += draw[:, 6:]
    rows = fisheye_jacobians if isinstance(camera.lens, Fisheye) else radial_tangential_jacobians
    return rows(params, poses.apply(points))[0]


@pytest.mark.parametrize(
    ("lens", "freed"),
    [(PINHOLE, ()), (DISTORTED, ("fx", "k1")), (DISTORTED, ("cy",)), (FISHEYE, ("fx", "k2"))],
    ids=["pinhole", "distorted", "distorted, centre", "fisheye"],
)
@pytest.mark.parametrize("together", [1, N], ids=["rows of many cameras", "rows of one camera"])
def test_correlated_calibrations_are_honest(
    lens: Lens, freed: tuple[str, ...], together: int, rng: np.random.Generator
) -> None:
    """Blocks of one camera and blocks of many take different ways through the same equations."""
    surface = Surface(plane=(0.05, -0.08, 0.3))
    cameras = [
        replace(one, calib_cov=correlated(rng, freed), freed=freed) for one in square(lens, surface).cameras
    ]
    site = Site("square", tuple(cameras), square(lens, surface).site_map)
    xy = rng.uniform(-5.0, 5.0, (N, 2))
    truth = np.column_stack([xy, surface.z_at(xy)])
    which = np.zeros(N, dtype=int) if together == N else rng.integers(0, 4, N)
    foot = np.empty((N, 2))
    for index, one in enumerate(cameras):
        foot[which == index] = seen_by_draws(one, truth[which == index], rng)
    foot += rng.normal(0.0, 0.5, foot.shape)
    names = np.array([one.name for one in cameras])[which]
    rows = slice(None) if together == N else slice(0, 1500)  # too few of each camera for blocks of their own
    feet = Detections(
        id=np.arange(N)[rows], time=np.zeros(N)[rows], camera=names[rows], foot=foot[rows],
        foot_cov=np.broadcast_to(0.25 * np.eye(2), (N, 2, 2))[rows],
    )
    points, dropped = project_to_ground(feet, site)
    assert len(dropped) <= 0.01 * N  # a few feet leave the image
    assert_consistent(points.xy - xy[points.detection], points.cov + points.bias_cov)
