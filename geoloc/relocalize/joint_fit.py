"""The poses of several images at once, tied by mounts and motion: estimate, and the covariance of all of them together.

Unknown are the pose of the body at each moment and what is open of each mount. What errors the images have in common is
carried by consider analysis (as in `pose_fit`): the map's cameras, the landmarks that several images see, and the lens
of images that share one, so that ten images of one place are not ten times as sure as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.estimators.camera_fit import MarkedPoints, error_weights, fits_of, information, linearise_fits
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior, prior_residuals
from geoloc.geometry.gaussian import symmetric
from geoloc.geometry.se3 import cross_matrix, perturb
from geoloc.relocalize.landmarks import LandmarkMap, bounded_inverse, unit_cov
from geoloc.relocalize.pose_fit import TAILS, pulls_of
from geoloc.relocalize.pose_knowledge import DOWN, Knowledge
from geoloc.relocalize.rig_motion import MotionPrior, Mount, adjoint, mount_of, relative
from geoloc.scene.camera import Camera

PLAIN_STEPS, STEPS = 4, 12
LONGEST = 0.3  # rad or m of one step, of rotations
SETTLED = 1e-9
FEWEST_JUDGED = 8  # landmarks whose middle tells how large the errors of an image are
BLOCK = 512  # landmarks
MEDIAN = 2 * float(np.log(2))  # of the squared distance of two axes under noise


@dataclass(frozen=True, eq=False)
class Sighting:
    """What one image says: its `camera` as it starts, `points` (K,) of the map at `pixels` (K, 2), `sigma` (K,) px.

    `free` are the unknowns of its lens under `prior`; `moment` and `sensor` say of which body and mount it is, and
    images of one `lens` number share what is wrong with it.
    """

    camera: Camera
    points: np.ndarray
    pixels: np.ndarray
    sigma: np.ndarray
    prior: CameraPrior
    free: tuple[str, ...]
    known: Knowledge
    moment: int
    sensor: str
    lens: int


@dataclass(frozen=True, eq=False)
class JointPoses:
    """Cameras of N images with their own `calib_cov`, and the covariance (6 N, 6 N) of all their poses."""

    cameras: tuple[Camera, ...]
    cov: np.ndarray


@dataclass(frozen=True, eq=False)
class _Linear:
    """One image linearised: information (6, 6) of its pose, gradient (6,), and what goes into the covariance."""

    info: np.ndarray
    gradient: np.ndarray
    sure: np.ndarray  # (6, 6) information under heavy tails
    pull: np.ndarray  # (K, 6, 3) gradient by each landmark's place
    lens_step: tuple[np.ndarray, np.ndarray]  # at rest (5,), and by pose (5, 6)
    scale2: float


def fit_jointly(
    landmarks: LandmarkMap, sightings: Sequence[Sighting], times: np.ndarray, mounts: Mapping[str, Mount],
    motion: MotionPrior, bodies: Sequence[RigidTransform],
) -> JointPoses:  # fmt: skip
    """The poses that all of it together wants, from `bodies` (body_from_world) at `times` (T,) s, ordered."""
    state = _State(landmarks, tuple(sightings), times, dict(mounts), motion, list(bodies))
    # a mount that is off puts all of a camera's landmarks off: trusted at first, or either camera counts as wrong
    for tails in [np.inf] * PLAIN_STEPS + [TAILS] * STEPS:
        if state.step(tails) < SETTLED and tails == TAILS:
            break
    return state.result()


class _State:
    """Bodies, mounts and lenses as they are improved."""

    def __init__(
        self, landmarks: LandmarkMap, sightings: tuple[Sighting, ...], times: np.ndarray, mounts: dict[str, Mount],
        motion: MotionPrior, bodies: list[RigidTransform],
    ) -> None:  # fmt: skip
        self.landmarks, self.sightings, self.times, self.motion, self.bodies = (
            landmarks, sightings, times, motion, bodies,
        )  # fmt: skip
        self.given = mounts
        self.mounts = {each.sensor: mount_of(mounts, each.sensor).cam_from_body for each in sightings}
        self.open = [name for name in self.mounts if not mount_of(mounts, name).is_exact]
        self.n = 6 * (len(bodies) + len(self.open))
        self.lenses = [each.camera.lens for each in sightings]

    def camera(self, i: int) -> Camera:
        """The camera of one image as it is now."""
        one = self.sightings[i]
        pose = self.mounts[one.sensor] * self.bodies[one.moment]
        return replace(one.camera, lens=self.lenses[i], cam_from_world=pose, freed=(), calib_cov=np.zeros((6, 6)))

    def places(self, i: int) -> np.ndarray:
        """Derivative (6, n) of an image's pose by all unknowns."""
        one = self.sightings[i]
        out = np.zeros((6, self.n))
        out[:, 6 * one.moment : 6 * one.moment + 6] = adjoint(self.mounts[one.sensor])
        if one.sensor in self.open:
            first = 6 * (len(self.bodies) + self.open.index(one.sensor))
            out[:, first : first + 6] = np.eye(6)
        return out

    def ties(self) -> tuple[np.ndarray, np.ndarray]:
        """Information (n, n) and gradient (n,) of motion and mounts."""
        info, gradient = np.zeros((self.n, self.n)), np.zeros(self.n)
        for i in range(len(self.bodies) - 1):
            xi, by_from, by_to = relative(self.bodies[i], self.bodies[i + 1])
            weight = np.linalg.inv(self.motion.cov(float(self.times[i + 1] - self.times[i])))
            rows, jacobian = slice(6 * i, 6 * i + 12), np.hstack([by_from, by_to])
            info[rows, rows] += jacobian.T @ weight @ jacobian
            gradient[rows] += jacobian.T @ weight @ xi
        for k, name in enumerate(self.open):
            rows = slice(6 * (len(self.bodies) + k), 6 * (len(self.bodies) + k) + 6)
            weight = bounded_inverse(self.given[name].cov)
            off = (self.mounts[name] * self.given[name].cam_from_body.inv()).as_exp_coords()
            info[rows, rows] += weight
            gradient[rows] += weight @ off
        return info, gradient

    def step(self, tails: float) -> float:
        """One step of Gauss and Newton; how long it was."""
        info, gradient = self.ties()
        linear = [_linearise(self.landmarks, one, self.camera(i), tails) for i, one in enumerate(self.sightings)]
        for i, each in enumerate(linear):
            place = self.places(i)
            info += place.T @ each.info @ place
            gradient += place.T @ each.gradient
        size = np.sqrt(np.maximum(np.diag(info), 1e-300))
        step = -np.linalg.lstsq(info / np.outer(size, size), gradient / size, rcond=1e-13)[0] / size
        turns = np.abs(step.reshape(-1, 6)[:, :3]).max(initial=0.0)
        step *= min(1.0, LONGEST / max(turns, 1e-12))
        for i, each in enumerate(linear):
            rest, by_pose = each.lens_step
            self.lenses[i] = _moved(self.lenses[i], rest - by_pose @ (self.places(i) @ step))
        for t in range(len(self.bodies)):
            self.bodies[t] = perturb(self.bodies[t], step[6 * t : 6 * t + 6])
        for k, name in enumerate(self.open):
            first = 6 * (len(self.bodies) + k)
            self.mounts[name] = perturb(self.mounts[name], step[first : first + 6])
        return float(np.abs(step).max(initial=0.0))

    def result(self) -> JointPoses:
        """The cameras with the covariance of all their poses."""
        cameras = [self.camera(i) for i in range(len(self.sightings))]
        linear = [_linearise(self.landmarks, one, cameras[i], TAILS) for i, one in enumerate(self.sightings)]
        places = [self.places(i) for i in range(len(cameras))]
        info = self.ties()[0] + sum(place.T @ each.sure @ place for place, each in zip(places, linear, strict=True))
        cov = bounded_inverse(info)
        cov = symmetric(cov + cov @ self._shared(cameras, linear, places) @ cov)
        stacked = np.concatenate(places)
        whole = symmetric(stacked @ cov @ stacked.T)
        out = [
            replace(camera, calib_cov=whole[6 * i : 6 * i + 6, 6 * i : 6 * i + 6]) for i, camera in enumerate(cameras)
        ]
        return JointPoses(tuple(out), whole)

    def _shared(self, cameras: list[Camera], linear: list[_Linear], places: list[np.ndarray]) -> np.ndarray:
        """Covariance (n, n) of the gradient that errors common to several images make."""
        landmarks, shared2 = self.landmarks, self.landmarks.noise.shared**2
        total = self._of_points(linear, places)
        by_image: dict[int, np.ndarray] = {}
        by_lens: dict[int, np.ndarray] = {}
        for one, camera, each, place in zip(self.sightings, cameras, linear, places, strict=True):
            images, pulls = pulls_of(landmarks, one.points, each.pull)
            for image, pull in zip(images, pulls, strict=True):
                by_image[image] = by_image.get(image, 0.0) + place.T @ pull
            if len(one.points):
                root = _root(each.scale2 * shared2 * unit_cov(camera, landmarks.points[one.points]))
                by_lens[one.lens] = by_lens.get(one.lens, 0.0) + place.T @ each.sure @ root
        scale2 = float(np.median([each.scale2 for each in linear])) if linear else 1.0
        for image, pull in by_image.items():
            open_ = landmarks.cameras[image].calib_cov + scale2 * shared2 * landmarks.unit_cov(image)
            total += pull @ open_ @ pull.T
        for pull in by_lens.values():
            total += pull @ pull.T
        return total

    def _of_points(self, linear: list[_Linear], places: list[np.ndarray]) -> np.ndarray:
        """Covariance (n, n) of the gradient by landmarks that several images see, less what each image has counted."""
        landmarks, total = self.landmarks, np.zeros((self.n, self.n))
        every = np.concatenate([one.points for one in self.sightings] or [np.zeros(0, int)])
        names, counts = np.unique(every, return_counts=True)
        names = names[counts > 1]
        for first in range(0, len(names), BLOCK):
            some = names[first : first + BLOCK]
            roots = np.array([_root(cov) for cov in landmarks.point_cov[some]])
            stack = np.zeros((len(some), 3, self.n))
            for one, each, place in zip(self.sightings, linear, places, strict=True):
                rows = np.flatnonzero(np.isin(one.points, some))
                at = np.searchsorted(some, one.points[rows])
                own = (each.pull[rows] @ roots[at]).swapaxes(1, 2) @ place  # (R, 3, n)
                stack[at] += own
                flat = own.reshape(-1, self.n)
                total -= flat.T @ flat
            flat = stack.reshape(-1, self.n)
            total += flat.T @ flat
        return total


