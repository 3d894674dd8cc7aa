"""`geoloc calibrate rig`: several cameras out of one ChArUco board that they see at the same moments."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from geoloc.calibrate.board_detection import detect_boards
from geoloc.calibrate.board_rig import RigFit, calibrate_rig
from geoloc.calibrate.boards import Board, BoardCorners, RefusedView
from geoloc.calibrate.intrinsics import AUTO, UNKNOWNS, IntrinsicsOptions, check_model
from geoloc.cli.arguments import add_json, add_options
from geoloc.cli.calibrate_intrinsics import board_of
from geoloc.errors import InputError
from geoloc.evaluation.text_table import aligned
from geoloc.io.pictures import FILMS, count_frames, find_pictures, read_frames, read_pictures, spread_frames
from geoloc.options import load_options
from geoloc.scene.storage import save_cameras

DESCRIPTION = """\
Calibrate cameras together, lenses and poses, from one ChArUco board that is carried through their views: films of one
start and frame rate, whose frames of one number are of one moment, or folders whose pictures of one name are. Writes
the cameras, in the axes of the first one; boards that slip between exposures are allowed for, pictures of another
moment are left out and named."""
EXAMPLES = """\
examples:
  geoloc calibrate rig left.mp4 right.mp4 hall.mp4 --charuco 7x5 --square 0.04 --marker 0.03 --dictionary DICT_5X5_100
      three films, 60 frames of each: writes out/rig.json
  geoloc calibrate rig stills/left stills/right --charuco 7x5 --square 0.04 --marker 0.03 --dictionary DICT_5X5_100
      folders: left/0007.jpg and right/0007.jpg are one moment
  geoloc calibrate rig a.mp4 b.mp4 --charuco 7x5 --square 0.04 --marker 0.03 --dictionary DICT_5X5_100 --json
      for machines: each camera's focal length, distance from the first, sigmas, what was left out"""
MOST_NAMED = 12  # left-out views that are printed one by one


