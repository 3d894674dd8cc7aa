"""Frames of several cameras in step with their stamps: those of one moment come together."""

from collections.abc import Iterator, Sequence

import numpy as np

from geoloc.errors import InputError
from geoloc.perception.frames import Frame, Source


def in_step(
    sources: Sequence[Source], window: float, from_time: float = -np.inf, every: float = 0.0
) -> Iterator[list[Frame]]:
    """Frames of all sources within `window` s of the earliest that is next, at most one of a camera, in order of time.

    A source whose frames do not follow each other in time is refused.
    """
    readers = {source.camera: iter(source.frames(from_time, every)) for source in sources}
    if len(readers) < len(sources):
        names = [source.camera for source in sources]
        raise InputError(f"camera {max(names, key=names.count)!r} is given twice; give each camera one source")
    waiting: dict[str, Frame] = {}
    for name in list(readers):
        _next(readers, waiting, name, -np.inf)
    while waiting:
        first = min(frame.time for frame in waiting.values())
        together = [frame for frame in waiting.values() if frame.time <= first + window]
        for frame in together:
            del waiting[frame.camera]
        yield sorted(together, key=lambda frame: (frame.time, frame.camera))
        for frame in together:
            _next(readers, waiting, frame.camera, frame.time)


def _next(readers: dict[str, Iterator[Frame]], waiting: dict[str, Frame], name: str, last: float) -> None:
    frame = next(readers[name], None)
    if frame is None:
        del readers[name]
        return
    if frame.time <= last:
        said = f"camera {name!r}: a frame at {frame.time:.3f} s comes after one at {last:.3f} s"
        raise InputError(f"{said}; its stamps do not ascend: give --fps")
    waiting[name] = frame
