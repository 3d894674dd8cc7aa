"""`geoloc serve` as a process of its own: started, listened to, and looked at while it is fed."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geoloc.pipeline.localizer import LocalizerOptions, window_numbers

EVERY_S = 5.0  # between two looks at memory and disk
ENDS_S = 120.0  # that a service may take to write what waits


@dataclass(eq=False)
class Served:
    """A service that runs, and where it keeps what."""

    process: subprocess.Popen[str]
    url: str
    token: str
    state: Path
    log: Path
    status: int | None = None  # once it has ended

    @property
    def refused(self) -> dict[str, int]:
        """Requests that were refused, by status."""
        return dict(Counter(re.findall(r'"status": ([45]\d\d)', self.log.read_text())))


@contextmanager
def serving(root: Path, site: str, words: Sequence[str], confine: Callable[[], None] | None = None) -> Iterator[Served]:
    """Serve a site that is saved below `root`, until the end; `confine` is called in the process before it begins."""
    state, log = root / "state", root / "log"
    given = [sys.executable, "-m", "geoloc", "serve", site, "--root", str(root), "--state", str(state), "--port", "0"]
    with log.open("w") as said:
        process = subprocess.Popen([*given, *words], stdout=subprocess.PIPE, stderr=said, text=True, preexec_fn=confine)
        try:
            assert process.stdout is not None
            url, _, token = process.stdout.readline().strip().partition("/#token=")
            served = Served(process, url, token, state, log)
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(ENDS_S)
    served.status = status


@dataclass(eq=False)
class Looks:
    """Memory (MB), disk (MB) and time of the processor (s) of a process, from time to time; ends with the `with`."""

    pid: int
    folder: Path
    seen: list[tuple[float, float, float, float]] = field(default_factory=list)  # s, MB, MB, s
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Looks":
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        start = time.time()
        while not self._done.wait(EVERY_S):
            self.seen.append((time.time() - start, resident(self.pid), size_of(self.folder), cpu_of(self.pid)))
            if len(self.seen) % 12 == 0:
                said = "{:.0f} s: {:.0f} MB in memory, {:.1f} MB on disk, {:.1f} s of CPU\n"
                sys.stderr.write(said.format(*self.seen[-1]))

    @property
    def table(self) -> np.ndarray:
        """(N, 4): s since the start, MB of memory, MB of disk, s of CPU."""
        return np.array(self.seen).reshape(-1, 4)

    @property
    def busy(self) -> float:
        """Of one core's time, between the first look and the last."""
        table = self.table
        return float((table[-1, 3] - table[0, 3]) / (table[-1, 0] - table[0, 0]))

    @property
    def growth(self) -> float:
        """Memory in the last third over that in the middle one."""
        memory = self.table[:, 1]
        third = len(memory) // 3
        return float(memory[-third:].mean() / memory[third:-third].mean())


def closes(stamp: float, options: LocalizerOptions) -> int:
    """The last window that a packet with this stamp (s) may close, where no camera was further before."""
    return int(window_numbers(np.array([stamp - options.packets.wait_s]), options.window_s)[0]) - 1


def delays(sent: Sequence[tuple[int, float]], told: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Of each window that was told: when the packet was due that closed it (s), and how long after it came (s).

    `sent` are packets in order of their stamps: the last window that each may close, and when it was due.
    """
    causes = np.array([window for window, _ in sent])
    found = []
    for window, at in sorted(told.items()):
        k = int(np.searchsorted(causes, window))
        if k < len(causes) and window >= causes[0]:
            found.append((sent[k][1], at - sent[k][1]))
    table = np.array(found).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def resident(pid: int) -> float:
    """Memory (MB) that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1.024e-3


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process took."""
    ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def size_of(folder: Path) -> float:
    """MB of the files of a folder, some of which may go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total / 1e6
