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
    """The online engine on a case: all its tracks after every step, those of unseen ones as predicted.

    At times that are asked about but had no step, it is stepped with nothing, heard from no camera, so that
    the map has an answer then.
    """
    localizer = Localizer(case.site, options)
    half = 0.5 * float(np.diff(case.asked).min(initial=np.inf))
    tracks, last = [], np.inf
    for window in deliver(case, localizer.options.window_s, drop_late):
        time = max(float(window.time.mean()), float(np.nan_to_num(localizer.tracker.time, nan=-np.inf)))
        tracks += _idle(localizer, case.asked, last + half, time - half)
        tracks.append(localizer.step(window, time))
        last = time
    return Tracks.concat(tracks + _idle(localizer, case.asked, last + half, np.inf))


def _idle(localizer: Localizer, asked: np.ndarray, start: float, end: float) -> list[Tracks]:
    """The tracks at the times asked about strictly between `start` and `end`."""
    times = asked[(asked > start) & (asked < end)]
    return [localizer.step(Detections(), time, cameras=()) for time in times.tolist()]
