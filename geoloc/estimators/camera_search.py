"""The poses that the marks of one camera could have, and which of its marks each of them calls wrong."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from geoloc.estimators.absolute_pose import propose_starts
from geoloc.estimators.camera_choice import Choice, fit_choices
from geoloc.estimators.camera_fit import OUT_OF_VIEW, Fits, MarkedPoints, costs, linearise_fits, refine_fits
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior
from geoloc.scene.lenses import Lens

FIRST_LOOK = ("f", "k1", "k2")  # what is free of an unknown lens while the pose is searched for
COARSE, SEARCH_TAILS = 5.0, 2.0  # scale of the errors, and their tails, at first
OUTLIER = 30.0  # squared distance, at the scale of the marks' errors, from which a mark is called wrong
GROSS = 18.4  # the same at the stated sigmas, of which a good mark exceeds it once in 10,000
SAME_PLACE = 0.02  # of the distance to the marks; nearer minima are one
RIVALS = 3
ENOUGH = 8  # residuals that must be left over of marks before any is called wrong


def find_minima(
    marked: MarkedPoints, size: tuple[int, int], lens: Lens | type[Lens], prior: CameraPrior, rng: np.random.Generator
) -> Fits:
    """Every distinct pose that the marks could have, the best first, whether the world allows it or not.

    A `lens` that is given as a kind alone is found with the pose.
    """
    starts = propose_starts(marked.points, marked.pixels, size, lens, rng)
    n = len(starts)
    free = np.isin(UNKNOWNS, FIRST_LOOK if isinstance(lens, type) else ())
    pose = starts.cam_from_world
    fits = Fits(
        starts.kind, starts.params, pose[:, :3, :3], pose[:, :3, 3], np.tile(free, (n, 1)), np.ones((n, len(marked))),
        np.ones((n, marked.lines.n_statements)), np.full(n, SEARCH_TAILS), np.full(n, COARSE),
    )  # fmt: skip
    fits = refine_fits(fits, marked, prior, 15)
    fits = fits.take(_distinct(fits, marked, prior))
    fits = refine_fits(replace(fits, scale=np.ones(len(fits))), marked, prior)
    return fits.take(_distinct(fits, marked, prior)[:RIVALS])


def _distinct(fits: Fits, marked: MarkedPoints, prior: CameraPrior) -> np.ndarray:
    """Rows of the fits that end at different places, by ascending cost."""
    if not len(fits):
        return np.empty(0, int)
    order = np.argsort(costs(fits, linearise_fits(fits, marked, prior)), kind="stable")
    centres = fits.centres
    distance = np.linalg.norm(centres - np.median(marked.points, axis=0), axis=1)
    kept: list[int] = []
    for row in order.tolist():
        gaps = np.linalg.norm(centres[kept] - centres[row], axis=1)
        if not (gaps < SAME_PLACE * distance[row]).any():
            kept.append(row)
    return np.array(kept, int)


def without_outliers(
    fit: Fits, marked: MarkedPoints, prior: CameraPrior, free: tuple[str, ...], sigma_known: bool,
    said_besides: Callable[[np.ndarray], int],
) -> Choice:  # fmt: skip
    """The fit, with unknowns `free` of its lens, once the marks and lines that are wrong count no more.

    `said_besides` is how much of pose and lens is carried by what is no mark, given which lines' statements count.
    """
    fit = refine_fits(replace(fit, free=np.isin(UNKNOWNS, free)[None]), marked, prior)
    weight = (linearise_fits(fit, marked, prior).distance2[0] <= 2 * GROSS).astype(float)
    lines = np.ones(marked.lines.n_statements)
    for _ in range(6):
        fit = replace(fit, weight=weight[None], line_weight=lines[None], scale=np.ones(1))
        choice = fit_choices(fit, marked, prior, [free], sigma_known)[0]
        gate = GROSS if sigma_known else max(OUTLIER * choice.fit.scale[0] ** 2, GROSS)
        now = (_distance2_of_strangers(choice, marked, prior) <= gate).astype(float)
        now_lines = _good_lines(choice, gate)
        same = (now == weight).all() and (now_lines == lines).all()
        if same or 2 * now.sum() + said_besides(now_lines) < ENOUGH:
            break
        weight, lines, fit = now, now_lines, choice.fit
    return choice


def _good_lines(choice: Choice, gate: float) -> np.ndarray:
    """Which statements (S,) of the lines count: all but the worst of the wrong ones, which may pull the others."""
    distance2, counts = choice.line_distance2, choice.fit.line_weight[0] > 0
    wrong = counts & (distance2 > gate)
    worst = wrong & (distance2 == distance2[counts].max(initial=0.0))
    return (np.where(counts, ~worst, distance2 <= gate)).astype(float)


def _distance2_of_strangers(choice: Choice, marked: MarkedPoints, prior: CameraPrior) -> np.ndarray:
    """Squared distances (N,) of the marks; of those that the fit does not rest on, with its own covariance."""
    linear = linearise_fits(choice.fit, marked, prior)
    jacobian = linear.jacobian[0]
    cov = linear.cov[0] + jacobian @ choice.cov @ jacobian.swapaxes(1, 2)
    residual = np.nan_to_num(linear.residual[0])
    wide = np.einsum("ni,ni->n", residual, np.linalg.solve(cov, residual[..., None])[..., 0])
    stranger = (choice.fit.weight[0] == 0) & (choice.distance2 < OUT_OF_VIEW)
    return np.where(stranger, wide, choice.distance2)
