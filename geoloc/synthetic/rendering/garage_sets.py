"""Sets of pictures of a world: what a site is mapped from, what is asked of the map, and cameras through a day.

Each is drawn while it is asked for, a picture after another, and each picture's truth comes with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.synthetic.rendering.moment import Moment, MomentOptions, draw_moment
from geoloc.synthetic.rendering.picture import take_picture
from geoloc.synthetic.rendering.picture_sets import TruePicture
from geoloc.synthetic.rendering.scene import Scene
from geoloc.synthetic.rendering.sensor import PictureOptions
from geoloc.synthetic.rendering.viewpoints import (
    PhoneOptions,
    Viewpoint,
    WalkOptions,
    fixed_viewpoints,
    moved,
    phone_viewpoints,
    walk_viewpoints,
)
from geoloc.synthetic.world import World

MOTIONS = ("none", "rotation", "zoom", "translation")


@dataclass(frozen=True)
class MappingSetOptions:
    """Pictures from which a site is mapped, and those that are asked of its map on other days."""

    levels: tuple[str, ...] = ()  # none: all that have lanes or walkways
    walk: WalkOptions = field(default_factory=WalkOptions)
    phone: PhoneOptions = field(default_factory=PhoneOptions)
    n_queries: int = 100
    n_moments: int = 4  # other times of day at which the queries are taken
    exchanged: float = 0.8  # share of the stalls whose cars came or went since the map was made

    def __post_init__(self) -> None:
        check_range(self, n_queries=(0, 100_000), n_moments=(1, 1000), exchanged=(0, 1))


@dataclass(frozen=True)
class DaySetOptions:
    """Pictures of fixed cameras through days on which they are moved a little, or not."""

    size: tuple[int, int] = (1920, 1080)  # px
    n_trials: int = 24  # of each camera, in turn with each of MOTIONS
    rotation: tuple[float, float] = (1e-4, 2e-2)  # rad, drawn evenly in its logarithm
    zoom: tuple[float, float] = (5e-4, 2e-2)  # of the focal length, either way
    translation: tuple[float, float] = (0.01, 0.15)  # m
    hours: tuple[float, float] = (6.0, 23.5)
    exchanged: float = 0.8  # share of the stalls whose cars came or went since the reference
    covered: float = 0.0  # share of each picture behind something close
    rainy: float = 0.25  # share of the pictures that are taken through drops

    def __post_init__(self) -> None:
        check_range(self, n_trials=(0, 100_000), exchanged=(0, 1), covered=(0, 1), rainy=(0, 1))


def mapping_pictures(
    world: World, scene: Scene, rng: np.random.Generator, options: MappingSetOptions | None = None
) -> Iterator[TruePicture]:
    """Pictures of kind "walk" at one time, then of kind "phone" at others, with other cars and other light."""
    options = options or MappingSetOptions()
    first = draw_moment(scene, rng, MomentOptions(hour=10.0, clouds=0.5))
    for view in walk_viewpoints(world, rng, options.levels, options.walk):
        yield _taken(first, view, rng, PictureOptions(), 0)
    levels = options.levels or tuple(sorted({z.level for z in world.site.site_map.zones if z.kind == "lane"}))
    views = phone_viewpoints(world.site.site_map, rng, options.n_queries, levels, options.phone)
    for number in range(options.n_moments):
        moment = draw_moment(scene, rng, any_day(rng, (7.0, 21.0), options.exchanged), first)
        for view in views[number :: options.n_moments]:
            sensor = PictureOptions(exposure=rng.normal(0, 0.3), vibration_px=rng.uniform(0, 1.5))
            yield _taken(moment, view, rng, sensor, number + 1)


def day_pictures(
    world: World, scene: Scene, rng: np.random.Generator, names: Sequence[str], options: DaySetOptions | None = None
) -> Iterator[TruePicture]:
    """Of each camera of `names` one picture of kind "reference", then trials: their kind is their motion.

    A trial's camera is the true one, moved; the reference's is as it was calibrated.
    """
    options = options or DaySetOptions()
    first = draw_moment(scene, rng, MomentOptions(hour=11.0, clouds=0.5))
    views = [view for view in fixed_viewpoints(world, options.size) if view.camera.name in names]
    for view in views:
        yield replace(_taken(first, view, rng, PictureOptions(), 0), kind="reference")
    for trial in range(options.n_trials):
        moment = draw_moment(scene, rng, any_day(rng, options.hours, options.exchanged), first)
        for number, view in enumerate(views):
            kind = MOTIONS[(trial + number) % len(MOTIONS)]
            camera = replace(_moved(view.camera, kind, rng, options), name=f"{view.camera.name}--{trial:03d}")
            picture = _taken(moment, Viewpoint(camera, view.level, kind), rng, weather(rng, options), trial + 1)
            yield replace(picture, kind=kind)


def _moved(camera: Camera, kind: str, rng: np.random.Generator, options: DaySetOptions) -> Camera:
    xi = np.zeros(6)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    if kind == "rotation":
        xi[:3] = _between(rng, options.rotation) * axis
    elif kind == "translation":
        xi[3:] = _between(rng, options.translation) * axis
    zoom = np.exp(_between(rng, options.zoom) * rng.choice([-1, 1])) if kind == "zoom" else 1.0
    return moved(camera, xi, float(zoom))


def _between(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(limits))))


def any_day(rng: np.random.Generator, hours: tuple[float, float], exchanged: float) -> MomentOptions:
    return MomentOptions(
        hour=rng.uniform(*hours),
        clouds=rng.uniform(0, 1),
        lamps_off=rng.uniform(0, 0.2),
        parked=rng.uniform(0.4, 0.85),
        exchanged=exchanged,
        n_people=int(rng.integers(0, 12)),
    )


def weather(rng: np.random.Generator, options: DaySetOptions) -> PictureOptions:
    scale = options.size[0] / 640
    return PictureOptions(
        exposure=rng.normal(0, 0.4),
        blur_px=0.5 * rng.uniform(1.0, 1.0 + scale),
        vibration_px=rng.uniform(0, scale) if rng.random() < 0.3 else 0.0,
        noise=rng.uniform(0.7, 2.0),
        drops=int(rng.integers(10, 60)) if rng.random() < options.rainy else 0,
        covered=options.covered,
    )


def _taken(
    moment: Moment, view: Viewpoint, rng: np.random.Generator, sensor: PictureOptions, number: int
) -> TruePicture:
    image = take_picture(moment, view.camera, rng, sensor)
    options = moment.options
    return TruePicture(
        view.camera.name, image, view.camera, view.kind, view.level, number, options.hour, options.clouds
    )
