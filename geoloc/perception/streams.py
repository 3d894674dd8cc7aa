"""Streams of live cameras: read as they come, the latest frame is kept, what nobody had time for is counted."""

import threading
import time as clock
from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np

from geoloc.errors import InputError
from geoloc.perception.frames import Frame, Source

WAIT_S = 10.0  # for the next frame of a stream, before it is said to have ended
TOO_SLOW = "dropped: it came while earlier ones were worked on"
BETWEEN = "left out: more often than is asked for"


class LatestFrames:
    """The frames of a source as they come in real time, by a thread: only the latest is kept."""

    live = True

    def __init__(self, source: Source, pace: float = 0.0) -> None:
        """With `pace` a recorded source is played at so many times its own speed, as if it were live."""
        self.camera, self.problems, self._source, self._pace = source.camera, source.problems, source, pace
        self._ready = threading.Condition()
        self._frame: Frame | None = None
        self._ended = False
        self._failed: InputError | None = None

    def frames(self, from_time: float = -np.inf, every: float = 0.0) -> Iterator[Frame]:
        """As `Source.frames`; ends when the source does."""
        threading.Thread(target=self._read, args=(from_time, every), daemon=True).start()
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._frame is not None or self._ended)
                frame, self._frame = self._frame, None
                if self._failed is not None and frame is None:
                    raise self._failed
                if frame is None:
                    return
            yield frame

    def _read(self, from_time: float, every: float) -> None:
        begun, first = clock.monotonic(), np.nan
        try:
            for frame in self._source.frames(from_time, every):
                if self._pace:
                    first = frame.time if np.isnan(first) else first
                    clock.sleep(max((frame.time - first) / self._pace - (clock.monotonic() - begun), 0.0))
                with self._ready:
                    self.problems[TOO_SLOW] += self._frame is not None
                    self._frame = frame
                    self._ready.notify()
        except InputError as error:
            self._failed = error
        finally:
            with self._ready:
                self._ended = True
                self._ready.notify()


class StreamSource:
    """A stream by its address; frames have the time at which they came."""

    live = True

    def __init__(self, camera: str, address: str) -> None:
        self.camera, self._address, self.problems = camera, address, Counter[str]()

    def frames(self, from_time: float = -np.inf, every: float = 0.0) -> Iterator[Frame]:
        """As `Source.frames`."""
        yield from LatestFrames(_Opened(self.camera, self._address, self.problems)).frames(from_time, every)


class _Opened:
    live = True

    def __init__(self, camera: str, address: str, problems: Counter[str]) -> None:
        self.camera, self._address, self.problems = camera, address, problems

    def frames(self, from_time: float = -np.inf, every: float = 0.0) -> Iterator[Frame]:
        milliseconds = int(1000 * WAIT_S)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
        capture = cv2.VideoCapture(self._address, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            said = f"camera {self.camera!r}: no stream at {self._address} within {WAIT_S:g} s"
            raise InputError(f"{said}; check address, name and password with another player")
        last = from_time
        try:
            while capture.grab():
                now = clock.time()
                if now - last < every:
                    self.problems[BETWEEN] += 1
                    continue
                done, image = capture.retrieve()
                if not done or image is None:
                    self.problems["corrupt: it cannot be decoded"] += 1
                    continue
                last = now
                yield Frame(self.camera, now, np.asarray(image))
        finally:
            capture.release()
