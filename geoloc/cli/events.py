"""`geoloc events`: what happened on a site by rules, each event with its probability and what it rests on."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from datetime import UTC, datetime
from math import isnan
from pathlib import Path

from geoloc.cli.arguments import add_json, add_site
from geoloc.io.tracks import read_tracks
from geoloc.perception.rules import KINDS, TOLD, load_rules
from geoloc.perception.rules_run import RuleEvent, run_rules
from geoloc.scene.storage import load_site

_LINES = "\n".join(f"  {kind:<15} {TOLD[kind]}; takes {', '.join(keys)}" for kind, keys in KINDS.items())
DESCRIPTION = f"""\
Events by rules over TRACKS, a CSV file that `geoloc localize` wrote. A rule fires by a probability that is worked out
of the tracks' covariances: it begins at `on` (0.9) held for `for_s`, and ends at `off` (0.3) held for `clears_s`.
Kinds of rules:

{_LINES}

Zones are chosen by name (zone = "P1 aisle*") or use (use = "lane"), stalls by name."""
EXAMPLES = """\
examples:
  geoloc events garage out/garage/tracks.csv --rules rules.toml
      with, in rules.toml:
          [[rule]]
          name = "queue at the gate"
          kind = "queue"
          use = "entrance"
          at_least = 3
          for_s = 20
  geoloc events sitemaps/garage.geojson monday.csv --rules rules.toml
  geoloc events garage out/garage/tracks.csv --rules rules.toml --json | jq '.[].rule'"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("tracks", type=Path, metavar="TRACKS", help="tracks.csv of a run")
    parser.add_argument("--rules", type=Path, required=True, metavar="FILE.toml", help="what is to be told")
    add_json(parser)


def run(args: Namespace) -> None:
    """Run the rules and tell the events in order of time."""
    site = load_site(args.site, args.root)
    rules = load_rules(args.rules)
    events = run_rules(site, read_tracks(args.tracks), rules)
    if args.json:
        print(json.dumps([asdict(event) | {"end": None if isnan(event.end) else event.end} for event in events]))
        return
    print("\n".join(in_words(event) for event in events) or "nothing happened by these rules")


def in_words(event: RuleEvent) -> str:
    """An event in one line."""
    span = _clock(event.start) + ("" if event.end == event.start else " to " + _clock(event.end))
    whose = f"tracks {', '.join(map(str, event.tracks))}" if event.tracks else "no track"
    seen = f"seen by {', '.join(event.cameras)}" if event.cameras else "seen by no camera"
    sigma = "" if isnan(event.sigma) else f", sigma {event.sigma:.2f} m"
    return f"{span}  {event.rule} ({event.place}): p {event.probability:.2f}, {whose}, {seen}{sigma}"


def _clock(time: float) -> str:
    return "the end" if isnan(time) else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")
