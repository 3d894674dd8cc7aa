"""Triangulation beside OpenCV and pycolmap on the same points, and on surveyed photographs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from outside import opencv
from rings import box_points, ring, see

from geoloc.estimators.triangulation import Refusal, triangulate
from geoloc.geometry.se3 import from_rt
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole

SIFT_SIGMA = 0.3  # px, of half-size photographs with surveyed poses; the bulk is better, the tail worse


def projections(cameras: list) -> list[np.ndarray]:
    return [camera.cam_from_world.as_matrix()[:3] for camera in cameras]


def undistorted(camera: Camera, pixels: np.ndarray) -> np.ndarray:
    rays = camera.lens.unproject(pixels)
    return rays[:, :2] / rays[:, 2:]


@pytest.mark.parametrize("lens", ["pinhole", "distorted"])
def test_two_views_agree_with_opencv(lens: str, rng: np.random.Generator) -> None:
    cameras = ring(2, lens)
    pixels = see(cameras, box_points(rng, 500)) + rng.normal(0, 0.1, (500, 2, 2))
    found = triangulate(pixels, cameras, 0.01 * np.eye(2))
    flat = [undistorted(camera, pixels[:, v]).T for v, camera in enumerate(cameras)]
    homogeneous = opencv().triangulatePoints(*projections(cameras), *flat)
    # OpenCV minimises an algebraic error: apart by a tenth of a sigma
    apart = found.xyz - (homogeneous[:3] / homogeneous[3]).T
    sigma = np.sqrt(np.trace(found.cov, axis1=1, axis2=2))
    assert np.nanmax(np.linalg.norm(apart, axis=1) / sigma) < 0.5
    assert np.nanmedian(np.linalg.norm(apart, axis=1)) < 0.001  # m; sigma 0.006


def test_seven_views_agree_with_pycolmap(rng: np.random.Generator) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    cameras, points = ring(7, "distorted"), box_points(rng, 100)
    pixels = see(cameras, points) + rng.normal(0, 0.1, (100, 7, 2))
    found = triangulate(pixels, cameras, 0.01 * np.eye(2))
    rays = np.stack([camera.lens.unproject(pixels[:, v]) for v, camera in enumerate(cameras)], axis=1)
    theirs = [pycolmap.triangulate_multi_view_point(projections(cameras), ray) for ray in rays]
    apart = np.linalg.norm(found.xyz - np.array(theirs).reshape(-1, 3), axis=1)
    assert apart.max() < 0.003  # m
    # the likelihood is worth its iterations
    ours, other = np.linalg.norm(found.xyz - points, axis=1), np.linalg.norm(theirs - points, axis=1)
    assert np.mean(ours**2) <= 1.02 * np.mean(other**2)


def strecha_camera(folder: Path, name: str) -> Camera:
    entry = json.loads((folder / "cameras_gt.json").read_text())[name]
    k, rotation = np.array(entry["K"]), np.array(entry["R_world_to_cam"])
    lens = Pinhole(np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2]]))
    return Camera(name, lens, (entry["size"][0], entry["size"][1]), from_rt(rotation, -rotation @ entry["C_world"]))


def matches(features: list, first: int, second: int) -> dict[int, int]:
    """Mutual matches that pass the ratio test: feature of the first image -> feature of the second."""
    matcher = opencv().BFMatcher()
    forward = matcher.knnMatch(features[first][1], features[second][1], k=2)
    back = {m.queryIdx: m.trainIdx for m in matcher.match(features[second][1], features[first][1])}
    good = [one for one, other in forward if one.distance < 0.8 * other.distance]
    return {m.queryIdx: m.trainIdx for m in good if back[m.trainIdx] == m.queryIdx}


def seen_in_three(folder: Path, names: list[str]) -> np.ndarray:
    """Pixels (N, 3, 2) of SIFT features of the middle image that match in both of the others."""
    cv2 = opencv()
    sift = cv2.SIFT_create(3000)
    images = [cv2.imread(str(folder / "images" / image), cv2.IMREAD_GRAYSCALE) for image in names]
    features = [sift.detectAndCompute(image, None) for image in images]
    left, right = matches(features, 1, 0), matches(features, 1, 2)
    rows = [(left[i], i, right[i]) for i in sorted(left.keys() & right.keys())]
    at = [np.array([point.pt for point in keypoints]) for keypoints, _ in features]
    return np.stack([at[image][[row[image] for row in rows]] for image in range(3)], axis=1)


@pytest.mark.parametrize("name", ["fountain-P11", "Herz-Jesus-P8"])
def test_photographs_reproject_in_a_third_one(name: str, recording: Callable[[str], Path]) -> None:
    folder = recording("strecha") / name
    names = ["0003.jpg", "0004.jpg", "0005.jpg"]
    before, middle, after = cameras = [strecha_camera(folder, image) for image in names]
    pixels = seen_in_three(folder, names)
    assert len(pixels) > 400  # measured 771, 522
    found = triangulate(pixels[:, [0, 2]], [before, after], SIFT_SIGMA**2 * np.eye(2))
    good = found.refusal == Refusal.NONE
    assert good.mean() > 0.85  # measured 0.957, 0.900; the others are false matches
    apart = np.linalg.norm(middle.project(found.xyz[good]) - pixels[good, 1], axis=1)
    assert np.median(apart) < 0.25  # px; measured 0.143, 0.166
    assert np.quantile(apart, 0.9) < 0.75  # measured 0.357, 0.481
    robust = triangulate(pixels, cameras, SIFT_SIGMA**2 * np.eye(2))
    used = robust.residual_px[robust.used]
    assert np.sqrt(np.mean(used**2)) < 0.25  # measured 0.122, 0.181
    assert (robust.refusal == Refusal.NONE).mean() > good.mean() - 0.01
