"""Pairs of tracks that may have been taken for each other: how likely that is, window by window.

See `pipeline.decisions`. Tracks (T,), shadows (2 H,) and open pairs (H,) are records; the `objects` of a window have
xyz (K, 3), cov and bias_cov (K, 3, 3) and camera set (K,). `model` is a row of numbers, see `LEAST` and so on.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined

# log-odds from which on a pair is open, exchanged, and exchanged at the end; how long it is open (s); outliers' share
# and scale²; log-odds of labels that differ; weight of appearance; s of views that err alike; m, the farthest objects;
# twice the variance of vehicles' heights, m²
LEAST, ENOUGH, AT_LAST, LAG, SHARE, WIDE, CONFUSION, WEIGHT, VIEW, REACH, SPREAD2 = range(11)
DROP, KEEP, EXCHANGE = range(3)
SIGMAS = 4.0  # that a track's object may be off
TINY = 1e-300


@inlined
def _fit(k, t, objects, tracks, model):
    """Log-likelihood of object k were it track t's; 0 of none (-1)."""
    xyz, object_cov, object_bias, object_set = objects
    state, cov, bias_cov, own_set = tracks
    said = 0.0
    if k >= 0:
        xx, yy = cov[t, 0, 0] + object_cov[k, 0, 0], cov[t, 1, 1] + object_cov[k, 1, 1]
        xy = cov[t, 0, 1] + object_cov[k, 0, 1]
        if object_set[k] != own_set[t]:  # as in `filters.update`
            xx += object_bias[k, 0, 0] + bias_cov[t, 0, 0]
            yy += object_bias[k, 1, 1] + bias_cov[t, 1, 1]
            xy += object_bias[k, 0, 1] + bias_cov[t, 0, 1]
        determinant = xx * yy - xy * xy
        dx, dy = xyz[k, 0] - state[t, 0], xyz[k, 1] - state[t, 1]
        distance2 = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant
        share, wide = model[SHARE], model[WIDE]
        likelihood = (1.0 - share) * math.exp(-0.5 * distance2) + share / wide * math.exp(-0.5 / wide * distance2)
        said = math.log(max(likelihood, TINY) / math.sqrt(determinant))
    return said


@compiled
def _content(k, t, labels, own_labels, families, looks, own_looks, model):
    """What label, height and appearance of object k say for its being track t's; 0 of none (-1).

    `labels` and `own_labels` are labels (K,), (T,), heights and their variances.
    """
    if k < 0:
        return 0.0
    said = 0.0
    label, height, height_var = labels
    own_label, own_height, own_var = own_labels
    if families[label[k]] != families[own_label[t]]:
        said += model[CONFUSION]
    if height_var[k] > 0.0 and own_var[t] > 0.0:
        own, step = height_var[k] + own_var[t], height[k] - own_height[t]
        both = own + model[SPREAD2]
        ratio = math.sqrt(both / own) * math.exp(0.5 * step * step * (1.0 / both - 1.0 / own))
        said += math.log(model[SHARE] + (1.0 - model[SHARE]) * min(ratio, 1.0))
    dot, own2 = 0.0, 0.0
    for d in range(looks.shape[1]):
        dot += looks[k, d] * own_looks[t, d]
        own2 += own_looks[t, d] * own_looks[t, d]
    if own2 > 1e-18 and not np.isnan(dot):
        said += model[WEIGHT] * dot
    return said


@compiled
def _placed(held):
    """What `_fit` takes of tracks."""
    return held["state"], held["cov"], held["bias_cov"], held["camera_set"]


@compiled
def _kinds(held):
    """What `_content` takes of tracks."""
    return held["label"], held["height"], held["height_var"]


@compiled
def objects_of(rows, n):
    """The object (n,) of each track, -1 where it has none; `rows` (K,) are the objects' tracks."""
    out = np.full(n, -1, np.int64)
    for k in range(len(rows)):
        if rows[k] >= 0:
            out[rows[k]] = k
    return out


