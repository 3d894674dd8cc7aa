"""Measures workers over a real NATS server on this machine: CPU and memory of a site, hand-over, take-over, snapshots.

    python tools/workers.py --sites 4 --seconds 40

Copies of the fixture garage are played in real time to one worker, to a second one that joins, and on while the first
one is killed. Needs nats-server and the extra 'nats'. Prints JSON.
"""

import argparse
import asyncio
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoloc.errors import InputError
from geoloc.io.detections import read_detections
from geoloc.scene.storage import load_site, save_site
from geoloc.scene.tables import Detections
from geoloc.service.serve.bridges.jetstream import SiteStreams
from geoloc.service.serve.bridges.options import NatsOptions
from geoloc.service.serve.heard import lines_of
from geoloc.service.serve.sender import batches_of
from geoloc.service.workers.outlet import EPOCH
from geoloc.service.workers.register import Claim, Register

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "garage"
BATCH_S = 0.1
PATIENCE_S = 300.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Heard:
    """When whole tracks came, and of which epoch, by site."""

    came: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))

    async def note(self, message: "Msg") -> None:
        """One message of tracks."""
        self.came[message.subject.split(".")[1]].append((time.monotonic(), int((message.headers or {})[EPOCH])))


class Process:
    """`geoloc worker`, and what it takes of the machine."""

    def __init__(self, root: Path, url: str, name: str, work: list[str]) -> None:
        words = [sys.executable, "-m", "geoloc", "worker", "--root", str(root), "--nats", url, "--name", name]
        for one in work:
            words += ["--work", one]
        self.name, self._log = name, (root / f"{name}.log").open("ab")
        self.process = subprocess.Popen(words, stdout=self._log, stderr=self._log)

    @property
    def cpu_s(self) -> float:
        """Seconds of a core so far."""
        cells = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(cells[11]) + int(cells[12])) / TICKS

    @property
    def memory_mb(self) -> float:
        """Resident."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def end(self, number: int) -> None:
        """Send a signal, and wait until it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait()
        self._log.close()


class Play:
    """The recording over and over, in real time, to every site."""

    def __init__(self, client: "Client", sites: list[str]) -> None:
        self._js, self._sites = client.jetstream(), sites
        table = read_detections(FIXTURE / "detections.csv.gz").detections
        self._first = float(np.nanmin(table.time))
        self._parts = list(batches_of(table, BATCH_S))
        self.length_s = self._parts[-1][0] - self._first
        self.frames = len({*zip(table.camera.tolist(), table.time.tolist(), strict=True)}) / self.length_s

    async def run(self) -> None:
        """Until it is cancelled."""
        begin = time.monotonic()
        for turn, (until, part) in ((turn, one) for turn in count() for one in self._parts):
            later = turn * self.length_s
            data = await asyncio.to_thread(_packed, part.replace(time=part.time + later))
            await asyncio.sleep(max(begin + later + until - self._first - time.monotonic(), 0.0))
            await asyncio.gather(*(self._js.publish(f"geoloc.{site}.detections.play", data) for site in self._sites))


def _packed(boxes: Detections) -> bytes:
    return gzip.compress(lines_of(boxes), 1)


