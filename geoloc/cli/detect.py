"""`geoloc detect`: frames of a site's cameras to boxes."""

import json
import sys
import time as clock
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from geoloc import __version__
from geoloc.cli.arguments import add_json, add_options, add_site
from geoloc.cli.detect_progress import Progress, problem_lines
from geoloc.cli.detect_sources import find_sources
from geoloc.errors import InputError
from geoloc.files import write_whole
from geoloc.io.detection_writers import WRITERS, write_detections
from geoloc.io.pictures import read_colours
from geoloc.options import load_options, options_to_dict
from geoloc.perception.detectors import DETECTORS, DetectOptions, Detector, find_detector
from geoloc.perception.frames import Frame, Source
from geoloc.perception.in_step import in_step
from geoloc.perception.motion_detector import MotionDetector
from geoloc.perception.picture_checks import PictureCheck
from geoloc.relocalize.drift import check_drift
from geoloc.relocalize.pins import load_references
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Detections

DESCRIPTION = """\
What a site's cameras show: films, folders of pictures or streams in, boxes of objects out, which `geoloc localize` puts
on the map. Without any weights, what is not background is told apart by its size on the ground; OpenCV's people
detector and any ONNX network of the YOLO, RT-DETR and SSD families are there too."""
EXAMPLES = """\
examples:
  geoloc detect garage films/ -o boxes.csv
      films/CAMERA.mp4 or films/CAMERA/1700000000.25.jpg of each camera; interrupted, it goes on when called again
  geoloc detect garage films/ --empty empty/ -o boxes.csv
      empty/CAMERA.jpg show the site when nobody is there: what stands there from the start is found too
  geoloc detect garage gate=rtsp://10.0.0.7/main --minutes 10 -o boxes.csv
      a live camera; frames that come while it works are dropped and counted
  geoloc detect garage films/ --detector onnx --weights yolo11s.onnx --set onnx.tiles=true -o boxes.csv
  geoloc localize garage boxes.csv -o out/garage
      and on to the map"""
OTHER_SCENE = "another scene"
# of the engine, for boxes by motion: feet are middles of footprints, so there is no offset to learn; a camera misses
# what is small or half hidden
ENGINE = (
    "footprint.offset_sigma=0.001",
    "footprint.camera_offset_sigma=0.001",
    "footprint.shift_sigma=0.001",
    "existence.detection_probability=0.05",
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    sources = "film, folder of pictures or stream; CAMERA=SOURCE, or named after its camera"
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help=sources)
    parser.add_argument("-o", "--out", type=Path, required=True, help="boxes: .csv or .jsonl")
    parser.add_argument("--detector", default="", help=f"one of {', '.join(DETECTORS)} (default: motion, or onnx)")
    parser.add_argument("--weights", default="", metavar="FILE.onnx", help="network of the detector onnx")
    parser.add_argument("--empty", type=Path, metavar="FOLDER", help="CAMERA.jpg or .png when nobody is there")
    parser.add_argument("--start", type=float, default=0.0, help="Unix time (s) at which films begin")
    parser.add_argument("--fps", type=float, default=0.0, help="frames per second, where files say none or a wrong one")
    parser.add_argument("--minutes", type=float, default=np.inf, help="end after so many minutes of recording")
    live = "play recordings at so many times their own speed, dropping what comes too fast, as live cameras do"
    parser.add_argument("--live", type=float, nargs="?", const=1.0, default=0.0, metavar="SPEED", help=live)
    parser.add_argument("--anew", action="store_true", help="forget what an interrupted run had found")
    add_options(parser)
    add_json(parser)


@dataclass
class DetectReport:
    """What was done."""

    site: str
    detector: str
    cameras: int = 0
    frames: int = 0
    boxes: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    recording_s: float = 0.0
    work_s: float = 0.0
    not_used: list[str] = field(default_factory=list)  # frames, by camera and reason
    left_out: dict[str, int] = field(default_factory=dict)  # what was seen and is no object, by reason
    resumed: bool = False
    written: str = ""

    def __str__(self) -> str:
        speed = self.frames / self.work_s if self.work_s > 0 else 0.0
        found = ", ".join(f"{n:,} {label}" for label, n in self.labels.items()) or "nothing"
        lines = [
            f"detected   {self.boxes:,} boxes ({found}) by {self.detector}",
            f"frames     {self.frames:,} of {self.cameras} cameras, {self.recording_s:,.1f} s of recording in "
            f"{self.work_s:,.1f} s: {speed:,.1f} frames a second" + (" (resumed)" if self.resumed else ""),
        ]
        lines += [f"not used   {line}" for line in self.not_used]
        lines += [f"left out   {n:,} x {why}" for why, n in self.left_out.items() if n]
        return "\n".join([*lines, f"wrote      {self.written}"])


