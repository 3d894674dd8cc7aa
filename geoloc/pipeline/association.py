"""One window's graph: which ground points and which predicted tracks are one object.

Nodes are ground points and predicted tracks, a track being one more camera. An edge carries the
log-likelihood ratio of "one object" against "two objects": position through both covariances, class,
appearance. A group holds at most one node of a camera and at most one track. Groups grow by greedy
contraction of mutually best pairs; then single nodes change groups while that raises the total.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from geoloc.geometry.gaussian import worst_sigma
from geoloc.options import check_range
from geoloc.scene.tables import GroundPoints, Tracks

DENSE_LIMIT = 600  # nodes up to which all pairs are looked at; beyond, a tree finds the near ones


@dataclass(frozen=True)
class AssociationOptions:
    """What makes two nodes one object."""

    density: float = 0.05  # objects per m²: how likely a second object stands nearby by chance
    detection_probability: float = 0.9  # of an object in view: two objects would need a camera to miss one
    gate_sigma: float = 4.0  # nodes further apart than this many joint sigmas are never one object
    outlier_probability: float = 0.05  # share of points whose noise is `outlier_scale` times what they say
    outlier_scale: float = 3.0  # how much wider the noise of such a point is
    label_confusion: float = 0.02  # probability that one object is given two labels
    appearance_weight: float = 10.0  # log-odds per unit of cosine similarity above `appearance_neutral`
    appearance_neutral: float = 0.6  # cosine similarity that speaks neither for nor against
    max_moves: int = 8  # rounds of moving single nodes after the contraction

    def __post_init__(self) -> None:
        check_range(self, density=(1e-9, 1e3), detection_probability=(0, 0.999), gate_sigma=(0.1, 100))
        check_range(self, outlier_probability=(0, 0.5), outlier_scale=(1, 100), label_confusion=(1e-9, 1))
        check_range(self, appearance_weight=(0, 1e3), appearance_neutral=(-1, 1), max_moves=(0, 1000))


@dataclass(frozen=True, eq=False)
class Groups:
    """`group` (N,) numbers each point's object from 0; `track` (G,) is the row of its predicted track or -1."""

    group: np.ndarray
    track: np.ndarray

    def __len__(self) -> int:
        return len(self.track)


def associate(
    points: GroundPoints, tracks: Tracks | None = None, options: AssociationOptions | None = None
) -> Groups:
    """Group the `points` (N rows) of one window and the predicted `tracks`; the order of rows does not matter."""
    tracks = tracks if tracks is not None else Tracks()
    graph = _Graph(points, tracks, options or AssociationOptions())
    graph.contract()
    graph.move()
    return _number(graph, len(points), len(tracks))