def _linearise(landmarks: LandmarkMap, one: Sighting, camera: Camera, tails: float) -> _Linear:
    if not len(one.points):
        return _unseen(one, camera)
    marked = MarkedPoints(landmarks.points[one.points], one.pixels, one.sigma, landmarks.point_cov[one.points])
    fits = fits_of(camera.lens, [camera.cam_from_world], marked)
    fits = replace(fits, free=np.isin(UNKNOWNS, one.free)[None], tails=np.array([tails]))
    linear = linearise_fits(fits, marked, one.known.prior(one.prior))
    judged = len(marked) >= FEWEST_JUDGED and np.isfinite(tails)
    scale2 = excess(linear.distance2[0]) if judged else 1.0
    weight = np.linalg.inv(linear.cov[0]) * (error_weights(linear.distance2, fits)[0] / scale2)[:, None, None]
    jacobian = linear.jacobian[0]
    weighed = jacobian.swapaxes(1, 2) @ weight
    known = linear.prior_jacobian[0].T @ linear.prior_jacobian[0]
    info = (weighed @ jacobian).sum(axis=0) + known
    residual = np.nan_to_num(linear.residual[0])
    gradient = np.einsum("nab,nb->a", weighed, residual) + linear.prior_jacobian[0].T @ linear.prior[0]
    marks, _ = information(fits, linear)
    sure = marks[0] / scale2 + known
    if np.isfinite(one.known.down_sigma):
        down_info, down_gradient = _down(camera, one.known)
        info[:3, :3] += down_info
        sure[:3, :3] += down_info
        gradient[:3] += down_gradient
    free = 6 + np.flatnonzero(fits.free[0])
    rest, by_pose = np.zeros(5), np.zeros((5, 6))
    _, by_world, _ = camera.jacobians(marked.points)
    pull = weighed @ np.nan_to_num(by_world)
    if not len(free):
        return _Linear(info[:6, :6], gradient[:6], sure[:6, :6], pull[:, :6], (rest, by_pose), scale2)
    gain = np.linalg.solve(info[np.ix_(free, free)], info[free, :6])  # the lens gives way to the pose
    rest[free - 6], by_pose[free - 6] = -np.linalg.solve(info[np.ix_(free, free)], gradient[free]), gain
    sure_gain = np.linalg.solve(sure[np.ix_(free, free)], sure[free, :6])
    return _Linear(
        info[:6, :6] - info[:6, free] @ gain, gradient[:6] - gain.T @ gradient[free],
        sure[:6, :6] - sure[:6, free] @ sure_gain, pull[:, :6] - gain.T @ pull[:, free], (rest, by_pose), scale2,
    )  # fmt: skip


