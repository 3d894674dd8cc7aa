"""What OpenSearch is asked and what it answers: bodies as its documentation gives them, made and read without it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.retrieval.rows import DTYPES, Found, no_answers
from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.conditions import askable, bounds
from geoloc.retrieval.servers.outbox import Batch
from geoloc.retrieval.servers.sending import Unanswered
from geoloc.retrieval.where import ID, Between, Condition, Equal, Fields, Where

Body = dict[str, Any]
VECTOR = "vector"
SPACE = "innerproduct"
KINDS = {int: "long", float: "double", str: "keyword"}
TERMS = 65_536  # values of one "terms" query: index.max_terms_count
BUSY = (429, 502, 503, 504)  # statuses after which the same may be asked again
# a missing x or y lies nowhere
CIRCLE = (
    "if (doc[params.x].size() == 0 || doc[params.y].size() == 0) { return false; } "
    "double dx = doc[params.x].value - params.at_x; double dy = doc[params.y].value - params.at_y; "
    "return dx * dx + dy * dy <= params.far;"
)


def index_body(about: About, graph: Body | None, settings: Mapping[str, Any]) -> Body:
    """Settings and mapping of an index; `graph`: the method of its vectors, or None to compare all."""
    vector: Body = {"type": "knn_vector", "dimension": about.dim}
    if graph is not None:
        vector["method"] = {"name": "hnsw", "space_type": SPACE, "engine": "faiss", "parameters": graph}
    properties: Body = {ID: {"type": "long"}, VECTOR: vector}
    properties |= {name: {"type": KINDS[kind]} for name, kind in about.fields.items()}
    mappings = {"dynamic": "strict", "_meta": {"geoloc": about.written()}, "properties": properties}
    return {"settings": {"index": {"knn": graph is not None, **settings}}, "mappings": mappings}


def about_of(answer: Body) -> object:
    """What the answer to a request for the mapping says of the rows; None where geoloc did not make the index."""
    mappings: list[Body] = [held.get("mappings", {}) for held in answer.values()]
    return mappings[0].get("_meta", {}).get("geoloc") if mappings else None


def filter_of(where: Where, fields: Fields) -> Body:
    """A filter as a query; without a condition, one that keeps all."""
    clauses = [clause for condition in where.conditions for clause in _clauses(condition, fields)]
    return {"bool": {"must": clauses}} if clauses else {"match_all": {}}


def _clauses(condition: Condition, fields: Fields) -> Iterable[Body]:
    if isinstance(condition, Equal):
        values = askable(condition, int if condition.field == ID else fields[condition.field])
        if len(values) == 1:
            yield {"term": {condition.field: values[0]}}
        elif len(values) <= TERMS:
            yield {"terms": {condition.field: values}}
        else:
            parts = [values[start : start + TERMS] for start in range(0, len(values), TERMS)]
            yield {"bool": {"should": [{"terms": {condition.field: part}} for part in parts]}}
    elif isinstance(condition, Between):
        kind = int if condition.field == ID else fields[condition.field]
        ends = zip(("gte", "lte"), bounds(condition, kind), strict=True)
        reach = {sign: end for sign, end in ends if end is not None}
        yield {"range": {condition.field: reach}} if reach else {"exists": {"field": condition.field}}
    else:
        reach_m = condition.radius * (1 + 1e-9)  # the square first: an index can tell it
        for name, at in ((condition.x, condition.at_x), (condition.y, condition.at_y)):
            yield {"range": {name: {"gte": at - reach_m, "lte": at + reach_m}}}
        params = {"x": condition.x, "y": condition.y, "at_x": condition.at_x, "at_y": condition.at_y}
        far = condition.radius * condition.radius
        yield {"script": {"script": {"source": CIRCLE, "params": {**params, "far": far}}}}


def graph_query(vector: np.ndarray, k: int, kept: Body, ef_search: int = 0, field: str = VECTOR) -> Body:
    """Nearest rows through the graph among those that `kept` keeps; `ef_search` 0: as the index is set."""
    asked: Body = {"vector": vector.tolist(), "k": k}
    if "match_all" not in kept:
        asked["filter"] = kept
    if ef_search:
        asked["method_parameters"] = {"ef_search": ef_search}
    return {"knn": {field: asked}}


def exact_query(vector: np.ndarray, kept: Body, field: str = VECTOR, space: str = SPACE) -> Body:
    """Nearest rows by comparing all that `kept` keeps."""
    params = {"field": field, "query_value": vector.tolist(), "space_type": space}
    return {"script_score": {"query": kept, "script": {"lang": "knn", "source": "knn_score", "params": params}}}


def best_body(query: Body, k: int) -> Body:
    """The `k` best of a query, equals by id, without their rows."""
    return {"size": k, "_source": False, "query": query, "sort": [{"_score": "desc"}, {ID: "asc"}]}


def page_body(kept: Body, size: int, after: int | None) -> Body:
    """The next `size` rows that `kept` keeps, by id."""
    body: Body = {"size": size, "_source": False, "query": kept, "sort": [{ID: "asc"}]}
    return body if after is None else {**body, "search_after": [after]}


def searches_text(bodies: Iterable[Body]) -> str:
    """Several searches of one index, a line for what is special about each and a line for its body."""
    return "".join(f"{{}}\n{json.dumps(body)}\n" for body in bodies)


def creates_text(batch: Batch, fields: Fields) -> str:
    """Rows to create, a line for the action and a line for the row; a number that is missing is left out."""
    columns = {name: batch.rows[name].tolist() for name in fields}
    lines = []
    for n, (row, vector) in enumerate(zip(batch.ids.tolist(), batch.vectors.tolist(), strict=True)):
        held = {name: values[n] for name, values in columns.items() if values[n] == values[n]}
        lines += [json.dumps({"create": {"_id": str(row)}}), json.dumps({ID: row, VECTOR: vector, **held})]
    return "\n".join(lines) + "\n"


def deletes_text(ids: np.ndarray) -> str:
    """Rows to delete, a line each."""
    return "".join(json.dumps({"delete": {"_id": str(row)}}) + "\n" for row in ids.tolist())


def check_whole(answer: Body) -> Body:
    """The answer of a search or count, if it is one of all shards; Unanswered otherwise."""
    if "error" in answer:
        said = f"{answer['error'].get('type')}: {answer['error'].get('reason')}"
        if answer.get("status") in BUSY:
            raise Unanswered(said)
        raise InputError(f"OpenSearch refused a search: {said}")
    if answer.get("timed_out") or answer.get("terminated_early"):
        raise Unanswered("the answer was cut short by a time limit")
    shards = check_shards(answer)
    if shards["successful"] < shards["total"]:
        raise Unanswered(f"{shards['successful']} of {shards['total']} shards answered")
    return answer


def check_shards(answer: Body) -> Body:
    """What an answer says of its shards; Unanswered where one failed."""
    shards = answer.get("_shards")
    if not isinstance(shards, dict):
        raise Unanswered("an answer without its shards")
    if shards["failed"]:
        faults = [fault.get("reason", {}) for fault in shards.get("failures", [])]
        reasons = {f"{fault.get('type')}: {fault.get('reason')}" for fault in faults}
        raise Unanswered(f"{shards['failed']} of {shards['total']} shards failed ({'; '.join(sorted(reasons))})")
    return dict(shards)


def found_of(answers: list[Body], k: int) -> Found:
    """The best rows of several searches."""
    found = no_answers(len(answers), k)
    for row, answer in enumerate(answers):
        hits = check_whole(answer)["hits"]["hits"]
        found.ids[row, : len(hits)] = [int(hit["_id"]) for hit in hits]
        found.scores[row, : len(hits)] = products_of(np.array([hit["_score"] for hit in hits], float))
    return found


def products_of(scores: np.ndarray) -> np.ndarray:
    """Inner products from OpenSearch's scores (M,), which are positive: 1 + d above 0, 1 / (1 - d) below."""
    return np.where(scores >= 1, scores - 1, 1 - 1 / np.maximum(scores, np.finfo(np.float32).tiny))


