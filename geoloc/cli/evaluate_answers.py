"""What `geoloc evaluate` does with camera poses, paths over time, and rankings."""

from argparse import Namespace

from geoloc.cli.evaluate_tracks import left_out
from geoloc.errors import InputError
from geoloc.evaluation.localization import LocalizationOptions, evaluate_localization
from geoloc.evaluation.report import Report
from geoloc.evaluation.retrieval import RetrievalOptions, evaluate_retrieval, run_of_trec
from geoloc.evaluation.trajectory import TrajectoryOptions, evaluate_trajectory
from geoloc.io.poses import NamedPoses, read_poses
from geoloc.io.trajectories import read_trajectory
from geoloc.metrics.trajectory import Trajectory
from geoloc.options import load_options


def evaluate_poses(args: Namespace) -> list[Report]:
    """Poses of named images: recall, medians, refusals, ground error by area."""
    options = load_options(LocalizationOptions(), args.options, args.set)
    said: list[str] = []
    truth, result, other = (_poses(file, said) for file in _three(args))
    if truth is None or result is None:
        raise InputError("give poses and, with --truth, the true ones")
    report = evaluate_localization(truth, result, options, other, args.oracle, args.title or "localization")
    return [report.warned(*said)]


def evaluate_paths(args: Namespace) -> list[Report]:
    """Poses over time: APE and RPE."""
    options = load_options(TrajectoryOptions(), args.options, args.set)
    said: list[str] = []
    truth, result, other = (_path(args, file, said) for file in _three(args))
    if truth is None or result is None:
        raise InputError("give a path and, with --truth, the true one")
    report = evaluate_trajectory(truth, result, options, other, args.oracle, args.title or "path")
    return [report.warned(*said)]


def evaluate_rankings(args: Namespace) -> list[Report]:
    """A run beside judgements, both in TREC's form."""
    options = load_options(RetrievalOptions(), args.options, args.set)
    truth, result, against = _three(args)
    other = run_of_trec(truth, against) if against else None
    return [evaluate_retrieval(run_of_trec(truth, result, args.title), options, other)]


def _three(args: Namespace) -> tuple[str, str, str]:
    """Truth, result and what it is compared with, "" for none: one file each."""
    files = [args.truth, args.results, args.against or [""]]
    for name, given in zip(("--truth", "RESULT", "--against"), files, strict=True):
        if len(given) > 1:
            raise InputError(f"{name}: {len(given)} files; poses and rankings come as one file each")
    truth, result, against = (str(given[0]) for given in files)
    return truth, result, against


def _poses(file: str, said: list[str]) -> NamedPoses | None:
    if not file:
        return None
    read = read_poses(file)
    said += left_out(read.report)
    return read.poses


def _path(args: Namespace, file: str, said: list[str]) -> Trajectory | None:
    if not file:
        return None
    read = read_trajectory(file, fps=args.fps)
    said += left_out(read.report)
    return read.trajectory
