"""The main path: detections of several cameras become tracks on the site's map. Start reading here."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range, option_groups
from geoloc.pipeline.alignment import align_times
from geoloc.pipeline.arrivals import PacketOptions, bounded
from geoloc.pipeline.association import AssociationOptions, Groups, associate
from geoloc.pipeline.bodies import BodyOptions, find_bodies
from geoloc.pipeline.clocks import ClockOptions, Clocks
from geoloc.pipeline.decisions import DecisionOptions
from geoloc.pipeline.duplicates import (
    DuplicateOptions,
    set_duplicates_apart,
    with_duplicates,
    with_echoes,
    without_room,
)
from geoloc.pipeline.existence import ExistenceOptions, weigh_existence
from geoloc.pipeline.explanations import one_explanation
from geoloc.pipeline.footprint import Footprint, FootprintOptions
from geoloc.pipeline.fusion import FusionOptions, fuse
from geoloc.pipeline.happenings import HappeningOptions, Happenings
from geoloc.pipeline.hindsight import with_hindsight
from geoloc.pipeline.history import History, HistoryOptions
from geoloc.pipeline.identity import Identities, IdentityOptions
from geoloc.pipeline.lazily import overlaps, reporting
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.linking import LinkingOptions
from geoloc.pipeline.packed import camera_rows
from geoloc.pipeline.projection import ProjectionOptions, project_to_levels
from geoloc.pipeline.queries import State
from geoloc.pipeline.sizes import SizeOptions, weigh_boxes
from geoloc.pipeline.tracking import Tracker, TrackingOptions
from geoloc.scene.columns import LATEST_TIME
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Dropped, GroundPoints, Objects, Tracks

logger = logging.getLogger(__name__)

OVERDUE = 1.5  # usual gaps between frames, after which a camera that delivered no box delivered an empty frame
SLOWER = 0.05  # share by which a longer gap slows the pace that is expected of a camera


@dataclass(frozen=True)
class LocalizerOptions:
    """Options of all stages, and of the windows that join them."""

    window_s: float = 0.1  # frames of different cameras that fall into one window are taken as simultaneous
    heard_s: float = 2.0  # a camera that delivered nothing for longer is taken as silent, not as seeing nobody
    max_boxes: int = 500  # of a camera in a window; of more, those of the highest scores are kept
    packets: PacketOptions = field(default_factory=PacketOptions)
    clocks: ClockOptions = field(default_factory=ClockOptions)
    duplicates: DuplicateOptions = field(default_factory=DuplicateOptions)
    projection: ProjectionOptions = field(default_factory=ProjectionOptions)
    sizes: SizeOptions = field(default_factory=SizeOptions)
    bodies: BodyOptions = field(default_factory=BodyOptions)
    footprint: FootprintOptions = field(default_factory=FootprintOptions)
    association: AssociationOptions = field(default_factory=AssociationOptions)
    fusion: FusionOptions = field(default_factory=FusionOptions)
    existence: ExistenceOptions = field(default_factory=ExistenceOptions)
    tracking: TrackingOptions = field(default_factory=TrackingOptions)
    decisions: DecisionOptions = field(default_factory=DecisionOptions)
    identity: IdentityOptions = field(default_factory=IdentityOptions)
    history: HistoryOptions = field(default_factory=HistoryOptions)
    happenings: HappeningOptions = field(default_factory=HappeningOptions)
    linking: LinkingOptions = field(default_factory=LinkingOptions)  # of recordings, see `link`

    def __post_init__(self) -> None:
        check_range(self, window_s=(1e-6, 3600), heard_s=(0, 1e9), max_boxes=(1, 1_000_000))


class Localizer:
    """The engine with a life: feed it windows of detections in order of time, get the tracks of each.

    >>> localizer = Localizer(site)                                    # doctest: +SKIP
    >>> tracks = localizer.step(detections)                            # doctest: +SKIP
    """

    def __init__(self, site: Site, options: LocalizerOptions | None = None) -> None:
        self.site = site
        self.options = options or LocalizerOptions()
        self.tracker = Tracker(site, self.options.tracking, self.options.existence, self.options.decisions)
        self.clocks = Clocks(site, self.options.clocks)
        self.identities = Identities(site, self.options.identity, self.options.existence)
        self.footprint = Footprint(site, self.options.footprint)
        self.history = History(site, self.options.history)
        self.happenings = Happenings(site, self.options.happenings)
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
        detections = bounded(detections, options.max_boxes, self.dropped)
        speaking, follows, doubtful = set_duplicates_apart(self.clocks.correct(detections), options.duplicates)
        projected, dropped = project_to_levels(speaking, self.site, options.projection)
        projected = weigh_boxes(projected, self.site, options.sizes, options.projection)
        predicted = self.tracker.predict(time)
        projected, more = without_room(projected, doubtful, options.duplicates)
        found, doubt = find_bodies(projected, predicted, self.site, options.bodies)
        aligned, late = align_times(found, predicted, time, self.clocks.sigma(found))
        points = self.footprint.correct(aligned, doubt + late)
        heard = self._reporting(detections, time, cameras)
        groups = associate(points, predicted, options.association, self.tracker.camera_set, self.site.site_map)
        kept, groups = one_explanation(points, groups, predicted, options.association)
        if len(kept) < len(points):
            found, aligned, points = (table.take(kept) for table in (found, aligned, points))
        objects = fuse(points, groups, self.site, options.fusion, predicted)
        objects = weigh_existence(objects, points, groups, self.site, heard, options.existence, predicted)
        self.footprint.learn(aligned, groups, predicted, kept)
        self.clocks.learn(found, predicted, groups, time)
        objects = self._remember(points, groups, objects, dropped, np.concatenate([follows, more]))
        tracks = self.tracker.update(objects, heard)
        tracks = self.identities.update(tracks, self.points, objects, heard, self.tracker.exchanges)
        self.points = with_echoes(self.points, self.identities.echoed)
        self.happenings.note(time, tracks, self.points, self.identities)
        self.happenings.look_at_cameras(time, self.clocks, self.footprint, self.identities.lineage)
        self.history.note(time, tracks, self.points, self.identities.lineage)
        return tracks

    def finish(self) -> None:
        """No more windows come: decide what is open by what is known."""
        self.identities.correct(self.tracker.finish())
        self.history.learn_of(self.identities.lineage)

    @property
    def heard(self) -> dict[str, float]:
        """When each camera was heard last (s); -inf: never."""
        return dict(zip((camera.name for camera in self.site.cameras), self._heard.tolist(), strict=True))

    @property
    def state(self) -> State:
        """Answers about now and before."""
        return State(self.history)

    def undo(self, object: int, other: int, why: str = "") -> Event:
        """The operator says that `other` is not `object`, as was thought; see `Identities.undo`."""
        event = self.identities.undo(object, other, why)
        self.history.learn_of(self.identities.lineage)
        return event

    def tell(self, event: Event) -> Event:
        """Take note of what others know, say that a camera is silent; the event with its id."""
        event = self.identities.lineage.add(event)
        self.history.learn_of(self.identities.lineage)
        return event

    def copy(self) -> "Localizer":
        """The engine as it is now, apart from this one; both know the same site."""
        shared = (self.site, *option_groups(self.options).values())
        return deepcopy(self, {id(one): one for one in shared})

    def resume_from(self, other: "Localizer") -> None:
        """Become as `other`, a copy, is."""
        self.__dict__.update(other.copy().__dict__)

    def _time(self, detections: Detections, time: float | None) -> float:
        n_finite = require_seconds(detections)
        if time is None:
            if not n_finite:
                raise InputError("a window without detections needs its time; pass step(detections, time=...)")
            time = mean_time(detections, n_finite)
        if not abs(time) <= LATEST_TIME:
            raise InputError(f"window at {time}: its time must be in seconds, such as UTC Unix seconds")
        return float(time)

    def _reporting(self, detections: Detections, time: float, cameras: Iterable[str] | None) -> np.ndarray:
        rows = camera_rows(self.site, detections.coded("camera"))
        reporting.hear(rows, time, self._heard, self._pace, SLOWER)
        if cameras is None:
            return reporting.due(time, self._heard, self._pace, OVERDUE, self.options.heard_s)
        told = np.zeros(len(self._heard), dtype=bool)
        for name in cameras:
            self.site.camera(name)  # refuses one that the site lacks
            told[self.site.camera_index[name]] = True
        return told

    def _remember(
        self, points: GroundPoints, groups: Groups, objects: Objects, dropped: Dropped, follows: np.ndarray
    ) -> Objects:
        """Objects get numbers that last, so that a track can be walked back to its boxes."""
        self.objects = objects.revised(object=objects.object + self._next_object)
        self.points = with_duplicates(points.revised(object=groups.group + self._next_object), follows)
        if len(dropped) or len(follows):
            self.dropped.update(dropped.reason.tolist())
            self.dropped += Counter({"follows a box that was dropped": len(points) + len(follows) - len(self.points)})
        self._next_object += len(objects)
        return self.objects


def localize(detections: Detections, site: Site, options: LocalizerOptions | None = None) -> Tracks:
    """Tracks of a whole recording, by the same steps as live: every window's confirmed and tentative tracks.

    Objects that were taken for each other have the numbers that proved right within `options.decisions.lag_s`.
    The order of the rows does not matter. Rows that cannot be used are dropped, and counted by their reason in
    a warning of the log; InputError where no camera is the site's, or times are milliseconds.
    """
    localizer = Localizer(site, options)
    steps = to_the_end(localizer, replay(localizer, detections))
    tracks = Tracks.concat(with_hindsight(steps, localizer.identities.lineage))
    if localizer.dropped:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in localizer.dropped.most_common())
        logger.warning("%d of %d detections could not be used: %s", localizer.dropped.total(), len(detections), reasons)
    return tracks


def replay(localizer: Localizer, detections: Detections) -> Iterator[Tracks]:
    """Feed a recording to a `localizer`: the tracks of each window, whose objects it holds meanwhile.

    UnknownNameError where none of its cameras is the site's; other rows that cannot be used are dropped.
    """
    return step_windows(localizer, windows_of_site(detections, localizer), localizer.step)


def to_the_end(localizer: Localizer, steps: Iterator[Tracks]) -> Iterator[Tracks]:
    """The `steps` of a `localizer`, after which nothing is left open."""
    yield from steps
    localizer.finish()


def windows_of_site(detections: Detections, localizer: Localizer) -> Iterator[Detections]:
    """As `windows` of the localizer's length; UnknownNameError where no camera is its site's."""
    site = localizer.site
    if len(detections) and (camera_rows(site, detections.coded("camera")) < 0).all():
        site.camera(str(detections.camera[0]))
    return windows(detections, localizer.options.window_s)


def step_through(localizer: Localizer, detections: Detections) -> Iterator[Tracks]:
    """As `replay`, whatever the cameras are called."""
    return step_windows(localizer, windows(detections, localizer.options.window_s), localizer.step)


def step_windows(
    localizer: Localizer, parts: Iterator[Detections], step: Callable[[Detections, float], Tracks]
) -> Iterator[Tracks]:
    """The tracks of each of a recording's windows, by a `step` that moves the `localizer` on."""
    for window in parts:
        # parts of one window may overlap in time; a step never goes back
        now = localizer.tracker.time
        time = mean_time(window, require_seconds(window))
        yield step(window, time if np.isnan(now) else max(time, now))


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
    number = window_numbers(detections.time, window_s)
    number[~finite] = number[finite].min()  # a row without a time goes where it is counted and dropped
    time = np.where(finite, detections.time, np.nan)  # and comes last there
    detections.coded("label")  # once for all windows, as the cameras
    names, camera = detections.coded("camera")
    rank = np.empty(len(names), dtype=np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    order = np.lexsort((detections.id, detections.box[:, 0], rank[camera], time, number))
    detections, number = detections.take(order), number[order]
    frame = overlaps.frame_ranks(number, camera[order], time[order], len(names))
    starts = np.flatnonzero(np.diff(number, prepend=-np.inf) != 0)
    n_parts = np.maximum.reduceat(frame, starts) + 1
    for start, stop, n in zip(starts.tolist(), [*starts[1:].tolist(), len(number)], n_parts.tolist(), strict=True):
        if n == 1:
            yield detections.take(slice(start, stop))
        for part in range(n if n > 1 else 0):
            yield detections.take(start + np.flatnonzero(frame[start:stop] == part))


def window_numbers(time: np.ndarray, window_s: float) -> np.ndarray:
    """Which window each time (N,) s lies in, counted from the epoch: (N,) float, NaN where the time is."""
    # half a millisecond of slack: times that were rounded on their way must not straddle a window's edge
    return np.floor((time + 5e-4) / window_s)


def require_seconds(detections: Detections) -> int:
    """How many times are finite; raise InputError, naming the first, where one cannot be seconds."""
    row, late, finite = reporting.first_late(np.ascontiguousarray(detections.time), LATEST_TIME)
    if row >= 0:
        raise InputError(
            f"detection {detections.id[row]} of camera {str(detections.camera[row])!r}: time "
            f"{detections.time[row]:.15g} looks like milliseconds ({late} such rows); times are UTC Unix "
            "seconds: divide them by 1000"
        )
    return finite


def mean_time(detections: Detections, n_finite: int) -> float:
    """Mean (s) of the times, of which so many are finite; NaN of none."""
    time = detections.time if n_finite == len(detections) else detections.time[np.isfinite(detections.time)]
    return float(np.add.reduce(time) / n_finite) if n_finite else np.nan
