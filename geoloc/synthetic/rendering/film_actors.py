"""Who plays in a film: the cars and people of a truth, as faces of the size that the truth says."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.synthetic.rendering.atlas import Patch
from geoloc.synthetic.rendering.faces import Faces
from geoloc.synthetic.rendering.figures import PERSON
from geoloc.synthetic.rendering.scene import Scene
from geoloc.synthetic.truth import Truth

STILL_M = 0.005  # of way in a film: a car that goes less is part of the scenery


@dataclass(frozen=True, eq=False)
class Actor:
    """Somebody in a film: a car's faces about the middle of its footprint, or a person's picture; size (3,) m."""

    number: int
    size: np.ndarray
    car: Faces | None
    person: Patch | None


@dataclass(frozen=True, eq=False)
class Pose:
    """Where an actor is at one time: xyz (3,) m of the middle of its footprint, heading, speed (m/s)."""

    xyz: np.ndarray
    heading: float
    speed: float

    @property
    def place(self) -> RigidTransform:
        """The actor's place in the world."""
        return RigidTransform.from_components(self.xyz, Rotation.from_rotvec([0.0, 0.0, self.heading]))


def cast_actors(scene: Scene, truth: Truth) -> dict[int, Actor]:
    """An actor for each object of a truth: of cars the look that is most like it in size, stretched to it."""
    sizes = np.array([np.ptp(_corners(car), axis=0) for car in scene.cars])
    actors = {}
    for number in np.unique(truth.object).tolist():
        row = int(np.flatnonzero(truth.object == number)[0])
        size = truth.size[row]
        if truth.label[row] == "person":
            actors[number] = Actor(number, size, None, scene.people[number % len(scene.people)])
            continue
        unlike = np.abs(np.log(sizes / size)).max(axis=1)
        # colours go by number among the looks that fit as well as any
        alike = np.flatnonzero(unlike <= unlike.min() + 0.05)
        look = int(alike[number % len(alike)])
        actors[number] = Actor(number, size, stretched(scene.cars[look], size / sizes[look]), None)
    return actors


def stretched(faces: Faces, scale: np.ndarray) -> Faces:
    """Faces about the origin, `scale` (3,) times as long, wide and high."""
    return replace(faces, corner=faces.corner * scale, right=faces.right * scale, down=faces.down * scale)


def person_faces(actors: list[Actor], poses: list[Pose], viewer: np.ndarray) -> Faces:
    """People as pictures that are turned to a `viewer` (2,) m, as high as they are."""
    xyz = np.array([pose.xyz for pose in poses])
    scale = np.array([actor.size[2] for actor in actors]) / PERSON[1]
    away = xyz[:, :2] - viewer
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    right = np.column_stack([away[:, 1], -away[:, 0], np.zeros(len(xyz))]) * (PERSON[0] * scale)[:, None]
    up = np.outer(PERSON[1] * scale, [0.0, 0.0, 1.0])
    patches = [actor.person for actor in actors if actor.person is not None]
    return Faces(
        corner=xyz + up - right / 2,
        right=right,
        down=-up,
        patch=np.array([(p.x, p.y, p.width, p.height) for p in patches], float).reshape(-1, 4),
        mask=np.array([p.mask for p in patches], int),
        rough=np.zeros(len(xyz)),
        lamp=np.full(len(xyz), -1),
        cells=np.full((len(xyz), 2), 2),
    )


def poses_at(truth: Truth) -> dict[int, Pose]:
    """Where the objects of one time's rows are."""
    speed = np.linalg.norm(truth.velocity, axis=1)
    return {
        int(number): Pose(truth.xyz[row], float(truth.heading[row]), float(speed[row]))
        for row, number in enumerate(truth.object.tolist())
    }


def standing(truth: Truth) -> dict[int, Pose]:
    """The cars that stand at one place through all the times of a truth."""
    n_times, found = len(np.unique(truth.time)), {}
    for number in np.unique(truth.object[truth.label != "person"]).tolist():
        rows = np.flatnonzero(truth.object == number)
        if len(rows) == n_times and np.ptp(truth.xyz[rows], axis=0).max() < STILL_M:
            found[number] = poses_at(truth.take(rows[:1]))[number]
    return found


def _corners(faces: Faces) -> np.ndarray:
    return np.concatenate([faces.corner + a * faces.right + b * faces.down for a in (0, 1) for b in (0, 1)])
