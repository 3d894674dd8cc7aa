"""Precision over recall of rankings, interpolated: the highest precision that any place with as much recall has."""

from collections.abc import Sequence

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.judging import Rankings
from geoloc.metrics.tied_groups import without_ties

ELEVEN = tuple(k / 10 for k in range(11))  # TREC's recalls


def interpolated_precision(
    rankings: Rankings, recalls: Sequence[float] = ELEVEN, ties: str = "listed", least_grade: int = 1
) -> np.ndarray:
    """Interpolated precision (Q, R) of each query at `recalls` (R,), 0 to 1 (Manning et al. 2008, eq. 8.7).

    trec_eval's iprec_at_recall. Ties take the `ties` order "listed", "optimistic" or "pessimistic": interpolation is
    a maximum, so it has no expected value in closed form. Rows of queries without a right item are 0.
    """
    wanted = np.asarray(recalls, float)
    if wanted.ndim != 1 or not ((wanted >= 0) & (wanted <= 1)).all():
        raise InputError(f"recalls {wanted.tolist()}; give numbers from 0 to 1")
    placed = without_ties(rankings, ties)
    rows = np.flatnonzero(placed.grade >= least_grade)
    query, rank = placed.hit_query[rows], placed.before[rows] + 1
    n_relevant = np.bincount(rankings.truth_query[rankings.truth_grade >= least_grade], minlength=len(rankings))
    out = np.zeros((len(rankings), len(wanted)))
    cuts = np.searchsorted(query, np.arange(len(rankings) + 1))
    for q in np.flatnonzero(np.diff(cuts)):
        precision = np.arange(1, cuts[q + 1] - cuts[q] + 1) / rank[cuts[q] : cuts[q + 1]]
        best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        # how many right items a recall asks for; a hair of slack: 0.3 of 10 are 3, whatever the rounding
        needed = np.maximum(np.ceil(wanted * n_relevant[q] - 1e-9).astype(int), 1)
        out[q] = best[np.minimum(needed, len(precision) + 1) - 1]
    return out
