"""Live is the batch run, bit for bit in its final revision; kill -9 between acknowledgements loses nothing."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from serve_samples import ALL, free_port, make_service, plaza, plaza_boxes, running, serve_until

from geoloc.pipeline.codec import encode
from geoloc.pipeline.epochs import given_of
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.localizer import Localizer, replay
from geoloc.pipeline.packets import PacketLocalizer
from geoloc.scene.tables import Detections, Tracks
from geoloc.service.serve.heard import detections_of, lines_of
from geoloc.service.serve.said import tracks_of
from geoloc.service.serve.sender import Sender, batches_of

SECONDS = 6.0
BATCH_S = 0.2
QUIET_S = 2.0  # nothing for so long after the end: all has been told


@pytest.fixture(scope="module")
def boxes() -> Detections:
    return plaza_boxes(SECONDS)


def same_bytes(a: Tracks, b: Tracks) -> bool:
    columns = zip(a, b, strict=True)
    return all(left.astype(right.dtype).tobytes() == right.tobytes() for (_, left), (_, right) in columns)


def listen(url: str, windows: dict[int, list[dict]], ready, stop) -> None:
    """All tracks that are told, the last of each window."""
    import aiohttp

    async def hear() -> None:
        address = url.replace("http", "ws", 1) + "/v1/sites/plaza/live?wants=all"
        async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
            await socket.send_json({"token": ALL})
            while True:
                try:
                    said = json.loads((await socket.receive(timeout=QUIET_S)).data)
                except TimeoutError:
                    if stop.is_set():
                        return
                    continue
                if said["type"] == "ready":
                    ready.set()
                elif said["type"] == "tracks":
                    windows[said["window"]] = said["steps"]

    asyncio.run(hear())


def test_what_is_told_over_the_wire_is_the_batch_run_bit_for_bit(boxes, tmp_path, rng):
    import threading

    windows, ready, stop = {}, threading.Event(), threading.Event()
    batches = [batch for _, batch in batches_of(boxes, BATCH_S)]
    arrival = np.argsort(np.arange(len(batches)) + rng.uniform(0, 6, len(batches)))  # late by up to 1.2 s
    with running(tmp_path / "state") as service:
        thread = threading.Thread(target=listen, args=(service.url, windows, ready, stop))
        thread.start()
        assert ready.wait(60)
        with Sender(service.url, "plaza", ALL) as sender:
            for k in arrival:
                sender.send(batches[k])
            sender.finish()
        stop.set()
        thread.join()
        assert service.engine.figures.revised > 0, "some frames came late"
    live = Tracks.concat([tracks_of(step) for number in sorted(windows) for step in windows[number]])
    expected = Tracks.concat(list(replay(Localizer(plaza()), boxes)))
    assert len(live) == len(expected) > 500
    assert same_bytes(live, expected)


def test_the_wire_keeps_every_bit(boxes, rng):
    n = 40
    table = boxes.take(slice(0, n)).replace(
        foot=rng.normal(500, 100, (n, 2)), foot_cov=np.full((n, 2, 2), 1 / 3), embedding=rng.normal(0, 1, (n, 5))
    )
    assert detections_of(lines_of(table), plaza()) == table


def serve_in_child(folder: Path, port: int) -> int:
    child = os.fork()
    if not child:
        try:
            asyncio.run(serve_until(make_service(folder), port, lambda _: None, asyncio.Event()))
        finally:
            os._exit(1)
    return child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked and killed")
def test_killed_at_any_moment_nothing_acknowledged_is_lost_and_ids_go_on(boxes, tmp_path):
    import threading

    folder, port, rng = tmp_path / "state", free_port(), np.random.default_rng(7)
    batches = [batch for _, batch in batches_of(boxes, BATCH_S)][:20]
    list(replay(Localizer(plaza()), batches[0]))  # kernels are loaded before the fork
    done, records, kills = threading.Event(), [], 0

    def send() -> None:
        with Sender(f"http://127.0.0.1:{port}", "plaza", ALL, patience_s=100.0) as sender:
            for batch in batches:
                records.append(sender.send(batch))
                time.sleep(0.02)
        done.set()

    child, thread = serve_in_child(folder, port), threading.Thread(target=send)
    thread.start()
    while not done.is_set():
        before = len(records)
        while len(records) < before + int(rng.integers(2, 8)) and not done.is_set():
            time.sleep(0.002)
        time.sleep(float(rng.uniform(0, 0.03)))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
        if not done.is_set():
            child = serve_in_child(folder, port)
    thread.join()
    assert kills >= 3
    assert len(records) == len(batches)
    assert records == sorted(set(records)), "no record is acknowledged twice"
    straight = PacketLocalizer(Localizer(plaza()))
    for batch in batches:
        straight.push(batch)
    with JournaledLocalizer.open(plaza(), folder) as journaled:
        journaled.finish()
        straight.finish()
        assert journaled.number >= records[-1]
        assert engine_bytes(journaled.localizer) == engine_bytes(straight.localizer)


def engine_bytes(localizer: Localizer) -> bytes:
    """Everything that an engine knows: tracks, ids, history."""
    return encode({"engine": localizer}, given_of(localizer.site, localizer.options))
