"""The poses that one camera's marks could have, each without the marks that it calls wrong."""

from dataclasses import replace

import numpy as np

from geoloc.calibrate.single_case import Problem
from geoloc.estimators.absolute_pose import propose_starts
from geoloc.estimators.camera_choice import Choice, fit_choices
from geoloc.estimators.camera_fit import (
    OUT_OF_VIEW,
    Fits,
    MarkedPoints,
    camera_of,
    costs,
    linearise_fits,
    refine_fits,
)
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior
from geoloc.scene.lenses import Lens

FIRST_LOOK = ("f", "k1", "k2")  # what is free while the pose is searched for
COARSE, SEARCH_TAILS = 5.0, 2.0  # scale of the errors, and their tails, at first
OUTLIER = 30.0  # squared distance, at the scale of the marks' errors, from which a mark is called wrong
GROSS = 18.4  # the same at the stated sigmas, of which a good mark exceeds it once in 10,000
SAME_PLACE = 0.02  # of the distance to the marks; nearer minima are one
RIVALS = 3
FOLDED = "a lens that folds the still over at its marks"
SEED = 1


def minima(problem: Problem, marked: MarkedPoints, kind: type[Lens]) -> Fits:
    """Every distinct pose that the marks could have, the best first, whether the world allows it or not."""
    rng, prior = np.random.default_rng(SEED), problem.priors[kind]
    starts = propose_starts(marked.points, marked.pixels, problem.size, problem.lens or kind, rng)
    n = len(starts)
    free = np.isin(UNKNOWNS, FIRST_LOOK if problem.lens is None else ())
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


def without_outliers(problem: Problem, fit: Fits) -> Choice:
    """The fit once the marks and lines that are wrong count no more."""
    marked, prior, known = problem.usable.marked, problem.priors[fit.kind], problem.options.sigma_known
    free = problem.frees[-1] if problem.lens is None else ()
    fit = refine_fits(replace(fit, free=np.isin(UNKNOWNS, free)[None]), marked, prior)
    weight = (linearise_fits(fit, marked, prior).distance2[0] <= 2 * GROSS).astype(float)
    lines = np.ones(marked.lines.n_statements)
    for _ in range(6):
        fit = replace(fit, weight=weight[None], line_weight=lines[None], scale=np.ones(1))
        choice = fit_choices(fit, marked, prior, [free], known)[0]
        gate = GROSS if known else max(OUTLIER * choice.fit.scale[0] ** 2, GROSS)
        now = (_distance2_of_strangers(choice, marked, prior) <= gate).astype(float)
        now_lines = _good_lines(choice, gate)
        same = (now == weight).all() and (now_lines == lines).all()
        if same or 2 * now.sum() + problem.said_besides(now_lines) < 8:
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


def fits_well(problem: Problem, rival: Choice) -> bool:
    """Whether enough marks agree, and well enough, to believe a pose."""
    wrong = 1.0 - rival.fit.weight[0].mean()
    besides = problem.said_besides(rival.fit.line_weight[0])
    left_over = 2 * rival.fit.weight[0].sum() + besides - 6 - (problem.lens is None)
    return bool(
        wrong <= problem.options.max_wrong
        and rival.fit.scale[0] <= problem.options.max_misfit
        and left_over >= (2 if wrong == 0 else 5)
    )


def impossible(problem: Problem, fit: Fits) -> str:
    """What no camera can be like: where it stands, or its lens; or nothing."""
    marked = problem.usable.marked
    believed = fit.weight[0] > 0
    camera = camera_of(fit, 0, np.zeros((11, 11)), problem.name, problem.size)
    seen = camera.project(marked.points[believed])
    if np.isnan(seen).any():
        shown = linearise_fits(fit, marked, problem.priors[fit.kind]).distance2[0, believed] < OUT_OF_VIEW
        return FOLDED if shown.all() else "a camera that stands behind its marks"
    centre = camera.centre_world
    if problem.ground is not None:
        floor = float(problem.ground.z_extended(centre[None, :2])[0])
    else:
        floor = float(marked.points[believed, 2].min())
    return "a camera that stands below the ground" if centre[2] < floor else ""
