"""`geoloc map`: a site and tracks on it, as a picture, a page, or a file for another tool."""

import json
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from geoloc.cli.arguments import add_json, add_site, add_track_writing
from geoloc.cli.outputs import ENDINGS, PAGE_FILES, PICTURES, planned, write_options, write_results
from geoloc.errors import InputError
from geoloc.io.track_store import is_store, read_store
from geoloc.io.tracks import export, read_tracks
from geoloc.relocalize.landmark_storage import load_landmarks
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Tracks

DESCRIPTION = """\
A site's map with its cameras and what they see: a picture (.png), a page with a time slider (.html) that works
offline, or a file for another tool (.geojson, .gpkg, .kmz, .mcap, ...; docs/exports.md), by the ending. TRACKS is a
CSV file that `geoloc localize` wrote, or a store.gpkg that `geoloc serve` keeps; of a file for another tool it is
read piece by piece, however long."""
EXAMPLES = """\
examples:
  geoloc map garage
      the site alone: out/garage/plan.png and out/garage/map.html
  geoloc map garage out/garage/tracks.csv -o plan.png
      with tracks and their error ellipses, the picture only
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
    parser.add_argument("--from", dest="since", default="", metavar="TIME", help="of a store: from then on (UTC)")
    parser.add_argument("--to", dest="until", default="", metavar="TIME", help="of a store: until then (UTC)")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        action="append",
        help=f"folder, or file ending in {', '.join(ENDINGS)}; may be repeated (default: out/SITE)",
    )
    parser.add_argument("--landmarks", type=Path, metavar="FILE", help="landmark map whose points .glb and .ply hold")
    add_track_writing(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Draw or export, and say what was written, and what it is without."""
    site = load_site(args.site, args.root)
    files = planned(args.out or [Path("out") / site.name], site, PAGE_FILES, ENDINGS)
    drawn = [path for path in files if path.suffix.lower() in PICTURES]
    written = [str(path) for path in drawn]
    span = _time(args.since, "--from", -np.inf), _time(args.until, "--to", np.inf)
    tracks = _read(args.tracks, span) if args.tracks and drawn else Tracks()
    write_results(drawn, site, tracks)
    lines, n_tracks = [f"wrote {path}" for path in drawn], len(np.unique(tracks.track))
    lost = {}
    landmarks = load_landmarks(args.landmarks, mapped=True).points if args.landmarks else None
    for path in files:
        if path not in drawn:
            exported = export(
                path, site, args.tracks or Tracks(), options=write_options(args), landmarks=landmarks, span=span
            )
            lines.append(f"wrote {exported}")
            lost[str(path)], n_tracks = exported.lost, exported.n_tracks
            written.append(str(path))
    counts = {"site": site.name, "cameras": len(site.cameras), "tracks": n_tracks}
    if args.json:
        print(json.dumps({**counts, "written": written} | ({"without": lost} if lost else {})))
    else:
        print("\n".join(lines))


def _read(path: Path, span: tuple[float, float]) -> Tracks:
    """The tracks of a file, within a `span` (s) where it is a store."""
    if is_store(path):
        return read_store(path, *span)
    if np.isfinite(span).any():
        raise InputError(f"{path}: is no store of geoloc serve; --from and --to choose times of a store only")
    return read_tracks(path)


def _time(text: str, name: str, default: float) -> float:
    """A time (UTC Unix s) given as such or as 2024-06-07T10:00."""
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{name} {text!r}: give 2024-06-07T10:00 (UTC), or Unix seconds") from error
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
