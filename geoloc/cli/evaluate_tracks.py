"""What `geoloc evaluate` does with tracks: files to recordings, recordings to reports."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.guards import find_leaks_of_input, refuse_or_warn
from geoloc.evaluation.recording import Recording, ground_recording, image_recording, inside, join, reported
from geoloc.evaluation.report import Report
from geoloc.evaluation.tracking import evaluate_tracking
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.evaluation.uncertainty import evaluate_uncertainty
from geoloc.io.detections import ReadOptions, read_detections
from geoloc.io.rows import ReadReport
from geoloc.io.track_tables import TrackFileOptions, read_positions, read_track_boxes
from geoloc.io.truth import BoxTracks
from geoloc.options import load_options
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Tracks


def evaluate_positions(args: Namespace) -> list[Report]:
    """Tracking and uncertainty of positions on the map."""
    if not 0 <= args.truth_sigma < np.inf:
        raise InputError(f"--truth-sigma {args.truth_sigma:g}: an error in metres is 0 or more")
    options = load_options(TrackingOptions(), args.options, args.set)
    said: list[str] = []
    ours = _ground(args, options, args.results, said)
    other = _ground(args, options, args.against, said) if args.against else None
    tracking = evaluate_tracking(ours, options, other, args.oracle).warned(*_leaks(args, ours), *dict.fromkeys(said))
    return [tracking, evaluate_uncertainty(ours, options, args.truth_sigma)]


def evaluate_boxes(args: Namespace) -> list[Report]:
    """Tracking of boxes in the images."""
    options = load_options(TrackingOptions(), args.options, args.set)
    said: list[str] = []
    ours = _image(args, options, args.results, said)
    other = _image(args, options, args.against, said) if args.against else None
    return [evaluate_tracking(ours, options, other, args.oracle).warned(*_leaks(args, ours), *dict.fromkeys(said))]


def _ground(args: Namespace, options: TrackingOptions, results: Sequence[str], said: list[str]) -> Recording:
    parts = []
    for name, truth_file, files in _paired(args.truth, results):
        if len(files) > 1:
            raise InputError(f"{len(files)} results for one truth on the map; give one file, or as many truths")
        truth, result = _positions(args, truth_file, said), _positions(args, files[0], said)
        result = result if args.coasting else _reported(result, files[0], said)
        if args.site:
            site_map = load_site(args.site, args.root).site_map
            truth, result = inside(truth, site_map), inside(result, site_map)
        parts.append(ground_recording(args.title or name, truth, result, args.resample, options.reach))
    return join(parts)


def _reported(result: Tracks, file: str, said: list[str]) -> Tracks:
    kept = reported(result)
    if len(kept) < len(result):
        left = len(result) - len(kept)
        said.append(f"{Path(file).name}: {left:,} of {len(result):,} rows are tentative or coasting: not scored")
    return kept


def _positions(args: Namespace, file: str | Path, said: list[str]) -> Tracks:
    tracks, report = read_positions(file, TrackFileOptions(fps=_fps(args)))
    said += left_out(report)
    return tracks


def _image(args: Namespace, options: TrackingOptions, results: Sequence[str], said: list[str]) -> Recording:
    parts = []
    for name, truth_file, files in _paired(args.truth, results):
        truth = _boxes(args, str(truth_file), said)
        result = BoxTracks.concat([_boxes(args, file, said) for file in files])
        parts.append(image_recording(args.title or name, truth, result, args.resample, options.threshold))
    return join(parts)


def _boxes(args: Namespace, file: str, said: list[str]) -> BoxTracks:
    """Boxes of [CAMERA=]FILE."""
    camera, _, path = file.rpartition("=")
    boxes, report = read_track_boxes(path, TrackFileOptions(fps=_fps(args), camera=camera))
    said += left_out(report)
    return boxes


def _fps(args: Namespace) -> float:
    if not 0 <= args.fps < np.inf:
        raise InputError(f"--fps {args.fps:g}: a frame rate is a positive number of frames a second")
    return float(args.fps)


def _paired(truths: Sequence[Path], results: Sequence[str]) -> list[tuple[str, Path, list[str]]]:
    """Name, truth and results of each sequence: one truth takes all results, several truths one each, in order."""
    if len(truths) == 1:
        return [(_name(truths, 0), truths[0], list(results))]
    if len(truths) != len(results):
        raise InputError(f"{len(results)} results and {len(truths)} truths; give one truth, or one for each result")
    return [(_name(truths, i), truth, [result]) for i, (truth, result) in enumerate(zip(truths, results, strict=True))]


def _name(truths: Sequence[Path], number: int) -> str:
    """A sequence's name: its truth's file, or its folder where all files are named alike."""
    alike = len({path.name for path in truths}) == 1
    path = truths[number]
    return path.resolve().parent.name if alike else path.name.split(".")[0]


def _leaks(args: Namespace, recording: Recording) -> list[str]:
    """Warnings of identities in what the engine was fed."""
    if args.input is None:
        return []
    detections = read_detections(args.input, None, ReadOptions(camera="any", fps=args.fps or 1.0)).detections
    return refuse_or_warn(find_leaks_of_input(detections, len(np.unique(recording.truth.id))), args.oracle)


def tell(report: ReadReport) -> None:
    """What a reader left out, on stderr."""
    if report.n_skipped or report.notes:
        print(report, file=sys.stderr)


def left_out(report: ReadReport) -> list[str]:
    """Warnings of rows that a reader left out, which it also tells.

    InputError where it left out all of them: that is another kind of file, not an empty result.
    """
    if report.n_skipped and not report.n_rows:
        raise InputError(f"{report.path}: none of its {report.n_skipped} rows can be read: {'; '.join(report.skipped)}")
    tell(report)
    return report.left_out()
