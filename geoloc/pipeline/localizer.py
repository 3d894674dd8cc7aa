"""The main path: detections of several cameras become tracks on the site's map. Start reading here."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.pipeline.alignment import align_times
from geoloc.pipeline.association import AssociationOptions, Groups, associate
from geoloc.pipeline.duplicates import DuplicateOptions, set_duplicates_apart, with_duplicates
from geoloc.pipeline.existence import ExistenceOptions, weigh_existence
from geoloc.pipeline.footprint import Footprint, FootprintOptions
from geoloc.pipeline.fusion import FusionOptions, fuse
from geoloc.pipeline.projection import ProjectionOptions, project_to_ground
from geoloc.pipeline.tracking import Tracker, TrackingOptions
from geoloc.scene.site import Site
from geoloc.scene.tables import LATEST_TIME, Detections, Dropped, GroundPoints, Objects, Tracks

logger = logging.getLogger(__name__)

OVERDUE = 1.5  # usual gaps between frames, after which a camera that delivered no box delivered an empty frame
SLOWER = 0.05  # share by which a longer gap slows the pace that is expected of a camera


@dataclass(frozen=True)
class LocalizerOptions:
    """Options of all stages, and of the windows that join them."""

    window_s: float = 0.1  # frames of different cameras that fall into one window are taken as simultaneous
    heard_s: float = 2.0  # a camera that delivered nothing for longer is taken as silent, not as seeing nobody
    duplicates: DuplicateOptions = field(default_factory=DuplicateOptions)
    projection: ProjectionOptions = field(default_factory=ProjectionOptions)
    footprint: FootprintOptions = field(default_factory=FootprintOptions)
    association: AssociationOptions = field(default_factory=AssociationOptions)
    fusion: FusionOptions = field(default_factory=FusionOptions)
    existence: ExistenceOptions = field(default_factory=ExistenceOptions)
    tracking: TrackingOptions = field(default_factory=TrackingOptions)

    def __post_init__(self) -> None:
        check_range(self, window_s=(1e-6, 3600), heard_s=(0, 1e9))


class Localizer:
    """The engine with a life: feed it windows of detections in order of time, get the tracks of each.

    >>> localizer = Localizer(site)                                    # doctest: +SKIP
    >>> tracks = localizer.step(detections)                            # doctest: +SKIP
    """

    def __init__(self, site: Site, options: LocalizerOptions | None = None) -> None:
        self.site = site
        self.options = options or LocalizerOptions()
        self.tracker = Tracker(site, self.options.tracking, self.options.existence)
        self.footprint = Footprint(site, self.options.footprint)
        self.points = GroundPoints()  # of the last window, with the object that each went into
        self.objects = Objects()  # of the last window
        self.dropped: Counter[str] = Counter()  # rows that could not be used, by reason, since the start
        self._heard = np.full(len(site.cameras), -np.inf)
        self._pace = np.zeros(len(site.cameras))  # s between frames of each camera, 0 before two were seen
        self._next_object = 0

    def step(self, detections: Detections, time: float | None = None, cameras: Iterable[str] | None = None) -> Tracks:
        """The tracks after one window of detections, at `time` (s; default: the mean of the window's).

        `cameras` are those that delivered a frame, if only an empty one; by default those with a box in the window,
        and those whose next frame is overdue by their usual pace, for `heard_s`: it was empty. A camera that
        delivered nothing says nothing about what it did not see.
        """
        options = self.options
        time = self._time(detections, time)
        speaking, follows = set_duplicates_apart(detections, options.duplicates)
        projected, dropped = project_to_ground(speaking, self.site, options.projection)
        predicted = self.tracker.predict(time)
        projected = align_times(projected, predicted, time)
        points = self.footprint.correct(projected)
        reporting = self._reporting(detections, time, cameras)
        groups = associate(points, predicted, options.association)
        objects = fuse(points, groups, self.site, options.fusion, predicted)
        objects = weigh_existence(objects, points, groups, self.site, reporting, options.existence)
        self.footprint.learn(projected, groups)
        return self.tracker.update(self._remember(points, groups, objects, dropped, follows), reporting)

    def _time(self, detections: Detections, time: float | None) -> float:
        require_seconds(detections)
        if time is None:
            finite = detections.time[np.isfinite(detections.time)]
            if not len(finite):
                raise InputError("a window without detections needs its time; pass step(detections, time=...)")
            time = finite.mean()
        if not abs(time) <= LATEST_TIME:
            raise InputError(f"window at {time}: its time must be in seconds, such as UTC Unix seconds")
        return float(time)

    def _reporting(self, detections: Detections, time: float, cameras: Iterable[str] | None) -> np.ndarray:
        rows = self.site.camera_rows(np.unique(detections.camera))
        self._hear(rows[rows >= 0], time)
        if cameras is None:
            silent = time - self._heard
            overdue = (silent > OVERDUE * self._pace) & (silent <= self.options.heard_s)
            return (silent == 0) | overdue
        reporting = np.zeros(len(self._heard), dtype=bool)
        for name in cameras:
            self.site.camera(name)  # refuses one that the site lacks
            reporting[self.site.camera_index[name]] = True
        return reporting

    def _hear(self, rows: np.ndarray, time: float) -> None:
        """Cameras that delivered boxes at `time`, and with them the pace (s) at which each delivers frames."""
        since, pace = time - self._heard[rows], self._pace[rows]
        # an empty frame between two others leaves a longer gap, which must hardly count
        slower = np.where(pace > 0, pace + SLOWER * (since - pace), np.inf)
        self._pace[rows] = np.where(np.isfinite(since) & (since > 0), np.fmin(since, slower), pace)
        self._heard[rows] = time

    def _remember(
        self, points: GroundPoints, groups: Groups, objects: Objects, dropped: Dropped, follows: np.ndarray
    ) -> Objects:
        """Objects get numbers that last, so that a track can be walked back to its boxes."""
        self.dropped.update(dropped.reason.tolist())
        self.objects = objects.replace(object=objects.object + self._next_object)
        self.points = with_duplicates(points.replace(object=groups.group + self._next_object), follows)
        self.dropped += Counter({"follows a box that was dropped": len(points) + len(follows) - len(self.points)})
        self._next_object += len(objects)
        return self.objects


def localize(detections: Detections, site: Site, options: LocalizerOptions | None = None) -> Tracks:
    """Tracks of a whole recording, by the same steps as live: every window's confirmed and tentative tracks.

    The order of the rows does not matter. Rows that cannot be used are dropped, and counted by their reason in
    a warning of the log; InputError where no camera is the site's, or times are milliseconds.
    """
    localizer = Localizer(site, options)
    tracks = Tracks.concat(list(replay(localizer, detections)))
    if localizer.dropped:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in localizer.dropped.most_common())
        logger.warning("%d of %d detections could not be used: %s", localizer.dropped.total(), len(detections), reasons)
    return tracks


def replay(localizer: Localizer, detections: Detections) -> Iterator[Tracks]:
    """Feed a recording to a `localizer`: the tracks of each window, whose objects it holds meanwhile.

    UnknownNameError where none of its cameras is the site's; other rows that cannot be used are dropped.
    """
    site = localizer.site
    if len(detections) and (site.camera_rows(detections.camera) < 0).all():
        site.camera(str(detections.camera[0]))
    return _steps(localizer, windows(detections, localizer.options.window_s))


def _steps(localizer: Localizer, parts: Iterator[Detections]) -> Iterator[Tracks]:
    for window in parts:
        # parts of one window may overlap in time; a step never goes back
        time = np.nanmean(np.where(np.isfinite(window.time), window.time, np.nan))
        yield localizer.step(window, max(time, np.nan_to_num(localizer.tracker.time, nan=-np.inf)))


def windows(detections: Detections, window_s: float) -> Iterator[Detections]:
    """The windows of a recording in order of time, at most one frame of a camera in each.

    Windows are fixed stretches of `window_s` from the epoch on; where a camera has several frames in one, its
    k-th frame goes into the k-th part of that window. InputError for times that are no seconds.
    """
    if not 0 < window_s < np.inf:
        raise InputError(f"windows of {window_s} s; their length must be positive")
    require_seconds(detections)
    if len(detections) and not np.isfinite(detections.time).any():
        raise InputError(f"none of the {len(detections)} detections has a finite time; give UTC Unix seconds")
    return _cut(detections, window_s)


def _cut(detections: Detections, window_s: float) -> Iterator[Detections]:
    if not len(detections):
        return
    finite = np.isfinite(detections.time)
    # half a millisecond of slack: times that were rounded on their way must not straddle a window's edge
    number = np.floor((detections.time + 5e-4) / window_s)
    number[~finite] = number[finite].min()  # a row without a time goes where it is counted and dropped
    time = np.where(finite, detections.time, np.nan)  # and comes last there
    order = np.lexsort((detections.id, detections.box[:, 0], detections.camera, time, number))
    detections, number = detections.take(order), number[order]
    rank = _frame_rank(number, detections.camera, time[order])
    starts = np.flatnonzero(np.diff(number, prepend=-np.inf) != 0)
    for start, stop in zip(starts, np.append(starts[1:], len(number)), strict=True):
        parts = rank[start:stop]
        for part in range(int(parts.max()) + 1):
            yield detections.take(start + np.flatnonzero(parts == part))


def require_seconds(detections: Detections) -> None:
    """Raise InputError, naming the first, where times cannot be seconds."""
    late = np.abs(detections.time) > LATEST_TIME
    late &= np.isfinite(detections.time)
    if late.any():
        row = int(np.flatnonzero(late)[0])
        raise InputError(
            f"detection {detections.id[row]} of camera {str(detections.camera[row])!r}: time "
            f"{detections.time[row]:.15g} looks like milliseconds ({late.sum()} such rows); times are UTC Unix "
            "seconds: divide them by 1000"
        )


def _frame_rank(number: np.ndarray, camera: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Which frame of its camera within its window each row (sorted by time) belongs to, from 0."""
    rank = np.zeros(len(number), dtype=np.intp)
    last: dict[str, tuple[float, float, int]] = {}
    for row, (window, name, at) in enumerate(zip(number.tolist(), camera.tolist(), time.tolist(), strict=True)):
        before = last.get(name)
        if before is None or before[0] != window:
            last[name] = (window, at, 0)
        elif before[1] != at and at == at:
            last[name] = (window, at, before[2] + 1)
        rank[row] = last[name][2]
    return rank
