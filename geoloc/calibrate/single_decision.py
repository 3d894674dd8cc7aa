"""Which pose of one camera it is, or why there is none or more than one: in words, with the next step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.calibrate.single_case import Problem
from geoloc.calibrate.single_poses import FOLDED, fits_well, impossible, minima, without_outliers
from geoloc.calibrate.solution import Refused
from geoloc.calibrate.usable_marks import empty_part
from geoloc.estimators.camera_choice import Choice, fit_choices
from geoloc.estimators.camera_fit import Fits, costs, linearise_fits

TWO_POSES = 0.05  # of the distance to the marks, from which two minima are two answers
HOPELESS = 60.0  # cost above the best at the stated sigmas, from which a pose is followed no farther
FAR = 16.3  # squared distance of two poses at their sigmas, from which they are not one: 0.999 of three unknowns
DECIDED = 5.0  # log evidence between two poses that settles which is right (150 to 1)


@dataclass(frozen=True, eq=False)
class Reading:
    """Another fit of the same marks, through a lens of another kind, say, and how probable it is."""

    fit: Fits
    probability: float


@dataclass(frozen=True, eq=False)
class Pose:
    """The pose that is taken, and other `readings` of the marks that are not ruled out but lie within its reach."""

    choice: Choice
    readings: tuple[Reading, ...]


def one_pose(problem: Problem, fits: Sequence[Fits]) -> Pose | Refused:
    """The pose that the marks and the world leave, of the minima of each kind of lens; or why there is none or two."""
    rivals = [without_outliers(problem, fit) for fit in _promising(problem, fits)]
    faults = [impossible(problem, rival.fit) for rival in rivals]
    good = [rival for rival, fault in zip(rivals, faults, strict=True) if not fault and fits_well(problem, rival)]
    if not good:
        return nothing_fits(problem, rivals, faults)
    if len(good) == 1:
        return Pose(good[0], ())
    judged = [_judged(problem, rival) for rival in good]
    order = sorted(range(len(good)), key=lambda i: -judged[i].evidence)
    first = order[0]
    open_ = [i for i in order[1:] if judged[first].evidence - judged[i].evidence < DECIDED]
    others = [i for i in open_ if _apart(problem, good[i], good[first]) and _apart(problem, judged[i], judged[first])]
    if others:
        pair = [good[first], good[others[0]]]
        return Pose(pair[problem.options.choice - 1], ()) if problem.options.choice else _undecided(problem, pair)
    odds = np.exp([judged[i].evidence - judged[first].evidence for i in open_])
    probability = odds / (1.0 + odds.sum())
    return Pose(good[first], tuple(Reading(good[i].fit, float(p)) for i, p in zip(open_, probability, strict=True)))


def _promising(problem: Problem, fits: Sequence[Fits]) -> list[Fits]:
    """The poses that some marks may yet choose, one by one; of those that cannot be, the best alone, to be told."""
    if not any(len(some) for some in fits):
        return []
    marked = problem.usable.marked
    linear = [linearise_fits(some, marked, problem.priors[some.kind]) for some in fits]
    cost = np.concatenate([costs(some, at) for some, at in zip(fits, linear, strict=True)])
    single = [some.take(np.array([i])) for some in fits for i in range(len(some))]
    stands = np.array([not impossible(problem, one) for one in single], bool)
    least = cost[stands].min(initial=np.inf)
    first = cost <= cost.min(initial=np.inf)
    return [single[i] for i in np.flatnonzero((stands & (cost <= least + HOPELESS)) | (first & (cost <= least)))]


def _judged(problem: Problem, rival: Choice) -> Choice:
    """The pose by all marks alike, those that it calls wrong included; its evidence is what poses are compared by."""
    if rival.fit.weight.all() and rival.fit.line_weight.all():
        return rival
    weight, line_weight = np.ones_like(rival.fit.weight), np.ones_like(rival.fit.line_weight)
    fit = replace(rival.fit, weight=weight, line_weight=line_weight, scale=np.ones(1))
    free = problem.frees[-1] if problem.lens is None else ()
    prior = problem.priors[fit.kind]
    return fit_choices(fit, problem.usable.marked, prior, [free], problem.options.sigma_known)[0]


def _apart(problem: Problem, one: Choice, other: Choice) -> bool:
    """Whether two fits are two poses, and not one that takes a careless mark or two otherwise, or that is unsure."""
    apart = other.fit.centres[0] - one.fit.centres[0]
    distance = np.linalg.norm(one.fit.centres[0] - np.median(problem.usable.marked.points, axis=0))
    unsure = place_cov(one) + place_cov(other)
    return bool(np.linalg.norm(apart) > TWO_POSES * distance and apart @ np.linalg.solve(unsure, apart) > FAR)


def place_cov(choice: Choice) -> np.ndarray:
    """Covariance (3, 3) m² of the camera's position: exp(xi) * cam_from_world moves it by -Rᵀ of the translation."""
    rotation = choice.fit.rotation[0]
    return np.asarray(rotation.T @ choice.cov[3:6, 3:6] @ rotation)


def nothing_fits(problem: Problem, rivals: list[Choice], faults: list[str]) -> Refused:
    """Why no pose is right, and what mistake it looks like."""
    hint = _other_worlds(problem)
    told = [fault for rival, fault in zip(rivals, faults, strict=True) if fault and fits_well(problem, rival)]
    if told and told[0] == FOLDED:
        where = empty_part(problem.size, problem.usable.marked.pixels)
        more = f"mark more points, first in {where}, or give its lens"
        hint = f"{more}; it may be that {hint}" if hint else more
    if told:
        reason = f"the marks fit only {told[0]}"
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
        for fits in (minima(moved, other, kind) for kind in problem.priors):
            rivals = [without_outliers(moved, fits.take(np.array([0])))] if len(fits) else []
            if any(fits_well(moved, rival) and not impossible(moved, rival.fit) for rival in rivals):
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
    sigma = float(np.sqrt(np.linalg.eigvalsh(place_cov(wide))[-1]))
    distance = float(np.median(np.linalg.norm(problem.usable.marked.points - wide.fit.centres[0], axis=1)))
    focal = float(np.sqrt(wide.cov[6, 6])) / float(wide.fit.params[0, :2].mean())
    if max(sigma / distance, focal) <= problem.options.max_spread:
        return None
    return problem.refused(
        f"the marks leave the camera's place open by {sigma:.1f} m (one sigma) at {distance:.0f} m from them, "
        f"its focal length by {100 * focal:.0f} %",
        f"mark more points, near and far, first in {empty_part(problem.size, problem.usable.marked.pixels)}; "
        "or give its lens",
    )
