"""`geoloc convert marks` and `geoloc convert points`: what other tools marked and surveyed, into geoloc's files."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from geoloc.errors import InputError

if TYPE_CHECKING:
    from geoloc.io.marks import MarksResult
    from geoloc.io.references import PointOptions
    from geoloc.io.rows import ReadReport
    from geoloc.scene.marks import Marks
    from geoloc.scene.sitemap import ControlPoint, SiteMap

MARK_KINDS = "csv, qgis, gcp_list, cvat, labelme"
POINT_KINDS = "csv, qgis, gcp_list"


def mark_arguments(parser: ArgumentParser) -> None:
    """What `convert marks` takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="MARKS", help="files of marks")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="marks.csv", help="file that gets the marks")
    parser.add_argument("--points", type=Path, metavar="OUT", help="gets the control points that the files hold")
    parser.add_argument("--kind", default="", help=f"{MARK_KINDS} (default: what a file looks like)")
    parser.add_argument("--camera", default="", metavar="NAME", help="camera of files that do not name it")
    parser.add_argument("--sigma", type=float, default=1.0, metavar="PX", help="of marks that state none (default: 1)")
    parser.add_argument("--stills", type=Path, metavar="DIR", help="leaves out marks that are outside their still")
    _shared_arguments(parser)


def point_arguments(parser: ArgumentParser) -> None:
    """What `convert points` takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="POINTS", help="files of control points")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="table (.csv), or a site's map (.geojson) that gets them too"
    )
    parser.add_argument("--kind", default="", help=f"{POINT_KINDS} (default: what a file looks like)")
    _shared_arguments(parser)


def _shared_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--site", default="", help="whose datum and levels place the points")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of sites (default: here)")
    parser.add_argument("--add", action="store_true", help="keep what is in the file already, and add to it")
    parser.add_argument("--crs", default="", metavar="EPSG", help="reference system of the points, such as EPSG:25832")
    parser.add_argument("--metres", type=float, default=0.0, help="metres in one unit of the file, such as 0.3048")
    parser.add_argument("--level", default="", help="on which points without a height lie (default: the first)")
    parser.add_argument("--sigma-xy", type=float, default=float("nan"), metavar="M", help="of points that state none")
    parser.add_argument("--sigma-z", type=float, default=float("nan"), metavar="M", help="of points that state none")


def convert_marks(args: Namespace) -> dict[str, object]:
    """Read marks of any form, write `marks.csv`, and the control points that came with them if they are asked for."""
    from geoloc.io.marks import MarkOptions, read_marks, write_marks
    from geoloc.scene.marks import Marks

    _require_csv(args.out)
    options = MarkOptions(args.camera, _sizes(args), args.sigma, _point_options(args, args.points))
    with _asking_for_site(args):
        results = [read_marks(path, args.kind, options) for path in args.files]
    if len(results) > 1:
        results = [_named_apart(result) if result.report.kind == "qgis" else result for result in results]
    reports, points = [result.report for result in results], [point for result in results for point in result.points]
    _require_some("marks", sum(len(result.marks) for result in results), reports)
    before = [read_marks(args.out, "csv").marks] if _kept(args.out, args.add) else []
    marks = Marks.concat([*before, *(result.marks for result in results)])
    _require_once(marks)
    said: dict[str, object] = {"marks": len(marks), "cameras": ", ".join(dict.fromkeys(marks.camera.tolist()))}
    wrote = [str(args.out)]
    if args.points is not None:
        said["points"] = len(_write_points(args.points, points, args.add))
        wrote.append(str(args.points))
    write_marks(args.out, marks)
    said["wrote"] = ", ".join(wrote)
    if points and args.points is None:
        said["left out"] = f"{len(points)} control points of these files; --points FILE writes them"
    return said | _told(reports)


def convert_points(args: Namespace) -> dict[str, object]:
    """Read control points of any form into a table, or into a map."""
    from geoloc.io.points import read_points

    options = _point_options(args, args.out)
    with _asking_for_site(args):
        results = [read_points(path, args.kind, options) for path in args.files]
    reports = [result.report for result in results]
    _require_some("control points", sum(len(result.points) for result in results), reports)
    points = _write_points(args.out, [point for result in results for point in result.points], args.add)
    return {"points": len(points), "wrote": str(args.out), **_told(reports)}


def _write_points(out: Path, points: "Sequence[ControlPoint]", add: bool) -> "Sequence[ControlPoint]":
    """All control points that `out` holds then; a name at two places is refused."""
    from geoloc.io.points import read_points, write_points
    from geoloc.scene.map_storage import load_map, save_map

    if out.suffix == ".geojson":
        site_map = load_map(out)
        merged = _merged(out, (*site_map.control_points, *points))
        save_map(replace(site_map, control_points=tuple(merged)), out)
        return merged
    _require_csv(out)
    merged = _merged(out, (*(read_points(out, "csv").points if _kept(out, add) else ()), *points))
    write_points(out, merged)
    return merged


def _merged(out: Path, points: "Iterable[ControlPoint]") -> "list[ControlPoint]":
    """The points without those that are there already at the same place."""
    import numpy as np

    found: dict[str, ControlPoint] = {}
    for point in points:
        before = found.setdefault(point.name, point)
        if not np.allclose(before.xyz, point.xyz, atol=1e-3, rtol=0):
            places = " and ".join(", ".join(f"{value:.2f}" for value in xyz) for xyz in (before.xyz, point.xyz))
            raise InputError(f"{out}: control point {point.name!r} is at two places ({places} m); rename one of them")
    return list(found.values())


def _named_apart(result: "MarksResult") -> "MarksResult":
    """QGIS numbers each file's points from 1: with several files, each still's name goes before the number."""
    of = dict(zip(result.marks.point.tolist(), result.marks.camera.tolist(), strict=True))
    name = {point: f"{camera} {point}" for point, camera in of.items()}
    marks = result.marks.replace(point=[name[point] for point in result.marks.point.tolist()])
    points = tuple(replace(point, name=name[point.name]) for point in result.points if point.name in name)
    return replace(result, marks=marks, points=points)


@contextmanager
def _asking_for_site(args: Namespace) -> Iterator[None]:
    """Degrees and grids need a datum: where no site was named, its name is the next step."""
    try:
        yield
    except InputError as error:
        if args.site or "datum" not in str(error):
            raise
        raise InputError(f"{error}; or name the site whose map has one: --site") from error


def _sizes(args: Namespace) -> dict[str, tuple[int, int]]:
    """Image sizes by camera: of the site's cameras, and of the stills."""
    from geoloc.scene.storage import load_site
    from geoloc.service.stills import find_stills

    site = load_site(args.site, args.root, calibrated=False) if args.site else None
    sizes = {camera.name: camera.size for camera in site.cameras} if site is not None else {}
    stills = find_stills(args.stills) if args.stills is not None else ()
    return sizes | {still.camera: still.size for still in stills}


