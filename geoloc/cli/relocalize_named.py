"""`geoloc relocalize --named`: where an image was taken, by landmarks that a person marked in it by name."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from geoloc.cli.poses import plain_pose, where
from geoloc.errors import GeometryError, InputError
from geoloc.io.known import read_lines
from geoloc.io.marks import MarkOptions, read_marks
from geoloc.io.pictures import find_pictures, read_pictures
from geoloc.options import load_options
from geoloc.relocalize.estimate import Hypothesis, PoseEstimate
from geoloc.relocalize.named import pose_from_named
from geoloc.relocalize.named_fit import NamedPoseOptions
from geoloc.relocalize.pose_knowledge import Knowledge
from geoloc.scene.camera import Camera
from geoloc.scene.known import ImageLines
from geoloc.scene.marks import Marks
from geoloc.scene.named import named_landmarks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint


def add_named(parser: ArgumentParser) -> None:
    """Declare what marks by name take."""
    parser.add_argument("--named", type=Path, metavar="FILE",
                        help="marks of named landmarks: name,u,v (px) and sigma; needs no landmark map")  # fmt: skip
    parser.add_argument("--names", action="store_true", help="list the names that --named may use, with their places")
    parser.add_argument("--size", default="", metavar="WxH", help="of the image, where --named comes without it")
    parser.add_argument("--lines", type=Path, metavar="FILE",
                        help="lines drawn along plumb or level edges, as calibration's lines.csv")  # fmt: skip


def tell_names(args: Namespace, site: Site) -> None:
    """The landmarks of the site that have a name, as CSV or JSON."""
    named = named_landmarks(site.site_map)
    if not named:
        raise InputError(f"site {site.name!r}: its map has no control points, stalls, pillars or walls")
    if args.json:
        print(json.dumps([{"name": each.name, "xyz": each.xyz, "sigma": each.sigma} for each in named]))
        return
    print("name,x,y,z,sigma_x,sigma_y,sigma_z")
    for each in named:
        print(",".join([each.name, *(f"{value:.3f}" for value in (*each.xyz, *each.sigma))]))


def run_named(args: Namespace, site: Site, known: Knowledge) -> None:
    """Read marks, place, tell."""
    lens: Camera | None = site.camera(args.camera) if args.camera else None
    files = find_pictures(args.images)
    if len(files) > 1:
        raise InputError(f"{len(files)} pictures: --named is of one")
    size = _size(args, files, lens)
    picture = files[0].stem if files else ""
    marks, points = _marks(args.named, picture)
    lines = read_lines(args.lines)[0] if args.lines else ImageLines()
    stills = sorted(set(lines.camera.tolist()))
    if len(stills) == 1 and len(marks):
        lines = lines.replace(camera=np.full(len(lines), str(marks.camera[0])))
    named = (*points, *(each for each in named_landmarks(site.site_map) if each.name not in {p.name for p in points}))
    options = load_options(NamedPoseOptions(), args.options, args.set)
    found = pose_from_named(
        marks, named, size, np.random.default_rng(args.seed), lens.lens if lens is not None else None, known, lines,
        options, site.site_map,
    )  # fmt: skip
    report = describe_named(found, named)
    if args.json:
        print(json.dumps(report))
    if not found.answered:
        raise GeometryError(f"{args.named}: refused: {found.refusal}")
    if not args.json:
        print(_text(found, len(marks)))


def _size(args: Namespace, files: list[Path], lens: Camera | None) -> tuple[int, int]:
    """Width and height (px) by the picture, --size, or the camera."""
    if files:
        _, grey = next(iter(read_pictures(files, 1)))
        size = (int(grey.shape[1]), int(grey.shape[0]))
        if lens is not None and lens.size != size:
            raise InputError(f"{files[0]}: {size[0]} x {size[1]} px; the camera {lens.name!r} has {lens.size[0]} x "
                             f"{lens.size[1]}: give a still as it was calibrated")  # fmt: skip
        return size
    if args.size:
        words = args.size.lower().split("x")
        if len(words) != 2 or not all(word.isdigit() and int(word) > 0 for word in words):
            raise InputError(f"--size {args.size}: write it as 1920x1080")
        return int(words[0]), int(words[1])
    if lens is not None:
        return lens.size
    raise InputError("--named: give the picture beside it, or its size as --size 1920x1080")


def _marks(path: Path, picture: str) -> tuple[Marks, tuple[ControlPoint, ...]]:
    """The marks of one picture, and the points that their file states itself."""
    found = read_marks(path, options=MarkOptions(camera=picture or "query"))
    if found.report.n_skipped:
        why = ", ".join(f"{reason} ({item.count})" for reason, item in found.report.skipped.items())
        raise InputError(f"{path}: rows that cannot be used: {why}")
    stills = sorted(set(found.marks.camera.tolist()))
    if len(stills) > 1:
        if picture not in stills:
            raise InputError(f"{path}: marks of {', '.join(stills[:6])}; none is of the picture {picture!r}")
        return found.marks.take(found.marks.camera == picture), found.points
    return found.marks, found.points


def describe_named(found: PoseEstimate, named: tuple[ControlPoint, ...]) -> dict[str, object]:
    """The report: the best hypothesis's fields if it is an answer, why not otherwise, and all hypotheses."""
    report: dict[str, object] = {"answered": found.answered, "refusal": found.refusal}
    if found.answered:
        report |= _plain(found.best, named)
    report["hypotheses"] = [_plain(each, named) for each in found.hypotheses]
    return report


def _plain(one: Hypothesis, named: tuple[ControlPoint, ...]) -> dict[str, object]:
    marks = {"marks": one.evidence.n, "agree": [named[row].name for row in one.points.tolist()]}
    return {**plain_pose(one), **marks, "log_odds": round(one.evidence.log_odds, 2)}


def _text(found: PoseEstimate, n: int) -> str:
    told = f"{found.n_inliers} of {n} marks agree"
    return f"{where(found.best)}\nprobability {found.probability:.3f}: {told}"
