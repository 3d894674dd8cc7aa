"""Which cameras seem to have moved, told by their tracks alone: what they see no longer fits what the others see.

The footprint learns each camera's own errors from the disagreement between cameras, with a prior of what the
calibration allows. If that prior is true, what is learned scatters by the prior's covariance less what is left of it;
a camera that is farther off than that by chance has moved, or was calibrated wrongly from the start. With two
cameras nobody can say which of them it is: both are named.

This sees what the prior does not allow and association still ties together; a camera that is off by more than that
stands alone. Its pictures say far more: see `relocalize.drift`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from geoloc.options import check_range
from geoloc.pipeline.footprint import Footprint
from geoloc.scene.site import Site


@dataclass(frozen=True)
class MovedOptions:
    """How sure a report of moved cameras is to be."""

    false_alarms: float = 1e-3  # chance that any camera of a site is named though its calibration is true
    least_told: float = 0.1  # share of the prior's variance that must have been learned away before a camera is judged

    def __post_init__(self) -> None:
        check_range(self, false_alarms=(1e-12, 0.5), least_told=(0, 1))


@dataclass(frozen=True)
class CameraDisagreement:
    """One camera: how far its points lie off the others', and by what chance if it did not move.

    `shift` (m, east and north) is what no turn of the camera explains, `sigma` (2,) m how well it is known now,
    infinite where no point was seen; `judged` whether enough was learned to say; `moved` the answer.
    """

    camera: str
    shift: tuple[float, float]
    sigma: tuple[float, float]
    chance: float
    judged: bool
    moved: bool


def moved_cameras(
    site: Site, footprint: Footprint, options: MovedOptions | None = None
) -> tuple[CameraDisagreement, ...]:
    """All cameras of a site, those that fit the others least first."""
    options = options or MovedOptions()
    mean, cov, sigma = footprint.errors_of_cameras()
    if not mean.shape[1]:  # no point was seen yet
        far = float("inf")
        return tuple(CameraDisagreement(c.name, (0.0, 0.0), (far, far), 1.0, False, False) for c in site.cameras)
    rows = []
    for index, camera in enumerate(site.cameras):
        chance, told = _chance(mean[index], cov[index], sigma[index])
        judged = told >= options.least_told
        moved = judged and chance * len(site.cameras) < options.false_alarms
        east, north = np.sqrt(np.diag(cov[index])[:2]).tolist()
        shift = float(mean[index, 0]), float(mean[index, 1])
        rows.append(CameraDisagreement(camera.name, shift, (east, north), chance, judged, moved))
    return tuple(sorted(rows, key=lambda row: (row.chance, row.camera)))


def _chance(mean: np.ndarray, cov: np.ndarray, sigma: np.ndarray) -> tuple[float, float]:
    """Chance of a mean (K,) so far from 0 under the prior, and the share of the prior's variance that is gone."""
    known = sigma > 0
    if not known.any():
        return 1.0, 0.0
    scale = sigma[known]
    left = cov[np.ix_(known, known)] / np.outer(scale, scale)
    gone = np.eye(len(scale)) - left  # of the means that are learned, in sigmas of the prior
    values, vectors = np.linalg.eigh(0.5 * (gone + gone.T))
    telling = values > 1e-6
    along = vectors[:, telling].T @ (mean[known] / scale)
    distance2 = float((along**2 / values[telling]).sum())
    return float(chi2.sf(distance2, int(telling.sum()))) if telling.any() else 1.0, float(values.max())
