"""`geoloc calibrate scan SITE FILE`: a scan laid on a site's map, and what it adds to the map."""

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from geoloc.calibrate.scan import ScanRegistration, register_by_points, register_scan
from geoloc.calibrate.scan_map import ScanMapOptions, ScannedMap, map_from_scan
from geoloc.calibrate.scan_picks import control_point, pick_near
from geoloc.calibrate.scan_solids import solid_mesh
from geoloc.cli.arguments import add_json, add_options, add_site
from geoloc.errors import InputError, unknown_name
from geoloc.files import read_columns
from geoloc.io.scans import read_scan, write_mesh
from geoloc.options import load_options
from geoloc.scene.map_storage import save_map
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, SiteMap
from geoloc.scene.storage import calibration_folder, load_site, site_root

DESCRIPTION = """\
Lay a scan of the site (PLY, LAS or LAZ: LiDAR, photogrammetry) on its map and take from it what the map lacks: ground
heights with their sigma, and walls and pillars that block the view. The scan may lie anywhere and any way up; a scan
that fits the map in two places, fits it badly or may slide along it is refused. Writes a new map beside the old one,
and a picture to check it by; --write makes it the site's map and keeps the old one."""
EXAMPLES = """\
examples:
  geoloc calibrate scan garage hall.ply -o out/garage.geojson
      the proposed map out/garage.geojson and the picture out/garage.png
  geoloc calibrate scan garage hall.las --write --mesh hall-solid.ply
      the site's map is replaced; a mesh of all that blocks the view, for --mesh of other commands
  geoloc calibrate scan garage phone.ply --picks picks.csv --free-scale
      picks.csv (point,x,y,z in the scan): three or more that are control points of the map say where it lies, as a
      symmetric site or a scan of unknown unit needs; the others become control points of the map"""
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048, "us-ft": 1200 / 3937}
PICK_RADIUS = 0.15  # m
STAGES = ("read", "register", "ground and walls", "write")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("scan", type=Path, metavar="FILE", help="scan, .ply, .las or .laz")
    parser.add_argument("--unit", choices=UNITS, default="m", help="of the scan's coordinates (default: %(default)s)")
    parser.add_argument("--picks", type=Path, metavar="FILE.csv", help="points picked in the scan: point,x,y,z")
    parser.add_argument("--free-scale", action="store_true", help="with --picks: the scan's unit is not known")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="MAP.geojson", help="proposed map (default: out/SITE-scan.geojson)"
    )
    parser.add_argument("--mesh", type=Path, metavar="FILE.ply", help="write all that blocks the view as a mesh")
    parser.add_argument("--write", action="store_true", help="make the proposed map the site's; the old one is kept")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Read, register, take what the map lacks, write, and say it."""
    options = load_options(ScanMapOptions(), args.options, args.set)
    out = _checked_out(args)
    site = load_site(args.site, args.root, calibrated=False)
    picks = _picks(args.picks) if args.picks else {}
    _check_picks(picks, site.site_map, args)
    with _Stages() as stages:
        points = read_scan(args.scan) * UNITS[args.unit]
        picks = {name: xyz * UNITS[args.unit] for name, xyz in picks.items()}
        stages.next()
        registration = _registered(points, picks, site.site_map, args.free_scale, options)
        stages.next()
        found = map_from_scan(points, registration, site.site_map, options)
        fresh = _control_points(points, picks, registration, site.site_map)
        new_map = _with_points(found.site_map, fresh)
        Site(site.name, site.cameras, new_map).require_cameras_above_ground()
        stages.next()
        written = _write(args, site, registration.apply(points), registration, found, new_map, out, options)
        stages.next()
    if args.json:
        print(json.dumps(_record(args, site, len(points), registration, found, fresh, written)))
    else:
        print(_text(args, site, len(points), registration, found, fresh, written))


class _Stages:
    """A bar on stderr that names the stage at work."""

    def __enter__(self) -> "_Stages":
        self.bar = tqdm(total=len(STAGES), desc=STAGES[0], unit="stage", file=sys.stderr)
        return self

    def next(self) -> None:
        """The next stage begins."""
        self.bar.update()
        self.bar.set_description(STAGES[self.bar.n] if self.bar.n < len(STAGES) else "done")

    def __exit__(self, *_: object) -> None:
        self.bar.close()


def _checked_out(args: Namespace) -> Path:
    out = args.out or Path("out") / f"{Path(args.site).stem}-scan.geojson"
    if out.suffix != ".geojson":
        raise InputError(f"{out}: the proposed map is written as .geojson")
    if args.mesh is not None and args.mesh.suffix.lower() != ".ply":
        raise InputError(f"{args.mesh}: the mesh is written as .ply")
    if args.free_scale and not args.picks:
        raise InputError("--free-scale needs --picks: nothing else tells the scan's unit")
    return out


def _picks(path: Path) -> dict[str, np.ndarray]:
    columns = read_columns(path)
    missing = [name for name in ("point", "x", "y", "z") if name not in columns]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}; picks have the columns point, x, y, z, in the scan's unit")
    try:
        xyz = np.array([columns[axis] for axis in "xyz"], float).T
    except ValueError as error:
        raise InputError(f"{path}: a pick is no number ({error})") from error
    names = list(columns["point"])
    if len(set(names)) < len(names) or not np.isfinite(xyz).all():
        raise InputError(f"{path}: every pick needs a name of its own and finite x, y, z")
    return dict(zip(names, xyz, strict=True))


def _check_picks(picks: dict[str, np.ndarray], site_map: SiteMap, args: Namespace) -> None:
    known = {point.name for point in site_map.control_points}
    n = len(known & set(picks))
    if (args.free_scale and n < 3) or 0 < n < 3:
        if not n:
            raise unknown_name("control point", next(iter(picks)), known, f"the map of {args.site!r}")
        raise InputError(f"{args.picks}: {n} picks are control points of the map; three say where the scan lies")


def _registered(
    points: np.ndarray, picks: dict[str, np.ndarray], site_map: SiteMap, free_scale: bool, options: ScanMapOptions
) -> ScanRegistration:
    known = tuple(point for point in site_map.control_points if point.name in picks)
    if not known:
        return register_scan(points, site_map, options.registration)
    picked = np.array([picks[point.name] for point in known])
    return register_by_points(points, picked, known, site_map, free_scale, options=options.registration)


def _control_points(
    points: np.ndarray, picks: dict[str, np.ndarray], registration: ScanRegistration, site_map: SiteMap
) -> tuple[ControlPoint, ...]:
    """The picks that the map does not know yet."""
    known = {point.name for point in site_map.control_points}
    radius = PICK_RADIUS / registration.scale
    return tuple(
        control_point(name, pick_near(points, xyz, radius), registration)
        for name, xyz in picks.items()
        if name not in known
    )


def _with_points(site_map: SiteMap, fresh: tuple[ControlPoint, ...]) -> SiteMap:
    return replace(site_map, control_points=(*site_map.control_points, *fresh))


def _write(
    args: Namespace, site: Site, world: np.ndarray, registration: ScanRegistration, found: ScannedMap,
    new_map: SiteMap, out: Path, options: ScanMapOptions,
) -> list[Path]:  # fmt: skip
    from geoloc.draw.scan_picture import draw_scan

    written = [out]
    save_map(new_map, out)
    title = f"{site.name}: scan {args.scan.name}"
    written.append(draw_scan(world, site.site_map, found, registration, title, out.with_suffix(".png")))
    if args.mesh is not None:
        write_mesh(args.mesh, *solid_mesh(world, new_map, options.solids))
        written.append(args.mesh)
    if args.write:
        root = site_root(args.site, args.root)
        folder = calibration_folder(site.name, root)
        n = 1 + sum(1 for _ in folder.glob("map-before-scan-*.geojson"))
        written.append(folder / f"map-before-scan-{n}.geojson")
        save_map(site.site_map, written[-1])
        written.append(root / "sitemaps" / f"{site.name}.geojson")
        save_map(new_map, written[-1])
    return written


def _place_sigma(registration: ScanRegistration, world: np.ndarray) -> float:
    """Worst standard deviation (m) of the scan's middle."""
    return float(np.sqrt(np.linalg.eigvalsh(registration.point_cov(world)[0])[-1]))


