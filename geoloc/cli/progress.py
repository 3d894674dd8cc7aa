"""Progress bars for long work: on stderr, and only where a person looks at it."""

import sys
from collections.abc import Iterator

import numpy as np

from geoloc.pipeline.localizer import Localizer
from geoloc.scene.tables import Detections, Tracks


def replay_with_progress(localizer: Localizer, detections: Detections, what: str) -> Iterator[Tracks]:
    """`localizer.replay(detections)` under a bar that counts seconds of the recording."""
    from tqdm import tqdm

    finite = detections.time[np.isfinite(detections.time)]
    start, end = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    form = "{desc}: {percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} s of recording [{elapsed}<{remaining}]"
    # disable=None: no bar where stderr is no terminal
    with tqdm(total=end - start, desc=what, file=sys.stderr, bar_format=form, disable=None) as bar:
        for tracks in localizer.replay(detections):
            bar.update(min(localizer.tracker.time, end) - start - bar.n)
            yield tracks
