"""`geoloc layout`: lanes, stalls, entrances and transit times of a site, learned from its tracks."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np

from geoloc.cli.arguments import add_json, add_options, add_site
from geoloc.errors import InputError
from geoloc.io.tracks import read_tracks
from geoloc.options import load_options
from geoloc.perception.tracks_layout import LayoutLearner, LayoutOptions
from geoloc.scene.map_storage import save_map
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Tracks

DESCRIPTION = """\
What a site's tracks tell of its layout, as a map to look at and accept: lanes with direction, width and usual speed,
stalls from where vehicles stood, entrances and exits, areas that are crossed unseen, walked ground, times from camera
to camera. TRACKS is a CSV file that `geoloc localize` wrote. Every feature of FILE says how sure it is, and its source
"learned"; docs/scene.md."""
EXAMPLES = """\
examples:
  geoloc layout garage out/garage/tracks.csv -o learned.geojson
      what was learned and nothing else, beside the map's levels
  geoloc layout garage monday.csv -o learned.geojson --memory state/layout.npz
  geoloc layout garage tuesday.csv -o learned.geojson --memory state/layout.npz
      learned on from day to day; what was seen long ago fades
  geoloc layout garage out/garage/tracks.csv -o sitemaps/garage.geojson --accept 0.9
      the site's map with what is sure by 0.9; what was drawn by hand stays as it is"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("tracks", type=Path, metavar="TRACKS", help="tracks.csv of a run")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="map to write (.geojson)")
    parser.add_argument("--memory", type=Path, metavar="FILE", help="what was learned before, and is kept for later")
    parser.add_argument("--accept", type=float, metavar="CONFIDENCE", help="write the whole map with what is sure")
    parser.add_argument("--plan", type=Path, metavar="FILE.png", help="draw it, too")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Learn, write, and say how much was found."""
    site = load_site(args.site, args.root)
    options = load_options(LayoutOptions(), args.options, args.set)
    known = args.memory is not None and args.memory.is_file()
    if known and (args.options or args.set):
        raise InputError(f"{args.memory}: keeps the options that it was begun with; leave out --options and --set")
    learner = LayoutLearner.load(site, args.memory) if known else LayoutLearner(site, options)
    tracks = read_tracks(args.tracks)
    learner.observe(tracks.take(np.argsort(tracks.time, kind="stable")))
    layout = learner.layout()
    accept = args.accept is not None
    found = layout.accepted(site.site_map, args.accept) if accept else layout.proposal(site.site_map)
    save_map(found, args.out)
    written = [str(args.out)]
    if args.memory is not None:
        learner.save(args.memory)
        written.append(str(args.memory))
    if args.plan is not None:
        from geoloc.draw.plan import draw_plan

        draw_plan(replace(site, site_map=found), Tracks(), args.plan, title=f"{site.name}: learned from tracks")
        written.append(str(args.plan))
    counts = layout.counts()
    if args.json:
        print(json.dumps({"site": site.name, "found": counts, "written": written}))
        return
    print("\n".join(f"{name:<13} {n}" for name, n in counts.items()))
    print("\n".join(f"wrote {path}" for path in written))
