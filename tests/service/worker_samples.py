"""Workers in processes of their own over a real server, and what they told."""

import asyncio
import ctypes
import gzip
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from broker_samples import Broker
from serve_samples import plaza, plaza_boxes

from geoloc.cli.main import main
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.packets import PacketLocalizer
from geoloc.scene.site import Site
from geoloc.scene.storage import save_site
from geoloc.scene.tables import Detections
from geoloc.service.serve.bridges.options import NatsOptions
from geoloc.service.serve.bridges.senders import NatsSender
from geoloc.service.serve.said import as_text, tracks_data
from geoloc.service.serve.sender import batches_of
from geoloc.service.workers.register import Claim, Register

LEASE_S = 2.0
SITES = ("east", "north", "west")


@cache
def batches() -> list[Detections]:
    """A few seconds of the plaza."""
    return [batch for _, batch in batches_of(plaza_boxes(4.0), 0.2)]


@cache
def expected() -> list[bytes]:
    """All that an engine tells of them which nothing befalls; its kernels are loaded before any fork."""
    straight, told = PacketLocalizer(Localizer(plaza())), []
    for batch in batches():
        told += straight.push(batch)
    told += straight.finish()
    return [as_text(tracks_data(answer.tracks, answer.window, answer.revised)).encode() for answer in told]


def named(site: str) -> Site:
    """The plaza under another name."""
    return replace(plaza(), name=site)


def make_root(folder: Path, sites: tuple[str, ...] = SITES) -> Path:
    for site in sites:
        save_site(named(site), folder)
    return folder


def _die_with_parent() -> None:
    """So that nothing is left behind where the tests themselves are killed; on Linux."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class WorkerProcess:
    """`geoloc worker` in a forked process."""

    def __init__(self, root: Path, broker: Broker, name: str) -> None:
        expected()
        words = ["worker", "--root", str(root), "--nats", broker.url, "--name", name]
        words += ["--work", f"lease_s={LEASE_S}", "--work", "snapshot_s=0.3"]
        self.name, self.pid = name, os.fork()
        if not self.pid:
            _die_with_parent()
            try:
                with open(root / f"{name}.log", "a") as log:
                    os.dup2(log.fileno(), 2)
                os._exit(main(words))
            finally:
                os._exit(1)

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def end(self) -> int:
        """As an operator ends it; its exit status."""
        self.signal(signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


def ask(broker: Broker, question: Callable) -> object:
    """The answer of `question`, an async function of a connection's JetStream."""
    import nats

    async def asked() -> object:
        client = await nats.connect(broker.url)
        try:
            return await question(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(asked())


def owners(broker: Broker) -> dict[str, str]:
    """Who has which site, by the names that the workers were given; those that are alive."""

    async def found(js) -> dict[str, str]:
        register = await Register.open(js, "geoloc", LEASE_S)
        alive = await register.workers()
        claims = await register.claims(dict.fromkeys(SITES))
        return {site: one.worker.rpartition("-")[0] for site, one in claims.items() if one.worker in alive}

    return ask(broker, found)


def alive(broker: Broker) -> set[str]:
    async def found(js) -> set[str]:
        return {one.rpartition("-")[0] for one in await (await Register.open(js, "geoloc", LEASE_S)).workers()}

    return ask(broker, found)


def claims(broker: Broker) -> dict[str, Claim]:
    async def found(js) -> dict[str, Claim]:
        return await (await Register.open(js, "geoloc", LEASE_S)).claims(dict.fromkeys(SITES))

    return ask(broker, found)


def told(broker: Broker, site: str) -> list[tuple[dict[str, str], bytes]]:
    """Headers and bytes of all whole tracks that a site's stream has."""

    async def found(js) -> list[tuple[dict[str, str], bytes]]:
        from nats.js.errors import NotFoundError

        with suppress(NotFoundError):
            last = (await js.stream_info(f"GEOLOC-{site.upper()}-TRACKS")).state.last_seq
            read = [await js.get_msg(f"GEOLOC-{site.upper()}-TRACKS", seq) for seq in range(1, last + 1)]
            return [(one.headers, gzip.decompress(one.data)) for one in read]
        return []

    return ask(broker, found)


def send(broker: Broker, some: list[Detections], sites: tuple[str, ...] = SITES, end: bool = False) -> None:
    """To every site, in turn."""
    senders = [NatsSender(NatsOptions(url=broker.url), site, 120.0) for site in sites]
    for batch in some:
        for sender in senders:
            sender.send(batch)
    for sender in senders:
        if end:
            sender.finish()
        sender.__exit__(None, None, None)


