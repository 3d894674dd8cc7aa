"""A client of the live map that does not read: it is cut off, and nobody else notices."""

import asyncio
import json
import os
import socket
import threading

import numpy as np
from fault_samples import held_mb, pause
from serve_samples import ALL, plaza_boxes, running, wait_for

from geoloc.pipeline.localizer import LocalizerOptions, window_numbers
from geoloc.scene.tables import Detections
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.sender import Sender, batches_of

OPTIONS = ServeOptions(silent_s=1e6, behind=30, send_s=1.0)
SECONDS, TIMES = 3.0, 6
MORE_MB = 150.0
HELLO = (
    "GET /v1/sites/plaza/live?wants={wants} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Authorization: Bearer {token}\r\n\r\n"
)


def deaf(port: int, wants: str) -> socket.socket:
    """A client that says hello, and takes nothing more than fits its small buffer."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", port))
    one.sendall(HELLO.format(wants=wants, port=port, token=ALL).encode())
    assert one.recv(12) == b"HTTP/1.1 101"
    return one


def drives() -> list[Detections]:
    """A few seconds of the plaza, again and again."""
    boxes = plaza_boxes(SECONDS)
    again = [boxes.replace(time=boxes.time + k * SECONDS) for k in range(TIMES)]
    return [batch for one in again for _, batch in batches_of(one, 0.1)]


def test_clients_that_do_not_read_are_cut_off_and_hold_up_nobody(tmp_path):
    windows, ready, stop = [], threading.Event(), threading.Event()
    with running(tmp_path / "state", OPTIONS) as live:
        before, hub = held_mb(os.getpid()), live.service.sites["plaza"].hub
        ears = [deaf(live.port, "all") for _ in range(3)]
        thread = threading.Thread(target=hear, args=(live.url, windows, ready, stop))
        thread.start()
        assert ready.wait(60)
        wait_for(lambda: len(hub.listeners) == 4)
        with Sender(live.url, "plaza", ALL) as sender:
            for batch in drives():
                sender.send(batch)
                pause(0.01)  # the one that reads keeps up
            sender.finish()
            wait_for(lambda: hub.cut_off == 3, 120)
        wait_for(lambda: windows and windows[-1] == hub.positions["window"], 60)
        stop.set()
        thread.join()
        sent = np.concatenate([window_numbers(batch.time, LocalizerOptions().window_s) for batch in drives()])
        assert set(windows) == set(sent.tolist()), "who reads gets every window"
        assert held_mb(os.getpid()) - before < MORE_MB
        assert live.ask("/readyz", "")[0] == 200
        for ear in ears:
            ear.close()
        wait_for(lambda: not hub.listeners)
        assert live.service.sockets == 0


def hear(url: str, windows: list[int], ready: threading.Event, stop: threading.Event) -> None:
    import aiohttp

    async def go() -> None:
        address = url.replace("http", "ws", 1) + "/v1/sites/plaza/live?wants=all"
        headers = {"Authorization": f"Bearer {ALL}"}
        options = {"headers": headers, "max_msg_size": 0}
        async with aiohttp.ClientSession() as session, session.ws_connect(address, **options) as ear:
            while not stop.is_set():
                try:
                    said = json.loads((await ear.receive(timeout=0.5)).data)
                except TimeoutError:
                    continue
                if said["type"] == "ready":
                    ready.set()
                elif said["type"] == "tracks":
                    windows.append(said["window"])

    asyncio.run(go())
