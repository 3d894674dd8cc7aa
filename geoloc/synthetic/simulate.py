"""Let a world's agents live: options in, truth out."""

from collections.abc import Iterator

import numpy as np

from geoloc.errors import InputError
from geoloc.synthetic.cars import simulate_cars, simulate_cars_in_parts
from geoloc.synthetic.people import simulate_people
from geoloc.synthetic.truth import Truth
from geoloc.synthetic.world import TrafficOptions, World


def simulate(world: World, rng: np.random.Generator, options: TrafficOptions | None = None) -> Truth:
    """Where every car and person of `world` is, at every time: rows in order of time, then object.

    `options` are the world's own by default; `replace(world.traffic, n_cars=20)` changes some of them. The same
    generator state gives the same truth.

    >>> world = plaza()                                                # doctest: +SKIP
    >>> truth = simulate(world, np.random.default_rng(1))              # doctest: +SKIP
    """
    options = options or world.traffic
    cars, people = rng.spawn(2)
    truth = Truth.concat(
        [
            simulate_cars(world, options, cars),
            simulate_people(world, options, people, first=options.n_cars),
        ]
    )
    return truth.take(np.lexsort((truth.object, truth.time)))


def simulate_in_parts(
    world: World, rng: np.random.Generator, options: TrafficOptions | None = None, part: float = 300.0
) -> Iterator[Truth]:
    """A long recording's truth in parts of `part` s one after the other, of cars alone."""
    options = options or world.traffic
    if options.n_people:
        raise InputError(f"{options.n_people} people: only cars are simulated in parts; use simulate()")
    for truth in simulate_cars_in_parts(world, options, rng.spawn(2)[0], part):
        yield truth.take(np.lexsort((truth.object, truth.time)))
