"""How tracks move on: the loops of `pipeline.motion`."""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined

SMALL_TURN = 1e-4  # rad over a step, below which the turn's limits are used


@compiled
def move_on(state, cov, dt, noise, turn_noise):
    """States (T, d), covariances (T, d, d) after dt (T,) s, and transitions (T, d, d), d = 4 or, with turns, 5.

    `noise` (T,) is the acceleration's density in m/s^1.5, `turn_noise` the turn rate's in rad/s^1.5.
    """
    n, size = state.shape
    moved, spread, transition = state.copy(), np.zeros((n, size, size)), np.zeros((n, size, size))
    half = np.empty((size, size))
    for t in range(n):
        for k in range(size):
            transition[t, k, k] = 1.0
        if size == 4:
            transition[t, 0, 2] = transition[t, 1, 3] = dt[t]
            moved[t, 0] += dt[t] * state[t, 2]
            moved[t, 1] += dt[t] * state[t, 3]
        else:
            _turn(state[t], dt[t], moved[t], transition[t])
            spread[t, 4, 4] = turn_noise * turn_noise * dt[t]
        _add_acceleration(noise[t] * noise[t], dt[t], spread[t])
        _carry(transition[t], cov[t], half, spread[t])
    return moved, spread, transition


@inlined
def _turn(state, dt, moved, transition):
    vx, vy, rate = state[2], state[3], state[4]
    turn = rate * dt
    sin, cos = math.sin(turn), math.cos(turn)
    if abs(turn) < SMALL_TURN:
        a, b, da, db = dt, 0.5 * turn * dt, -turn * dt * dt / 3.0, 0.5 * dt * dt
    else:
        a, b = sin / rate, (1.0 - cos) / rate  # integrals of cos and sin
        da, db = (turn * cos - sin) / (rate * rate), (turn * sin - 1.0 + cos) / (rate * rate)
    moved[0] += a * vx - b * vy
    moved[1] += b * vx + a * vy
    moved[2], moved[3] = cos * vx - sin * vy, sin * vx + cos * vy
    transition[0, 2], transition[0, 3] = a, -b
    transition[1, 2], transition[1, 3] = b, a
    transition[2, 2], transition[2, 3] = cos, -sin
    transition[3, 2], transition[3, 3] = sin, cos
    transition[0, 4], transition[1, 4] = da * vx - db * vy, db * vx + da * vy
    transition[2, 4], transition[3, 4] = -dt * moved[3], dt * moved[2]


@inlined
def _add_acceleration(density, dt, spread):
    for i in range(2):
        spread[i, i] += density * dt * dt * dt / 3.0
        spread[i, i + 2] += density * dt * dt / 2.0
        spread[i + 2, i] += density * dt * dt / 2.0
        spread[i + 2, i + 2] += density * dt


@inlined
def _carry(transition, cov, half, out):
    """Add F cov F' to `out`, both halves alike, with room (d, d) to work in."""
    size = len(cov)
    for i in range(size):
        for j in range(size):
            half[i, j] = 0.0
        for k in range(size):
            if transition[i, k] != 0.0:
                for j in range(size):
                    half[i, j] += transition[i, k] * cov[k, j]
    for i in range(size):
        for j in range(i, size):
            total = 0.0
            for k in range(size):
                total += half[i, k] * transition[j, k]
            out[i, j] += total
            if i != j:
                out[j, i] += total
