"""The door: who may come in, what is refused and how, and that a refusal costs and changes nothing."""

import gzip
import json
import threading

import pytest
from serve_samples import ALL, ELSEWHERE, READER, WRITER, plaza_boxes, running, wait_for

from geoloc.files import parse_json
from geoloc.service.serve.app import DELETE, GET, POST
from geoloc.service.serve.heard import lines_of
from geoloc.service.serve.options import ServeOptions

CAMERA = "c7"
FRAME = {"time": 1700000000.0, "camera": CAMERA, "boxes": [{"box": [10, 10, 50, 90]}]}
SMALL = ServeOptions(max_body=20_000, max_unpacked=100_000, max_waiting=2000, max_sockets=3, turn_s=0.3)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("requests") / "state", SMALL) as one:
        yield one


def line(**changes: object) -> bytes:
    return json.dumps({**FRAME, **changes}).encode()


def box(**changes: object) -> bytes:
    return line(boxes=[{"box": [10, 10, 50, 90], **changes}])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "holds no frame"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1, 2]", "must be an object"),
        (b"{" * 5000, "no JSON"),
        (b"[" * 15000, "no JSON"),
        (b'{"time": NaN, "camera": "c7", "boxes": []}', "NaN"),
        (b'{"time": 1e999, "camera": "c7", "boxes": []}', "finite"),
        (b'{"time": 1' + b"0" * 5000 + b', "camera": "c7", "boxes": []}', "line 1"),
        (line(time=1.7e12), "seconds"),
        (line(time="now"), "a number"),
        (line(camera=7), "must be text"),
        (line(camera="../../etc/passwd"), "unknown camera"),
        (line(extra=1), "unknown key"),
        (line(boxes={}), "must be a list"),
        (line(boxes=[{}]), "has no 'box'"),
        (line(boxes=[{"box": [0, 0, 1]}]), "4 numbers"),
        (line(boxes=[{"box": [0, 0, 1, 1e9]}]), "beyond"),
        (box(scores=1), "did you mean 'score'"),
        (box(score=1.5), "0 to 1"),
        (box(score=True), "0 to 1"),
        (box(label="a" * 65), "label"),
        (box(label="a\u0000b"), "label"),
        (box(id=-5), "whole number"),
        (box(id=1 << 53), "whole number"),
        (box(embedding=[]), "embedding"),
        (box(embedding=[1e39]), "32 bits"),
        (box(foot=[1, None]), "foot"),
        (line() + b"\n" + line(), "twice"),
        (line() + b"\n\n" + line(time="x"), "line 3"),
    ],
)
def test_what_is_not_exactly_right_is_refused_by_name_and_nothing_is_taken(service, body, message):
    before = service.engine.figures.batches
    status, said = service.send(body)
    assert status in (400, 404)
    assert message in json.loads(said)["error"]
    assert service.engine.figures.batches == before


@pytest.mark.parametrize(
    ("token", "path", "status"),
    [
        ("", "/v1/sites/plaza/positions", 401),
        ("wrong", "/v1/sites/plaza/positions", 401),
        (WRITER, "/v1/sites/plaza/positions", 403),
        (ELSEWHERE, "/v1/sites/plaza/positions", 403),
        (READER, "/metrics", 403),
        (READER, "/v1/sites/plaza/positions", 200),
        (ALL, "/metrics", 200),
        ("", "/metrics", 401),
        ("", "/v1/sites/nowhere/positions", 401),
        (READER, "/v1/sites/nowhere/positions", 403),
        (ALL, "/v1/sites/nowhere/positions", 404),
        ("", "/v1/sites/plaza/live", 401),
    ],
)
def test_a_token_opens_only_what_is_its(service, token, path, status):
    found = service.ask(path, token)[0]
    # without a token, a WebSocket's address is no page either
    assert found == status or (path.endswith("/live") and found == 400)


def test_reading_tokens_may_not_write(service):
    assert service.send(line(), READER)[0] == 403
    assert service.ask("/v1/sites/plaza/finish", READER, "POST")[0] == 403
    assert service.ask("/v1/sites", READER)[1] == b'{"sites":["plaza"]}'


