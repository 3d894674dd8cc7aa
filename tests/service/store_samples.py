"""Stores to test with: files, and a real PostgreSQL with PostGIS in a folder of its own."""

import sys
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

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from servers import Postgres, postgres_programs, running_postgres


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server with PostGIS; skips where there is none, and says what to install."""
    pytest.importorskip("psycopg", reason="no psycopg; pip install 'geoloc[postgres]'")
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL with PostGIS; on Debian: apt-get install postgresql-15 postgresql-15-postgis-3")
    with running_postgres(programs) as server:
        yield server


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
