"""Log-likelihood ratio of one object against two, for two clusters of nodes.

A row of `stats` is what a cluster's odds need: information xx, xy, yy (1/m²), information times position (1/m),
count, log of the density (1/m²), a count for each of F families of labels, and the embedding (D). The sum over its
nodes is the cluster's, so joining and taking out are additions. `model` is a row of numbers, see `ODDS`.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.pipeline.kernels.compiled import compiled

COUNT, DENSITY, CONTENT = 5, 6, 7  # columns of stats
# what `model` holds: gate²; share and scale² of outliers; log-odds of a missed detection; of labels that differ;
# the weight of appearance and the cosine that is neutral
GATE2, SHARE, WIDE, MISSED, CONFUSION, WEIGHT, NEUTRAL = range(7)
LOG_2PI = math.log(2.0 * math.pi)


@compiled
def state_of(stats, state):
    """Fused x, y (m) and covariance xx, xy, yy (m²) of a cluster's stats into `state` (5,); NaN where unknown."""
    a, b, d, wx, wy = stats[0], stats[1], stats[2], stats[3], stats[4]
    determinant = a * d - b * b
    scale = 1.0 / determinant if determinant > 0.0 else np.nan
    state[0], state[1] = (d * wx - b * wy) * scale, (a * wy - b * wx) * scale
    state[2], state[3], state[4] = d * scale, -b * scale, a * scale


@compiled
def odds_of(a, b, state_a, state_b, n_families, model):
    """Log-likelihood ratio of stats a and b being one object; -inf beyond the gate, 0 where one is empty."""
    if a[COUNT] < 0.5 or b[COUNT] < 0.5:
        return 0.0
    xx, xy, yy = state_a[2] + state_b[2], state_a[3] + state_b[3], state_a[4] + state_b[4]
    determinant = xx * yy - xy * xy
    if not determinant > 0.0:
        return np.nan
    dx, dy = state_a[0] - state_b[0], state_a[1] - state_b[1]
    distance2 = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant
    if not distance2 <= model[GATE2]:
        return -np.inf
    share, wide = model[SHARE], model[WIDE]
    likelihood = (1.0 - share) * math.exp(-0.5 * distance2) + share / wide * math.exp(-0.5 / wide * distance2)
    if not likelihood > 0.0:
        return -np.inf
    log_density = (a[DENSITY] + b[DENSITY]) / (a[COUNT] + b[COUNT])
    odds = math.log(likelihood / math.sqrt(determinant)) - LOG_2PI - log_density
    return odds + _label_odds(a, b, n_families, model) + _look_odds(a, b, n_families, model) + model[MISSED]


@compiled
def _label_odds(a, b, n_families, model):
    """What the families of labels say."""
    of_a, of_b, same = 0.0, 0.0, 0.0
    for k in range(CONTENT, CONTENT + n_families):
        of_a += a[k]
        of_b += b[k]
        same += a[k] * b[k]
    if of_a < 0.5 or of_b < 0.5:
        return 0.0
    return math.log(model[CONFUSION] + (1.0 - model[CONFUSION]) * same / (of_a * of_b))


@compiled
def _look_odds(a, b, n_families, model):
    """What appearance says."""
    aa, bb, ab = 0.0, 0.0, 0.0
    for k in range(CONTENT + n_families, len(a)):
        aa += a[k] * a[k]
        bb += b[k] * b[k]
        ab += a[k] * b[k]
    if not (aa > 1e-18 and bb > 1e-18):
        return 0.0
    return model[WEIGHT] * (ab / math.sqrt(aa * bb) - model[NEUTRAL])
