"""One camera from its marks and the map's control points: a camera that can be trusted, or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.calibrate.mark_checks import Usable, check_marks, empty_part
from geoloc.calibrate.outlying_marks import name_outliers
from geoloc.calibrate.solution import Refused, Solution
from geoloc.estimators.absolute_pose import propose_starts
from geoloc.estimators.camera_choice import STRONG, Choice, choose, fit_choices
from geoloc.estimators.camera_fit import (
    OUT_OF_VIEW,
    UNKNOWNS,
    Fits,
    LensPrior,
    MarkedPoints,
    camera_of,
    costs,
    linearise_fits,
    refine_fits,
)
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Lens
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, Level

UNKNOWN_LENS = (("f",), ("f", "k1"), ("f", "k1", "k2"), ("f", "cx", "cy", "k1"), ("f", "cx", "cy", "k1", "k2"))
FIRST_LOOK = ("f", "k1", "k2")  # what is free while the pose is searched for
COARSE, SEARCH_TAILS = 5.0, 2.0  # scale of the errors, and their tails, at first
OUTLIER = 30.0  # squared distance, at the scale of the marks' errors, from which a mark is called wrong
GROSS = 18.4  # the same at the stated sigmas, of which a good mark exceeds it once in 10,000
SAME_PLACE = 0.02  # of the distance to the marks; nearer minima are one
RIVALS = 3
TWO_POSES = 0.05  # the same from which two minima are two answers
HOPELESS = 60.0  # cost above the best at the stated sigmas, from which a pose is followed no farther
DECIDED = 5.0  # log evidence between two poses that settles which is right (150 to 1)
SEED = 1


@dataclass(frozen=True)
class SingleOptions:
    """How one camera is calibrated from its marks."""

    sigma_known: bool = False  # stated sigmas are exact, errors Gaussian; else their scale is estimated
    focal_widths: float = 1.2  # focal length expected without a lens, in image widths
    focal_log_sigma: float = 1.0  # of its logarithm
    centre_sigma: float = 0.02  # of the principal point from the image's centre, in image widths
    k1_sigma: float = 0.3
    k2_sigma: float = 0.1  # of k2 from k1 squared
    max_misfit: float = 5.0  # errors so many times the stated sigmas are refused
    max_wrong: float = 0.34  # share of wrong marks above which the rest is not believed either
    max_spread: float = 0.2  # sigma of the camera's position over its distance to the marks
    choice: int = 0  # which of two poses to take, where the marks cannot decide: 1 or 2; 0: neither

    def __post_init__(self) -> None:
        positive = (1e-6, 100.0)
        check_range(
            self, focal_widths=positive, focal_log_sigma=positive, centre_sigma=positive, k1_sigma=positive,
            k2_sigma=positive, max_misfit=(1.0, 1000.0), max_wrong=(0.0, 0.49), max_spread=positive, choice=(0, 2),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class SingleSolution:
    """A camera from its N marks.

    `residual` (N, 2) px is marked less predicted, NaN at points that the map does not have; `used` (N,) bool.
    `mark_sigma` (N,) px is the standard deviation of a mark's error, as found. `estimated` are the lens unknowns that
    were moved, `carried` those on which the marks say more than was known before; `evidence` is the log evidence of
    each choice of freed unknowns less the best. `chi2` of `dof` is that of the used marks at their stated sigmas.
    """

    camera: Camera
    residual: np.ndarray
    used: np.ndarray
    mark_sigma: np.ndarray
    estimated: tuple[str, ...]
    carried: tuple[str, ...]
    evidence: dict[tuple[str, ...], float]
    chi2: float
    dof: float
    notes: tuple[str, ...]


def calibrate_camera(
    name: str,
    size: tuple[int, int],
    marks: Marks,
    control_points: Sequence[ControlPoint],
    options: SingleOptions | None = None,
    lens: Lens | None = None,
    ground: Level | None = None,
) -> SingleSolution | Refused:
    """The camera `name` of stills `size` (width, height) px, from those of `marks` that are its own.

    With a `lens` the pose alone is unknown, unless the marks disprove that lens's focal length. `ground` says where
    the ground is under the camera; without it, no camera stands lower than its lowest mark.
    """
    options = options or SingleOptions()
    marks = marks.take(marks.camera == name)
    usable = check_marks(name, size, marks, control_points, lens)
    if isinstance(usable, Refused):
        return usable
    problem = _Problem(name, size, usable, options, lens, ground, _prior(size, lens, options))
    found = _one_minimum(problem, _minima(problem, usable.marked))
    if isinstance(found, Refused):
        return found
    return _solved(problem, marks, found)


def calibrate_each(
    sizes: Mapping[str, tuple[int, int]],
    marks: Marks,
    control_points: Sequence[ControlPoint],
    options: SingleOptions | None = None,
    lenses: Mapping[str, Lens] | None = None,
    ground: Level | None = None,
) -> tuple[Solution, dict[str, tuple[str, ...]]]:
    """Each camera of `sizes` from its own marks alone, and the lens unknowns that were moved in each."""
    cameras, refused, notes = [], [], []
    estimated: dict[str, tuple[str, ...]] = {}
    residual, used = np.full((len(marks), 2), np.nan), np.zeros(len(marks), bool)
    sigma = np.array(marks.sigma)
    for name, size in sizes.items():
        lens = (lenses or {}).get(name)
        found = calibrate_camera(name, size, marks, control_points, options, lens, ground)
        if isinstance(found, Refused):
            refused.append(found)
            continue
        rows = marks.camera == name
        cameras.append(found.camera)
        estimated[name] = found.estimated
        residual[rows], used[rows], sigma[rows] = found.residual, found.used, found.mark_sigma
        notes += [f"{name}: {note}" for note in found.notes]
    adjusted = marks.replace(sigma=sigma)
    solution = Solution(tuple(cameras), adjusted, residual, used, tuple(control_points), tuple(refused), tuple(notes))
    return solution, estimated


@dataclass(frozen=True, eq=False)
class _Problem:
    name: str
    size: tuple[int, int]
    usable: Usable
    options: SingleOptions
    lens: Lens | None
    ground: Level | None
    prior: LensPrior

    @property
    def frees(self) -> list[tuple[str, ...]]:
        return [(), ("f",)] if self.lens is not None else list(UNKNOWN_LENS)

    def refused(self, reason: str, next_step: str) -> Refused:
        return Refused(self.name, reason, next_step)


def _prior(size: tuple[int, int], lens: Lens | None, options: SingleOptions) -> LensPrior:
    width, height = size
    sigma = options.centre_sigma * width
    if lens is None:
        focal, centre = options.focal_widths * width, ((width - 1) / 2, (height - 1) / 2)
        return LensPrior(
            focal, options.focal_log_sigma, centre, sigma, 0.0, options.k1_sigma, True, 0.0, options.k2_sigma
        )
    params = np.concatenate([lens.params, np.zeros(2)])
    return LensPrior(
        float(params[:2].mean()), 0.1, (params[2], params[3]), sigma, params[4], 0.1, False, params[5], 0.1
    )


def _minima(problem: _Problem, marked: MarkedPoints) -> Fits:
    """Every distinct pose that the marks could have, the best first, whether the world allows it or not."""
    starts = propose_starts(marked.points, marked.pixels, problem.size, problem.lens, np.random.default_rng(SEED))
    n = len(starts)
    free = np.isin(UNKNOWNS, FIRST_LOOK if problem.lens is None else ())
    pose = starts.cam_from_world
    fits = Fits(
        starts.kind, starts.params, pose[:, :3, :3], pose[:, :3, 3], np.tile(free, (n, 1)), np.ones((n, len(marked))),
        np.full(n, SEARCH_TAILS), np.full(n, COARSE),
    )  # fmt: skip
    fits = refine_fits(fits, marked, problem.prior, 15)
    fits = fits.take(_distinct(fits, marked, problem.prior))
    fits = refine_fits(replace(fits, scale=np.ones(len(fits))), marked, problem.prior)
    return fits.take(_distinct(fits, marked, problem.prior)[:RIVALS])


def _distinct(fits: Fits, marked: MarkedPoints, prior: LensPrior) -> np.ndarray:
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


def _one_minimum(problem: _Problem, fits: Fits) -> Choice | Refused:
    """The pose that the marks and the world leave, or why there is none or more than one."""
    fits = fits.take(_promising(problem, fits))
    rivals = [_without_outliers(problem, fits.take(np.array([i]))) for i in range(len(fits))]
    faults = [_impossible(problem, rival.fit) for rival in rivals]
    good = [rival for rival, fault in zip(rivals, faults, strict=True) if not fault and _fits_well(problem, rival)]
    if not good:
        return _nothing_fits(problem, rivals, faults)
    judged = [_judged(problem, rival) for rival in good]
    order = sorted(range(len(good)), key=lambda i: -judged[i].evidence)
    first, others = order[0], [i for i in order if _apart(problem, good[i], good[order[0]])]
    others = [i for i in others if _apart(problem, judged[i], judged[first])]
    if others and judged[first].evidence - judged[others[0]].evidence < DECIDED:
        pair = [good[first], good[others[0]]]
        return pair[problem.options.choice - 1] if problem.options.choice else _undecided(problem, pair)
    return good[first]


def _promising(problem: _Problem, fits: Fits) -> np.ndarray:
    """Rows of the poses that some marks may yet choose; of those that cannot be, the best alone, to be told."""
    cost = costs(fits, linearise_fits(fits, problem.usable.marked, problem.prior))
    stands = np.array([not _impossible(problem, fits.take(np.array([i]))) for i in range(len(fits))], bool)
    least = cost[stands].min(initial=np.inf)
    first = np.arange(len(fits)) == 0
    return np.flatnonzero((stands & (cost <= least + HOPELESS)) | (first & (cost <= least)))


def _judged(problem: _Problem, rival: Choice) -> Choice:
    """The pose by all marks alike, those that it calls wrong included; its evidence is what poses are compared by."""
    fit = replace(rival.fit, weight=np.ones_like(rival.fit.weight), scale=np.ones(1))
    free = problem.frees[-1] if problem.lens is None else ()
    return fit_choices(fit, problem.usable.marked, problem.prior, [free], problem.options.sigma_known)[0]


def _apart(problem: _Problem, one: Choice, other: Choice) -> bool:
    """Whether two fits are two poses, and not one that takes a careless mark or two otherwise."""
    place = one.fit.centres[0]
    distance = np.linalg.norm(place - np.median(problem.usable.marked.points, axis=0))
    return bool(np.linalg.norm(place - other.fit.centres[0]) > TWO_POSES * distance)


def _without_outliers(problem: _Problem, fit: Fits) -> Choice:
    """The fit once the marks that are wrong count no more."""
    marked, known = problem.usable.marked, problem.options.sigma_known
    free = problem.frees[-1] if problem.lens is None else ()
    fit = refine_fits(replace(fit, free=np.isin(UNKNOWNS, free)[None]), marked, problem.prior)
    weight = (linearise_fits(fit, marked, problem.prior).distance2[0] <= 2 * GROSS).astype(float)
    for _ in range(6):
        fit = replace(fit, weight=weight[None], scale=np.ones(1))
        choice = fit_choices(fit, marked, problem.prior, [free], known)[0]
        gate = GROSS if known else max(OUTLIER * choice.fit.scale[0] ** 2, GROSS)
        now = (_distance2_of_strangers(choice, marked, problem.prior) <= gate).astype(float)
        if (now == weight).all() or 2 * now.sum() < 8:
            break
        weight, fit = now, choice.fit
    return choice


def _distance2_of_strangers(choice: Choice, marked: MarkedPoints, prior: LensPrior) -> np.ndarray:
    """Squared distances (N,) of the marks; of those that the fit does not rest on, with its own covariance."""
    linear = linearise_fits(choice.fit, marked, prior)
    jacobian = linear.jacobian[0]
    cov = linear.cov[0] + jacobian @ choice.cov @ jacobian.swapaxes(1, 2)
    residual = np.nan_to_num(linear.residual[0])
    wide = np.einsum("ni,ni->n", residual, np.linalg.solve(cov, residual[..., None])[..., 0])
    stranger = (choice.fit.weight[0] == 0) & (choice.distance2 < OUT_OF_VIEW)
    return np.where(stranger, wide, choice.distance2)


def _fits_well(problem: _Problem, rival: Choice) -> bool:
    wrong = 1.0 - rival.fit.weight[0].mean()
    left_over = 2 * rival.fit.weight[0].sum() - 6 - (problem.lens is None)
    return bool(
        wrong <= problem.options.max_wrong
        and rival.fit.scale[0] <= problem.options.max_misfit
        and left_over >= (2 if wrong == 0 else 5)
    )


def _impossible(problem: _Problem, fit: Fits) -> str:
    """Why no camera can stand there, or nothing."""
    marked = problem.usable.marked
    believed = fit.weight[0] > 0
    camera = camera_of(fit, 0, np.zeros((11, 11)), problem.name, problem.size)
    seen = camera.project(marked.points[believed])
    if np.isnan(seen).any():
        return "behind its marks"
    centre = camera.centre_world
    if problem.ground is not None:
        floor = float(problem.ground.z_extended(centre[None, :2])[0])
    else:
        floor = float(marked.points[believed, 2].min())
    return "below the ground" if centre[2] < floor else ""


def _nothing_fits(problem: _Problem, rivals: list[Choice], faults: list[str]) -> Refused:
    hint = _other_worlds(problem)
    below = [rival for rival, fault in zip(rivals, faults, strict=True) if fault and _fits_well(problem, rival)]
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


def _other_worlds(problem: _Problem) -> str:
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
        for i, fit in enumerate([fits.take(np.array([0])) for fits in [_minima(moved, other)] if len(fits)]):
            rival = _without_outliers(moved, fit)
            if i == 0 and _fits_well(moved, rival) and not _impossible(moved, rival.fit):
                return words
    return ""


def _undecided(problem: _Problem, rivals: list[Choice]) -> Refused:
    places = []
    for number, rival in enumerate(rivals, start=1):
        x, y, z = rival.fit.centres[0]
        places.append(f"({number}) at {x:.1f}, {y:.1f}, {z:.1f} m, errors {rival.fit.scale[0]:.2f} sigma")
    pixels = problem.usable.marked.pixels
    return problem.refused(
        f"the marks fit two poses: {' and '.join(places)}",
        f"mark a point off their plane, or in {empty_part(problem.size, pixels)}; or choose one of the two",
    )


def _solved(problem: _Problem, marks: Marks, rival: Choice) -> SingleSolution | Refused:
    """The camera of a pose that is settled: what is free, its covariance, and words about it."""
    usable = problem.usable
    choices = _choices(problem, rival)
    best, wide = choose(choices if problem.lens is None else [_given(choices)])
    camera = camera_of(wide.fit, 0, wide.cov, problem.name, problem.size)
    if _impossible(problem, wide.fit):
        return _nothing_fits(problem, [wide], [_impossible(problem, wide.fit)])
    loose = _too_loose(problem, wide)
    if loose is not None:
        return loose
    residual, used = np.full((len(marks), 2), np.nan), np.zeros(len(marks), bool)
    residual[usable.rows] = usable.marked.pixels - camera.project(usable.marked.points)
    good = wide.fit.weight[0] > 0
    used[usable.rows] = good
    carried = tuple(np.array(UNKNOWNS)[wide.carried].tolist())
    top = max(choice.evidence for choice in choices)
    evidence = {choice.free: choice.evidence - top for choice in choices}
    notes = (*usable.notes, _words(best, wide, carried), *name_outliers(camera, usable, good, wide.spread))
    dof = 2 * good.sum() - 6 - len(best.free)
    chi2 = float(wide.distance2[good].sum())
    return SingleSolution(
        camera, residual, used, marks.sigma * wide.spread, best.free, carried, evidence, chi2, float(dof), notes
    )


def _choices(problem: _Problem, rival: Choice) -> list[Choice]:
    """Every choice of freed unknowns from the settled pose; what is not freed is as expected beforehand."""
    frees, n = problem.frees, len(problem.frees)
    params = np.repeat(rival.fit.params, n, axis=0)
    if problem.lens is None:
        params[["cx" not in free for free in frees], 2:4] = problem.prior.centre
        params[["k1" not in free for free in frees], 4] = 0.0
        params[["k2" not in free for free in frees], 5] = 0.0
    starts = replace(rival.fit.take(np.zeros(n, int)), params=params, scale=np.ones(n))
    return fit_choices(starts, problem.usable.marked, problem.prior, frees, problem.options.sigma_known)


def _given(choices: list[Choice]) -> Choice:
    """Of a given lens as it is, and one with another focal length: as it is, unless the marks disprove it."""
    return max(choices, key=lambda choice: choice.evidence - STRONG * len(choice.free))


def _too_loose(problem: _Problem, wide: Choice) -> Refused | None:
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


def _words(best: Choice, wide: Choice, carried: tuple[str, ...]) -> str:
    freed = ", ".join(["pose", *best.free])
    held = [name for name in np.array(UNKNOWNS)[wide.fit.free[0]].tolist() if name not in carried]
    said = f"free: {freed}, as the marks suit best"
    if held:
        said += f"; the marks say little on {', '.join(held)}, which the covariance holds as wide as was known before"
    return said
