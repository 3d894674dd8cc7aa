"""`geoloc serve` under load: a hundred cameras at 10 Hz with twenty boxes each, then twice as much, then as before.

The service is a process of its own with the other core for the senders, which are gateways of ten cameras each: a
packet a gateway and frame, at the time at which it is due, whatever became of those before; what is refused waits at
its gateway and is sent again in order. So a delay counts from when a packet was due, waits of its sender included.
"""

import asyncio
import json
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.live import Looks, closes, delays, serving
from benchmarks.row import Row
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.storage import save_site
from geoloc.scene.tables import Detections
from geoloc.synthetic import grid_site, observe, simulate

CAMERAS, RATE, BOXES = 100, 10.0, 20
GATEWAY = 10  # cameras that one sender sends for
OBJECTS = 6.7  # a camera: they make the boxes
DRAWN_S = 6.0  # of a drive, which is played to and fro
NORMAL_S, TWICE_S, AFTER_S = 600.0, 60.0, 120.0
CALM_S = 5.0  # whose 99 % are back under what is asked: recovered
DRAIN_S = 60.0  # for what waits at the senders, at the end
P50_MS, P99_MS = 50.0, 150.0
PEER = "Intel SceneScape's published target: 4 cameras at 15 Hz, p99 133 ms"
LIMITS = ("--limit", "positions_hz=50")  # every window is told, not the newest of some


@dataclass(frozen=True)
class Plan:
    """How long it is played at the normal rate, at twice that, and at the normal one again (s)."""

    normal_s: float = NORMAL_S
    twice_s: float = TWICE_S
    after_s: float = AFTER_S

    @property
    def edges(self) -> tuple[float, float, float]:
        """When each part ends, s from the start."""
        return self.normal_s, self.normal_s + self.twice_s, self.normal_s + self.twice_s + self.after_s

    def rate(self, after: float) -> float:
        """Frames a second of each camera, so many s from the start."""
        return 2 * RATE if self.edges[0] <= after < self.edges[1] else RATE


@dataclass(eq=False)
class Played:
    """What was measured."""

    start: float = 0.0  # s
    sent: list[tuple[float, float]] = field(default_factory=list)  # stamp (s) of each packet, in order
    receipts: list[tuple[float, float]] = field(default_factory=list)  # when a packet was due, and s until its receipt
    told: dict[int, float] = field(default_factory=dict)  # when a window was told
    refused: list[float] = field(default_factory=list)  # when a packet was refused, to be sent again
    rows: int = 0
    taken: int = 0  # boxes that were acknowledged
    held: int = 0  # most packets that waited at their senders


def bench_load(plan: Plan = Plan()) -> list[Row]:
    """Delays, losses and memory at the normal rate, at twice that, and how long it takes to be as before."""
    site, drive = drawn()
    name = f"serve, {CAMERAS} cameras at {RATE:g} Hz, {drive.boxes:.1f} boxes each"
    with tempfile.TemporaryDirectory(prefix="geoloc-load-") as folder:
        save_site(site, folder)
        with serving(Path(folder), site.name, LIMITS) as served, Looks(served.process.pid, served.state) as looks:
            played = asyncio.run(_play(served.url, served.token, site, drive, plan))
            unused = asyncio.run(_unused(served.url, served.token))
        assert served.status is not None
        ended = Row(name, "exit status", float(served.status), "", None, "0", f"refused: {served.refused}")
    return [*_rows(name, plan, played, looks), *_loss(name, played, unused), ended]


# ---- what is sent


@dataclass(frozen=True, eq=False)
class Drive:
    """What each camera sees in each of some frames, written as it is sent but for the time."""

    cameras: tuple[str, ...]
    frames: tuple[tuple[bytes, ...], ...]
    counts: np.ndarray  # (frames, cameras)

    @property
    def boxes(self) -> float:
        """Mean of a frame."""
        return float(self.counts.mean())

    def packet(self, gateway: slice, step: int, stamp: float) -> tuple[bytes, int]:
        """The packet of some cameras at a step of twice the rate, stamped; and how many boxes it has."""
        n = len(self.frames)
        k = step % (2 * n)
        k = k if k < n else 2 * n - 1 - k  # to and fro: nobody jumps
        lines = [
            b'{"time":%.6f,"camera":"%s","boxes":%s}' % (stamp, camera.encode(), boxes)
            for camera, boxes in zip(self.cameras[gateway], self.frames[k][gateway], strict=True)
        ]
        return b"\n".join(lines), int(self.counts[k, gateway].sum())


