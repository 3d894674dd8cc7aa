"""`geoloc localize`: boxes of a site's cameras to tracks on its map."""

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.cli.arguments import add_changed, add_json, add_mesh, add_options, add_reading, add_site, seen_through_mesh
from geoloc.cli.gallery_filling import add_gallery, fill_gallery
from geoloc.cli.outputs import RESULT_FILES, planned, record_path, write_results
from geoloc.cli.progress import replay_with_progress
from geoloc.cli.report import RunReport, write_record
from geoloc.errors import InputError
from geoloc.io.detections import ReadOptions, read_detections
from geoloc.io.rows import ReadReport
from geoloc.options import load_options
from geoloc.pipeline.hindsight import with_hindsight
from geoloc.pipeline.linking import link
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, replay, to_the_end
from geoloc.pipeline.queries import State
from geoloc.pipeline.smoothing import smooth
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site, site_root
from geoloc.scene.tables import Detections, GroundPoints, Tracks
from geoloc.scene.versions import load_site_at

if TYPE_CHECKING:
    from geoloc.pipeline.packets import PacketLocalizer

DESCRIPTION = """\
Boxes of a site's cameras become tracks on its map. DETECTIONS are files of any known form (CSV with columns
time, camera, x1, y1, x2, y2; JSON lines; Parquet; MOTChallenge; COCO results; ...), together one recording.
Write CAMERA=FILE for files that hold one camera and do not name it."""
EXAMPLES = """\
examples:
  geoloc localize garage boxes.csv -o out/garage
      writes tracks.geojson, tracks.csv, plan.png, map.html and run.json into out/garage/
  geoloc localize garage boxes.csv -o tracks.geojson --smooth
      a recording, linked and smoothed with what came after; options and report go to tracks.run.json
  geoloc localize plaza C1=gate.txt C2=hall.txt --fps 25 -o out/plaza
      MOTChallenge files, which name no camera and count frames
  geoloc localize garage boxes.jsonl -o out --set tracking.acceleration=2 --options busy.toml
      other options than the defaults; the effective ones are written to out/run.json
  geoloc localize garage boxes.csv --clocks -o out
      cameras whose clocks are off by seconds or minutes: found from what several of them saw, then corrected
  geoloc localize garage log.csv --packets -o out
      a log of what arrived, late, twice or out of order: the answer is that of the sorted frames, the rest is counted
  geoloc localize garage monday.csv -o out/monday --state state/garage
      then tuesday.csv with the same --state: cars that stayed overnight keep their numbers; after a crash the same
      command again does what is left
  geoloc localize garage wednesday.csv -o out/wednesday --state state/garage --changed calibration
      the cameras were calibrated again meanwhile: go on, and keep for each position which calibration it came from
  geoloc localize garage boxes.csv -o out --state state/garage --gallery --images frames
      keep what the objects look like, too: geoloc search garage crop.jpg --state state/garage finds them again
  geoloc localize garage boxes.csv -o out --json | jq .report.tracks
      the report for machines"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("detections", nargs="+", metavar="[CAMERA=]DETECTIONS", help="files of boxes")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        action="append",
        required=True,
        help="folder, or file ending in .geojson, .csv, .png or .html; may be repeated",
    )
    add_mesh(parser)
    add_options(parser)
    add_reading(parser)
    parser.add_argument(
        "--calibrated-at", type=float, metavar="UTC_S", help="take the cameras that were true then (default: now's)"
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FOLDER",
        help="keep the engine's state here, and go on from it: numbers last over restarts; see geoloc ask",
    )
    add_changed(parser)
    parser.add_argument("--smooth", action="store_true", help="link and smooth the recording with what came after")
    parser.add_argument("--clocks", action="store_true", help="find the clocks first, unknown by minutes, and jumps")
    parser.add_argument(
        "--packets", action="store_true", help="take the rows in the files' order, as they came: late ones are put back"
    )
    add_gallery(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Read, localize, write, report."""
    site = load_site(args.site, args.root)
    if args.calibrated_at is not None:
        site = load_site_at(site.name, args.calibrated_at, site_root(args.site, args.root))
    site = seen_through_mesh(site, args.mesh)
    options = load_options(LocalizerOptions(), args.options, args.set)
    files = planned(args.out, site, RESULT_FILES)
    detections, reports = read_all(args, site)
    report = RunReport(site.name)
    report.add_reading(reports)
    if args.clocks:
        detections = on_one_clock(detections, site, options, report)
    if args.state is not None:
        given = options if args.options or args.set else None
        tracks, points, state, options = localize_on(args, detections, site, given, report)
    else:
        work = localize_packets if args.packets else localize_with_report
        tracks, points, state = work(detections, site, options, report)
        if args.smooth:
            linked = link(tracks, site, options.linking, points)
            tracks, points = linked.tracks, linked.points
    if args.smooth:
        tracks = smooth(tracks, site, options.tracking)
    tracks = tracks.take(tracks.state != "tentative")
    report.add_tracks(tracks)
    if args.gallery is not None:
        report.notes += fill_gallery(args, site, detections, tracks, points)
    write_results(files, site, tracks, None if args.smooth else state)  # what was linked has numbers of its own
    record = record_path(args.out)
    report.written = [str(path) for path in (*files, record)]
    write_record(record, args.command_line, options, report)
    print(json.dumps(asdict(report)) if args.json else report)


