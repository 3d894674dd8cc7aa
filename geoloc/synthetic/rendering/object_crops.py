"""Crops of the cars and people that pictures show, each with who it is: what embedders are measured and taught with.

    for seen in garage_crops(scene, cameras, rng):
        vectors = embed(cut_crops(seen.picture, seen.box))      # of seen.object, each a look of the scene
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.synthetic.rendering.casting import View, cast_image
from geoloc.synthetic.rendering.faces import take
from geoloc.synthetic.rendering.garage_sets import DaySetOptions, any_day, weather
from geoloc.synthetic.rendering.moment import Moment, MomentOptions, draw_moment, turned_to
from geoloc.synthetic.rendering.picture import camera_rays, take_picture
from geoloc.synthetic.rendering.scene import Scene

FIRST_PERSON = 100_000  # numbers of people's looks start here, of cars' at 0
DAY_S = 86_400.0


@dataclass(frozen=True)
class CropSetOptions:
    """Which objects are shown when."""

    n_moments: int = 8  # an hour of some day each, with other light; nobody keeps a stall
    cars: tuple[int, int] = (0, 60)  # looks of cars that come, from the first up to the last but one
    parked: int = 40  # cars in stalls at each moment, all different
    n_people: int = 12
    size: tuple[int, int] = (1280, 720)  # px, of the pictures
    min_height_px: float = 32.0  # of a box
    min_visible: float = 0.35  # share of an object's own pixels that are seen

    def __post_init__(self) -> None:
        check_range(self, n_moments=(1, 10_000), parked=(0, 100_000), n_people=(0, 10_000))
        check_range(self, min_height_px=(1, 10_000), min_visible=(0, 1))


@dataclass(frozen=True, eq=False)
class SeenObjects:
    """N objects that one picture (H, W, 3) uint8 BGR shows.

    `box` (N, 4) px about what is seen | `object` (N,) the look, a car's number or `FIRST_PERSON` + a person's | `track`
    (N,) of this object at this moment, the same in all cameras | `xyz` (N, 3) m of its foot | `visible` (N,) share of
    its own pixels, those outside of the picture too, that are seen.
    """

    camera: str
    time: float
    picture: np.ndarray
    box: np.ndarray
    object: np.ndarray
    track: np.ndarray
    xyz: np.ndarray
    visible: np.ndarray

    @property
    def label(self) -> np.ndarray:
        """What each is: (N,) str."""
        return np.where(self.object < FIRST_PERSON, "car", "person")


def garage_crops(
    scene: Scene, cameras: Sequence[Camera], rng: np.random.Generator, options: CropSetOptions | None = None
) -> Iterator[SeenObjects]:
    """What the cameras show of the objects at each moment; no look is there twice at one moment."""
    options = options or CropSetOptions()
    for number in range(options.n_moments):
        drawn = replace(any_day(rng, (7.0, 21.0), 1.0), n_people=min(options.n_people, len(scene.people)))
        moment = _moment(scene, rng, drawn, options)
        start = number * DAY_S + 3600.0 * drawn.hour
        for camera in cameras:
            picture = take_picture(moment, camera, rng, weather(rng, DaySetOptions(size=options.size, rainy=0.0)))
            seen = seen_objects(moment, camera)
            tall = seen.box[:, 3] - seen.box[:, 1] + 1 >= options.min_height_px
            rows = np.flatnonzero(tall & (seen.visible >= options.min_visible))
            track = number * 1_000_000 + seen.object[rows]
            columns = (seen.box, seen.object)
            box, looks = (column[rows] for column in columns)
            yield SeenObjects(camera.name, start, picture, box, looks, track, seen.xyz[rows], seen.visible[rows])


def _moment(scene: Scene, rng: np.random.Generator, drawn: MomentOptions, options: CropSetOptions) -> Moment:
    """A moment at which every look is there once at most."""
    n_stalls = len(scene.site_map.stalls)
    first, last = options.cars[0], min(options.cars[1], len(scene.cars))
    n = min(options.parked, n_stalls, last - first)
    stall_car = np.full(n_stalls, -1)
    stall_car[rng.permutation(n_stalls)[:n]] = first + rng.permutation(last - first)[:n]
    moment = draw_moment(scene, rng, drawn, stall_car=stall_car)
    people = moment.people.copy()
    people[:, 3] = rng.permutation(len(scene.people))[: len(people)]
    return replace(moment, people=people)


@dataclass(frozen=True, eq=False)
class _Things:
    """The things of a moment.

    `of_face` (F,) is the thing that each face is of, -1 for the site's; of each thing its `look` (T,) and the `xyz`
    (T, 3) m of its foot.
    """

    of_face: np.ndarray
    look: np.ndarray
    xyz: np.ndarray


def _things(moment: Moment) -> _Things:
    scene = moment.scene
    cars = moment.stall_car[moment.stall_car >= 0]
    n_faces = np.array([len(scene.cars[car]) for car in cars.tolist()], int)
    of_face = np.full(len(moment.faces), -1)
    first, n_people = len(scene.faces), len(moment.people)
    of_face[first : first + n_faces.sum()] = np.repeat(np.arange(len(cars)), n_faces)
    of_face[len(of_face) - n_people :] = len(cars) + np.arange(n_people)
    faces = moment.faces
    below = np.stack([faces.corner, faces.corner + faces.down])[..., 2].min(axis=0)
    parts = [of_face == k for k in range(len(cars))]
    xyz = np.array([(*faces.centre[mine].mean(axis=0)[:2], below[mine].min()) for mine in parts]).reshape(-1, 3)
    looks = np.concatenate([cars, FIRST_PERSON + moment.people[:, 3].astype(int)])
    return _Things(of_face, looks, np.concatenate([xyz, moment.people[:, :3]]))


def seen_objects(moment: Moment, camera: Camera) -> SeenObjects:
    """All cars and people of which a camera sees anything, without a picture of them."""
    things, rays = _things(moment), camera_rays(camera)
    faces = turned_to(moment, camera.centre_world)
    view = View.of(faces, camera.centre_world)
    first, _ = cast_image(view, moment.scene.atlas, rays)
    owner = things.of_face[view.rows]
    thing = np.where(first >= 0, owner[first], -1)
    count = np.bincount(thing[thing >= 0], minlength=len(things.look))
    there = np.flatnonzero(count)
    box = _boxes(thing, there, len(things.look))
    visible = np.empty(len(there))
    for row, k in enumerate(there.tolist()):
        mine = np.flatnonzero(owner == k)
        alone = View(take(view.faces, mine), view.rows[mine], view.forms[mine], view.centre)
        visible[row] = count[k] / max(_own_pixels(alone, moment, camera, rays), count[k])
    track, xyz = things.look[there], things.xyz[there]
    return SeenObjects(camera.name, 0.0, np.zeros((0, 0, 3), np.uint8), box, track, track, xyz, visible)


def _boxes(thing: np.ndarray, there: np.ndarray, n: int) -> np.ndarray:
    """Edges (M, 4) px, left, top, right, bottom, of the pixels (H, W) that show the things `there` (M,)."""
    rows, columns = np.nonzero(thing >= 0)
    which, box = thing[rows, columns], np.empty((n, 4))
    box[:, :2], box[:, 2:] = np.inf, -np.inf
    for axis, places in enumerate((columns, rows)):
        np.minimum.at(box[:, axis], which, places - 0.5)
        np.maximum.at(box[:, axis + 2], which, places + 0.5)
    return box[there]


def _own_pixels(alone: View, moment: Moment, camera: Camera, rays: np.ndarray) -> float:
    """How many pixels a thing would have if nothing hid it and the picture went on."""
    faces = alone.faces
    corners = np.concatenate([faces.corner + a * faces.right + b * faces.down for a in (0, 1) for b in (0, 1)])
    pixels = camera.project(corners)
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if not len(pixels):
        return 0.0
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    edge = np.array(camera.size) - 0.5
    inside = np.minimum(high, edge) - np.maximum(low, -0.5)
    share = float(np.prod(np.maximum(inside, 0.0) / np.maximum(high - low, 1e-6)))
    x0, y0 = np.floor(np.maximum(low, 0)).astype(int)
    x1, y1 = np.ceil(np.minimum(high, edge)).astype(int) + 2
    window = rays[:, y0:y1, x0:x1]
    if min(window.shape[1:]) < 2 or share <= 0:
        return 0.0
    first, _ = cast_image(alone, moment.scene.atlas, window)
    return float((first >= 0).sum()) / share
