"""Which lens unknowns the marks of a camera carry, and how large the marks' errors are: by the evidence of each choice.

The evidence of a choice is the probability of the marks under it, its unknowns integrated out by Laplace's method
under their priors (MacKay 1992, "Bayesian Interpolation"; Kass and Raftery 1995). The values are those of all choices,
averaged by their evidence.
A lens unknown that it leaves out is not thereby known exactly: the covariance is that of the widest choice about
those values, so that what the marks do not say stays as wide as the prior had it.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from geoloc.estimators.camera_fit import (
    Fits,
    Linear,
    MarkedPoints,
    covariance_of,
    error_weights,
    information,
    line_information,
    linearise_fits,
    refine_fits,
)
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior

TAILS = (2.0, np.inf)  # degrees of freedom of the errors of marks: sometimes careless, or Gaussian
ROUNDS = 8
STEPS = 6  # of refinement in each round
SETTLED = 0.01  # relative change of the scale at which the rounds end
STATED_WEIGHT = 1.0  # residuals that the stated sigmas are worth when the scale of the errors is estimated
UNJUDGED = 0.05  # of a line, the share that must be left over for the line to be judged
STRONG = 3.0  # log evidence that is taken as proof of what is less cautious (20 to 1)


@dataclass(frozen=True, eq=False)
class Choice:
    """One choice, fitted: `free` of `UNKNOWNS`, `fit` (of one), log `evidence`, covariance (11, 11) of its unknowns.

    `spread` is by how much the stated sigmas of the marks are to be multiplied to give standard deviations of their
    errors, heavy tails and the uncertainty of the scale itself included. `carried` (5,) bool: freed, and the marks
    say more about it than the prior.
    """

    free: tuple[str, ...]
    fit: Fits
    evidence: float
    cov: np.ndarray
    spread: float
    carried: np.ndarray
    distance2: np.ndarray  # (N,) squared Mahalanobis distances at the stated sigmas
    line_distance2: np.ndarray  # (S,) the same of the lines' statements, what the fit has from each one set apart


def fit_choices(
    starts: Fits, marked: MarkedPoints, prior: CameraPrior, frees: list[tuple[str, ...]], known: bool
) -> list[Choice]:
    """Every choice of freed unknowns from its own start, each under the tails that suit it best.

    `known`: the stated sigmas are exact and the errors Gaussian; else their scale is estimated.
    """
    tails = (np.inf,) if known else TAILS
    fits = _spread_out(starts, frees, tails)
    for _ in range(0 if known else ROUNDS):
        fits = refine_fits(fits, marked, prior, STEPS)
        linear = linearise_fits(fits, marked, prior)
        before = fits.scale
        fits = replace(fits, scale=_scales(fits, linear))
        if np.allclose(fits.scale, before, rtol=SETTLED):
            break
    fits = refine_fits(fits, marked, prior)
    choices = [_choice(fits.take(np.array([i])), marked, prior, known) for i in range(len(fits))]
    return [_safer(choices[i :: len(frees)]) for i in range(len(frees))]


def choose(choices: list[Choice], marked: MarkedPoints, prior: CameraPrior) -> tuple[Choice, Choice]:
    """The choice of most evidence, and what is to be believed: all choices' values, averaged by their evidence.

    The average is what predicts best where no choice is proven (Hoeting et al. 1999, "Bayesian Model Averaging").
    The covariance is the expected square of the true unknowns' distance from it if the widest choice is true: that
    choice's covariance, and how far the two lie from each other.
    """
    best = max(choices, key=lambda choice: choice.evidence)
    widest = max(choices, key=lambda choice: (len(choice.free), choice.evidence))
    if len(choices) == 1:
        return best, best
    weight = np.exp([choice.evidence - best.evidence for choice in choices])
    params = np.average([choice.fit.params[0] for choice in choices], axis=0, weights=weight)
    # the pose, and the focal length that goes with it, are bent to the averaged lens
    mean = replace(best.fit, params=params[None], free=np.isin(UNKNOWNS, "f")[None])
    fit = replace(refine_fits(mean, marked, prior), free=widest.fit.free)
    apart = _difference(widest.fit, fit)
    believed = replace(
        best, fit=fit, cov=widest.cov + np.outer(apart, apart), carried=widest.carried,
        spread=max(best.spread, widest.spread), distance2=linearise_fits(fit, marked, prior).distance2[0],
    )  # fmt: skip
    return best, believed


def widened(choice: Choice, other: Fits, marked: MarkedPoints, probability: float) -> Choice:
    """The choice with what it errs by, if the first of `other` is the truth, which it is with this probability.

    A lens of another kind has other unknowns: it counts as the one of this kind that comes nearest to it at the marks.
    """
    motion = (other.pose(0) * choice.fit.pose(0).inv()).as_exp_coords()
    flat = CameraPrior(1.0, 1.0, (0.0, 0.0), 1.0)
    linear, there = linearise_fits(choice.fit, marked, flat), linearise_fits(other, marked, flat)
    rows = choice.fit.weight[0] * np.isfinite(there.residual[0] + linear.residual[0]).all(axis=1) > 0
    jacobian = linear.jacobian[0, rows].reshape(-1, 11)
    change = (there.residual - linear.residual)[0, rows].ravel() - jacobian[:, :6] @ motion
    lens = np.linalg.lstsq(jacobian[:, 6:], change, rcond=1e-6)[0]
    apart = np.concatenate([motion, lens])
    return replace(choice, cov=choice.cov + probability * np.outer(apart, apart))


def _difference(one: Fits, other: Fits) -> np.ndarray:
    """The unknowns (11,) that bring the first fit of `other` to that of `one`."""
    motion = (one.pose(0) * other.pose(0).inv()).as_exp_coords()
    change = one.params[0] - other.params[0]
    lens = np.concatenate([[change[:2].mean()], change[2:6], np.zeros(2)])[: len(UNKNOWNS)]
    return np.concatenate([motion, lens])


def _safer(by_tails: list[Choice]) -> Choice:
    """The choice of the heaviest tails, unless another's are proven."""
    return max(by_tails, key=lambda choice: choice.evidence - STRONG * float(np.isinf(choice.fit.tails[0])))