@inlined
def _row_of(track, wanted):
    """Place of an id among the ascending `track` (T,); -1: it is not there."""
    low, high = 0, len(track)
    while low < high:
        middle = (low + high) // 2
        if track[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(track) and track[low] == wanted else -1


@compiled
def carry_on(time, passed, model, held, object_of, objects, labels, families, looks, pairs, shadow_held, shadow_looks,
             wanted):  # fmt: skip
    """What becomes of each open pair (H,) in a window `passed` s after the last: DROP, KEEP or EXCHANGE.

    Tracks `first` and `second` were exchanged from `since` on, `until` (NaN: they still are) with these `odds`, all
    in place; rows 2h and 2h + 1 of the shadows are what they would be then, `wanted` (2 H,) the objects of those.
    """
    verdict = np.full(len(pairs), DROP)
    track, confirmed, tracks = held["track"], held["confirmed"], _placed(held)
    since, until, odds = pairs["since"], pairs["until"], pairs["odds"]
    shadows, shadow_labels = _placed(shadow_held), _kinds(shadow_held)
    fresh = min(1.0, passed / model[VIEW]) if model[VIEW] > 0.0 else 1.0
    for h in range(len(pairs)):
        i, j, p, q = _row_of(track, pairs[h]["first"]), _row_of(track, pairs[h]["second"]), 2 * h, 2 * h + 1
        if i < 0 or j < 0:
            continue
        a, b = object_of[i], object_of[j]
        actual = _fit(a, i, objects, tracks, model) + _fit(b, j, objects, tracks, model)
        same = _fit(a, p, objects, shadows, model) + _fit(b, q, objects, shadows, model)
        other = _fit(b, p, objects, shadows, model) + _fit(a, q, objects, shadows, model)
        if np.isnan(until[h]):
            content = 0.0
            for k, own, rival in ((b, p, q), (a, q, p)):
                content += _content(k, own, labels, shadow_labels, families, looks, shadow_looks, model)
                content -= _content(k, rival, labels, shadow_labels, families, looks, shadow_looks, model)
            other += fresh * content
            if same > other - model[LEAST]:  # they are told apart again as they were before
                until[h] = time
        differs = np.isnan(until[h])
        odds[h] += (other if differs else same) - actual
        wanted[p], wanted[q] = (b, a) if differs else (a, b)
        if odds[h] < model[LEAST]:
            continue
        ends = time + passed > since[h] + model[LAG]
        enough = model[AT_LAST] if ends else model[ENOUGH]
        if odds[h] >= enough and a >= 0 and b >= 0 and confirmed[i] == 1 and confirmed[j] == 1:
            verdict[h] = EXCHANGE
        elif not ends:
            verdict[h] = KEEP
    return verdict


@compiled
def ambiguous(model, held, rows, objects, labels, families, looks, own_looks, known_pairs, verdict):
    """Pairs of rows (P, 2) of tracks whose objects may be each other's, first < second, and the log-odds (P,) of that.

    `rows` (K,) are the objects' tracks. Of a pair that is open by now (H,), whichever is likelier stays: the old one,
    or else its verdict becomes DROP.
    """
    n, count = len(held), 0
    object_of = objects_of(rows, n)
    track, level, own_labels, tracks = held["track"], held["level"], _kinds(held), _placed(held)
    state, cov = tracks[0], tracks[1]
    first, second, odds = known_pairs["first"], known_pairs["second"], known_pairs["odds"]
    reach, most = np.empty(n), 0.0
    for t in range(n):
        worst2 = 0.5 * (cov[t, 0, 0] + cov[t, 1, 1]) + math.hypot(0.5 * (cov[t, 0, 0] - cov[t, 1, 1]), cov[t, 0, 1])
        reach[t] = min(SIGMAS * math.sqrt(worst2), model[REACH])
        most = max(most, reach[t])
    order = np.argsort(state[:, 0])
    pairs, found = np.empty((4 * n + 16, 2), np.int64), np.empty(4 * n + 16)
    for at in range(n):
        for beside in range(at + 1, n):
            i, j = min(order[at], order[beside]), max(order[at], order[beside])
            dx, dy, near = state[j, 0] - state[i, 0], state[j, 1] - state[i, 1], reach[i] + reach[j]
            if abs(dx) > reach[order[at]] + most:
                break
            a, b = object_of[i], object_of[j]
            if dx * dx + dy * dy > near * near or level[i] != level[j] or (a < 0 and b < 0) or count == len(pairs):
                continue
            gain = _fit(b, i, objects, tracks, model) + _fit(a, j, objects, tracks, model)
            gain -= _fit(a, i, objects, tracks, model) + _fit(b, j, objects, tracks, model)
            if gain < model[LEAST]:
                continue
            for k, own, rival in ((b, i, j), (a, j, i)):
                gain += _content(k, own, labels, own_labels, families, looks, own_looks, model)
                gain -= _content(k, rival, labels, own_labels, families, looks, own_looks, model)
            if gain < model[LEAST]:
                continue
            known = -1
            for h in range(len(first)):
                if verdict[h] == KEEP and first[h] == track[i] and second[h] == track[j]:
                    known = h
            if known >= 0 and odds[known] >= gain:
                continue
            if known >= 0:
                verdict[known] = DROP
            pairs[count, 0], pairs[count, 1], found[count] = i, j, gain
            count += 1
    return pairs[:count], found[:count]
