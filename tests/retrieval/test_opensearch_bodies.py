"""What is sent to OpenSearch and read from it, against bodies of its documentation."""

import json
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.retrieval.servers import opensearch_bodies as bodies
from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.opensearch_index import OpensearchOptions, index_settings
from geoloc.retrieval.servers.outbox import Batch
from geoloc.retrieval.servers.sending import Unanswered
from geoloc.retrieval.where import Where

FIELDS = {"parking": str, "rating": int, "price": float, "x": float, "y": float}
ABOUT = About(2, FIELDS, "sha256:1")


@pytest.fixture(scope="module")
def said() -> dict:
    folder = Path(__file__).resolve().parents[2] / "fixtures" / "authorities"
    return json.loads((folder / "opensearch.json").read_text())


def shape(body) -> object:
    """A body without its values: keys, and kinds of values."""
    if isinstance(body, dict):
        return {key: shape(value) for key, value in body.items()}
    return [shape(body[0])] if isinstance(body, list) else type(body).__name__


def test_a_filtered_search_is_that_of_the_documentation(said) -> None:
    kept = bodies.filter_of(Where().between("rating", 8, 10).equal("parking", "true"), FIELDS)
    query = bodies.graph_query(np.array([5, 4]), 3, kept, field="location")
    asked = bodies.best_body(query, 3)
    assert {key: asked[key] for key in ("size", "query")} == said["filtered"]["request"]
    asked = bodies.graph_query(np.array([2, 3, 5, 6]), 2, {"match_all": {}}, ef_search=100, field="target-field")
    assert asked == said["method_parameters"]["request"]["query"]


def test_an_exact_search_is_that_of_the_documentation(said) -> None:
    kept = {"bool": {"filter": {"term": {"color": "BLUE"}}}}
    asked = bodies.exact_query(np.array([9.9, 9.9]), kept, field="my_vector", space="l2")
    assert asked == said["exact"]["request"]["query"]
    everything = bodies.filter_of(Where(), FIELDS)
    asked = bodies.exact_query(np.array([2.0, 3, 5, 6]), everything, field="my_vector2", space="cosinesimil")
    assert asked == said["exact_all"]["request"]["query"]


def test_an_index_is_made_as_the_documentation_makes_one(said) -> None:
    options = OpensearchOptions(ef_search=100, shards=2, replicas=1)
    made = bodies.index_body(ABOUT, {"m": 24, "ef_construction": 128}, index_settings(options))
    told = said["create"]["request"]
    vector, method = made["mappings"]["properties"]["vector"], told["mappings"]["properties"]["my_vector1"]["method"]
    assert shape(vector["method"]) == shape(method)
    assert {**vector["method"], "space_type": "l2"} == method
    asked = dict(made["settings"]["index"])
    for name in said["settings"]["names"]:
        asked.pop(name)
    assert said["merge"]["setting"] == "index.merge.policy.expunge_deletes_allowed"
    told = said["create_shards"]["request"]["settings"]["index"]
    assert {name: asked[name] for name in told} == told
    assert set(asked) - set(told) == {"refresh_interval", "merge.policy.expunge_deletes_allowed"}
    exact = bodies.index_body(ABOUT, None, {})["mappings"]["properties"]
    told = said["create_exact"]["request"]["mappings"]["properties"]
    assert (exact["vector"], exact["parking"]) == (told["my_vector"], told["color"])


def test_every_kind_of_filter_is_a_query_of_the_documentation(said) -> None:
    def one(where: Where) -> list:
        return bodies.filter_of(where, FIELDS)["bool"]["must"]

    (terms,) = one(Where().equal("parking", "61809", "61810"))
    assert list(terms["terms"].values()) == list(said["terms"]["request"]["query"]["terms"].values())
    *square, circle = one(Where().near(3.0, 4.0, 5.0))
    assert [next(iter(part["range"])) for part in square] == ["x", "y"]
    told = said["script"]["request"]["query"]["script"]["script"]
    assert set(circle["script"]["script"]) == set(told)
    assert circle["script"]["script"]["params"]["far"] == 25.0
    assert one(Where().between("price")) == [{"exists": {"field": "price"}}]
    assert one(Where().between("price", low=3)) == [{"range": {"price": {"gte": 3}}}]
    assert one(Where().between("rating", 2.5, 1e30)) == [{"range": {"rating": {"gte": 3}}}]
    assert one(Where().equal("rating", 2.5)) == [{"terms": {"rating": []}}]
    (many,) = one(Where().ids(np.arange(bodies.TERMS + 5)))
    assert [len(part["terms"]["id"]) for part in many["bool"]["should"]] == [said["terms"]["most"], 5]


def test_rows_are_sent_line_by_line(said) -> None:
    rows = {"parking": np.array(["a\nb", ""]), "rating": np.array([1, 2]), "price": np.array([np.nan, 2.5])}
    rows |= {"x": np.zeros(2), "y": np.zeros(2)}
    text = bodies.creates_text(Batch(np.array([7, 9]), np.array([[0.1, 2], [3, 4]], np.float32), rows), FIELDS)
    lines = [json.loads(line) for line in text.splitlines()]
    assert text.endswith("\n")
    told = [json.loads(line) for line in said["bulk_in_path"]["request"].splitlines()]
    assert shape(lines[0]["create"]) == shape(told[0]["index"])
    assert "create" in json.loads(said["bulk"]["request"].splitlines()[3])
    assert [line["create"]["_id"] for line in lines[::2]] == ["7", "9"]
    assert "price" not in lines[1]  # JSON has no NaN
    assert lines[3]["price"] == 2.5
    assert np.array(lines[1]["vector"], np.float32).tolist() == np.array([0.1, 2], np.float32).tolist()
    deletes = [json.loads(line) for line in bodies.deletes_text(np.array([7, 9])).splitlines()]
    assert set(deletes[0]["delete"]) <= set(json.loads(said["bulk"]["request"].splitlines()[0])["delete"])


