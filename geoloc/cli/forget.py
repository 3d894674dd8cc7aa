"""`geoloc forget`: an object erased from a state's folder, and a look whether anything is left."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from geoloc.cli.arguments import add_json, add_site
from geoloc.cli.gallery_filling import gallery_folder
from geoloc.cli.serve_store import FILE, add_store, make_store
from geoloc.errors import InputError
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.state_folder import HEAD
from geoloc.scene.storage import load_site
from geoloc.service.store.forgetting import forget_live
from geoloc.service.store.options import StoreOptions

DESCRIPTION = """\
Forget an object under all the numbers that it had: in the engine and its history, in the log with its boxes (a snapshot
takes its place), in the store, in the gallery and the exports of the state's folder. Then every file there is searched
for the places where it was. The state must not be at work: ask a service that runs with DELETE (docs/store.md)."""
EXAMPLES = """\
examples:
  geoloc forget garage state/garage 17
      nothing is done yet: says what would be
  geoloc forget garage state/garage 17 --yes
      and it is forgotten, which cannot be taken back
  geoloc forget garage state/garage 17 --yes --store postgresql://geoloc@db/geoloc
      of a store in PostgreSQL"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("state", type=Path, metavar="STATE", help="a site's folder of `serve` or `localize --state`")
    parser.add_argument("object", type=int, metavar="OBJECT", help="its number")
    parser.add_argument("--yes", action="store_true", help="do it; it cannot be taken back")
    parser.add_argument("--gallery", type=Path, metavar="FOLDER", help="the site's gallery (default: gallery/SITE)")
    add_store(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Forget, and say what was removed and looked through."""
    site = load_site(args.site, args.root)
    if not (args.state / HEAD).is_file():
        raise InputError(f"{args.state}: holds no state ({HEAD}); give the folder of one site")
    if args.gallery is not None and not args.gallery.is_dir():
        raise InputError(f"{args.gallery}: there is no such gallery")
    if not args.yes:
        print(f"object {args.object} would be forgotten in {args.state}, for good; say so with --yes")
        return
    if args.store == "file" and not (args.state / FILE).exists():
        args.store = "none"
    with JournaledLocalizer.open(site, args.state) as journaled:
        writer = make_store(args, site, args.state, StoreOptions())
        if writer is not None:
            journaled.needed = 0
            writer.start(journaled.number)
        try:
            erased = forget_live(journaled, args.object, writer, gallery_folder(args, site))
        finally:
            if writer is not None:
                writer.stop()
    print(json.dumps(asdict(erased)) if args.json else erased)
