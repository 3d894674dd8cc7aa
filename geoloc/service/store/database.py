"""What a store needs of a database; SQLite and PostgreSQL both give it. SQL is plain, with ? for values."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from geoloc.errors import GeolocError
from geoloc.scene.sitemap import SiteMap

Row = tuple[Any, ...]


class StoreError(GeolocError):
    """The store cannot be read or written now; what it did not take is in the engine's log."""


class FullError(StoreError):
    """The disk that the store lies on is full."""


class Database(Protocol):
    """One connection to where a site's tables are. StoreError where it is down, FullError where its disk is full."""

    types: Mapping[str, str]  # of the columns in `schema`

    def require(self) -> None:
        """Make sure that it knows geometries."""

    def prepare(self, site_map: SiteMap) -> None:
        """Index the places of `positions`, which is new, within a transaction."""

    def has_tables(self) -> bool:
        """Whether it holds a store."""

    def transaction(self) -> AbstractContextManager[None]:
        """All that is done within, or nothing; the disk has it afterwards."""

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows that it changed."""

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of the rows."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of an answer."""

    def stream(self, sql: str, values: Sequence[Any] = (), n: int = 1000) -> Iterator[list[Row]]:
        """The rows of an answer, `n` at a time, never all in memory."""

    def within(self, box: Sequence[float]) -> tuple[str, list[float]]:
        """A condition on `positions p` by its index of places: west, south, east, north in the geometry's units."""

    def geometries(self, places: np.ndarray) -> tuple[str, list[Any]]:
        """The SQL of a point's value, and values for places (N, 3)."""

    def size(self) -> int:
        """Bytes that it takes."""

    def free(self) -> float:
        """Bytes that its disk has left; inf where that is another machine's matter."""

    def reclaim(self, all_of_it: bool = False) -> None:
        """Give back room that nothing needs; `all_of_it`: and leave no byte of what was removed, if that takes long."""

    def close(self) -> None:
        """Let go."""
