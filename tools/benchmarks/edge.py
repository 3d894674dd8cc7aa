"""`geoloc serve --edge` on one core under a hard memory limit, fed in real time by eight cameras at 10 Hz.

The service is a process of its own, held to one core and, where the system lets us, by a control group to 1 GB of
memory, its files' cache included; elsewhere by RLIMIT_AS. The cameras' boxes are drawn and sent from another core.
"""

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

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
EVERY_S = 5.0  # between two looks at memory and disk
GROUPS = Path("/sys/fs/cgroup/memory")


def bench_edge(seconds: float = SECONDS) -> list[Row]:
    """Memory, disk and the way from a packet to positions, while the site is played."""
    world = garage()
    site = Site("edge", world.site.cameras[:CAMERAS], world.site.site_map)
    seen = _drawn(site)
    name = f"serve --edge, {CAMERAS} cameras at {RATE:g} Hz, one core, 1 GB, {seconds:.0f} s"
    with tempfile.TemporaryDirectory(prefix="geoloc-edge-") as folder, _memory_group() as group:
        save_site(site, folder)
        state = Path(folder) / "state"
        before, (own, theirs) = os.sched_getaffinity(0), _cores()
        words = ["edge", "--root", folder, "--state", str(state), "--port", "0"]
        log = (Path(folder) / "log").open("w")
        service = subprocess.Popen(
            [sys.executable, "-m", "geoloc", "serve", *words, "--edge"], stdout=subprocess.PIPE, stderr=log, text=True,
            preexec_fn=lambda: _confine(own, group),
        )  # fmt: skip
        try:
            assert service.stdout is not None
            url, _, token = service.stdout.readline().strip().partition("/#token=")
            os.sched_setaffinity(0, {theirs})
            played = _Played(url, token, service.pid, state, group)
            played.play(site, seen, seconds)
        finally:
            service.send_signal(signal.SIGTERM)
            ended = service.wait(60)
            os.sched_setaffinity(0, before)
            log.close()
        refused = Counter(re.findall(r'"status": ([45]\d\d)', (Path(folder) / "log").read_text()))
        return [*played.rows(name), Row(name, "exit status", float(ended), "", None, "0", f"refused: {dict(refused)}")]


class _Played:
    """What was measured while it was played."""

    def __init__(self, url: str, token: str, pid: int, state: Path, group: Path | None) -> None:
        self._url, self._token, self._pid, self._state, self._group = url, token, pid, state, group
        self._sent: list[tuple[int, float]] = []  # last window that a packet may have closed, and when it was sent
        self._told: dict[int, float] = {}  # when a window was told
        self._looks: list[tuple[float, float, float, float]] = []  # s, MB, MB, s of CPU
        self._done = threading.Event()
        self._sender: Sender | None = None

    def play(self, site: Site, seen: Detections, seconds: float) -> None:
        """Send what the cameras see, at the pace at which they see it."""
        threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._look)]
        with Sender(self._url, site.name, self._token) as self._sender:
            for thread in threads:
                thread.start()
            until = time.time() + seconds
            for batch in _now(seen):
                lead = float(batch.time.max())
                if lead > until:
                    break
                time.sleep(max(lead - time.time(), 0.0))
                closes = int(np.floor((lead - LocalizerOptions().packets.wait_s) / LocalizerOptions().window_s)) - 1
                self._sent.append((closes, time.time()))
                self._sender.send(batch)
        time.sleep(1.0)
        self._done.set()
        for thread in threads:
            thread.join(30.0)

    def _listen(self) -> None:
        import aiohttp

        async def hear() -> None:
            async with aiohttp.ClientSession() as session:
                address = self._url.replace("http", "ws", 1) + "/v1/sites/edge/live?wants=all"
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    await socket.send_json({"token": self._token})
                    while not self._done.is_set():
                        try:
                            said = json.loads((await socket.receive(timeout=1.0)).data)
                        except TimeoutError:
                            continue
                        if said["type"] == "tracks":
                            self._told.setdefault(said["window"], time.time())

        asyncio.run(hear())

    def _look(self) -> None:
        start = time.time()
        while not self._done.wait(EVERY_S):
            disk = sum(path.stat().st_size for path in self._state.rglob("*") if path.is_file())
            ticks = sum(map(int, Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
            cpu = ticks / os.sysconf("SC_CLK_TCK")
            self._looks.append((time.time() - start, _resident(self._pid), disk / 1e6, cpu))
            if len(self._looks) % 12 == 0:
                said = "{:.0f} s: {:.0f} MB in memory, {:.1f} MB on disk, {:.1f} s of CPU\n"
                sys.stderr.write(said.format(*self._looks[-1]))

    def rows(self, name: str) -> list[Row]:
        """The figures."""
        delays = []
        causes = np.array([closes for closes, _ in self._sent])
        for window, at in self._told.items():
            k = int(np.searchsorted(causes, window))
            if k < len(causes):
                delays.append(at - self._sent[k][1])
        p50, p99 = np.quantile(delays, [0.5, 0.99]) * 1000
        looks = np.array(self._looks)
        third = len(looks) // 3
        assert self._sender is not None
        took = np.array(self._sender.sent.took_s) * 1000
        limit = "control group, with its files' cache" if self._group is not None else "RLIMIT_AS"
        peak = _peak(self._group) if self._group is not None else looks[:, 1].max()
        busy = (looks[-1, 3] - looks[0, 3]) / (looks[-1, 0] - looks[0, 0])
        about = f"{len(delays)} windows, behind the 0.3 s that they wait"
        steady = looks[-third:, 1].mean() / looks[third:-third, 1].mean()
        return [
            Row(name, "packet to position, p50", p50, "ms", None, "50 ms", about),
            Row(name, "packet to position, p99", p99, "ms", None, "150 ms", f"worst {1000 * max(delays):.0f} ms"),
            Row(name, "packet to receipt, p50", float(np.quantile(took, 0.5)), "ms", None, "", f"{len(took)} packets"),
            Row(name, "packet to receipt, p99", float(np.quantile(took, 0.99)), "ms"),
            Row(name, "packets sent again", float(self._sender.sent.again), "", None, "0"),
            Row(name, "memory held, most", looks[:, 1].max(), "MB", None, "1074", "resident"),
            Row(name, "memory counted, most", peak, "MB", None, "1074", limit),
            Row(name, "memory held, last third over middle", steady, ""),
            Row(name, "core used", 100 * busy, "%", None, "< 100 %"),
            Row(name, "disk, at the end", looks[-1, 2], "MB", None, "", f"most {looks[:, 2].max():.1f} MB"),
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


def _resident(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1.024e-3


def _peak(group: Path) -> float:
    return int((group / "memory.max_usage_in_bytes").read_text()) / 1e6