def test_searches_are_sent_line_by_line(said) -> None:
    lines = bodies.searches_text([{"size": 1}, {"size": 2}]).splitlines()
    told = said["multi_search"]["request"].splitlines()
    assert lines[::2] == told[::2]
    assert [json.loads(line) for line in lines[1::2]] == [{"size": 1}, {"size": 2}]


def test_answers_of_the_documentation_are_read(said) -> None:
    found = bodies.found_of([said["filtered"]["response"]], 4)
    assert found.ids.tolist() == [[3, 6, 5, -1]]
    # their space is the squared distance, whose score 1 / (1 + d) is that of an inner product of -d
    places = np.array([hit["_source"]["location"] for hit in said["filtered"]["response"]["hits"]["hits"]])
    far = ((places - [5, 4]) ** 2).sum(axis=1)
    np.testing.assert_allclose(-found.scores[0, :3], far, rtol=1e-5)
    assert bodies.found_of(said["multi_search"]["response"]["responses"], 2).ids.tolist() == [[-1, -1], [-1, -1]]
    assert bodies.check_whole(said["count"]["response"])["count"] == 7
    assert bodies.about_of(said["mapping"]["response"]) is None  # no index of geoloc's
    bodies.check_shards(said["merge"]["response"])  # a replica that nobody holds is no failure
    with pytest.raises(Unanswered, match="cut short"):
        bodies.check_whole(said["count"]["cut_short"])
    batch = bodies.batch_of(
        {"docs": [{"found": True, "_source": {"id": 1, "vector": [1.0, 2.0], "name": "x"}}, {"found": False}]},
        About(2, {"name": str, "price": float}),
    )
    assert (batch.ids.tolist(), batch.rows["name"].tolist()) == ([1], ["x"])
    assert np.isnan(batch.rows["price"]).all()
    assert {"found", "_id", "_source"} <= set(said["multi_get"]["response"]["docs"][0])


def test_pages_follow_on_the_last_row(said) -> None:
    first, following = said["page"]["request"], said["page"]["next"]
    asked = bodies.page_body({"match": {"play_name": "Hamlet"}}, 3, None)
    assert {**asked, "sort": first["sort"], "_source": True} == {**first, "_source": True}
    assert following["search_after"] == said["page"]["response"]["hits"]["hits"][-1]["sort"]
    assert bodies.page_body({"match_all": {}}, 3, 17)["search_after"] == [17]


def test_scores_become_inner_products_by_the_formula_of_the_documentation(said) -> None:
    assert set(said["score"]["innerproduct"]) == {"distance", "d >= 0", "d < 0"}
    products = np.array([-30.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 30.0])
    scores = np.array([1 / (1 - p) if -p >= 0 else p + 1 for p in products]).astype(np.float32)
    np.testing.assert_allclose(bodies.products_of(scores.astype(float)), products, rtol=1e-4, atol=1e-7)


def test_what_a_bulk_request_did_not_do_is_told_apart(said) -> None:
    bodies.check_bulk(said["bulk"]["response"], 4, "here")  # a row that was gone before it was deleted is no failure
    with pytest.raises(InputError, match=r"1 of 1 rows were refused, the first id nonexistent1 \(document_missing"):
        bodies.check_bulk(said["bulk_failed"]["response"], 1, "here")
    with pytest.raises(Unanswered, match="4 of 5 rows were answered for"):
        bodies.check_bulk(said["bulk"]["response"], 5, "here")
    busy = {"create": {"_id": "1", "status": 429, "error": {"type": "rejected_execution_exception", "reason": "r"}}}
    with pytest.raises(Unanswered, match=r"1 of 2 rows were turned away \(rejected_execution_exception\)"):
        bodies.check_bulk({"items": [busy, {"create": {"_id": "2", "status": 201}}]}, 2, "here")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"timed_out": True}, "cut short by a time limit"),
        ({"_shards": {"total": 5, "successful": 3, "failed": 2, "failures": []}}, "2 of 5 shards failed"),
        ({"_shards": {"total": 5, "successful": 4, "failed": 0}}, "4 of 5 shards answered"),
        ({"_shards": None}, "without its shards"),
        ({"error": {"type": "rejected_execution_exception", "reason": "full"}, "status": 429}, "full"),
    ],
)
def test_half_an_answer_is_no_answer(said, change: dict, words: str) -> None:
    with pytest.raises(Unanswered, match=words):
        bodies.found_of([said["filtered"]["response"] | change], 3)


def test_a_search_that_is_refused_is_said() -> None:
    error = {"error": {"type": "parsing_exception", "reason": "no [query]"}, "status": 400}
    with pytest.raises(InputError, match="refused a search: parsing_exception"):
        bodies.check_whole(error)
