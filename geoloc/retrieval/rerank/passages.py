"""Who of those that left one camera came to another: alike ones are told apart by time alone, nobody being two.

    found = match_passages(learn_transit(leaves_s, comes_s, looks_a, looks_b), leaves_s, comes_s, looks_a, looks_b)
    found.row  # of each that came, the one that left; -1: none
"""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from geoloc.errors import InputError
from geoloc.retrieval.rerank.neighbours import checked_vectors
from geoloc.retrieval.rerank.one_to_one import best_matching, link_probabilities
from geoloc.retrieval.rerank.transits import Transit, pairs_within
from geoloc.retrieval.rows import NONE

WITHIN_SIGMAS = 6.0  # of a way's usual time, where pairs are tried


@dataclass(frozen=True, eq=False)
class Passages:
    """Of each of B that came: the `row` (B,) of the one that left, -1 for none; how `sure` (B,) that is, 0 to 1.

    All that was possible: pairs `left`, `came` (P,) with their `probability` (P,) over all ways to match everyone.
    """

    row: np.ndarray
    sure: np.ndarray
    left: np.ndarray
    came: np.ndarray
    probability: np.ndarray


def match_passages(
    transit: Transit,
    leaves_s: np.ndarray,
    comes_s: np.ndarray,
    group_a: np.ndarray | None = None,
    group_b: np.ndarray | None = None,
    odds: np.ndarray | None = None,
) -> Passages:
    """Those that came at `comes_s` (B,) matched with those that left at `leaves_s` (A,), to be right most often.

    Pairs are formed within `group_a` (A,), `group_b` (B,); `odds` (A, B) are what else says they are one, as looks.
    """
    a, b = np.asarray(leaves_s, float), np.asarray(comes_s, float)
    groups = [np.zeros(len(x), int) if g is None else np.asarray(g) for x, g in ((a, group_a), (b, group_b))]
    if any(len(g) != len(x) for g, x in zip(groups, (a, b), strict=True)) or not len(transit.mean_s):
        raise InputError(f"passages: {len(a)} left, {len(b)} came; give each its group")
    reach = WITHIN_SIGMAS * transit.sigma_s
    earliest, longest = float((transit.mean_s - reach).min()), float((transit.mean_s + reach).max())
    left, came = pairs_within(a, b, groups[0], groups[1], earliest, longest)
    said = transit.link_odds(b[came] - a[left]) + (0.0 if odds is None else odds[left, came])
    n = max(len(a), len(b), 1)
    chosen = best_matching(left, came, link_probabilities(left, came, said, n), n)
    probability = _by_exchanges(left, came, said, chosen, n)
    row, sure = np.full(len(b), NONE), np.zeros(len(b))
    row[came[chosen]], sure[came[chosen]] = left[chosen], probability[chosen]
    return Passages(row, sure, left, came, probability)


def _by_exchanges(left: np.ndarray, came: np.ndarray, odds: np.ndarray, chosen: np.ndarray, n: int) -> np.ndarray:
    """Probability (P,) of each pair against the chosen matching, and all that differ from it by one exchange.

    Belief propagation would be too sure: where two may be exchanged it takes the better way for certain. An exchange
    gives one that came the other's that left, who gets this one's or is left alone.
    """
    own_left, own_came = np.full(n, NONE), np.full(n, NONE)  # the chosen pair of each that left, and that came
    own_left[left[chosen]] = own_came[came[chosen]] = np.flatnonzero(chosen)
    pair_of = {key: pair for pair, key in enumerate(zip(left.tolist(), came.tolist(), strict=True))}
    worth = np.append(odds, 0.0)  # of no pair
    mine, theirs = own_came[came], own_left[left]
    back = [
        pair_of.get((int(left[a]), int(came[b])), NONE) if NONE not in (a, b) else NONE
        for a, b in zip(mine.tolist(), theirs.tolist(), strict=True)
    ]
    given_back = np.logaddexp(worth[back], 0.0)  # or not: then both are alone
    given_back = np.where(np.array(back, int) == NONE, 0.0, given_back)
    gain = odds + given_back - worth[mine] - worth[theirs]
    weight = np.where(chosen, 0.0, np.exp(np.clip(gain, -700.0, 50.0)))
    alone = np.where(chosen, np.exp(np.clip(-odds, -700.0, 50.0)), 0.0)
    # what speaks against a chosen pair: exchanges that take the one that came, or the one that left, and being alone
    against = np.bincount(came, weight, n) + np.bincount(came, alone, n)
    robbed = np.where(chosen, 0.0, np.exp(np.clip(odds - worth[mine] - worth[theirs], -700.0, 50.0)))
    taken = np.bincount(left, robbed, n)
    kept = 1.0 / (1.0 + against[came] + taken[left])
    return np.where(chosen, kept, weight / (1.0 + against[came]))


def lookalikes(vectors: np.ndarray, least: float) -> np.ndarray:
    """The group (N,) of each unit vector (N, D): groups whose mean similarity is `least` and more are one.

    Average linkage, so that one view between two kinds does not join them; all pairs are held, as of one site.
    """
    vectors = checked_vectors(vectors, "vectors")
    if len(vectors) < 2:
        return np.zeros(len(vectors), int)
    apart = np.maximum(1.0 - vectors @ vectors.T, 0.0)
    tree = linkage(apart[np.triu_indices(len(apart), 1)], "average")
    return np.asarray(fcluster(tree, 1.0 - least, "distance") - 1)
