"""`geoloc convert cameras` and `geoloc convert calibration`: calibrations into a site and out of it."""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from geoloc.cli.arguments import add_site
from geoloc.errors import InputError, unknown_name

FOOTPRINTS = "footprints"
KINDS = (
    "opencv, ros, kalibr, colmap, colmap_binary, nvidia, mv3dt, krtd, xml_pairs, anipose, pose2sim, caliscope, tsai, "
    f"homography, {FOOTPRINTS}"
)


def site_arguments(parser: ArgumentParser) -> None:
    """What `convert cameras` takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="CALIBRATION", help="files, or folders of them")
    parser.add_argument("--site", required=True, help="name of the site that gets the cameras")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of sites (default: here)")
    parser.add_argument("--new", action="store_true", help="make the site, with one level `ground` at z = 0")
    parser.add_argument("--kind", help="form of the calibrations (default: what they look like)")
    parser.add_argument("--name", default="", help="name of a single camera (default: its file's)")
    parser.add_argument("--size", nargs=2, type=int, default=(0, 0), metavar=("W", "H"), help="image size, px")
    parser.add_argument("--metres", type=float, default=0.0, help="metres in one unit of the file, such as 0.01")
    parser.add_argument("--left-handed", action="store_true", help="the file's y runs clockwise from x")
    parser.add_argument(
        "--pose-sigma",
        nargs=2,
        type=float,
        default=(0.0, 0.0),
        metavar=("RAD", "M"),
        help="standard deviation of each rotation and translation, which no such file states",
    )
    parser.add_argument("--level", default="ground", help="level that a homography belongs to")
    parser.add_argument("--sigma-px", type=float, default=0.0, help="error of a homography, px")


def into_site(args: Namespace) -> dict[str, object]:
    """Read calibrations into a site."""
    from geoloc.io.calibrations import CameraOptions, read_cameras
    from geoloc.scene.site import Site
    from geoloc.scene.storage import load_site, save_site

    site = Site(args.site, ()) if args.new else load_site(args.site, args.root)
    if args.new and (args.root / "sitemaps" / f"{args.site}.geojson").exists():
        raise InputError(f"site {args.site!r} is there already; leave --new out to add cameras to it")
    options = CameraOptions(
        name=args.name,
        size=tuple(args.size),
        metres=args.metres,
        left_handed=args.left_handed,
        pose_sigma=tuple(args.pose_sigma),
        level=args.level,
        sigma_px=args.sigma_px,
        datum=site.site_map.datum,
        known=site.cameras,
    )
    cameras = [camera for path in args.files for camera in read_cameras(path, args.kind, options)]
    save_site(site.with_cameras(cameras), args.root)
    said: dict[str, object] = {"cameras": ", ".join(camera.name for camera in cameras), "site": site.name}
    if not any(args.pose_sigma) and not all(camera.is_homography for camera in cameras):
        said["note"] = "no uncertainty was stated; give --pose-sigma, or positions will look too sure"
    return said


def arguments(parser: ArgumentParser) -> None:
    """What `convert calibration` takes."""
    add_site(parser)
    parser.add_argument("-o", "--out", type=Path, required=True, help="file or folder that gets the calibration")
    parser.add_argument("--to", required=True, metavar="KIND", help=f"form: one of {KINDS}")
    parser.add_argument("--camera", nargs="+", default=[], metavar="NAME", help="only these cameras")
    parser.add_argument("--metres", type=float, default=0.0, help="metres in one unit of the file, such as 0.01")
    parser.add_argument("--range", type=float, default=80.0, metavar="M", help="reach of footprints, m (default: 80)")


def out_of_site(args: Namespace) -> dict[str, object]:
    """Write a site's cameras, or their footprints."""
    from geoloc.io.calibrations import CAMERA_WRITERS, CameraWriteOptions, write_cameras
    from geoloc.io.footprint_geojson import write_footprints
    from geoloc.scene.storage import load_site

    if args.to not in (*CAMERA_WRITERS, FOOTPRINTS):
        raise unknown_name("kind of calibration", args.to, (*CAMERA_WRITERS, FOOTPRINTS))
    site = load_site(args.site, args.root)
    cameras = tuple(site.camera(name) for name in args.camera) or site.cameras
    said: dict[str, object] = {"cameras": ", ".join(camera.name for camera in cameras)}
    if args.to == FOOTPRINTS:
        seen = write_footprints(args.out, replace(site, cameras=cameras), args.range)
        blind = sorted({camera.name for camera in cameras} - {one.camera for one in seen})
        said["wrote"] = str(args.out)
        return said | ({"see no ground": ", ".join(blind)} if blind else {})
    written = write_cameras(args.out, cameras, args.to, CameraWriteOptions(metres=args.metres))
    said["wrote"] = ", ".join(map(str, written.paths))
    return said | ({"left out": "; ".join(written.left_out)} if written.left_out else {})
