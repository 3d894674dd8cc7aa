"""Ways are searched no farther than they are asked for, and are as long as a search of the whole site says."""

import numpy as np
from scipy.sparse.csgraph import dijkstra

from geoloc.scene.ways import Ways, way_lengths
from geoloc.synthetic import garage


def test_a_search_that_stops_at_its_goals_finds_the_same_lengths_bit_for_bit(rng):
    ways = Ways.of(garage().site)
    n = ways.graph.shape[0]
    few = rng.integers(0, n, 12)
    start, goal = rng.choice(few, 300), rng.integers(0, n, 300)
    goal[::7], start[::11] = -1, -1  # off the map
    most, drives = rng.uniform(0.0, 80.0, 300), rng.random(300) < 0.5
    found = way_lengths(ways, start, goal, most, drives)
    whole = np.full(300, np.inf)
    for k in np.flatnonzero((start >= 0) & (goal >= 0)).tolist():
        whole[k] = dijkstra(ways.driven if drives[k] else ways.graph, indices=start[k])[goal[k]]  # SciPy's
    near = whole <= most
    assert np.array_equal(found[near], whole[near])
    assert near.sum() > 60
    assert np.isinf(found[~near]).all()
    again = rng.permutation(300)
    later = way_lengths(ways, start[again], goal[again], most[again], drives[again])
    assert np.array_equal(later, found[again]), "what was searched before is no other"
    farther = way_lengths(ways, start, goal, np.full(300, 1e9), drives)
    assert np.array_equal(farther, whole), "and what was too long is searched on"


def test_no_pairs_have_no_ways():
    ways = Ways.of(garage().site)
    none = np.zeros(0, dtype=int)
    assert way_lengths(ways, none, none, np.zeros(0), np.zeros(0, bool)).shape == (0,)
