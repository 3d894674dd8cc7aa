"""The motion that patches tell, with the covariance that their disagreement allows: robust, correlated noise included.

Residuals are Student's t of NU degrees of freedom, with variances a c_i + b of what each patch says of itself (c_i);
that gives the weights. What is smooth over the image in them (a lens that is not quite its model, warm air, a rolling
shutter) is a random field of cosines whose strength is learned from the residuals by restricted maximum likelihood
(Patterson and Thompson 1971), averaged over all strengths by their likelihood instead of picking one: neighbouring
patches then count less than independent ones, and the field's share in a rotation goes into its covariance.
Where there is no such field it may still have hidden: the covariance then errs to the safe side.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

from geoloc.relocalize.motions import N_MOTION

NU = 4.0  # degrees of freedom of the patches' errors: a few are far out
FAR = 8.0  # sigma; what is farther out says nothing
PASSES = 6
WAVES = (6, 4)  # cosines along the image's width and height
STRENGTHS = np.r_[0.0, np.logspace(-2.0, 3.0, 16)]  # of the field, its variance over that of a patch
SHARES = np.r_[0.0, np.logspace(-2.0, 4.0, 13)]  # b / a, in units of the median c_i
FEWEST = 6  # patches
FEWEST_DOF = 5.0
SAMPLING_PX = 0.003  # how exactly a picture is sampled between its pixels, whatever its noise
LEAST_SCALE = 0.25  # of the variances that gave the weights: residuals of the very same picture are 0


@dataclass(frozen=True, eq=False)
class Motion:
    """A motion as far as its `freed` numbers were estimated: `theta` (N_MOTION,), `cov` (N_MOTION, N_MOTION).

    `dof` of the multivariate Student's t that has this covariance | `sigma_px` of one patch | `field_px` root mean
    square of the smooth misfit | `n` patches | `kept` (N,) bool which of the patches given count.
    """

    theta: np.ndarray
    cov: np.ndarray
    freed: tuple[int, ...]
    dof: float
    sigma_px: float
    field_px: float
    n: int
    kept: np.ndarray

    def chance(self, columns: tuple[int, ...], value: np.ndarray | None = None) -> float:
        """Chance that these numbers are found so far from `value` (none: 0) where that is what they are (an F test)."""
        rows = list(columns)
        away = self.theta[rows] - (0.0 if value is None else value)
        scale = (self.dof - 2.0) / self.dof * self.cov[np.ix_(rows, rows)]
        distance2 = float(away @ np.linalg.solve(scale, away))
        return float(f_distribution.sf(distance2 / len(rows), len(rows), self.dof))


def fit_motion(
    offset: np.ndarray, cov: np.ndarray, jacobian: np.ndarray, place: np.ndarray, freed: tuple[int, ...]
) -> Motion | None:
    """The motion step of N patches that are off by `offset` (N, 2) px with `cov` (N, 2, 2) of their own noise.

    `jacobian` (N, 2, N_MOTION) px by each number | `place` (N, 2) in the image, 0 to 1 along its width and height.
    None where the patches are too few to say.
    """
    columns = list(freed)
    unit = np.maximum(np.linalg.norm(jacobian[:, :, columns], axis=(0, 1)) / np.sqrt(max(len(offset), 1)), 1e-12)
    design = jacobian[:, :, columns] / unit
    stated = np.einsum("nii->n", cov) / 2.0
    kept = np.isfinite(offset).all(axis=1) & np.isfinite(stated)
    for _ in range(2):
        if kept.sum() < max(FEWEST, len(columns)):
            return None
        solution, variance, weight = _student(offset[kept], stated[kept], design[kept])
        rest = np.linalg.norm(offset - design @ solution, axis=1)
        kept &= rest**2 <= FAR**2 * _variance_like(stated, kept, variance)
    if kept.sum() < max(FEWEST, len(columns)):
        return None
    solution, variance, weight = _student(offset[kept], stated[kept], design[kept])
    rest = offset[kept] - design[kept] @ solution
    # what a robust estimate adds up: residuals bounded by their weights, of variance 1 / information
    information = (NU + 2.0) / (NU + 4.0) / variance
    pseudo = weight[:, None] * rest / variance[:, None] / information[:, None]
    step, spread, dof, scale, field = _with_field(design[kept], pseudo, information, place[kept])
    theta, full = np.zeros(N_MOTION), np.zeros((N_MOTION, N_MOTION))
    theta[columns] = (solution + step) / unit
    full[np.ix_(columns, columns)] = spread / np.outer(unit, unit)
    n = int(kept.sum())
    sigma = float(np.sqrt(scale * np.median(1.0 / information)))
    return Motion(theta, full, freed, dof, sigma, field, n, kept)


def _variance_like(stated: np.ndarray, kept: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Variances of all patches, of which `variance` is that of those kept: affine in what they state."""
    slope, base = np.polyfit(stated[kept], variance, 1) if np.ptp(stated[kept]) > 0 else (0.0, variance.mean())
    return np.asarray(np.maximum(slope * stated + base, 1e-12))


