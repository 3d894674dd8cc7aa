"""Tracks of vehicles that stand: since when, and held there until they are seen to move."""

# mypy: allow-untyped-defs

import math

from geoloc.pipeline.kernels.compiled import compiled
from geoloc.pipeline.kernels.small import inverse_symmetric


@compiled
def settle(time, allowed, sigmas, least_speed, state, cov, anchor, still_since, heading):
    """Note where tracks stand and where they drive.

    `anchor` (T, 2) m and `still_since` (T,) s start anew where a track is farther from its anchor than `allowed` (T,)
    m and than so many sigmas. `heading` (T,) rad follows what drives faster than `least_speed` m/s, by 3 sigmas.
    """
    for t in range(len(state)):
        dx, dy = state[t, 0] - anchor[t, 0], state[t, 1] - anchor[t, 1]
        away2 = dx * dx + dy * dy
        spread2 = 0.5 * (cov[t, 0, 0] + cov[t, 1, 1])
        if away2 > allowed[t] * allowed[t] and away2 > sigmas * sigmas * spread2:
            anchor[t, 0], anchor[t, 1], still_since[t] = state[t, 0], state[t, 1], time
        vx, vy = state[t, 2], state[t, 3]
        speed2 = vx * vx + vy * vy
        sure = 9.0 * (vx * vx * cov[t, 2, 2] + 2.0 * vx * vy * cov[t, 2, 3] + vy * vy * cov[t, 3, 3])
        if speed2 > least_speed * least_speed and speed2 * speed2 > sure:
            heading[t] = math.atan2(vy, vx)


@compiled
def rest(rests, creep, state, cov):
    """Hold the tracks that rest (T,) where they are: no speed, known within `creep` m/s."""
    for t in range(len(rests)):
        if rests[t]:
            for i in range(2, state.shape[1]):
                state[t, i] = 0.0
                for j in range(state.shape[1]):
                    cov[t, i, j] = cov[t, j, i] = 0.0
                cov[t, i, i] = creep * creep


@compiled
def wake(rows, rests, distance2, xyz, object_cov, object_bias, camera_set,
         state, cov, bias_cov, own_set, speed, time, still_since):  # fmt: skip
    """Let tracks that rest move again whose object (K,) is farther off than so many squared sigmas."""
    for k in range(len(rows)):
        t = rows[k]
        if t < 0 or not rests[t]:
            continue
        xx, yy = cov[t, 0, 0] + object_cov[k, 0, 0], cov[t, 1, 1] + object_cov[k, 1, 1]
        xy = cov[t, 0, 1] + object_cov[k, 0, 1]
        if camera_set[k] != own_set[t]:
            xx += object_bias[k, 0, 0] + bias_cov[t, 0, 0]
            xy += object_bias[k, 0, 1] + bias_cov[t, 0, 1]
            yy += object_bias[k, 1, 1] + bias_cov[t, 1, 1]
        a, b, d = inverse_symmetric(xx, xy, yy)
        dx, dy = xyz[k, 0] - state[t, 0], xyz[k, 1] - state[t, 1]
        if a * dx * dx + 2.0 * b * dx * dy + d * dy * dy > distance2:
            still_since[t] = time
            cov[t, 0, 0] += dx * dx
            cov[t, 1, 1] += dy * dy
            cov[t, 2, 2] = cov[t, 3, 3] = speed[t] * speed[t]
