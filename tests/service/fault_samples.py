"""A service, two brokers and a database, each a process that can be killed, and a line that can be cut."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
from broker_samples import Broker, Child
from serve_samples import plaza, tokens, wait_for
from store_samples import Postgres, open_postgres, postgres_server
from test_serve_brokers import engine_bytes

from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.journal_options import JournalOptions
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.packets import PacketLocalizer
from geoloc.scene.tables import Detections
from geoloc.service.serve.bridges.build import build_bridges
from geoloc.service.serve.bridges.options import BridgeOptions, MqttOptions, NatsOptions
from geoloc.service.serve.heard import detections_of, lines_of
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.service import LiveService, ServedSite
from geoloc.service.store.options import StoreOptions
from geoloc.service.store.writer import StoreWriter

ENGINE, MQTT, NATS, DATABASE = PARTS = ("engine", "mosquitto", "nats-server", "postgres")
PATIENT = ServeOptions(silent_s=1e6)  # on a slow machine no camera is told to be silent
OFTEN = JournalOptions(sync_s=1e9, snapshot_s=1.0, keep_log_s=0.0)  # a snapshot in every few batches
QUICK = StoreOptions(flush_s=0.0, thin_after_s=0.0, tidy_s=0.05, keep_free=0)


class Chain:
    """Everything that a position passes: brokers, a service with its engine, a database."""

    def __init__(self, folder: Path, brokers: dict[str, Broker], database: Postgres) -> None:
        self.brokers, self.database, self.state = brokers, database, folder / "state"
        self.peak = 0.0  # MB that a service held at most
        self.child = Child(self.service)

    def service(self) -> LiveService:
        """With what is to be killed behind it."""
        to = BridgeOptions(
            mqtt=MqttOptions(url=self.brokers[MQTT].url), nats=NatsOptions(url=self.brokers[NATS].url, ack_s=2.0)
        )
        opened = lambda: open_postgres(self.database.url, plaza())  # noqa: E731
        writer = StoreWriter(opened, opened, plaza(), self.state, QUICK)
        sites = {"plaza": ServedSite(plaza(), self.state, None, PATIENT, store=writer, journal=OFTEN)}
        return LiveService(sites, tokens(), PATIENT, build_bridges(to, sites, PATIENT))

    def kill(self, part: str) -> None:
        """As by kill -9."""
        if part == ENGINE:
            self.note_memory()
            self.child.kill()
        elif part == DATABASE:
            kill_postgres(self.database)
        else:
            self.brokers[part].kill()

    def start(self, part: str) -> None:
        """Again, with what it left on its disk."""
        if part == ENGINE:
            self.child.start()
        elif part == DATABASE:
            self.database.start()
        else:
            self.brokers[part].start()

    def note_memory(self) -> None:
        """The most that the service held so far."""
        self.peak = max(self.peak, held_mb(self.child.pid, "VmHWM"))


@contextmanager
def chain(folder: Path) -> Iterator[Chain]:
    with ExitStack() as stack:
        brokers = {name: stack.enter_context(Broker(name, folder / name)) for name in (MQTT, NATS)}
        made = Chain(folder, brokers, stack.enter_context(postgres_server()))
        stack.callback(made.child.kill)
        yield made


def kill_postgres(server: Postgres) -> None:
    """The server and all its processes, which would hold its memory and its port."""
    pid, children = int((server.folder / "data" / "postmaster.pid").read_text().split()[0]), list[int]()
    with suppress(OSError):
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    for one in (pid, *children):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    wait_for(lambda: not any(is_alive(one) for one in (pid, *children)))
    # where nobody buries the dead, their numbers are taken for a server that runs
    for left in (server.folder / "data" / "postmaster.pid", server.folder / f".s.PGSQL.{server.port}.lock"):
        left.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether a process works still; one that has ended and waits for its parent does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    return False


def held_mb(pid: int, what: str = "VmRSS") -> float:
    """Memory (MB) of a process: now, or at most (VmHWM)."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(what)).split()[1]) * 1.024e-3
    return 0.0


def some_parts(rng: np.random.Generator, k: int) -> list[str]:
    """What is killed as the k-th: each in its turn, then some together."""
    if k < len(PARTS):
        return [PARTS[k]]
    return list(rng.permutation(PARTS)[: rng.integers(1, len(PARTS) + 1)])


def straight(batches: list[Detections]) -> PacketLocalizer:
    """An engine that nobody disturbed, given the batches as they come over the wire."""
    live = PacketLocalizer(Localizer(plaza()))
    for batch in batches:
        live.push(detections_of(lines_of(batch), plaza()))
    live.finish()
    return live


def restored(folder: Path) -> tuple[int, bytes]:
    """The engine of a folder, as a restart would have it: the number of its last record, and all that it knows."""
    with JournaledLocalizer.open(plaza(), folder) as journaled:
        journaled.finish()
        return journaled.number, engine_bytes(journaled.localizer)


class Line:
    """A line to a server that can be cut: nothing passes any more, in neither direction, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._to, self._ends = port, list[socket.socket]()
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._spawn(self._accept)

    def cut(self) -> None:
        """From now on nothing passes; what is under way is held."""
        self._open.clear()

    def mend(self, lost: bool) -> None:
        """It passes again; `lost`: connections of before are reset first, as by a router that forgot them."""
        if lost:
            self._reset()
        self._open.set()

    def close(self) -> None:
        """End all threads."""
        self._listener.close()
        self._reset()
        self._open.set()

    def _reset(self) -> None:
        ends, self._ends = self._ends, []
        for one in ends:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            self._ends += [near, far]
            self._spawn(self._pass_on, near, far)
            self._spawn(self._pass_on, far, near)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _spawn(self, work, *given: object) -> None:
        threading.Thread(target=work, args=given, daemon=True).start()


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    line = Line(port)
    try:
        yield line
    finally:
        line.close()


def mounted(folder: Path, size: str) -> bool:
    """Whether a small disk could be mounted there; it takes root."""
    folder.mkdir()
    with suppress(OSError):
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        return not subprocess.run(words, capture_output=True).returncode
    return False


def told(hazard: str, n: int, seconds: float, more_mb: float) -> None:
    """A line for whoever runs this as a measurement: how often, and how much memory it took at most."""
    if "GEOLOC_FAULTS_LOG" in os.environ:
        with open(os.environ["GEOLOC_FAULTS_LOG"], "a") as file:
            file.write(json.dumps({"hazard": hazard, "n": n, "s": seconds, "more_mb": more_mb}) + "\n")


def pause(seconds: float) -> None:
    """A moment of the hazard itself, such as how far the work is when it comes."""
    time.sleep(seconds)
