"""`geoloc convert`: cameras, marks, points, detections, tracks and whole recordings from one form to another."""

import json
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from geoloc.cli import convert_cameras, convert_marks
from geoloc.cli.arguments import add_json, add_reading, add_site, add_track_writing
from geoloc.errors import InputError, unknown_name

if TYPE_CHECKING:
    from geoloc.io.truth import BoxTracks, GroundTruth
    from geoloc.scene.site import Site
    from geoloc.scene.tables import Detections

DESCRIPTION = "Cameras, marks, control points, detections, tracks and whole recordings from one form to another."
EXAMPLES = """\
examples:
  geoloc convert cameras gate.yaml hall.krtd --site garage --pose-sigma 0.001 0.03
      OpenCV, ROS, Kalibr, COLMAP, Metropolis, KRTD, TOML, Tsai, ... into calibration/garage/cameras.json
  geoloc convert cameras calibrations/ --site plaza --new --metres 0.01
      a new site: its cameras, and one level `ground` at z = 0
  geoloc convert calibration garage --to colmap -o out/colmap
      the site's cameras in another form; what it cannot hold is said or refused
  geoloc convert calibration garage --to footprints -o seen.geojson
      what each camera sees of each level, for a GIS
  geoloc convert marks annotations.xml -o calibration/garage/marks.csv
      QGIS .points, OpenDroneMap, CVAT, labelme or a table, with --stills held to the pictures' sizes
  geoloc convert points survey.csv --crs EPSG:25832 -o sitemaps/garage.geojson
      surveyed, Agisoft, Pix4D, QGIS points onto a map; with -o points.csv --site garage into a table
  geoloc convert detections gate.txt --camera gate --fps 25 -o gate.csv
      MOTChallenge (or COCO, ...) into CSV or JSON lines
  geoloc convert tracks garage out/garage/tracks.csv -o tracks.geojson
      tracks of a run into .geojson, .gpkg, .kmz, .txt (MOTChallenge), ...: all that `geoloc map -o` writes
  geoloc convert recording wildtrack ~/data/wildtrack -o out/wildtrack
      a published recording into a site, boxes and truth; then:
      geoloc localize wildtrack out/wildtrack/boxes.csv --root out/wildtrack -o out/wildtrack/run"""
SAME_TIME = 1e-3  # s
RECORDINGS = ("wildtrack", "multiviewx", "cityflow", "cmc", "meva")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    things = parser.add_subparsers(metavar="WHAT", required=True)
    for name, summary, declare, do in (
        ("cameras", "calibrations into a site's cameras", convert_cameras.site_arguments, convert_cameras.into_site),
        ("calibration", "a site's cameras into a calibration", convert_cameras.arguments, convert_cameras.out_of_site),
        ("marks", "marks of other tools into marks.csv", convert_marks.mark_arguments, convert_marks.convert_marks),
        (
            "points",
            "surveyed points into a table or a map",
            convert_marks.point_arguments,
            convert_marks.convert_points,
        ),
        ("detections", "boxes into CSV or JSON lines", _detections_arguments, _detections),
        ("tracks", "tracks of a run into another form", _tracks_arguments, _tracks),
        ("recording", "a published recording into a site, boxes and truth", _recording_arguments, _recording),
    ):
        own = things.add_parser(
            name, help=summary, description=summary, epilog=EXAMPLES, formatter_class=RawDescriptionHelpFormatter
        )
        declare(own)
        add_json(own)
        own.set_defaults(convert=do)


def run(args: Namespace) -> None:
    """Convert, and say what was written."""
    convert: Callable[[Namespace], dict[str, object]] = args.convert
    said = convert(args)
    print(json.dumps(said) if args.json else "\n".join(f"{key:<10} {value}" for key, value in said.items()))


def _detections_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="DETECTIONS", help="files of boxes")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file ending in .csv or .jsonl")
    add_reading(parser)