def _spread_out(starts: Fits, frees: list[tuple[str, ...]], tails: tuple[float, ...]) -> Fits:
    """The start of each choice under each tails."""
    n = len(frees)
    free = np.array([np.isin(UNKNOWNS, names) for names in frees] * len(tails))
    return replace(starts.take(np.tile(np.arange(n), len(tails))), free=free, tails=np.repeat(tails, n))


def _effective_unknowns(fits: Fits, linear: Linear) -> np.ndarray:
    """How many unknowns of each fit the marks determine, the others being the prior's: (B,)."""
    marks, known = information(fits, linear)
    fixed = np.einsum("bii->bi", marks + known) <= 0
    total = marks + known + np.einsum("bi,ij->bij", fixed, np.eye(11))
    scale = np.sqrt(np.einsum("bii->bi", total))
    outer = scale[:, :, None] * scale[:, None]
    return np.einsum("bii->b", np.linalg.solve(total / outer, marks / outer))


def _left_over(fits: Fits, linear: Linear) -> np.ndarray:
    """How many residuals of marks and lines nothing was fitted to: (B,)."""
    rows = linear.lines.lines
    share = linear.lines.projected(linear.line_jacobian, line_information(fits, linear))[2]
    lines = fits.line_weight[:, rows.row_statement] * (1.0 - share)
    return 2 * fits.weight.sum(axis=1) + lines.sum(axis=1) - _effective_unknowns(fits, linear)


def _scales(fits: Fits, linear: Linear) -> np.ndarray:
    weight = fits.weight * error_weights(linear.distance2, fits)
    total = (weight * linear.distance2).sum(axis=1) + STATED_WEIGHT
    total += (linear.line_weight * (linear.lines.residual * fits.scale[:, None]) ** 2).sum(axis=1)
    return np.sqrt(total / np.maximum(_left_over(fits, linear) + STATED_WEIGHT, 1.0))


