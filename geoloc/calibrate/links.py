"""How the cameras of a site hang together: by marks of one point, by distances, by one lens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from geoloc.scene.sitemap import ControlPoint

LEAST_SPREAD = 0.02  # control points narrower than this, beside their length, are as good as on a line


@dataclass(frozen=True)
class Cluster:
    """Cameras that are linked, and the control points that tie them to the map."""

    cameras: tuple[str, ...]
    control_points: tuple[str, ...]


def find_clusters(
    cameras: Sequence[str], camera: np.ndarray, point: np.ndarray, spans: np.ndarray, shared: Sequence[Sequence[str]],
    controls: Sequence[str],
) -> tuple[Cluster, ...]:  # fmt: skip
    """Clusters of the named cameras, largest first.

    `camera` and `point` (N,) str are the marks, `spans` (D, 2) str points that a distance joins, `shared` cameras
    of one lens, `controls` the control points that count.
    """
    names = [*cameras, *np.unique(np.concatenate([point, spans.ravel()])).tolist()]
    points = {name: i + len(cameras) for i, name in enumerate(names[len(cameras) :])}
    rows = {name: i for i, name in enumerate(cameras)}
    edges = [(rows[c], points[p]) for c, p in zip(camera.tolist(), point.tolist(), strict=True)]
    edges += [(points[a], points[b]) for a, b in spans.tolist()]
    edges += [(rows[group[0]], rows[name]) for group in shared for name in group if name in rows and group[0] in rows]
    ends = np.array(edges, dtype=int).reshape(-1, 2)
    graph = sparse.coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(names), len(names)))
    _, label = connected_components(graph, directed=False)
    known = [(points[name], name) for name in controls if name in points]
    found = []
    for value in np.unique(label[: len(cameras)]).tolist():
        mine = tuple(name for i, name in enumerate(cameras) if label[i] == value)
        found.append(Cluster(mine, tuple(name for i, name in known if label[i] == value)))
    return tuple(sorted(found, key=lambda cluster: -len(cluster.cameras)))


def missing(cluster: Cluster, controls: dict[str, ControlPoint], n_upright: int) -> str:
    """What keeps a cluster from having a place on the map, in words; empty where nothing does.

    Place, direction and scale are seven unknowns: three control points that are not on one line, or two and a
    camera's height or plumb lines, which hold the turn about the line through them: `n_upright` cameras have such.
    """
    points = [controls[name] for name in cluster.control_points]
    if len(points) < 2 or (len(points) == 2 and not n_upright):
        more = 3 - len(points)
        seen = f" ({', '.join(map(repr, cluster.control_points))})" if points else ""
        count = f"{len(points)} control point{'s' if len(points) != 1 else ''}{seen}"
        return f"{count} marked, three are needed: mark {more} more, not on one line"
    if len(points) == 2:
        return ""
    xyz = np.array([point.xyz for point in points])
    spread = np.linalg.svd(xyz - xyz.mean(axis=0), compute_uv=False)
    if spread[0] == 0 or (spread[1] < LEAST_SPREAD * spread[0] and not n_upright):
        return f"its {len(points)} control points lie on one line: mark one that stands off it"
    return ""
