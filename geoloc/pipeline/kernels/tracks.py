"""A step of the tracker on all its tracks at once; see `pipeline.tracking`. Rows of `filter_dtype` are records.

`length`, `speed` and `acceleration` (L,) are those of the classes that a record's label numbers.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled
from geoloc.pipeline.kernels.filters import fade, live_on, logit, say_states, update
from geoloc.pipeline.kernels.levels import believe
from geoloc.pipeline.kernels.motion import move_on
from geoloc.pipeline.kernels.resting import rest, resting, settle, wake
from geoloc.pipeline.kernels.sight import cell_of, missed

TURN_RATE_SIGMA = 0.5  # rad/s, of a new track


@compiled
def stand(held, time, rest_s, rest_elsewhere_s, length, least_length, stalls, out):
    """Which tracks (T,) of classes at least so long (m) have stood for long enough: `out` (T,) bool."""
    parks = np.empty(len(held), np.bool_)
    for t in range(len(held)):
        parks[t] = length[held[t]["label"]] >= least_length
    where = parks, stalls, held["level"], held["state"], held["still_since"]
    out[:] = resting(time, rest_s, rest_elsewhere_s, *where)


@compiled
def advance(held, rests, creep, dt, noise, turn_noise, stays):
    """Move tracks on by dt s, in place, none with an object yet; an object outlasts that with probability `stays`.

    Those that `rests` (T,) bool stand still, known within `creep` m/s; see `motion` for the noise (T,).
    """
    rest(rests, creep, held["state"], held["cov"], held["off"], held["off_var"])
    drift(held, dt, noise, turn_noise)
    fade(held["log_odds"], stays)
    held["object"][:] = -1


@compiled
def drift(held, dt, noise, turn_noise):
    """Move tracks on by dt s, in place, and nothing else."""
    state, cov, _ = move_on(held["state"], held["cov"], np.full(len(held), dt), noise, turn_noise)
    held["state"][:], held["cov"][:] = state, cov


@compiled
def take_in(held, rows, time, dt, most, xyz, cov, bias_cov, score, camera_set, number, level, sure, label,
            rests, wake2, length, speed, near, near_sigma, least_length, least_speed, stalls,
            rate, joints):  # fmt: skip
    """Wake, update and settle tracks, in place, those of `rows` (K,) by an object each.

    See `resting`, `filters`, `levels`.
    """
    n = len(held)
    parks, allowed, fast, said = np.empty(n, np.bool_), np.empty(n), np.empty(n), score.copy()
    state, own_cov, still_since = held["state"], held["cov"], held["still_since"]
    if rests.any():
        for t in range(n):
            fast[t] = speed[held[t]["label"]]
        known = held["seen_time"], state, own_cov, held["bias_cov"], held["camera_set"]
        off = held["off"], held["off_var"], still_since
        wake(rows, rests, wake2, xyz, cov, bias_cov, camera_set, *known, fast, time, *off)
        for k in range(len(rows)):
            if rows[k] >= 0 and rests[rows[k]]:
                said[k] = max(score[k], 0.5)  # a box where it stands does not speak against it, however few see it
    believe(held, rows, time, rate, xyz, cov, camera_set, level, sure, joints)
    _update(held, rows, time, most, xyz, cov, bias_cov, said, camera_set, number, label)
    for t in range(n):
        parks[t] = length[held[t]["label"]] >= least_length
        allowed[t] = near * length[held[t]["label"]]
    own = held["level"], state, own_cov, held["anchor"], still_since, held["heading"], held["turned"]
    settle(time, dt, allowed, near_sigma, least_speed, parks, stalls, *own)


@compiled
def _update(held, rows, time, most, xyz, cov, bias_cov, score, camera_set, number, label):
    update(rows, time, most, xyz, cov, bias_cov, score, camera_set, number, label,
           held["state"], held["cov"], held["bias_cov"], held["log_odds"], held["camera_set"], held["seen_time"],
           held["z"], held["label"], held["object"])  # fmt: skip


@compiled
def learn_heights(held, rows, height, var, rate):
    """Take the heights (K,) of objects into the running means of the tracks in `rows` (K,), in place; -1: of none.

    What one object's boxes say errs alike from window to window: the mean is no surer than one of them.
    """
    for k in range(len(rows)):
        if rows[k] < 0 or not var[k] > 0.0:
            continue
        one = held[rows[k]]
        if not one["height_var"] > 0.0:
            one["height"], one["height_var"] = height[k], var[k]
        one["height"] += rate * (height[k] - one["height"])
        one["height_var"] += rate * (var[k] - one["height_var"])


@compiled
def renew(held, wanted, time, most, rate, joints, xyz, cov, bias_cov, score, camera_set, number, level, sure, label):
    """Update tracks (T,) in place by the objects (T,) that they want, several the same one or none (-1)."""
    rows = np.flatnonzero(wanted >= 0)
    k = wanted[rows]
    seen = xyz[k], cov[k], bias_cov[k], score[k], camera_set[k], number[k], label[k]
    believe(held, rows, time, rate, xyz[k], cov[k], camera_set[k], level[k], sure[k], joints)
    _update(held, rows, time, most, *seen)


@compiled
def miss(held, reporting, centre, view, others, radius, height, log_miss, limit):
    """What the cameras (C,) that delivered say against tracks without an object, in place; see `sight.missed`."""
    rows = np.flatnonzero(held["object"] < 0)
    xyz, nobody = np.empty((len(rows), 3)), np.zeros((0, len(reporting)), np.bool_)
    for k in range(len(rows)):
        one = held[rows[k]]
        xyz[k, 0], xyz[k, 1], xyz[k, 2] = one["state"][0], one["state"][1], one["z"]
    level = held["level"][rows]
    against = missed(xyz, level, nobody, reporting, centre, view, others, radius, height, log_miss, limit)
    for k in range(len(rows)):
        held[rows[k]]["log_odds"] += against[k]


@compiled
def bear(born, new, time, next_id, since, reach_sigma, edge_probability, inside_probability, speed, view,
         xyz, cov, bias_cov, score, camera_set, number, level, sure, label):  # fmt: skip
    """Fill `born` (N,) records of tracks for the objects in the rows `new` (N,), `since` s after the window before.

    Where none could be seen as far as an object may have come meanwhile, it is one with `edge_probability`.
    """
    for n in range(len(new)):
        k, one = new[n], born[n]
        x, y, fast = xyz[k, 0], xyz[k, 1], speed[label[k]]
        hidden = view[5][cell_of(view, level[k], x, y)]
        middle, half = 0.5 * (cov[k, 0, 0] + cov[k, 1, 1]), 0.5 * (cov[k, 0, 0] - cov[k, 1, 1])
        reach = reach_sigma * fast * since + math.sqrt(middle + math.hypot(half, cov[k, 0, 1]))
        one["track"], one["seen_time"], one["still_since"] = next_id + n, time, time
        one["state"][0], one["state"][1], one["anchor"][0], one["anchor"][1] = x, y, x, y
        for i in range(2):
            for j in range(2):
                one["cov"][i, j], one["bias_cov"][i, j] = cov[k, i, j], bias_cov[k, i, j]
        for i in range(2, len(one["state"])):
            one["cov"][i, i] = fast * fast if i < 4 else TURN_RATE_SIGMA * TURN_RATE_SIGMA
        one["log_odds"] = logit(edge_probability if hidden <= reach else inside_probability) + logit(score[k])
        one["camera_set"], one["level"], one["z"], one["label"] = camera_set[k], level[k], xyz[k, 2], label[k]
        others = max(len(one["levels"]) - 1, 1)
        for j in range(len(one["levels"])):
            one["levels"][j] = sure[k] if j == level[k] else (1.0 - sure[k]) / others
        one["heading"], one["turned"], one["object"] = np.nan, 0.5 * math.pi, number[k]


@compiled
def go_on(held, born, time, confirm, delete, max_coast, max_sigma, out, kept):
    """Put the tracks that live on, and those that are born, into `out` (T + N,), their rows into `kept`; their number.

    -1 where all do and none is born: then nothing is put there.
    """
    known = held["object"], held["log_odds"], held["cov"], held["bias_cov"], held["seen_time"], held["confirmed"]
    alive = live_on(time, confirm, delete, max_coast, max_sigma, *known)
    if len(born) == 0 and alive.all():
        return -1
    count = 0
    for t in range(len(held)):
        if alive[t]:
            out[count], kept[count] = held[t], t
            count += 1
    for n in range(len(born)):
        if born[n]["log_odds"] >= confirm:
            born[n]["confirmed"] = 1
        out[count], kept[count] = born[n], len(held) + n
        count += 1
    return count


@compiled
def tell(held, track, object_, level, sure, label, xy, z, velocity, cov, bias_cov, heading, turned, still_since, score,
         state):  # fmt: skip
    """Fill the columns (T, ...) of a table of tracks."""
    for t in range(len(held)):
        one = held[t]
        track[t], object_[t], level[t], label[t] = one["track"], one["object"], one["level"], one["label"]
        sure[t] = one["levels"][one["level"]]
        z[t], heading[t], turned[t], still_since[t] = one["z"], one["heading"], one["turned"], one["still_since"]
        for i in range(2):
            xy[t, i], velocity[t, i] = one["state"][i], one["state"][2 + i]
            for j in range(2):
                bias_cov[t, i, j] = one["bias_cov"][i, j]
        for i in range(4):
            for j in range(4):
                cov[t, i, j] = one["cov"][i, j]
    state[:], score[:] = say_states(held["object"], held["log_odds"], held["confirmed"])
