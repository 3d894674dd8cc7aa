"""`geoloc demo`: a synthetic garage, end to end."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from geoloc.cli.arguments import add_json, add_options
from geoloc.cli.demo_calibration import try_calibration
from geoloc.cli.demo_images import make_images
from geoloc.cli.demo_parking import show_parking
from geoloc.cli.localize import localize_with_report
from geoloc.cli.outputs import RESULT_FILES, planned, write_results
from geoloc.cli.report import RunReport, write_record
from geoloc.evaluation.page import write_report_page
from geoloc.evaluation.report import Report
from geoloc.evaluation.report_text import format_interval, format_value, report_json
from geoloc.evaluation.synthetic_truth import synthetic_recording
from geoloc.evaluation.text_table import aligned
from geoloc.evaluation.tracking import evaluate_tracking
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.evaluation.uncertainty import evaluate_uncertainty
from geoloc.io.detection_writers import write_detections
from geoloc.options import load_options
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.storage import save_site
from geoloc.scene.tables import Tracks
from geoloc.synthetic.garage import garage
from geoloc.synthetic.sensor import Observation, observe
from geoloc.synthetic.simulate import simulate
from geoloc.synthetic.storage import save_truth

DESCRIPTION = """\
A synthetic two-level garage, end to end: cars drive, queue, park and leave, people walk; cameras with
distortion, calibration error, jitter, misses and false alarms see them; the engine gets boxes alone. Prints
how good the tracks are against the truth, and writes boxes, tracks, picture, map page, evaluation and options."""
EXAMPLES = """\
examples:
  geoloc demo
      two minutes of the garage into out/demo/; open out/demo/map.html
  geoloc demo --seconds 30 --seed 5 -o out/short
  geoloc demo --set tracking.acceleration=2
      with other options of the engine
  geoloc localize garage out/demo/boxes.csv --root out/demo -o out/again
      the same again from the files that the demo wrote
  geoloc evaluate out/again/tracks.csv --truth out/demo/truth.csv
      and how good that is
  geoloc demo --calibration
      a site to calibrate in out/trial/: its map, stills, marks; calibrates it and says how far off it is
  geoloc demo --images
      pictures of its cameras through a day, of a walk and of phones, in out/images/: to find out where phones are,
      and which camera has moved
  geoloc demo --parking
      a van hides a parked car from all cameras for minutes; what the engine says of it meanwhile, in out/parking/
  geoloc demo --from-video
      films of three cameras are drawn, watched without any weights, and put on the map, in out/film/"""

TOLD = (
    ("position error, median", "position_error_median_m", "a match lies within 1 m"),
    ("position error, 95 %", "position_error_p95_m", ""),
    ("sigma that was reported", "sigma_median_m", "median, in its largest direction"),
    ("NEES", "nees", "2 if the covariances are honest"),
    ("inside the 95 % ellipse", "coverage_95", "95 % if they are"),
    ("HOTA", "hota", "similarity 0 at 2 m"),
    ("IDF1", "idf1", ""),
    ("identity switches", "id_switches", ""),
    ("MOTA", "mota", ""),
    ("precision", "precision", ""),
    ("recall", "recall", ""),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    default = "default: out/demo; --calibration: out/trial; --images: out/images; --parking: out/parking; "
    default += "--from-video: out/film"
    parser.add_argument("-o", "--out", type=Path, help=f"folder ({default})")
    parser.add_argument("--calibration", action="store_true", help="make and calibrate a site to try calibration on")
    parser.add_argument("--images", action="store_true", help="draw what its cameras, a walk and phones see")
    parser.add_argument("--parking", action="store_true", help="a van hides a parked car for minutes: it keeps its id")
    parser.add_argument("--from-video", action="store_true", help="from drawn films to the map, without any weights")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of the recording (default: 120)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (default: 1)")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Simulate, localize, score, write."""
    if args.from_video:
        from geoloc.cli.demo_video import show_film

        show_film(args)
        return
    if args.parking:
        show_parking(args)
        return
    if args.images:
        make_images(args.out or Path("out/images"), args.seed)
        return
    if args.calibration:
        try_calibration(args.out or Path("out/trial"), args.seed)
        return
    args.out = args.out or Path("out/demo")
    options = load_options(LocalizerOptions(), args.options, args.set)
    print(f"simulating {args.seconds:g} s of the garage ...", file=sys.stderr)
    seen = watch_garage(args.seed, args.seconds)
    save_site(seen.site, args.out)
    boxes = args.out / "boxes.csv"
    write_detections(boxes, seen.detections)
    truth = args.out / "truth.csv"
    save_truth(seen.truth, truth)
    report = RunReport(seen.site.name, rows_read=len(seen.detections))
    tracks, _, state = localize_with_report(seen.detections, seen.site, options, report)
    reports = evaluate(tracks, seen)
    tracks = tracks.take(tracks.state != "tentative")
    report.add_tracks(tracks)
    files = planned([args.out], seen.site, RESULT_FILES)
    print("drawing and writing ...", file=sys.stderr)
    write_results(files, seen.site, tracks, state)
    page = write_report_page(reports, args.out / "report.html", title="garage, two levels")
    record = args.out / "run.json"
    report.written = [str(path) for path in (boxes, truth, *files, page, record)]
    write_record(record, args.command_line, options, report)
    if args.json:
        scores = [report_json(each) for each in reports]
        print(json.dumps({"evaluation": scores, "report": asdict(report)}, allow_nan=False))
    else:
        print(f"{report}\n\n{table(reports, report)}")


def watch_garage(seed: int, seconds: float) -> Observation:
    """What the garage's cameras report, and the truth behind it."""
    world = garage()
    rng = np.random.default_rng(seed)
    truth = simulate(world, rng, replace(world.traffic, duration=seconds))
    return observe(world, truth, rng)


def evaluate(tracks: Tracks, seen: Observation) -> list[Report]:
    """The tracks that the engine stands by beside the truth, and whether their covariances are honest."""
    options = TrackingOptions()
    recording = synthetic_recording(tracks, seen.truth, seen.site, options)
    return [evaluate_tracking(recording, options), evaluate_uncertainty(recording, options)]


def table(reports: Sequence[Report], run_report: RunReport) -> str:
    """The telling figures for people."""
    rows = []
    for label, name, comment in TOLD:
        figure = next(figure for report in reports for figure in report.figures if figure.figure == name)
        value = f"{format_value(figure.value)} {figure.unit}".strip()
        rows.append((label, value, format_interval(figure), comment))
    speed = f"{run_report.camera_frames_per_s:,.0f}"
    rows.append(("camera frames a second", speed, "", f"{run_report.cameras} cameras, one core"))
    return aligned(("against the truth", "", "95 % interval", ""), rows)
