"""`geoloc serve --store`: where what is told is kept."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from geoloc.errors import InputError
from geoloc.options import load_options
from geoloc.pipeline.state_folder import StateFolder
from geoloc.scene.site import Site
from geoloc.service.store.database import Database
from geoloc.service.store.options import StoreOptions
from geoloc.service.store.postgres import PostgresDatabase
from geoloc.service.store.sqlite import SqliteDatabase
from geoloc.service.store.store import Store
from geoloc.service.store.writer import StoreWriter

FILE = "store.gpkg"  # in a site's state folder


def add_store(parser: ArgumentParser) -> None:
    """--store and --keep."""
    parser.add_argument(
        "--store",
        default="file",
        metavar="WHERE",
        help=f"where positions and events are kept: file ({FILE} in the state's folder), postgresql://... with "
        "PostGIS, or none (default: file)",
    )
    parser.add_argument(
        "--keep", action="append", default=[], metavar="KEY=VALUE", help="how much the store keeps; may be repeated"
    )


def make_store(args: Namespace, site: Site, folder: Path, options: StoreOptions) -> StoreWriter | None:
    """The store of one site that the arguments ask for."""
    options = load_options(options, None, args.keep)
    if args.store == "none":
        return None
    if args.store == "file":

        def database(write: bool) -> Database:
            return SqliteDatabase(folder / FILE, write)
    else:
        if not args.store.startswith(("postgresql://", "postgres://")):
            raise InputError(f"--store {args.store!r}: give file, none, or postgresql://...")
        PostgresDatabase.check(args.store)

        def database(write: bool) -> Database:
            return PostgresDatabase(args.store, site.name, write)

    def opened() -> Store:
        # by now the engine has made the state, or restored it
        return Store.open(database(True), site, StateFolder.find(folder, site).options.window_s)

    return StoreWriter(opened, lambda: Store(database(False), site), site, folder, options)