def excess(distance2: np.ndarray) -> float:
    """How much larger squared distances (N,) of two axes are than noise would make them, by their median; at least 1.

    Seen from farther off than the map's images, or in another light, features lie worse than the map's own residuals
    tell.
    """
    return max(float(np.median(distance2)) / MEDIAN, 1.0) if len(distance2) else 1.0


def _unseen(one: Sighting, camera: Camera) -> _Linear:
    """An image without landmarks: what is known of it besides."""
    pose = camera.cam_from_world
    rotation, params, free = pose.rotation.as_matrix()[None], camera.lens.params[None], np.zeros((1, 5), bool)
    residual, jacobian = prior_residuals(one.known.prior(one.prior), params, free, rotation, camera.centre_world[None])
    rows = jacobian[0, :, :6]
    info, gradient = rows.T @ rows, rows.T @ residual[0]
    if np.isfinite(one.known.down_sigma):
        down_info, down_gradient = _down(camera, one.known)
        info[:3, :3] += down_info
        gradient[:3] += down_gradient
    return _Linear(info, gradient, info, np.zeros((0, 6, 3)), (np.zeros(5), np.zeros((5, 6))), 1.0)


def _down(camera: Camera, known: Knowledge) -> tuple[np.ndarray, np.ndarray]:
    """Information (3, 3) and gradient (3,) of a turn by what is known of down."""
    seen = np.array(known.down) / np.linalg.norm(known.down)
    expected = camera.cam_from_world.rotation.apply(DOWN)
    jacobian = -cross_matrix(expected) / known.down_sigma
    return jacobian.T @ jacobian, jacobian.T @ (expected - seen) / known.down_sigma


def _moved(lens, step: np.ndarray):  # type: ignore[no-untyped-def]
    """A lens after a step (5,) of `UNKNOWNS`."""
    if not step.any():
        return lens
    params = lens.params.copy()
    params[:2] *= np.exp(np.clip(step[0] / params[:2].mean(), -1.0, 1.0))
    reach = min(len(params), 6)
    params[2:reach] += step[1 : reach - 1]
    return type(lens)(params)


def _root(cov: np.ndarray) -> np.ndarray:
    """A matrix whose product with its transpose is `cov`."""
    values, vectors = np.linalg.eigh(cov)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
