"""Real brokers on this machine, that can be killed and started again, and a service in a process of its own."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from serve_samples import free_port, plaza, serve_until, tokens, wait_for

from geoloc.service.serve.bridges.build import build_bridges
from geoloc.service.serve.bridges.options import BridgeOptions
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.service import LiveService, ServedSite

NEEDS = {"mosquitto": "paho.mqtt.client", "nats-server": "nats"}
EXTRAS = {"mosquitto": "mqtt", "nats-server": "nats"}
PATHS = ("/usr/sbin", "/usr/local/sbin")


def require(program: str) -> str:
    """The path of a server; skips where it or its client is missing."""
    pytest.importorskip(NEEDS[program], reason=f"pip install 'geoloc[{EXTRAS[program]}]'")
    found = shutil.which(program) or next((f"{p}/{program}" for p in PATHS if Path(p, program).exists()), None)
    if found is None:
        pytest.skip(f"no {program}; apt-get install {program}")
    return found


class Broker:
    """A server process on a port of its own that keeps its files in a folder."""

    def __init__(self, program: str, folder: Path, words: Sequence[str] = (), lines: Sequence[str] = ()) -> None:
        """`words` are more of nats-server's command line, `lines` of mosquitto's settings."""
        self.program, self.folder, self.port = program, folder, free_port()
        self._words, self._lines = tuple(words), tuple(lines) or ("allow_anonymous true",)
        self._path = require(program)
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    @property
    def url(self) -> str:
        return f"{'mqtt' if self.program == 'mosquitto' else 'nats'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        wait_for(self._listens)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def _command(self) -> list[str]:
        if self.program == "nats-server":
            store = str(self.folder / "store")
            return [self._path, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", store, *self._words]
        settings = self.folder / "mosquitto.conf"
        settings.write_text(
            f"listener {self.port} 127.0.0.1\npersistence true\nmax_queued_messages 0\n"
            f"persistence_location {self.folder}/\nautosave_on_changes true\nautosave_interval 1\n"
            + "".join(f"{line}\n" for line in self._lines)
            + (f"user {os.environ.get('USER', 'root')}\n" if os.getuid() == 0 else "")
        )
        return [self._path, "-c", str(settings)]

    def _listens(self) -> bool:
        with socket.socket() as one, suppress(OSError):
            one.connect(("127.0.0.1", self.port))
            return True
        assert self._process.poll() is None, (self.folder / "log").read_text()
        return False


def service_with(folder: Path, bridges: BridgeOptions, options: ServeOptions | None = None) -> LiveService:
    options = options or ServeOptions()
    sites = {"plaza": ServedSite(plaza(), folder, None, options)}
    return LiveService(sites, tokens(), options, build_bridges(bridges, sites, options))


class Child:
    """A service in a forked process, to be killed; `made` there."""

    def __init__(self, made: Callable[[], LiveService]) -> None:
        self.made, self.port = made, free_port()
        self.start()

    def start(self) -> None:
        self.pid = os.fork()
        if not self.pid:
            try:
                asyncio.run(serve_until(self.made(), self.port, lambda _: None, asyncio.Event()))
            finally:
                os._exit(1)

    def kill(self) -> None:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
