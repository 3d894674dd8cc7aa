"""`geoloc calibrate SITE`: cameras from marks, with a report that says how good they are."""

import getpass
import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, replace
from pathlib import Path

from geoloc.calibrate.report import CalibrationReport, calibration_report
from geoloc.calibrate.site import CalibrationOptions, calibrate_site, with_refused
from geoloc.calibrate.solution import Refused, Solution
from geoloc.calibrate.ties import Finder
from geoloc.cli.arguments import add_json, add_options, add_site
from geoloc.cli.calibration_history import changed, history_text
from geoloc.draw.words import counted
from geoloc.errors import GeometryError, InputError
from geoloc.evaluation.calibration_text import report_text
from geoloc.io.detections import read_detections
from geoloc.io.known import read_known
from geoloc.io.marks import read_marks
from geoloc.io.points import read_points
from geoloc.io.references import PointOptions
from geoloc.io.rows import ReadReport
from geoloc.options import load_options
from geoloc.scene.camera import Camera
from geoloc.scene.known import Known
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.storage import calibration_folder, load_site, site_root
from geoloc.scene.versions import list_versions, roll_back, save_version
from geoloc.service.stills import Still, find_stills

DESCRIPTION = """\
Calibrate a site's cameras from calibration/SITE/marks.csv and the control points of its map (and points.csv beside
the marks, distances.csv, cameras.toml, where there are any). Each camera is calibrated alone, with as many lens
parameters freed as its marks can carry, then all together. Prints how good it is, where it is weak, and what to mark
next; keeps a version that can be rolled back. `geoloc mark` makes marks; `geoloc calibrate intrinsics` lenses."""
EXAMPLES = """\
examples:
  geoloc calibrate garage --stills stills/ -o out/calibration.html
      all cameras; the page shows residuals, map lines in the stills, ground sigma, the next mark
  geoloc calibrate garage --stills stills/ --camera gate --note "camera replaced"
      one camera anew, the others as they are; prints what changed on the ground in centimetres
  geoloc calibrate garage --stills stills/ --overlap --detections walkers.csv
      besides the marks, ground that two stills show, and people seen by several cameras at one time, tie them
  geoloc calibrate garage --dry-run
      look, without writing cameras
  geoloc calibrate garage --versions
  geoloc calibrate garage --roll-back 3
  geoloc calibrate garage --set single.choice=1
      where the marks cannot decide between two poses: take the first"""
