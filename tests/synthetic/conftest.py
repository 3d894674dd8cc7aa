"""Worlds, their truth and what their cameras saw, made once for all tests."""

from dataclasses import replace

import numpy as np
import pytest

from geoloc.synthetic import Observation, Truth, World, garage, intersection, observe, plaza, simulate


@pytest.fixture(scope="session")
def garage_world() -> World:
    return garage()


@pytest.fixture(scope="session")
def garage_truth(garage_world: World) -> Truth:
    return simulate(garage_world, np.random.default_rng(3), replace(garage_world.traffic, leaving_share=0.5))


@pytest.fixture(scope="session")
def garage_seen(garage_world: World, garage_truth: Truth) -> Observation:
    return observe(garage_world, garage_truth, np.random.default_rng(4))


@pytest.fixture(scope="session")
def plaza_world() -> World:
    return plaza()


@pytest.fixture(scope="session")
def plaza_truth(plaza_world: World) -> Truth:
    return simulate(plaza_world, np.random.default_rng(5))


@pytest.fixture(scope="session")
def plaza_seen(plaza_world: World, plaza_truth: Truth) -> Observation:
    return observe(plaza_world, plaza_truth, np.random.default_rng(6))


@pytest.fixture(scope="session")
def crossing_world() -> World:
    return intersection()


@pytest.fixture(scope="session")
def crossing_truth(crossing_world: World) -> Truth:
    return simulate(crossing_world, np.random.default_rng(7))
