"""`geoloc evaluate`: how good a result is, and whether the number can be believed."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from geoloc.cli.arguments import add_json, add_options
from geoloc.cli.evaluate_answers import evaluate_paths, evaluate_poses, evaluate_rankings
from geoloc.cli.evaluate_errors import evaluate_errors, evaluate_forecasts
from geoloc.cli.evaluate_tracks import evaluate_boxes, evaluate_positions
from geoloc.errors import InputError, unknown_name
from geoloc.evaluation.report import Report
from geoloc.evaluation.report_text import report_json, report_text
from geoloc.files import write_whole
from geoloc.io.error_rows import holds_errors, holds_forecasts
from geoloc.io.poses import look_poses
from geoloc.io.track_tables import is_box_file
from geoloc.io.trec import holds_run

DESCRIPTION = """\
A result beside the truth: tracks on the map in metres, boxes in images, camera poses, rankings; or errors with
the covariances that were stated for them, and probabilities with what came true. Files are told by their look.
Every figure comes with its 95 % interval and its protocol; what makes numbers lie (leaked ids, other frame rates
or units, pixels called metres) is refused. Prints a table; -o writes report.html, report.json and report.txt."""
EXAMPLES = """\
examples:
  geoloc evaluate out/garage/tracks.csv --truth truth.csv -o out/evaluation
      tracks in metres: HOTA, CLEAR, IDF1, GOSPA, T-GOSPA, errors, jitter; NEES, coverage and sharpness
  geoloc evaluate new.csv --truth truth.csv --against old.csv
      is it better? each difference with interval and p-value, over the same blocks of time
  geoloc evaluate c002=a.txt c003=b.txt --truth truth.txt --fps 10
      boxes of several cameras (MOTChallenge, CityFlow or CSV): per camera and over all
  geoloc evaluate runs/*/test.txt --truth runs/*/gt.txt --fps 25
      several sequences, as many truths: pooled, intervals over sequences where there are five and more
  geoloc evaluate tracks.csv --truth truth.csv --site plaza --set zero_distance=1 --set block_s=5
      within half a metre (half the zero_distance), inside the areas of interest of the site's map
  geoloc evaluate poses.txt --truth true_poses.txt; geoloc evaluate run.trec --truth qrels.txt
      camera poses (hloc, TUM, KITTI, CSV) and rankings (TREC)
  geoloc evaluate --robustness garage -o out/robustness
      eleven hazards at five strengths on a synthetic world, or a folder of boxes and truth, or of image pairs"""

Evaluate = Callable[[Namespace], list[Report]]
KINDS: dict[str, Evaluate] = {
    "positions": evaluate_positions,
    "boxes": evaluate_boxes,
    "poses": evaluate_poses,
    "paths": evaluate_paths,
    "rankings": evaluate_rankings,
    "errors": evaluate_errors,
    "forecasts": evaluate_forecasts,
}
NEED_NO_TRUTH = ("errors", "forecasts")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "results", nargs="+", metavar="[CAMERA=]RESULT", help="files of what a system says; a world with --robustness"
    )
    parser.add_argument("--truth", nargs="+", type=Path, default=[], metavar="FILE", help="files of what is so")
    parser.add_argument("--against", nargs="+", metavar="FILE", help="another result on the same truth, to compare")
    parser.add_argument("--kind", help=f"of {', '.join(KINDS)} (default: what the first result looks like)")
    parser.add_argument("-o", "--out", type=Path, help="folder for report.html, report.json and report.txt")
    parser.add_argument(
        "--title", default="", help="name of what is evaluated (default: the truth's folder, or file if truths differ)"
    )
    parser.add_argument("--fps", type=float, default=0.0, help="frames per second of files that count frames")
    parser.add_argument("--site", help="site whose areas of interest alone are scored, as for WILDTRACK")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of that site (default: here)")
    parser.add_argument("--resample", action="store_true", help="of two frame rates, score on the slower one's frames")
    parser.add_argument("--oracle", action="store_true", help="the result was made from the truth, and that is meant")
    parser.add_argument("--input", type=Path, metavar="BOXES", help="what the engine was fed: looked at for leaks")
    parser.add_argument("--coasting", action="store_true", help="score tentative and coasting rows, too")
    parser.add_argument("--truth-sigma", type=float, default=0.0, metavar="M", help="error of the truth, each axis")
    parser.add_argument("--robustness", action="store_true", help="perturb a world, a recording or images instead")
    parser.add_argument("--seconds", type=float, default=8.0, help="of the recording with --robustness (default: 8)")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Evaluate, print, write."""
    reports = _evaluate(args)
    text = "\n\n\n".join(report_text(report) for report in reports)
    content = json.dumps([report_json(report) for report in reports], indent=1, ensure_ascii=False, allow_nan=False)
    if args.out is not None:
        write_reports(args.out, reports, text, content)  # before printing: `| head` may end us
    print(content if args.json else text)


def _evaluate(args: Namespace) -> list[Report]:
    if args.robustness:
        from geoloc.cli.evaluate_robustness import evaluate_robustness

        return evaluate_robustness(args)
    kind = args.kind or look(args.results[0])
    if kind not in KINDS:
        raise unknown_name("kind of result", kind, KINDS)
    if not args.truth and kind not in NEED_NO_TRUTH:
        raise InputError(f"{args.results[0]}: holds {kind}; give what is so with --truth FILE")
    return KINDS[kind](args)


def look(result: str) -> str:
    """What kind of result a file holds."""
    path = result.rpartition("=")[2]
    poses = {"hloc": "poses", "csv": "poses", "tum": "paths", "kitti": "paths"}.get(look_poses(path), "")
    looks = (
        (poses, bool(poses)),
        ("rankings", holds_run(path)),
        ("errors", holds_errors(path)),
        ("forecasts", holds_forecasts(path)),
        ("boxes", is_box_file(path)),
    )
    return next((kind for kind, holds in looks if holds), "positions")


def write_reports(folder: Path, reports: Sequence[Report], text: str, content: str) -> None:
    """The reports as page, JSON and text in a folder; says so on stderr."""
    from geoloc.evaluation.page import write_report_page

    page = write_report_page(reports, folder / "report.html")
    write_whole(folder / "report.json", content + "\n")
    write_whole(folder / "report.txt", text + "\n")
    print(f"wrote {page} and report.json, report.txt beside it", file=sys.stderr)
