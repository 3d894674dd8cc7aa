"""`geoloc calibrate intrinsics`: a lens out of pictures of a board."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from geoloc.calibrate.board_detection import detect_boards
from geoloc.calibrate.boards import Board, BoardSearch
from geoloc.calibrate.intrinsics import (
    AUTO,
    UNKNOWNS,
    IntrinsicsFit,
    IntrinsicsOptions,
    calibrate_intrinsics,
    check_model,
)
from geoloc.cli.arguments import add_json, add_options
from geoloc.errors import InputError
from geoloc.evaluation.text_table import aligned
from geoloc.io.pictures import FILMS, find_pictures, read_pictures
from geoloc.options import load_options
from geoloc.scene.storage import save_cameras

DESCRIPTION = """\
Calibrate a lens from pictures of a chessboard or a ChArUco board: 10 to 20 of them, the board all over the picture
and close up, tilted 30 to 45 degrees to all sides, sharp. Writes the camera with its covariance, and a picture of what
the boards cover. Pictures that do not fit are left out and named; what the boards cannot tell of the lens is said."""
EXAMPLES = """\
examples:
  geoloc calibrate intrinsics stills/gate --board 9x6 --square 0.03 -o gate.json
      a chessboard of 9 x 6 inner corners (10 x 7 squares) of 3 cm: writes gate.json and gate.png
  geoloc calibrate intrinsics gate.mp4 --charuco 7x5 --square 0.04 --marker 0.03 --dictionary DICT_5X5_100
      a ChArUco board of 7 x 5 squares, in 40 frames spread over a film
  geoloc calibrate intrinsics stills/dome --board 9x6 --square 0.03 --model fisheye --json"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURES", help="files, folders of them, or a film")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--board", metavar="9x6", help="chessboard: inner corners, where four squares meet")
    kind.add_argument("--charuco", metavar="7x5", help="ChArUco board: squares")
    parser.add_argument("--square", type=float, required=True, metavar="M", help="side of a square, metres")
    parser.add_argument("--marker", type=float, default=0.0, metavar="M", help="side of a ChArUco marker, metres")
    parser.add_argument("--dictionary", default="", metavar="NAME", help="of the markers, such as DICT_5X5_100")
    parser.add_argument("--legacy", action="store_true", help="the ChArUco pattern of OpenCV before 4.6")
    parser.add_argument("--model", default="radial_tangential", help=f"{' or '.join(UNKNOWNS)} (default: %(default)s)")
    parser.add_argument(
        "--free", default=AUTO, metavar="NAMES", help="unknowns to free, such as f,cx,cy,k1 (default: as boards tell)"
    )
    parser.add_argument("--frames", type=int, default=40, metavar="N", help="frames of a film (default: %(default)s)")
    parser.add_argument("--name", default="", help="of the camera (default: that of its folder or film)")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE.json", help="camera, and beside it its picture (default: out/NAME.json)"
    )
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Find the boards, calibrate, write, and say how good it is."""
    options = load_options(IntrinsicsOptions(), args.options, args.set)
    board = board_of(args)
    if args.frames < 1:
        raise InputError(f"--frames {args.frames}: give a number of frames, such as 40")
    files = find_pictures(args.pictures)
    name = args.name or (files[0].stem if files[0].suffix.lower() in FILMS else files[0].absolute().parent.name)
    out = args.out or Path("out") / f"{name}.json"
    if out.suffix != ".json":
        raise InputError(f"{out}: the camera is written as .json")
    free = args.free if args.free == AUTO else tuple(part.strip() for part in args.free.split(","))
    check_model(args.model, free)
    found = _search(files, board, name, args.frames)
    fit = calibrate_intrinsics(found.corners, board, found.size, args.model, free, options)
    written = write_fit(fit, out)
    if args.json:
        print(json.dumps(_record(fit, found, written)))
    else:
        print(_text(fit, found, written))


def board_of(args: Namespace) -> Board:
    """The board that the arguments describe."""
    text = args.charuco or args.board
    columns, times, rows = text.lower().partition("x")
    if not (times and columns.isdigit() and rows.isdigit()):
        raise InputError(f"board {text!r}: give columns and rows, such as 9x6")
    kind = "charuco" if args.charuco else "chessboard"
    return Board(kind, int(columns), int(rows), args.square, args.marker, args.dictionary, args.legacy)


def write_fit(fit: IntrinsicsFit, out: Path) -> list[Path]:
    """Write the camera, and its picture beside it."""
    from geoloc.draw.coverage import draw_coverage

    save_cameras((fit.camera(),), out)
    return [out, draw_coverage(fit, out.with_suffix(".png"))]


def _search(files: list[Path], board: Board, name: str, frames: int) -> BoardSearch:
    from tqdm import tqdm

    n = sum(frames if path.suffix.lower() in FILMS else 1 for path in files)
    often = 0.1 if sys.stderr.isatty() else 5.0  # s; where nobody looks, a log should not fill up
    with tqdm(total=n, desc=name, unit="picture", file=sys.stderr, mininterval=often) as bar:
        return detect_boards(read_pictures(files, frames), board, name, lambda view: bar.update() and None)


def _left_out(fit: IntrinsicsFit, found: BoardSearch) -> Iterator[tuple[str, str]]:
    for refused in (*found.refused, *fit.refused):
        yield refused.view, refused.reason


def _record(fit: IntrinsicsFit, found: BoardSearch, written: list[Path]) -> dict[str, object]:
    names = fit.lens.parameter_names
    return {
        "camera": fit.name,
        "size": list(fit.size),
        "model": fit.lens.model,
        "params": dict(zip(names, fit.lens.params.tolist(), strict=True)),
        "sigma": fit.sigma,
        "freed": list(fit.freed),
        "held": list(fit.held),
        "rms_px": fit.rms_px,
        "noise_px": fit.sigma_px,
        "views": fit.view_rms_px,
        "left_out": dict(_left_out(fit, found)),
        "notes": list(fit.notes),
        "written": [str(path) for path in written],
    }


def _text(fit: IntrinsicsFit, found: BoardSearch, written: list[Path]) -> str:
    rows = [
        (name, f"{value:.6g}", f"{fit.sigma[name]:.2g}")
        for name, value in zip(fit.lens.parameter_names, fit.lens.params, strict=True)
    ]
    n_given = len(fit.views) + len(found.refused) + len(fit.refused)
    lens = f"{fit.lens.model} of {fit.size[0]} x {fit.size[1]} px"
    title = f"camera {fit.name}: {lens} from {len(fit.views)} of {n_given} pictures"
    rms = f"rms {fit.rms_px:.3f} px over {int(fit.used.sum())} corners; the boards tell {', '.join(fit.freed)}"
    views = aligned(("picture", "rms px"), [(view, f"{rms:.3f}") for view, rms in fit.view_rms_px.items()])
    said = [f"left out {view}: {reason}" for view, reason in _left_out(fit, found)]
    said += [f"note: {note}" for note in fit.notes]
    parts = [title, rms, "", aligned(("", "value", "sigma"), rows), "", views]
    return "\n".join([*parts, *([""] if said else []), *said, "", *(f"wrote {path}" for path in written)])
