"""A scene at one moment: who has parked where, who walks by, which lamps are on, how high the sun stands."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.options import check_range
from geoloc.scene.sitemap import Place
from geoloc.synthetic.rendering.faces import Faces, take
from geoloc.synthetic.rendering.figures import PERSON
from geoloc.synthetic.rendering.lighting import Light, light_up
from geoloc.synthetic.rendering.scene import Scene


@dataclass(frozen=True)
class MomentOptions:
    """What a scene is like at one moment."""

    hour: float = 11.0  # h of solar time, 0 to 24
    clouds: float = 0.3  # 0 clear to 1 overcast, without shadows
    lamps_off: float = 0.05  # share of the lamps that do not shine
    parked: float = 0.6  # share of the stalls that are taken
    exchanged: float = 1.0  # share of the stalls that are drawn anew, of a moment before this one
    n_people: int = 6  # on all levels together

    def __post_init__(self) -> None:
        check_range(self, hour=(0, 24), clouds=(0, 1), lamps_off=(0, 1), parked=(0, 1), exchanged=(0, 1))
        check_range(self, n_people=(0, 10_000))


@dataclass(frozen=True, eq=False)
class Moment:
    """A scene with cars in its stalls: `stall_car` (stalls,) is the look of each, -1 for none."""

    scene: Scene
    options: MomentOptions
    stall_car: np.ndarray
    people: np.ndarray  # (N, 4): x, y, z m, and the look
    faces: Faces
    light: Light


def draw_moment(
    scene: Scene,
    rng: np.random.Generator,
    options: MomentOptions | None = None,
    before: Moment | None = None,
    stall_car: np.ndarray | None = None,
) -> Moment:
    """A moment drawn by `rng`; of the cars of the moment `before`, those stay whose stalls are not drawn anew.

    With `stall_car` (stalls,), the look of the car in each stall, -1 for none, cars stand as it says.
    """
    options = options or MomentOptions()
    stalls = scene.site_map.stalls
    taken = rng.random(len(stalls)) < options.parked
    cars = np.where(taken, rng.integers(0, len(scene.cars), len(stalls)), -1)
    if before is not None:
        cars = np.where(rng.random(len(stalls)) < options.exchanged, cars, before.stall_car)
    if stall_car is not None:
        cars = np.asarray(stall_car)
    # where a driver stopped is a matter of stall and car, so that a car that stays stays where it is
    parked = [
        (car, _place(scene, stall, int(car), number))
        for number, (stall, car) in enumerate(zip(stalls, cars.tolist(), strict=True))
        if car >= 0
    ]
    lit = rng.random(len(scene.lamps)) >= options.lamps_off
    people = _people(scene, rng, options.n_people)
    moved = [scene.cars[car].moved(_pose(place)) for car, place in parked]
    faces = Faces.concat([scene.faces, *moved, _people_faces(scene, people, np.array([0.0, -1e6]))])
    places = np.array([place for _, place in parked]).reshape(-1, 5)
    light = light_up(scene, faces, places, options.hour, options.clouds, lit)
    return Moment(scene, options, cars, people, faces, light)


def _place(scene: Scene, stall: Place, car: int, number: int) -> np.ndarray:
    """Where a car stands in a stall (5,): x, y, z m, heading, length."""
    rng = np.random.default_rng([number, car])
    x0, y0, x1, y1 = stall.polygon.bounds
    along_x = x1 - x0 > y1 - y0
    heading = (0.0 if along_x else np.pi / 2) + (np.pi if rng.random() < 0.7 else 0.0)
    spot = np.array([x0 + x1, y0 + y1]) / 2 + rng.normal(0, 0.1, 2)
    level = scene.site_map.level(stall.level)
    length = float(np.ptp(scene.cars[car].corner[:, 0]))
    return np.array([*spot, float(level.z_extended(spot[None])[0]), heading + rng.normal(0, 0.02), length])


def _pose(place: np.ndarray) -> RigidTransform:
    return RigidTransform.from_components(place[:3], Rotation.from_rotvec([0.0, 0.0, place[3]]))


def _people(scene: Scene, rng: np.random.Generator, n: int) -> np.ndarray:
    """People (N, 4) in the lanes and on the walkways, or anywhere where there are none."""
    zones = [z for z in scene.site_map.zones if z.kind in ("lane", "walkway", "area")]
    rows = []
    for _ in range(n if zones else 0):
        zone = zones[int(rng.integers(len(zones)))]
        x0, y0, x1, y1 = zone.polygon.bounds
        spot = rng.uniform([x0, y0], [x1, y1])
        z = float(scene.site_map.level(zone.level).z_at(spot[None])[0])
        rows.append([*spot, z, float(rng.integers(len(scene.people)))])
    people = np.array(rows).reshape(-1, 4)
    return people[np.isfinite(people[:, 2])]  # a zone may reach past its floor


def turned_to(moment: Moment, centre: np.ndarray) -> Faces:
    """The moment's faces, with its people turned to a camera at `centre` (3,) m."""
    if not len(moment.people):
        return moment.faces
    rest = take(moment.faces, np.arange(len(moment.faces) - len(moment.people)))
    return Faces.concat([rest, _people_faces(moment.scene, moment.people, centre[:2])])


def _people_faces(scene: Scene, people: np.ndarray, viewer: np.ndarray) -> Faces:
    n = len(people)
    away = people[:, :2] - viewer
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    right = np.column_stack([away[:, 1], -away[:, 0], np.zeros(n)]) * PERSON[0]
    patches = [scene.people[int(k)] for k in people[:, 3]]
    return Faces(
        corner=people[:, :3] + [0.0, 0.0, PERSON[1]] - right / 2,
        right=right,
        down=np.tile([0.0, 0.0, -PERSON[1]], (n, 1)),
        patch=np.array([(p.x, p.y, p.width, p.height) for p in patches]).reshape(-1, 4),
        mask=np.array([p.mask for p in patches], int),
        rough=np.zeros(n),
        lamp=np.full(n, -1),
        cells=np.full((n, 2), 2),
    )
