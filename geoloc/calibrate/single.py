"""One camera from its marks and the map's control points: a camera that can be trusted, or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.calibrate.mark_checks import check_marks
from geoloc.calibrate.outlying_marks import name_outliers
from geoloc.calibrate.single_case import Problem, SingleOptions, priors_of
from geoloc.calibrate.single_decision import Pose, nothing_fits, one_pose, too_loose
from geoloc.calibrate.single_poses import impossible, minima
from geoloc.calibrate.solution import Refused, Solution
from geoloc.estimators.camera_choice import STRONG, Choice, choose, fit_choices, widened
from geoloc.estimators.camera_fit import UNKNOWNS, camera_of
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Lens
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, Level


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
    problem = Problem(name, size, usable, options, lens, ground, priors_of(size, lens, options))
    found = one_pose(problem, [minima(problem, usable.marked, kind) for kind in problem.priors])
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


def _solved(problem: Problem, marks: Marks, pose: Pose) -> SingleSolution | Refused:
    """The camera of a pose that is settled: what is free, its covariance, and words about it."""
    usable = problem.usable
    choices = _choices(problem, pose.choice)
    prior = problem.priors[pose.choice.fit.kind]
    best, wide = choose(choices if problem.lens is None else [_given(choices)], usable.marked, prior)
    for reading in pose.readings:
        wide = widened(wide, reading.fit, usable.marked, reading.probability)
    camera = camera_of(wide.fit, 0, wide.cov, problem.name, problem.size)
    if impossible(problem, wide.fit):
        return nothing_fits(problem, [wide], [impossible(problem, wide.fit)])
    loose = too_loose(problem, wide)
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


def _choices(problem: Problem, rival: Choice) -> list[Choice]:
    """Every choice of freed unknowns from the settled pose; what is not freed is as expected beforehand."""
    frees, n, prior = problem.frees, len(problem.frees), problem.priors[rival.fit.kind]
    params = np.repeat(rival.fit.params, n, axis=0)
    if problem.lens is None:
        params[["cx" not in free for free in frees], 2:4] = prior.centre
        params[["k1" not in free for free in frees], 4] = 0.0
        params[["k2" not in free for free in frees], 5] = 0.0
    starts = replace(rival.fit.take(np.zeros(n, int)), params=params, scale=np.ones(n))
    return fit_choices(starts, problem.usable.marked, prior, frees, problem.options.sigma_known)


def _given(choices: list[Choice]) -> Choice:
    """Of a given lens as it is, and one with another focal length: as it is, unless the marks disprove it."""
    return max(choices, key=lambda choice: choice.evidence - STRONG * len(choice.free))


def _words(best: Choice, wide: Choice, carried: tuple[str, ...]) -> str:
    freed = ", ".join(["pose", *best.free])
    held = [name for name in np.array(UNKNOWNS)[wide.fit.free[0]].tolist() if name not in carried]
    said = f"free: {freed}, as the marks suit best"
    if held:
        said += f"; the marks say little on {', '.join(held)}, which the covariance holds as wide as was known before"
    return said