def drawn() -> tuple[Site, Drive]:
    """The site, and what its cameras see of a drive at twice the rate."""
    world, rng = grid_site(CAMERAS, OBJECTS), np.random.default_rng(7)
    traffic = replace(world.traffic, duration=DRAWN_S, rate=2 * RATE, warmup=5.0)
    seen = observe(world, simulate(world, rng, traffic), rng)
    return seen.site, _written(seen.site, seen.detections)


def _written(site: Site, seen: Detections) -> Drive:
    step = np.round((seen.time - seen.time.min()) * 2 * RATE).astype(int)
    index = np.array([site.camera_index[name] for name in seen.camera])
    shape = (int(step.max()) + 1, len(site.cameras))
    cells: list[list[list[dict[str, object]]]] = [[[] for _ in range(shape[1])] for _ in range(shape[0])]
    boxes, scores, labels = seen.box.round(2).tolist(), seen.score.round(3).tolist(), seen.label.tolist()
    for k, box in enumerate(boxes):
        cells[step[k]][index[k]].append({"box": box, "label": labels[k], "score": scores[k]})
    text = tuple(tuple(json.dumps(cell, separators=(",", ":")).encode() for cell in row) for row in cells)
    counts = np.array([[len(cell) for cell in row] for row in cells])
    return Drive(tuple(camera.name for camera in site.cameras), text, counts)


# ---- playing


async def _play(url: str, token: str, site: Site, drive: Drive, plan: Plan) -> Played:
    import aiohttp

    played = Played()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        await _until_ready(session, url)
        address = f"{url.replace('http', 'ws', 1)}/v1/sites/{site.name}/live"
        async with session.ws_connect(address, max_msg_size=0) as socket:
            await socket.receive()  # the map, which is drawn when the first page is opened
            hearing = asyncio.create_task(_hear(socket, played))
            played.start = time.time() + 1.0
            slices = [slice(k, k + GATEWAY) for k in range(0, CAMERAS, GATEWAY)]
            gateways = [_Gateway(session, f"{url}/v1/sites/{site.name}/detections", played) for _ in slices]
            work = [asyncio.create_task(gateway.deliver()) for gateway in gateways]
            await _schedule(slices, gateways, drive, plan, played)
            for gateway in gateways:
                gateway.close()
            _, late = await asyncio.wait(work, timeout=DRAIN_S)  # what is left then counts as not acknowledged
            for one in late:
                one.cancel()
            await asyncio.sleep(2.0)
            hearing.cancel()
    return played


async def _until_ready(session: "object", url: str) -> None:
    while True:
        async with session.get(f"{url}/readyz") as answer:  # type: ignore[attr-defined]
            if answer.status == 200:
                return
        await asyncio.sleep(0.2)


async def _hear(socket: "object", played: Played) -> None:
    """When each window's positions come; the text is not looked into, so that it costs the senders nothing."""
    async for message in socket:  # type: ignore[attr-defined]
        now, text = time.time(), message.data
        if text.startswith('{"type":"positions"'):
            window = int(text[:60].split('"window":', 1)[1].split(",", 1)[0])
            played.told.setdefault(window, now)


async def _schedule(
    slices: list[slice], gateways: list["_Gateway"], drive: Drive, plan: Plan, played: Played
) -> None:
    """Hand each gateway its packets when they are due; each has a phase of its own within the frame."""
    moment = step = 0.0
    while moment < plan.edges[-1]:
        rate = plan.rate(moment)
        for k, (cameras, gateway) in enumerate(zip(slices, gateways, strict=True)):
            stamp = played.start + moment + k / len(gateways) / rate
            await asyncio.sleep(max(stamp - time.time(), 0.0))
            body, n = drive.packet(cameras, round(step), stamp)
            played.sent.append((stamp, stamp))
            played.rows += n
            gateway.put(stamp, body)
        played.held = max(played.held, sum(len(gateway.waiting) for gateway in gateways))
        moment += 1.0 / rate
        step += 2 * RATE / rate