def _point_options(args: Namespace, out: Path | None) -> "PointOptions":
    """How points are placed: by the map that gets them, or the site's, or as plain metres."""
    from geoloc.io.references import PointOptions

    return PointOptions(_map(args, out), args.level, args.crs, args.metres, args.sigma_xy, args.sigma_z)


def _map(args: Namespace, out: Path | None) -> "SiteMap":
    from geoloc.scene.map_storage import load_map
    from geoloc.scene.sitemap import SiteMap
    from geoloc.scene.storage import load_site

    if out is not None and out.suffix == ".geojson":
        return load_map(out)
    return load_site(args.site, args.root, calibrated=False).site_map if args.site else SiteMap()


def _kept(out: Path, add: bool) -> bool:
    """Whether there is a file to add to; one that must not be lost is refused."""
    if out.exists() and not add:
        raise InputError(f"{out}: is there already; --add keeps what it holds, or give another file")
    return out.exists()


def _require_csv(out: Path) -> None:
    if out.suffix != ".csv":
        raise InputError(f"{out}: unknown ending {out.suffix!r}; a table ends in .csv")


def _require_some(what: str, n: int, reports: "Sequence[ReadReport]") -> None:
    if not n:
        why = "; ".join(f"{item.count} x {reason}" for report in reports for reason, item in report.skipped.items())
        files = ", ".join(report.path for report in reports)
        raise InputError(f"{files}: no {what} that can be used ({why or 'there are no rows'}); nothing is written")


def _require_once(marks: "Marks") -> None:
    seen: set[tuple[str, str]] = set()
    for key in zip(marks.camera.tolist(), marks.point.tolist(), strict=True):
        if key in seen:
            raise InputError(f"point {key[1]!r} is marked twice in camera {key[0]!r}; delete one of the marks")
        seen.add(key)


def _told(reports: "Sequence[ReadReport]") -> dict[str, object]:
    """What was left out, and what was assumed."""
    skipped = [
        f"{item.count} x {reason} ({Path(report.path).name}, {report.unit} {', '.join(map(str, item.first))})"
        for report in reports
        for reason, item in report.skipped.items()
    ]
    notes = [f"{Path(report.path).name}: {note}" for report in reports for note in report.notes]
    said = {"skipped": "; ".join(skipped), "notes": "; ".join(notes)}
    return {key: text for key, text in said.items() if text}
