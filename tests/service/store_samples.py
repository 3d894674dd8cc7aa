"""Stores to test with: files, and a real PostgreSQL with PostGIS in a folder of its own."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from geoloc.pipeline.packets import Answer
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Tracks
from geoloc.service.store.postgres import PostgresDatabase
from geoloc.service.store.sqlite import SqliteDatabase
from geoloc.service.store.store import Batch, Store

UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root


class Postgres:
    """A server that runs from `start` to `stop`, in a temporary folder."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = int(one.getsockname()[1])
        self.url = f"postgresql://geoloc@127.0.0.1:{self.port}/postgres"
        self.call("initdb", "-D", str(folder / "data"), "-U", "geoloc", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")

    def call(self, program: str, *words: str) -> None:
        who = {"user": UNPRIVILEGED, "group": None} if os.geteuid() == 0 else {}
        with (self.folder / "said").open("ab") as said:
            done = subprocess.run([self.programs / program, *words], stdout=said, stderr=said, cwd=self.folder, **who)
        assert done.returncode == 0, (self.folder / "said").read_text()

    def start(self) -> None:
        settings = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c shared_buffers=16MB"
        words = ["-D", str(self.folder / "data"), "-o", settings, "-l", str(self.folder / "log"), "-w", "start"]
        self.call("pg_ctl", *words)

    def stop(self, how: str = "fast") -> None:
        self.call("pg_ctl", "-D", str(self.folder / "data"), "-m", how, "-w", "stop")


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server with PostGIS; skips where there is none, and says what to install."""
    pytest.importorskip("psycopg", reason="no psycopg; pip install 'geoloc[postgres]'")
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = [h for h in homes if Path(f"/usr/share/postgresql/{h.parts[-3]}/extension/postgis.control").exists()]
    if not found:
        pytest.skip("no PostgreSQL with PostGIS; on Debian: apt-get install postgresql-15 postgresql-15-postgis-3")
    folder = Path(tempfile.mkdtemp(prefix="geoloc-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED)
        server = Postgres(found[-1].parent, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def open_file(folder: Path, site: Site, write: bool = True) -> Store:
    database = SqliteDatabase(folder / "store.gpkg", write)
    return Store.open(database, site) if write else Store(database, site)


def open_postgres(url: str, site: Site) -> Store:
    return Store.open(PostgresDatabase(url, site.name), site)


def tracks_at(
    time: float, numbers: list[int], xy: np.ndarray, life: str = "confirmed", level: str = "ground"
) -> Tracks:
    n = len(numbers)
    spread = np.diag([0.04, 0.09, 0.2, 0.3]) + 0.01 * np.arange(16).reshape(4, 4) * 0.01
    return Tracks(
        time=np.full(n, time), track=numbers, object=np.arange(n), level=[level] * n, xy=xy, z=np.zeros(n),
        velocity=np.full((n, 2), 1 / 3), cov=np.tile(spread + spread.T, (n, 1, 1)),
        bias_cov=np.tile(np.diag([0.01, 0.02]), (n, 1, 1)), label=["car"] * n, state=["confirmed"] * n,
        life=[life] * n, revision=np.zeros(n, int),
    )  # fmt: skip


def answer(number: int, tracks: Tracks, revised: bool = False) -> Answer:
    return Answer(number, (tracks,), (GroundPoints(),), revised)


def batch(record: int, answers: list[Answer], events: tuple = (), n_events: int = 0) -> Batch:
    made = Batch()
    made.add(record, answers, events, n_events)
    return made