class Measuring:
    """One run."""

    def __init__(self, client: "Client", root: Path, url: str, sites: list[str], work: list[str]) -> None:
        self.client, self.root, self.url, self.sites, self.work = client, root, url, sites, work
        self.heard, self.said = Heard(), dict[str, Any]()

    async def run(self, seconds: float, stack: ExitStack) -> dict[str, Any]:
        """All figures."""
        from geoloc.service.workers.options import WorkerOptions

        self._register = await Register.open(self.client.jetstream(), "geoloc", WorkerOptions().lease_s)
        for site in self.sites:
            await SiteStreams(self.client.jetstream(), NatsOptions(url=self.url), site).make()
        await self.client.subscribe("geoloc.*.tracks", cb=self.heard.note)
        first = self._begin("first", stack)
        self.said["first_start_s"] = await self._until(lambda claims: all(_of(one, "first") for one in claims))
        play = Play(self.client, self.sites)
        self.said |= {"sites": len(self.sites), "frames_per_s_and_site": round(play.frames, 1)}
        playing = asyncio.create_task(play.run())
        await self._alone(first, seconds, play)
        second = self._begin("second", stack)
        even = len(self.sites) // 2
        begun = await self._until(lambda claims: sum(_of(one, "second") for one in claims) >= even)
        self.said["second_has_its_share_s"] = begun
        await asyncio.sleep(seconds / 2)
        self.said["memory_mb_second"] = round(second.memory_mb)
        self.said["longest_gap_at_hand_over_s"] = self._gap(time.monotonic() - seconds / 2 - begun)
        await self._kill(first)
        playing.cancel()
        self.said |= await self._stored()
        second.end(signal.SIGTERM)
        return self.said

    def _begin(self, name: str, stack: ExitStack) -> Process:
        one = Process(self.root, self.url, name, self.work)
        stack.callback(one.end, signal.SIGKILL)
        return one

    async def _alone(self, first: Process, seconds: float, play: Play) -> None:
        """One worker that has everything: CPU and memory."""
        await asyncio.sleep(seconds / 4)  # every way was gone once
        begin, cpu_s, told = time.monotonic(), first.cpu_s, self._told()
        await asyncio.sleep(seconds)
        took, spent = time.monotonic() - begin, first.cpu_s - cpu_s
        frames = play.frames * len(self.sites) * took
        self.said["one_worker"] = {
            "seconds": round(took, 1), "cpu_share_of_a_core": round(spent / took, 3),
            "cpu_ms_per_frame": round(1000 * spent / frames, 3), "memory_mb": round(first.memory_mb),
            "windows_told_per_s": round((self._told() - told) / took, 1), "gap_s": self._gap(begin),
        }  # fmt: skip

    async def _kill(self, first: Process) -> None:
        """kill -9, and when each of its sites is told again."""
        claims = await self._register.claims(dict.fromkeys(self.sites))
        lost = {site: one.epoch for site, one in claims.items() if _of(one, "first")}
        killed = time.monotonic()
        first.end(signal.SIGKILL)
        again: dict[str, float] = {}
        while len(again) < len(lost) and time.monotonic() < killed + PATIENCE_S:
            await asyncio.sleep(0.05)
            for site, epoch in lost.items():
                came = [when for when, own in self.heard.came[site] if own > epoch]
                if came:
                    again.setdefault(site, round(came[0] - killed, 2))
        self.said |= {"sites_lost": len(lost), "told_again_after_kill_s": sorted(again.values())}

    async def _stored(self) -> dict[str, Any]:
        """How large snapshots, messages and tracks are."""
        js, site = self.client.jetstream(), self.sites[0].upper()
        tracks, waits = [(await js.stream_info(f"GEOLOC-{site}-{w}")).state for w in ("TRACKS", "DETECTIONS")]
        state = (await js.stream_info("OBJ_GEOLOC-STATE")).state
        return {
            "snapshot_mb_per_site": round(state.bytes / len(self.sites) / 1e6, 3),
            "tracks_kb_per_window": round(tracks.bytes / max(tracks.messages, 1) / 1e3, 2),
            "boxes_kb_per_message": round(waits.bytes / max(waits.messages, 1) / 1e3, 2),
            "messages_behind_the_snapshot": waits.messages,
        }  # fmt: skip

    def _told(self) -> int:
        return sum(len(came) for came in self.heard.came.values())

    def _gap(self, since: float) -> float:
        """The longest time (s) between two windows of any site."""
        gaps = [np.diff([when for when, _ in came if when >= since]) for came in self.heard.came.values()]
        return round(max((float(gap.max()) for gap in gaps if len(gap)), default=np.nan), 2)

    async def _until(self, fits: Any) -> float:
        begin = time.monotonic()
        while not fits((await self._register.claims(dict.fromkeys(self.sites))).values()):
            if time.monotonic() > begin + PATIENCE_S:
                raise InputError(f"nothing came of it; see the logs in {self.root}")
            await asyncio.sleep(0.1)
        return round(time.monotonic() - begin, 2)


def _of(claim: Claim, name: str) -> bool:
    return claim.worker.startswith(f"{name}-")


async def measure(n_sites: int, seconds: float, work: list[str]) -> dict[str, Any]:
    """Start a server and run."""
    import nats

    found = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if found is None:
        raise InputError("no nats-server; install the Debian package nats-server")
    with tempfile.TemporaryDirectory(prefix="geoloc-workers-") as place, ExitStack() as stack:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        words = [found, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", f"{place}/store"]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(server.wait)
        stack.callback(server.kill)
        garage, sites = load_site("garage", FIXTURE), [f"garage{k}" for k in range(n_sites)]
        for name in sites:
            save_site(replace(garage, name=name), Path(place))
        url = f"nats://127.0.0.1:{port}"
        client = await nats.connect(url, max_reconnect_attempts=-1)
        try:
            return await Measuring(client, Path(place), url, sites, work).run(seconds, stack)
        finally:
            await client.close()
            for log in sorted(Path(place).glob("*.log")):
                sys.stderr.write(log.read_text())


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=40.0, help="with one worker; with two, half as long")
    parser.add_argument("--work", action="append", default=[], metavar="KEY=VALUE", help="as of geoloc worker")
    args = parser.parse_args()
    print(json.dumps(asyncio.run(measure(args.sites, args.seconds, args.work)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
