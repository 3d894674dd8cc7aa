"""Whether stated uncertainty is honest and small: coverage at every level, sharpness, negative log-likelihood.

Honesty comes first, then sharpness: the aim is the smallest ellipses that still hold what they promise (Gneiting,
Balabdaoui and Raftery 2007). NEES `values` come from `metrics.consistency.nees`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from geoloc.errors import InputError
from geoloc.geometry.gaussian import is_covariance, symmetric
from geoloc.metrics.consistency import nees, require_values

LEVELS = (*(round(0.05 * k, 2) for k in range(1, 20)), 0.99)


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Share of N errors inside the ellipses that should hold `stated` (L,) of them.

    `inside` (N, L) bool says which errors, so that blocks of rows can be resampled.
    """

    stated: np.ndarray
    inside: np.ndarray

    @property
    def measured(self) -> np.ndarray:
        """Share of the errors inside, at each level: (L,). Below `stated`: the covariances are too small."""
        return self.inside.mean(axis=0)

    @property
    def miscalibration(self) -> float:
        """Mean over the levels of |measured - stated|: 0 is honest, 0.5 about the worst."""
        return float(np.abs(self.measured - self.stated).mean())

    def counts(self, level: float) -> np.ndarray:
        """Counts (N, 2) of one of the levels, inside and all, to pool and resample: n[..., 0] / n[..., 1]."""
        column = np.flatnonzero(np.isclose(self.stated, level))
        if not len(column):
            raise InputError(f"coverage curve: no level {level}; there are {self.stated.tolist()}")
        return np.stack([self.inside[:, column[0]], np.ones(len(self.inside))], axis=1).astype(float)


@dataclass(frozen=True, eq=False)
class Sharpness:
    """How small N stated uncertainties are, whatever the errors: `worst_sigma` (N,) m and `area` (N,).

    `area` is that of the one-sigma ellipse in m² (of three dimensions the volume in m³); the ellipse of two that
    holds 95 % has 5.99 times as much.
    """

    worst_sigma: np.ndarray
    area: np.ndarray

    def summary(self) -> dict[str, float]:
        """Mean and median of both."""
        return {
            "worst_sigma_mean": float(self.worst_sigma.mean()),
            "worst_sigma_median": float(np.median(self.worst_sigma)),
            "area_mean": float(self.area.mean()),
            "area_median": float(np.median(self.area)),
        }


def coverage_curve(values: np.ndarray, dof: int, levels: Sequence[float] = LEVELS) -> CoverageCurve:
    """Stated against measured coverage of NEES `values` (N,) of errors of `dof` dimensions at `levels` (L,)."""
    values, stated = require_values(values, dof, "coverage curve"), np.asarray(levels, float)
    if stated.ndim != 1 or not len(stated) or not ((stated > 0) & (stated < 1)).all():
        raise InputError(f"coverage curve: levels {stated.tolist()}; give probabilities between 0 and 1")
    return CoverageCurve(stated, values[:, None] <= chi2.ppf(stated, dof))


def sharpness(covs: np.ndarray) -> Sharpness:
    """Sizes of covariances (N, d, d) m², of two or three dimensions."""
    covs = np.asarray(covs, float)
    if covs.ndim != 3 or covs.shape[1:] not in ((2, 2), (3, 3)):
        raise InputError(f"sharpness: covariances {covs.shape}; give (N, 2, 2) or (N, 3, 3)")
    if not len(covs):
        raise InputError("sharpness: no covariances were given; there are no results to judge")
    bad = np.flatnonzero(~is_covariance(covs))
    if len(bad):
        raise InputError(f"sharpness: row {bad[0]} is {covs[bad[0]].tolist()}, no covariance ({len(bad)} such rows)")
    variances = np.linalg.eigvalsh(symmetric(covs))
    unit = np.pi if covs.shape[1] == 2 else 4.0 / 3.0 * np.pi
    return Sharpness(np.sqrt(variances[:, -1]), unit * np.sqrt(variances.prod(axis=1)))


def negative_log_likelihood(errors: np.ndarray, covs: np.ndarray) -> np.ndarray:
    """-log of the Gaussian density of errors (N, d) m under covariances (N, d, d) m²: (N,), in nats; lower is better.

    A proper score: its mean is least for the true covariances. It depends on the unit of length.
    """
    values = nees(errors, covs)  # also refuses what is no covariance
    if not len(values):
        raise InputError("negative log-likelihood: no errors were given; nothing was matched with the truth")
    covs = np.asarray(covs, float)
    return 0.5 * (values + np.linalg.slogdet(covs)[1] + covs.shape[1] * np.log(2.0 * np.pi))