def read_all(args: Namespace, site: Site) -> tuple[Detections, list[ReadReport]]:
    """The detections of all files as one table, numbered through, and what the readers said.

    Files that hold rows of which none can be read are refused; empty ones are a recording of nothing.
    """
    options = ReadOptions(
        camera=args.camera,
        fps=args.fps,
        start=args.start,
        label=args.label,
        sizes={camera.name: camera.size for camera in site.cameras},
    )
    tables: list[Detections] = []
    reports: list[ReadReport] = []
    for text in args.detections:
        camera, path = split_camera(text, site)
        result = read_detections(path, args.kind, replace(options, camera=camera or args.camera))
        first_id = sum(report.n_rows + report.n_skipped for report in reports)
        tables.append(result.detections.replace(id=result.detections.id + first_id))
        reports.append(result.report)
    table = Detections.concat(tables)
    if not len(table) and any(report.n_skipped for report in reports):
        raise InputError("; ".join(line.strip() for report in reports for line in str(report).splitlines()))
    return table, reports


def split_camera(text: str, site: Site) -> tuple[str, Path]:
    """CAMERA=FILE taken apart, where CAMERA is one of the site's and no file has the whole as its name."""
    camera, equals, file = text.partition("=")
    if equals and not Path(text).exists():
        return site.camera(camera).name, Path(file)
    return "", Path(text)


def on_one_clock(detections: Detections, site: Site, options: LocalizerOptions, report: RunReport) -> Detections:
    """The detections at the site's time in place of the cameras' stamps; fills in the report."""
    from geoloc.pipeline.clock_start import estimate_clocks

    found = estimate_clocks(detections, site, engine=options)
    rows = zip(found.cameras, found.since.tolist(), found.offset.tolist(), found.sigma.tolist(), strict=True)
    for name, since, offset, sigma in rows:
        said = f"stamps {offset:+.3f} s against the site's time, sigma {sigma:.3f} s, taken off"
        jumped = f"{report.clocks.get(name, '')}; from stamp {since:.1f} on "
        report.clocks[name] = said if np.isinf(since) else jumped + said
    report.clocks |= {name: f"not found, left as it is: {why}" for name, why in found.refused.items()}
    return found.correct(detections)


def localize_with_report(
    detections: Detections, site: Site, options: LocalizerOptions, report: RunReport
) -> tuple[Tracks, GroundPoints, State]:
    """As `geoloc.localize`, under a progress bar, with the points behind the tracks and the engine's state at the end.

    Fills in the report.
    """
    localizer = Localizer(site, options)
    steps = to_the_end(localizer, replay(localizer, detections))
    return _run_with_report(localizer, detections, steps, report)


def localize_on(
    args: Namespace, detections: Detections, site: Site, options: LocalizerOptions | None, report: RunReport
) -> tuple[Tracks, GroundPoints, State, LocalizerOptions]:
    """As `localize_with_report`, going on from the state in a folder, with the options that it has.

    To be smoothed, tracks are linked, under numbers that the state never gives.
    """
    from geoloc.pipeline.journal import JournaledLocalizer

    folder: Path = args.state
    with JournaledLocalizer.open(site, folder, options, changed=args.changed) as journaled:
        if journaled.number:
            held = f"{journaled.number:,} {'packets' if args.packets else 'windows'}"
            report.notes.append(f"{folder}: goes on after {held}, {journaled.replayed:,} of them replayed")
        if args.packets:
            tracks, points, state = _run_packets(journaled.packets, detections, journaled.replay_packets, report)
        else:
            steps = journaled.replay(detections)
            tracks, points, state = _run_with_report(journaled.localizer, detections, steps, report)
        if args.smooth:
            tracks = journaled.link(tracks, points).tracks
        return tracks, points, state, journaled.folder.options


def _run_with_report(
    localizer: Localizer, detections: Detections, steps: Iterator[Tracks], report: RunReport
) -> tuple[Tracks, GroundPoints, State]:
    before = localizer.dropped.copy()
    start = time.perf_counter()
    _ = localizer.site.visibility  # what cameras see is computed once a site; it is no part of the engine's speed
    report.prepare_s = round(time.perf_counter() - start, 3)
    start = time.perf_counter()
    points: list[GroundPoints] = []
    steps = _with_points(localizer, replay_with_progress(localizer, detections, "localize", steps), points)
    tables = with_hindsight(steps, localizer.identities.lineage)
    report.add_frames(detections)
    report.add_run(len(tables), localizer.dropped - before, time.perf_counter() - start)
    report.add_clocks(localizer.clocks)
    return Tracks.concat(tables), GroundPoints.concat(points), localizer.state


def _with_points(localizer: Localizer, steps: Iterator[Tracks], points: list[GroundPoints]) -> Iterator[Tracks]:
    """The `steps` of a `localizer`; the points of each go into `points`."""
    for tracks in steps:
        points.append(localizer.points)
        yield tracks


def localize_packets(
    detections: Detections, site: Site, options: LocalizerOptions, report: RunReport
) -> tuple[Tracks, GroundPoints, State]:
    """As `localize_with_report`, of rows in the order in which they came."""
    from geoloc.pipeline.packets import PacketLocalizer, replay_packets

    live = PacketLocalizer(Localizer(site, options))
    return _run_packets(live, detections, lambda log: replay_packets(live, log), report)


def _run_packets(
    live: "PacketLocalizer",
    detections: Detections,
    work: Callable[[Detections], list[tuple[Tracks, GroundPoints]]],
    report: RunReport,
) -> tuple[Tracks, GroundPoints, State]:
    dropped, counts = live.localizer.dropped.copy(), live.counts.copy()
    _ = live.localizer.site.visibility
    start = time.perf_counter()
    steps = work(detections)
    report.add_frames(detections)
    report.add_run(len(steps), live.localizer.dropped - dropped, time.perf_counter() - start)
    report.packets = dict((live.counts - counts).most_common())
    report.add_clocks(live.localizer.clocks)
    tracks, points = zip(*steps, strict=True) if steps else ((), ())
    return Tracks.concat(list(tracks)), GroundPoints.concat(list(points)), live.localizer.state