@dataclass(frozen=True, eq=False)
class _Found:
    corners: BoardCorners
    sizes: dict[str, tuple[int, int]]
    refused: tuple[RefusedView, ...]
    without: dict[str, int]  # pictures of each camera in which the board was not found


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("cameras", nargs="+", type=Path, metavar="CAMERA", help="a film or a folder of pictures each")
    parser.add_argument("--charuco", required=True, metavar="7x5", help="the board: squares")
    parser.add_argument("--square", type=float, required=True, metavar="M", help="side of a square, metres")
    parser.add_argument("--marker", type=float, required=True, metavar="M", help="side of a marker, metres")
    parser.add_argument("--dictionary", required=True, metavar="NAME", help="of the markers, such as DICT_5X5_100")
    parser.add_argument("--legacy", action="store_true", help="the ChArUco pattern of OpenCV before 4.6")
    parser.add_argument("--model", default="radial_tangential", help=f"{' or '.join(UNKNOWNS)} (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=60, metavar="N", help="frames of each film (default: 60)")
    parser.add_argument("-o", "--out", type=Path, default=Path("out/rig.json"), help="cameras (default: %(default)s)")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Find the board in every view, calibrate, write, and say how good it is."""
    options = load_options(IntrinsicsOptions(), args.options, args.set)
    board = board_of(args)
    if args.out.suffix != ".json":
        raise InputError(f"{args.out}: the cameras are written as .json")
    check_model(args.model, AUTO)
    found = _search(_sources(args.cameras, args.frames), board)
    fit = calibrate_rig(found.corners, board, found.sizes, args.model, options)
    save_cameras(fit.cameras, args.out)
    if args.json:
        print(json.dumps(_record(fit, found, args.out)))
    else:
        print(_text(fit, found, args.out))


Views = list[tuple[str, Path, int]]  # moment, file, frame of a film


def _sources(paths: list[Path], frames: int) -> dict[str, Views]:
    """The views of each camera; a moment has one name in all of them."""
    if frames < 1:
        raise InputError(f"--frames {frames}: give a number of frames, such as 60")
    if len(paths) < 2:
        raise InputError("a rig has two cameras or more; for one: geoloc calibrate intrinsics")
    names = [path.absolute().stem for path in paths]
    double = next((name for name in names if names.count(name) > 1), "")
    if double:
        raise InputError(f"two cameras are called {double!r}, after their files; rename one")
    files = {name: find_pictures([path]) for name, path in zip(names, paths, strict=True)}
    films = {name: own[0] for name, own in files.items() if own[0].suffix.lower() in FILMS}
    if films and len(films) < len(files):
        raise InputError("give films of all cameras, or folders of pictures of all: moments cannot be paired else")
    if films:
        return _of_films(films, frames)
    views = {name: [(file.stem, file, 0) for file in own] for name, own in files.items()}
    moments = [moment for own in views.values() for moment in {one[0] for one in own}]
    if len(set(moments)) == len(moments):
        raise InputError("no picture's name is in two folders: pictures of one moment must have one name, as 0007.jpg")
    return views


def _of_films(films: dict[str, Path], frames: int) -> dict[str, Views]:
    counts = {name: count_frames(path) for name, path in films.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {n}" for name, n in counts.items())
        raise InputError(
            f"the films have {said} frames; frames of one number must be of one moment: cut them to one start and end"
        )
    wanted = spread_frames(min(counts.values()), frames)
    return {name: [(f"{number:06d}", path, number) for number in wanted] for name, path in films.items()}


def _search(sources: dict[str, Views], board: Board) -> _Found:
    tables, sizes, refused, without = [], {}, [], {}
    often = 0.1 if sys.stderr.isatty() else 5.0  # s; where nobody looks, a log should not fill up
    with tqdm(total=sum(map(len, sources.values())), unit="picture", file=sys.stderr, mininterval=often) as bar:
        for name, views in sources.items():
            bar.set_description(name)
            try:
                own = detect_boards(_pictures(views), board, name, lambda view: bar.update() and None)
            except InputError as error:
                raise InputError(f"camera {name!r}: {error}") from error
            tables.append(own.corners)
            sizes[name] = own.size
            without[name] = len(own.refused)
            refused += [RefusedView(f"{name} {one.view}", one.reason) for one in own.refused]
    return _Found(BoardCorners.concat(tables), sizes, tuple(refused), without)


def _pictures(views: Views) -> Iterator[tuple[str, np.ndarray]]:
    if views[0][1].suffix.lower() in FILMS:
        moments = {number: moment for moment, _, number in views}
        for number, grey in read_frames(views[0][1], moments):
            yield moments[number], grey
    else:
        for moment, path, _ in views:
            yield moment, next(read_pictures([path], 1))[1]


def _rows(fit: RigFit) -> list[dict[str, float | str | int]]:
    """What is said of each camera."""
    rows = []
    for camera in fit.cameras:
        mine = fit.used & (fit.corners.camera == camera.name)
        residual = fit.residual[mine]
        # a turn about the camera's own centre does not move it: the shift alone is the centre's
        centre = np.sqrt(max(float(np.linalg.eigvalsh(camera.calib_cov[3:6, 3:6])[-1]), 0.0))
        focal = camera.freed.index("fx") if "fx" in camera.freed else -1
        rows.append(
            {
                "camera": camera.name,
                "views": len(np.unique(fit.corners.view[mine])),
                "corners": int(mine.sum()),
                "rms_px": float(np.sqrt((residual**2).sum(axis=1).mean())),
                "focal_px": float(camera.lens.params[0]),
                "focal_sigma_px": float(np.sqrt(camera.calib_cov[6 + focal, 6 + focal])) if focal >= 0 else 0.0,
                "away_m": float(np.linalg.norm(camera.centre_world - fit.cameras[0].centre_world)),
                "centre_sigma_m": centre,
            }
        )
    return rows


def _record(fit: RigFit, found: _Found, out: Path) -> dict[str, object]:
    return {
        "cameras": _rows(fit),
        "rms_px": fit.rms_px,
        "moments": len(fit.views),
        "slip_m": fit.slip.shift,
        "slip_rad": fit.slip.turn,
        "held": {name: list(names) for name, names in fit.held.items()},
        "left_out": {one.view: one.reason for one in (*found.refused, *fit.refused)},
        "written": [str(out)],
    }


def _text(fit: RigFit, found: _Found, out: Path) -> str:
    heads = ("camera", "views", "corners", "rms px", "focal px", "from the first m", "sigma mm")
    rows = [
        (
            str(row["camera"]), str(row["views"]), str(row["corners"]), f"{row['rms_px']:.3f}",
            f"{row['focal_px']:.1f} ± {row['focal_sigma_px']:.1f}", f"{row['away_m']:.3f}",
            f"{1000 * float(row['centre_sigma_m']):.1f}",
        )
        for row in _rows(fit)
    ]  # fmt: skip
    slip = f"the board slipped by {1000 * fit.slip.shift:.1f} mm and {1000 * fit.slip.turn:.1f} mrad between exposures"
    said = [f"{name}: {n} pictures without the board, or too little of it" for name, n in found.without.items() if n]
    said += [f"left out {one.view}: {one.reason}" for one in fit.refused[:MOST_NAMED]]
    said += [f"and {len(fit.refused) - MOST_NAMED} more left out"] if len(fit.refused) > MOST_NAMED else []
    held = [
        f"held in {name}, which the boards do not tell: {', '.join(names)}" for name, names in fit.held.items() if names
    ]
    title = f"rig of {len(fit.cameras)} cameras from {len(fit.views)} moments: rms {fit.rms_px:.3f} px"
    axes = f"positions are in the axes of {fit.cameras[0].name}; marks on a map place the cameras on a site"
    return "\n".join([title, slip, "", aligned(heads, rows), "", *said, *held, axes, "", f"wrote {out}"])
