"""Every camera's clock against the site's time, learned online from the tracks' disagreement along their velocity.

A camera's stamp is the site's time plus its offset o, which drifts. A point of an object that moves with velocity v,
brought to the window's time by its stamp, is

    z = x - v o + a length away + b + noise

with the same x for all cameras of a group. The differences within groups tell about each camera's offset (s), drift
(s/s), and what looks like a clock that is late as long as all objects go one way at one speed: the distance `a` (of the
class's length) of a camera's points along the line of sight, and its shift `b` (m, east and north). The evidence is
kept for each tie of two cameras and fades; only differences between clocks can be known: a common offset of all
keeps its prior. A clock that jumps is noticed by `clock_jumps`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.association import Groups
from geoloc.pipeline.clock_jumps import ClockJump, JumpVotes
from geoloc.pipeline.clock_ties import DRIFT, OFFSET, ClockTies
from geoloc.pipeline.lazily import clock_evidence, clock_windows
from geoloc.pipeline.packed import camera_rows, kind_arrays
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints, Tracks

MOVING = 0.25  # of the class's speed: faster objects tell about clocks
STANDING = 0.05  # of the class's speed: slower ones tell about shifts, which look like clocks otherwise
SURE = 2.0  # sigmas that a velocity must differ from 0
ROBUST_DISTANCE2 = 9.0  # squared normalised residual at which a point counts for a quarter
SAME_TIME_S = 1e-3
SETTLE_S = 5.0  # after a jump, until tracks that its camera made up meanwhile are forgotten
JOIN_S = 0.5  # points of one track within so much are compared


@dataclass(frozen=True)
class ClockOptions:
    """How far clocks may be off, and how they are learned."""

    offset_sigma: float = 0.03  # s, of a clock of which nothing was learned; 0: clocks are right and stay right
    drift_sigma: float = 2e-5  # s/s, of its drift
    memory_s: float = 3600.0  # evidence fades with this time constant
    least_s: float = 0.01  # smaller offsets are not corrected; they count as uncertainty
    every_s: float = 2.0  # windows closer than this to the last one learned from are passed over
    away_sigma: float = 0.45  # of the class's length: distance of points from their objects along the line of sight
    shift_sigma: float = 0.5  # m, of a camera's shift east and north
    object_sigma: float = 0.1  # of the class's length: the same, from object to object, constant while it is in view
    says: int = 5  # windows that are learned from for each track in `again_s`: its error repeats
    again_s: float = 60.0
    jump_max_s: float = 5.0  # largest jump that is looked for
    jump_min_s: float = 0.15  # smaller ones are followed without being told
    jump_votes: int = 8  # points that must agree on it
    jump_sigma: float = 4.0  # sigmas that it must differ from no jump
    jump_spread_s: float = 0.25  # to which they must agree: other objects on the way scatter wider

    def __post_init__(self) -> None:
        check_range(self, offset_sigma=(0, 60), drift_sigma=(0, 0.1), memory_s=(1, 1e12))
        check_range(self, least_s=(0, 1), every_s=(0, 1e9), away_sigma=(0, 100), shift_sigma=(0, 100))
        check_range(self, object_sigma=(0, 100), says=(1, 1e6), again_s=(0, 1e9))
        check_range(self, jump_max_s=(0, 1e3), jump_min_s=(0, 60), jump_votes=(3, 1000), jump_sigma=(0.1, 100))
        check_range(self, jump_spread_s=(0, 60))


class ClockReport(NamedTuple):
    """What is known of a camera's clock."""

    camera: str
    offset: float  # s, its stamps less the site's time
    drift: float  # s/s
    sigma: float  # s, of the offset against the clocks of the cameras that see what it sees
    drift_sigma: float  # s/s


