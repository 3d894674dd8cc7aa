"""One window's graph: which ground points and which predicted tracks are one object.

Nodes are ground points and predicted tracks, a track being one more camera. An edge carries the
log-likelihood ratio of "one object" against "two objects": position through both covariances, class,
appearance. A group holds at most one node of a camera and at most one track. Groups grow by greedy
contraction of mutually best pairs; then single nodes change groups while that raises the total.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from geoloc.geometry.gaussian import require_covariances, worst_sigma
from geoloc.geometry.vectors import unit_rows
from geoloc.options import check_range
from geoloc.scene.kinds import family_of, kind_column
from geoloc.scene.tables import GroundPoints, Tracks, name_codes

DENSE_LIMIT = 600  # nodes up to which all pairs are looked at; beyond, a tree finds the near ones


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

    A row of `stats` is what a cluster's odds need: information xx, xy, yy (1/m²), information times position
    (1/m), count, log of the density (1/m²), a count for each family of labels, the embedding. The sum over its nodes is
    the cluster's, so joining and taking out are additions.
    """

    def __init__(self, points: GroundPoints, tracks: Tracks, options: AssociationOptions) -> None:
        self.options = options
        cameras, camera = name_codes(points.camera)
        source = np.concatenate([camera, np.full(len(tracks), len(cameras))])
        xy = np.concatenate([points.xy, tracks.xy])
        cov = np.concatenate([points.cov + points.bias_cov, tracks.position_cov])
        require_covariances(cov, "cov + bias_cov of points, then tracks")
        label = np.concatenate([points.label, tracks.label])
        self.order = np.lexsort((xy[:, 1], xy[:, 0], source))
        self.source = source[self.order]
        labels = _one_hot(label)
        self.n_labels = labels.shape[1]
        log_density = np.log(options.density) - 2.0 * np.log(kind_column(label, "length"))
        content = [np.ones(len(xy)), log_density, labels, _unit_rows(points.embedding, tracks.embedding)]
        self.node_stats = np.column_stack([_information(xy, cov), *content])[self.order]
        self.stats = self.node_stats.copy()
        n = len(xy)
        self.cluster = np.arange(n)
        self.member = np.full((n, len(cameras) + 1), -1, dtype=np.intp)  # node of each source in a cluster
        self.member[self.cluster, self.source] = self.cluster
        level = name_codes(np.concatenate([points.level, tracks.level]))[1][self.order]
        z = np.concatenate([points.z, tracks.z])[self.order]
        reach = worst_sigma(cov)[self.order]
        first, second = _candidate_edges(xy[self.order], reach, self.source, options.gate_sigma)
        meets = (level[first] == level[second]) | (np.abs(z[first] - z[second]) <= options.level_gap)
        self.edges = first[meets], second[meets]

    def contract(self) -> None:
        """Join mutually best pairs of clusters until no pair gains."""
        first, second = self.edges
        while len(first):
            state = _state(self.stats)
            odds = self._odds(self.stats[first], self.stats[second], state[:, first], state[:, second])
            taken = self.member >= 0
            clash = (taken[first] & taken[second]).any(axis=1)
            gains = (odds > 0) & ~clash
            first, second, odds = first[gains], second[gains], odds[gains]
            best = _mutually_best(first, second, odds, len(self.stats))
            self._join(first[best], second[best])
            first, second = self.cluster[first], self.cluster[second]
            apart = first != second
            first, second = first[apart], second[apart]

    def move(self) -> None:
        """Let single nodes change clusters, or change places with a node of their source, while that gains."""
        first, second = self.edges
        node, other = np.concatenate([first, second]), np.concatenate([second, first])
        for _ in range(self.options.max_moves):
            home, target = self.cluster[node], self.cluster[other]
            rows = np.flatnonzero(home != target)
            pairs = np.unique(node[rows] * len(self.stats) + target[rows])
            moving, target = pairs // len(self.stats), pairs % len(self.stats)
            gain = self._gain(moving, target)
            if not self._apply_best(moving, target, gain):
                return

    def _gain(self, node: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Change of the total (M,) if each node went to its target, in exchange for the target's node, if any."""
        home = self.cluster[node]
        swapped = self.member[target, self.source[node]]
        has = (swapped >= 0)[:, None]
        own, theirs = self.node_stats[node], np.where(has, self.node_stats[swapped], 0.0)
        rest_home, rest_target = self.stats[home] - own, self.stats[target] - theirs
        ones, others = [own, theirs, own, theirs], [rest_target, rest_home, rest_home, rest_target]
        odds = self._odds_or_zero(np.concatenate(ones), np.concatenate(others)).reshape(4, -1)
        with np.errstate(invalid="ignore"):  # beyond the gate before and after: NaN, which is no gain
            return odds[0] + odds[1] - odds[2] - odds[3]

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
        self.stats[home] -= self.node_stats[node]
        self.stats[target] += self.node_stats[node]
        self.cluster[node] = target
        self.member[target, self.source[node]] = node

    def _join(self, kept: np.ndarray, gone: np.ndarray) -> None:
        """Clusters `gone` become part of `kept`; the pairs share no cluster."""
        self.stats[kept] += self.stats[gone]
        self.member[kept] = np.maximum(self.member[kept], self.member[gone])
        self.member[gone] = -1
        self.stats[gone] = 0.0
        into = np.arange(len(self.stats))
        into[gone] = kept
        self.cluster = into[self.cluster]

    def _odds(self, a: np.ndarray, b: np.ndarray, state_a: np.ndarray, state_b: np.ndarray) -> np.ndarray:
        """Log-likelihood ratio (E,) of one object against two, for pairs of stats; -inf beyond the gate."""
        options = self.options
        xa, ya, xxa, xya, yya = state_a
        xb, yb, xxb, xyb, yyb = state_b
        xx, xy, yy = xxa + xxb, xya + xyb, yya + yyb
        determinant = xx * yy - xy * xy
        dx, dy = xa - xb, ya - yb
        distance2 = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant
        wide, share = options.outlier_scale**2, options.outlier_probability
        near = distance2 <= options.gate_sigma**2
        distance2 = np.where(near, distance2, 0.0)
        likelihood = (1.0 - share) * np.exp(-0.5 * distance2) + share / wide * np.exp(-0.5 / wide * distance2)
        log_density = (a[:, 6] + b[:, 6]) / (a[:, 5] + b[:, 5])
        odds = np.log(likelihood) - 0.5 * np.log(4.0 * np.pi**2 * determinant) - log_density
        # two objects would need a camera to miss one of them
        odds += self._content_odds(a, b) - np.log1p(-options.detection_probability)
        return np.where(near, odds, -np.inf)

    def _odds_or_zero(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """As `_odds`; a pair with an empty side neither gains nor loses."""
        real = (a[:, 5] > 0.5) & (b[:, 5] > 0.5)
        odds = np.zeros(len(a))
        a, b = a[real], b[real]
        odds[real] = self._odds(a, b, _state(a), _state(b))
        return odds

    def _content_odds(self, a: np.ndarray, b: np.ndarray) -> np.ndarray | float:
        """What class and appearance say about each pair (E,)."""
        odds: np.ndarray | float = 0.0
        if self.n_labels > 1:
            of_a, of_b = _shares(a[:, 7 : 7 + self.n_labels]), _shares(b[:, 7 : 7 + self.n_labels])
            known = of_a.any(axis=1) & of_b.any(axis=1)
            same = (of_a * of_b).sum(axis=1)
            confusion = self.options.label_confusion
            odds = odds + np.where(known, np.log(confusion + (1.0 - confusion) * same), 0.0)
        if a.shape[1] > 7 + self.n_labels:
            of_a, of_b = unit_rows(a[:, 7 + self.n_labels :]), unit_rows(b[:, 7 + self.n_labels :])
            known = of_a.any(axis=1) & of_b.any(axis=1)
            cosine = (of_a * of_b).sum(axis=1)
            says = self.options.appearance_weight * (cosine - self.options.appearance_neutral)
            odds = odds + np.where(known, says, 0.0)
        return odds


def _candidate_edges(
    xy: np.ndarray, reach: np.ndarray, source: np.ndarray, gate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs first < second (E,), (E,) of different sources that may lie within the gate."""
    if len(xy) <= DENSE_LIMIT:
        first, second = _all_pairs(len(xy))
    else:
        first, second = _near_pairs(xy, reach, gate)
    x, y = xy.T
    reach2 = (gate * reach) ** 2
    near = (x[first] - x[second]) ** 2 + (y[first] - y[second]) ** 2 <= reach2[first] + reach2[second]
    first, second = first[near], second[near]
    other = source[first] != source[second]
    return first[other], second[other]


@lru_cache(maxsize=32)
def _all_pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(n, 1)


def _near_pairs(xy: np.ndarray, reach: np.ndarray, gate: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs first < second that may lie within the gate, found scale by scale: few points are vague.

    A pair is found at the scale of its vaguer point, among all that are no vaguer.
    """
    scale = np.ceil(np.log2(np.maximum(reach, 1e-3))).astype(int)
    found = [np.zeros((0, 2), dtype=np.intp)]
    for level in np.unique(scale).tolist():
        up_to, own = np.flatnonzero(scale <= level), np.flatnonzero(scale == level)
        radius = gate * np.sqrt(2.0) * 2.0**level
        tree = cKDTree(xy[up_to])
        near = cKDTree(xy[own]).sparse_distance_matrix(tree, radius, output_type="coo_matrix")
        found.append(np.column_stack([own[near.row], up_to[near.col]]))
    pairs = np.concatenate(found)
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    # two points of one scale find each other twice
    key = np.unique(pairs[:, 0] * len(xy) + pairs[:, 1])
    return key // len(xy), key % len(xy)


def _mutually_best(first: np.ndarray, second: np.ndarray, odds: np.ndarray, n: int) -> np.ndarray:
    """Edges that are the best of both their ends; equal odds are told apart by the edge's place."""
    worst_first = np.argsort(-odds, kind="stable")[::-1]
    rank = np.empty(len(odds), dtype=np.intp)
    rank[worst_first] = np.arange(len(odds))[::-1]
    best = np.full((2, n), len(odds), dtype=np.intp)
    best[0, first[worst_first]] = best[1, second[worst_first]] = rank[worst_first]  # the last one stays
    best = best.min(axis=0)
    return np.flatnonzero((best[first] == rank) & (best[second] == rank))


def _information(xy: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Sums (n, 5) of single nodes."""
    xx, cross, yy = cov[:, 0, 0], cov[:, 0, 1], cov[:, 1, 1]
    determinant = xx * yy - cross * cross
    a, b, d = yy / determinant, -cross / determinant, xx / determinant
    return np.stack([a, b, d, a * xy[:, 0] + b * xy[:, 1], b * xy[:, 0] + d * xy[:, 1]], axis=-1)


def _state(stats: np.ndarray) -> np.ndarray:
    """Fused x, y (m) and covariance xx, xy, yy (m²) of stats (E, ...): (5, E); NaN where there is no information."""
    a, b, d, wx, wy = stats[:, :5].T
    state = np.empty((5, len(stats)))
    determinant = a * d - b * b
    scale = 1.0 / np.where(determinant > 0.0, determinant, np.nan)
    state[0], state[1] = (d * wx - b * wy) * scale, (a * wy - b * wx) * scale
    state[2], state[3], state[4] = d * scale, -b * scale, a * scale
    return state


def _one_hot(label: np.ndarray) -> np.ndarray:
    """A column for each family of labels; with fewer than two there is nothing to compare."""
    names, code = name_codes(label)
    families = [family_of(name) for name in names]
    distinct = sorted(set(families) - {""})
    if len(distinct) < 2:
        return np.zeros((len(label), 0))
    return np.array([[family == other for other in distinct] for family in families], dtype=float)[code]


def _unit_rows(of_points: np.ndarray, of_tracks: np.ndarray) -> np.ndarray:
    """Embeddings of unit length; what is not finite becomes zero."""
    width = max(of_points.shape[1], of_tracks.shape[1])
    rows = np.zeros((len(of_points) + len(of_tracks), width))
    rows[: len(of_points), : of_points.shape[1]] = of_points
    rows[len(of_points) :, : of_tracks.shape[1]] = of_tracks
    return unit_rows(np.nan_to_num(rows, posinf=0.0, neginf=0.0))


def _shares(counts: np.ndarray) -> np.ndarray:
    total = counts.sum(axis=1, keepdims=True)
    return counts / np.where(total > 0.5, total, 1.0)


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
