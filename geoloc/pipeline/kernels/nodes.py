"""A window's ground points and predicted tracks as nodes of its graph, and its clusters as groups."""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled
from geoloc.pipeline.kernels.clusters import cluster_nodes
from geoloc.pipeline.kernels.edges import candidate_edges
from geoloc.pipeline.kernels.levels import joined
from geoloc.pipeline.kernels.odds import CAMERA, CONTENT, COUNT, DENSITY, HEIGHT, INFORMATION, PLAIN, settle
from geoloc.pipeline.kernels.small import inverse_symmetric, is_covariance, order_of
from geoloc.pipeline.kernels.walls import not_parted


@compiled
def group_nodes(points, tracks, source, camera, camera_sets, camera_set, n_families, density, gate, level_gap, few,
                model, max_moves, walls, joints):  # fmt: skip
    """The group (N,) of each point, the track (G,) of each group or -1, and whether all covariances are some.

    `points` and `tracks` are what `fill_nodes` takes of either, `source` (N,) the places of the points' cameras in
    order. `camera` (N,) counts through `camera_sets` (K,), those of one camera each, and `camera_set` (T,) tells who
    saw a track last. `walls` are `start` and `piece` of `not_parted`, `joints` as of `kernels.levels`.
    """
    xy, looks = points[0], points[-1]
    order, sources = order_nodes(source, xy, tracks[0], len(camera_sets))
    n = len(order)
    columns = np.empty((n, 2)), np.empty(n), np.empty(n, np.int64), np.empty(n)
    stats = np.zeros((n, CONTENT + n_families + looks.shape[1]))
    good = fill_nodes(order, 0, points, camera + 1, n_families, density, columns, stats)
    last = last_camera(camera_set, camera_sets)
    good = fill_nodes(order, len(xy), tracks, last, n_families, density, columns, stats) and good
    place, reach, level, z = columns
    pairs = candidate_edges(place, reach, gate, sources, level, z, level_gap, few)
    if len(walls[1]):
        pairs = not_parted(pairs, place, reach, level, walls[0], walls[1])
    if len(joints[3]) > 1:
        pairs = joined(pairs, place, reach, level, joints)
    cluster = cluster_nodes(stats, sources, pairs, n_families, model, max_moves)
    group, track = groups_of(cluster, order, len(xy))
    return group, track, good


@compiled
def order_nodes(source, xy, track_xy, n_sources):
    """Nodes (n,) in an order that depends on what each is alone: by source, then place; tracks come last.

    Also the source of each node in that order. Numbers up to N are points xy (N, 2), the others tracks.
    """
    n_points, n = len(xy), len(xy) + len(track_xy)
    keys = np.empty((n, 3))
    for i in range(n_points):
        keys[i, 0], keys[i, 1], keys[i, 2] = source[i], xy[i, 0], xy[i, 1]
    for i in range(n_points, n):
        keys[i, 0], keys[i, 1], keys[i, 2] = n_sources, track_xy[i - n_points, 0], track_xy[i - n_points, 1]
    order = order_of(keys)
    sorted_source = np.empty(n, np.int64)
    for i in range(n):
        sorted_source[i] = np.int64(keys[order[i], 0])
    return order, sorted_source


@compiled
def fill_nodes(order, first, given, camera, n_families, density, columns, stats):
    """Put points, or tracks, into their places of the nodes' arrays; of `order` (n,) they are the numbers from `first`.

    `given` are xy, cov, bias_cov, the labels' codes, level, z, length (K,) m and family (K,) of the codes, -1 for
    none, height and its variance, NaN where not known, and looks (N, D) of unit length. `columns` are xy, reach, level
    and z of nodes; a node's reach is its worst standard deviation. See `odds` for `stats` and for `camera` (N,). False
    where some cov + bias_cov is no covariance.
    """
    xy, cov, bias_cov, label, level, z, length, family, height, height_var, looks = given
    out_xy, out_reach, out_level, out_z = columns
    log_density, good = math.log(density), True
    for k in range(len(order)):
        i = order[k] - first
        if not 0 <= i < len(xy):
            continue
        xx, yy = cov[i, 0, 0] + bias_cov[i, 0, 0], cov[i, 1, 1] + bias_cov[i, 1, 1]
        xy_ = cov[i, 0, 1] + bias_cov[i, 0, 1]
        good = good and is_covariance(xx, xy_, cov[i, 1, 0] + bias_cov[i, 1, 0], yy)
        a, b, d = inverse_symmetric(xx, xy_, yy)
        out_xy[k] = xy[i]
        out_reach[k] = math.sqrt(0.5 * (xx + yy) + math.hypot(0.5 * (xx - yy), xy_))
        out_level[k], out_z[k] = level[i], z[i]
        row = stats[k]
        row[INFORMATION], row[INFORMATION + 1], row[INFORMATION + 2] = a, b, d
        row[INFORMATION + 3] = a * xy[i, 0] + b * xy[i, 1]
        row[INFORMATION + 4] = b * xy[i, 0] + d * xy[i, 1]
        row[PLAIN], row[PLAIN + 1], row[PLAIN + 2] = cov[i, 0, 0], cov[i, 0, 1], cov[i, 1, 1]
        row[CAMERA] = camera[i]
        row[COUNT], row[DENSITY] = 1.0, log_density - 2.0 * math.log(length[label[i]])
        if height_var[i] > 0.0:
            row[HEIGHT], row[HEIGHT + 1] = 1.0 / height_var[i], height[i] / height_var[i]
        if n_families > 0 and family[label[i]] >= 0:
            row[CONTENT + family[label[i]]] = 1.0
        for j in range(looks.shape[1]):
            row[CONTENT + n_families + j] = looks[i, j]
        settle(stats, k)
    return good


@compiled
def last_camera(camera_set, numbers):
    """Less the place, from 1, of the one camera among `numbers` (K,) that makes each set (T,); 0 where none does."""
    out = np.zeros(len(camera_set), np.int64)
    for t in range(len(camera_set)):
        for k in range(len(numbers)):
            if numbers[k] == camera_set[t]:
                out[t] = -1 - k
    return out


@compiled
def groups_of(cluster, order, n_points):
    """The group (N,) of each point, numbered by the clusters' numbers, and the track (G,) of each group or -1."""
    number = np.full(len(cluster), -1, np.int64)
    for k in range(len(order)):
        if order[k] < n_points:
            number[cluster[k]] = 0
    n_groups = 0
    for c in range(len(cluster)):
        if number[c] == 0:
            number[c] = n_groups
            n_groups += 1
    group, track = np.empty(n_points, np.int64), np.full(n_groups, -1, np.int64)
    for k in range(len(order)):
        g = number[cluster[k]]
        if order[k] < n_points:
            group[order[k]] = g
        elif g >= 0:
            track[g] = max(track[g], order[k] - n_points)
    return group, track
