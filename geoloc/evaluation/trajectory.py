"""Estimated paths against true ones, as evo measures them: APE and RPE after a stated alignment, in one report."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import GeometryError, InputError, unknown_name
from geoloc.evaluation.frames import refuse_milliseconds
from geoloc.evaluation.guards import FACTORS, refuse_or_warn
from geoloc.evaluation.measures import Blocks, Measure, difference, of_counts, of_quantile
from geoloc.evaluation.pose_guards import BETTER, find_copies
from geoloc.evaluation.queries import bare_figure
from geoloc.evaluation.report import Chart, ErrorMap, Figure, Line, Report
from geoloc.metrics.bootstrap import block_length
from geoloc.metrics.path_alignment import ALIGNMENTS
from geoloc.metrics.trajectory import UNITS, PathErrors, Trajectory, match_times, score_ape, score_rpe
from geoloc.options import check_range

OVER_ALL = "all"
SAME_SCALE = 0.05  # how near the scale of two paths must be to that of a unit
ALIGNED = {
    "none": "not aligned",
    "se3": "aligned by a rigid motion (Umeyama 1991)",
    "sim3": "aligned by a similarity, scale and all (Umeyama 1991)",
    "yaw": "aligned by yaw and a shift",
}


@dataclass(frozen=True)
class TrajectoryOptions:
    """How paths are scored; the defaults are those of evo's commands with --align."""

    alignment: str = "se3"  # of metrics.path_alignment.ALIGNMENTS, for APE
    delta: float = 1.0  # over which motions are compared, in `unit`
    unit: str = "frames"  # of metrics.trajectory.UNITS
    tolerance_s: float = 0.01  # s; up to which times of truth and estimate are one
    block_s: float = 0.0  # s; blocks of time that intervals are drawn over; 0: a tenth of the path, 1 to 10 s

    def __post_init__(self) -> None:
        check_range(self, delta=(1e-9, 1e9), tolerance_s=(0.0, 1e6), block_s=(0.0, 1e9))
        if self.alignment not in ALIGNMENTS:
            raise unknown_name("alignment", self.alignment, ALIGNMENTS)
        if self.unit not in UNITS:
            raise unknown_name("unit of delta", self.unit, UNITS)


def evaluate_trajectory(
    true: Trajectory,
    estimated: Trajectory,
    options: TrajectoryOptions | None = None,
    against: Trajectory | None = None,
    oracle: bool = False,
    name: str = "path",
) -> Report:
    """APE and RPE of an estimated path in m and deg, with intervals over blocks of time, curve and map of errors.

    `against` is another estimate: each figure's difference to it is tested in pairs. InputError where the times do
    not meet, for poses in another direction or unit, and for an estimate that is the truth itself unless `oracle`.
    """
    options = options or TrajectoryOptions()
    options = replace(options, block_s=block_length(true.time, options.block_s))
    warnings = _checked(true, estimated, options, oracle)
    errors = score_ape(true, estimated, alignment=options.alignment, tolerance_s=options.tolerance_s)
    measures, sure = _measures(true, estimated, options), f"bootstrap over blocks of {options.block_s:g} s"
    others: dict[str, Measure] = {}
    if against is not None:
        warnings += [f"the other run: {warning}" for warning in _checked(true, against, options, oracle)]
        others = {measure.name: measure for measure in _measures(true, against, options)}
    return Report(
        title=name,
        family="localization",
        figures=(*(measure.figure(name, OVER_ALL, sure) for measure in measures), *_counts(name, true, errors)),
        warnings=tuple(warnings),
        differences=tuple(difference(m, others[m.name], OVER_ALL) for m in measures if m.name in others),
        charts=(_over_time(errors),),
        error_maps=(_map(true, errors),),
    )


def _measures(true: Trajectory, estimated: Trajectory, options: TrajectoryOptions) -> list[Measure]:
    found = []
    for relation, key, unit in (("translation", "m", "m"), ("rotation_deg", "rotation_deg", "deg")):
        errors = score_ape(true, estimated, relation, options.alignment, options.tolerance_s)
        says = f"APE as evo, {_part(relation)}, {len(errors.value):,} poses within {options.tolerance_s:g} s"
        says += f", {ALIGNED[options.alignment]} over the whole path"
        found += _statistics(f"ape_{{}}_{key}", unit, says, errors, true, options)
        alignment = "sim3" if options.alignment == "sim3" else "none"  # a rigid motion changes no relative pose
        motions = score_rpe(
            true, estimated, options.delta, options.unit, relation, alignment, tolerance_s=options.tolerance_s
        )
        says = f"RPE as evo, {_part(relation)}, {len(motions.value):,} motions of {options.delta:g} {options.unit}"
        says += " along the truth" if options.unit == "metres" else ""
        found += _statistics(f"rpe_{{}}_{key}", unit, says, motions, true, options)
    return found


