"""Films of a world's fixed cameras: cars drive with headlights, cast shadows and park, people walk, lamps switch.

    film = make_film(film_scene(world, rng), truth, cameras, rng)
    for time, pictures in film.frames(): ...       # {camera: (H, W, 3) uint8 BGR}

Truth rows say where everything is at each frame; the same seed gives the same film.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.synthetic.rendering.faces import Faces
from geoloc.synthetic.rendering.film_actors import Actor, Pose, cast_actors, poses_at, standing
from geoloc.synthetic.rendering.film_stage import Stage, set_stage
from geoloc.synthetic.rendering.lighting import light_up
from geoloc.synthetic.rendering.moment import Moment, MomentOptions
from geoloc.synthetic.rendering.picture import take_picture
from geoloc.synthetic.rendering.scene import Scene, SceneOptions, build_scene
from geoloc.synthetic.rendering.sensor import Drops, PictureOptions, draw_drops, expose, exposure_gain
from geoloc.synthetic.rendering.viewpoints import resized
from geoloc.synthetic.truth import Truth
from geoloc.synthetic.world import World

BEFORE_H = 1.0  # h before a film, at which empty pictures are taken
ADAPT_S = 1.5  # in which a camera's exposure follows the light


@dataclass(frozen=True)
class FilmOptions:
    """What films are like."""

    size: tuple[int, int] = (640, 360)  # px
    hour: float = 10.0  # h of solar time
    clouds: float = 0.7
    switch_s: tuple[float, ...] = (50.0, 85.0)  # s from the start at which a part of the lamps goes off, then on, ...
    switched: float = 0.35  # share of the lamps that do
    rainy: str = ""  # camera with drops on its glass
    drops: int = 25
    texel: float = 0.02  # m, of the floors' textures

    def __post_init__(self) -> None:
        check_range(self, hour=(0, 24), clouds=(0, 1), switched=(0, 1), drops=(0, 10_000))


@dataclass(frozen=True, eq=False)
class Film:
    """The stages of all cameras, who plays, and where at what time."""

    truth: Truth
    stages: tuple[Stage, ...]
    actors: dict[int, Actor]
    scenery: frozenset[int]  # numbers of the cars that never move
    drops: dict[str, Drops]
    options: FilmOptions
    seed: int

    def frames(self) -> Iterator[tuple[float, dict[str, np.ndarray]]]:
        """Time (s) and the pictures of all cameras by name, at each time of the truth."""
        rngs = {s.camera.name: np.random.default_rng([self.seed, k]) for k, s in enumerate(self.stages)}
        gains: dict[str, float] = {}
        times = np.unique(self.truth.time)
        step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        order = np.argsort(self.truth.time, kind="stable")
        starts = np.searchsorted(self.truth.time[order], [*times, np.inf])
        for k, time in enumerate(times.tolist()):
            rows = order[starts[k] : starts[k + 1]]
            poses = {n: p for n, p in poses_at(self.truth.take(rows)).items() if n not in self.scenery}
            which = int(np.searchsorted(self.options.switch_s, time - times[0], side="right")) % 2
            pictures = {}
            for stage in self.stages:
                name = stage.camera.name
                light = stage.show(which, self.actors, poses)
                wanted, follow = exposure_gain(light), min(step / ADAPT_S, 1.0)
                gains[name] = gains.get(name, wanted) ** (1 - follow) * wanted**follow
                if name in self.drops:
                    light = self.drops[name].bend(light)
                pictures[name] = expose(light, rngs[name], PictureOptions(), gains[name])
            yield time, pictures


def film_scene(world: World, rng: np.random.Generator, options: FilmOptions | None = None) -> Scene:
    """The scene of films of a world, with sixty different cars and sixteen people."""
    options = options or FilmOptions()
    return build_scene(world.site.site_map, rng, SceneOptions(texel=options.texel, n_cars=60, n_people=16))


def make_film(
    scene: Scene,
    truth: Truth,
    cameras: Sequence[Camera],
    rng: np.random.Generator,
    options: FilmOptions | None = None,
) -> Film:
    """The film of a truth by `cameras`, which are the true ones."""
    options = options or FilmOptions()
    actors, scenery = cast_actors(scene, truth), standing(truth)
    off = rng.random(len(scene.lamps)) < options.switched
    moments = _moments(scene, actors, scenery, off, options)
    shape = options.size[1], options.size[0]
    drops = {options.rainy: draw_drops(shape, options.drops, rng)} if options.rainy else {}
    stages = tuple(set_stage(resized(camera, options.size), moments) for camera in cameras)
    return Film(truth, stages, actors, frozenset(scenery), drops, options, int(rng.integers(2**31)))


def empty_pictures(
    scene: Scene, cameras: Sequence[Camera], rng: np.random.Generator, options: FilmOptions | None = None
) -> dict[str, np.ndarray]:
    """A picture by each camera with nobody there, some time before the film: what an installer takes."""
    options = options or FilmOptions()
    lit = np.zeros(len(scene.lamps), bool)
    moment = _moments(scene, {}, {}, lit, replace(options, hour=max(options.hour - BEFORE_H, 0.0)))[0]
    return {camera.name: take_picture(moment, resized(camera, options.size), rng) for camera in cameras}


def _moments(
    scene: Scene, actors: dict[int, Actor], scenery: dict[int, Pose], off: np.ndarray, options: FilmOptions
) -> tuple[Moment, Moment]:
    """The scene with what never moves, all lamps on, and a part of them off."""
    parked = [car.moved(pose.place) for n, pose in scenery.items() if (car := actors[n].car) is not None]
    faces = Faces.concat([scene.faces, *parked])
    places = np.array([(*p.xyz, p.heading, actors[n].size[0]) for n, p in scenery.items()]).reshape(-1, 5)
    told = MomentOptions(hour=options.hour, clouds=options.clouds, n_people=0)
    nobody, none = np.zeros((0, 4)), np.full(len(scene.site_map.stalls), -1)
    both = []
    for lit in (np.ones(len(off), bool), ~off):
        light = light_up(scene, faces, places, options.hour, options.clouds, lit)
        both.append(Moment(scene, told, none, nobody, faces, light))
    return both[0], both[1]