def _detections(args: Namespace) -> dict[str, object]:
    from geoloc.io.detection_writers import write_detections
    from geoloc.io.detections import ReadOptions, read_detections
    from geoloc.scene.tables import Detections

    options = ReadOptions(camera=args.camera, fps=args.fps, start=args.start, label=args.label)
    results = [read_detections(path, args.kind, options) for path in args.files]
    detections = Detections.concat([result.detections for result in results])
    write_detections(args.out, detections)
    said: dict[str, object] = {"rows": len(detections), "wrote": str(args.out)}
    skipped = [f"{item.count} x {why}" for result in results for why, item in result.report.skipped.items()]
    return {**said, "skipped": "; ".join(skipped)} if skipped else said


def _tracks_arguments(parser: ArgumentParser) -> None:
    add_site(parser)
    parser.add_argument("tracks", type=Path, metavar="TRACKS", help="tracks.csv of a run")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file; its ending says the form")
    add_track_writing(parser)


def _tracks(args: Namespace) -> dict[str, object]:
    from geoloc.cli.outputs import write_options
    from geoloc.io.tracks import export
    from geoloc.scene.storage import load_site

    exported = export(args.out, load_site(args.site, args.root), args.tracks, options=write_options(args))
    return {"positions": exported.n_states, "wrote": str(args.out), "without": exported.lost}


def _recording_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("recording", metavar="NAME", help=f"one of {', '.join(RECORDINGS)}")
    parser.add_argument("folder", type=Path, help="where it lies")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder that gets the site, boxes and truth")
    parser.add_argument("--slot", default="", help="of MEVA, such as 2018-03-07.17-05-00")


def _recording(args: Namespace) -> dict[str, object]:
    from geoloc.io.detection_writers import write_detections
    from geoloc.io.truth import write_truth
    from geoloc.scene.storage import save_site

    site, detections = _read_recording(args)
    site = replace(site, name=args.recording)
    boxes = args.out / ("boxes.jsonl" if detections.embedding.shape[1] else "boxes.csv")
    save_site(site, args.out)
    write_detections(boxes, detections)
    said: dict[str, object] = {"cameras": len(site.cameras), "rows": len(detections), "wrote": str(boxes)}
    truth = _read_truth(args, detections)
    if truth is not None:
        write_truth(args.out / "truth.csv", truth)
        said["truth"] = str(args.out / "truth.csv")
    return said


def _read_truth(args: Namespace, detections: "Detections") -> "GroundTruth | BoxTracks | None":
    """The recording's truth over the time of its boxes, where it has one."""
    from geoloc.io.cityflow import read_cityflow_truth
    from geoloc.io.multiviewx import read_multiviewx_truth
    from geoloc.io.wildtrack import read_wildtrack_truth

    readers: dict[str, Callable[[Path], GroundTruth | BoxTracks]] = {
        "wildtrack": read_wildtrack_truth,
        "multiviewx": read_multiviewx_truth,
        "cityflow": read_cityflow_truth,
    }
    if args.recording not in readers:
        return None
    truth = readers[args.recording](args.folder)
    inside = (truth.time >= detections.time.min() - SAME_TIME) & (truth.time <= detections.time.max() + SAME_TIME)
    return truth.take(inside)


def _read_recording(args: Namespace) -> tuple["Site", "Detections"]:
    from geoloc.io.cityflow import read_cityflow
    from geoloc.io.cmc import read_cmc
    from geoloc.io.meva import read_meva
    from geoloc.io.multiviewx import read_multiviewx
    from geoloc.io.wildtrack import read_wildtrack

    readers: dict[str, Callable[[Path], tuple[Site, Detections]]] = {
        "wildtrack": read_wildtrack,
        "multiviewx": read_multiviewx,
        "cityflow": read_cityflow,
        "cmc": read_cmc,
        "meva": lambda folder: read_meva(folder, args.slot),
    }
    if args.recording not in readers:
        raise unknown_name("recording", args.recording, readers)
    if args.recording == "meva" and not args.slot:
        raise InputError("MEVA has several slots; name one with --slot, a folder of its tracks/")
    return readers[args.recording](args.folder)