def _choice(fit: Fits, marked: MarkedPoints, prior: CameraPrior, known: bool) -> Choice:
    linear = linearise_fits(fit, marked, prior)
    marks, before = information(fit, linear)
    cov = covariance_of(marks[0], before[0], fit.free[0])
    free = tuple(np.array(UNKNOWNS)[fit.free[0]].tolist())
    total, lens = marks[0] + before[0], before[0][6:, 6:]
    on = np.concatenate([np.ones(6, bool), fit.free[0]])
    log_det = np.linalg.slogdet(total[np.ix_(on, on)])[1] - np.linalg.slogdet(lens[np.ix_(on[6:], on[6:])])[1]
    evidence = _log_likelihood(fit, linear) - 0.5 * float((linear.prior**2).sum()) - 0.5 * float(log_det)
    spread, line_distance2 = 1.0, _line_distance2(fit, linear, cov)
    if not known:
        dof = _left_over(fit, linear)[0] + STATED_WEIGHT
        unsure = max(dof, 3.0) / (max(dof, 3.0) - 2.0)  # of a Student distribution over its squared scale
        cov = cov * unsure
        spread = float(fit.scale[0] * np.sqrt(unsure * _tail_factor(fit.tails[0])))
    sigma_before = np.array([1 / np.sqrt(value) if value > 0 else np.inf for value in np.diag(lens)])
    carried = fit.free[0] & (np.sqrt(np.diag(cov)[6:]) < 0.7 * sigma_before)
    return Choice(free, fit, evidence, cov, spread, carried, linear.distance2[0], line_distance2)


def _tail_factor(tails: float) -> float:
    """Variance of the Gaussian in the plane whose ellipse of 95 % is that of a Student distribution of scale 1."""
    return 1.0 if np.isinf(tails) else float(tails * (20.0 ** (2.0 / tails) - 1.0) / (2.0 * np.log(20.0)))


def _log_likelihood(fit: Fits, linear: Linear) -> float:
    tails, scale = fit.tails[0], fit.scale[0]
    scaled = linear.distance2[0] / scale**2
    if np.isinf(tails):
        density = -0.5 * scaled - np.log(2 * np.pi)
    else:
        density = gammaln(tails / 2 + 1) - gammaln(tails / 2) - np.log(tails * np.pi)
        density = density - (tails / 2 + 1) * np.log1p(scaled / tails)
    density = density - 0.5 * np.linalg.slogdet(linear.cov[0])[1] - 2 * np.log(scale)
    lines = _line_density(linear, tails, scale) * fit.line_weight[0, linear.lines.lines.row_statement]
    of_scale = -0.5 * STATED_WEIGHT * (2 * np.log(scale) + 1 / scale**2)
    return float((fit.weight[0] * density).sum() + lines.sum() + of_scale)


def _line_density(linear: Linear, tails: float, scale: float) -> np.ndarray:
    """Log likelihood (R,) of each residual of the lines, less what does not change."""
    scaled = (linear.lines.residual[0] / scale) ** 2
    if np.isinf(tails):
        density = -0.5 * scaled - 0.5 * np.log(2 * np.pi)
    else:
        density = gammaln((tails + 1) / 2) - gammaln(tails / 2) - 0.5 * np.log(tails * np.pi)
        density = density - (tails + 1) / 2 * np.log1p(scaled / tails)
    return density - np.log(scale)


def _line_distance2(fit: Fits, linear: Linear, cov: np.ndarray) -> np.ndarray:
    """Squared distances (S,) of the lines' statements from what all else says of them, `cov` (11, 11) of the fit."""
    rows = linear.lines.lines
    counts = fit.line_weight[0, rows.row_statement] > 0
    every = replace(fit, line_weight=np.ones_like(fit.line_weight))
    # the weight that each residual has in the covariance: what the fit takes of it is its leverage
    _, lean, share = linear.lines.projected(linear.line_jacobian, line_information(every, linear))
    taken = share[0] + np.einsum("ri,ij,rj->r", lean[0], cov, lean[0])
    left = np.where(counts, 1.0 - taken, 1.0 + taken)
    distance2 = np.where(left > UNJUDGED, linear.lines.residual[0] ** 2 / np.maximum(left, UNJUDGED), 0.0)
    most = np.zeros(rows.n_statements)
    np.maximum.at(most, rows.row_statement, distance2)
    return most
