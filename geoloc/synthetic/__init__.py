"""Synthetic worlds: sites with moving cars and people, seen by cameras with stated errors, with their truth.

>>> world = garage()                                                   # doctest: +SKIP
>>> truth = simulate(world, np.random.default_rng(1))                  # doctest: +SKIP
>>> seen = observe(world, truth, np.random.default_rng(2))             # doctest: +SKIP
"""

from geoloc.synthetic.detector import SensorOptions
from geoloc.synthetic.garage import garage, long_garage
from geoloc.synthetic.plaza import plaza
from geoloc.synthetic.sensor import Observation, draw_true_site, observe, observe_parts
from geoloc.synthetic.simulate import simulate, simulate_in_parts
from geoloc.synthetic.streets import grid_site, intersection
from geoloc.synthetic.truth import Glimpses, Truth
from geoloc.synthetic.world import Light, TrafficOptions, Walk, World

__all__ = [
    "Glimpses",
    "Light",
    "Observation",
    "SensorOptions",
    "TrafficOptions",
    "Truth",
    "Walk",
    "World",
    "draw_true_site",
    "garage",
    "grid_site",
    "intersection",
    "long_garage",
    "observe",
    "observe_parts",
    "plaza",
    "simulate",
    "simulate_in_parts",
]
