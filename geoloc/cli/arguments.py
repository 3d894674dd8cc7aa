"""Arguments that several commands share."""

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoloc.scene.site import Site


def add_site(parser: ArgumentParser) -> None:
    """SITE and --root."""
    parser.add_argument("site", metavar="SITE", help="name of a site below --root, or a path to its map")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="folder with sitemaps/ and calibration/ (default: here)"
    )


def add_track_writing(parser: ArgumentParser) -> None:
    """--track, --fps, --start: what some forms of tracks need to know."""
    parser.add_argument("--track", type=int, default=-1, help="files of tracks: only this number (.tum holds one)")
    parser.add_argument("--fps", type=float, default=0.0, help="frames per second of .txt (MOTChallenge)")
    parser.add_argument("--start", type=float, default=0.0, help="Unix time (s) of frame 1 of .txt")


def add_mesh(parser: ArgumentParser) -> None:
    """--mesh."""
    parser.add_argument(
        "--mesh", type=Path, metavar="FILE.ply", help="triangle mesh of the site (m) that hides what is behind it"
    )


def seen_through_mesh(site: "Site", mesh: Path | None) -> "Site":
    """The site with what `mesh` leaves in view, where one is given."""
    if mesh is None:
        return site
    from geoloc.scene.visibility import compute_visibility

    return site.with_visibility(compute_visibility(site, mesh=mesh))


def add_changed(parser: ArgumentParser) -> None:
    """--changed, for commands that go on from a state."""
    parser.add_argument(
        "--changed",
        action="append",
        default=[],
        choices=("calibration", "map", "options"),
        help="go on from a state that was made with another one; may be repeated",
    )


def add_options(parser: ArgumentParser) -> None:
    """--options and --set: what changes the engine's defaults."""
    parser.add_argument("--options", type=Path, metavar="FILE.toml", help="what differs from the defaults")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STAGE.KEY=VALUE",
        help="one option, over --options; may be repeated",
    )


def add_reading(parser: ArgumentParser) -> None:
    """What a file of detections does not say about itself."""
    parser.add_argument("--kind", help="format of the detections (default: what they look like)")
    parser.add_argument("--camera", default="", help="camera of files that do not name it")
    parser.add_argument("--fps", type=float, default=0.0, help="frames per second of files that count frames")
    parser.add_argument("--start", type=float, default=0.0, help="Unix time (s) of the first frame of those")
    parser.add_argument("--label", default="", help="class of files that have none")


def add_json(parser: ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="the report as JSON on stdout, and nothing else")
