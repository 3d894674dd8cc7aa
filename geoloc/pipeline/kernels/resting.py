"""Tracks of vehicles that stand: since when, and held there until they are seen to move."""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled
from geoloc.pipeline.kernels.bodies import stall_axis

EASE = 1.0  # s, time constant of the running mean of how far off a resting track's objects are
STANDS = 1.0  # s; what stood in a stall for as long is aligned with it
TURN = 0.15  # rad/m, sigma of how fast a vehicle turns: its circles are no narrower than 5 m
LEAST_TURNED = 0.05  # rad, sigma of a heading at best
STARTS = 5.0  # m/s², nothing gathers speed faster
STRAY = 3.0  # sigmas beyond which what a start cannot explain is a stray box


@compiled
def settle(
    time, dt, allowed, sigmas, least_speed, parks, stalls, level, state, cov, anchor, still_since, heading, turned
):
    """Note where tracks stand and how they head.

    `anchor` (T, 2) m and `still_since` (T,) s start anew where a track is farther from its anchor than `allowed` (T,)
    m and than so many sigmas. `heading` (T,) rad follows what drives faster than `least_speed` m/s, by 3 sigmas; what
    stands in a stall and `parks` (T,) heads as that does, for or aft. `turned` (T,) rad is the sigma of that: it grows
    with the way that a track went in the `dt` s since the window before, and what it went from anchor to anchor tells
    how it heads now.
    """
    for t in range(len(state)):
        dx, dy = state[t, 0] - anchor[t, 0], state[t, 1] - anchor[t, 1]
        away2 = dx * dx + dy * dy
        spread2 = 0.5 * (cov[t, 0, 0] + cov[t, 1, 1])
        gone = away2 > allowed[t] * allowed[t] and away2 > sigmas * sigmas * spread2
        if gone:
            anchor[t, 0], anchor[t, 1], still_since[t] = state[t, 0], state[t, 1], time
        vx, vy = state[t, 2], state[t, 3]
        speed2 = vx * vx + vy * vy
        aside = max(vy * vy * cov[t, 2, 2] - 2.0 * vx * vy * cov[t, 2, 3] + vx * vx * cov[t, 3, 3], 0.0)
        sure = 9.0 * (vx * vx * cov[t, 2, 2] + 2.0 * vx * vy * cov[t, 2, 3] + vy * vy * cov[t, 3, 3])
        if speed2 > least_speed * least_speed and speed2 * speed2 > sure:
            heading[t] = math.atan2(vy, vx)
            turned[t] = max(math.sqrt(aside) / speed2, LEAST_TURNED)
            continue
        axis = np.nan
        if parks[t] and time - still_since[t] >= STANDS:
            axis = stall_axis(state[t, 0], state[t, 1], level[t], stalls)
        if np.isfinite(axis):
            backwards = np.isfinite(heading[t]) and math.cos(heading[t] - axis) < 0.0
            heading[t] = axis + math.pi if backwards else axis
            turned[t] = LEAST_TURNED
            continue
        turned[t] = min(turned[t] + TURN * math.sqrt(speed2) * dt, 0.5 * math.pi)
        if gone and np.isfinite(heading[t]):
            off = math.atan2(dy, dx) - heading[t]  # forwards or backwards
            share = turned[t] * turned[t] / (turned[t] * turned[t] + spread2 / away2)
            heading[t] += share * (off - math.pi * round(off / math.pi))
            turned[t] *= math.sqrt(1.0 - share)


@compiled
def resting(time, rest_s, rest_elsewhere_s, parks, stalls, level, state, still_since):
    """Which tracks (T,) of those that park have stood for long enough: in a stall, or elsewhere."""
    out = np.zeros(len(state), np.bool_)
    for t in range(len(state)):
        stood = time - still_since[t]
        if parks[t] and stood >= min(rest_s, rest_elsewhere_s):
            in_stall = np.isfinite(stall_axis(state[t, 0], state[t, 1], level[t], stalls))
            out[t] = stood >= (rest_s if in_stall else rest_elsewhere_s)
    return out


@compiled
def rest(rests, creep, state, cov, off, off_var):
    """Hold the tracks that rest (T,) where they are: no speed, known within `creep` m/s; the others are not off."""
    for t in range(len(rests)):
        if rests[t]:
            for i in range(2, state.shape[1]):
                state[t, i] = 0.0
                for j in range(state.shape[1]):
                    cov[t, i, j] = cov[t, j, i] = 0.0
                cov[t, i, i] = creep * creep
        else:
            off[t, 0] = off[t, 1] = off_var[t] = 0.0


@compiled
def doubt(rests, most, off, cov):
    """Widen the covariances (T, 4, 4) of resting tracks by how far off their objects were, `most` (T,) m at most."""
    for t in range(len(rests)):
        if rests[t]:
            wide2 = 4.0 * min(off[t, 0] * off[t, 0] + off[t, 1] * off[t, 1], most[t] * most[t])
            cov[t, 0, 0] += wide2
            cov[t, 1, 1] += wide2


@compiled
def wake(rows, rests, distance2, xyz, object_cov, object_bias, camera_set, seen_time,
         state, cov, bias_cov, own_set, speed, time, off, off_var, still_since):  # fmt: skip
    """Let tracks that rest move again whose objects (K,) are off by so many squared sigmas in the mean of a second.

    `off` (T, 2) m is that running mean and `off_var` (T,) m² its variance: one stray box moves no parked car, for none
    counts as farther off than the car can have come since it was seen.
    """
    for k in range(len(rows)):
        t = rows[k]
        if t < 0 or not rests[t]:
            continue
        spread = object_cov[k, 0, 0] + object_cov[k, 1, 1] + cov[t, 0, 0] + cov[t, 1, 1]
        if camera_set[k] != own_set[t]:
            spread += object_bias[k, 0, 0] + bias_cov[t, 0, 0] + object_bias[k, 1, 1] + bias_cov[t, 1, 1]
        share = -math.expm1(-min(time - seen_time[t], EASE) / EASE)
        if off_var[t] == 0.0:  # as if it had been there before
            off_var[t] = 0.5 * spread * share / (2.0 - share)
        dx, dy, dt = xyz[k, 0] - state[t, 0], xyz[k, 1] - state[t, 1], time - seen_time[t]
        believed = min(1.0, (STRAY * math.sqrt(0.5 * spread) + 0.5 * STARTS * dt * dt) / max(math.hypot(dx, dy), 1e-9))
        off[t, 0] += share * (believed * dx - off[t, 0])
        off[t, 1] += share * (believed * dy - off[t, 1])
        off_var[t] = (1.0 - share) * (1.0 - share) * off_var[t] + share * share * 0.5 * spread
        away2 = off[t, 0] * off[t, 0] + off[t, 1] * off[t, 1]
        if away2 > distance2 * off_var[t]:
            still_since[t] = time
            cov[t, 0, 0] += 4.0 * away2
            cov[t, 1, 1] += 4.0 * away2
            cov[t, 2, 2] = cov[t, 3, 3] = speed[t] * speed[t]