def test_pages_of_elsewhere_are_refused_and_none_is_told_that_it_may(service):
    assert service.ask("/v1/sites", Origin="https://evil.example")[0] == 403
    assert service.ask("/v1/sites", Origin="null")[0] == 403
    assert service.ask("/v1/sites", Origin=service.url)[0] == 200
    assert service.ask("/v1/sites", method="OPTIONS", Origin=service.url)[0] == 405


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/v1/sites/..%2f..%2f/map", "//x"])
def test_no_path_leads_to_a_file(service, path):
    assert service.ask(path)[0] in (400, 404)


def test_bodies_are_bounded_as_they_come_and_unpacked(service):
    assert service.send(b" " * 30_000)[0] == 413
    bomb = gzip.compress(b" " * 5_000_000)
    assert len(bomb) < SMALL.max_body
    assert service.send(bomb, Content_Encoding="gzip")[0] == 413
    assert service.send(line(), Content_Encoding="gzip")[0] == 400
    assert service.send(gzip.compress(line())[:-4], Content_Encoding="gzip")[0] == 400
    assert service.send(line(), Content_Encoding="br")[0] == 415
    assert service.send(line(), Content_Type="text/plain")[0] == 415


@pytest.mark.parametrize(
    "path", ["state?time=nan", "state?when=1", "where/-1", "where/1?time=1&time=2", "history", "events?after=x"]
)
def test_questions_are_checked_too(service, path):
    assert service.ask(f"/v1/sites/plaza/{path}")[0] == 400


def test_too_much_that_waits_is_refused_and_may_be_sent_again(service):
    hold, boxes = threading.Event(), plaza_boxes(3.0)
    asked = service.engine.ask(lambda journaled: hold.wait(30))
    body = gzip.compress(lines_of(boxes.take(slice(0, 400))))
    answers = []

    def send() -> None:
        answers.append(service.send(body, Content_Encoding="gzip")[0])

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(answers) == 3)
    assert set(answers) == {503}
    assert service.engine.waiting == 2000
    assert service.ask("/readyz", "")[0] == 503
    hold.set()
    assert asked.result(20)
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 5 + [503] * 3
    assert service.engine.waiting == 0
    assert service.send(body, Content_Encoding="gzip")[0] == 200
    assert service.ask("/readyz", "")[0] == 200


def test_questions_are_answered_and_figures_told(service):
    for start in range(0, 1200, 400):
        service.send(gzip.compress(lines_of(plaza_boxes(3.0).take(slice(start, start + 400)))), Content_Encoding="gzip")
    service.ask("/v1/sites/plaza/finish", method="POST")
    there = service.data("/v1/sites/plaza/positions")["objects"]
    wait_for(lambda: service.data("/v1/sites/plaza/positions")["objects"])
    there = service.data("/v1/sites/plaza/positions")["objects"]
    number = there[0]["id"]
    assert service.data(f"/v1/sites/plaza/where/{number}")["object"] == number
    assert number in [one["object"] for one in service.data("/v1/sites/plaza/state")["objects"]]
    assert service.data(f"/v1/sites/plaza/history?object={number}")["phases"]
    events = service.data("/v1/sites/plaza/events")["events"]
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})
    later = service.data(f"/v1/sites/plaza/events?after={events[0]['id']}&limit=1")
    assert later["events"] == events[1:2]
    figures = service.ask("/metrics")[1].decode()
    assert 'geoloc_rows_total{site="plaza"}' in figures
    assert 'geoloc_up{site="plaza"} 1.0' in figures


def test_the_description_names_every_address_and_no_other(service):
    described = parse_json(service.ask("/openapi.json", "")[1].decode(), "openapi.json")["paths"]
    own = {(path, "get") for path in (*GET, "/metrics", "/healthz", "/readyz")} | {(path, "post") for path in POST}
    own |= {(path, "delete") for path in DELETE}
    assert {(path, verb) for path, item in described.items() for verb in item if verb != "parameters"} == own
