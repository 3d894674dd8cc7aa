"""What a cosine of two looks says: how much likelier it is of one object than of two, and who a query is then."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from geoloc.errors import InputError

FEWEST = 20  # pairs of either kind from which a likeness is learned
FOLDS = 5
RIDGE = 1e-5  # on the squared weight of the standardised cosine: keeps it finite where the kinds do not overlap
TELLS = 0.01  # nats a query by which a likeness must beat knowing nothing, on objects that it has not seen


@dataclass(frozen=True)
class Likeness:
    """Log-likelihood ratio of a cosine: `weight` a unit above the cosine that is `neutral`, at most `most` either way.

    `n_same` and `n_different` pairs taught it (none: it is general), and `loss` (nats a query) is how it did on
    objects that it had not seen.
    """

    weight: float = 10.0
    neutral: float = 0.6
    most: float = np.inf
    n_same: int = 0
    n_different: int = 0
    loss: float = np.nan

    def log_ratio(self, cosine: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios (...) of one object against two, of cosines (...)."""
        ratio = self.weight * (np.asarray(cosine, float) - self.neutral)
        return ratio if np.isinf(self.most) else np.clip(ratio, -self.most, self.most)

    def __str__(self) -> str:
        if not self.n_same:
            return f"general: {self.weight:g} nats a unit of cosine above {self.neutral:g}"
        if not self.weight:
            return f"looks tell nothing here, by {self.n_same} pairs of one object and {self.n_different} of two"
        taught = f"{self.n_same} pairs of one object and {self.n_different} of two"
        return f"learned from {taught}: {self.weight:.1f} nats a unit of cosine above {self.neutral:.2f}"


@dataclass(frozen=True, eq=False)
class Trials:
    """Searches whose answer is known: P cosines of queries with objects, those of one query in a row.

    `cosine` (P,), whether it is the query's own object `same` (P,) bool, once a query, `query` (P,) int from 0 on,
    and the object that it is, `group` (P,) int.
    """

    cosine: np.ndarray
    same: np.ndarray
    query: np.ndarray
    group: np.ndarray

    def take(self, keep: np.ndarray) -> "Trials":
        """The pairs (P,) bool, whole queries of them."""
        numbers = np.unique(self.query[keep], return_inverse=True)[1]
        return Trials(self.cosine[keep], self.same[keep], numbers, self.group[keep])

    def loss(self, likeness: Likeness, absent: float) -> float:
        """Mean of -log of the probability of the right answer, over queries with their object and without it."""
        ratio = likeness.log_ratio(self.cosine)
        starts = np.flatnonzero(np.diff(self.query, prepend=-1))
        n_others = np.diff(np.append(starts, len(self.query))) - 1
        others = np.add.reduceat(np.where(self.same, 0.0, np.exp(ratio)), starts)
        none, there = np.log(absent), np.log1p(-absent)
        own = there - np.log(n_others + 1) + ratio[self.same]
        with_it = np.logaddexp(np.logaddexp(own, none), there - np.log(n_others + 1) + np.log(others)) - own
        without = np.logaddexp(none, there - np.log(n_others) + np.log(others)) - none
        return float(absent * without.mean() + (1.0 - absent) * with_it.mean())


NOTHING = Likeness(weight=0.0)


def learn_likeness(trials: Trials, absent: float = 0.5) -> Likeness:
    """The likeness under which the answers to `trials` are likeliest, by `posterior` with and without the object.

    Each trial is taken twice, with the object there and with only the others, so that what is learned is right for
    the best of many others, which is all that a search ever sees (a conditional logit, McFadden 1974). Objects are
    never split between learning and testing. Where trials that were held back go no better than knowing nothing, the
    weight is 0. A ratio is never greater than the number of pairs bears out. InputError where there are too few.
    """
    n_same, n_different = int(trials.same.sum()), int((~trials.same).sum())
    if min(n_same, n_different) < FEWEST:
        found = f"{n_same} pairs of one object and {n_different} of two"
        raise InputError(f"likeness: {found}; it takes {FEWEST} of each: let more objects be seen twice")
    held = np.unique(trials.group, return_inverse=True)[1] % FOLDS
    losses = np.full(FOLDS, np.nan)
    for fold in np.unique(held).tolist():
        if (held != fold).any():
            losses[fold] = trials.take(held == fold).loss(_fit(trials.take(held != fold), absent), absent)
    share = np.bincount(held, minlength=FOLDS) / len(held)
    known = np.isfinite(losses)
    loss = float((losses * share)[known].sum() / share[known].sum()) if known.any() else np.inf
    learnt = _fit(trials, absent)
    weight = learnt.weight if loss < trials.loss(NOTHING, absent) - TELLS else 0.0
    return replace(learnt, weight=weight, n_same=n_same, n_different=n_different, loss=loss)


def posterior(log_ratios: np.ndarray, n_objects: int, absent: float) -> tuple[np.ndarray, float, float]:
    """Probabilities (M,) that a query is each of M objects, that it is none (`absent` before), and one not listed.

    `log_ratios` (M,) are those of the best M of `n_objects`, each as likely before; the others are taken to be no
    likelier than the last of these, and than one that nothing is known of.
    """
    n_others = max(n_objects - len(log_ratios), 0)
    each = np.log1p(-absent) - np.log(max(n_objects, 1))
    last = min(float(log_ratios.min()), 0.0) if len(log_ratios) else 0.0
    rest = each + last + np.log(n_others) if n_others else -np.inf
    odds = np.r_[each + log_ratios, np.log(absent), rest]
    shares = np.exp(odds - logsumexp(odds))
    return shares[:-2], float(shares[-2]), float(shares[-1])


def _fit(trials: Trials, absent: float) -> Likeness:
    """The likeness of least loss, of weight 0 or more."""
    middle, spread = trials.cosine.mean(), max(float(trials.cosine.std()), 1e-6)
    most = float(np.log((~trials.same).sum() + 1.0))

    def made(line: np.ndarray) -> Likeness:
        return Likeness(float(np.exp(line[0]) / spread), float(middle + line[1] * spread), most)

    def cost(line: np.ndarray) -> float:
        return trials.loss(made(line), absent) + RIDGE * float(np.exp(2.0 * line[0]))

    return made(minimize(cost, np.array([0.0, 1.0]), method="Nelder-Mead", options={"maxiter": 200, "xatol": 1e-3}).x)
