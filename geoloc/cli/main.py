"""The command line: `geoloc COMMAND ...`. A command is loaded when it is called: help comes at once."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from geoloc import __version__
from geoloc.errors import GeolocError

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
COMMANDS = {
    "demo": "a synthetic garage, end to end: boxes to tracks, figures, map",
    "detect": "films, pictures or streams of a site's cameras to boxes, without any weights or by a network",
    "localize": "boxes of a site's cameras to tracks on its map",
    "ask": "where objects of a site are and were, out of a state that localize kept",
    "adapt": "what a site's objects look like, learnt of its own tracks",
    "forget": "erase an object from a state, and look whether anything is left",
    "undo": "take back that two objects were taken for one, in a state that localize kept",
    "recompute": "what rests on cameras that moved before it was found out, worked out again from the log",
    "search": "which object a picture shows, where it is now and where it has been",
    "map": "draw a site, and tracks on it: picture and map page",
    "check": "what a site's cameras see, how sharply, and whether they have moved",
    "layout": "lanes, stalls, entrances and transit times of a site, learned from its tracks",
    "events": "what happened on a site by rules: queues, wrong way, stalls taken and left, ...",
    "landmarks": "a landmark map of a site, from images of it",
    "relocalize": "where an image was taken, by a site's landmarks",
    "calibrate": "cameras from marks, how good they are, and what to mark next",
    "calibrate intrinsics": "a lens from pictures of a chessboard or ChArUco board",
    "calibrate scan": "a scan of a site laid on its map: ground heights, walls, control points",
    "calibrate rig": "several cameras from one board that they see at the same moments",
    "evaluate": "how good a result is beside the truth, and whether the number can be believed",
    "survey": "the layout of a site from stills: mosaic, lines, stalls to accept, landmarks",
    "mark": "a page on which stills and map are marked, for calibration",
    "serve": "the engine live: detections in, positions, events and a map page out, over HTTP and WebSocket",
    "worker": "one of several processes that share many sites, over NATS JetStream",
    "regions": "a large site cut into regions, for several workers",
    "replay": "a recording sent to a live service, at any speed",
    "convert": "cameras, marks, points, detections and tracks from one form to another",
}
EXAMPLES = """\
examples:
  geoloc demo                                       see it run; writes out/demo/
  geoloc check garage                               look at a site before using it
  geoloc localize garage boxes.csv -o out/garage    tracks, picture, map page, report
  geoloc localize --help                            what one command takes, with examples

A SITE is a name below --root (sitemaps/NAME.geojson and calibration/NAME/), or a path to its map.
Exit codes: 0 done, 2 wrong input or data that cannot give the answer, said in one line on stderr.
"""


class Command(Protocol):
    """What a module of `COMMANDS` holds."""

    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what the command takes."""

    def run(self, args: argparse.Namespace) -> None:
        """Do it: results on stdout, progress on stderr; a GeolocError for what the caller can mend."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Known errors are caught here and nowhere else."""
    words = list(sys.argv[1:] if argv is None else argv)
    words = _joined(words)
    if "--edge" in words:  # before any library that starts threads is loaded
        os.environ.update(dict.fromkeys(THREADS, "1"))
    called = next((word for word in words if not word.startswith("-")), "")
    command = _load(called) if called in COMMANDS else None
    parser = _parser(called, command)
    args = parser.parse_args(words)
    if command is None:
        parser.error("give one command")
    args.command_line = shlex.join(["geoloc", *words])
    try:
        command.run(args)
        sys.stdout.flush()
    except GeolocError as error:
        print(f"geoloc {called}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # the reader of our output has gone, as with `| head`: nothing is left to say, at exit neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"geoloc {called}: interrupted", file=sys.stderr)
        return 130
    return 0


def _joined(words: list[str]) -> list[str]:
    """The words of a command, one that has two of them as one."""
    two = " ".join(words[:2])
    return [two, *words[2:]] if two in COMMANDS else words


def _load(name: str) -> Command:
    return cast(Command, import_module(f"geoloc.cli.{name.replace(' ', '_')}"))


def _parser(called: str, command: Command | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="geoloc",
        description="Georeferenced object positions with honest uncertainty, from a site's fixed cameras.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"geoloc {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        if name != called or command is None:
            commands.add_parser(name, help=summary)
            continue
        own = commands.add_parser(
            name,
            help=summary,
            description=command.DESCRIPTION,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(own)
    return parser


if __name__ == "__main__":
    sys.exit(main())
