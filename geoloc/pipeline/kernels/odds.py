"""Log-likelihood ratio of one object against two, for two clusters of nodes.

A row of `stats` is what a cluster's odds need: fused x, y (m) and covariance xx, xy, yy (m²), which follow from
information xx, xy, yy (1/m²) and information times position (1/m); count, log of the density (1/m²), information on
the height (1/m²) and that times the height (1/m), a count for each of F families of labels, and the embedding (D).
But for the first five, the sum over its nodes is the cluster's, so joining and taking out are additions. Of a
cluster that is one node, three are its covariance without bias (m²) and one the number of its camera, from 1; of a
track less the number of the one camera that saw it last, 0 of several.
`model` is a row of numbers, see `GATE2` and so on.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import inlined

INFORMATION, COUNT, DENSITY, PLAIN, CAMERA, HEIGHT, CONTENT = 5, 10, 11, 12, 15, 16, 18  # columns of stats
# what `model` holds: gate²; share and scale² of outliers; log-odds of a missed detection; of labels that differ;
# the weight of appearance and the cosine that is neutral; twice the variance of vehicles' heights, m²
GATE2, SHARE, WIDE, MISSED, CONFUSION, WEIGHT, NEUTRAL, SPREAD2 = range(8)
LOG_2PI = math.log(2.0 * math.pi)
KNOWN = 1e-6  # 1/m²; less is what rounding leaves
KEEPS = 0.5  # probability that a camera errs now as it did when it saw the track last


@inlined
def settle(stats, i):
    """Work out the fused position and covariance of row i; NaN where nothing is known."""
    a, b, d, wx, wy = stats[i, 5], stats[i, 6], stats[i, 7], stats[i, 8], stats[i, 9]
    determinant = a * d - b * b
    scale = 1.0 / determinant if determinant > 0.0 else np.nan
    stats[i, 0], stats[i, 1] = (d * wx - b * wy) * scale, (a * wy - b * wx) * scale
    stats[i, 2], stats[i, 3], stats[i, 4] = d * scale, -b * scale, a * scale


@inlined
def odds_of(a, i, b, j, n_families, model):
    """Log-likelihood ratio of row i of stats a and row j of b being one; -inf beyond the gate, 0 where one is empty."""
    odds = 0.0
    if a[i, COUNT] > 0.5 and b[j, COUNT] > 0.5:
        xx, xy, yy = a[i, 2] + b[j, 2], a[i, 3] + b[j, 3], a[i, 4] + b[j, 4]
        determinant = xx * yy - xy * xy
        dx, dy = a[i, 0] - b[j, 0], a[i, 1] - b[j, 1]
        distance2 = np.nan
        if determinant > 0.0:
            distance2 = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant
        odds = -np.inf if determinant > 0.0 else np.nan
        if distance2 <= model[GATE2]:
            density = _density(distance2, determinant, model)
            if a[i, CAMERA] != 0.0 and a[i, CAMERA] == -b[j, CAMERA] and a[i, COUNT] + b[j, COUNT] < 2.5:
                density = (1.0 - KEEPS) * density + KEEPS * _plain_density(a[i], b[j], dx, dy, model)
            if density > 0.0:
                log_density = (a[i, DENSITY] + b[j, DENSITY]) / (a[i, COUNT] + b[j, COUNT])
                odds = math.log(density) - LOG_2PI - log_density + model[MISSED]
                if a[i, HEIGHT] > KNOWN and b[j, HEIGHT] > KNOWN:
                    odds += _height_odds(a[i], b[j], model)
                if a.shape[1] > CONTENT:
                    odds += _label_odds(a[i], b[j], n_families, model) + _look_odds(a[i], b[j], n_families, model)
    return odds


@inlined
def _density(distance2, determinant, model):
    """2 pi times the density of a step of so many squared sigmas, some of which are outliers."""
    share, wide = model[SHARE], model[WIDE]
    likely = (1.0 - share) * math.exp(-0.5 * distance2) + share / wide * math.exp(-0.5 / wide * distance2)
    return likely / math.sqrt(determinant)


@inlined
def _plain_density(a, b, dx, dy, model):
    """The same of a track and a point whose bias is one and the same."""
    xx, xy, yy = a[PLAIN] + b[PLAIN], a[PLAIN + 1] + b[PLAIN + 1], a[PLAIN + 2] + b[PLAIN + 2]
    determinant = xx * yy - xy * xy
    if not determinant > 0.0:
        return 0.0
    return _density((yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant, determinant, model)


@inlined
def _height_odds(a, b, model):
    """What heights say: of one body they differ by their noise, of two by what vehicles differ, too."""
    step = a[HEIGHT + 1] / a[HEIGHT] - b[HEIGHT + 1] / b[HEIGHT]
    own = 1.0 / a[HEIGHT] + 1.0 / b[HEIGHT]
    any_ = own + model[SPREAD2]
    ratio = math.sqrt(any_ / own) * math.exp(0.5 * step * step * (1.0 / any_ - 1.0 / own))
    # most vehicles are as high as one another: that these two are says nothing
    return math.log(model[SHARE] + (1.0 - model[SHARE]) * min(ratio, 1.0))


@inlined
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


@inlined
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
