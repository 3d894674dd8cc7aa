"""Replays real recordings through real brokers into a real database, and holds the tracks against the batch run's bits.

    python tools/brokers.py --data ../shared/data                # WILDTRACK, CityFlow, all MEVA slots; each broker
    python tools/brokers.py wildtrack --broker nats-server --kill  # which is killed and started again in the middle

Needs mosquitto, nats-server and postgresql-15-postgis-3 (Debian packages) and the extras 'mqtt', 'nats' and 'postgres'.
Both are compared: what the service told, and what PostgreSQL holds in the end. Prints a line of JSON each. Exit status:
0, 1 if any track was another one.
"""

import argparse
import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import numpy as np
from servers import Postgres, postgres_programs, running_postgres

from geoloc.errors import InputError
from geoloc.io.cityflow import read_cityflow
from geoloc.io.meva import meva_slots, read_meva
from geoloc.io.store_rows import COLUMNS, tracks_of_rows
from geoloc.io.wildtrack import read_wildtrack
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, replay
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Tracks
from geoloc.service.serve.app import make_app, make_runner
from geoloc.service.serve.bridges.build import build_bridges
from geoloc.service.serve.bridges.options import BridgeOptions, MqttOptions, NatsOptions
from geoloc.service.serve.bridges.senders import BrokerSender, MqttSender, NatsSender
from geoloc.service.serve.hub import ALL
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.said import tracks_of
from geoloc.service.serve.sender import batches_of
from geoloc.service.serve.service import LiveService, ServedSite
from geoloc.service.serve.tokens import one_for_all
from geoloc.service.store.options import StoreOptions
from geoloc.service.store.postgres import PostgresDatabase
from geoloc.service.store.queries import Wanted, find
from geoloc.service.store.store import Store
from geoloc.service.store.writer import StoreWriter

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
BROKERS = ("mosquitto", "nats-server")
BATCH_S = 0.2
QUIET_S = 5.0  # nothing for so long after the end: all has been told
READY_S = 600.0
STORED = (
    *("time", "track", "object", "level", "xy", "velocity", "cov", "bias_cov", "label", "score", "state", "life"),
    *("level_probability", "revision"),
)
WHOLE = StoreOptions(thin_after_s=0.0)  # all of it is held, however old

RECORDINGS = ("wildtrack", "cityflow", "meva")


class Broker:
    """A server's process with its files in a folder."""

    def __init__(self, program: str, folder: Path) -> None:
        found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
        if found is None:
            raise InputError(f"no {program}; install the Debian package {program}")
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = int(one.getsockname()[1])
        self.is_mqtt = program == "mosquitto"
        self.url = f"{'mqtt' if self.is_mqtt else 'nats'}://127.0.0.1:{self.port}"
        self._command = [found, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(folder)]
        if self.is_mqtt:
            settings = folder / "mosquitto.conf"
            own = f"user {os.environ.get('USER', 'root')}\n" if os.getuid() == 0 else ""
            settings.write_text(
                f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\nmax_queued_messages 0\n"
                f"persistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\n{own}"
            )
            self._command = [found, "-c", str(settings)]
        self.start()

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.05)

    def kill(self) -> None:
        """As by kill -9."""
        self._process.kill()
        self._process.wait()


class Live:
    """A service in a thread with its store, and all tracks that it tells, the last of each window."""

    def __init__(self, site: Site, folder: Path, broker: Broker, database: Postgres) -> None:
        options = ServeOptions(behind=1_000_000)
        to = {"mqtt": MqttOptions(url=broker.url)} if broker.is_mqtt else {"nats": NatsOptions(url=broker.url)}
        self.store = StoreWriter(
            lambda: Store.open(PostgresDatabase(database.url, site.name), site, LocalizerOptions().window_s),
            lambda: Store(PostgresDatabase(database.url, site.name, write=False), site), site, folder, WHOLE,
        )  # fmt: skip
        self.site = ServedSite(site, folder, None, options, store=self.store)
        sites = {site.name: self.site}
        bridges = build_bridges(BridgeOptions(**to), sites, options)
        self.service = LiveService(sites, one_for_all()[0], options, bridges)
        self.windows: dict[int, list[Tracks]] = {}
        self.heard = time.monotonic()
        self._loop, self._end = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        if not self.site.engine.ready.wait(READY_S):
            raise InputError(self.site.engine.failure or "the engine did not start")

    async def _serve(self) -> None:
        runner = make_runner(make_app(self.service))
        await runner.setup()
        hearing = asyncio.create_task(self.site.hub.join(ALL).deliver(self._hear))
        await self._end.wait()
        hearing.cancel()
        await runner.cleanup()

    async def _hear(self, text: str) -> None:
        said = json.loads(text)
        if said["type"] == "tracks":
            self.windows[said["window"]] = [tracks_of(step) for step in said["steps"]]
            self.heard = time.monotonic()

    def close(self) -> None:
        """End."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    @property
    def taken(self) -> int:
        """Messages that are on the engine's disk."""
        return self.service.bridges[0].counts["taken"]

    @property
    def tracks(self) -> Tracks:
        """All that was said last."""
        return Tracks.concat([step for number in sorted(self.windows) for step in self.windows[number]])


