"""Rows in an index of OpenSearch with the k-NN plugin, over HTTP.

What operators set, shards, replicas, refresh and the graph, is in `OpensearchOptions` and docs/opensearch.md. Where a
filter keeps fewer rows of a segment than `exact_below`, OpenSearch compares those instead of walking the graph.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.retrieval.rows import Found, no_answers
from geoloc.retrieval.servers import opensearch_bodies as bodies
from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.outbox import Batch
from geoloc.retrieval.servers.passwords import password_of, with_password, without_password
from geoloc.retrieval.servers.remote_index import RemoteIndex, open_remote
from geoloc.retrieval.servers.sending import Sending, Unanswered, settings_of
from geoloc.retrieval.where import ID, Fields, Where

METHODS = ("exact", "hnsw")
PAGE = 10_000  # rows of one answer: index.max_result_window
FEW = 1000  # ids of one request
SEARCHES = 64  # of one request
COMPACTING = 3600.0  # s that writing segments anew may take
LONGEST = 10_000  # bytes of a name; Lucene's terms end at 32,766


@dataclass(frozen=True)
class OpensearchOptions:
    """What an index is like; an existing one keeps what it was made with, but for ef_search, visible and the rest."""

    collection: str = "looks"  # the index's name, in small letters
    method: str = "hnsw"  # "hnsw" goes through a graph, "exact" compares all rows that a filter keeps
    m: int = 16  # neighbours of a row in the graph
    ef_construction: int = 200  # rows looked at to find them
    ef_search: int = 200  # rows of the graph that a search looks at, in every segment
    exact_below: int = 20_000  # a filter that keeps fewer rows of a segment is answered by comparing those
    shards: int = 1  # primary shards; fixed when the index is made
    replicas: int = 1  # copies of each shard
    active_shards: str = "1"  # copies of a shard that must be there before rows are taken: a number, or "all"
    refresh_interval: str = "1s"  # how often new rows become visible to all; "-1": only when asked to
    visible: str = "search"  # "search": a search of this index finds what it added; "interval": as the server does it
    ca_certs: str = ""  # a file of the authorities that are trusted; empty: the system's
    verify: bool = True  # whether the server's certificate is checked

    def __post_init__(self) -> None:
        check_range(self, m=(2, 100), ef_construction=(4, 10_000), ef_search=(1, 10_000), exact_below=(0, 10**9))
        check_range(self, shards=(1, 1024), replicas=(0, 64))
        plain = self.collection.replace("_", "").replace("-", "").isalnum() and self.collection[0].isalnum()
        if self.method not in METHODS or not plain or self.collection != self.collection.lower():
            said = f"method {self.method!r}, collection {self.collection!r}"
            raise InputError(f"opensearch: {said}; give a method of {', '.join(METHODS)} and a name in small letters")
        if self.visible not in ("search", "interval"):
            raise InputError(f"opensearch: visible is {self.visible!r}; give search or interval")


def open_opensearch(dim: int, fields: Fields, place: str = "", model: str = "", **settings: Any) -> RemoteIndex:
    """An index of the cluster at `place`, such as https://user@host:9200; several by commas."""
    options, sending = settings_of("opensearch", OpensearchOptions(), settings)
    about = About(dim, dict(fields), model)
    about.check_names("opensearch", ID, bodies.VECTOR)
    return open_remote(OpensearchStore(place, about, options, sending), sending)


