"""One camera from its marks and the map's control points: a camera that can be trusted, or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.calibrate.outlying_marks import name_outliers
from geoloc.calibrate.single_case import Problem, SingleOptions, priors_of, standing
from geoloc.calibrate.single_decision import Pose, nothing_fits, one_pose, too_loose
from geoloc.calibrate.single_lines import disproved_height, line_chi2, words_on_height, words_on_lines
from geoloc.calibrate.single_poses import impossible, minima
from geoloc.calibrate.solution import Refused, Solution
from geoloc.calibrate.usable_marks import on_a_line, usable_marks
from geoloc.errors import InputError
from geoloc.estimators.camera_choice import STRONG, Choice, choose, fit_choices, widened
from geoloc.estimators.camera_fit import camera_of
from geoloc.estimators.camera_prior import UNKNOWNS
from geoloc.estimators.seen_lines import seen_lines
from geoloc.scene.camera import Camera
from geoloc.scene.known import Known
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap


@dataclass(frozen=True, eq=False)
class SingleSolution:
    """A camera from its N marks.

    `residual` (N, 2) px is marked less predicted, NaN at points that the map does not have; `used` (N,) bool.
    `mark_sigma` (N,) px is the standard deviation of a mark's error, as found. `estimated` are the lens unknowns that
    were moved, `carried` those on which the marks say more than was known before; `evidence` is the log evidence of
    each choice of freed unknowns less the best. `chi2` of `dof` is that of the used marks and lines
    at their stated sigmas.
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
    known: Known = Known(),  # noqa: B008 - frozen
    site_map: SiteMap | None = None,
) -> SingleSolution | Refused:
    """The camera `name` of stills `size` (width, height) px, from its own of `marks` and of what else is `known`.

    With a known lens the pose alone is unknown, unless the marks disprove that lens's focal length. The map's level
    says where the ground is under the camera, over which its height is known; without a map, no camera stands lower
    than its lowest mark. A known height that the marks disprove is left out, and named.
    """
    own = known.camera(name)
    if not np.isfinite(own.height):
        return _calibrated(name, size, marks, control_points, options or SingleOptions(), known, site_map)
    if site_map is None:
        raise InputError(f"camera {name!r}: its height is known, the ground is not; give the site's map")
    free = known.without_height(name)
    found, without = (
        _calibrated(name, size, marks, control_points, options or SingleOptions(), what, site_map)
        for what in (known, free)
    )
    if isinstance(without, Refused):
        return found
    level = own.ground(site_map)
    said = disproved_height(without.camera, own, level)
    if said:
        return replace(without, notes=(*without.notes, said))
    if isinstance(found, Refused):
        return found
    return replace(found, notes=(*found.notes, words_on_height(found.camera, without.camera)))


def _calibrated(
    name: str, size: tuple[int, int], marks: Marks, control_points: Sequence[ControlPoint], options: SingleOptions,
    known: Known, site_map: SiteMap | None,
) -> SingleSolution | Refused:  # fmt: skip
    marks, own = marks.take(marks.camera == name), known.camera(name)
    lens = given.lens if (given := known.lens(name)) is not None else None
    lines, directions = seen_lines(known.lines, {name: 0})
    usable = usable_marks(name, size, marks, control_points, lens, lines, bool(np.isfinite(own.height)))
    if isinstance(usable, Refused):
        return usable
    ground = own.ground(site_map) if site_map is not None else None
    middle = np.median(usable.marked.points[:, :2], axis=0)
    priors = priors_of(size, lens, options)
    stood = {kind: standing(prior, own, ground, middle) for kind, prior in priors.items()}
    problem = Problem(name, size, usable, options, lens, ground, stood)
    poses = [minima(problem, usable.marked, kind) for kind in priors]
    # the piece of ground under the camera may be another than that under its marks
    under = {some.kind: some.centres[0, :2] for some in poses if len(some)}
    stood = {kind: standing(prior, own, ground, under.get(kind, middle)) for kind, prior in priors.items()}
    found = one_pose(replace(problem, priors=stood), poses)
    if isinstance(found, Refused):
        return found
    return _solved(replace(problem, priors=stood), marks, found, directions)


def calibrate_each(
    sizes: Mapping[str, tuple[int, int]],
    marks: Marks,
    control_points: Sequence[ControlPoint],
    options: SingleOptions | None = None,
    known: Known = Known(),  # noqa: B008 - frozen
    site_map: SiteMap | None = None,
) -> tuple[Solution, dict[str, tuple[str, ...]]]:
    """Each camera of `sizes` from its own marks alone, and the lens unknowns that were moved in each."""
    cameras, refused, notes = [], [], []
    estimated: dict[str, tuple[str, ...]] = {}
    residual, used = np.full((len(marks), 2), np.nan), np.zeros(len(marks), bool)
    sigma = np.array(marks.sigma)
    for name, size in sizes.items():
        found = calibrate_camera(name, size, marks, control_points, options, known, site_map)
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


def _solved(problem: Problem, marks: Marks, pose: Pose, directions: tuple[str, ...]) -> SingleSolution | Refused:
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
    good = wide.fit.weight[0] > 0
    # what was left over of marks that contradict each other must place a camera by itself
    fault = on_a_line(usable.marked.points[good], [usable.points[i] for i in np.flatnonzero(good)])
    if fault:
        return problem.refused(*fault)
    loose = too_loose(problem, wide)
    if loose is not None:
        return loose
    residual, used = np.full((len(marks), 2), np.nan), np.zeros(len(marks), bool)
    residual[usable.rows] = usable.marked.pixels - camera.project(usable.marked.points)
    used[usable.rows] = good
    carried = tuple(np.array(UNKNOWNS)[wide.carried].tolist())
    top = max(choice.evidence for choice in choices)
    evidence = {choice.free: choice.evidence - top for choice in choices}
    on_lines = words_on_lines(wide, usable.marked, prior, directions)
    notes = (*usable.notes, _words(best, wide, carried), *name_outliers(camera, usable, good, wide.spread), *on_lines)
    lines = wide.fit.line_weight[0] > 0
    dof = 2 * good.sum() + usable.marked.lines.kept(lines).freedom - 6 - len(best.free)
    chi2 = float(wide.distance2[good].sum() + line_chi2(wide, usable.marked, prior))
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
