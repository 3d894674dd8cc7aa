"""What arrives, and when: how long packets are waited for, how far the cameras' stamps have come, how much is taken."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from geoloc.options import check_range
from geoloc.scene.tables import Detections

EXCESS = "more boxes than a frame may have"


@dataclass(frozen=True)
class PacketOptions:
    """How long packets are waited for, and how much is taken of whom."""

    wait_s: float = 0.3  # a window is closed when the cameras have reached its end and this much more
    horizon_s: float = 10.0  # packets that are late by at most this are put in their place by replay
    replay_every_s: float = 1.0  # least time between two replays, which bounds their cost
    alone_s: float = 2.0  # a camera far ahead of all others is waited with, unless it is alone for this long
    max_ahead_s: float = 60.0  # and frames further ahead than this are held back, the last 1000 of them
    max_rows_per_s: int = 20_000  # of a camera in a second of its stamps; frames beyond are refused whole

    def __post_init__(self) -> None:
        check_range(self, wait_s=(0, 3600), horizon_s=(0, 3600), replay_every_s=(0, 3600), alone_s=(0, 3600))
        check_range(self, max_ahead_s=(0, 1e6), max_rows_per_s=(1, 100_000_000))


@dataclass(eq=False)
class Reach:
    """How far the cameras' stamps have come: the time that two of them reached, or one that is alone."""

    alone_s: float
    latest: dict[str, float] = field(default_factory=dict)  # s, of each camera
    first: str = ""  # the camera that came furthest
    second: float = -np.inf  # s, how far the one behind it came
    last: str = ""  # the camera that was heard last
    alone: float = 0.0  # s that it came on since another one was heard

    def hear(self, camera: str, time: float) -> float:
        """Note a camera's stamp (s); the time reached."""
        before = self.latest.get(camera, time)
        self.latest[camera] = now = max(before, time)
        if camera != self.last:
            self.last, self.alone = camera, 0.0
        # one step is not enough to be alone: a clock may have jumped
        self.alone += min(now - before, 0.25 * self.alone_s)
        furthest = self.latest[self.first] if self.first else -np.inf
        if camera != self.first and now > furthest:
            self.first, self.second = camera, furthest
        elif camera != self.first:
            self.second = max(self.second, now)
        return now if len(self.latest) == 1 or self.alone >= self.alone_s else self.second


def bounded(window: Detections, max_boxes: int, dropped: Counter[str]) -> Detections:
    """At most `max_boxes` rows of each camera: those of the highest scores, of equal ones those of the lowest ids.

    What a stage costs grows with the square of the boxes that may be one object; the rest is counted in `dropped`.
    """
    if len(window) <= max_boxes:
        return window
    names, camera = window.coded("camera")
    if np.bincount(camera).max() <= max_boxes:
        return window
    score = np.where(np.isfinite(window.score), window.score, -np.inf)
    order = np.lexsort((window.id, -score, camera))
    first = np.searchsorted(camera[order], np.arange(len(names)))
    kept = order[np.arange(len(order)) - first[camera[order]] < max_boxes]
    dropped[EXCESS] += len(window) - len(kept)
    return window.take(np.sort(kept))
