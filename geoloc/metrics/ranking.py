"""How good rankings are: mean average precision, CMC, recall, mINP and nDCG, with ties in the scores dealt with.

Items of equal score have no order. By default a figure is its expected value over all their orders (McSherry and
Najork 2008, "Computing information retrieval performance measures efficiently in the presence of tied scores").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.metrics.judging import Rankings
from geoloc.metrics.tied_groups import Groups, first_place, harmonic_between, tied_groups, tied_queries, without_ties

# "listed" takes tied items as they stand in the rows or lists; of runs: by item, descending, as trec_eval does.
TIES = ("expected", "optimistic", "pessimistic", "listed")

# Which queries count. "with_positives": those of the truth that have a right item, 0 where the run ranks nothing.
# "trec_eval": those that the run ranks, 0 without a right item. "trec_eval_complete" (its option -c): all of the
# truth, 0 without a right item.
QUERIES = ("with_positives", "trec_eval", "trec_eval_complete")

AT_CUTOFFS = ("hit_rate", "precision", "recall", "ndcg", "ndcg_exp")


def mean_of_counts(n: np.ndarray) -> np.ndarray:
    """The figure of pooled counts (..., 2): summed values of queries, and how many queries."""
    return n[..., 0] / n[..., 1]


@dataclass(frozen=True, eq=False)
class RankingScores:
    """Figures of Q queries, each 0 to 1 and kept per query, so that their mean can be bootstrapped over queries.

    `values` (Q,) by figure:
    "map": average precision, TREC's: mean over the right items of the precision at each, 0 for one not ranked.
    "map_trapezoid": area under precision and recall by trapezoids, Oxford buildings' and Market-1501's first tools.
    "minp": right items over the rank of the last of them (Ye et al. 2021, eq. 4); 0 if one is not ranked.
    "mrr": 1 / rank of the first right item.
    And at each cutoff k, "NAME@k" with NAME of AT_CUTOFFS:
    "hit_rate@k": whether a right item is among the first k: the CMC curve, and what place recognition calls R@k.
    "precision@k": right items among the first k over k. "recall@k": over all right items.
    "ndcg@k": discounted gain, grade / log2(1 + rank), over that of the best ranking (Järvelin and Kekäläinen 2002;
    trec_eval's ndcg_cut_k). "ndcg_exp@k": with gain 2^grade - 1 (Burges et al. 2005). "ndcg", "ndcg_exp": uncut.

    `first_rank` (Q,): expected rank of the first right item, inf where none is ranked. `n_relevant` (Q,): right items.
    Queries that are counted and told: `without_positive` have no right item, `missing` have one but rank nothing,
    `tied` have right items in ties whose order matters, `unknown` are ranked but not in the truth.
    """

    query: np.ndarray
    values: dict[str, np.ndarray]
    cutoffs: tuple[int, ...]
    first_rank: np.ndarray
    n_relevant: np.ndarray
    without_positive: int
    missing: int
    tied: int
    unknown: int
    ties: str
    queries: str

    def figure(self, name: str) -> float:
        """Mean of a figure of `values` over the queries."""
        return float(self._values(name).mean())

    def counts(self, name: str) -> np.ndarray:
        """Value and 1 of each query, (Q, 2), for `block_bootstrap` with `mean_of_counts`."""
        values = self._values(name)
        return np.stack([values, np.ones(len(values))], axis=1)

    def curve(self, name: str) -> np.ndarray:
        """A figure of AT_CUTOFFS at each of the cutoffs (K,); that of "hit_rate" is the CMC curve."""
        return np.array([self.figure(f"{name}@{k}") for k in self.cutoffs])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures has to know, a line each."""
        unanswerable, unranked = {
            "with_positives": ("left out", "0"),
            "trec_eval": ("0, left out if not ranked", "left out"),
            "trec_eval_complete": ("0", "0"),
        }[self.queries]
        told = (
            (self.without_positive, f"have no right item: {unanswerable}"),
            (self.missing, f"are not ranked: {unranked}"),
            (self.unknown, "are ranked but not in the truth: left out"),
            (self.tied, f"have ties between right and wrong items: {self.ties}"),
        )
        return tuple(f"{n} queries {what}" for n, what in told if n)

    def _values(self, name: str) -> np.ndarray:
        if name not in self.values:
            raise unknown_name("ranking figure", name, self.values)
        return self.values[name]


def score_rankings(
    rankings: Rankings,
    cutoffs: Sequence[int] = (1, 5, 10),
    ties: str = "expected",
    queries: str = "with_positives",
    least_grade: int = 1,
) -> RankingScores:
    """All figures of judged rankings; see RankingScores for what each is.

    `ties` is one of TIES, `queries` one of QUERIES. Items are right from `least_grade` on (nDCG goes by all
    grades). InputError where no query is left: an empty truth gives no figure.
    """
    cutoffs = _checked(cutoffs, ties, queries)
    n_relevant = np.bincount(rankings.truth_query[rankings.truth_grade >= least_grade], minlength=len(rankings))
    kept = _kept(rankings, n_relevant, queries)
    placed = rankings if ties == "expected" else without_ties(rankings, ties)
    groups = tied_groups(placed, least_grade)
    values, first_rank = _first_figures(groups, cutoffs, len(rankings))
    values |= _average_precision(groups, n_relevant)
    values |= _inverse_penalty(groups, n_relevant)
    values |= _cut_figures(groups, n_relevant, cutoffs)
    values |= _gain_figures(placed, cutoffs)
    return RankingScores(
        query=rankings.query[kept],
        values={name: value[kept] for name, value in values.items()},
        cutoffs=cutoffs,
        first_rank=first_rank[kept],
        n_relevant=n_relevant[kept],
        without_positive=int((n_relevant == 0).sum()),
        missing=int(((rankings.length == 0) & (n_relevant > 0)).sum()),
        tied=int(tied_queries(rankings)[kept].sum()),
        unknown=len(rankings.unknown),
        ties=ties,
        queries=queries,
    )


def _checked(cutoffs: Sequence[int], ties: str, queries: str) -> tuple[int, ...]:
    if ties not in TIES:
        raise unknown_name("way with ties", ties, TIES)
    if queries not in QUERIES:
        raise unknown_name("choice of queries", queries, QUERIES)
    if any(k < 1 or k != int(k) for k in cutoffs):
        raise InputError(f"cutoffs {list(cutoffs)}; give ranks from 1 on")
    return tuple(int(k) for k in cutoffs)


def _kept(rankings: Rankings, n_relevant: np.ndarray, queries: str) -> np.ndarray:
    everyone = np.ones(len(rankings), dtype=bool)
    choices = {"with_positives": n_relevant > 0, "trec_eval": rankings.length > 0, "trec_eval_complete": everyone}
    kept = np.flatnonzero(choices[queries])
    if not n_relevant[kept].any():
        raise InputError(f"none of {len(rankings)} queries has a right item; check the truth's names and labels")
    return kept


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 for the queries without a right item, whose whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _average_precision(g: Groups, n_relevant: np.ndarray) -> dict[str, np.ndarray]:
    """Expected sums over a group's places i = 1..n of P(right at i) (expected right ones up to i) / (before + i)."""
    share = g.right / g.n
    step = (g.right - 1) / np.maximum(g.n - 1, 1)  # expected right ones among those before another right one, a place
    here = harmonic_between(g.before, g.n)
    at = share * ((g.so_far + 1) * here + step * (g.n - (g.before + 1) * here))
    last = harmonic_between(np.maximum(g.before - 1, 0), g.n)
    above = share * (g.so_far * last + step * (g.n - g.before * last))
    above = np.where(g.before == 0, share * g.right, above)  # precision before the first place counts as 1
    n = len(n_relevant)
    return {
        "map": _over(g.per_query(at, n), n_relevant),
        "map_trapezoid": _over(g.per_query(0.5 * (at + above), n), n_relevant),
    }


def _inverse_penalty(g: Groups, n_relevant: np.ndarray) -> dict[str, np.ndarray]:
    value = np.zeros(len(n_relevant))
    last = np.flatnonzero(np.diff(g.query, append=-1) != 0)
    complete = last[(g.so_far + g.right)[last] == n_relevant[g.query[last]]]
    bottom = 1.0 / (g.before + g.n)[complete]
    for i in np.flatnonzero(g.right[complete] < g.n[complete]):
        m = complete[i]
        chance = first_place(int(g.n[m]), int(g.right[m]))
        bottom[i] = np.sum(chance / (g.before[m] + g.n[m] - np.arange(len(chance))))
    value[g.query[complete]] = n_relevant[g.query[complete]] * bottom
    return {"minp": value}


def _first_figures(g: Groups, cutoffs: tuple[int, ...], n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the first right item decides: reciprocal rank and hit rates; and its expected rank (Q,)."""
    first = np.flatnonzero(np.diff(g.query, prepend=-1) != 0)
    query, before = g.query[first], g.before[first]
    reciprocal, rank = np.zeros(n), np.full(n, np.inf)
    reciprocal[query] = 1.0 / (before + 1)
    rank[query] = before + (g.n[first] + 1) / (g.right[first] + 1)
    hit = np.zeros((n, len(cutoffs)))
    hit[query] = before[:, None] < np.array(cutoffs, dtype=int)
    for i in np.flatnonzero(g.right[first] < g.n[first]):
        chance = first_place(int(g.n[first[i]]), int(g.right[first[i]]))
        reciprocal[query[i]] = np.sum(chance / (before[i] + 1 + np.arange(len(chance))))
        reached = np.clip(np.array(cutoffs, dtype=int) - before[i], 0, len(chance))
        hit[query[i]] = np.concatenate([[0.0], np.cumsum(chance)])[reached]
    values = {"mrr": reciprocal}
    return values | {f"hit_rate@{k}": hit[:, i] for i, k in enumerate(cutoffs)}, rank


def _cut_figures(g: Groups, n_relevant: np.ndarray, cutoffs: tuple[int, ...]) -> dict[str, np.ndarray]:
    values: dict[str, np.ndarray] = {}
    for k in cutoffs:
        found = g.per_query(g.right * np.clip(k - g.before, 0, g.n) / g.n, len(n_relevant))
        values |= {f"precision@{k}": found / k, f"recall@{k}": _over(found, n_relevant)}
    return values


def _gain_figures(rankings: Rankings, cutoffs: tuple[int, ...]) -> dict[str, np.ndarray]:
    order = np.lexsort((-rankings.truth_grade, rankings.truth_query))
    query, best = rankings.truth_query[order], rankings.truth_grade[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query, "left")
    deepest = max(int(rankings.length.max(initial=0)), int(rank.max(initial=0)) + 1)
    discount = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2.0, deepest + 2.0)))])
    end, n = rankings.before + rankings.tied, len(rankings)
    values: dict[str, np.ndarray] = {}
    for name, k in [("", deepest), *((f"@{k}", min(k, deepest)) for k in cutoffs)]:
        share = (discount[np.minimum(end, k)] - discount[np.minimum(rankings.before, k)]) / rankings.tied
        weight = discount[np.minimum(rank + 1, k)] - discount[np.minimum(rank, k)]
        for kind, found, ideal in (
            ("ndcg", rankings.grade, best),
            ("ndcg_exp", 2.0**rankings.grade - 1, 2.0**best - 1),
        ):
            gained = np.bincount(rankings.hit_query, found * share, minlength=n)
            values[kind + name] = _over(gained, np.bincount(query, ideal * weight, minlength=n))
    return values
