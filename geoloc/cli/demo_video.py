"""`geoloc demo --from-video`: films of the garage are drawn, watched, and put on the map, without any weights."""

import sys
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np

from geoloc.cli.detect import ENGINE, DetectReport, detect_all
from geoloc.cli.detect_sources import find_sources
from geoloc.cli.localize import localize_with_report
from geoloc.cli.outputs import RESULT_FILES, planned, write_results
from geoloc.cli.report import RunReport, write_record
from geoloc.evaluation.report_text import format_value
from geoloc.evaluation.synthetic_truth import synthetic_recording
from geoloc.evaluation.tracking import evaluate_tracking
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.files import write_whole
from geoloc.io.detection_writers import write_detections
from geoloc.options import load_options
from geoloc.perception.detectors import DetectOptions, find_detector
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.storage import save_site
from geoloc.synthetic.film_garage import Shooting, shoot
from geoloc.synthetic.storage import save_truth

CAMERAS = ("p1-aisle-s-west", "p1-row-a", "p1-row-b")
SECONDS, RATE = 15.0, 3.0
SIZE = (480, 270)
TEXEL = 0.04  # m: coarser than the eye would like, and quick
TOLD = ("moda", "idf1", "precision", "recall", "position_error_median_m")


def show_film(args: Namespace) -> None:
    """Draw, detect, localize, score, write."""
    from geoloc.synthetic.rendering.film import FilmOptions, empty_pictures, film_scene, make_film
    from geoloc.synthetic.rendering.film_files import save_film

    out = args.out or Path("out/film")
    options = load_options(LocalizerOptions(), args.options, [*ENGINE, *args.set])
    shot = shoot(Shooting(seconds=SECONDS, rate=RATE, cameras=CAMERAS, n_people=8, seed=args.seed))
    film = FilmOptions(size=SIZE, texel=TEXEL, switch_s=(9.0,))
    _say(f"drawing {SECONDS:g} s of {len(shot.site.cameras)} cameras: about a minute ...")
    scene, cameras = film_scene(shot.world, shot.rng, film), shot.true_site.cameras
    _save_empty(out / "empty", empty_pictures(scene, cameras, shot.rng, film))
    save_film(make_film(scene, shot.truth, cameras, shot.rng, film), out / "films")
    save_site(shot.site, out)
    save_truth(shot.truth, out / "truth.csv")
    start = float(shot.truth.time.min())
    asked = _asked(args, out, start)
    told = DetectReport(shot.site.name, "motion", len(cameras))
    detect = DetectOptions()
    sources = find_sources(shot.site, asked.sources, start, 0.0, 0.0)
    boxes = detect_all(asked, shot.site, sources, find_detector("motion", shot.site, detect), detect, told)
    write_detections(asked.out, boxes)
    told.boxes, told.written = len(boxes), str(asked.out)
    names, counts = np.unique(boxes.label, return_counts=True)
    told.labels = {str(label): int(n) for label, n in zip(names, counts, strict=True)}
    report = RunReport(shot.site.name, rows_read=len(boxes))
    tracks, _, state = localize_with_report(boxes, shot.site, options, report)
    scored = TrackingOptions()
    figures = evaluate_tracking(synthetic_recording(tracks, shot.truth, shot.site, scored), scored).figures
    tracks = tracks.take(tracks.state != "tentative")
    report.add_tracks(tracks)
    files = planned([out], shot.site, RESULT_FILES)
    write_results(files, shot.site, tracks, state)
    report.written = [str(path) for path in (*files, out / "run.json")]
    write_record(out / "run.json", args.command_line, options, report)
    print(f"{told}\n{report}\n\nagainst the truth, a match within 1 m")
    for figure in figures:
        if figure.figure in TOLD and figure.part == "all":
            print(f"{figure.figure:24} {format_value(figure.value)} {figure.unit}")


def _asked(args: Namespace, out: Path, start: float) -> Namespace:
    """As `geoloc detect` would be called."""
    return Namespace(
        sources=[str(out / "films")], out=out / "boxes.csv", start=start, fps=0.0, minutes=np.inf, anew=True,
        empty=out / "empty", root=out, command_line=args.command_line,
    )  # fmt: skip


def _save_empty(folder: Path, pictures: dict[str, np.ndarray]) -> None:
    for name, picture in pictures.items():
        write_whole(folder / f"{name}.png", cv2.imencode(".png", picture)[1].tobytes())


def _say(what: str) -> None:
    print(what, file=sys.stderr)
