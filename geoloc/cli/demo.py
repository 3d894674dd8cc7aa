"""`geoloc demo`: a synthetic garage, end to end."""

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from geoloc.cli.arguments import add_json, add_options
from geoloc.cli.localize import localize_with_report
from geoloc.cli.outputs import RESULT_FILES, planned, write_results
from geoloc.cli.report import RunReport, write_record
from geoloc.evaluation.synthetic_scores import MATCH_M, SyntheticScores, score_synthetic
from geoloc.evaluation.text_table import aligned
from geoloc.io.detection_writers import write_detections
from geoloc.options import load_options
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.storage import save_site
from geoloc.synthetic.garage import garage
from geoloc.synthetic.sensor import Observation, observe
from geoloc.synthetic.simulate import simulate

DESCRIPTION = """\
A synthetic two-level garage, end to end: cars drive, queue, park and leave, people walk; cameras with
distortion, calibration error, jitter, misses and false alarms see them; the engine gets boxes alone. Prints
how good the tracks are against the truth, and writes boxes, tracks, picture, map page and options."""
EXAMPLES = """\
examples:
  geoloc demo
      two minutes of the garage into out/demo/; open out/demo/map.html
  geoloc demo --seconds 30 --seed 5 -o out/short
  geoloc demo --set tracking.acceleration=2
      with other options of the engine
  geoloc localize garage out/demo/boxes.csv --root out/demo -o out/again
      the same again from the files that the demo wrote"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("-o", "--out", type=Path, default=Path("out/demo"), help="folder (default: out/demo)")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of the recording (default: 120)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (default: 1)")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Simulate, localize, score, write."""
    options = load_options(LocalizerOptions(), args.options, args.set)
    print(f"simulating {args.seconds:g} s of the garage ...", file=sys.stderr)
    seen = watch_garage(args.seed, args.seconds)
    save_site(seen.site, args.out)
    boxes = args.out / "boxes.csv"
    write_detections(boxes, seen.detections)
    report = RunReport(seen.site.name, rows_read=len(seen.detections))
    tracks = localize_with_report(seen.detections, seen.site, options, report)
    scores = score_synthetic(tracks, seen.truth, seen.site)
    tracks = tracks.take(tracks.state != "tentative")
    report.add_tracks(tracks)
    files = planned([args.out], seen.site, RESULT_FILES)
    print("drawing and writing ...", file=sys.stderr)
    write_results(files, seen.site, tracks)
    record = args.out / "run.json"
    report.written = [str(path) for path in (boxes, *files, record)]
    write_record(record, args.command_line, options, report)
    if args.json:
        print(json.dumps({"scores": asdict(scores), "report": asdict(report)}, allow_nan=False))
    else:
        print(f"{report}\n\n{table(scores, report)}")


def watch_garage(seed: int, seconds: float) -> Observation:
    """What the garage's cameras report, and the truth behind it."""
    world = garage()
    rng = np.random.default_rng(seed)
    truth = simulate(world, rng, replace(world.traffic, duration=seconds))
    return observe(world, truth, rng)


def table(scores: SyntheticScores, report: RunReport) -> str:
    """The scores for people."""
    rows = [
        ("position error, median", f"{scores.error_median_m:.3f} m", f"{scores.n_positions:,} positions"),
        ("position error, 95 %", f"{scores.error_p95_m:.3f} m", f"at most {MATCH_M:g} m counts as a match"),
        ("sigma that was reported, median", f"{scores.sigma_median_m:.3f} m", "in its largest direction"),
        ("NEES", f"{scores.nees:.2f}", "2 if the covariances are honest"),
        ("inside the 95 % ellipse", f"{100 * scores.coverage_95:.1f} %", "95 % if they are"),
        ("HOTA", f"{100 * scores.hota:.1f} %", f"{scores.n_objects} objects that a camera sees"),
        ("IDF1", f"{100 * scores.idf1:.1f} %", f"{scores.id_switches} identity switches"),
        ("MOTA", f"{100 * scores.mota:.1f} %", f"precision {scores.precision:.3f}, recall {scores.recall:.3f}"),
        ("camera frames a second", f"{report.camera_frames_per_s:,.0f}", f"{report.cameras} cameras, one core"),
    ]
    return aligned(("against the truth", "", ""), rows)
