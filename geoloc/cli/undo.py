"""`geoloc undo`: takes back that two objects were taken for one, in a state that `geoloc localize --state` keeps."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from geoloc.cli.arguments import add_json, add_mesh, add_site, seen_through_mesh
from geoloc.cli.ask import place_in_words, plain_event
from geoloc.errors import InputError
from geoloc.pipeline.answers import Place
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.queries import clock
from geoloc.pipeline.state_folder import StateFolder
from geoloc.pipeline.stored_state import load_engine
from geoloc.scene.storage import load_site

DESCRIPTION = """\
Two objects that were taken for one are two again, and are not taken for one again.

EVENT `list`: what can be undone. With the number of an EVENT, as `geoloc ask SITE FOLDER lineage NUMBER` tells it,
too: which objects would be where; nothing is changed. With --yes it is done: written to the state's log, so that it
lasts over restarts, and told by the lineage as what the operator said."""
EXAMPLES = """\
examples:
  geoloc undo garage state/garage list
      what can be undone: objects that were recognised, and those that were merged
  geoloc undo garage state/garage 212
      what event 212 was, and where both objects would be without it
  geoloc undo garage state/garage 212 --yes --why "17 is red, 31 is white"
      take it back"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("state", type=Path, metavar="FOLDER", help="folder that localize --state keeps")
    parser.add_argument("event", metavar="EVENT", help="number of an event, or `list`")
    parser.add_argument("--yes", action="store_true", help="do it; default: only show what it would do")
    parser.add_argument("--why", default="", metavar="TEXT", help="what the lineage is to say about the reason")
    add_mesh(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Show, then do."""
    site = seen_through_mesh(load_site(args.site, args.root), args.mesh)
    if args.event == "list":
        _list(load_engine(site, args.state).identities.undoable, args.json)
        return
    if not args.yes:
        _show(load_engine(site, args.state), args)
        return
    # with the cameras, map and options that the state is made with, whatever the site's are by now
    own = StateFolder.find(args.state, site).site
    with JournaledLocalizer.open(own, args.state) as journaled:
        event = journaled.localizer.identities.to_undo(_number(args.event))
        _show(journaled.localizer.copy(), args)
        journaled.undo(event.number, event.others[0], args.why)


def _number(event: str) -> int:
    try:
        return int(event)
    except ValueError as error:
        raise InputError(f"undo {event!r}: give the number of an event, or: list") from error


def _list(events: list[Event], as_json: bool) -> None:
    if as_json:
        print(json.dumps([plain_event(event) for event in events], allow_nan=False))
        return
    print("\n".join(f"{clock(event.time)}  event {event.id}: {event}" for event in events) or "nothing can be undone")


def _show(localizer: Localizer, args: Namespace) -> None:
    """Print what the engine, a copy, says of both objects before and after."""
    event = localizer.identities.to_undo(_number(args.event))
    before = _places(localizer, event)
    undone = localizer.undo(event.number, event.others[0], args.why)
    after = _places(localizer, event)
    if args.json:
        said = {"event": plain_event(event), "undone": plain_event(undone), "done": args.yes}
        both = {"before": [asdict(place) for place in before], "after": [asdict(place) for place in after]}
        print(json.dumps(said | both, allow_nan=False))
        return
    print(f"event {event.id}: {event}")
    print("\n".join(["now:", *(f"  {place_in_words(place)}" for place in before)]))
    print("\n".join(["without it:", *(f"  {place_in_words(place)}" for place in after)]))
    print(f"event {undone.id}: {undone}" if args.yes else "nothing was changed; --yes does it")


def _places(localizer: Localizer, event: Event) -> list[Place]:
    """Where the objects of an event are, each once; of an object that no way is kept of, nothing."""
    found: dict[int, Place] = {}
    for number in (event.number, *event.others):
        try:
            place = localizer.state.where(number)
        except InputError:  # it was over before it was known for sure
            continue
        found.setdefault(place.object, place)
    return list(found.values())
