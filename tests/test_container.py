"""The container's file: what it copies is there, what it runs is understood, and the lock holds the core install."""

import argparse
import json
import re
import shlex
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from geoloc.cli import serve
from geoloc.service.serve import edge

ROOT = Path(__file__).resolve().parents[1]


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def words(name: str) -> list[str]:
    text = next(rest for instruction, rest in instructions() if instruction == name)
    return json.loads(text[text.index("[") :])


def test_what_is_copied_is_there_and_is_not_ignored():
    kept = {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")}
    for instruction, rest in instructions():
        if instruction == "COPY" and "--from" not in rest:
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists(), source
                assert source.split("/")[0] in kept, source


def test_what_it_runs_is_understood_by_the_command():
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    program, command, *rest = words("ENTRYPOINT")
    given = parser.parse_args([*rest, "garage"])
    assert (program, command, given.sites) == ("geoloc", "serve", ["garage"])
    assert given.edge
    assert given.state == Path("/state")
    assert given.token_file is not None, "whoever can reach it needs a token"


def test_it_runs_without_rights_and_keeps_its_state_in_a_volume():
    done = dict(instructions())
    assert int(done["USER"].split(":")[0]) >= 1000
    assert done["VOLUME"] == words("ENTRYPOINT")[words("ENTRYPOINT").index("--state") + 1]
    assert sum(name == "FROM" for name, _ in instructions()) == 2


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_its_look_at_the_health_fails_when_the_service_does(status, expected):
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Health)
    Thread(target=server.serve_forever, daemon=True).start()
    python, *rest = words("HEALTHCHECK")
    port = words("ENTRYPOINT")[words("ENTRYPOINT").index("--port") + 1]
    rest = [word.replace(f":{port}/", f":{server.server_port}/") for word in rest]
    assert python == "python"
    assert subprocess.run([sys.executable, *rest], capture_output=True).returncode == expected
    server.shutdown()
    server.server_close()


def test_the_lock_holds_every_package_of_the_core_with_hashes():
    text = (ROOT / "requirements" / "edge.lock").read_text()
    core = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for line in core:
        name = re.match(r"[A-Za-z0-9._-]+", line).group().lower()
        assert re.search(rf"^{name}==", text, re.MULTILINE), f"{name}: run tools/edge_lock.py make"
    assert text.count("--hash=sha256:") > 100
    assert "://" not in text, "no index is written down"


def test_the_small_machine_has_smaller_limits():
    from geoloc.service.serve.options import ServeOptions
    from geoloc.service.store.options import StoreOptions

    assert edge.LIMITS.max_waiting < ServeOptions().max_waiting
    assert edge.STORE.keep_bytes + edge.STORE.hold_log < StoreOptions().keep_bytes
    assert edge.JOURNAL.keep_log_s == 0
