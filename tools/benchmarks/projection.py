"""Rows a second of `project_to_ground`, beside what OpenCV does for the point alone."""

import numpy as np

from benchmarks.row import Row, best_time
from geoloc.geometry.se3 import look_at
from geoloc.pipeline.projection import project_to_ground
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections

N_CAMERAS = 7
SIZE = (1920, 1080)
DISTORTION = (-0.28, 0.09, 4e-4, -3e-4, -0.015)


def bench_projection() -> list[Row]:
    """Both covariances for every row, all cameras' rows at once; OpenCV camera by camera, without any."""
    site, rows = ring_site(), []
    for n in (100_000, 1_000):
        detections = random_feet(site, n, np.random.default_rng(1))
        name = f"{n:,} feet of {N_CAMERAS} distorted cameras to the ground"
        plain = best_time(lambda table=detections: opencv_ground(table, site))  # type: ignore[misc]
        ours = best_time(lambda table=detections: project_to_ground(table, site))  # type: ignore[misc]
        rows.append(Row(name, "cv2.undistortPoints + homography, no covariance", n / plain, "rows/s", 1.0))
        said = "ratio is of times"
        rows.append(Row(name, "geoloc, both covariances", n / ours, "rows/s", ours / plain, "<= 4 x", said))
    return rows


def ring_site() -> Site:
    """Cameras 6 m high around a square, with five distortion coefficients and an uncertain calibration."""
    calib_cov = np.diag([1e-6, 1e-6, 1e-6, 1e-3, 1e-3, 1e-3, 4.0, 1e-6])
    cameras = []
    for i in range(N_CAMERAS):
        angle = 2.0 * np.pi * i / N_CAMERAS
        centre = np.array([25.0 * np.cos(angle), 25.0 * np.sin(angle), 6.0])
        lens = RadialTangential(np.array([1100.0, 1100.0, 959.5, 539.5, *DISTORTION]))
        pose = look_at(centre, np.zeros(3))
        cameras.append(Camera(f"C{i + 1}", lens, SIZE, pose, calib_cov, ("fx", "k1")))
    return Site("ring", tuple(cameras), SiteMap((Level("ground", (Surface(sigma_z=0.02),)),)))


def random_feet(site: Site, n: int, rng: np.random.Generator) -> Detections:
    """Boxes whose lower edges lie in the lower two thirds of the images."""
    foot = np.stack([rng.uniform(100, SIZE[0] - 100, n), rng.uniform(SIZE[1] / 3, SIZE[1] - 10, n)], axis=-1)
    half, height = rng.uniform(10, 40, n), rng.uniform(60, 160, n)
    box = np.stack([foot[:, 0] - half, foot[:, 1] - height, foot[:, 0] + half, foot[:, 1]], axis=-1)
    names = np.array([camera.name for camera in site.cameras])
    camera = np.sort(names[rng.integers(len(names), size=n)])
    return Detections(id=np.arange(n), time=np.zeros(n), camera=camera, box=box)


def opencv_ground(detections: Detections, site: Site) -> np.ndarray:
    """Ground points (N, 2) m of the boxes' lower edges, as OpenCV gives them camera by camera."""
    import cv2

    xy = np.empty((len(detections), 2))
    foot = np.stack([0.5 * (detections.box[:, 0] + detections.box[:, 2]), detections.box[:, 3]], axis=-1)
    for camera in site.cameras:
        rows = np.flatnonzero(detections.camera == camera.name)
        fx, fy, cx, cy, *distortion = camera.lens.params.tolist()
        matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        normal = cv2.undistortPoints(foot[rows, None], matrix, np.array(distortion))
        rotation = camera.cam_from_world.rotation.as_matrix()
        plane = np.column_stack([rotation[:, :2], camera.cam_from_world.translation])
        xy[rows] = cv2.perspectiveTransform(normal, np.linalg.inv(plane))[:, 0]
    return xy
