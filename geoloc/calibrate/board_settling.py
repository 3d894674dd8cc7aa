"""The adjustment of boards with what does not fit left out: whole pictures first, then single corners."""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from geoloc.calibrate.board_adjustment import Adjusted, Priors, Sightings, State, adjust
from geoloc.calibrate.board_start import robust_sigma
from geoloc.calibrate.boards import FEWEST_CORNERS

MAX_ROUNDS = 12
LEAST_NOISE = 0.1  # px; pictures that fit as well as a few times this are not told apart
MOST_WRONG = 0.4  # of a picture's corners; beyond it the picture is left out


@dataclass(frozen=True)
class Gates:
    """What is left out: a corner past `corner_probability`, a picture past `picture_rms` times the noise."""

    corner_probability: float
    picture_rms: float


@dataclass(frozen=True, eq=False)
class Settled:
    """The adjustment at its end, the rows `used` (N,), and why pictures, as (camera, view), were left out."""

    adjusted: Adjusted
    used: np.ndarray
    sigma_px: np.ndarray  # (C,) noise of each camera's corners
    left_out: dict[tuple[int, int], str]


def settle(state: State, seen: Sightings, used: np.ndarray, priors: Priors, gates: Gates) -> Settled:
    """Adjust the rows `used` (N,) of one camera from `state`."""
    picture = seen.camera * len(state.world_from_board) + seen.view
    left_out: dict[tuple[int, int], str] = {}
    used, known = used.copy(), used
    for _ in range(MAX_ROUNDS):
        state, sigma = _robust(state, seen, used, priors)
        worst = _worst_picture(state.residuals(seen), picture, used, sigma, gates)
        if worst < 0:
            break
        rms = robust_sigma(state.residuals(seen)[used & (picture == worst)])
        where = divmod(worst, len(state.world_from_board))
        left_out[where] = f"its corners are off by {rms:.2g} px where those of the others are by {sigma:.2g} px"
        used &= picture != worst
    for _ in range(MAX_ROUNDS):
        adjusted = adjust(state, seen, used, priors(state), sigma)
        state, sigma = adjusted.state, noise_sigma(adjusted, seen, used)
        gate = sigma * np.sqrt(chdtri(2, 1.0 - gates.corner_probability))
        fits = np.linalg.norm(adjusted.residual, axis=1) <= gate
        wanted = known & fits & ~np.isin(picture, [c * len(state.world_from_board) + v for c, v in left_out])
        for worst in _spoiled(picture, known, wanted):
            where = divmod(worst, len(state.world_from_board))
            n, wrong = int((known & (picture == worst)).sum()), int((known & (picture == worst) & ~fits).sum())
            left_out.setdefault(where, f"{wrong} of its {n} corners are off")
            wanted &= picture != worst
        if (wanted == used).all():
            break
        used = wanted
    return finish(Settled(adjusted, used, np.array([sigma]), left_out), seen, priors)


def finish(settled: Settled, seen: Sightings, priors: Priors) -> Settled:
    """The same rows adjusted until sigma and priors, which may be others than before, are those of the minimum."""
    adjusted, used, sigma = settled.adjusted, settled.used, float(settled.sigma_px[0])
    for _ in range(MAX_ROUNDS):
        adjusted = adjust(adjusted.state, seen, used, priors(adjusted.state), sigma)
        before, sigma = sigma, noise_sigma(adjusted, seen, used)
        if abs(sigma - before) < 1e-4 * before:
            break
    return Settled(adjusted, used, np.array([sigma]), settled.left_out)


def noise_sigma(adjusted: Adjusted, seen: Sightings, used: np.ndarray) -> float:
    """Sigma (px) of each axis of a corner out of the used residuals, for the degrees of freedom that are left."""
    n_views = len(np.unique(seen.view[used]))
    dof = 2 * int(used.sum()) - 6 * n_views - len(adjusted.cov)
    return max(float(np.sqrt((adjusted.residual[used] ** 2).sum() / max(dof, 1))), 1e-4)


def _robust(state: State, seen: Sightings, used: np.ndarray, priors: Priors) -> tuple[State, float]:
    sigma = robust_sigma(state.residuals(seen)[used])
    for _ in range(3):
        state = adjust(state, seen, used, priors(state), sigma, robust=True).state
        before, sigma = sigma, robust_sigma(state.residuals(seen)[used])
        if abs(sigma - before) < 0.01 * before:
            break
    return state, sigma


def _worst_picture(
    residual: np.ndarray, picture: np.ndarray, used: np.ndarray, sigma: float, gates: Gates
) -> int:
    """The picture that fits worst, or -1 if all fit."""
    pictures = np.unique(picture[used])
    own = np.array([robust_sigma(residual[used & (picture == p)]) for p in pictures])
    worst = int(np.argmax(own))
    noise = max(sigma, float(np.median(own)), LEAST_NOISE)
    return int(pictures[worst]) if own[worst] > gates.picture_rms * noise else -1


def _spoiled(picture: np.ndarray, known: np.ndarray, wanted: np.ndarray) -> list[int]:
    """Pictures of which some corners are wanted, but too few."""
    pictures = np.unique(picture[wanted])
    n, of = (np.array([(rows & (picture == p)).sum() for p in pictures]) for rows in (wanted, known))
    return pictures[(n < FEWEST_CORNERS) | (n < (1.0 - MOST_WRONG) * of)].tolist()
