"""The tracker's loops: Kalman update of tracks by objects, their existence, and which of them live on."""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.small import inverse_symmetric

LEAST_PROBABILITY = 1e-12  # probabilities are held within this of 0 and 1
TENTATIVE, CONFIRMED, COASTING = range(3)


@inlined
def logit(probability):
    """Log-odds of a probability."""
    p = min(max(probability, LEAST_PROBABILITY), 1.0 - LEAST_PROBABILITY)
    return math.log(p / (1.0 - p))


@compiled
def fade(log_odds, stays):
    """Log-odds (T,) of existence after a time that an object outlasts with the probability `stays`, in place."""
    for t in range(len(log_odds)):
        log_odds[t] = logit(stays / (1.0 + math.exp(-log_odds[t])))


@compiled
def rows_of_ids(ids, wanted):
    """Place (K,) of each wanted id (K,) among the ascending `ids` (T,); -1 where it is -1."""
    out = np.full(len(wanted), -1, np.int64)
    for k in range(len(wanted)):
        low, high = 0, len(ids)
        while low < high and wanted[k] >= 0:
            middle = (low + high) // 2
            if ids[middle] < wanted[k]:
                low = middle + 1
            else:
                high = middle
        if wanted[k] >= 0:
            out[k] = low
    return out


@compiled
def update(rows, time, most, xyz, object_cov, object_bias, score, camera_set, number, label,
           state, cov, bias_cov, log_odds, own_set, seen_time, own_z, own_label, own_object):  # fmt: skip
    """Kalman update in place (Joseph's form) of the tracks in `rows` (K,) by one object each; -1: of none.

    Objects at xyz (K, 3) with cov and bias_cov (K, 3, 3), score, camera set, number and label (K,); tracks of
    state (T, d), cov (T, d, d), bias_cov (T, 2, 2), log_odds (T,), held below `most`, and what else is kept of them.
    """
    size = state.shape[1]
    gain, kept = np.empty((size, 2)), np.empty((size, size))
    for k in range(len(rows)):
        t = rows[k]
        if t < 0:
            continue
        xx, yy = object_cov[k, 0, 0], object_cov[k, 1, 1]
        xy = 0.5 * (object_cov[k, 0, 1] + object_cov[k, 1, 0])
        if camera_set[k] != own_set[t]:  # other cameras, other persistent errors: the step between them is no motion
            xx += object_bias[k, 0, 0] + bias_cov[t, 0, 0]
            yy += object_bias[k, 1, 1] + bias_cov[t, 1, 1]
            xy += object_bias[k, 0, 1] + bias_cov[t, 0, 1]
        a, b, d = inverse_symmetric(cov[t, 0, 0] + xx, cov[t, 0, 1] + xy, cov[t, 1, 1] + yy)
        off_x, off_y = xyz[k, 0] - state[t, 0], xyz[k, 1] - state[t, 1]
        for i in range(size):
            gain[i, 0] = cov[t, i, 0] * a + cov[t, i, 1] * b
            gain[i, 1] = cov[t, i, 0] * b + cov[t, i, 1] * d
            state[t, i] += gain[i, 0] * off_x + gain[i, 1] * off_y
        _joseph(gain, xx, xy, yy, cov[t], kept)
        log_odds[t] = min(log_odds[t] + logit(score[k]), most)
        for i in range(2):
            for j in range(2):
                bias_cov[t, i, j] = object_bias[k, i, j]
        own_set[t], seen_time[t], own_object[t] = camera_set[k], time, number[k]
        own_z[t], own_label[t] = xyz[k, 2], label[k]


@inlined
def _joseph(gain, xx, xy, yy, cov, half):
    """(I - K H) P (I - K H)' + K R K' in place of P (d, d), with room (d, d) to work in."""
    size = len(cov)
    for i in range(size):
        for j in range(size):
            half[i, j] = cov[i, j] - gain[i, 0] * cov[0, j] - gain[i, 1] * cov[1, j]
    for i in range(size):
        left, right = gain[i, 0] * xx + gain[i, 1] * xy, gain[i, 0] * xy + gain[i, 1] * yy
        for j in range(size):
            kept = half[i, j] - half[i, 0] * gain[j, 0] - half[i, 1] * gain[j, 1]
            cov[i, j] = kept + left * gain[j, 0] + right * gain[j, 1]
    for i in range(size):
        for j in range(i):
            cov[i, j] = cov[j, i] = 0.5 * (cov[i, j] + cov[j, i])


@compiled
def live_on(time, confirm, delete, max_coast, max_sigma, seen, log_odds, cov, bias_cov, seen_time, confirmed):
    """Which tracks (T,) are not forgotten; those whose log-odds reach `confirm` become confirmed, in place.

    A track is kept where an object was `seen` (T,) >= 0 of it, or as long as its log-odds are above `delete`,
    it was seen within max_coast (s), and its position is known within max_sigma (m).
    """
    out = np.empty(len(seen), np.bool_)
    for t in range(len(seen)):
        if log_odds[t] >= confirm:
            confirmed[t] = 1
        xx, yy = cov[t, 0, 0] + bias_cov[t, 0, 0], cov[t, 1, 1] + bias_cov[t, 1, 1]
        xy = cov[t, 0, 1] + bias_cov[t, 0, 1]
        sigma = math.sqrt(0.5 * (xx + yy) + math.hypot(0.5 * (xx - yy), xy))
        keeps = log_odds[t] > delete and time - seen_time[t] <= max_coast and sigma <= max_sigma
        out[t] = seen[t] >= 0 or keeps
    return out


@compiled
def say_states(seen, log_odds, confirmed):
    """What each track is (T,), TENTATIVE, CONFIRMED or COASTING, and the probability (T,) that it exists."""
    said, score = np.empty(len(seen), np.int64), np.empty(len(seen))
    for t in range(len(seen)):
        said[t] = TENTATIVE if confirmed[t] == 0 else (COASTING if seen[t] < 0 else CONFIRMED)
        score[t] = 1.0 / (1.0 + math.exp(-log_odds[t]))
    return said, score
