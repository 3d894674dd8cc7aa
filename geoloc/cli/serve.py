"""`geoloc serve`: the engine live, over HTTP and WebSocket."""

import asyncio
import json
import logging
import signal
import ssl
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoloc.cli.arguments import add_changed, add_options
from geoloc.cli.landmarks import landmarks_path
from geoloc.cli.serve_store import add_store, make_store
from geoloc.errors import InputError
from geoloc.options import load_options
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site, site_root
from geoloc.service.serve import edge
from geoloc.service.serve.bridges.options import BridgeOptions, read_bridges
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.tokens import Tokens, one_for_all, read_tokens
from geoloc.service.store.options import StoreOptions

if TYPE_CHECKING:
    from aiohttp import web

    from geoloc.service.serve.service import LiveService

DESCRIPTION = """\
Run the engine live: detections come in over HTTP, WebSocket, MQTT or NATS and are acknowledged when they are in the log
for good; positions, events and answers go out the same ways, events to webhooks, too, and a map page shows the site
now. Killed at any moment it goes on where it was. What it tells is kept in a store, a GeoPackage file unless told
otherwise. docs/serve.md, docs/store.md, docs/edge.md, /openapi.json and /asyncapi.json say what is sent, answered and
kept."""
EXAMPLES = """\
examples:
  geoloc serve --demo
      a live garage in the browser: open the address that is printed
  geoloc serve garage --state state
      for this machine alone, with a token of its own that is printed with the page's address
  geoloc serve garage harbour --state state --host 0.0.0.0 --token-file tokens.json --tls-cert c.pem --tls-key k.pem
      for others: whoever has a token of the file, with its scopes, at its sites
  geoloc serve garage --state state --store postgresql://geoloc@db/geoloc --keep thin_after_s=600
      what is told is kept in PostgreSQL with PostGIS, old ways as keys
  geoloc serve garage --state state --edge
      on a small machine: one core, less memory and disk
  geoloc serve garage --state state --mqtt mqtt://localhost --nats nats://localhost
      with two brokers; --bridges FILE.toml for logins, TLS and webhooks
  geoloc replay boxes.csv http://localhost:8000 --site garage --token-file my.token --speed 4
      and a recording sent to it, four times as fast as it was"""
LOCAL = "localhost"
REQUESTS = "geoloc.service.serve.admission"  # logger of requests


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("sites", nargs="*", metavar="SITE", help="names of sites below --root, or paths to their maps")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="folder with sitemaps/ and calibration/ (default: here)"
    )
    parser.add_argument("--demo", action="store_true", help="a synthetic garage whose cars drive now")
    parser.add_argument("--state", type=Path, metavar="FOLDER", help="keep each site's state in FOLDER/NAME")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, help="0: a free one (default: 8000)")
    parser.add_argument("--token-file", type=Path, metavar="FILE.json", help="who may do what; see docs/serve.md")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE.pem", help="certificate chain: serve over TLS")
    parser.add_argument("--tls-key", type=Path, metavar="FILE.pem", help="its key")
    parser.add_argument("--mqtt", metavar="URL", help="MQTT broker, such as mqtt://localhost; needs the extra 'mqtt'")
    parser.add_argument("--nats", metavar="URL", help="NATS server, such as nats://localhost; needs the extra 'nats'")
    parser.add_argument(
        "--bridges", type=Path, metavar="FILE.toml", help="brokers and webhooks, with their logins; see docs/serve.md"
    )
    parser.add_argument(
        "--limit", action="append", default=[], metavar="KEY=VALUE", help="of sizes and rates; may be repeated"
    )
    add_store(parser)
    parser.add_argument("--edge", action="store_true", help="one core, little memory and disk; see docs/edge.md")
    add_changed(parser)
    add_options(parser)


