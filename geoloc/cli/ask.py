"""`geoloc ask`: questions about now and before, out of a state that `geoloc localize --state` keeps."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from geoloc.cli.arguments import add_json, add_mesh, add_site, seen_through_mesh
from geoloc.errors import InputError
from geoloc.pipeline.answers import Place, Provenance, Stay
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.queries import State, clock
from geoloc.pipeline.stored_state import load_state
from geoloc.scene.storage import load_site
from geoloc.scene.versions import calibration_name

DESCRIPTION = """\
Questions about a site, out of the state that `geoloc localize --state FOLDER` keeps; nothing in it is changed.

  at                all objects that were there at --time
  where NUMBER      where an object was at --time, or where it was seen last
  who PLACE         who was in a zone, stall or level between --from and --to
  stall NAME        who is in a stall, and who was
  occupancy         which stalls were taken at --time, and how many objects were on each level
  lineage NUMBER    how an object came to its number, and what became of it, in words; --json: as a graph, too

Times are UTC Unix seconds, or such as 2024-06-07T10:02:11 (UTC where they do not say); default: the last window."""
EXAMPLES = """\
examples:
  geoloc ask garage state/garage where 17
      where car 17 is, or was seen last; by which cameras, how sharply, how long ago
  geoloc ask garage state/garage where 17 --time 2024-06-07T10:02:11
      where it was then
  geoloc ask garage state/garage who "P1 aisle south" --from 2024-06-07T10:00 --to 2024-06-07T10:05
      who drove through
  geoloc ask garage state/garage occupancy --json | jq .taken
      for machines"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("state", type=Path, metavar="FOLDER", help="folder that localize --state keeps")
    parser.add_argument("question", choices=QUESTIONS, metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("subject", nargs="?", default="", metavar="OF", help="number of an object, or name of a place")
    parser.add_argument("--time", metavar="TIME", help="at which time")
    parser.add_argument("--from", dest="start", metavar="TIME", help="from which time on")
    parser.add_argument("--to", dest="end", metavar="TIME", help="up to which time")
    add_mesh(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Load, ask, print."""
    site = seen_through_mesh(load_site(args.site, args.root), args.mesh)
    state = load_state(site, args.state)
    answer, lines = QUESTIONS[args.question](state, args)
    if args.json:
        print(json.dumps(answer, allow_nan=False))
        return
    print("\n".join(lines) or "nobody")
    print(f"the site's calibration: {calibration_name(site, args.root)}; state of {clock(state.time)}")


def seconds(text: str | None) -> float | None:
    """A time as UTC Unix seconds; None stays."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"time {text!r}: write UTC Unix seconds, or such as 2024-06-07T10:02:11") from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _at(state: State, args: Namespace) -> tuple[Any, list[str]]:
    places = state.at(seconds(args.time))
    return [asdict(place) for place in places], [place_in_words(place) for place in places]


def _where(state: State, args: Namespace) -> tuple[Any, list[str]]:
    place = state.where(_number(args), seconds(args.time))
    return asdict(place), [*place.told, place_in_words(place)]


def _who(state: State, args: Namespace) -> tuple[Any, list[str]]:
    stays = state.who_was_in(_named(args, "zone, stall or level"), seconds(args.start), seconds(args.end))
    return [asdict(stay) for stay in stays], [_stay(stay) for stay in stays]


def _stall(state: State, args: Namespace) -> tuple[Any, list[str]]:
    stall = state.stall(_named(args, "stall"))
    now = f"object {stall.object}" if stall.object else "nobody"
    watched = f"seen by {', '.join(stall.cameras)}" if stall.cameras else "seen by no camera"
    return asdict(stall), [f"{stall.name} on {stall.level}: {now}; {watched}", *(_stay(stay) for stay in stall.history)]


def _occupancy(state: State, args: Namespace) -> tuple[Any, list[str]]:
    found = state.occupancy(seconds(args.time))
    lines = [f"{found.taken} of {found.stalls} stalls taken, {found.unsure} seen by no camera"]
    lines += [f"level {name}: {count} objects" for name, count in found.levels]
    there = (place for place in found.places if place.objects)
    lines += [f"{place.kind} {place.name}: {', '.join(map(str, place.objects))}" for place in there]
    return asdict(found), lines


def _lineage(state: State, args: Namespace) -> tuple[Any, list[str]]:
    graph, events = state.lineage(_number(args)), state.events(_number(args))
    edges = [[one, other, data["event"].kind] for one, other, data in graph.edges(data=True)]
    answer = {"numbers": sorted(graph.nodes), "edges": edges, "events": [plain_event(event) for event in events]}
    return answer, [f"{clock(event.time)}  event {event.id}: {event}" for event in events]


def plain_event(event: Event) -> dict[str, Any]:
    """An event for machines: as JSON, with `told` the same in words."""
    known = {"since": event.since, "until": event.until, "sigma": event.sigma}
    return asdict(event) | {n: v if isfinite(v) else None for n, v in known.items()} | {"told": str(event)}


QUESTIONS: dict[str, Callable[[State, Namespace], tuple[Any, list[str]]]] = {
    "at": _at,
    "where": _where,
    "who": _who,
    "stall": _stall,
    "occupancy": _occupancy,
    "lineage": _lineage,
}


def _named(args: Namespace, what: str) -> str:
    if not args.subject:
        raise InputError(f"{args.question} of what? give the name of a {what}")
    return str(args.subject)


def _number(args: Namespace) -> int:
    try:
        return int(args.subject)
    except ValueError as error:
        raise InputError(f"{args.question} {args.subject!r}: give the number of an object, such as 17") from error


def place_in_words(place: Place) -> str:
    """Where an object is, how sharply, and who says so: one line."""
    x, y = place.xy
    where = f"{place.level} x {x:.2f} y {y:.2f} m, sigma {place.sigma:.2f} m"
    return f"{place.object} {place.label} {place.life}: {where}, {_provenance(place.provenance)}"


def _stay(stay: Stay) -> str:
    began, ended = ("before " if stay.from_before else ""), (" or later" if stay.goes_on else "")
    also = f" (was {', '.join(map(str, stay.also))})" if stay.also else ""
    depth = f"{min(stay.depth, 999.0):.1f} m inside, sigma {stay.sigma:.2f} m"
    span = f"{began}{clock(stay.start)} to {clock(stay.end)}{ended}"
    return f"{stay.object} {stay.label} {stay.life}{also}: {span}, {depth}, {_provenance(stay.provenance)}"


def _provenance(told: Provenance) -> str:
    age = f"seen {told.age:.1f} s before" if told.age >= 0.05 else "in sight"
    seen = f"{age}, by {', '.join(told.cameras) or 'no camera'}"
    return f"{seen}, calibration {told.calibration}, revision {told.revision}"
