"""A stand-in for OpenSearch over HTTP: it does what the documentation says of the few requests that are sent to it.

No server of OpenSearch runs in the tests. This one keeps documents in memory, makes them visible on a refresh, compares
vectors by inner products, and can be told to fail: `faults` holds what to do with the next requests.
"""

import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np

from geoloc.retrieval.servers.opensearch_bodies import CIRCLE

WHOLE = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


class StandIn:
    """The cluster: `uri`; `faults`, one of which is taken by each request; `requests` (verb, path, body) so far."""

    def __init__(self) -> None:
        self.indexes, self.faults, self.requests = {}, [], []
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                content = self.rfile.read(size)
                if self.headers.get("content-encoding") == "gzip":
                    content = gzip.decompress(content)
                status, said = cluster.take(self.command, self.path, content.decode())
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_HEAD = answer

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def take(self, verb: str, address: str, text: str) -> tuple[int, object]:
        path = urlsplit(address).path
        self.requests.append((verb, path, text))
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, float):
            time.sleep(fault)
        elif isinstance(fault, int):
            return fault, {"error": {"type": "rejected_execution_exception", "reason": "busy"}, "status": fault}
        elif isinstance(fault, bytes):
            return 200, fault
        status, said = self.do(verb, path, parse_qs(urlsplit(address).query), text)
        return status, fault(said) if callable(fault) else said

    def do(self, verb: str, path: str, params: dict[str, list[str]], text: str) -> tuple[int, object]:
        _, name, *rest = path.split("/")
        index = self.indexes.get(name)
        if verb == "HEAD":
            return (200 if index else 404), {}
        if verb == "PUT":
            if index:
                return 400, {"error": {"type": "resource_already_exists_exception", "reason": name}, "status": 400}
            self.indexes[name] = {"body": json.loads(text), "docs": {}, "visible": {}}
            return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}
        if index is None:
            return 404, {"error": {"type": "index_not_found_exception", "reason": name}, "status": 404}
        lines = [json.loads(line) for line in text.splitlines()] if text else []
        return 200, getattr(self, rest[0])(name, index, lines, params)

    def _mapping(self, name, index, lines, params):
        return {name: {"mappings": index["body"]["mappings"]}}

    def _refresh(self, name, index, lines, params):
        index["visible"] = dict(index["docs"])
        return {"_shards": {"total": 2, "successful": 1, "failed": 0}}

    _forcemerge = _refresh

    def _count(self, name, index, lines, params):
        return {"count": len(kept_by(lines[0]["query"], index["visible"])), "_shards": WHOLE}

    def _bulk(self, name, index, lines, params):
        items, rest = [], iter(lines)
        for action in rest:
            (verb, about), docs = next(iter(action.items())), index["docs"]
            item = {"_index": name, "_id": about["_id"]}
            if verb == "delete":
                item |= {"status": 200 if docs.pop(about["_id"], None) else 404}
            elif about["_id"] in docs:
                next(rest)
                error = {"type": "version_conflict_engine_exception", "reason": "document already exists"}
                item |= {"status": 409, "error": error}
            else:
                docs[about["_id"]] = next(rest)
                item |= {"status": 201, "result": "created"}
            items.append({verb: item})
        return {"took": 1, "errors": any("error" in i for item in items for i in item.values()), "items": items}

    def _mget(self, name, index, lines, params):
        source = params["_source"] == ["true"]
        docs = []
        for row in lines[0]["ids"]:
            held = index["docs"].get(row)
            docs.append({"_index": name, "_id": row, "found": held is not None})
            if held is not None and source:
                docs[-1]["_source"] = held
        return {"docs": docs}

    def _msearch(self, name, index, lines, params):
        return {"took": 1, "responses": [self._search(name, index, [body], params) for body in lines[1::2]]}

    def _search(self, name, index, lines, params):
        body, kind = lines[0], next(iter(lines[0]["query"]))
        asked = body["query"][kind]
        if kind == "knn":
            asked = asked["vector"]
            hits = scored(asked["vector"], kept_by(asked.get("filter", {"match_all": {}}), index["visible"]))
        elif kind == "script_score":
            assert asked["script"]["source"] == "knn_score"
            hits = scored(asked["script"]["params"]["query_value"], kept_by(asked["query"], index["visible"]))
        else:
            hits = [(0.0, doc) for doc in kept_by(body["query"], index["visible"])]
            hits = [hit for hit in hits if hit[1]["id"] > body.get("search_after", [-1])[0]]
        hits.sort(key=lambda hit: (-hit[0], hit[1]["id"]))
        found = [{"_index": name, "_id": str(doc["id"]), "_score": score} for score, doc in hits[: body["size"]]]
        return {"took": 1, "timed_out": False, "_shards": WHOLE, "hits": {"hits": found}, "status": 200}


def scored(vector, docs):
    """Documents with OpenSearch's score of an inner product."""
    if not docs:
        return []
    products = np.array([doc["vector"] for doc in docs], np.float32) @ np.array(vector, np.float32)
    scores = [float(p) + 1 if p > 0 else 1 / (1 - float(p)) for p in products]
    return list(zip(scores, docs, strict=True))


def kept_by(query, docs):
    """Documents that a query keeps."""
    return [doc for doc in docs.values() if holds(query, doc)]


def holds(query, doc) -> bool:
    """What the documentation says of these kinds of query."""
    ((kind, asked),) = query.items()
    if kind == "match_all":
        return True
    if kind == "bool":
        some = [holds(clause, doc) for clause in asked.get("should", [])]
        return all(holds(clause, doc) for clause in asked.get("must", [])) and (any(some) or not some)
    if kind == "script":
        script = asked["script"]
        assert script["source"] == CIRCLE
        p = script["params"]
        if p["x"] not in doc or p["y"] not in doc:
            return False
        return (doc[p["x"]] - p["at_x"]) ** 2 + (doc[p["y"]] - p["at_y"]) ** 2 <= p["far"]
    if kind == "exists":
        return asked["field"] in doc
    ((field, value),) = asked.items()
    if field not in doc:
        return False
    if kind == "range":
        return value.get("gte", -np.inf) <= doc[field] <= value.get("lte", np.inf)
    return doc[field] in (value if kind == "terms" else [value])
