"""Objects of successive windows become tracks: a Kalman filter each, and a probability that it exists.

All tracks live in arrays; a step is a handful of array operations whatever their number. Birth, confirmation
and death are decided by that probability (integrated probabilistic data association; Musicki, Evans and
Stankovic, 1994) and by seconds, never by counts of frames.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.geometry.vectors import unit_rows
from geoloc.options import check_range
from geoloc.pipeline.decisions import DecisionOptions, Decisions, Exchange, Window
from geoloc.pipeline.existence import ExistenceOptions, scene_arrays
from geoloc.pipeline.lazily import filters, resting, walls
from geoloc.pipeline.lazily import tracks as steps
from geoloc.pipeline.motion import MOTIONS, STATE_SIZE
from geoloc.pipeline.packed import (
    common_numbers,
    joint_arrays,
    kind_arrays,
    level_names,
    level_rows,
    stall_arrays,
    view_arrays,
    wall_arrays,
)
from geoloc.scene.columns import Coded
from geoloc.scene.lanes import DRIVES, lane_axes, one_way_lanes
from geoloc.scene.site import Site
from geoloc.scene.tables import Objects, Tracks

MAX_LOG_ODDS = 7.0  # of existence, so that a track that is no longer seen is given up in time
APPEARANCE_RATE = 0.2  # of a window in a track's running mean embedding and height
UNSAID = ("",)  # of lives, which are for `identity`
STATES = ("tentative", "confirmed", "coasting")  # in the order of `kernels.filters`
STAND, STAND_SIGMA = 0.25, 3.0  # of its length, and sigmas: an object that is nearer still stands where it stood
PARKS = 1.0  # m; classes that are shorter never rest
REST = 0.1  # of a class's acceleration: that of an object at rest
CREEP = 0.2  # m/s, standard deviation of its velocity
WAKE2 = 16.0  # squared sigmas off in the mean, from which on it moves again
LEAST_SPEED = 1.0  # m/s, from which on a motion tells where an object heads


@dataclass(frozen=True)
class TrackingOptions:
    """How tracks move, are born and die."""

    motion: str = "constant_velocity"  # or coordinated_turn
    acceleration: float = 1.0  # times the class's own, the density of the white-noise acceleration
    turn_acceleration: float = 0.2  # rad/s^1.5, density of the turn rate's change (coordinated turn)
    reach_sigma: float = 2.0  # of the class's speed: a new object may have come from as far as this
    birth_probability: float = 0.3  # that a group of points where nobody could look before is a new object
    wrong_way: float = 0.01  # share of the vehicles in one-way lanes that drive against them
    inside_birth_probability: float = 0.002  # the same in the midst of what was in view a moment before
    birth_score: float = 0.5  # groups whose best score is lower extend tracks and start none
    confirm_probability: float = 0.9  # a track is confirmed, and reported, from here on
    delete_probability: float = 0.05  # and forgotten below here
    lifetime_s: float = 60.0  # mean time after which an object leaves unseen
    rest_s: float = 5.0  # a vehicle that stood in a stall for as long rests, until it is seen to move
    rest_elsewhere_s: float = 120.0  # and so does one that stood elsewhere for longer than any light is red
    max_coast_s: float = 5.0  # a track without points for longer is forgotten
    climb_s: float = 2.0  # mean time after which an object where two levels meet changes to the other
    max_sigma: float = 10.0  # m; a track without points whose position is known worse than this is forgotten

    def __post_init__(self) -> None:
        if self.motion not in MOTIONS:
            raise unknown_name("motion", self.motion, MOTIONS)
        check_range(self, acceleration=(1e-6, 1e3), turn_acceleration=(0, 1e3))
        check_range(self, reach_sigma=(0, 1e3), birth_probability=(1e-12, 1), birth_score=(0, 1))
        check_range(self, inside_birth_probability=(1e-12, 1), confirm_probability=(0, 1))
        check_range(self, delete_probability=(0, 1), lifetime_s=(1e-3, 1e9), max_coast_s=(0, 1e9))
        check_range(self, rest_s=(0, 1e12), rest_elsewhere_s=(0, 1e12))
        check_range(self, max_sigma=(1e-6, 1e6), climb_s=(1e-3, 1e9), wrong_way=(1e-6, 0.5))


def filter_dtype(size: int, n_levels: int) -> np.dtype:
    """What the tracker knows of a track, with so many states of motion and levels: one row a track, ids ascending."""
    return np.dtype(
        [
            ("track", np.int64),
            ("state", np.float64, (size,)),  # see motion
            ("cov", np.float64, (size, size)),
            ("bias_cov", np.float64, (2, 2)),  # m², of the cameras that saw it last
            ("log_odds", np.float64),  # of its existence
            ("seen_time", np.float64),  # s, of its last point
            ("camera_set", np.int64),  # see Objects
            ("levels", np.float64, (n_levels,)),  # probability of each
            ("level", np.int64),  # the likeliest one, index into the map's levels
            ("z", np.float64),  # m
            ("anchor", np.float64, (2,)),  # m, where it stands
            ("still_since", np.float64),  # s, and since when
            ("heading", np.float64),  # rad, of its last clear motion or its stall; NaN: none
            ("turned", np.float64),  # rad, sigma of that
            ("off", np.float64, (2,)),  # m, running mean of where its objects are while it rests
            ("off_var", np.float64),  # m², of that mean
            ("height", np.float64),  # m, running mean of what its boxes say; NaN: not known
            ("height_var", np.float64),  # m², of one of them
            ("label", np.int64),  # number among the labels that the tracker has met
            ("confirmed", np.int64),  # 0 or 1
            ("object", np.int64),  # of this window; -1: none
        ]
    )


class Tracker:
    """The tracks of one site. `predict` them to a window's time, associate, then `update` with its objects."""

    def __init__(
        self,
        site: Site,
        options: TrackingOptions | None = None,
        existence: ExistenceOptions | None = None,
        decisions: DecisionOptions | None = None,
    ) -> None:
        self.site = site
        self.options = options or TrackingOptions()
        self.existence = existence or ExistenceOptions()
        self.exchanges: list[Exchange] = []  # of tracks, found in the last window
        self.time = np.nan
        self._next_id = 1
        self._last_step = np.inf  # s since the window before; infinite at the first
        dtype = filter_dtype(STATE_SIZE[self.options.motion], len(site.site_map.levels))
        self._filters: np.ndarray = np.zeros(0, dtype)
        self._looks = np.zeros((0, 0), dtype=np.float32)  # (T, D) each track's embedding
        self._labels: tuple[str, ...] = ()  # that were met so far
        self._rested = np.zeros(0, dtype=bool)  # (T,) which tracks rested until this window
        self._noise = np.zeros(0)  # (T,) density of their accelerations until this window
        self._decisions = Decisions(self._filters.dtype, decisions)

    @property
    def camera_set(self) -> np.ndarray:
        """Which cameras saw each track (T,) last, as of `Objects`."""
        return np.ascontiguousarray(self._filters["camera_set"])

    def predict(self, time: float) -> Tracks:
        """All tracks, tentative ones too, moved on to `time` (s); they are one more camera of the association."""
        self._last_step = np.inf if np.isnan(self.time) else time - self.time
        dt = 0.0 if np.isnan(self.time) else time - self.time
        if dt < 0:
            raise InputError(f"window at {time} s comes after one at {self.time} s; sort the windows by time")
        self._rested = self._rests()
        since, self.time, held, options = self.time, time, self._filters, self.options
        self._noise = np.zeros(0)
        if len(held):
            self._noise = noise = options.acceleration * kind_arrays(self._labels).acceleration.take(held["label"])
            noise[self._rested] *= REST
            stays = math.exp(-dt / options.lifetime_s)
            before = held["state"][:, :2].copy()
            steps.advance(held, self._rested, CREEP, dt, noise, float(options.turn_acceleration), stays)
            walls.stop(held, before, since, *wall_arrays(self.site.site_map, level_names(self.site.site_map)))
            self._decisions.predict(dt, float(options.turn_acceleration))
        table = self._table()
        return self._doubted(table) if self._rested.any() else table

    def update(self, objects: Objects, reporting: np.ndarray) -> Tracks:
        """The tracks after this window's `objects`, whose `track` says which one each belongs to.

        `reporting` (C,) bool are the cameras that delivered the window. Tracks without an object coast; see
        `Tracks.state`. Tentative tracks are returned too.
        """
        label, level = self._label_rows(objects), level_rows(self.site.site_map, objects.coded("level"))
        held, kinds = self._filters, kind_arrays(self._labels)
        rows = filters.rows_of_ids(held["track"], np.ascontiguousarray(objects.track))
        names = ("xyz", "cov", "bias_cov", "score", "camera_set", "object")
        sure = np.ascontiguousarray(objects.level_probability)
        seen = (*(np.ascontiguousarray(getattr(objects, name)) for name in names), level, sure, label)
        climbs = 1.0 / self.options.climb_s, joint_arrays(self.site.site_map, level_names(self.site.site_map), True)
        heights = np.ascontiguousarray(objects.height), np.ascontiguousarray(objects.height_var)
        window = Window(self.time, rows, seen, climbs, np.ascontiguousarray(objects.embedding), heights)
        self.exchanges = self._decisions.weigh(held, self._looks, self._noise, self._labels, window)
        if self.exchanges:
            self._rested = self._rests()
        times = self.time, self._last_step if np.isfinite(self._last_step) else 0.0
        stands = self._rested, WAKE2, kinds.length, kinds.speed, STAND, STAND_SIGMA, PARKS, LEAST_SPEED
        steps.take_in(held, rows, *times, MAX_LOG_ODDS, *seen, *stands, stall_arrays(self.site.site_map), *climbs)
        self._learn_appearance(rows, objects.embedding)
        steps.learn_heights(held, rows, *heights, APPEARANCE_RATE)
        if self.existence.detection_probability:
            steps.miss(held, *scene_arrays(self.site, reporting, objects, self.existence))
        new = np.flatnonzero((rows < 0) & (objects.best_score >= self.options.birth_score))
        born = self._born(new, seen)
        born["height"], born["height_var"] = objects.height[new], objects.height_var[new]
        self._go_on(born, objects.embedding[new])
        return self._table()

    def forget(self, tracks: set[int]) -> None:
        """Do without some tracks, as if they had ended, and without what is open about them."""
        stays = ~np.isin(self._filters["track"], list(tracks))
        self._filters, self._looks = self._filters[stays], self._looks[stays]
        self._decisions.forget(tracks)

    def finish(self) -> list[Exchange]:
        """The exchanges of tracks that are likely by now, as if all lags were over."""
        return self._decisions.finish()

    def _rests(self) -> np.ndarray:
        """Which tracks (T,) have stood for long enough: of classes that park."""
        held, options = self._filters, self.options
        rests = np.empty(len(held), dtype=bool)
        length, stalls = kind_arrays(self._labels).length, stall_arrays(self.site.site_map)
        steps.stand(held, self.time, options.rest_s, options.rest_elsewhere_s, length, PARKS, stalls, rests)
        return rests

    def _doubted(self, table: Tracks) -> Tracks:
        """The association looks farther for what rests and seems to start."""
        held, cov = self._filters, table.cov.copy()
        resting.doubt(self._rested, 0.25 * kind_arrays(self._labels).length.take(held["label"]), held["off"], cov)
        return table.revised(cov=cov)

    def _learn_appearance(self, rows: np.ndarray, embedding: np.ndarray) -> None:
        if self._looks.shape[1] != embedding.shape[1]:
            self._looks = np.zeros((len(self._filters), embedding.shape[1]), dtype=np.float32)
        if embedding.shape[1]:
            old = rows >= 0
            mixed = (1.0 - APPEARANCE_RATE) * self._looks[rows[old]] + APPEARANCE_RATE * embedding[old]
            self._looks[rows[old]] = unit_rows(mixed)

    def _born(self, new: np.ndarray, seen: tuple[np.ndarray, ...]) -> np.ndarray:
        """New tracks for the objects that no track explains, in rows `new` (N,) of what was `seen`."""
        options, born = self.options, np.zeros(len(new), self._filters.dtype)
        if len(new):
            prior = options.birth_probability, options.inside_birth_probability
            where = kind_arrays(self._labels).speed, view_arrays(self.site.visibility)
            since = self._next_id, self._last_step, options.reach_sigma
            steps.bear(born, new, self.time, *since, *prior, *where, *seen)
            self._next_id += len(new)
            if one_way_lanes(self.site.site_map):
                self._head_along_lanes(born)
        return born

    def _head_along_lanes(self, born: np.ndarray) -> None:
        """Before it is seen again, a vehicle in a one-way lane is taken to drive along it, rarely against it.

        The first two moments of a velocity that is normal across the lane, and one of both halves of a normal along it.
        """
        axes = lane_axes(self.site.site_map, born["level"], born["state"][:, :2])
        kinds = kind_arrays(self._labels)
        speed = np.where(kinds.length >= DRIVES, kinds.speed, 0.0).take(born["label"])
        share = (1.0 - 2.0 * self.options.wrong_way) * math.sqrt(2.0 / math.pi)
        ahead = share * speed[:, None] * axes
        born["state"][:, 2:4] += ahead
        born["cov"][:, 2:4, 2:4] -= ahead[:, :, None] * ahead[:, None, :]

    def _go_on(self, born: np.ndarray, looks: np.ndarray) -> None:
        """Confirm the tracks that are likely enough, drop those that are not, or were not seen for too long."""
        held, options = self._filters, self.options
        odds = _log_odds(options.confirm_probability), _log_odds(options.delete_probability)
        after = np.empty(len(held) + len(born), held.dtype)
        kept = np.empty(len(after), dtype=np.int64)
        n = steps.go_on(held, born, self.time, *odds, options.max_coast_s, options.max_sigma, after, kept)
        if n >= 0:
            self._filters = after[:n]
            self._looks = np.concatenate([self._looks, looks]).take(kept[:n], axis=0)

    def _label_rows(self, objects: Objects) -> np.ndarray:
        """Number (K,) of each object's label among those that the tracker has met."""
        labels = objects.coded("label")
        if not set(labels.names) <= set(self._labels):
            self._labels = tuple(dict.fromkeys((*self._labels, *labels.names)))
        return common_numbers(self._labels, labels.names)[1].take(labels.code)

    def _table(self) -> Tracks:
        n, held = len(self._filters), self._filters
        track, of, level, label, said = (np.empty(n, dtype=np.int64) for _ in range(5))
        xy, velocity, cov, bias_cov = np.empty((n, 2)), np.empty((n, 2)), np.empty((n, 4, 4)), np.empty((n, 2, 2))
        z, heading, turned, still_since, score, sure = (np.empty(n) for _ in range(6))
        # the filters live on, the table stays as it is
        where = level, sure, label, xy, z, velocity, cov, bias_cov
        steps.tell(held, track, of, *where, heading, turned, still_since, score, said)
        return Tracks.trusted(
            time=np.full(n, self.time),
            track=track,
            object=of,
            level=Coded(level_names(self.site.site_map), level),
            level_probability=sure,
            xy=xy,
            z=z,
            velocity=velocity,
            cov=cov,
            bias_cov=bias_cov,
            height=held["height"].copy(),
            height_var=held["height_var"].copy(),
            label=Coded(self._labels, label),
            score=score,
            heading=heading,
            heading_sigma=turned,
            still_since=still_since,
            state=Coded(STATES, said),
            life=Coded(UNSAID, np.zeros(n, dtype=np.int64)),
            revision=np.zeros(n, dtype=np.int64),
            embedding=self._looks.copy(),
        )


@lru_cache(maxsize=64)
def _log_odds(probability: float) -> float:
    return float(logit(probability))


def logit(probability: np.ndarray | float) -> np.ndarray:
    """Log-odds of a probability, which is held within 1e-12 of 0 and 1."""
    clipped = np.clip(probability, 1e-12, 1.0 - 1e-12)
    return np.log(clipped / (1.0 - clipped))


def probability(log_odds: np.ndarray) -> np.ndarray:
    """Probability of log-odds."""
    return 1.0 / (1.0 + np.exp(-log_odds))
