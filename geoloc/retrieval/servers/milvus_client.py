"""The connection to Milvus: made when it is first needed, and what its faults mean."""

import contextlib
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from geoloc.errors import InputError
from geoloc.retrieval.servers.sending import Unanswered

PASSING = {1, 2, 3, 4, 5, 7, 8, 9}  # Milvus' codes of what may pass: not ready, no memory, no disk, too many requests
# a line that broke is tried again soon, by itself: gRPC would wait up to two minutes, with all clients of a process
CHANNEL = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
}


class MilvusLine:
    """A client of the server at `uri`; `where` is what messages call it."""

    def __init__(self, uri: str, where: str, token: str, database: str) -> None:
        self.milvus = _pymilvus()
        self.uri, self.where = uri, where
        self._more = {"token": token, "db_name": database, "grpc_options": CHANNEL}
        self._client: Any = None

    @contextlib.contextmanager
    def asking(self, timeout: float) -> Iterator[Any]:
        """The client, which has `timeout` (s) to be made; Unanswered where the fault may pass."""
        try:
            with _quiet():
                if self._client is None:
                    self._client = self.milvus.MilvusClient(uri=self.uri, timeout=timeout, **self._more)
                yield self._client
        except self.milvus.passing as error:
            raise Unanswered(_line(error)) from error
        except self.milvus.MilvusException as error:
            if error.code in PASSING:
                raise Unanswered(_line(error)) from error
            raise InputError(f"{self.where}: {_line(error)}") from error

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()
        self._client = None


def release_lite(path: str) -> None:
    """End the Milvus Lite of a file, which would go on to the end of the process."""
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(path)


def _line(error: BaseException) -> str:
    return " ".join((getattr(error, "message", "") or str(error) or type(error).__name__).split())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The client logs what it also raises, with a traceback; once is enough."""
    logger = logging.getLogger("pymilvus")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _pymilvus() -> Any:
    try:
        import grpc
        import pymilvus
        from pymilvus.exceptions import ConnectError, MilvusUnavailableException
    except ImportError as error:
        said = 'pymilvus is not installed; pip install "geoloc[milvus]", or use the index "faiss"'
        raise InputError(f'index "milvus": {said}') from error
    passing = (grpc.RpcError, grpc.FutureTimeoutError, ConnectError, MilvusUnavailableException)
    return SimpleNamespace(
        passing=passing,
        MilvusClient=pymilvus.MilvusClient,
        MilvusException=pymilvus.MilvusException,
        DataType=pymilvus.DataType,
    )
