"""Rough poses that many matches agree on: three points at a time, by pycolmap's LO-RANSAC (Chum et al. 2003)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from geoloc.estimators.camera_fit import MarkedPoints, refine_camera
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.geometry.se3 import from_rt
from geoloc.options import check_range
from geoloc.relocalize.colmap import load_pycolmap
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential

FEWEST_INLIERS = 6  # inliers of a pose that can matter; with fewer, what is left over has no better one
LEAST_RATIO = 0.02  # of inliers among matches that is reckoned with
MOST = 600  # matches that poses are looked for by; all of them then tell which agree
FULL_WIDTH = 1600.0  # px
UNKNOWN = ("f", "cx", "cy", "k1")  # of a lens that is not known
FOCAL_SPREAD = 0.5  # sigma of the logarithm of an unknown focal length about the found one
CENTRE_SPREAD = 0.01  # sigma of an unknown principal point about the image's middle, of its longer side
ROUNDS = 5  # of matches gathered anew once a lens with distortion is fitted to those before
TAILS = 4.0  # degrees of freedom of the errors of those matches
FACING = 0.05  # cosine to the optical axis of rays that the search can use


@dataclass(frozen=True)
class SearchOptions:
    """How poses are looked for."""

    max_error: float = 4.0  # px at FULL_WIDTH and in proportion; how far an inlier may lie from its landmark
    max_trials: int = 5000
    n_poses: int = 3  # looked for in each group of candidates, each among what the ones before do not explain

    def __post_init__(self) -> None:
        check_range(self, max_error=(0.1, 1000.0), max_trials=(10, 1_000_000), n_poses=(1, 20))

    def error_px(self, size: tuple[int, int]) -> float:
        """`max_error` in px of an image of `size`."""
        return self.max_error * max(size) / FULL_WIDTH


@dataclass(frozen=True, eq=False)
class RoughPose:
    """A camera that `inliers` (K,) int, rows of the matches, agree on."""

    camera: Camera
    inliers: np.ndarray


def search_poses(
    landmarks: LandmarkMap,
    camera: Camera,
    points: np.ndarray,
    pixels: np.ndarray,
    options: SearchOptions,
    rng: np.random.Generator,
    free_focal: bool = False,
) -> Iterator[RoughPose]:
    """Poses of `camera`, the most supported first, from landmarks `points` (M,) int at `pixels` (M, 2).

    With `free_focal` the focal length is found too, and the distortion that more matches agree on.
    """
    left = np.arange(len(points))
    for _ in range(options.n_poses):
        found = _search(landmarks, camera, points[left], pixels[left], options, rng, free_focal)
        if found is None:
            return
        if free_focal:
            found = _grown(found, landmarks, points[left], pixels[left], options.error_px(camera.size))
        yield RoughPose(found.camera, left[found.inliers])
        left = np.delete(left, found.inliers)


def unknown_lens(start: Camera) -> CameraPrior:
    """What is known of a lens of which nothing was stated, once a search found `start`."""
    width, height = start.size
    middle = ((width - 1) / 2, (height - 1) / 2)
    return CameraPrior(float(start.lens.params[0]), FOCAL_SPREAD, middle, CENTRE_SPREAD * max(start.size))


def _grown(
    rough: RoughPose, landmarks: LandmarkMap, points: np.ndarray, pixels: np.ndarray, error: float
) -> RoughPose:
    """The pose with a lens that bends, and all matches within `error` px of it, as long as they become more.

    A pinhole explains the middle of a picture whose lens bends, or one side; what it leaves would pass for another
    place.
    """
    prior = unknown_lens(rough.camera)
    for _ in range(ROUNDS):
        own = points[rough.inliers]
        sigma = np.full(len(own), error / 2)
        marked = MarkedPoints(landmarks.points[own], pixels[rough.inliers], sigma, landmarks.point_cov[own])
        camera, _ = refine_camera(rough.camera, marked, prior, UNKNOWN, TAILS)
        camera = replace(camera, calib_cov=np.zeros((6, 6)), freed=())
        off = np.linalg.norm(camera.project(landmarks.points[points]) - pixels, axis=1)
        inliers = np.flatnonzero(off < error)  # none of NaN, behind the camera
        if len(inliers) <= len(rough.inliers):
            break
        rough = RoughPose(camera, inliers)
    return rough


def _search(
    landmarks: LandmarkMap,
    camera: Camera,
    points: np.ndarray,
    pixels: np.ndarray,
    options: SearchOptions,
    rng: np.random.Generator,
    free_focal: bool,
) -> RoughPose | None:
    pycolmap = load_pycolmap()

    focal, plane, rows = _on_plane(camera, pixels, free_focal)
    if len(rows) < FEWEST_INLIERS:
        return None
    ransac = pycolmap.RANSACOptions()
    ransac.max_error = options.error_px(camera.size)
    ransac.max_num_trials, ransac.random_seed = options.max_trials, int(rng.integers(2**31 - 1))
    # so many trials that one with as many inliers as matter would hardly be missed
    ransac.min_inlier_ratio = max(LEAST_RATIO, min(1.0, FEWEST_INLIERS / len(rows)))
    estimation = pycolmap.AbsolutePoseEstimationOptions()
    estimation.ransac, estimation.estimate_focal_length = ransac, free_focal
    width, height = camera.size
    lens = pycolmap.Camera(model="SIMPLE_PINHOLE", width=width, height=height, params=[focal, 0.0, 0.0])
    xyz = landmarks.points[points[rows]]
    drawn = np.arange(len(rows)) if len(rows) <= MOST else rng.choice(len(rows), MOST, replace=False)
    found = pycolmap.estimate_absolute_pose(plane[rows[drawn]], xyz[drawn], lens, estimation)
    if found is None:
        return None
    pose = from_rt(found["cam_from_world"].rotation.matrix(), found["cam_from_world"].translation)
    seen = pose.apply(xyz)
    off = np.linalg.norm(lens.params[0] * seen[:, :2] - seen[:, 2:] * plane[rows], axis=1)
    inliers = rows[off < ransac.max_error * seen[:, 2]]
    if len(inliers) < FEWEST_INLIERS:
        return None
    if free_focal:
        f, middle = float(lens.params[0]), (np.array(camera.size) - 1) / 2
        camera = replace(camera, lens=RadialTangential(np.array([f, f, *middle, 0.0, 0.0, 0.0, 0.0])))
    return RoughPose(replace(camera, cam_from_world=pose), inliers)


def _on_plane(camera: Camera, pixels: np.ndarray, free_focal: bool) -> tuple[float, np.ndarray, np.ndarray]:
    """A focal length (px), the pixels (M, 2) of a pinhole of it about (0, 0), and which rows that can show."""
    if free_focal:
        return 1.2 * max(camera.size), pixels - (np.array(camera.size) - 1) / 2, np.arange(len(pixels))
    focal = float(camera.lens.params[:2].mean())
    rays = camera.lens.unproject(pixels)
    rows = np.flatnonzero(rays[:, 2] > FACING)
    plane = np.full((len(pixels), 2), np.nan)
    plane[rows] = focal * rays[rows, :2] / rays[rows, 2:]
    return focal, plane, rows
