"""Nearest vectors: an index takes rows with ids and fields, and gives the rows that are most alike to a query.

`INDEXES` names what can hold them. "exact" compares with every row by one matrix product and needs numpy alone;
"faiss" is as exact while rows are few, and looks through lists of codes or a graph once they are many. "milvus",
"pgvector" and "opensearch" keep the rows with a server.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from geoloc.errors import unknown_name
from geoloc.retrieval.exact_index import ExactIndex
from geoloc.retrieval.faiss_index import FaissIndex
from geoloc.retrieval.rows import Found
from geoloc.retrieval.servers.milvus_index import open_milvus
from geoloc.retrieval.servers.opensearch_index import open_opensearch
from geoloc.retrieval.servers.pgvector_index import open_pgvector
from geoloc.retrieval.where import ANYWHERE, Fields, Rows, Where

Setting = bool | int | float | str | tuple[str, ...]  # what a backend's setting may be


class Index(Protocol):
    """Rows of a vector (D,) float32 and named fields, under ids that are unique and not negative.

    Alike is what has a large inner product. `model` names what made the vectors; empty: not told.
    """

    dim: int
    fields: Fields
    model: str

    def __len__(self) -> int:
        """How many rows it holds."""

    def add(self, ids: np.ndarray, vectors: np.ndarray, rows: Rows) -> None:
        """Take in vectors (M, D) under ids (M,) that it does not hold yet, with every declared field (M,).

        InputError otherwise, and nothing is added.
        """

    def remove(self, ids: np.ndarray) -> None:
        """Forget the rows of ids (M,); InputError for one that it does not hold, and nothing is removed."""

    def search(self, queries: np.ndarray, k: int, where: Where = ANYWHERE) -> Found:
        """The `k` best rows of queries (Q, D), equals by id, among those that `where` keeps."""

    def ids(self, where: Where = ANYWHERE) -> np.ndarray:
        """Ids (M,) of the rows that `where` keeps, in order."""

    def read(self, ids: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Vectors (M, D) and fields (M,) of the rows under ids (M,); InputError for one that it does not hold."""

    def flush(self) -> None:
        """Return when all that was added is durable, where it is stored at all, and found by a search."""

    def compact(self) -> None:
        """Return when nothing is left of removed rows, in memory and wherever the index is stored."""

    def close(self) -> None:
        """Give back what is held open; the index is not used after it."""


INDEXES: dict[str, Callable[..., Index]] = {
    "exact": ExactIndex,
    "faiss": FaissIndex,
    "milvus": open_milvus,
    "pgvector": open_pgvector,
    "opensearch": open_opensearch,
}


def make_index(
    name: str, dim: int, fields: Fields | None = None, place: str = "", model: str = "", **settings: Setting
) -> Index:
    """The index of rows of length `dim` with these fields, by a name of `INDEXES`; made where there is none yet.

    `place`: where it is kept, a folder or the URI of a server; empty: in memory, gone with it. `model` names what
    made the vectors, to the letter (its fingerprint). An index that stands at `place` with another length, other
    fields or another model is refused with InputError; `settings` are the backend's own, unknown ones are refused.
    """
    if name not in INDEXES:
        raise unknown_name("index", name, INDEXES)
    return INDEXES[name](dim, fields or {}, place, model, **settings)
