"""Signals weighed into one probability: learned from pairs whose answer is known, with cross-validation.

    evidence = learn_evidence({"looks": cosine, "transit": odds}, same, group=query)
    evidence.probability({"looks": ..., "transit": ...}, prior=0.01)

Logistic regression with a ridge chosen by the log loss on groups that were left out. The shares of same pairs where it
is learned and where it is used differ, so the odds are kept apart from the prior.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from geoloc.errors import GeometryError, InputError
from geoloc.metrics.numbering import numbered

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the mean log loss a pair, for standardised signals
FOLDS = 5
FEWEST = 20  # pairs of either kind

Signals = Mapping[str, np.ndarray]  # a signal's name to its value (K,) of each pair; NaN: not known


@dataclass(frozen=True, eq=False)
class Evidence:
    """Weights of S signals `names`: odds = `offset` + sum of `weight` (S,) * (signal - `mean` (S,)).

    A signal that is not known adds nothing. `held_out` (K,) are the log-odds that the K pairs had while their group
    was left out, in the order in which they came; `prior` the share of same pairs among them.
    """

    names: tuple[str, ...]
    weight: np.ndarray
    mean: np.ndarray
    offset: float
    prior: float
    held_out: np.ndarray

    def odds(self, signals: Signals) -> np.ndarray:
        """Log-likelihood ratio (K,) of the pairs: whatever the share of same ones, before any prior."""
        return self.offset + _known(_columns(signals, self.names) - self.mean) @ self.weight

    def parts(self, signals: Signals) -> dict[str, np.ndarray]:
        """What each signal adds to the odds (K,): why a match is one."""
        parts = _known(_columns(signals, self.names) - self.mean) * self.weight
        return {name: parts[:, i] for i, name in enumerate(self.names)}

    def probability(self, signals: Signals, prior: float) -> np.ndarray:
        """Probability (K,) of the pairs being one object, where a share `prior` of such pairs is."""
        return with_prior(self.odds(signals), prior)

    @property
    def held_out_probability(self) -> np.ndarray:
        """What each pair's probability (K,) was while its group was left out: held against the truth it is reliable."""
        return with_prior(self.held_out, self.prior)


def learn_evidence(
    signals: Signals, same: np.ndarray, group: np.ndarray, rng: np.random.Generator | None = None
) -> Evidence:
    """Evidence from K pairs: their `signals`, whether they are the `same` (K,) bool, and the `group` (K,) of each.

    Pairs of a group, as of one query or one object, are left out together. InputError with fewer than 20 pairs of
    either kind or a single group.
    """
    same, group = np.asarray(same, bool), numbered(np.asarray(group))[1]
    names = tuple(signals)
    columns = _columns(signals, names)
    if same.shape != (len(columns),) or group.shape != same.shape:
        raise InputError(f"evidence: {len(columns)} pairs, same {same.shape}, group {group.shape}; give (K,) each")
    if min(same.sum(), (~same).sum()) < FEWEST or group.max(initial=0) < 1:
        n = f"{same.sum()} same, {(~same).sum()} different, {group.max(initial=-1) + 1} groups"
        raise InputError(f"evidence: {n}; give {FEWEST} pairs of either kind and two groups")
    fold = _folds(group, rng or np.random.default_rng(0))[group]
    held = np.stack([_held_out(columns, same, fold, ridge) for ridge in RIDGES])
    losses = [_loss(odds, same) for odds in held]
    best = int(np.argmin(losses))
    weight, mean, offset = _fit(columns, same, RIDGES[best])
    return Evidence(names, weight, mean, offset, float(same.mean()), held[best])


def with_prior(odds: np.ndarray, prior: float) -> np.ndarray:
    """Probabilities of log-likelihood ratios, where a share `prior` is true."""
    if not 0 < prior < 1:
        raise InputError(f"prior {prior}; give the share of pairs that are the same, between 0 and 1")
    return np.asarray(expit(odds + np.log(prior) - np.log1p(-prior)))


def _columns(signals: Signals, names: tuple[str, ...]) -> np.ndarray:
    lacks = next((name for name in names if name not in signals), None)
    if lacks is not None or not names:
        raise InputError(f"evidence: the signals lack {lacks!r}; give {', '.join(names) or 'at least one'}")
    return np.column_stack([np.asarray(signals[name], float) for name in names])


def _known(centred: np.ndarray) -> np.ndarray:
    """What is not known says nothing."""
    return np.where(np.isfinite(centred), centred, 0.0)


def _folds(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n = int(group.max()) + 1
    return rng.permutation(np.arange(n) % min(FOLDS, n))


def _held_out(columns: np.ndarray, same: np.ndarray, fold: np.ndarray, ridge: float) -> np.ndarray:
    odds = np.zeros(len(same))
    for number in range(int(fold.max()) + 1):
        out = fold == number
        if same[~out].all() or not same[~out].any():
            raise InputError("evidence: the same pairs are all of a few groups; give pairs of more")
        weight, mean, offset = _fit(columns[~out], same[~out], ridge)
        odds[out] = offset + _known(columns[out] - mean) @ weight
    return odds


def _loss(odds: np.ndarray, same: np.ndarray) -> float:
    logit = odds + _logit(same)
    return float(-np.where(same, log_expit(logit), log_expit(-logit)).mean())


def _logit(same: np.ndarray) -> float:
    share = float(np.mean(same))
    return float(np.log(share) - np.log1p(-share))


def _fit(columns: np.ndarray, same: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights (S,), means (S,) and offset of the likelihood ratio."""
    known = np.isfinite(columns)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, columns, 0.0).sum(axis=0) / count
    centred = np.where(known, columns - mean, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / count)
    scale = np.where(scale > 0, scale, 1.0)
    z, sign = centred / scale, np.where(same, 1.0, -1.0)

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (z @ at[:-1] + at[-1])
        pull = -sign * expit(-margin) / len(sign)
        slope = np.append(z.T @ pull + 2 * ridge * at[:-1], pull.sum())
        return float(-log_expit(margin).mean() + ridge * at[:-1] @ at[:-1]), slope

    found = minimize(loss, np.append(np.zeros(z.shape[1]), _logit(same)), jac=True, method="L-BFGS-B")
    if not np.isfinite(found.x).all():
        raise GeometryError("evidence: the signals give no finite weights; leave out those that are no numbers")
    return found.x[:-1] / scale, mean, float(found.x[-1]) - _logit(same)
