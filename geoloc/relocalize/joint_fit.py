"""The poses of several images at once, tied by mounts and motion: estimate, and the covariance of all of them together.

Unknown are the pose of the body at each moment and what is open of each mount. What errors the images have in common is
carried by consider analysis (as in `pose_fit`): the map's cameras, the landmarks that several images see, and the lens
of images that share one, so that ten images of one place are not ten times as sure as one. What errors the pieces of
one image have in common is taken as in a fit of one (`common_errors`), as far as the other images leave it open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.geometry.gaussian import symmetric
from geoloc.geometry.se3 import perturb
from geoloc.relocalize.landmarks import LandmarkMap, bounded_inverse, unit_cov
from geoloc.relocalize.pose_fit import TAILS, pulls_of
from geoloc.relocalize.rig_motion import MotionPrior, Mount, adjoint, mount_of, relative
from geoloc.relocalize.sighting import Sighting, Spoken, linearise, with_common
from geoloc.scene.camera import Camera

PLAIN_STEPS, STEPS = 4, 12
LONGEST = 0.3  # rad or m of one step, of rotations
SETTLED = 1e-9
BLOCK = 512  # landmarks
SLIVER = 1e-9  # of what an image says, which stays where nothing else says anything


@dataclass(frozen=True, eq=False)
class JointPoses:
    """Cameras of N images with their own `calib_cov`, and the covariance (6 N, 6 N) of all their poses."""

    cameras: tuple[Camera, ...]
    cov: np.ndarray


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
        linear = [linearise(self.landmarks, one, self.camera(i), tails) for i, one in enumerate(self.sightings)]
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
        self.move(step)
        return float(np.abs(step).max(initial=0.0))

    def move(self, step: np.ndarray) -> None:
        """Bodies and open mounts moved by a step (n,)."""
        for t in range(len(self.bodies)):
            self.bodies[t] = perturb(self.bodies[t], step[6 * t : 6 * t + 6])
        for k, name in enumerate(self.open):
            first = 6 * (len(self.bodies) + k)
            self.mounts[name] = perturb(self.mounts[name], step[first : first + 6])

    def result(self) -> JointPoses:
        """The cameras with the covariance of all their poses."""
        cameras = [self.camera(i) for i in range(len(self.sightings))]
        places = [self.places(i) for i in range(len(cameras))]
        linear = self._with_common(cameras, places)
        info, gradient = self.ties()
        for place, each in zip(places, linear, strict=True):
            info += place.T @ each.sure @ place
            gradient += place.T @ each.gradient
        cov = bounded_inverse(info)
        shared = self._shared(cameras, linear, places)
        self.move(-cov @ gradient)
        cameras = [self.camera(i) for i in range(len(self.sightings))]
        cov = symmetric(cov + cov @ shared @ cov)
        stacked = np.concatenate(places)
        whole = symmetric(stacked @ cov @ stacked.T)
        out = [
            replace(camera, calib_cov=whole[6 * i : 6 * i + 6, 6 * i : 6 * i + 6]) for i, camera in enumerate(cameras)
        ]
        return JointPoses(tuple(out), whole)

    def _with_common(self, cameras: list[Camera], places: list[np.ndarray]) -> list[Spoken]:
        """What each image says when its errors have things in common, as far as the others leave it to it."""
        plain = [linearise(self.landmarks, one, cameras[i], TAILS) for i, one in enumerate(self.sightings)]
        whole = self.ties()[0] + sum(place.T @ each.sure @ place for place, each in zip(places, plain, strict=True))
        out = []
        for one, camera, place, each in zip(self.sightings, cameras, places, plain, strict=True):
            others = bounded_inverse(whole - (1 - SLIVER) * place.T @ each.sure @ place)
            rest = bounded_inverse(place @ others @ place.T)
            out.append(with_common(self.landmarks, one, camera, TAILS, rest))
        return out

    def _shared(self, cameras: list[Camera], linear: list[Spoken], places: list[np.ndarray]) -> np.ndarray:
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

    def _of_points(self, linear: list[Spoken], places: list[np.ndarray]) -> np.ndarray:
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