def _student(offset: np.ndarray, stated: np.ndarray, design: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solution (P,), variances (N,) px² per axis, and weights (N,) under Student's t, by EM."""
    flat, target = design.reshape(-1, design.shape[2]), offset.ravel()
    weight = np.ones(len(offset))
    variance = stated + np.median(stated) + 1e-9
    for turn in range(PASSES):
        root = np.repeat(np.sqrt(weight / variance), 2)
        solution = np.linalg.lstsq(flat * root[:, None], target * root, rcond=None)[0]
        distance2 = ((offset - design @ solution) ** 2).sum(axis=1)
        if turn == 0:  # half may be strays: begin with the variance of the better half
            variance = np.full(len(offset), np.median(distance2) / 1.386 + 1e-12)
        variance = _variances(distance2, stated, weight_of(distance2, variance))
        weight = weight_of(distance2, variance)
    return solution, variance, weight


def weight_of(distance2: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Weights (N,) of residuals in the plane under Student's t."""
    return np.asarray((NU + 2.0) / (NU + distance2 / variance))


def _variances(distance2: np.ndarray, stated: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """a c_i + b (N,) of the largest likelihood, given the weights."""
    shapes = stated[None] / np.median(stated) + SHARES[:, None]
    scale = (weight * distance2 / shapes).mean(axis=1) / 2.0
    fit = -np.log(scale) - np.log(shapes).mean(axis=1)
    best = int(fit.argmax())
    return np.asarray(np.maximum(scale[best] * shapes[best], SAMPLING_PX**2))


def _with_field(
    design: np.ndarray, rest: np.ndarray, information: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """Of residuals (N, 2): further step (P,), covariance (P, P) and its degrees of freedom, scale, field (px rms)."""
    root = np.sqrt(information)
    left, singular, _ = np.linalg.svd(root[:, None] * _cosines(place) / root.max(), full_matrices=False)
    n, _, p = design.shape
    a, e = root[:, None, None] * design, root[:, None] * rest
    wa, we = np.einsum("nk,nip->kip", left, a, optimize=True), left.T @ e
    whole = np.einsum("nip,niq->pq", a, a), np.einsum("nip,ni->p", a, e), float((e * e).sum())
    steps, covs, logs, scales, waves = [], [], [], [], []
    for strength in STRENGTHS:
        gain = strength * singular**2
        taken = gain / (1.0 + gain)
        normal = whole[0] - np.einsum("k,kip,kiq->pq", taken, wa, wa)
        right = whole[1] - np.einsum("k,kip,ki->p", taken, wa, we)
        inverse = np.linalg.inv(normal)
        step = inverse @ right
        rss = whole[2] - float((taken[:, None] * we * we).sum()) - float(right @ step)
        scale = max(rss / (2 * n - p), LEAST_SCALE)
        log = -0.5 * ((2 * n - p) * np.log(scale) + 2.0 * np.log1p(gain).sum() + np.linalg.slogdet(normal)[1])
        steps.append(step)
        covs.append(scale * inverse)
        logs.append(log)
        scales.append(scale)
        waves.append(2.0 * float(taken.sum()))
    share = np.exp(np.array(logs) - max(logs))
    share /= share.sum()
    mean = share @ np.array(steps)
    away = np.array(steps) - mean
    cov = np.einsum("s,spq->pq", share, np.array(covs)) + np.einsum("s,sp,sq->pq", share, away, away)
    alone = float(share @ np.array(scales)) * np.linalg.inv(whole[0])
    by_field = 1.0 - min(float(np.trace(alone) / np.trace(cov)), 1.0)
    # of the waves that the residuals tell the motion took some
    few = max(float(share @ np.array(waves)) - p, FEWEST_DOF)
    dof = 1.0 / (by_field**2 / few + (1.0 - by_field) ** 2 / (2 * n - p))  # Welch and Satterthwaite
    mean_square = (_cosines(place) ** 2).sum(axis=1).mean() / root.max() ** 2
    field = float(np.sqrt(share @ (np.array(scales) * STRENGTHS) * mean_square))
    return mean, dof / (dof - 2.0) * cov, dof, float(share @ np.array(scales)), field


def _cosines(place: np.ndarray) -> np.ndarray:
    """The smooth field's shapes (N, K) at places (N, 2), each as strong as it is expected to be."""
    along = [np.cos(np.pi * np.arange(n) * np.clip(place[:, i : i + 1], 0, 1)) for i, n in enumerate(WAVES)]
    strength = (1.0 + np.arange(WAVES[0])[:, None] ** 2 + np.arange(WAVES[1])[None, :] ** 2) ** -0.75
    both = along[0][:, :, None] * along[1][:, None, :] * strength
    return np.asarray(both.reshape(len(place), -1))
