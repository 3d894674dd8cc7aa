"""Progress bars for long work: on stderr."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geoloc.pipeline.localizer import Localizer, replay
from geoloc.scene.tables import Detections, Tracks


def replay_with_progress(
    localizer: Localizer, detections: Detections, what: str, steps: Iterator[Tracks] | None = None
) -> Iterator[Tracks]:
    """`steps` (default: `replay(localizer, detections)`) under a bar that counts seconds of the recording."""
    from tqdm import tqdm

    from geoloc.compiled import will_compile
    from geoloc.pipeline import kernels

    if will_compile(Path(kernels.__path__[0])):
        sys.stderr.write("the engine is compiled for this machine first, once: about a minute\n")
    steps = steps or replay(localizer, detections)  # refuses what cannot be run before there is a bar
    finite = detections.time[np.isfinite(detections.time)]
    start, end = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    form = "{desc}: {percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} s of recording [{elapsed}<{remaining}]"
    often = 0.1 if sys.stderr.isatty() else 5.0  # s; where nobody looks, a log should not fill up
    with tqdm(total=end - start, desc=what, file=sys.stderr, bar_format=form, mininterval=often) as bar:
        for tracks in steps:
            bar.update(max(min(localizer.tracker.time, end) - start - bar.n, 0.0))
            yield tracks