class Clocks:
    """The clocks of a site's cameras, as learned so far."""

    def __init__(self, site: Site, options: ClockOptions | None = None) -> None:
        self.options = one = options or ClockOptions()
        self._site = site
        sigma = one.offset_sigma, one.drift_sigma, one.away_sigma, one.shift_sigma, one.shift_sigma
        self._ties = ClockTies(np.tile(sigma, (len(site.cameras), 1)), one.memory_s)
        self._jumps = JumpVotes([camera.name for camera in site.cameras], one.jump_votes)
        self._jumped = np.zeros(len(site.cameras))  # s, what jumps told; offsets among the parameters are besides
        self._settled = np.full(len(site.cameras), -np.inf)  # s, when each camera may be learned from again
        self._corrected = np.zeros(len(site.cameras), dtype=bool)  # cameras whose offsets are large enough
        self._sigma = np.full(len(site.cameras), one.offset_sigma)  # s, of what is left of them
        self._due = -np.inf  # s, time of the next window to learn from
        # windows since JOIN_S before it: time (s) and rows of points, see `kernels.clock_windows`
        self._recent: list[tuple[float, np.ndarray]] = []
        self._known = np.zeros(0, dtype=np.int64), np.zeros((0, clock_windows.MEMORY))  # tracks, and their memory

    @property
    def active(self) -> bool:
        """Whether there is anything to learn."""
        return self.options.offset_sigma > 0 and len(self._site.cameras) > 1

    @property
    def jumps(self) -> list[ClockJump]:
        """The jumps that were noticed, the last thousand of them."""
        return list(self._jumps.found)

    def correct(self, detections: Detections) -> Detections:
        """`detections` with the site's time in place of their cameras' stamps."""
        if not self._corrected.any() or not len(detections):
            return detections
        camera = camera_rows(self._site, detections.coded("camera"))
        large = (camera >= 0) & self._corrected[camera]
        offset = np.where(large, self._jumped[camera] + self._ties.offsets(detections.time, camera), 0.0)
        return detections.revised(time=detections.time - offset)

    def sigma(self, points: GroundPoints) -> np.ndarray:
        """Standard deviation (N,) s of what is left of each point's clock."""
        return self._sigma.take(camera_rows(self._site, points.coded("camera")))

    def learn(self, points: GroundPoints, predicted: Tracks, groups: Groups, time: float) -> None:
        """Take in a window: its `points` as projected, at corrected times, and the groups that they formed."""
        if not self.active or not len(points) or time < self._due - JOIN_S:
            return
        self._recent.append((time, self._rows(points, predicted, groups)))
        if time < self._due - SAME_TIME_S:
            return
        recent = [rows for since, rows in self._recent if time - since <= JOIN_S]
        self._due = time + self.options.every_s
        self._recent.clear()
        rows = clock_windows.newest(np.concatenate(recent), len(self._sigma))
        self._compare(rows, predicted, time)

    def forget(self, tracks: set[int]) -> None:
        """Do without what waits to be learned, and without the memory of some tracks."""
        self._recent.clear()
        ids, memory = self._known
        stays = ~np.isin(ids, list(tracks))
        self._known = ids[stays], memory[stays]

    def report(self) -> list[ClockReport]:
        """Offset and drift of every camera, as of the last window learned from."""
        ties = self._ties
        drift, drift_sigma = ties.mean[:, DRIFT], np.sqrt(ties.cov[:, DRIFT, DRIFT])
        columns = self._jumped + ties.mean[:, OFFSET], drift, np.sqrt(ties.variance), drift_sigma
        listed = zip(*(column.tolist() for column in columns), strict=True)
        return [ClockReport(one.name, *row) for one, row in zip(self._site.cameras, listed, strict=True)]

    def _rows(self, points: GroundPoints, predicted: Tracks, groups: Groups) -> np.ndarray:
        labels = points.coded("label")
        kinds = kind_arrays(labels.names)
        return clock_windows.rows_of(
            np.ascontiguousarray(points.time),
            camera_rows(self._site, points.coded("camera")),
            np.ascontiguousarray(points.xy),
            np.ascontiguousarray(points.cov),
            np.ascontiguousarray(points.bias_cov),
            np.ascontiguousarray(points.away),
            kinds.length.take(labels.code),
            kinds.acceleration.take(labels.code),
            groups.group,
            groups.track,
            np.ascontiguousarray(predicted.track),
        )

    def _compare(self, rows: np.ndarray, predicted: Tracks, time: float) -> None:
        """Learn from rows of one time, and look for jumps in them."""
        options, ids = self.options, np.ascontiguousarray(predicted.track)
        labels = predicted.coded("label")
        speed = kind_arrays(labels.names).speed.take(labels.code)
        velocity, cov = np.ascontiguousarray(predicted.velocity), np.ascontiguousarray(predicted.cov)
        motion = clock_windows.motions_of(velocity, cov, speed, MOVING, STANDING, SURE)
        camera = rows[:, clock_windows.CAMERA].astype(np.int64)
        track = clock_windows.place_in(ids, rows[:, clock_windows.TRACK].astype(np.int64))
        memory = clock_windows.remember(*self._known, ids, rows, track, time)
        self._known = ids, memory
        applied = np.where(self._corrected, self._jumped + self._ties.offsets(time), 0.0)
        tracks = track.copy(), motion, ids, np.ascontiguousarray(predicted.xy), velocity, predicted.position_cov
        jumped = self._look_for_jumps(rows, time, memory, tracks, applied)
        track[time < self._settled[camera]] = -1
        groups = clock_evidence.groups_that_speak(track, motion, memory, time, options.says, options.again_s)
        pairs = clock_evidence.ties_of(rows, groups, len(applied))
        xy, noise, moves = clock_windows.bring(rows, track, motion, velocity, cov, time)
        # the stamps were corrected by what was known; the measurement is of all of the offset that jumps do not tell
        z = xy - moves * (applied - self._jumped)[camera][:, None]
        own = options.says * options.object_sigma**2  # it repeats in all that is learned from an object
        if not jumped:
            self._ties.learn(pairs, time, rows, groups, z, noise, moves, own, ROBUST_DISTANCE2)
        if self._ties.solve(time) or jumped:
            self._renew()

    def _look_for_jumps(
        self, rows: np.ndarray, time: float, memory: np.ndarray, tracks: tuple[np.ndarray, ...], applied: np.ndarray
    ) -> bool:
        """Collect votes; the camera whose votes agree on a jump is corrected."""
        options, ties = self.options, self._ties
        recent = 2.0 * options.every_s + SAME_TIME_S
        reach = options.jump_max_s, ROBUST_DISTANCE2
        fresh = self._jumps.take(rows, time, memory, recent, *tracks, *reach, applied, ties.mean, ties.cov)
        if not fresh.any():
            return False
        limits = options.jump_spread_s, options.jump_min_s, options.jump_sigma
        found = self._jumps.decide(fresh, *limits, self._jumped + ties.mean[:, OFFSET], self._sigma)
        if found is None:
            return False
        camera, jump = found
        self._settled[camera] = time + SETTLE_S
        self._jumped[camera] += ties.mean[camera, OFFSET] + jump.size
        ties.forget(camera, float(np.hypot(options.offset_sigma, jump.sigma)))
        return True

    def _renew(self) -> None:
        """Which offsets are taken off from now on, and what is left of them."""
        offset = np.abs(self._jumped + self._ties.mean[:, OFFSET])
        self._corrected = offset >= self.options.least_s
        self._sigma = np.sqrt(self._ties.variance + np.where(self._corrected, 0.0, offset) ** 2)
