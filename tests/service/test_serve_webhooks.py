"""Events to webhooks: signed, tried again, resumed after a restart, and never handed on to another host."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from broker_samples import service_with
from serve_samples import plaza_boxes, running, wait_for

from geoloc.errors import InputError
from geoloc.service.serve.bridges.options import BridgeOptions, WebhookOptions, read_bridges
from geoloc.service.serve.bridges.webhooks import SIGNATURE, is_signed
from geoloc.service.serve.heard import lines_of

KEY = "a key of at least 16 characters"


class Receiver:
    """Somebody who is told. `answers` are statuses to begin with; then 200."""

    def __init__(self, answers: tuple[int, ...] = ()) -> None:
        self.posts: list[tuple[bytes, str]] = []
        self.tries = 0
        left, receiver = list(answers), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = left.pop(0) if left else 200
                receiver.tries += 1
                if status == 200:
                    receiver.posts.append((body, self.headers[SIGNATURE]))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://localhost:{receiver.port}/elsewhere")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def events(self) -> dict[int, dict]:
        """What was said last under each id."""
        return {one["id"]: one for body, _ in self.posts for one in json.loads(body)["events"]}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hooked(tmp_path):
    """Function that makes a service with a hook to a receiver."""
    (tmp_path / "key").write_text(KEY)

    def make(receiver: Receiver, **how: object):
        hook = WebhookOptions(f"http://127.0.0.1:{receiver.port}/in", str(tmp_path / "key"), retry_s=0.05, **how)
        service = service_with(tmp_path / "state", BridgeOptions(webhooks={"test": hook}))
        return running(tmp_path / "state", service=service)

    return make


def send(live, start: float, stop: float) -> None:
    """Whole windows from `start` to `stop` s."""
    boxes = plaza_boxes(3.0)
    since = boxes.time - np.floor(10 * boxes.time.min()) / 10
    live.send(lines_of(boxes.take((since >= start) & (since < stop))))
    live.ask("/v1/sites/plaza/finish", method="POST")


def told(live) -> dict[int, dict]:
    return {one["id"]: one for one in live.data("/v1/sites/plaza/events")["events"]}


def test_events_are_signed_tried_again_and_not_lost_while_nobody_is_there(hooked):
    receiver = Receiver((500, 302, 429))
    with hooked(receiver) as live:
        send(live, 0.0, 1.5)
        wait_for(lambda: told(live).items() <= receiver.events.items())
        assert receiver.tries > 3, "a redirect is not followed, it is a failure"
        body, given = receiver.posts[0]
        assert is_signed(KEY.encode(), body, given, time.time())
        assert not is_signed(KEY.encode(), body + b" ", given, time.time())
        assert not is_signed(KEY.encode(), body, given, time.time() + 1000)
    first, before = set(receiver.events), len(receiver.posts)
    receiver.close()
    with hooked(receiver) as live:  # nobody listens there any more
        send(live, 1.5, 3.0)
        waiting = set(told(live)) - first
        assert waiting
    late = Receiver()
    with hooked(late) as live:
        wait_for(lambda: waiting <= set(late.events))
        assert first.isdisjoint(late.events), "what was taken is not told again"
        assert before == len(receiver.posts)
    late.close()


def test_only_the_kinds_that_are_asked_for_are_told(hooked):
    receiver = Receiver()
    with hooked(receiver, kinds=("entered",)) as live:
        send(live, 0.0, 1.5)
        wait_for(lambda: receiver.events)
        assert {one["kind"] for one in receiver.events.values()} <= {"entered", "withdrawn"}
    receiver.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[mqtt]\nurl = 'mqtt://me:secret@host'", "leave user and password out"),
        ("[mqtt]\nurl = 'http://host'\nscenescap = true", "unknown option"),
        ("[webhook.a]\nurl = 'http://example.org'\nsecret_file = 'x'", "https"),
        ("[webhook.a]\nurl = 'https://example.org'", "secret_file"),
        ("[webhook.a]\nurl = 'https://example.org'\nsecret_file = 'x'\nkinds = ['exploded']", "unknown kind"),
        ("[kafka]", "unknown key"),
    ],
)
def test_a_file_of_bridges_is_checked_and_shows_no_password(tmp_path, text, why):
    path = tmp_path / "bridges.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=why) as said:
        read_bridges(path)
    assert "secret@" not in str(said.value)
