"""Helper of tests that prove a covariance honest."""

import numpy as np

from geoloc.metrics.consistency import consistency, nees


def assert_consistent(errors: np.ndarray, covs: np.ndarray, probability: float = 0.999) -> None:
    """Fail unless the mean NEES of independent errors (N, d) with covs (N, d, d) lies in its interval."""
    found = consistency(nees(errors, covs), np.shape(errors)[1], probability)
    assert found.consistent, (
        f"mean NEES {found.mean:.3f} of {found.n} errors, {found.dof} expected; "
        f"honest covariances give {found.low:.3f} to {found.high:.3f}"
    )
