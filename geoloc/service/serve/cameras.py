"""The cameras as the service hears them: who is silent, and what events said of each last.

Frames count by when they come, empty ones too, so that a camera that looks at an empty yard is not silent.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from geoloc.pipeline.lineage import Event
from geoloc.service.serve.said import Json

MOVED, CLOCK, SILENT = "camera_moved", ("clock_off", "clock_right"), ("camera_silent", "camera_back")


@dataclass
class _Camera:
    """`stamp` (s) of the last frame, `heard` (s of a steady clock) when one came."""

    stamp: float | None = None
    heard: float | None = None
    silent: bool = False
    clock_off: bool = False
    moved: bool = False


class CameraWatch:
    """The cameras of a site; `hear` may be called by any thread."""

    def __init__(self, names: Iterable[str], silent_s: float) -> None:
        self._silent_s = silent_s
        self._cameras = {name: _Camera() for name in names}

    def hear(self, latest: Mapping[str, float]) -> None:
        """Frames came: the stamp (s) of the latest of each camera."""
        now = time.monotonic()
        for name, stamp in latest.items():
            one = self._cameras[name]
            one.heard, one.stamp = now, stamp if one.stamp is None else max(stamp, one.stamp)

    def note(self, events: Iterable[Event]) -> None:
        """What was told of cameras; in order."""
        for event in events:
            one = self._cameras.get(event.cameras[0]) if not event.number and event.cameras else None
            if one is None:
                continue
            if event.kind in CLOCK:
                one.clock_off = event.kind == CLOCK[0]
            elif event.kind in SILENT:
                one.silent = event.kind == SILENT[0]
                one.heard = time.monotonic() if one.heard is None and not one.silent else one.heard
            elif event.kind == MOVED:
                one.moved = True

    def look(self) -> list[Event]:
        """Who fell silent, or is back, since the last look."""
        now, told = time.monotonic(), list[Event]()
        for name, one in self._cameras.items():
            if one.heard is None:
                continue
            quiet = now - one.heard
            if (quiet > self._silent_s) != one.silent:
                one.silent = not one.silent
                why = f"no frame for {quiet:.0f} s" if one.silent else ""
                stamp = one.stamp if one.stamp is not None else time.time()
                told.append(Event(stamp, SILENT[0] if one.silent else SILENT[1], 0, why=why, cameras=(name,)))
        return told

    def health(self) -> Json:
        """Of each camera: `state` waiting (no frame since the start), heard or silent; `time` (s) of its last frame."""
        return {"type": "cameras", "cameras": [{"camera": name, **_plain(one)} for name, one in self._cameras.items()]}


def _plain(one: _Camera) -> Json:
    state = "silent" if one.silent else "waiting" if one.heard is None else "heard"
    return {"state": state, "time": one.stamp, "clock_off": one.clock_off, "moved": one.moved}
