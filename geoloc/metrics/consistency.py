"""Whether covariances tell the truth about errors: NEES, NIS and their interval, coverage of ellipses."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from geoloc.errors import InputError
from geoloc.geometry.gaussian import is_covariance


@dataclass(frozen=True)
class Consistency:
    """Mean NEES of `n` errors of `dof` dimensions, and where it lies if the covariances are honest.

    `low` and `high` bound the mean of n independent NEES with `probability` (Bar-Shalom, Li and Kirubarajan
    2001, eq. 5.4.2-13). Errors that depend on each other spread wider: see `block_bootstrap`.
    """

    n: int
    dof: int
    mean: float
    low: float
    high: float
    probability: float

    @property
    def consistent(self) -> bool:
        """Whether the mean lies in its interval; below it the covariances are too large, above too small."""
        return self.low <= self.mean <= self.high


def nees(errors: np.ndarray, covs: np.ndarray) -> np.ndarray:
    """Normalized estimation error squared of errors (N, d) with covariances (N, d, d): (N,), d expected."""
    errors, covs = np.asarray(errors, float), np.asarray(covs, float)
    if errors.ndim != 2 or covs.shape != (*errors.shape, errors.shape[1]):
        raise InputError(f"nees: errors {errors.shape}, covariances {covs.shape}; give (N, d) and (N, d, d)")
    bad = np.flatnonzero(~(is_covariance(covs) & np.isfinite(errors).all(axis=1)))
    if len(bad):
        row = bad[0]
        raise InputError(
            f"nees: {len(bad)} rows without finite error and positive definite covariance, first row {row}: "
            f"error {errors[row]}, covariance {covs[row].tolist()}; drop or mend them"
        )
    return np.einsum("ni,ni->n", errors, np.linalg.solve(covs, errors[:, :, None])[:, :, 0])


def nis(innovations: np.ndarray, covs: np.ndarray) -> np.ndarray:
    """Normalized innovation squared of innovations (N, d) with their covariances S (N, d, d): (N,), d expected.

    An innovation is a measurement less what the filter expected of it, so no truth is needed; `consistency` of the
    values judges them as it does NEES (Bar-Shalom, Li and Kirubarajan 2001, sec. 5.4.2).
    """
    return nees(innovations, covs)


def require_values(values: np.ndarray, dof: int, what: str) -> np.ndarray:
    """NEES `values` (N,) as an array; InputError, naming `what`, if there are none or some are no such values."""
    values = np.asarray(values, float)
    if values.ndim != 1 or dof < 1:
        raise InputError(f"{what}: values {values.shape} of {dof} dimensions; give (N,) and at least 1")
    if not len(values):
        raise InputError(f"{what}: no errors were given; nothing was matched with the truth")
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        raise InputError(f"{what}: row {bad[0]} is {values[bad[0]]}, no squared error; drop the {len(bad)} such rows")
    return values


def consistency(values: np.ndarray, dof: int, probability: float = 0.999) -> Consistency:
    """Mean of NEES `values` (N,) beside its interval under honest covariances of `dof` dimensions."""
    values = require_values(values, dof, "consistency")
    n = len(values)
    tail = 0.5 * (1.0 - probability)
    low, high = chi2.ppf([tail, 1.0 - tail], n * dof) / n
    return Consistency(n, dof, float(np.mean(values)), float(low), float(high), probability)


def consistency_by_group(
    values: np.ndarray, group: np.ndarray, dof: int, probability: float = 0.999
) -> dict[int | str, Consistency]:
    """`consistency` of the `values` (N,) of each group (N,), in the order of the groups."""
    group = np.asarray(group)
    return {
        name: consistency(values[group == name], dof, probability)
        for name in np.unique(group).tolist()
    }


def coverage(values: np.ndarray, dof: int, probability: float) -> float:
    """Share of the NEES `values` (N,) inside the ellipse that should hold `probability` of them."""
    values = require_values(values, dof, "coverage")
    return float(np.mean(values <= chi2.ppf(probability, dof)))
