"""What is left out to be quick must have said nothing: pairs far apart, walls elsewhere, those not in the way."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from sites import PINHOLE, square

from geoloc.pipeline.kernels.edges import candidate_edges
from geoloc.pipeline.kernels.link_odds import log_normals
from geoloc.pipeline.kernels.sight import is_hidden, missed
from geoloc.pipeline.kernels.solving import envelope_inverse, factorise
from geoloc.pipeline.kernels.walls import not_parted
from geoloc.pipeline.link_costs import ways_of
from geoloc.pipeline.localizer import Localizer
from geoloc.scene.sitemap import Occluder
from geoloc.scene.ways import Ways, _near_walls

ALL = 1_000_000


def nodes(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    """Places, reaches of every scale, sorted sources, levels and heights of n nodes."""
    xy, reach = rng.uniform(-30.0, 30.0, (n, 2)), np.exp(rng.uniform(-3.0, 1.0, n))
    return xy, reach, np.sort(rng.integers(0, 12, n)), rng.integers(0, 2, n), rng.choice([0.0, 0.5, 3.0], n)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 64, 300])
def test_pairs_by_the_grid_are_those_of_trying_all(rng: np.random.Generator, n: int) -> None:
    xy, reach, source, level, z = nodes(rng, n)
    found = candidate_edges(xy, reach, 4.0, source, level, z, 1.0, ALL)
    assert np.array_equal(candidate_edges(xy, reach, 4.0, source, level, z, 1.0, 0), found)
    step2 = ((xy[:, None] - xy) ** 2).sum(axis=2)
    near = step2 <= 16.0 * (reach[:, None] ** 2 + reach**2)
    meets = (level[:, None] == level) | (np.abs(z[:, None] - z) <= 1.0)
    wanted = np.argwhere(np.triu(near & meets & (source[:, None] != source), 1))
    assert np.array_equal(found, wanted)


def test_a_wall_parts_wherever_the_other_walls_are(rng: np.random.Generator) -> None:
    xy, reach, source, level, z = nodes(rng, 60)
    pairs = candidate_edges(xy, reach, 4.0, source, 0 * level, z, 1.0, ALL)
    piece = rng.uniform(-30.0, 30.0, (40, 4))
    left = {tuple(p) for p in not_parted(pairs, xy, reach, 0 * level, np.array([0, 40]), piece).tolist()}
    alone = [not_parted(pairs, xy, reach, 0 * level, np.array([0, 1]), one[None]).tolist() for one in piece]
    assert left == set.intersection(*({tuple(p) for p in part} for part in alone))
    crosses = shapely.intersects(
        shapely.linestrings(xy[pairs])[:, None], shapely.linestrings(piece.reshape(-1, 2, 2))
    ).any(axis=1)
    parted = np.array([tuple(p) not in left for p in pairs.tolist()])
    assert parted.any()
    assert not (parted & ~crosses).any()


def test_whoever_stands_in_the_way_is_found(rng: np.random.Generator) -> None:
    centre, xyz = rng.uniform(-20.0, 20.0, (5, 3)), np.column_stack([rng.uniform(-20.0, 20.0, (40, 2)), np.zeros(40)])
    centre[:, 2], centre[4] = 4.0, np.nan
    radius, height = rng.uniform(0.2, 1.5, 40), rng.uniform(1.0, 3.0, 40)
    view = 100.0, np.full((1, 2), -1.0), np.full((1, 2), 2.0), np.zeros(1), np.full((5, 1), 255, np.uint8), np.ones(5)
    nobody, level = np.zeros((0, 5), bool), np.zeros(40, np.int64)
    said = missed(xyz, level, nobody, np.ones(5, bool), centre, view, xyz, radius, height, -1.0, 99.0)
    everyone = np.arange(40)
    hidden = [[is_hidden(c, foot, xyz, radius, height, everyone, 0, 40) for c in centre] for foot in xyz]
    assert np.array_equal(said, np.sum(hidden, axis=1) - 5.0)
    assert 10 < np.sum(hidden) < 150


def test_an_envelope_has_the_inverse_of_its_matrix(rng: np.random.Generator) -> None:
    first = np.maximum(np.arange(30) - rng.integers(0, 6, 30), 0)
    first[-2:] = 0
    lower = np.where(np.arange(30) >= first[:, None], np.tril(rng.normal(size=(30, 30))), 0.0) + 9.0 * np.eye(30)
    wanted = np.linalg.inv(np.tril(lower) + np.tril(lower, -1).T)
    factorise(lower, first)
    found, inside = envelope_inverse(lower, first), np.tril(np.arange(30) >= first[:, None])
    assert np.abs(found - wanted)[inside].max() < 1e-12


def test_log_densities_are_those_of_scipy(rng: np.random.Generator) -> None:
    from scipy.stats import multivariate_normal

    for d in (2, 4):
        root, step = rng.normal(size=(20, d, d)), rng.normal(size=(20, d))
        cov = root @ root.swapaxes(1, 2) + 0.1 * np.eye(d)
        wanted = [multivariate_normal(cov=c).logpdf(s) for c, s in zip(cov, step, strict=True)]
        assert log_normals(step, cov) == pytest.approx(wanted, rel=1e-9)


def test_steps_that_no_wall_can_meet_are_not_tried_and_the_ways_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    site = square(PINHOLE)
    level = site.site_map.levels[0].name
    walls = (
        shapely.LineString([(-4.3, -3.0), (2.0, 3.7), (4.0, -2.0)]),
        shapely.Polygon([(-2, -6), (1, -6), (1, -4), (-2, -4)]),
        shapely.MultiPolygon([shapely.box(5, 5, 6, 7), shapely.box(-6, 4, -5.5, 4.4)]),
    )
    occluders = tuple(Occluder(name=str(i), level=level, geometry=one) for i, one in enumerate(walls))
    site = replace(site, site_map=replace(site.site_map, occluders=occluders))
    quick = Ways.of(site)
    monkeypatch.setattr("geoloc.scene.ways._near_walls", lambda _, first, shape, cell: np.ones(shape, dtype=bool))
    slow = Ways.of(site)
    assert (quick.graph != slow.graph).nnz == 0
    assert (quick.driven != slow.driven).nnz == 0
    near = _near_walls(list(walls), quick.first[0], quick.number[0].shape, quick.cell)
    assert 0.0 < near.mean() < 0.9


def test_ways_are_known_before_the_first_window() -> None:
    site = square(PINHOLE)
    wall = Occluder(name="w", level=site.site_map.levels[0].name, geometry=shapely.LineString([(0, 0), (3, 3)]))
    site = replace(site, site_map=replace(site.site_map, occluders=(wall,)))
    before = ways_of.cache_info().misses
    Localizer(site)
    assert ways_of.cache_info().misses == before + 1
    ways_of(site)
    assert ways_of.cache_info().misses == before + 1
