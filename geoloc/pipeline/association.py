"""One window's graph: which ground points and which predicted tracks are one object.

Nodes are ground points and predicted tracks, a track being one more camera. An edge carries the
log-likelihood ratio of "one object" against "two objects": position through both covariances, class,
appearance. A group holds at most one node of a camera and at most one track. Groups grow by greedy
contraction of mutually best pairs; then single nodes change groups while that raises the total.
The loops over nodes and edges are in `kernels.edges`, `kernels.odds` and `kernels.clusters`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.geometry.gaussian import require_covariances
from geoloc.geometry.vectors import unit_rows
from geoloc.options import check_range
from geoloc.pipeline.lazily import edges, nodes
from geoloc.pipeline.packed import (
    NO_JOINTS,
    NO_WALLS,
    camera_sets,
    common_numbers,
    joint_arrays,
    kind_arrays,
    wall_arrays,
)
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
    level_gap: float = 1.0  # m; nodes of two levels are one object only where these meet, no farther apart
    label_confusion: float = 0.0001  # probability that one object is given labels of two families
    height_spread: float = 0.3  # m, standard deviation of the heights of different vehicles
    appearance_weight: float = 10.0  # log-odds per unit of cosine similarity above `appearance_neutral`
    appearance_neutral: float = 0.6  # cosine similarity that speaks neither for nor against
    max_moves: int = 8  # rounds of moving single nodes after the contraction

    def __post_init__(self) -> None:
        check_range(self, density=(1e-9, 1e3), detection_probability=(0, 0.999), gate_sigma=(0.1, 100))
        check_range(self, outlier_probability=(0, 0.5), outlier_scale=(1, 100), label_confusion=(1e-9, 1))
        check_range(self, level_gap=(0, 1e3), height_spread=(0, 1e3))
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
    camera_set: np.ndarray | None = None,
    site_map: SiteMap | None = None,
) -> Groups:
    """Group the `points` (N rows) of one window and the predicted `tracks`; the order of rows does not matter.

    `camera_set` (T,) tells which cameras saw each track last, as of `Objects`: a point of the same one has its bias.
    What lies on two sides of a wall of the `site_map`, where one is given, is not one object.
    """
    options, tracks = options or AssociationOptions(), tracks if tracks is not None else Tracks()
    labels, levels = ([t.coded(name) for t in (points, tracks)] for name in ("label", "level"))
    families = _families(labels[0].names, labels[1].names)
    level_numbers = common_numbers(levels[0].names, levels[1].names)
    looks, cameras = _unit_rows(points.embedding, tracks.embedding), points.coded("camera")
    given = [
        (
            np.ascontiguousarray(table.xy),
            np.ascontiguousarray(table.cov),
            np.ascontiguousarray(table.bias_cov),
            labels[k].code,
            level_numbers[k].take(levels[k].code),
            np.ascontiguousarray(table.z),
            kind_arrays(labels[k].names).length,
            families[k],
            np.ascontiguousarray(table.height),
            np.ascontiguousarray(table.height_var),
            looks[k],
        )
        for k, table in enumerate((points, tracks))
    ]
    seen = np.zeros(len(tracks), dtype=np.int64) if camera_set is None else camera_set
    sources = _ranks(cameras.names).take(cameras.code), cameras.code, camera_sets(cameras.names), seen
    distinct = _distinct(levels[0].names, levels[1].names)
    fences = NO_WALLS if site_map is None else wall_arrays(site_map, distinct)
    joints = NO_JOINTS if site_map is None else joint_arrays(site_map, distinct, False)
    how = options.density, options.gate_sigma, options.level_gap, edges.FEW, _odds_model(options), options.max_moves
    group, track, good = nodes.group_nodes(*given, *sources, families[2], *how, fences, joints)
    if not good:
        both = np.concatenate([table.cov[:, :2, :2] + table.bias_cov for table in (points, tracks)])
        require_covariances(both, "cov + bias_cov of points, then tracks")
    return Groups(group, track)


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
            2.0 * options.height_spread**2,
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