def parts_of(name: str, folder: Path) -> dict[str, Callable[[], tuple[Site, Detections]]]:
    """What reads each part of a recording, by its name."""
    if name == "wildtrack":
        return {name: lambda: read_wildtrack(folder)}
    if name == "cityflow":
        return {name: lambda: read_cityflow(folder)}
    return {f"{name} {slot}": partial(read_meva, folder, slot) for slot in meva_slots(folder)}


@lru_cache(maxsize=1)
def batch_run(read: Callable[[], tuple[Site, Detections]], seconds: float) -> tuple[Site, Detections, Tracks]:
    """A part of a recording, and its tracks as they should be."""
    site, boxes = read()
    boxes = boxes.take(boxes.time < np.nanmin(boxes.time) + seconds)
    return site, boxes, Tracks.concat(list(replay(Localizer(site), boxes)))


def run(
    name: str, read: Callable[[], tuple[Site, Detections]], program: str, kill: bool, seconds: float = np.inf
) -> dict[str, object]:
    """One part of a recording through one broker."""
    site, boxes, expected = batch_run(read, seconds)
    batches = [batch for _, batch in batches_of(boxes, BATCH_S)]
    programs = postgres_programs()
    if programs is None:
        raise InputError("no PostgreSQL with PostGIS; install the Debian package postgresql-15-postgis-3")
    with tempfile.TemporaryDirectory(prefix="geoloc-brokers-") as place, ExitStack() as stack:
        (Path(place) / "broker").mkdir()
        broker = Broker(program, Path(place) / "broker")
        stack.callback(broker.kill)
        database = stack.enter_context(running_postgres(programs))
        live = Live(site, Path(place) / "state", broker, database)
        stack.callback(live.close)
        start = time.monotonic()
        with _sender(broker, site.name) as sender:
            for k, batch in enumerate(batches):
                if kill and k == len(batches) // 2:
                    broker.kill()
                    broker.start()
                sender.send(batch)
            sender.finish()
            sent_s, sent = time.monotonic() - start, sender.sent
        while live.taken <= len(batches) or time.monotonic() - live.heard < QUIET_S:
            time.sleep(0.1)
        told_s, found = live.heard - start, live.tracks
        while live.store.behind and live.store.state != "failed":
            time.sleep(0.1)
        stored_s, stored = time.monotonic() - start - QUIET_S, held_in(database, site)
    settled = expected.take(expected.state != "tentative")
    middle, late = (1000 * np.quantile(sent.took_s, [0.5, 0.99])).round(1).tolist()
    return {
        "recording": name, "broker": program, "killed": kill, "boxes": sent.rows, "batches": sent.batches,
        "again": sent.again, "sent_s": round(sent_s, 1), "told_s": round(told_s, 1), "ack_p50_ms": middle,
        "ack_p99_ms": late, "positions": len(found), "of": len(expected), "same_bits": same_bits(found, expected),
        "stored_s": round(stored_s, 1), "stored": len(stored), "stored_of": len(settled),
        "stored_same_bits": same_bits(ordered(stored), ordered(settled), STORED),
    }  # fmt: skip


def _sender(broker: Broker, site: str) -> BrokerSender:
    if broker.is_mqtt:
        return MqttSender(MqttOptions(url=broker.url), site, READY_S)
    return NatsSender(NatsOptions(url=broker.url), site, READY_S)


def held_in(database: Postgres, site: Site) -> Tracks:
    """All that the store holds."""
    store = Store(PostgresDatabase(database.url, site.name, write=False), site)
    rows = [row[: len(COLUMNS)] for part in find(store, Wanted()) for row in part]
    store.database.close()
    return tracks_of_rows(rows)


def ordered(tracks: Tracks) -> Tracks:
    """By object, then by time."""
    return tracks.take(np.lexsort((tracks.time, tracks.track)))


def same_bits(a: Tracks, b: Tracks, names: Sequence[str] = tuple(Tracks.columns)) -> bool:
    """Whether the columns `names` of two tables are the same to the last bit."""
    pairs = [(np.asarray(getattr(a, name)), np.asarray(getattr(b, name))) for name in names]
    return len(a) == len(b) and all(x.astype(y.dtype).tobytes() == y.tobytes() for x, y in pairs)


def main() -> int:
    """Run what is asked for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ", ".join(RECORDINGS)
    parser.add_argument("names", nargs="*", default=RECORDINGS, metavar="NAME", help=f"of {known}; default: all")
    data = Path(os.environ.get("GEOLOC_DATA", DEFAULT_DATA))
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="folder of the recordings")
    parser.add_argument("--broker", choices=BROKERS, action="append", help="default: both")
    parser.add_argument("--kill", action="store_true", help="kill the broker in the middle, and start it again")
    parser.add_argument("--seconds", type=float, default=np.inf, metavar="S", help="of each recording (default: all)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    good = True
    unknown = [name for name in args.names if name not in RECORDINGS]
    if unknown:
        parser.error(f"unknown recording {unknown[0]!r}; known: {known}")
    parts = [part for name in args.names for part in parts_of(name, args.data / name).items()]
    for (name, read), program in product(parts, args.broker or BROKERS):
        found = run(name, read, program, args.kill, args.seconds)
        print(json.dumps(found), flush=True)
        good &= bool(found["same_bits"] and found["stored_same_bits"])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
