"""Parts of the live service by themselves: slow clients, the pace of tokens, the tokens' file, what a sender does."""

import asyncio
import json
import logging

import numpy as np
import pytest
from serve_samples import plaza_boxes

from geoloc.cli.serve import JsonLines
from geoloc.errors import InputError, UnknownNameError
from geoloc.service.serve import limits
from geoloc.service.serve.hub import ALL, NEWEST, Hub, SlowError
from geoloc.service.serve.limits import Pace
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.sender import Sender, batches_of
from geoloc.service.serve.tokens import digest_of, read_tokens

OPTIONS = ServeOptions(behind=5, send_s=0.1, positions_hz=100)


def deliver(listener, send, seconds: float = 5.0) -> None:
    async def go() -> None:
        await asyncio.wait_for(listener.deliver(send), seconds)

    asyncio.run(go())


def test_a_client_that_looks_gets_the_newest_and_misses_those_between():
    hub, seen = Hub(OPTIONS), []
    listener = hub.join(NEWEST)

    async def send(message: str) -> None:
        seen.append(message)
        if len(seen) == 1:
            for k in range(10):
                listener.show(str(k))

    listener.show("first")
    with pytest.raises(TimeoutError):
        deliver(listener, send, 0.3)
    assert seen == ["first", "9"]
    assert listener.skipped == 9


def test_a_client_that_takes_nothing_is_cut_off():
    async def send(message: str) -> None:
        await asyncio.sleep(60)

    listener = Hub(OPTIONS).join(ALL)
    listener.put("one")
    with pytest.raises(SlowError, match="took no message"):
        deliver(listener, send)


def test_a_client_that_is_too_far_behind_is_cut_off_and_its_queue_is_bounded():
    async def send(message: str) -> None:
        pytest.fail("it is cut off before")

    listener = Hub(OPTIONS).join(ALL)
    for k in range(OPTIONS.behind + 1):
        listener.put(str(k))
    with pytest.raises(SlowError, match="more than 5 messages"):
        deliver(listener, send)
    for k in range(1000):
        listener.put(str(k))
    assert listener.waiting <= OPTIONS.behind + 1


def test_a_pace_is_kept_over_seconds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    pace = Pace(10.0)
    assert [pace.wait_s(10) for _ in range(3)] == [0, 0, 0]
    assert pace.wait_s(10) == pytest.approx(1.0)
    now[0] = 1.01
    assert pace.wait_s(10) == 0
    now[0] = 20.0
    assert pace.wait_s(300) == 0, "more than the whole budget is taken once that is full"
    assert pace.wait_s(1) > 25


def test_a_tokens_file_is_checked_and_never_shown(tmp_path):
    path = tmp_path / "tokens.json"
    good = {"name": "a", "sha256": digest_of("secret"), "scopes": ["read"], "sites": ["x"]}

    def read(*tokens: dict) -> object:
        path.write_text(json.dumps({"schema": 1, "tokens": list(tokens)}))
        return read_tokens(path, ["x"])

    found = read(good).find("secret")
    assert found.may("read", "x")
    assert not found.may("write", "x")
    assert not found.may("read", "y")
    assert read(good).find("Secret") is None
    with pytest.raises(UnknownNameError, match="did you mean 'read'"):
        read({**good, "scopes": ["reed"]})
    with pytest.raises(UnknownNameError, match="unknown site"):
        read({**good, "sites": ["y"]})
    with pytest.raises(InputError, match="two tokens"):
        read(good, good)
    with pytest.raises(InputError, match="64 hexadecimal digits") as told:
        read({**good, "sha256": "secret itself"})
    assert "secret itself" not in str(told.value)


def test_batches_hold_every_box_once_in_order_of_time(rng):
    boxes = plaza_boxes(3.0)
    batches = [batch for _, batch in batches_of(boxes.take(rng.permutation(len(boxes))), 0.25)]
    times = np.concatenate([batch.time for batch in batches])
    assert sorted(np.concatenate([batch.id for batch in batches])) == sorted(boxes.id)
    assert (np.diff(times) >= 0).all()
    assert len(batches) == 12


def test_a_sender_gives_up_with_the_next_step_when_nobody_is_there():
    sender = Sender("http://127.0.0.1:9", "x", "t", 0.2)
    with pytest.raises(InputError, match="is geoloc serve running there"), sender:
        sender.finish()
    with pytest.raises(InputError, match="give the address"):
        Sender("ftp://x", "x", "t")


def test_logs_are_json_lines():
    record = logging.LogRecord("geoloc.x", logging.INFO, "f.py", 1, "a %s", ("b\nc",), None)
    record.said = {"route": "/v1/sites/{site}/positions", "status": 200}
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "a b\nc"
    assert json.loads(line)["status"] == 200
