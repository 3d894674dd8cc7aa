"""One window's graph: which ground points and which predicted tracks are one object.

Nodes are ground points and predicted tracks, a track being one more camera. An edge carries the
log-likelihood ratio of "one object" against "two objects": position through both covariances, class,
appearance. A group holds at most one node of a camera and at most one track. Groups grow by greedy
contraction of mutually best pairs; then single nodes change groups while that raises the total.
The loops over nodes and edges are in `kernels.edges`, `kernels.odds` and `kernels.clusters`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from geoloc.geometry.gaussian import require_covariances
from geoloc.geometry.vectors import unit_rows
from geoloc.options import check_range
from geoloc.pipeline.lazily import clusters, edges, nodes, odds, small, walls
from geoloc.pipeline.packed import common_numbers, kind_arrays, wall_arrays
from geoloc.scene.kinds import family_of
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import GroundPoints, Tracks


@dataclass(frozen=True)
class AssociationOptions:
    """What makes two nodes one object."""

    density: float = 0.0125  # objects on a square as wide as one is long: how likely a second one is near by chance
    detection_probability: float = 0.9  # of an object in view: two objects would need a camera to miss one
    gate_sigma: float = 4.0  # nodes further apart than this many joint sigmas are never one object
    outlier_probability: float = 0.05  # share of points whose noise is `outlier_scale` times what they say
    outlier_scale: float = 3.0  # how much wider the noise of such a point is
    level_gap: float = 1.0  # m; nodes of two levels are one object only where the levels nearly meet, as on a ramp
    label_confusion: float = 0.0001  # probability that one object is given labels of two families
    appearance_weight: float = 10.0  # log-odds per unit of cosine similarity above `appearance_neutral`
    appearance_neutral: float = 0.6  # cosine similarity that speaks neither for nor against
    max_moves: int = 8  # rounds of moving single nodes after the contraction

    def __post_init__(self) -> None:
        check_range(self, density=(1e-9, 1e3), detection_probability=(0, 0.999), gate_sigma=(0.1, 100))
        check_range(self, outlier_probability=(0, 0.5), outlier_scale=(1, 100), label_confusion=(1e-9, 1))
        check_range(self, level_gap=(0, 1e3))
        check_range(self, appearance_weight=(0, 1e3), appearance_neutral=(-1, 1), max_moves=(0, 1000))


@dataclass(frozen=True, eq=False)
class Groups:
    """`group` (N,) numbers each point's object from 0; `track` (G,) is the row of its predicted track or -1."""

    group: np.ndarray
    track: np.ndarray

    def __len__(self) -> int:
        return len(self.track)


def associate(
    points: GroundPoints,
    tracks: Tracks | None = None,
    options: AssociationOptions | None = None,
    site_map: SiteMap | None = None,
) -> Groups:
    """Group the `points` (N rows) of one window and the predicted `tracks`; the order of rows does not matter.

    What lies on two sides of a wall of the `site_map`, where one is given, is not one object.
    """
    options, tracks = options or AssociationOptions(), tracks if tracks is not None else Tracks()
    given = _nodes(points, tracks, options)
    where = given.xy, given.reach, options.gate_sigma, given.source, given.level, given.z, options.level_gap
    pairs = edges.candidate_edges(*where, edges.FEW)
    if site_map is not None and site_map.occluders:
        fences = wall_arrays(site_map, given.levels)
        pairs = walls.not_parted(pairs, given.xy, given.reach, given.level, *fences) if len(fences.piece) else pairs
    graph = given.stats, given.source, pairs, given.n_families, _odds_model(options)
    cluster = clusters.cluster_nodes(*graph, options.max_moves)
    return Groups(*nodes.groups_of(cluster, given.order, len(points)))


class _Nodes(NamedTuple):
    """Points and tracks in an order that depends on what each is alone; see `kernels.nodes`."""

    order: np.ndarray  # (n,) row among the points, then the tracks
    source: np.ndarray  # (n,) its camera; tracks are one more
    xy: np.ndarray  # (n, 2) m
    reach: np.ndarray  # (n,) m, worst standard deviation
    level: np.ndarray  # (n,)
    z: np.ndarray  # (n,) m
    stats: np.ndarray  # (n, S) see kernels.odds
    n_families: int
    levels: tuple[str, ...]  # that `level` numbers


