"""A live service in a thread of its own, over a few seconds of the plaza."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from geoloc.io.detections import read_detections
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Detections
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.tokens import Token, Tokens, digest_of

pytest.importorskip("aiohttp", reason="no aiohttp; pip install 'geoloc[serve]'")
pytest.importorskip("prometheus_client", reason="no prometheus-client; pip install 'geoloc[serve]'")

from aiohttp import web

from geoloc.service.serve.app import make_app, make_runner
from geoloc.service.serve.service import LiveService, ServedSite
from geoloc.service.store.writer import StoreWriter

ROOT = Path(__file__).resolve().parents[2]
ALL, WRITER, READER, ELSEWHERE = "all-of-it-012345", "only-write-01234", "only-read-012345", "not-here-0123456"
COMPILES_S = 500.0  # on a machine that never ran the engine the kernels are compiled first


def plaza() -> Site:
    return load_site("plaza", ROOT / "fixtures" / "plaza")


def plaza_boxes(seconds: float) -> Detections:
    table = read_detections(ROOT / "fixtures" / "plaza" / "detections.csv.gz").detections
    return table.take(np.flatnonzero(table.time < table.time.min() + seconds))


def tokens() -> Tokens:
    def one(secret: str, scopes: tuple[str, ...], site: str = "plaza") -> Token:
        return Token(secret[:9], digest_of(secret), frozenset(scopes), frozenset({site}))

    every = ("write", "read", "metrics", "erase", "relocalize", "search")
    some = [one(WRITER, ("write",)), one(READER, ("read",)), one(ELSEWHERE, every, "garage")]
    return Tokens([one(ALL, every, "*"), *some])


def make_service(
    folder: Path, options: ServeOptions | None = None, store: StoreWriter | None = None
) -> LiveService:
    options = options or ServeOptions()
    return LiveService({"plaza": ServedSite(plaza(), folder, None, options, store=store)}, tokens(), options)


class Running:
    """A service that answers on `port`."""

    def __init__(self, service: LiveService, port: int) -> None:
        self.service, self.port = service, port
        self.engine = service.sites["plaza"].engine

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, token: str = ALL, method: str = "GET", body: bytes = b"", **headers: str
    ) -> tuple[int, bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            line.request(method, path, body, {**given, **{k.replace("_", "-"): v for k, v in headers.items()}})
            response = line.getresponse()
            return response.status, response.read()
        finally:
            line.close()

    def data(self, path: str, **how: str) -> dict:
        status, body = self.ask(path, **how)
        assert status == 200, body
        return json.loads(body)

    def send(self, body: bytes, token: str = ALL, **headers: str) -> tuple[int, bytes]:
        headers = {"Content_Type": "application/x-ndjson", **headers}
        return self.ask("/v1/sites/plaza/detections", token, "POST", body, **headers)


async def serve_until(service: LiveService, port: int, started, ended: asyncio.Event) -> None:
    runner = make_runner(make_app(service))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    started(runner.addresses[0][1])
    await ended.wait()
    await runner.cleanup()


@contextmanager
def running(
    folder: Path, options: ServeOptions | None = None, store: StoreWriter | None = None,
    service: LiveService | None = None,
) -> Iterator[Running]:  # fmt: skip
    service, told, ports = service or make_service(folder, options, store), threading.Event(), []
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    started = lambda port: (ports.append(port), told.set())  # noqa: E731
    thread = threading.Thread(target=loop.run_until_complete, args=(serve_until(service, 0, started, ended),))
    thread.start()
    try:
        assert told.wait(60)
        assert service.sites["plaza"].engine.ready.wait(COMPILES_S), service.failures
        yield Running(service, ports[0])
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(what, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)