def run(args: Namespace) -> None:
    """Read frames, detect, write boxes."""
    if args.out.suffix.lower() not in WRITERS:
        raise InputError(f"{args.out}: unknown ending; write boxes to {' or '.join(WRITERS)}")
    site = load_site(args.site, args.root)
    options = load_options(DetectOptions(), args.options, args.set)
    options = replace(options, onnx=replace(options.onnx, weights=args.weights or options.onnx.weights))
    name = args.detector or ("onnx" if options.onnx.weights else "motion")
    sources = find_sources(site, args.sources, args.start, args.fps, args.live)
    detector = find_detector(name, site, options)
    report = DetectReport(site.name, name, len(sources))
    table = detect_all(args, site, sources, detector, options, report)
    write_detections(args.out, table)
    report.boxes, report.written = len(table), str(args.out)
    names, counts = np.unique(table.label, return_counts=True)
    report.labels = {str(label): int(n) for label, n in zip(names, counts, strict=True)}
    record = {"geoloc": __version__, "command": args.command_line, "options": options_to_dict(options)}
    record["report"] = asdict(report)
    write_whole(args.out.with_name(f"{args.out.stem}.run.json"), json.dumps(record, indent=1, default=str) + "\n")
    print(json.dumps(asdict(report)) if args.json else report)


def detect_all(
    args: Namespace, site: Site, sources: Sequence[Source], detector: Detector, options: DetectOptions,
    report: DetectReport,
) -> Detections:  # fmt: skip
    """The boxes of all frames, under a bar; kept from time to time."""
    given = [args.sources, args.start, args.fps, args.minutes, str(args.empty), options_to_dict(options)]
    progress = Progress(args.out, [site.name, __version__, report.detector, given])
    if args.anew:
        progress.forget()
    learned = progress.resume()
    if learned is not None:
        detector.restore(learned)
        report.resumed = True
    elif args.empty is not None:
        show_empty(detector, site, args.empty, [source.camera for source in sources])
    checks = {source.camera: PictureCheck(site.camera(source.camera)) for source in sources}
    unused = {source.camera: source.problems for source in sources}
    scenes = _Scenes(site, args.root, list(checks))
    begun, first = clock.monotonic(), np.nan
    every = 1.0 / options.rate if options.rate else 0.0
    for frames in _under_bar(in_step(sources, options.window_s, progress.until, every)):
        first = frames[0].time if np.isnan(first) else first
        if frames[0].time - first > 60.0 * args.minutes:
            break
        usable = []
        for frame in frames:
            why = checks[frame.camera].reason(frame.image, frame.time) or scenes.reason(frame)
            unused[frame.camera][why] += bool(why)
            usable += [] if why else [frame]
        progress.add(detector.detect(usable), frames[-1].time)
        report.frames += len(usable)
        if progress.is_due():
            progress.save(detector.arrays())
    report.work_s = round(clock.monotonic() - begun, 3)
    report.recording_s = round(progress.until - first, 3) if np.isfinite(first) else 0.0
    if not report.frames and not report.resumed:
        told = problem_lines(unused.items())
        raise InputError(f"no frame could be used; {told[0] if told else 'the sources are empty'}")
    report.not_used, report.left_out = problem_lines(unused.items()), dict(detector.left_out)
    table = progress.table()
    progress.forget()
    return table


def show_empty(detector: Detector, site: Site, folder: Path, cameras: Sequence[str]) -> None:
    """Give a detector by motion the pictures of `folder`."""
    if not isinstance(detector, MotionDetector):
        raise InputError("--empty is for the detector motion; leave it out")
    missing = []
    for name in cameras:
        path = next((p for p in (folder / f"{name}{end}" for end in (".png", ".jpg", ".jpeg")) if p.is_file()), None)
        if path is None:
            missing.append(name)
            continue
        detector.show_empty(name, read_colours(path))
    if len(missing) == len(cameras):
        raise InputError(f"{folder}: has no picture of {missing[0]!r} or any other camera; name them CAMERA.jpg")
    if missing:
        sys.stderr.write(f"no empty picture of {', '.join(missing)}: what stands there from the start is not seen\n")


class _Scenes:
    """Whether each camera's first frames are its own scene, where a reference of it is pinned."""

    def __init__(self, site: Site, root: Path, cameras: list[str]) -> None:
        pinned = load_references(site.name, root, site.site_map, tuple(cameras))
        self._references = pinned
        self._asked: Counter[str] = Counter()

    def reason(self, frame: Frame) -> str:
        """Refuse a camera whose first frame is of another scene; the others are not asked again."""
        if frame.camera not in self._references or self._asked[frame.camera]:
            return ""
        self._asked[frame.camera] += 1
        references = self._references[frame.camera]
        size = references[0].camera.size
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        if grey.shape[::-1] != size:
            grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
        found = check_drift(references, grey)
        if found.state == OTHER_SCENE:
            raise InputError(
                f"camera {frame.camera!r}: its first frame is not the scene of its pinned reference: is this another "
                f"camera's film? Give it as OTHER=SOURCE, or pin new references by geoloc check --images --pin"
            )
        return ""


def _under_bar(steps: Iterator[list[Frame]]) -> Iterator[list[Frame]]:
    from tqdm import tqdm

    form = "detecting: {n:.1f} s of recording [{elapsed}, {postfix}]"
    often = 0.2 if sys.stderr.isatty() else 10.0
    with tqdm(desc="detecting", file=sys.stderr, bar_format=form, mininterval=often) as bar:
        first, n = np.nan, 0
        for frames in steps:
            first = frames[0].time if np.isnan(first) else first
            n += len(frames)
            yield frames
            bar.set_postfix_str(f"{n:,} frames", refresh=False)
            bar.update(frames[0].time - first - bar.n)
