"""Which pose of one camera it is, or why there is none or more than one: in words, with the next step."""

from dataclasses import replace

import numpy as np

from geoloc.calibrate.single_case import Problem
from geoloc.calibrate.single_poses import fits_well, impossible, minima, without_outliers
from geoloc.calibrate.solution import Refused
from geoloc.calibrate.usable_marks import empty_part
from geoloc.estimators.camera_choice import Choice, fit_choices
from geoloc.estimators.camera_fit import Fits, camera_of, costs, linearise_fits

TWO_POSES = 0.05  # of the distance to the marks, from which two minima are two answers
HOPELESS = 60.0  # cost above the best at the stated sigmas, from which a pose is followed no farther
DECIDED = 5.0  # log evidence between two poses that settles which is right (150 to 1)


def one_pose(problem: Problem, fits: Fits) -> Choice | Refused:
    """The pose that the marks and the world leave, or why there is none or more than one."""
    fits = fits.take(_promising(problem, fits))
    rivals = [without_outliers(problem, fits.take(np.array([i]))) for i in range(len(fits))]
    faults = [impossible(problem, rival.fit) for rival in rivals]
    good = [rival for rival, fault in zip(rivals, faults, strict=True) if not fault and fits_well(problem, rival)]
    if not good:
        return nothing_fits(problem, rivals, faults)
    judged = [_judged(problem, rival) for rival in good]
    order = sorted(range(len(good)), key=lambda i: -judged[i].evidence)
    first, others = order[0], [i for i in order if _apart(problem, good[i], good[order[0]])]
    others = [i for i in others if _apart(problem, judged[i], judged[first])]
    if others and judged[first].evidence - judged[others[0]].evidence < DECIDED:
        pair = [good[first], good[others[0]]]
        return pair[problem.options.choice - 1] if problem.options.choice else _undecided(problem, pair)
    return good[first]


def _promising(problem: Problem, fits: Fits) -> np.ndarray:
    """Rows of the poses that some marks may yet choose; of those that cannot be, the best alone, to be told."""
    if not len(fits):
        return np.zeros(0, int)
    cost = costs(fits, linearise_fits(fits, problem.usable.marked, problem.prior))
    stands = np.array([not impossible(problem, fits.take(np.array([i]))) for i in range(len(fits))], bool)
    least = cost[stands].min(initial=np.inf)
    first = np.arange(len(fits)) == 0
    return np.flatnonzero((stands & (cost <= least + HOPELESS)) | (first & (cost <= least)))


def _judged(problem: Problem, rival: Choice) -> Choice:
    """The pose by all marks alike, those that it calls wrong included; its evidence is what poses are compared by."""
    weight, line_weight = np.ones_like(rival.fit.weight), np.ones_like(rival.fit.line_weight)
    fit = replace(rival.fit, weight=weight, line_weight=line_weight, scale=np.ones(1))
    free = problem.frees[-1] if problem.lens is None else ()
    return fit_choices(fit, problem.usable.marked, problem.prior, [free], problem.options.sigma_known)[0]


def _apart(problem: Problem, one: Choice, other: Choice) -> bool:
    """Whether two fits are two poses, and not one that takes a careless mark or two otherwise."""
    place = one.fit.centres[0]
    distance = np.linalg.norm(place - np.median(problem.usable.marked.points, axis=0))
    return bool(np.linalg.norm(place - other.fit.centres[0]) > TWO_POSES * distance)


def nothing_fits(problem: Problem, rivals: list[Choice], faults: list[str]) -> Refused:
    """Why no pose is right, and what mistake it looks like."""
    hint = _other_worlds(problem)
    below = [rival for rival, fault in zip(rivals, faults, strict=True) if fault and fits_well(problem, rival)]
    if below:
        where = next(fault for rival, fault in zip(rivals, faults, strict=True) if rival is below[0])
        reason = f"the marks fit only a camera that stands {where}"
    elif rivals:
        best = min(rivals, key=lambda rival: (1 - rival.fit.weight[0].mean(), rival.fit.scale[0]))
        wrong = int((best.fit.weight[0] == 0).sum())
        reason = (
            f"no pose fits the marks: the best leaves {wrong} of {len(problem.usable.marked)} marks wrong "
            f"and the others {best.fit.scale[0]:.1f} times their sigma off"
        )
    else:
        reason = "no pose brings any three marks to their points"
    return problem.refused(reason, hint or "check that marks and points belong together, and add marks")


def _other_worlds(problem: Problem) -> str:
    """What the control points would have to be for the marks to fit, of the mistakes that are usual."""
    marked = problem.usable.marked
    worlds = {
        "the map's coordinates are mirrored: x and y (latitude and longitude) are swapped, or one has the wrong sign": (
            marked.points[:, [1, 0, 2]]
        ),
        "the heights of the points are in feet: give metres": marked.points * [1, 1, 0.3048],
        "the heights of the points are in metres but x and y in feet: give metres": marked.points * [1, 1, 1 / 0.3048],
    }
    for words, points in worlds.items():
        other = replace(marked, points=points)
        moved = replace(problem, usable=replace(problem.usable, marked=other))
        for i, fit in enumerate([fits.take(np.array([0])) for fits in [minima(moved, other)] if len(fits)]):
            rival = without_outliers(moved, fit)
            if i == 0 and fits_well(moved, rival) and not impossible(moved, rival.fit):
                return words
    return ""


def _undecided(problem: Problem, rivals: list[Choice]) -> Refused:
    places = []
    for number, rival in enumerate(rivals, start=1):
        x, y, z = rival.fit.centres[0]
        places.append(f"({number}) at {x:.1f}, {y:.1f}, {z:.1f} m, errors {rival.fit.scale[0]:.2f} sigma")
    pixels = problem.usable.marked.pixels
    return problem.refused(
        f"the marks fit two poses: {' and '.join(places)}",
        f"mark a point off their plane, or in {empty_part(problem.size, pixels)}; or choose one of the two",
    )


def too_loose(problem: Problem, wide: Choice) -> Refused | None:
    """Refuses what is known so badly that its covariance, a linear one, cannot be true."""
    camera = camera_of(wide.fit, 0, wide.cov, problem.name, problem.size)
    centre, pose = camera.centre_world, camera.cam_from_world
    turned = np.hstack([np.zeros((3, 3)), pose.rotation.as_matrix().T])
    lever = np.cross(np.eye(3), pose.translation)
    spread = np.hstack([pose.rotation.as_matrix().T @ lever, turned[:, 3:]])
    sigma = float(np.sqrt(np.linalg.eigvalsh(spread @ camera.calib_cov[:6, :6] @ spread.T)[-1]))
    distance = float(np.median(np.linalg.norm(problem.usable.marked.points - centre, axis=1)))
    focal = float(np.sqrt(wide.cov[6, 6])) / float(wide.fit.params[0, :2].mean())
    if max(sigma / distance, focal) <= problem.options.max_spread:
        return None
    return problem.refused(
        f"the marks leave the camera's place open by {sigma:.1f} m (one sigma) at {distance:.0f} m from them, "
        f"its focal length by {100 * focal:.0f} %",
        f"mark more points, near and far, first in {empty_part(problem.size, problem.usable.marked.pixels)}; "
        "or give its lens",
    )