def _part(relation: str) -> str:
    return "translation part" if relation == "translation" else "rotation angle"


def _statistics(
    name: str, unit: str, says: str, errors: PathErrors, true: Trajectory, options: TrajectoryOptions
) -> list[Measure]:
    """Root of the mean square, and the median, of errors over blocks of the truth's time."""
    number = np.floor((errors.time - true.time[0]) / options.block_s + 1e-6).astype(int)
    n = int((true.time[-1] - true.time[0]) // options.block_s) + 1
    blocks = Blocks(np.clip(number, 0, n - 1), n)
    squares = np.stack([errors.value**2, np.ones(len(errors.value))], axis=1)
    return [
        of_counts(name.format("rmse"), unit, says, squares, blocks, _root_mean),
        of_quantile(name.format("median"), unit, says, errors.value, blocks),
    ]


def _root_mean(n: np.ndarray) -> np.ndarray:
    return np.sqrt(n[..., 0] / np.maximum(n[..., 1], 1.0))


def _counts(name: str, true: Trajectory, errors: PathErrors) -> list[Figure]:
    """How much of both paths was compared, and the scale of a similarity."""
    what: list[tuple[str, float, str]] = [
        ("matched_poses", len(errors.value), f"of the {len(true):,} true ones"),
        ("unmatched_poses", errors.n_unmatched, "of the estimate, at times without a true one: left out"),
    ]
    if errors.alignment.name == "sim3":
        what.append(("scale", errors.alignment.scale, "of the similarity that brings the estimate onto the truth"))
    return [bare_figure(name, OVER_ALL, key, value, "", says) for key, value, says in what]


def _over_time(errors: PathErrors) -> Chart:
    line = Line("position", errors.time - errors.time[0], errors.value)
    note = f"{ALIGNED[errors.alignment.name]}; absolute error of each matched pose"
    return Chart("Position error over time", "s from the start", "m", (line,), note)


def _map(true: Trajectory, errors: PathErrors) -> ErrorMap:
    rows = np.clip(np.searchsorted(true.time, errors.time), 0, len(true) - 1)
    return ErrorMap("", true.xyz[rows, :2], errors.value, np.empty((0, 2)), np.empty((0, 2)))


def _checked(true: Trajectory, estimated: Trajectory, options: TrajectoryOptions, oracle: bool) -> list[str]:
    """Warnings of what makes numbers lie; InputError where they would be worth nothing."""
    if not len(true):
        raise InputError("path: the truth is empty: nothing can be scored; check the file and the part")
    if min(len(true), len(estimated)) > 1:
        refuse_milliseconds(*(float(np.median(np.diff(path.time))) for path in (true, estimated)))
    rows, found = match_times(true.time, estimated.time, options.tolerance_s)
    _refuse_inverse(true, estimated, options)
    if options.alignment != "sim3":
        _refuse_other_scale(true, estimated, options)
    apart = true.world_from_body[rows].inv() * estimated.world_from_body[found]
    copies = find_copies(np.linalg.norm(apart.translation, axis=1), apart.rotation.magnitude())
    return refuse_or_warn(copies, oracle)


def _refuse_inverse(true: Trajectory, estimated: Trajectory, options: TrajectoryOptions) -> None:
    turned = Trajectory(estimated.time, estimated.world_from_body.inv())
    before, after = _rmse(true, estimated, options), _rmse(true, turned, options)
    if after < BETTER * before:
        raise InputError(
            f"one of the two paths looks like body_from_world (cam_from_world): inverted, APE would be {after:.3g} m "
            f"instead of {before:.3g} m; give both as world_from_body"
        )


def _refuse_other_scale(true: Trajectory, estimated: Trajectory, options: TrajectoryOptions) -> None:
    """A similarity that fits where a rigid motion does not, by the factor of a unit."""
    try:
        similar = score_ape(true, estimated, alignment="sim3", tolerance_s=options.tolerance_s)
    except GeometryError:  # a path along one line has no rotation to go by
        return
    scale = similar.alignment.scale
    for factor, unit in FACTORS.items():
        if abs(scale / factor - 1.0) < SAME_SCALE and similar.rmse <= BETTER * _rmse(true, estimated, options):
            raise InputError(f"{unit}: times {scale:.4g} the estimated path fits the true one; give both in metres")


def _rmse(true: Trajectory, estimated: Trajectory, options: TrajectoryOptions) -> float:
    return score_ape(true, estimated, alignment=options.alignment, tolerance_s=options.tolerance_s).rmse
