"""`geoloc serve --edge` on one core under a hard memory limit, fed in real time by eight cameras at 10 Hz.

The service is a process of its own, held to one core and, where the system lets us, by a control group to 1 GB of
memory, its files' cache included; elsewhere by RLIMIT_AS. The cameras' boxes are drawn and sent from another core.
"""

import asyncio
import json
import os
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.live import Looks, Served, closes, delays, serving
from benchmarks.row import Row
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.storage import save_site
from geoloc.scene.tables import Detections
from geoloc.service.serve.sender import Sender, batches_of
from geoloc.synthetic import garage, observe, simulate

CAMERAS, RATE = 8, 10.0
LIMIT = 1 << 30  # bytes
SECONDS = 120.0
PART_S = 180.0  # of a drive, which is played again and again
GROUPS = Path("/sys/fs/cgroup/memory")


def bench_edge(seconds: float = SECONDS) -> list[Row]:
    """Memory, disk and the way from a packet to positions, while the site is played."""
    world = garage()
    site = Site("edge", world.site.cameras[:CAMERAS], world.site.site_map)
    seen = _drawn(site)
    name = f"serve --edge, {CAMERAS} cameras at {RATE:g} Hz, one core, 1 GB, {seconds:.0f} s"
    with tempfile.TemporaryDirectory(prefix="geoloc-edge-") as folder, _memory_group() as group:
        save_site(site, folder)
        before, (own, theirs) = os.sched_getaffinity(0), _cores()
        with serving(Path(folder), site.name, ["--edge"], lambda: _confine(own, group)) as served:
            os.sched_setaffinity(0, {theirs})
            try:
                played = _Played(served)
                with Looks(served.process.pid, served.state) as looks:
                    played.play(site, seen, seconds)
                peak = _peak(group) if group is not None else float(looks.table[:, 1].max())
            finally:
                os.sched_setaffinity(0, before)
        limit = "control group, with its files' cache" if group is not None else "RLIMIT_AS"
        assert served.status is not None
        ended = Row(name, "exit status", float(served.status), "", None, "0", f"refused: {served.refused}")
        counted = Row(name, "memory counted, most", peak, "MB", None, "1074", limit)
        return [*played.rows(name), *_held(name, looks), counted, ended]


class _Played:
    """What was measured while it was played."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._sent: list[tuple[int, float]] = []  # last window that a packet may have closed, and when it was sent
        self._told: dict[int, float] = {}  # when a window was told
        self._done = threading.Event()
        self._sender: Sender | None = None

    def play(self, site: Site, seen: Detections, seconds: float) -> None:
        """Send what the cameras see, at the pace at which they see it."""
        thread = threading.Thread(target=self._listen, args=(site.name,), daemon=True)
        with Sender(self._served.url, site.name, self._served.token) as self._sender:
            thread.start()
            until = time.time() + seconds
            for batch in _now(seen):
                lead = float(batch.time.max())
                if lead > until:
                    break
                time.sleep(max(lead - time.time(), 0.0))
                self._sent.append((closes(lead, LocalizerOptions()), time.time()))
                self._sender.send(batch)
        time.sleep(1.0)
        self._done.set()
        thread.join(30.0)

    def _listen(self, site: str) -> None:
        import aiohttp

        async def hear() -> None:
            async with aiohttp.ClientSession() as session:
                address = self._served.url.replace("http", "ws", 1) + f"/v1/sites/{site}/live?wants=all"
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    await socket.send_json({"token": self._served.token})
                    while not self._done.is_set():
                        try:
                            said = json.loads((await socket.receive(timeout=1.0)).data)
                        except TimeoutError:
                            continue
                        if said["type"] == "tracks":
                            self._told.setdefault(said["window"], time.time())

        asyncio.run(hear())

    def rows(self, name: str) -> list[Row]:
        """The figures."""
        _, took = delays(self._sent, self._told)
        p50, p99 = np.quantile(took, [0.5, 0.99]) * 1000
        assert self._sender is not None
        receipts = np.array(self._sender.sent.took_s) * 1000
        about = f"{len(took)} windows, behind the 0.3 s that they wait"
        p50_receipt, p99_receipt = np.quantile(receipts, [0.5, 0.99]).tolist()
        return [
            Row(name, "packet to position, p50", p50, "ms", None, "50 ms", about),
            Row(name, "packet to position, p99", p99, "ms", None, "150 ms", f"worst {1000 * took.max():.0f} ms"),
            Row(name, "packet to receipt, p50", p50_receipt, "ms", None, "", f"{len(receipts)} packets"),
            Row(name, "packet to receipt, p99", p99_receipt, "ms"),
            Row(name, "packets sent again", float(self._sender.sent.again), "", None, "0"),
        ]


def _held(name: str, looks: Looks) -> list[Row]:
    memory, disk = looks.table[:, 1], looks.table[:, 2]
    return [
        Row(name, "memory held, most", float(memory.max()), "MB", None, "1074", "resident"),
        Row(name, "memory held, last third over middle", looks.growth, ""),
        Row(name, "core used", 100 * looks.busy, "%", None, "< 100 %"),
        Row(name, "disk, at the end", float(disk[-1]), "MB", None, "", f"most {disk.max():.1f} MB"),
    ]


def _drawn(site: Site) -> Detections:
    """What the cameras see of a drive, from time 0 on."""
    names, world = [camera.name for camera in site.cameras], garage()
    traffic = replace(world.traffic, duration=PART_S, rate=RATE)
    seen = observe(world, simulate(world, np.random.default_rng(1), traffic), np.random.default_rng(2)).detections
    seen = seen.take(np.isin(seen.camera, names))
    return seen.replace(id=np.full(len(seen), -1), time=seen.time - float(seen.time.min()))


def _now(seen: Detections) -> Iterator[Detections]:
    """What the cameras see from now on, in batches of a frame each: the same drive over and over."""
    start = time.time()
    while True:
        for _, batch in batches_of(seen.replace(time=seen.time + start), 1 / RATE):
            yield batch
        start += PART_S


@contextmanager
def _memory_group() -> Iterator[Path | None]:
    """A control group with the limit; None where the system does not let us."""
    group = GROUPS / f"geoloc-edge-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(LIMIT))
    except OSError:
        yield None
        return
    try:
        yield group
    finally:
        group.rmdir()


def _confine(core: int, group: Path | None) -> None:
    os.sched_setaffinity(0, {core})
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    else:
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))


def _cores() -> tuple[int, int]:
    """The service's core, and ours."""
    cores = sorted(range(os.cpu_count() or 1))
    return cores[-1], cores[0]


def _peak(group: Path) -> float:
    return int((group / "memory.max_usage_in_bytes").read_text()) / 1e6
