"""The poses that one camera's marks could have, each without the marks that it calls wrong."""

import numpy as np

from geoloc.calibrate.single_case import Problem
from geoloc.estimators.camera_choice import Choice
from geoloc.estimators.camera_fit import OUT_OF_VIEW, Fits, MarkedPoints, camera_of, linearise_fits
from geoloc.estimators.camera_search import find_minima
from geoloc.estimators.camera_search import without_outliers as without_wrong_marks
from geoloc.scene.lenses import Lens

FOLDED = "a lens that folds the still over at its marks"
SEED = 1


def minima(problem: Problem, marked: MarkedPoints, kind: type[Lens]) -> Fits:
    """Every distinct pose that the marks could have, the best first, whether the world allows it or not."""
    rng = np.random.default_rng(SEED)
    return find_minima(marked, problem.size, problem.lens or kind, problem.priors[kind], rng)


def without_outliers(problem: Problem, fit: Fits) -> Choice:
    """The fit once the marks and lines that are wrong count no more."""
    free = problem.frees[-1] if problem.lens is None else ()
    prior, known = problem.priors[fit.kind], problem.options.sigma_known
    return without_wrong_marks(fit, problem.usable.marked, prior, free, known, problem.said_besides)


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
