"""The garage's lower level as eight cameras film it: people walk beside the lanes, cars drive, park and leave."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.options import check_range
from geoloc.scene.site import Site
from geoloc.synthetic.garage import garage
from geoloc.synthetic.sensor import observe
from geoloc.synthetic.simulate import simulate
from geoloc.synthetic.truth import Glimpses, Truth
from geoloc.synthetic.world import Walk, World, rectangle

CAMERAS = ("p1-aisle", "p1-row")
STRIPS = ((12, 5.4, 34, 6.7), (12, 9.3, 34, 10.6), (12, 21.4, 34, 22.7), (12, 25.3, 34, 26.6))  # m, where people walk


@dataclass(frozen=True)
class Shooting:
    """How long is filmed, how often, and how much happens."""

    seconds: float = 90.0
    rate: float = 4.0  # Hz
    cameras: tuple[str, ...] = CAMERAS  # how the names of those begin that film
    n_cars: int = 60
    n_people: int = 6
    seed: int = 3

    def __post_init__(self) -> None:
        check_range(self, seconds=(1, 86400), rate=(0.1, 100), n_cars=(0, 1000), n_people=(0, 1000))


@dataclass(frozen=True, eq=False)
class Shot:
    """What is filmed: the site as calibrated and as it is, the truth, and what each frame truly holds."""

    world: World
    site: Site
    true_site: Site
    truth: Truth
    glimpses: Glimpses
    rng: np.random.Generator  # for what is drawn after this


def film_garage(names: tuple[str, ...] = CAMERAS) -> World:
    """The garage with cameras of its lower level whose names begin so, and people beside its lanes."""
    world = garage()
    cameras = tuple(camera for camera in world.site.cameras if camera.name.startswith(names))
    walks = tuple(
        Walk("P1", rectangle(x0, y0, x1, y1), np.array([[x0 + 0.4, (y0 + y1) / 2], [x1 - 0.4, (y0 + y1) / 2]]))
        for x0, y0, x1, y1 in STRIPS
    )
    return replace(world, site=replace(world.site, cameras=cameras), walks=walks)


def shoot(shooting: Shooting | None = None) -> Shot:
    """Let the garage live, and look at it: cameras deviate from the calibration as its covariance says."""
    shooting = shooting or Shooting()
    world, rng = film_garage(shooting.cameras), np.random.default_rng(shooting.seed)
    changed = {"n_cars": shooting.n_cars, "n_people": shooting.n_people}
    traffic = replace(world.traffic, duration=shooting.seconds, rate=shooting.rate, **changed)
    seen = observe(world, simulate(world, rng, traffic), rng)
    return Shot(world, seen.site, seen.true_site, seen.truth, seen.glimpses, rng)