def batch_of(answer: Body, about: About) -> Batch:
    """Rows of a multi-get answer, of those that were found."""
    rows = [found["_source"] for found in answer["docs"] if found.get("found")]
    fields: dict[str, np.ndarray] = {}
    for name, kind in about.fields.items():
        missing = np.nan if kind is float else None
        fields[name] = np.array([row.get(name, missing) for row in rows], DTYPES[kind])
    vectors = np.array([row[VECTOR] for row in rows], np.float32).reshape(-1, about.dim)
    return Batch(np.array([row[ID] for row in rows], np.int64), vectors, fields)


def check_bulk(answer: Body, n: int, where: str) -> None:
    """Return if all `n` actions of a bulk request were done.

    Unanswered for those that a busy server turned away, InputError for those that it will never take.
    """
    items = [(verb, item) for action in answer.get("items", []) for verb, item in action.items()]
    if len(items) != n:
        raise Unanswered(f"{len(items)} of {n} rows were answered for")
    failed = [(verb, item) for verb, item in items if item["status"] >= 300]
    failed = [(verb, item) for verb, item in failed if not (verb == "delete" and item["status"] == 404)]
    busy = [item for _, item in failed if item["status"] in BUSY]
    final = [item for _, item in failed if item["status"] not in BUSY]
    if final:
        error = final[0]["error"]
        said = f"{len(final)} of {n} rows were refused, the first id {final[0]['_id']}"
        raise InputError(f"{where}: {said} ({error['type']}: {error['reason']})")
    if busy:
        raise Unanswered(f"{len(busy)} of {n} rows were turned away ({busy[0]['error']['type']})")
