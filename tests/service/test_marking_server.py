"""The marking page's server: what is not exactly its own page's request gets nothing."""

import http.client
import json

import pytest

from geoloc.errors import InputError
from geoloc.service.marking_server import MarkingServer

HOSTS = ("evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "localhost.evil:{port}")
LINE = {
    "action": "draw", "camera": "p1-ramp-foot", "line": {"kind": "plumb", "start": [10, 20], "end": [12, 200]},
}  # fmt: skip
PICK = {"x": 1.0, "y": 2.0, "level": "P1", "cut": 3.0, "size": 0.1}
MARK = {"action": "mark", "camera": "p1-ramp-foot", "point": "ramp foot", "pixel": [10, 20], "sigma": 1}


def request(server, path, method="GET", body=None, **headers):
    """Status and content of one request, sent as it stands: no client tidies the path up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    host = headers.pop("Host", f"127.0.0.1:{server.server_port}")
    connection.putrequest(method, path, skip_host=True)
    content = json.dumps(body).encode() if body is not None else b""
    for name, value in {"Host": host, "Content-Length": str(len(content)), **headers}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders(content)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data, answer.headers


def page(server, name):
    return f"/{server.token}/{name}"


def own(server):
    return {"Origin": f"http://127.0.0.1:{server.server_port}", "Content_Type": "application/json"}


def test_the_page_and_its_stills_are_served(server, stills):
    status, content, headers = request(server, page(server, ""))
    assert status == 200
    assert b"<!doctype html>" in content
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"  # the address holds the secret
    status, content, _ = request(server, page(server, "still/0"))
    assert status == 200
    assert content == (stills / "p1-ramp-foot.png").read_bytes()


def test_only_this_machine_is_listened_to(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    [
        "/", "/state", "/wrong/state", "//state", "/{token}", "/{token}x/state",
        "/{token}/../state", "/{token}/still/../../../etc/passwd", "/{token}/still/..%2f..%2fetc%2fpasswd",
        "/{token}/still/-1", "/{token}/still/2", "/{token}/still/p1-ramp-foot.png", "/{token}/still//etc/passwd",
        "/{token}/still/%C2%B2", "/{token}/../../../etc/passwd",
        "/{token}/scan/0/300.png", "/{token}/scan/-1/300.png", "/{token}/scan/..%2f/1.png",
        "/{token}/mark.html", "/{token}/change", "/{token}/plan",
        "/{token}/page.html", "/{token}/still/", "/{token}/still/00000000000000000000000",
    ],
)  # fmt: skip
def test_no_other_path_gives_anything(server, path):
    path = path.replace("{token}", server.token).encode().decode("latin-1")
    status, content, _ = request(server, path)
    assert status == 404, content[:200]
    assert set(json.loads(content)) == {"error"}


@pytest.mark.parametrize("host", HOSTS)
def test_another_host_is_refused(server, host):
    """A name that was pointed at this machine meanwhile (DNS rebinding) is another host."""
    host = host.replace("{port}", str(server.server_port))
    assert request(server, page(server, "state"), Host=host)[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"}, {"Origin": "http://127.0.0.1:1"},
    ],
)  # fmt: skip
def test_another_origin_is_refused_even_with_the_token(server, headers):
    assert request(server, page(server, "state"), **headers)[0] == 403
    assert request(server, page(server, "change"), "POST", MARK, **{**own(server), **headers})[0] == 403
    assert len(server.session.state.marks) == 0


def test_a_change_needs_an_origin_and_is_json(server):
    assert request(server, page(server, "change"), "POST", MARK, Content_Type="application/json")[0] == 403
    plain = {**own(server), "Content_Type": "text/plain"}
    assert request(server, page(server, "change"), "POST", MARK, **plain)[0] == 403
    assert request(server, page(server, "change"), "POST", MARK, **own(server))[0] == 200
    assert len(server.session.state.marks) == 1


@pytest.mark.parametrize(
    "change",
    [
        [], {}, {"action": "shutdown"}, {"action": "solve"}, {**MARK, "camera": "../x"}, {**MARK, "camera": 3},
        {**MARK, "pixel": [1]}, {**MARK, "pixel": ["a", 2]}, {**MARK, "pixel": [1e9, 2]}, {**MARK, "sigma": -1},
        {**MARK, "sigma": None}, {**MARK, "point": ""}, {**MARK, "point": "x" * 201}, {**MARK, "spot": {"x": 1}},
        {**MARK, "spot": {"x": 1, "y": 2, "level": "P9", "height": 0, "sigma_xy": 1, "sigma_z": 1}},
        {**MARK, "spot": {"x": 1, "y": 2, "level": "P1", "height": 0, "sigma_xy": 1, "sigma_z": 1}},
        {"action": "unmark", "camera": "p1-ramp-foot", "point": "ramp foot"},
        {"action": "remove_point", "point": "ramp foot"}, {"action": "draw", "camera": "p1-ramp-foot"},
        {**LINE, "camera": "gone"}, {**LINE, "line": {**LINE["line"], "kind": "bent"}},
        {**LINE, "line": {**LINE["line"], "end": [1e9, 2]}}, {**LINE, "line": {**LINE["line"], "end": [10, 22]}},
        {**LINE, "line": {**LINE["line"], "kind": "parallel"}}, {**LINE, "line": {**LINE["line"], "group": "x" * 201}},
        {**LINE, "action": "erase"}, {**LINE, "instead_of": LINE["line"]},
    ],
)  # fmt: skip
def test_a_broken_change_changes_nothing_and_says_why(server, session, change):
    status, content, _ = request(server, page(server, "change"), "POST", change, **own(server))
    assert status == 409
    assert json.loads(content)["error"]
    assert len(session.state.marks) == 0
    assert len(session.state.lines) == 0
    assert list(session.folder.glob("*")) == []


@pytest.mark.parametrize("pick", [PICK, {}, [], {**PICK, "x": "a"}, {**PICK, "level": "P9"}, {**PICK, "cut": 0}])
def test_without_a_scan_there_is_nothing_to_pick(server, pick):
    status, content, _ = request(server, page(server, "pick"), "POST", pick, **own(server))
    assert status == 409
    assert json.loads(content)["error"]
    assert request(server, page(server, "pick"), "POST", pick, Content_Type="application/json")[0] == 403
    for which in ("0/300", "9/300", "0/x", "/", "0/99999999"):
        assert request(server, page(server, f"scan/{which}"))[0] == 409


def test_too_long_a_change_is_refused(server):
    status, _, _ = request(server, page(server, "change"), "POST", {"x": "y" * 200_000}, **own(server))
    assert status == 413


def test_a_port_that_is_taken_is_named(server, session):
    with pytest.raises(InputError, match=f"port {server.server_port}: cannot be used"):
        MarkingServer(session, server.server_port)


def test_every_server_has_its_own_secret(server, session):
    other = MarkingServer(session)
    other.server_close()
    assert len(server.token) >= 32
    assert other.token != server.token