class _Gateway:
    """Sends the packets of some cameras in order, each until it is acknowledged."""

    def __init__(self, session: "object", address: str, played: Played) -> None:
        self.waiting: deque[tuple[float, bytes]] = deque()
        self._session, self._address, self._played = session, address, played
        self._wake, self._closed = asyncio.Event(), False

    def put(self, stamp: float, body: bytes) -> None:
        """A packet that is due."""
        self.waiting.append((stamp, body))
        self._wake.set()

    def close(self) -> None:
        """No more comes."""
        self._closed = True
        self._wake.set()

    async def deliver(self) -> None:
        """Until there is nothing left."""
        while self.waiting or not self._closed:
            await self._wake.wait()
            self._wake.clear()
            while self.waiting:
                await self._sent(*self.waiting[0])
                self.waiting.popleft()

    async def _sent(self, stamp: float, body: bytes) -> None:
        headers = {"Content-Type": "application/x-ndjson"}
        while True:
            async with self._session.post(self._address, data=body, headers=headers) as answer:  # type: ignore[attr-defined]
                said = await answer.json()
                if answer.status == 200:
                    self._played.receipts.append((stamp, time.time() - stamp))
                    self._played.taken += said["accepted"]
                    return
                if answer.status not in (429, 503):
                    raise RuntimeError(f"refused: {said}")
                self._played.refused.append(time.time())
                await asyncio.sleep(min(float(answer.headers.get("Retry-After", "0.1")), 1.0))


async def _unused(url: str, token: str) -> dict[str, float]:
    """Boxes that the engine could not use, by reason, and frames that were put in their place by replay."""
    import aiohttp

    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith("geoloc_rows_unused_total"))
    return {text.split('reason="')[1].split('"')[0]: float(value) for text, _, value in found}


# ---- figures


def _rows(name: str, plan: Plan, played: Played, looks: Looks) -> list[Row]:
    options = LocalizerOptions()
    sent = [(closes(stamp, options), due) for stamp, due in played.sent]
    due, took = delays(sent, played.told)
    due, took = due - played.start, 1000 * took
    first, second, _ = plan.edges
    rows = _part(name, due, took, 0.0, first, True)
    receipts = 1000 * np.array([s for at, s in played.receipts if at - played.start < first])
    p50, p99 = np.quantile(receipts, [0.5, 0.99]).tolist()
    rows += [
        Row(name, "packet to receipt, p50", p50, "ms", None, "", f"{len(receipts):,} packets"),
        Row(name, "packet to receipt, p99", p99, "ms"),
        Row(name, "of one core's time", 100 * looks.busy, "%", None, "", "of two, the senders' share apart"),
        Row(name, "memory held, most", float(looks.table[:, 1].max()), "MB"),
        Row(name, "memory held, last third over middle", looks.growth, ""),
        Row(name, "disk, at the end", float(looks.table[-1, 2]), "MB"),
    ]
    if plan.twice_s:
        rows += _part(f"{name}, twice the rate", due, took, first, second, False)
        rows += _back(name, due, took, second, played)
    return rows


def _part(name: str, due: np.ndarray, took: np.ndarray, start: float, end: float, asked: bool) -> list[Row]:
    some = took[(due >= start) & (due < end)]
    if not len(some):
        return [Row(name, "packet to position", None, "ms", note="no window was told in time")]
    wait = 1000 * LocalizerOptions().packets.wait_s
    about = f"{len(some)} windows; behind the {wait:.0f} ms that they wait for late frames"
    wants = (f"{P50_MS:g} ms", f"{P99_MS:g} ms") if asked else ("", "")
    p50, p99 = np.quantile(some, [0.5, 0.99])
    return [
        Row(name, "packet to position, p50", float(p50), "ms", None, wants[0], about),
        Row(name, "packet to position, p99", float(p99), "ms", None, wants[1], f"worst {some.max():.0f} ms; {PEER}"),
    ]


def _back(name: str, due: np.ndarray, took: np.ndarray, end: float, played: Played) -> list[Row]:
    """How long after the end of the double rate windows came as they were asked for again, and stayed so."""
    late = due[(due >= end) & (took > P99_MS)]
    calm = end
    for at in late:
        if at - calm > CALM_S:
            break
        calm = at
    after = int(sum(at >= played.start for at in played.refused))
    return [
        Row(name, "back to normal after", calm - end, "s", None, "", f"no window over {P99_MS:g} ms for {CALM_S:g} s"),
        Row(name, "packets refused, and sent again", float(after), "", None, "", "503, the back-pressure"),
        Row(name, "packets that waited at their senders, most", float(played.held), ""),
    ]


def _loss(name: str, played: Played, unused: dict[str, float]) -> list[Row]:
    lost = unused.get("later than the horizon", 0.0)
    said = ", ".join(f"{count:.0f} x {reason}" for reason, count in sorted(unused.items())) or "none"
    left = float(played.rows - played.taken)
    return [
        Row(name, "boxes sent and not acknowledged", left, "", None, "0", f"of {played.rows:,}"),
        Row(name, "boxes that came too late", lost, "", None, "0", f"not used: {said}"),
    ]