MARKS, POINTS, LENSES = "marks.csv", "points.csv", "lenses"
NO_SIZE, GIVE_STILL = "its image size is not known", "give its still, named after it: --stills DIR"
BESIDE = (MARKS, POINTS, "distances.csv", "lines.csv", "cameras.toml")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("--stills", type=Path, metavar="DIR", help="folder with one picture a camera")
    parser.add_argument("--marks", type=Path, metavar="FILE", help="marks (default: calibration/SITE/marks.csv)")
    parser.add_argument(
        "--overlap", action="store_true", help="with --stills: ground that two stills show ties their cameras"
    )
    parser.add_argument(
        "--detections", type=Path, metavar="FILE", help="people that cameras see at one time tie them too"
    )
    parser.add_argument("--camera", default="", metavar="NAME", help="redo or add this one, the others stay")
    parser.add_argument("-o", "--out", type=Path, metavar="PAGE.html", help="write the report as a page")
    parser.add_argument("--dry-run", action="store_true", help="write no cameras and no version")
    parser.add_argument("--author", default="", help="who calibrates (default: the user's name)")
    parser.add_argument("--note", default="", help="why, for the list of versions")
    parser.add_argument("--valid-from", type=float, metavar="UTC_S", help="since when it is true (default: now)")
    parser.add_argument("--versions", action="store_true", help="list what was true when, and end")
    parser.add_argument("--roll-back", type=int, metavar="N", help="make version N the present one, and end")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Calibrate, report, keep."""
    root = site_root(args.site, args.root)
    site = load_site(args.site, args.root, calibrated=False)
    if args.versions or args.roll_back is not None:
        _history(args, site, root)
        return
    options = load_options(CalibrationOptions(), args.options, args.set)
    folder = calibration_folder(site.name, root)
    marks, site, inputs, reads = _read(args, site, folder)
    stills = find_stills(args.stills) if args.stills else ()
    known = read_known(folder)
    reads += known.reports
    for said in reads:
        _tell(said)
    sizes, unknown = _sizes(site, stills, marks, known.known)
    if args.camera in unknown or not sizes:
        raise InputError(f"camera {args.camera or unknown[0]!r} is marked, {NO_SIZE}; {GIVE_STILL}")
    find_ties = _ties(args, site, stills, options)
    solution = calibrate_site(sizes, marks, site.site_map, known.known, options, site.cameras, args.camera, find_ties)
    unseen = () if args.camera else tuple(Refused(name, NO_SIZE, GIVE_STILL) for name in unknown)
    solution = with_refused(solution, marks, unseen)
    report = calibration_report(site, solution, site.cameras)
    report = replace(report, words=(*(words for read in reads for words in _left_out(read)), *report.words))
    print(_json(report, solution) if args.json else report_text(report))
    if args.out is not None:
        _page(args.out, report, stills)
    if not args.dry_run:
        _keep(args, site, root, solution, inputs)


def _ties(args: Namespace, site: Site, stills: tuple[Still, ...], options: CalibrationOptions) -> Finder | None:
    """What ties cameras besides marks, as far as it is asked for."""
    if not (args.overlap or args.detections):
        return None
    import cv2

    from geoloc.cli.tie_finding import finder, walkers

    if args.overlap and len(stills) < 2:
        raise InputError("--overlap needs the stills of two cameras or more: --stills DIR")
    if options.alone:
        raise InputError("ties join cameras in one adjustment; leave alone=true out")
    pictures = {still.camera: cv2.imread(str(still.path)) for still in stills} if args.overlap else {}
    people = walkers(read_detections(args.detections).detections) if args.detections else None
    return finder(site, {name: one for name, one in pictures.items() if one is not None}, people, options.ties)


def _history(args: Namespace, site: Site, root: Path) -> None:
    if args.roll_back is not None:
        version = roll_back(site.name, args.roll_back, root, args.author or getpass.getuser(), args.note)
        print(version)
        print("\n".join(changed(site.cameras, version.cameras, site.site_map)))
        return
    versions = list_versions(site.name, root)
    print(
        history_text(versions, site.site_map)
        or f"site {site.name!r} has no versions yet; calibrating it makes the first"
    )


def _read(args: Namespace, site: Site, folder: Path) -> tuple[Marks, Site, list[Path], tuple[ReadReport, ...]]:
    """Marks, the site with all its control points, the files that went in, and what became of their rows."""
    path = args.marks or folder / MARKS
    if not path.is_file():
        raise InputError(f"{path}: no marks there; set some with: geoloc mark {site.name} --stills DIR")
    read = read_marks(path)
    if not len(read.marks):
        rows = f"none of its {read.report.n_skipped} rows is a mark"
        raise InputError(f"{path}: {rows}; set some with: geoloc mark {site.name} --stills DIR")
    reads: tuple[ReadReport, ...] = (read.report,)
    points = (*site.site_map.control_points, *read.points)
    if (folder / POINTS).is_file():
        more = read_points(folder / POINTS, options=PointOptions(site_map=site.site_map))
        if more.report.n_skipped and not more.points:
            raise InputError(f"{folder / POINTS}: no point of it can be used: {'; '.join(more.report.skipped)}")
        reads = (*reads, more.report)
        names = {point.name for point in points}
        points = (*points, *(point for point in more.points if point.name not in names))
    site = Site(site.name, site.cameras, replace(site.site_map, control_points=points))
    inputs = [path, *(folder / name for name in BESIDE[1:]), *sorted((folder / LENSES).glob("*.json"))]
    inputs.append(site_root(args.site, args.root) / "sitemaps" / f"{site.name}.geojson")
    inputs = [file for file in inputs if file.is_file()]
    return read.marks, site, inputs, reads


def _sizes(
    site: Site, stills: tuple[Still, ...], marks: Marks, known: Known
) -> tuple[dict[str, tuple[int, int]], tuple[str, ...]]:
    """Image size of each marked camera: its still's, else its present one, else its lens's; and who has none."""
    found = {camera.name: lens.size for camera in known.cameras if (lens := known.lens(camera.name)) is not None}
    found |= {camera.name: camera.size for camera in site.cameras}
    for still in stills:
        before = site.camera(still.camera).size if still.camera in site.camera_index else still.size
        if tuple(before) != tuple(still.size):
            raise InputError(
                f"{still.path}: {still.size[0]} x {still.size[1]} px; camera {still.camera!r} was calibrated for "
                f"{before[0]} x {before[1]}: give a still of that size, or remove the camera and calibrate it anew"
            )
        found[still.camera] = still.size
    wanted = dict.fromkeys(marks.camera.tolist())
    return {name: found[name] for name in wanted if name in found}, tuple(name for name in wanted if name not in found)


def _page(path: Path, report: CalibrationReport, stills: tuple[Still, ...]) -> None:
    import cv2

    from geoloc.draw.calibration_page import write_calibration_page

    known = {camera.name for camera in report.cameras}
    pictures = {still.camera: cv2.imread(str(still.path)) for still in stills if still.camera in known}
    write_calibration_page(report, path, {name: picture for name, picture in pictures.items() if picture is not None})
    print(f"wrote {path}", file=sys.stderr)


def _keep(args: Namespace, site: Site, root: Path, solution: Solution, inputs: list[Path]) -> None:
    """Write the new cameras as a version; what was refused stays as it was."""
    new = {camera.name: camera for camera in solution.cameras}
    if not new:
        raise GeometryError("no camera was calibrated, nothing is written; the report says what each needs")
    cameras: list[Camera] = [new.pop(camera.name, camera) for camera in site.cameras]
    author = args.author or getpass.getuser()
    version = save_version(site.name, (*cameras, *new.values()), root, author, args.note, args.valid_from, inputs)
    print(f"kept as {version}", file=sys.stderr)


def _json(report: CalibrationReport, solution: Solution) -> str:
    rows = [{k: None if v != v else v for k, v in asdict(camera).items()} for camera in report.cameras]
    refused = [asdict(one) for one in solution.refused]
    return json.dumps({"cameras": rows, "refused": refused, "notes": [*report.words, *report.notes]}, default=str)


def _left_out(report: ReadReport) -> list[str]:
    """Rows of a file that were not used, for the report: how many, why, where."""
    lines = {why: ", ".join(map(str, item.first)) for why, item in report.skipped.items()}
    name = Path(report.path).name
    return [
        f"{name}: {counted(item.count, 'row')} left out: {why} ({report.unit} {lines[why]})"
        for why, item in report.skipped.items()
    ]


def _tell(report: ReadReport) -> None:
    if report.n_skipped or report.notes:
        print(report, file=sys.stderr)
