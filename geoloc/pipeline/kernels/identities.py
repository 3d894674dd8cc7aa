"""What a window's tracks say of the identities that they show, and which bodies lie in one another."""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled


@compiled
def follow(rows, time, tentative, parked, park_s, rate, said, seen_object, xy, z, velocity, cov, bias_cov, level, label,
           still_since, life, found, claimed, own_seen, own_xy, own_z, own_velocity, own_cov, own_bias, own_level,
           own_label, own_still, stood, stood_until):  # fmt: skip
    """Take over what each track (N,) says of the identity in its row of the book (B,), in place.

    `said` (N,) bool is whether a track is confirmed; `life` becomes `tentative`, `tentative` + 1 or `parked`. What
    was parked and is so no more `stood` (B, 2) m where it was, until `stood_until` (B,) s. Where an object is remains
    as it was seen last while its track coasts, or has no point that is its own (`seen_object` < 0).
    """
    for i in range(len(rows)):
        r = rows[i]
        since = min(still_since[i], time)
        stands = said[i] and time - since >= park_s
        if life[r] == parked and not stands:
            stood[r, 0], stood[r, 1], stood_until[r] = own_xy[r, 0], own_xy[r, 1], time
        life[r] = parked if stands else (tentative + 1 if said[i] else tentative)
        found[r] += rate * ((1.0 if seen_object[i] >= 0 else 0.0) - found[r])
        own_still[r], own_label[r] = since, label[i]
        if seen_object[i] < 0:
            continue
        own_seen[r], own_z[r], own_level[r], claimed[r] = time, z[i], level[i], 0.0
        for a in range(2):
            own_xy[r, a], own_velocity[r, a] = xy[i, a], velocity[i, a]
            for b in range(2):
                own_bias[r, a, b] = bias_cov[i, a, b]
        for a in range(4):
            for b in range(4):
                own_cov[r, a, b] = cov[i, a, b]


@compiled
def rows_showing(shown, tracks):
    """The row among `shown` (B,) of each of the tracks (N,), the first of several; -1: none shows it."""
    size = 16
    while size < 2 * len(shown):
        size *= 2
    table, mask = np.full(size, -1, np.int64), size - 1
    for row in range(len(shown)):
        place = (shown[row] * 40503) & mask
        while table[place] >= 0 and shown[table[place]] != shown[row]:
            place = (place + 1) & mask
        if table[place] < 0:
            table[place] = row
    out = np.empty(len(tracks), np.int64)
    for i in range(len(tracks)):
        place = (tracks[i] * 40503) & mask
        while table[place] >= 0 and shown[table[place]] != tracks[i]:
            place = (place + 1) & mask
        out[i] = table[place]
    return out


@compiled
def joined(rows, more, out):
    """Records (B,) and `more` (N,) one after the other in `out` (B + N,): numpy compares their columns first."""
    for i in range(len(rows)):
        out[i] = rows[i]
    for i in range(len(more)):
        out[len(rows) + i] = more[i]
    return out


@compiled
def close_pairs(xy, level, reach):
    """Pairs (P, 2) of rows of xy (N, 2) m on one level that are closer than the `reach` (N,) m of both, in order."""
    order = np.argsort(xy[:, 0])
    most = 0.0
    for i in range(len(reach)):
        most = max(most, reach[i])
    pairs, n = np.empty((max(4 * len(xy), 16), 2), np.int64), 0
    for a in range(len(order)):
        i = order[a]
        for b in range(a + 1, len(order)):
            j = order[b]
            dx, dy, near = xy[j, 0] - xy[i, 0], xy[j, 1] - xy[i, 1], min(reach[i], reach[j])
            if dx > most:
                break
            if level[i] == level[j] and dx * dx + dy * dy < near * near and n < len(pairs):
                pairs[n, 0], pairs[n, 1] = min(i, j), max(i, j)
                n += 1
    return pairs[:n]


@compiled
def share_a_camera(camera, group, first, second):
    """Whether one camera has points of both groups `first` and `second` among the points (N,)."""
    for i in range(len(camera)):
        if group[i] != first:
            continue
        for j in range(len(camera)):
            if group[j] == second and camera[j] == camera[i]:
                return True
    return False
