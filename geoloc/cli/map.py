"""`geoloc map`: a site and tracks on it, as a picture, a page, or a file for another tool."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from geoloc.cli.arguments import add_json, add_site, add_track_writing
from geoloc.cli.outputs import ENDINGS, PAGE_FILES, PICTURES, planned, write_options
from geoloc.cli.pictures import Pictures, add_pictures
from geoloc.io.tracks import export
from geoloc.relocalize.landmark_storage import load_landmarks
from geoloc.scene.storage import load_site

DESCRIPTION = """\
A site's map with its cameras and what they see: a plan view (.png, .svg), a film of a time span (.mp4, .gif), a page
with a time slider (.html) that works offline (docs/maps.md), or a file for another tool (.geojson, .gpkg, .kmz, .mcap,
...; docs/exports.md), by the ending. TRACKS is a CSV file that `geoloc localize` wrote, or a store.gpkg that `geoloc
serve` keeps; for the page and other tools it is read piece by piece, however long."""
EXAMPLES = """\
examples:
  geoloc map garage
      the site alone: out/garage/plan.png and out/garage/map.html
  geoloc map garage out/garage/tracks.csv -o plan.png
      with tracks and their error ellipses, the picture only
  geoloc map garage out/garage/tracks.csv -o clip.mp4 --from +60 --to +90 --speed 8
      a film of half a minute
  geoloc map garage out/garage/tracks.csv --stills stills/ -o out/monday
      the stills in the page, each with map lines and tracks drawn in, and all of them on the map
  geoloc map garage out/garage/tracks.csv -o garage.gpkg -o garage.kmz
      for QGIS and for Google Earth; says what each form cannot hold
  geoloc map garage state/garage/store.gpkg --from 2024-06-07T08:00 --to 2024-06-07T10:00 -o morning.kmz
      two hours (UTC) of what a service told
  geoloc map sitemaps/garage.geojson tracks.csv -o out/monday"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument(
        "tracks", nargs="?", type=Path, metavar="TRACKS", help="tracks.csv of a run, or store.gpkg of a service"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        action="append",
        help=f"folder, or file ending in {', '.join(ENDINGS)}; may be repeated (default: out/SITE)",
    )
    parser.add_argument("--landmarks", type=Path, metavar="FILE", help="landmark map whose points .glb and .ply hold")
    add_pictures(parser)
    add_track_writing(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Draw or export, and say what was written, and what it is without."""
    site = load_site(args.site, args.root)
    files = planned(args.out or [Path("out") / site.name], site, PAGE_FILES, ENDINGS)
    drawn = [path for path in files if path.suffix.lower() in PICTURES]
    pictures = Pictures(args, site)
    for path in drawn:
        pictures.draw(path)
    folders = [path for path in args.out or [Path("out") / site.name] if path not in files]
    more = [path for folder in folders for path in pictures.of_folder(folder)]
    written = [str(path) for path in (*drawn, *more)]
    lines = [f"wrote {path}" for path in written]
    n_tracks = pictures.n_tracks if drawn and args.json else 0
    lost = {}
    landmarks = load_landmarks(args.landmarks, mapped=True).points if args.landmarks else None
    for path in files:
        if path not in drawn:
            tracks, span = pictures.recording
            exported = export(path, site, tracks, options=write_options(args), landmarks=landmarks, span=span)
            lines.append(f"wrote {exported}")
            lost[str(path)], n_tracks = exported.lost, exported.n_tracks
            written.append(str(path))
    counts = {"site": site.name, "cameras": len(site.cameras), "tracks": n_tracks}
    if args.json:
        print(json.dumps({**counts, "written": written} | ({"without": lost} if lost else {})))
    else:
        print("\n".join(lines))