class _Graph:
    """Clusters while they grow. Rows are nodes in an order that depends on what they are alone.

    `sums` (n, 5) are a cluster's information xx, xy, yy (1/m²) and information times position (1/m): the sum
    over its nodes is the cluster's, and fusing or taking out a node is an addition.
    """

    def __init__(self, points: GroundPoints, tracks: Tracks, options: AssociationOptions) -> None:
        self.options = options
        cameras, camera = np.unique(points.camera, return_inverse=True)
        source = np.concatenate([camera, np.full(len(tracks), len(cameras))])
        xy = np.concatenate([points.xy, tracks.xy])
        cov = np.concatenate([points.cov + points.bias_cov, tracks.position_cov])
        label = _codes(points.label, tracks.label)
        level = _codes(points.level, tracks.level)
        embedding = _unit_rows(points.embedding, tracks.embedding)
        self.order = np.lexsort((xy[:, 1], xy[:, 0], source))
        self.xy, self.source, self.label, self.level, self.embedding = (
            column[self.order] for column in (xy, source, label, level, embedding)
        )
        self.reach = worst_sigma(cov)[self.order]
        self.node_sums = _information(self.xy, cov[self.order])
        self.sums = self.node_sums.copy()
        n = len(xy)
        self.cluster = np.arange(n)
        self.member = np.full((n, len(cameras) + 1), -1, dtype=np.intp)  # node of each source in a cluster
        self.member[self.cluster, self.source] = self.cluster
        self.edges = _candidate_edges(self.xy, self.reach, self.source, self.level, options.gate_sigma)
        self.edge_bias = self._content_odds()

    def contract(self) -> None:
        """Join mutually best pairs of clusters until no pair gains."""
        first, second = self.edges
        bias = self.edge_bias
        while len(first):
            odds = self._odds(self.sums[first], self.sums[second]) + bias
            clash = ((self.member[first] >= 0) & (self.member[second] >= 0)).any(axis=1)
            gains = (odds > 0) & ~clash
            first, second, bias, odds = first[gains], second[gains], bias[gains], odds[gains]
            best = _mutually_best(first, second, odds, len(self.xy))
            self._join(first[best], second[best])
            first, second = self.cluster[first], self.cluster[second]
            apart = first != second
            first, second, bias = _merge_parallel(first[apart], second[apart], bias[apart], len(self.xy))

    def move(self) -> None:
        """Let single nodes change clusters, or change places with a node of their source, while that gains."""
        first, second = self.edges
        node, other = np.concatenate([first, second]), np.concatenate([second, first])
        for _ in range(self.options.max_moves):
            home, target = self.cluster[node], self.cluster[other]
            rows = np.flatnonzero(home != target)
            pairs = np.unique(node[rows] * len(self.xy) + target[rows])
            moving, target = pairs // len(self.xy), pairs % len(self.xy)
            gain = self._gain(moving, target)
            if not self._apply_best(moving, target, gain):
                return

    def _gain(self, node: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Change of the total (M,) if each node went to its target, in exchange for the target's node, if any."""
        home = self.cluster[node]
        swapped = self.member[target, self.source[node]]
        has = (swapped >= 0)[:, None]
        own, theirs = self.node_sums[node], np.where(has, self.node_sums[swapped], 0.0)
        rest_home, rest_target = self.sums[home] - own, self.sums[target] - theirs
        after = self._odds_or_zero(own, rest_target) + self._odds_or_zero(theirs, rest_home)
        before = self._odds_or_zero(own, rest_home) + self._odds_or_zero(theirs, rest_target)
        return after - before

    def _apply_best(self, node: np.ndarray, target: np.ndarray, gain: np.ndarray) -> bool:
        """Make the moves that gain, best first, each cluster touched once; whether there was any."""
        touched: set[int] = set()
        for i in np.flatnonzero(gain > 1e-9)[np.argsort(-gain[gain > 1e-9], kind="stable")].tolist():
            pair = {int(self.cluster[node[i]]), int(target[i])}
            if touched & pair:
                continue
            touched |= pair
            self._exchange(int(node[i]), int(target[i]))
        return bool(touched)

    def _exchange(self, node: int, target: int) -> None:
        home, source = int(self.cluster[node]), int(self.source[node])
        swapped = int(self.member[target, source])
        self._put(node, home, target)
        self.member[home, source] = -1
        if swapped >= 0:
            self._put(swapped, target, home)
        self.member[target, source] = node

    def _put(self, node: int, home: int, target: int) -> None:
        self.sums[home] -= self.node_sums[node]
        self.sums[target] += self.node_sums[node]
        self.cluster[node] = target
        self.member[target, self.source[node]] = node

    def _join(self, kept: np.ndarray, gone: np.ndarray) -> None:
        """Clusters `gone` become part of `kept`; the pairs share no cluster."""
        self.sums[kept] += self.sums[gone]
        self.member[kept] = np.maximum(self.member[kept], self.member[gone])
        self.member[gone] = -1
        self.sums[gone] = 0.0
        into = np.arange(len(self.xy))
        into[gone] = kept
        self.cluster = into[self.cluster]

    def _odds(self, sums_a: np.ndarray, sums_b: np.ndarray) -> np.ndarray:
        """Log-likelihood ratio (E,) of one place against two, for pairs of sums; -inf beyond the gate."""
        options = self.options
        xa, ya, xxa, xya, yya = _state(sums_a)
        xb, yb, xxb, xyb, yyb = _state(sums_b)
        xx, xy, yy = xxa + xxb, xya + xyb, yya + yyb
        determinant = xx * yy - xy * xy
        dx, dy = xa - xb, ya - yb
        distance2 = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant
        wide, share = options.outlier_scale**2, options.outlier_probability
        likelihood = (1.0 - share) * np.exp(-0.5 * distance2) + share / wide * np.exp(-0.5 / wide * distance2)
        likelihood /= 2.0 * np.pi * np.sqrt(determinant)
        # two objects would need a camera to miss one of them
        odds = np.log(likelihood / options.density) - np.log1p(-options.detection_probability)
        return np.where(distance2 <= options.gate_sigma**2, odds, -np.inf)

    def _odds_or_zero(self, sums_a: np.ndarray, sums_b: np.ndarray) -> np.ndarray:
        """As `_odds`; a pair with an empty side neither gains nor loses."""
        real = (sums_a[:, 0] > 1e-9) & (sums_b[:, 0] > 1e-9)
        odds = np.zeros(len(sums_a))
        odds[real] = self._odds(sums_a[real], sums_b[real])
        return odds

    def _content_odds(self) -> np.ndarray:
        """What class and appearance say about each edge (E,)."""
        first, second = self.edges
        a, b = self.label[first], self.label[second]
        odds = np.where((a >= 0) & (b >= 0) & (a != b), np.log(self.options.label_confusion), 0.0)
        if self.embedding.shape[1]:
            cosine = np.einsum("ed,ed->e", self.embedding[first], self.embedding[second])
            known = self.embedding.any(axis=1)
            says = self.options.appearance_weight * (cosine - self.options.appearance_neutral)
            odds = odds + np.where(known[first] & known[second], says, 0.0)
        return odds


def _candidate_edges(
    xy: np.ndarray, reach: np.ndarray, source: np.ndarray, level: np.ndarray, gate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs first < second (E,), (E,) of different sources on one level that may lie within the gate."""
    n = len(xy)
    if n <= DENSE_LIMIT:
        first, second = np.nonzero(np.triu(source[:, None] != source[None], 1))
    else:
        widest = 2.0 * gate * float(reach.max())
        first, second = cKDTree(xy).query_pairs(widest, output_type="ndarray").T
        first, second = np.minimum(first, second), np.maximum(first, second)
    apart = xy[first] - xy[second]
    near = apart[:, 0] ** 2 + apart[:, 1] ** 2 <= gate**2 * (reach[first] ** 2 + reach[second] ** 2)
    near &= (level[first] == level[second]) & (source[first] != source[second])
    return first[near], second[near]


def _mutually_best(first: np.ndarray, second: np.ndarray, odds: np.ndarray, n: int) -> np.ndarray:
    """Edges that are the best of both their ends; equal odds are told apart by the edge's place."""
    by_odds = np.lexsort((np.arange(len(odds)), -odds))
    rank = np.empty(len(odds), dtype=np.intp)
    rank[by_odds] = np.arange(len(odds))
    best = np.full(n, len(odds), dtype=np.intp)
    np.minimum.at(best, first, rank)
    np.minimum.at(best, second, rank)
    return np.flatnonzero((best[first] == rank) & (best[second] == rank))


def _merge_parallel(
    first: np.ndarray, second: np.ndarray, bias: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges between the same two clusters become one, with the mean of what their ends' contents say."""
    key = np.minimum(first, second) * n + np.maximum(first, second)
    unique, inverse, count = np.unique(key, return_inverse=True, return_counts=True)
    return unique // n, unique % n, np.bincount(inverse, bias, len(unique)) / count


def _information(xy: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Sums (n, 5) of single nodes."""
    xx, cross, yy = cov[:, 0, 0], cov[:, 0, 1], cov[:, 1, 1]
    determinant = xx * yy - cross * cross
    a, b, d = yy / determinant, -cross / determinant, xx / determinant
    return np.stack([a, b, d, a * xy[:, 0] + b * xy[:, 1], b * xy[:, 0] + d * xy[:, 1]], axis=-1)


def _state(sums: np.ndarray) -> tuple[np.ndarray, ...]:
    """Fused x, y (m) and covariance xx, xy, yy (m²) of sums (E, 5)."""
    a, b, d, wx, wy = sums.T
    scale = 1.0 / (a * d - b * b)
    return (d * wx - b * wy) * scale, (a * wy - b * wx) * scale, d * scale, -b * scale, a * scale


def _codes(of_points: np.ndarray, of_tracks: np.ndarray) -> np.ndarray:
    """Names as numbers; the empty name is -1."""
    names, code = np.unique(np.concatenate([of_points, of_tracks]), return_inverse=True)
    return np.where(names[code] == "", -1, code) if len(names) else code


def _unit_rows(of_points: np.ndarray, of_tracks: np.ndarray) -> np.ndarray:
    """Embeddings of unit length; rows of zero width or NaN become zero."""
    width = max(of_points.shape[1], of_tracks.shape[1])
    rows = np.zeros((len(of_points) + len(of_tracks), width))
    rows[: len(of_points), : of_points.shape[1]] = of_points
    rows[len(of_points) :, : of_tracks.shape[1]] = of_tracks
    rows = np.nan_to_num(rows)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norm > 0, norm, 1.0)


def _number(graph: _Graph, n_points: int, n_tracks: int) -> Groups:
    """Groups that hold a point, numbered in the graph's order."""
    cluster = np.empty(n_points + n_tracks, dtype=np.intp)
    cluster[graph.order] = graph.cluster
    used, group = np.unique(cluster[:n_points], return_inverse=True)
    track = np.full(len(used), -1, dtype=np.intp)
    place = np.searchsorted(used, cluster[n_points:])
    for row, (where, own) in enumerate(zip(place.tolist(), cluster[n_points:].tolist(), strict=True)):
        if where < len(used) and used[where] == own:
            track[where] = row
    return Groups(group, track)