def _record(
    args: Namespace, site: Site, n: int, registration: ScanRegistration, found: ScannedMap,
    fresh: tuple[ControlPoint, ...], written: list[Path],
) -> dict[str, object]:  # fmt: skip
    pose = registration.world_from_scan
    levels = [
        {
            "level": one.level,
            "pieces": one.n_pieces,
            "scanned": one.scanned,
            "rise_median_m": float(np.nanmedian(one.rise)) if one.scanned else None,
            "rise_most_m": float(np.nanmax(np.abs(one.rise))) if one.scanned else None,
            "sigma_m": one.sigma if one.scanned else None,
        }
        for one in found.ground
    ]
    return {
        "site": site.name,
        "scan": str(args.scan),
        "points": n,
        "world_from_scan": pose.as_matrix().tolist(),
        "scale": registration.scale,
        "cov": registration.cov.tolist(),
        "rms_m": registration.rms,
        "matched": registration.matched,
        "runner_up": registration.runner_up,
        "levels": levels,
        "new_occluders": [thing.name for thing in found.new],
        "new_control_points": [point.name for point in fresh],
        "written": [str(path) for path in written],
    }


def _text(
    args: Namespace, site: Site, n: int, registration: ScanRegistration, found: ScannedMap,
    fresh: tuple[ControlPoint, ...], written: list[Path],
) -> str:  # fmt: skip
    middle = registration.world_from_scan.translation[None]
    lines = [
        f"scan {args.scan.name}: {n} points laid on the map of {site.name}",
        f"{registration.matched:.0%} of it lies on the map's faces, {100 * registration.rms:.1f} cm rms off them"
        + (f"; the next best place explains {registration.runner_up:.0%}" if registration.runner_up else ""),
        f"its place is known to {100 * _place_sigma(registration, middle):.1f} cm in the worst direction"
        + (f", its scale is {registration.scale:.5g}" if registration.scale != 1.0 else ""),
        *(update.words for update in found.ground),
        f"walls and pillars that the map lacked: {len(found.new)}",
    ]
    for point in fresh:
        at, sigma = (", ".join(f"{value:.2f}" for value in values) for values in (point.xyz, point.sigma))
        lines.append(f"control point {point.name!r}: ({at}) m, sigma ({sigma}) m")
    if not args.write:
        lines.append("look at the picture; --write makes the proposed map the site's")
    return "\n".join([*lines, "", *(f"wrote {path}" for path in written)])