def _nodes(points: GroundPoints, tracks: Tracks, options: AssociationOptions) -> _Nodes:
    tables = points, tracks
    xy = [np.ascontiguousarray(table.xy) for table in tables]
    cov = [np.ascontiguousarray(table.cov[:, :2, :2]) for table in tables]
    bias_cov = [np.ascontiguousarray(table.bias_cov) for table in tables]
    if small.first_bad(cov[0], bias_cov[0]) >= 0 or small.first_bad(cov[1], bias_cov[1]) >= 0:
        both = np.concatenate([a + b for a, b in zip(cov, bias_cov, strict=True)])
        require_covariances(both, "cov + bias_cov of points, then tracks")
    cameras = points.coded("camera")
    order, source = nodes.order_nodes(_ranks(cameras.names).take(cameras.code), xy[0], xy[1], len(cameras.names))
    labels, levels = [t.coded("label") for t in tables], [t.coded("level") for t in tables]
    families = _families(labels[0].names, labels[1].names)
    level_numbers = common_numbers(levels[0].names, levels[1].names)
    looks = _unit_rows(points.embedding, tracks.embedding)
    n, n_families = len(order), families[2]
    columns = np.empty((n, 2)), np.empty(n), np.empty(n, dtype=np.int64), np.empty(n)
    stats = np.zeros((n, odds.CONTENT + n_families + looks[0].shape[1]))
    for k, table in enumerate(tables):
        first = 0 if k == 0 else len(points)
        level = level_numbers[k].take(levels[k].code)
        kinds = kind_arrays(labels[k].names).length, families[k]
        place = xy[k], cov[k], bias_cov[k], labels[k].code, level, np.ascontiguousarray(table.z)
        nodes.fill_nodes(order, first, *place, *kinds, looks[k], options.density, *columns, stats)
    return _Nodes(order, source, *columns, stats, n_families, _distinct(levels[0].names, levels[1].names))


@lru_cache(maxsize=64)
def _distinct(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """Names in the order in which `common_numbers` numbers them."""
    return tuple(dict.fromkeys((*first, *second)))


@lru_cache(maxsize=64)
def _odds_model(options: AssociationOptions) -> np.ndarray:
    """See `kernels.odds`."""
    return np.array(
        [
            options.gate_sigma**2,
            options.outlier_probability,
            options.outlier_scale**2,
            -np.log1p(-options.detection_probability),  # two objects would need a camera to miss one of them
            options.label_confusion,
            options.appearance_weight,
            options.appearance_neutral,
        ]
    )


@lru_cache(maxsize=256)
def _ranks(names: tuple[str, ...]) -> np.ndarray:
    """Place (K,) of each name among them in order of the alphabet."""
    rank = np.empty(len(names), dtype=np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return rank


@lru_cache(maxsize=256)
def _families(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, int]:
    """The families of two lists of labels as numbers, -1 for a label without one, and how many there are to compare."""
    families = [[family_of(label) for label in labels] for labels in (first, second)]
    distinct = sorted({family for part in families for family in part} - {""})
    number = {family: k for k, family in enumerate(distinct)} if len(distinct) > 1 else {}
    of_first, of_second = (np.array([number.get(f, -1) for f in part], dtype=np.int64) for part in families)
    return of_first, of_second, len(number)


def _unit_rows(of_points: np.ndarray, of_tracks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of unit length and one width; what is not finite becomes zero."""
    width = max(of_points.shape[1], of_tracks.shape[1])
    rows = np.zeros((len(of_points), width)), np.zeros((len(of_tracks), width))
    if width:
        for own, given in zip(rows, (of_points, of_tracks), strict=True):
            own[:, : given.shape[1]] = np.nan_to_num(given, posinf=0.0, neginf=0.0)
        return unit_rows(rows[0]), unit_rows(rows[1])
    return rows
