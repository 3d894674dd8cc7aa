"""Densities of where, and how fast, an object that was lost is when it is seen again; see `pipeline.link_costs`."""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled

LOG_2PI = math.log(2.0 * math.pi)
SERIES = 1e-2  # of the time in which a velocity is forgotten: below it the closed form cancels


@compiled
def log_normals(step, cov):
    """Log density (K,) of steps (K, d) under normal distributions of mean 0 and covariance (K, d, d)."""
    d = step.shape[1]
    out, factor, left = np.empty(len(step)), np.empty((d, d)), np.empty(d)
    for k in range(len(step)):
        distance2, log_determinant = 0.0, 0.0
        for i in range(d):  # Cholesky's factor, and what it leaves of the step
            left[i] = step[k, i]
            for j in range(i + 1):
                total = cov[k, i, j]
                for m in range(j):
                    total -= factor[i, m] * factor[j, m]
                factor[i, j] = total / factor[j, j] if j < i else math.sqrt(total)
                if j < i:
                    left[i] -= factor[i, j] * left[j]
            left[i] /= factor[i, i]
            distance2 += left[i] * left[i]
            log_determinant += 2.0 * math.log(factor[i, i])
        out[k] = -0.5 * (distance2 + log_determinant + d * LOG_2PI)
    return out


@compiled
def wander(state, cov, dt, speed, turn_s):
    """States (K, 4) and covariances (K, 4, 4) after dt (K,) s; velocities, of sigma `speed`, last for `turn_s`."""
    moved, out = np.empty((len(dt), 4)), np.empty((len(dt), 4, 4))
    for k in range(len(dt)):
        t = dt[k] / turn_s
        kept, lost = math.exp(-t), -math.expm1(-t)
        far, variance = turn_s * lost, speed[k] * speed[k]
        place = 2.0 * t - 2.0 * lost - lost * lost if t > SERIES else 2.0 / 3.0 * t * t * t
        own, both = variance * turn_s * turn_s * place, variance * turn_s * lost * lost
        fast = variance * -math.expm1(-2.0 * t)
        for i in range(2):
            moved[k, i], moved[k, 2 + i] = state[k, i] + far * state[k, 2 + i], kept * state[k, 2 + i]
            for j in range(2):
                xx, xv, vx, vv = cov[k, i, j], cov[k, i, 2 + j], cov[k, 2 + i, j], cov[k, 2 + i, 2 + j]
                same = 1.0 if i == j else 0.0
                out[k, i, j] = xx + far * (xv + vx) + far * far * vv + same * own
                out[k, i, 2 + j] = kept * (xv + far * vv) + same * both
                out[k, 2 + i, j] = kept * (vx + far * vv) + same * both
                out[k, 2 + i, 2 + j] = kept * kept * vv + same * fast
    return moved, out


@compiled
def goes_on(xy, velocity, cov, bias_cov, speed, away, new_xy, new_velocity, new_cov, new_bias, turn_s):
    """As `link_costs.goes_on_density`, of what was lost `away` (K,) s before."""
    n = len(away)
    state, step, anyone = np.empty((n, 4)), np.empty((n, 4)), np.empty((n, 2, 2))
    for k in range(n):
        for i in range(2):
            state[k, i], state[k, 2 + i] = xy[k, i], velocity[k, i]
    moved, joint = wander(state, cov, away, speed, turn_s)
    for k in range(n):
        for i in range(4):
            for j in range(4):
                joint[k, i, j] += new_cov[k, i, j]
        for i in range(2):
            step[k, i], step[k, 2 + i] = new_xy[k, i] - moved[k, i], new_velocity[k, i] - moved[k, 2 + i]
            for j in range(2):
                joint[k, i, j] += bias_cov[k, i, j] + new_bias[k, i, j]
                anyone[k, i, j] = new_cov[k, 2 + i, 2 + j] + (speed[k] * speed[k] if i == j else 0.0)
    return log_normals(step, joint) - log_normals(new_velocity, anyone)


@compiled
def velocity_odds(velocity, cov, speed, new_velocity, new_cov, kept):
    """As `link_costs.velocity_odds`."""
    step, own, anyone = np.empty_like(velocity), np.empty((len(kept), 2, 2)), np.empty((len(kept), 2, 2))
    for k in range(len(kept)):
        share = kept[k] * kept[k]
        for i in range(2):
            step[k, i] = new_velocity[k, i] - kept[k] * velocity[k, i]
            for j in range(2):
                variance = speed[k] * speed[k] if i == j else 0.0
                noise = new_cov[k, 2 + i, 2 + j]
                own[k, i, j] = noise + share * cov[k, 2 + i, 2 + j] + (1.0 - share) * variance
                anyone[k, i, j] = noise + variance
    return log_normals(step, own) - log_normals(new_velocity, anyone)


@compiled
def stays(xy, cov, bias_cov, spread, new_xy, new_cov, new_bias):
    """Log density (K,) 1/m² of the places of objects that stood, whose points lie within `spread` (K,) m."""
    joint = np.empty((len(spread), 2, 2))
    for k in range(len(spread)):
        for i in range(2):
            for j in range(2):
                joint[k, i, j] = cov[k, i, j] + new_cov[k, i, j] + bias_cov[k, i, j] + new_bias[k, i, j]
            joint[k, i, i] += spread[k] * spread[k]
    return log_normals(new_xy - xy, joint)
