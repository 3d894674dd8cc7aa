"""`geoloc map`: draw a site, and tracks on it."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from geoloc.cli.arguments import add_json, add_site
from geoloc.cli.outputs import PAGE_FILES, planned, write_results
from geoloc.io.tracks import read_tracks
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Tracks

DESCRIPTION = """\
Draw a site's map with its cameras and what they see: a picture (.png) and a page with a time slider (.html)
that works offline. TRACKS is a CSV file that `geoloc localize` wrote."""
EXAMPLES = """\
examples:
  geoloc map garage
      the site alone: out/garage/plan.png and out/garage/map.html
  geoloc map garage out/garage/tracks.csv -o plan.png
      with tracks and their error ellipses, the picture only
  geoloc map sitemaps/garage.geojson tracks.csv -o out/monday"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("tracks", nargs="?", type=Path, metavar="TRACKS", help="tracks.csv of a run")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        action="append",
        help="folder, or file ending in .png or .html; may be repeated (default: out/SITE)",
    )
    add_json(parser)


def run(args: Namespace) -> None:
    """Draw, and say what was written."""
    site = load_site(args.site, args.root)
    files = planned(args.out or [Path("out") / site.name], site, PAGE_FILES)
    tracks = read_tracks(args.tracks) if args.tracks else Tracks()
    write_results(files, site, tracks)
    written = [str(path) for path in files]
    counts = {"site": site.name, "cameras": len(site.cameras), "tracks": len(np.unique(tracks.track))}
    if args.json:
        print(json.dumps({**counts, "written": written}))
    else:
        print("\n".join(f"wrote {path}" for path in written))
