"""How much of a recording came already, so that the same one again brings only what is left."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from geoloc.pipeline.localizer import window_numbers
from geoloc.scene.tables import Detections


@dataclass
class Reached:
    """Which of a recording's windows came last: its number, and how many parts of it came."""

    number: float = -np.inf
    parts: int = 0

    def note(self, detections: Detections, window_s: float) -> None:
        """Take note of a window."""
        finite = detections.time[np.isfinite(detections.time)]
        if not len(finite):
            return
        number = float(window_numbers(finite, window_s).min())
        self.parts = self.parts + 1 if number == self.number else 1
        self.number = number

    def behind(self, parts: Iterable[Detections], window_s: float) -> Iterator[Detections]:
        """The windows of a recording behind the one that came last when they are first asked for."""
        held, asked = (self.number, self.parts), Reached()
        for window in parts:
            asked.note(window, window_s)
            if (asked.number, asked.parts) > held:
                yield window


@dataclass
class Fed:
    """Which of a log of packets came: how many, and what they were."""

    packets: int = 0
    checksum: int = 0

    def note(self, packet: Detections) -> None:
        """Take note of a packet."""
        self.packets += 1
        self.checksum = zlib.crc32(packet.box.tobytes(), zlib.crc32(packet.time.tobytes(), self.checksum))

    def of(self, packets: Iterable[Detections]) -> int:
        """How many of a log's first packets came already: all that came since its first one, or none."""
        asked = Fed()
        for packet in packets:
            if asked.packets == self.packets:
                break
            asked.note(packet)
        return asked.packets if asked == self else 0
