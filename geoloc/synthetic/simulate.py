"""Let a world's agents live: options in, truth out."""

import numpy as np

from geoloc.synthetic.cars import simulate_cars
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