class OpensearchStore:
    """One index, through one client."""

    longest_name, infinite = LONGEST, False

    def __init__(self, place: str, about: About, options: OpensearchOptions, sending: Sending) -> None:
        self.about, self.options, self.timeout = about, options, sending.timeout
        hosts = [host.strip() for host in place.split(",")]
        if not all(host.startswith(("http://", "https://")) for host in hosts):
            raise InputError(f"index opensearch: {without_password(place)!r} is no server; give its URI, such as https://host:9200")
        shown = ", ".join(f"{urlsplit(host).hostname}:{urlsplit(host).port or ''}" for host in hosts)
        self.where = f"index opensearch, {options.collection} at {shown}"
        self._faults, opensearch = _opensearchpy()
        secure = {"verify_certs": options.verify, "ssl_show_warn": False, "ca_certs": options.ca_certs or None}
        more = secure if any(host.startswith("https") for host in hosts) else {}
        password = password_of("opensearch", sending.password_file)
        hosts = [with_password(host, password) for host in hosts]
        self._client = opensearch(hosts=hosts, timeout=sending.timeout, max_retries=0, http_compress=True, **more)
        self._dirty = False

    def open(self) -> None:
        """Find the index, or make it."""
        if not self._ask("HEAD", ""):
            graph = {"m": self.options.m, "ef_construction": self.options.ef_construction}
            made = bodies.index_body(
                self.about, graph if self.options.method == "hnsw" else None, index_settings(self.options)
            )
            # another may have made it in between, or this very request before its answer was lost
            self._ask("PUT", "", made, unless="resource_already_exists_exception")
        found = self._ask("GET", "/_mapping")
        self.about = self.about.agreed(bodies.about_of(found), self.where)

    def count(self) -> int:
        """How many rows it holds."""
        self._show()
        return int(bodies.check_whole(self._ask("POST", "/_count", {"query": {"match_all": {}}}))["count"])

    def held(self, ids: np.ndarray) -> np.ndarray:
        """Those of the ids (M,) that it holds, at this moment."""
        found = [row for answer in self._get(ids, "false") for row in answer["docs"] if row.get("found")]
        return np.sort(np.array([int(row["_id"]) for row in found], np.int64))

    def put(self, batch: Batch) -> None:
        """Take in rows that it does not hold."""
        text = bodies.creates_text(batch, self.about.fields)
        self._dirty = True
        answer = self._ask("POST", "/_bulk", text, wait_for_active_shards=self.options.active_shards)
        bodies.check_bulk(answer, len(batch), self.where)

    def drop(self, ids: np.ndarray) -> None:
        """Forget rows (M,)."""
        for some in _parts(ids, FEW):
            self._dirty = True
            bodies.check_bulk(self._ask("POST", "/_bulk", bodies.deletes_text(some)), len(some), self.where)

    def best(self, queries: np.ndarray, k: int, where: Where) -> Found:
        """The `k` best rows of queries (Q, D)."""
        if k > PAGE:
            raise InputError(f"{self.where}: {k} answers asked for; it gives at most {PAGE}")
        self._show()
        kept = bodies.filter_of(where, self.about.fields)
        found = no_answers(len(queries), k)
        for start in range(0, len(queries), SEARCHES):
            some = queries[start : start + SEARCHES]
            answer = self._ask("POST", "/_msearch", bodies.searches_text(self._search(q, k, kept) for q in some))
            responses = answer.get("responses", [])
            if len(responses) != len(some):
                raise Unanswered(f"{len(responses)} of {len(some)} searches were answered")
            part = bodies.found_of(responses, k)
            found.ids[start : start + len(some)], found.scores[start : start + len(some)] = part.ids, part.scores
        return found

    def ids(self, where: Where) -> np.ndarray:
        """Ids (M,) of the rows that `where` keeps, in order."""
        self._show()
        kept, pages, after = bodies.filter_of(where, self.about.fields), [np.zeros(0, np.int64)], None
        while True:
            answer = bodies.check_whole(self._ask("POST", "/_search", bodies.page_body(kept, PAGE, after)))
            page = [int(hit["_id"]) for hit in answer["hits"]["hits"]]
            pages.append(np.array(page, np.int64))
            if len(page) < PAGE:
                return np.concatenate(pages)
            after = page[-1]

    def read(self, ids: np.ndarray) -> Batch:
        """Rows that it holds."""
        docs = [row for answer in self._get(ids, "true") for row in answer["docs"]]
        return bodies.batch_of({"docs": docs}, self.about)

    def settle(self) -> None:
        """Make what was put visible; it is durable since it was acknowledged."""
        bodies.check_shards(self._ask("POST", "/_refresh"))
        self._dirty = False

    def compact(self) -> None:
        """Write segments anew, without what was dropped."""
        self.settle()
        bodies.check_shards(self._ask("POST", "/_forcemerge", only_expunge_deletes="true", request_timeout=COMPACTING))

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _search(self, query: np.ndarray, k: int, kept: bodies.Body) -> bodies.Body:
        if self.options.method == "exact":
            return bodies.best_body(bodies.exact_query(query, kept), k)
        return bodies.best_body(bodies.graph_query(query, k, kept, max(self.options.ef_search, k)), k)

    def _show(self) -> None:
        if self._dirty and self.options.visible == "search":
            self.settle()

    def _get(self, ids: np.ndarray, whole: str) -> Iterator[bodies.Body]:
        for some in _parts(ids, FEW):
            answer = self._ask("POST", "/_mget", {"ids": [str(row) for row in some.tolist()]}, _source=whole)
            faults = [row["error"] for row in answer.get("docs", []) if "error" in row]
            if faults or len(answer.get("docs", [])) != len(some):
                raise Unanswered(f"{len(faults) or 'not all'} of {len(some)} rows could not be looked up")
            yield answer

    def _ask(self, verb: str, path: str, body: Any = None, unless: str = "", **params: str | float) -> Any:
        """The answer to one request, None where it is refused with the words `unless`; Unanswered if that may pass."""
        headers = {"content-type": "application/x-ndjson" if isinstance(body, str) else "application/json"}
        address, params = f"/{self.options.collection}{path}", {"request_timeout": self.timeout, **params}
        try:
            answer = self._client.transport.perform_request(verb, address, params=params, body=body, headers=headers)
        except self._faults.SerializationError as error:
            raise Unanswered(f"an answer that is no JSON: {_line(error)}") from error
        except self._faults.ConnectionError as error:
            raise Unanswered(_line(error)) from error
        except self._faults.TransportError as error:
            if unless and unless in str(error):
                return None
            if error.status_code in bodies.BUSY:
                raise Unanswered(_line(error)) from error
            raise InputError(f"{self.where}: {_line(error)}") from error
        if not isinstance(answer, bool if verb == "HEAD" else dict):
            raise Unanswered(f"no JSON in the answer: {str(answer)[:60]!r}")
        return answer


def index_settings(options: OpensearchOptions) -> dict[str, Any]:
    """The index's own settings, as it is made with them."""
    made: dict[str, Any] = {
        "number_of_shards": options.shards,
        "number_of_replicas": options.replicas,
        "refresh_interval": options.refresh_interval,
        "merge.policy.expunge_deletes_allowed": 0,  # so that compacting leaves nothing of what was deleted
    }
    if options.method == "hnsw":
        made["knn.algo_param.ef_search"] = options.ef_search
        made["knn.advanced.filtered_exact_search_threshold"] = options.exact_below
    return made


def _parts(ids: np.ndarray, size: int) -> list[np.ndarray]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]


def _opensearchpy() -> tuple[Any, Any]:
    try:
        import opensearchpy
        from opensearchpy import exceptions
    except ImportError as error:
        said = 'opensearch-py is not installed; pip install "geoloc[opensearch]", or use the index "faiss"'
        raise InputError(f'index "opensearch": {said}') from error
    return exceptions, opensearchpy.OpenSearch
