"""`geoloc worker`: one of several processes that share many sites, over NATS JetStream."""

import asyncio
import signal
import tempfile
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from geoloc.cli.arguments import add_changed, add_options
from geoloc.cli.serve import log_as_json
from geoloc.errors import InputError
from geoloc.options import load_options
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site
from geoloc.service.serve.bridges.options import NatsOptions, read_bridges
from geoloc.service.serve.options import ServeOptions
from geoloc.service.workers.options import WorkerOptions

DESCRIPTION = """\
Work on sites together with other workers, over NATS JetStream. Start as many as there are cores, on as many machines,
all with the same sites: each takes its share. Boxes come in as for `geoloc serve --nats`; whole tracks, positions and
events go out. Snapshots and log are in JetStream: workers share no disk. One that dies is replaced, and nothing is lost
or told twice. docs/scaling.md says how, and how it grows."""
EXAMPLES = """\
examples:
  geoloc worker --nats nats://localhost
      every site below ./sitemaps; start it again in another terminal: the sites are shared
  geoloc worker garage harbour --root sites --bridges nats.toml --work lease_s=5 --work snapshot_s=60
      two sites, a server with a login, a quicker take-over and fewer snapshots
  geoloc worker --nats nats://localhost --limit max_waiting=200000 --scratch /var/tmp
      more boxes may wait for an engine; what it needs on disk while it runs goes elsewhere"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("sites", nargs="*", metavar="SITE", help="names of sites below --root (default: all of them)")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="folder with sitemaps/ and calibration/ (default: here)"
    )
    parser.add_argument("--nats", metavar="URL", help="NATS server, such as nats://localhost; needs the extra 'nats'")
    parser.add_argument(
        "--bridges", type=Path, metavar="FILE.toml", help="the same with its login, table [nats]; see docs/serve.md"
    )
    parser.add_argument("--name", default="", help="that the register shows, with some letters (default: the host's)")
    parser.add_argument(
        "--scratch", type=Path, metavar="FOLDER", help="for files while it runs; nothing in it is needed afterwards"
    )
    parser.add_argument(
        "--work", action="append", default=[], metavar="KEY=VALUE", help="of leases and snapshots; may be repeated"
    )
    parser.add_argument(
        "--limit", action="append", default=[], metavar="KEY=VALUE", help="of sizes and rates; may be repeated"
    )
    add_changed(parser)
    add_options(parser)


def run(args: Namespace) -> None:
    """Work until SIGINT or SIGTERM, then hand the sites over."""
    log_as_json()
    sites, nats = _sites(args), _nats(args)
    with tempfile.TemporaryDirectory(prefix="geoloc-worker-", dir=args.scratch) as scratch:
        asyncio.run(_work(args, sites, nats, Path(scratch)))


async def _work(args: Namespace, sites: dict[str, Site], nats: NatsOptions, scratch: Path) -> None:
    from geoloc.service.workers.region_file import read_regions, region_path
    from geoloc.service.workers.worker import Worker

    engine = load_options(LocalizerOptions(), args.options, args.set) if args.options or args.set else None
    options, limits = load_options(WorkerOptions(), None, args.work), load_options(ServeOptions(), None, args.limit)
    paths = {name: region_path(args.root, name) for name in sites}
    regions = {name: read_regions(path, sites[name]) for name, path in paths.items() if path.exists()}
    worker = Worker(sites, nats, scratch, options, limits, engine, tuple(args.changed), args.name, regions)
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    running, ended = asyncio.create_task(worker.run()), asyncio.create_task(ending.wait())
    await asyncio.wait((running, ended), return_when=asyncio.FIRST_COMPLETED)
    if ending.is_set() and not running.done():
        await worker.stop()
        running.cancel()
    ended.cancel()
    await asyncio.gather(ended, return_exceptions=True)
    try:
        await running
    except asyncio.CancelledError:
        return


def _sites(args: Namespace) -> dict[str, Site]:
    names = args.sites or sorted(path.stem for path in (args.root / "sitemaps").glob("*.geojson"))
    if not names:
        raise InputError(f"{args.root}: holds no sitemaps/NAME.geojson; give --root, the folder of the sites")
    sites = [load_site(name, args.root) for name in names]
    found = {site.name: site for site in sites}
    if len(found) < len(sites):
        raise InputError("a site is named twice; give each once")
    return found


def _nats(args: Namespace) -> NatsOptions:
    found = read_bridges(args.bridges).nats if args.bridges is not None else NatsOptions()
    found = replace(found, url=args.nats) if args.nats else found
    if not found.url:
        raise InputError("which NATS server? give --nats URL, or --bridges FILE.toml with a table [nats]")
    return found
