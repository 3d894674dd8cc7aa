"""What is known of a camera before any mark of it: its lens, roughly, and the height at which it stands."""

from dataclasses import dataclass

import numpy as np

UNKNOWNS = ("f", "cx", "cy", "k1", "k2")


@dataclass(frozen=True)
class CameraPrior:
    """What is known of a camera before any mark: means and standard deviations of `UNKNOWNS`, and where it stands.

    The focal length's sigma is of its logarithm. Without a given k2 it is expected at k1²: between the series
    of the usual wide-angle projections (1.7 to 2 k1²) and what a fit over a finite field makes of them.
    The camera's centre lies on the `plane` z = a x + b y + c to `plane_sigma` m (infinite: anywhere).
    """

    focal: float
    focal_log_sigma: float
    centre: tuple[float, float]
    centre_sigma: float
    k1: float = 0.0
    k1_sigma: float = 0.3
    k2_from_k1: bool = True
    k2: float = 0.0
    k2_sigma: float = 0.1
    plane: tuple[float, float, float] = (0.0, 0.0, 0.0)
    plane_sigma: float = np.inf


def prior_residuals(
    prior: CameraPrior, params: np.ndarray, free: np.ndarray, rotation: np.ndarray, centres: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals (B, 6) in sigmas of what is known, and derivatives (B, 6, 11) by pose and `UNKNOWNS`.

    For lenses `params` (B, P) with unknowns `free` (B, 5), `rotation` (B, 3, 3) and `centres` (B, 3) m of cameras.
    """
    n = len(params)
    a, b, c = prior.plane
    lens, by_lens = lens_residuals(prior, params, free)
    off = (centres[:, 2] - centres[:, :2] @ [a, b] - c) / prior.plane_sigma
    residual = np.concatenate([lens, off[:, None]], axis=1)
    jacobian = np.zeros((n, 6, 11))
    jacobian[:, :5, 6:] = by_lens
    # centre = -R' t moves by -R' v under a translation v of exp(xi), and not at all under a rotation about it
    jacobian[:, 5, 3:6] = -rotation @ np.array([-a, -b, 1.0]) / prior.plane_sigma
    return residual, jacobian


def lens_residuals(prior: CameraPrior, params: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residuals (B, 5) in sigmas of what is known of lenses `params` (B, P), and derivatives (B, 5, 5) by `UNKNOWNS`.

    Both are zero for those that are not `free` (B, 5).
    """
    params = np.concatenate([params, np.zeros((len(params), 2))], axis=1)
    focal, k1, k2 = params[:, :2].mean(axis=1), params[:, 4], params[:, 5]
    k2_mean = k1**2 if prior.k2_from_k1 else prior.k2
    residual = np.stack([
        np.log(focal / prior.focal) / prior.focal_log_sigma,
        (params[:, 2] - prior.centre[0]) / prior.centre_sigma,
        (params[:, 3] - prior.centre[1]) / prior.centre_sigma,
        (k1 - prior.k1) / prior.k1_sigma,
        (k2 - k2_mean) / prior.k2_sigma,
    ], axis=1)  # fmt: skip
    jacobian = np.zeros((len(params), 5, 5))
    jacobian[:, 0, 0] = 1.0 / (focal * prior.focal_log_sigma)
    jacobian[:, 1, 1] = jacobian[:, 2, 2] = 1.0 / prior.centre_sigma
    jacobian[:, 3, 3], jacobian[:, 4, 4] = 1.0 / prior.k1_sigma, 1.0 / prior.k2_sigma
    jacobian[:, 4, 3] = np.where(prior.k2_from_k1, -2.0 * k1 / prior.k2_sigma, 0.0) * free[:, 3]
    return residual * free, jacobian * free[:, :, None]
