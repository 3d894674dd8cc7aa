"""The engine in a process of its own, with its state on disk: fed by parts, killed, and begun again."""

import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.evaluation.recording import reported
from geoloc.pipeline.codec import decode, encode
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.localizer import LocalizerOptions, window_numbers
from geoloc.scene.tables import Detections, Tracks
from geoloc.synthetic import long_garage

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

SCORED = ("time", "track", "level", "xy", "z", "velocity", "label", "score", "state", "life", "revision")


@dataclass(frozen=True, eq=False)
class Answered:
    """What the engine said of a part, and what it took."""

    tracks: Tracks  # of one window of `every`
    step_s: np.ndarray  # (S,) s of the processor's time for each step, its log written
    resident: int  # bytes of the process's memory, now
    snapshot: int  # bytes of the newest snapshot: all that the engine knows
    clocks: dict[str, float]  # s that it takes each camera's stamps to be ahead
    events: list[Event]  # of the lineage, since the part before


class Engine:
    """A process that may be killed; the one that comes after it finds its state in the folder."""

    def __init__(self, folder: Path, options: LocalizerOptions, every: int) -> None:
        self._given = str(folder), options, every
        self._begin()

    def _begin(self) -> None:
        spawn = get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process: SpawnProcess = spawn.Process(target=_serve, args=(theirs, *self._given), daemon=True)
        self._process.start()
        theirs.close()

    def feed(self, detections: Detections) -> None:
        """Let it begin with a part, while the next one is made."""
        self._pipe.send_bytes(encode(detections, {}))

    def answer(self) -> Answered:
        """What it said of the part that it was fed."""
        return Answered(**decode(self._pipe.recv_bytes(), {}))

    def kill(self) -> None:
        """End it where it is, and begin another one."""
        self._process.kill()
        self._process.join()
        self._pipe.close()
        self._begin()

    def close(self) -> None:
        """No part will come any more."""
        self._pipe.close()
        self._process.join()


class _Timed(JournaledLocalizer):
    """Knows what each step took."""

    seconds: list[float]

    def step(self, detections: Detections, time_: float | None = None, cameras: Iterable[str] | None = None) -> Tracks:
        """As ever."""
        start = time.process_time()
        tracks = super().step(detections, time_, cameras)
        self.seconds.append(time.process_time() - start)
        return tracks


def _serve(pipe: Connection, folder: str, options: LocalizerOptions, every: int) -> None:
    with _Timed.open(long_garage().site, folder, options) as journaled:
        if not isinstance(journaled, _Timed):
            raise TypeError(f"{type(journaled).__name__} in place of an engine that is timed")
        lineage = journaled.localizer.identities.lineage
        told = lineage.n_events
        while (detections := _received(pipe)) is not None:
            journaled.seconds = []
            kept = [_kept(tracks) for tracks in journaled.replay(detections) if _is_asked(tracks, options, every)]
            answer = {
                "tracks": Tracks.concat(kept),
                "step_s": np.array(journaled.seconds),
                "resident": resident_bytes(),
                "snapshot": max((path.stat().st_size for path in Path(folder).glob("snapshot-*")), default=0),
                "clocks": {report.camera: report.offset for report in journaled.localizer.clocks.report()},
                "events": lineage.since(told),
            }
            told = lineage.n_events
            pipe.send_bytes(encode(answer, {}))


def _received(pipe: Connection) -> Detections | None:
    """The next part; None when no more will come."""
    try:
        found: Detections = decode(pipe.recv_bytes(), {})
    except EOFError:
        return None
    return found


def _is_asked(tracks: Tracks, options: LocalizerOptions, every: int) -> bool:
    """Whether a window is one of `every`."""
    return bool(len(tracks)) and window_numbers(tracks.time[:1], options.window_s)[0] % every == 0


def _kept(tracks: Tracks) -> Tracks:
    """What is scored of a window: what the engine stands by, without covariances."""
    found = reported(tracks)
    return Tracks(**{name: getattr(found, name) for name in SCORED})


def resident_bytes() -> int:
    """Memory of this process that is in use, in bytes; where the system does not tell, the most that ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize()
