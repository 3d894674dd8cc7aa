"""What is put to the test by default: the engine as it runs live, and what reaches it when."""

from collections.abc import Iterator

import numpy as np

from geoloc.evaluation.robustness.hazard import Case
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, windows
from geoloc.scene.tables import Detections, Tracks


def deliver(case: Case, window_s: float, drop_late: bool = False) -> Iterator[Detections]:
    """The windows of a case in the order in which a live system gets them.

    The clock on the wall closes a window every `window_s`; what has arrived since the last one is handed over
    then, cut by `windows` into steps of one frame a camera, oldest first. What arrives after the window of its
    own stamp was closed is handed over with a later one, or thrown away with `drop_late`. Without delays these
    are the windows of a replay.
    """
    if not case.delay.any():
        yield from windows(case.detections, window_s)
        return
    stamp = np.floor((case.detections.time + 5e-4) / window_s)
    arrival = np.floor((case.detections.time + case.delay + 5e-4) / window_s)
    rows = np.flatnonzero((arrival == stamp) | (not drop_late))
    rows = rows[np.argsort(arrival[rows], kind="stable")]
    for part in np.split(rows, np.flatnonzero(np.diff(arrival[rows])) + 1):
        yield from windows(case.detections.take(part), window_s)


def run_engine(case: Case, options: LocalizerOptions | None = None, drop_late: bool = False) -> Tracks:
    """The online engine on a case: all its tracks after every step; what comes late is taken for the present."""
    localizer = Localizer(case.site, options)
    tracks = []
    for window in deliver(case, localizer.options.window_s, drop_late):
        now = float(np.nan_to_num(localizer.tracker.time, nan=-np.inf))
        tracks.append(localizer.step(window, max(float(window.time.mean()), now)))
    return Tracks.concat(tracks)