def run(args: Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    log_as_json()
    if args.edge:  # ten lines a second would fill a small disk
        logging.getLogger(REQUESTS).setLevel(logging.WARNING)
    with _folder(args) as folder:
        service, secret = make_service(args, folder)
        asyncio.run(serve(args, service, secret))


def make_service(args: Namespace, folder: Path) -> "tuple[LiveService, str]":
    """The service that the arguments ask for, and its token where it made one."""
    from geoloc.service.serve.bridges.build import build_bridges
    from geoloc.service.serve.engine import JOURNAL
    from geoloc.service.serve.service import LiveService, ServedSite

    if not args.demo and not args.sites:
        raise InputError("serve which site? give its name, or --demo")
    if not 0 <= args.port <= 65535:
        raise InputError(f"--port {args.port}: it must be within 0 and 65535")
    sites = [_demo_site()] if args.demo else [load_site(name, args.root) for name in args.sites]
    names = [site.name for site in sites]
    for name in names:
        if names.count(name) > 1 or Path(name).name != name or name in (".", ".."):
            raise InputError(f"site {name!r}: its name must be one of its own, and that of a folder")
    tokens, secret = _tokens(args, names)
    limits = load_options(edge.LIMITS if args.edge else ServeOptions(), None, args.limit)
    given = load_options(LocalizerOptions(), args.options, args.set) if args.options or args.set else None
    keep, journal = (edge.STORE, edge.JOURNAL) if args.edge else (StoreOptions(), JOURNAL)
    served = {}
    roots = [folder] if args.demo else [site_root(name, args.root) for name in args.sites]
    for site, root in zip(sites, roots, strict=True):
        path = folder / site.name
        store = make_store(args, site, path, keep)
        one = ServedSite(site, path, given, limits, args.changed, store, journal)
        one.landmarks, one.gallery = landmarks_path(site.name, root), root / "gallery" / site.name
        served[site.name] = one
    return LiveService(served, tokens, limits, build_bridges(_bridges(args), served, limits)), secret


def _bridges(args: Namespace) -> BridgeOptions:
    """Brokers and webhooks of the file; addresses that are given take the place of its own."""
    found = read_bridges(args.bridges) if args.bridges is not None else BridgeOptions()
    mqtt = replace(found.mqtt, url=args.mqtt) if args.mqtt else found.mqtt
    return replace(found, mqtt=mqtt, nats=replace(found.nats, url=args.nats) if args.nats else found.nats)


async def serve(args: Namespace, service: "LiveService", secret: str) -> None:
    """Serve until a signal comes, then take in what waits and write snapshots."""
    from aiohttp import web

    from geoloc.service.serve.app import make_app, make_runner

    if args.edge:
        asyncio.get_running_loop().set_default_executor(edge.make_executor())
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    runner = make_runner(make_app(service))
    await runner.setup()
    feeding: asyncio.Task[None] | None = None
    try:
        socket = web.TCPSite(runner, args.host, args.port, ssl_context=_tls(args))
        try:
            await socket.start()
        except OSError as error:
            raise InputError(f"{args.host} port {args.port}: cannot be used ({error.strerror})") from error
        print(_address(runner, args, secret), flush=True)
        if args.demo:
            feeding = asyncio.create_task(_feed(service))
        await _until_ready(service, ending)
        await ending.wait()
    finally:
        if feeding is not None:
            feeding.cancel()
        await runner.cleanup()


async def _until_ready(service: "LiveService", ending: asyncio.Event) -> None:
    """Wait until every state is restored; InputError where one cannot be. Later failures are told by /healthz."""
    while not ending.is_set() and not all(site.engine.ready.is_set() for site in service.sites.values()):
        if service.failures:
            raise InputError("; ".join(service.failures.values()))
        await asyncio.sleep(0.05)


def _address(runner: "web.AppRunner", args: Namespace, secret: str) -> str:
    """Where the page is; a token that was made for this run stands behind the #, which browsers send nowhere."""
    host, port = runner.addresses[0][:2]
    scheme = "https" if args.tls_cert else "http"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}/" + (f"#token={secret}" if secret else "")


def _tokens(args: Namespace, sites: Collection[str]) -> tuple[Tokens, str]:
    if args.token_file is not None:
        return read_tokens(args.token_file, sites), ""
    try:
        local = args.host == LOCAL or ip_address(args.host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise InputError(f"--host {args.host}: others can come in; say who may with --token-file")
    return one_for_all()


def _tls(args: Namespace) -> ssl.SSLContext | None:
    if args.tls_cert is None and args.tls_key is None:
        return None
    if args.tls_cert is None or args.tls_key is None:
        raise InputError("--tls-cert and --tls-key belong together; give both")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(args.tls_cert, args.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{args.tls_cert}: no certificate with this key ({error})") from error
    return context


@contextmanager
def _folder(args: Namespace) -> Iterator[Path]:
    """Where the state is kept; a demo's is gone with it."""
    if args.state is not None:
        yield args.state
        return
    if not args.demo:
        raise InputError("give --state FOLDER: what is acknowledged is kept there")
    with tempfile.TemporaryDirectory(prefix="geoloc-demo-") as folder:
        yield Path(folder)


def _demo_site() -> Site:
    from geoloc.service.serve.demo import demo_site

    return demo_site()


async def _feed(service: "LiveService") -> None:
    from geoloc.service.serve.demo import feed

    await feed(next(iter(service.sites.values())).engine)


# ---- logs


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "said", {}),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def log_as_json(make: Callable[[], logging.Handler] = lambda: logging.StreamHandler(sys.stderr)) -> None:
    """All that geoloc logs, as JSON lines on stderr."""
    handler = make()
    handler.setFormatter(JsonLines())
    top = logging.getLogger("geoloc")
    top.handlers, top.propagate = [handler], False
    top.setLevel(logging.INFO)
