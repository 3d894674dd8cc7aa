"""What `geoloc evaluate --robustness` does: a recording made worse on purpose, hazard by hazard."""

import sys
from argparse import Namespace
from pathlib import Path

from geoloc.errors import InputError
from geoloc.evaluation.report import Report
from geoloc.evaluation.robustness.cases import Target, load_target
from geoloc.evaluation.robustness.images import ImageCase, image_case
from geoloc.evaluation.robustness.measure import Robustness, RobustnessOptions, measure_robustness
from geoloc.evaluation.robustness.plot import plot_robustness
from geoloc.evaluation.robustness.report import report_of, robustness_table
from geoloc.evaluation.robustness.storage import save_scores
from geoloc.options import load_options


def evaluate_robustness(args: Namespace) -> list[Report]:
    """Measure, draw and store; the report."""
    from tqdm import tqdm

    if len(args.results) != 1:
        raise InputError(f"--robustness takes one world or folder; {len(args.results)} were given")
    if args.truth or args.against:
        raise InputError("--robustness finds the truth in the folder, and compares with --set reference=scores.json")
    options = load_options(RobustnessOptions(), args.options, args.set)
    target = _target(args.results[0], args.seconds, args.truth_sigma)
    with tqdm(desc="robustness", file=sys.stderr, mininterval=0.1 if sys.stderr.isatty() else 5.0) as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.set_description(what, refresh=False)
            bar.total = total
            bar.update(done - bar.n)

        measured = measure_robustness(target, options, progress)
    if args.out is not None:
        _write(args.out, measured)
    if not args.json:
        print(f"{robustness_table(measured.scores)}\n\n")
    return [report_of(measured)]


def _target(name: str, seconds: float, truth_sigma: float) -> Target | ImageCase:
    folder = Path(name)
    inside = sorted(path.parent for path in folder.glob("*/query") if (path.parent / "ref").is_dir())
    if inside:
        raise InputError(f"{folder}: query/ and ref/ lie in {', '.join(map(str, inside))}; give that folder")
    return image_case(folder) if (folder / "query").is_dir() else load_target(name, seconds, truth_sigma=truth_sigma)


def _write(folder: Path, measured: Robustness) -> None:
    plot_robustness(measured, folder / "robustness.png")
    save_scores(measured.scores, folder / "scores.json")
    print(f"wrote {folder / 'robustness.png'} and scores.json beside it", file=sys.stderr)
