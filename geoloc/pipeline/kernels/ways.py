"""Ways of objects kept as few keys: what a window says of each, and where a new key is needed; see `pipeline.history`.

Rows of `key_dtype` are records.
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled, inlined

LEAST_S = 1e-9  # s between two keys


@compiled
def say(number, sure, last, sight_s, time, seen_object, xy, z, cov, bias_cov, score, revision, level, label, life,
        now, before, object_of):  # fmt: skip
    """Fill `now` (N,) records of a window's tracks (N,), by number, and what each was `before`; how many are known.

    `before` (N,) is the row among the `last` records, which are sorted by number, -1 of a new one. Known are those
    that are `sure` (N,) bool, and those noted before; `object_of` (N,) is the object of each.
    """
    count = 0
    for i in np.argsort(number, kind="mergesort"):
        b = _place(last["number"], number[i])
        if b < 0 and not sure[i]:
            continue
        one = now[count]
        one["number"], one["time"], one["z"], one["score"] = number[i], time[i], z[i], score[i]
        one["revision"], one["level"], one["label"], one["life"] = revision[i], level[i], label[i], life[i]
        one["xy"][0], one["xy"][1] = xy[i, 0], xy[i, 1]
        one["cov"][0], one["cov"][1] = cov[i, 0, 0] + bias_cov[i, 0, 0], cov[i, 0, 1] + bias_cov[i, 0, 1]
        one["cov"][2] = cov[i, 1, 1] + bias_cov[i, 1, 1]
        seen = time[i] if seen_object[i] >= 0 or b < 0 else 0.0
        if b >= 0:
            seen = max(seen, last[b]["seen"])
        one["seen"], one["in_sight"] = seen, time[i] - seen <= sight_s
        before[count], object_of[count] = b, seen_object[i]
        count += 1
    return count


@inlined
def _place(numbers, wanted):
    """Row of a number among ascending ones, or -1."""
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(numbers) and numbers[low] == wanted else -1


@compiled
def mark_cameras(now, object_of, camera, point_object):
    """Set the bit of each camera (P,) with a point of the object (N,) of each record; -1: of none."""
    order = np.argsort(object_of, kind="mergesort")
    objects = object_of[order]
    for p in range(len(camera)):
        if point_object[p] >= 0 and camera[p] >= 0:
            k = _place(objects, point_object[p])
            if k >= 0:
                now[order[k]]["cameras"][camera[p] >> 3] |= np.uint8(128 >> (camera[p] & 7))


@compiled
def go_on(now, before, last, key, low, high, tolerance, blur, score_step, new_key, new_low, new_high, bends, begins):
    """Which objects need a key where they were last, `bends` (N,) bool, and which one where they are, `begins` (N,).

    `low` and `high` (L, 2) m/s are the ways from each `key` (L,) that pass all since; those of the N objects after
    this window become `new_key`, `new_low` and `new_high`. A way may be off by `tolerance` m, or `blur` (K,) of a
    position's sigma, by its life.
    """
    for i in range(len(now)):
        here, b = now[i], before[i]
        new_low[i], new_high[i], bends[i], begins[i] = -np.inf, np.inf, False, True
        if b < 0:
            new_key[i] = here
            continue
        was, start = last[b], key[b]
        dt = max(here["time"] - start["time"], LEAST_S)
        begins[i] = _changes(here, was, start, score_step)
        turns = begins[i]
        for a in range(2):
            way = (here["xy"][a] - start["xy"][a]) / dt
            turns = turns or way < low[b, a] or way > high[b, a]
        bends[i] = turns and was["time"] > start["time"]
        if not turns:
            for k in range(len(here["cameras"])):
                here["cameras"][k] |= was["cameras"][k]
            new_low[i], new_high[i] = low[b], high[b]
        if begins[i]:
            new_key[i], new_low[i], new_high[i] = here, -np.inf, np.inf
            continue
        new_key[i] = was if turns else start
        _narrow(here, new_key[i], tolerance, blur, new_low[i], new_high[i])


@inlined
def _changes(now, last, key, score_step):
    """Whether anything but the position differs from before."""
    for_sure = now["life"] != last["life"] or now["level"] != last["level"] or now["label"] != last["label"]
    for_sure = for_sure or now["revision"] != last["revision"] or now["in_sight"] != last["in_sight"]
    return for_sure or (abs(now["score"] - key["score"]) > score_step and not now["in_sight"])


@inlined
def _narrow(now, key, tolerance, blur, low, high):
    """Leave the ways from `key` that pass `now` within the tolerance, too."""
    dt = max(now["time"] - key["time"], LEAST_S)
    sigma = np.sqrt(np.float32(0.5) * (now["cov"][0] + now["cov"][2]))
    room = max(tolerance, blur[now["life"]] * sigma)
    for a in range(2):
        step = now["xy"][a] - key["xy"][a]
        low[a], high[a] = max(low[a], (step - room) / dt), min(high[a], (step + room) / dt)
