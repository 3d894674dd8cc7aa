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
from geoloc.geometry.gaussian import worst_sigma
from geoloc.geometry.vectors import unit_rows
from geoloc.options import check_range
from geoloc.pipeline.decisions import DecisionOptions, Decisions, Exchange, Window
from geoloc.pipeline.existence import ExistenceOptions, missed_evidence
from geoloc.pipeline.lazily import filters, resting, sight
from geoloc.pipeline.motion import MOTIONS, STATE_SIZE
from geoloc.pipeline.packed import common_numbers, kind_arrays, level_names, level_rows, stall_arrays, view_arrays
from geoloc.scene.site import Site
from geoloc.scene.tables import Coded, Objects, Tracks

MAX_LOG_ODDS = 7.0  # of existence, so that a track that is no longer seen is given up in time
APPEARANCE_RATE = 0.2  # of a window in a track's running mean embedding
STATES = ("tentative", "confirmed", "coasting")  # in the order of `kernels.filters`
STAND, STAND_SIGMA = 0.25, 3.0  # of its length, and sigmas: an object that is nearer still stands where it stood
PARKS = 1.0  # m; classes that are shorter never rest
REST = 0.1  # of a class's acceleration: that of an object at rest
CREEP = 0.2  # m/s, standard deviation of its velocity
WAKE2 = 16.0  # squared sigmas off in the mean, from which on it moves again
LEAST_SPEED = 1.0  # m/s, from which on a motion tells where an object heads
TURN_RATE_SIGMA = 0.5  # rad/s, of a new track


@dataclass(frozen=True)
class TrackingOptions:
    """How tracks move, are born and die."""

    motion: str = "constant_velocity"  # or coordinated_turn
    acceleration: float = 1.0  # times the class's own, the density of the white-noise acceleration
    turn_acceleration: float = 0.2  # rad/s^1.5, density of the turn rate's change (coordinated turn)
    reach_sigma: float = 2.0  # of the class's speed: a new object may have come from as far as this
    birth_probability: float = 0.3  # that a group of points where nobody could look before is a new object
    inside_birth_probability: float = 0.002  # the same in the midst of what was in view a moment before
    birth_score: float = 0.5  # groups whose best score is lower extend tracks and start none
    confirm_probability: float = 0.9  # a track is confirmed, and reported, from here on
    delete_probability: float = 0.05  # and forgotten below here
    lifetime_s: float = 60.0  # mean time after which an object leaves unseen
    rest_s: float = 5.0  # a vehicle that stood in a stall for as long rests, until it is seen to move
    rest_elsewhere_s: float = 120.0  # and so does one that stood elsewhere for longer than any light is red
    max_coast_s: float = 5.0  # a track without points for longer is forgotten
    max_sigma: float = 10.0  # m; a track without points whose position is known worse than this is forgotten

    def __post_init__(self) -> None:
        if self.motion not in MOTIONS:
            raise unknown_name("motion", self.motion, MOTIONS)
        check_range(self, acceleration=(1e-6, 1e3), turn_acceleration=(0, 1e3))
        check_range(self, reach_sigma=(0, 1e3), birth_probability=(1e-12, 1), birth_score=(0, 1))
        check_range(self, inside_birth_probability=(1e-12, 1), confirm_probability=(0, 1))
        check_range(self, delete_probability=(0, 1), lifetime_s=(1e-3, 1e9), max_coast_s=(0, 1e9))
        check_range(self, rest_s=(0, 1e12), rest_elsewhere_s=(0, 1e12))
        check_range(self, max_sigma=(1e-6, 1e6))


def filter_dtype(size: int) -> np.dtype:
    """What the tracker knows of a track, with a motion of so many states: one row a track, ids ascending."""
    return np.dtype(
        [
            ("track", np.int64),
            ("state", np.float64, (size,)),  # see motion
            ("cov", np.float64, (size, size)),
            ("bias_cov", np.float64, (2, 2)),  # m², of the cameras that saw it last
            ("log_odds", np.float64),  # of its existence
            ("seen_time", np.float64),  # s, of its last point
            ("camera_set", np.int64),  # see Objects
            ("level", np.int64),  # index into the map's levels
            ("z", np.float64),  # m
            ("anchor", np.float64, (2,)),  # m, where it stands
            ("still_since", np.float64),  # s, and since when
            ("heading", np.float64),  # rad, of its last clear motion or its stall; NaN: none
            ("off", np.float64, (2,)),  # m, running mean of where its objects are while it rests
            ("off_var", np.float64),  # m², of that mean
            ("label", np.int64),  # number among the labels that the tracker has met
            ("confirmed", np.int64),  # 0 or 1
            ("object", np.int64),  # of this window; -1: none
        ]
    )


FILTERED = ("state", "cov", "bias_cov", "log_odds", "camera_set", "seen_time", "level", "z", "label", "object")
LIVING = ("object", "log_odds", "cov", "bias_cov", "seen_time", "confirmed")


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
        self._filters: np.ndarray = np.zeros(0, filter_dtype(STATE_SIZE[self.options.motion]))
        self._looks = np.zeros((0, 0), dtype=np.float32)  # (T, D) each track's embedding
        self._labels: tuple[str, ...] = ()  # that were met so far
        self._rested = np.zeros(0, dtype=bool)  # (T,) which tracks rested until this window
        self._noise = np.zeros(0)  # (T,) density of their accelerations until this window
        self._decisions = Decisions(self._filters.dtype, decisions)

    def predict(self, time: float) -> Tracks:
        """All tracks, tentative ones too, moved on to `time` (s); they are one more camera of the association."""
        self._last_step = np.inf if np.isnan(self.time) else time - self.time
        dt = 0.0 if np.isnan(self.time) else time - self.time
        if dt < 0:
            raise InputError(f"window at {time} s comes after one at {self.time} s; sort the windows by time")
        self._rested = self._rests()
        held, self.time, self._noise = self._filters, time, np.zeros(0)
        if len(held):
            self._noise = noise = self.options.acceleration * kind_arrays(self._labels).acceleration.take(held["label"])
            noise[self._rested] *= REST
            resting.rest(self._rested, CREEP, *(held[name] for name in ("state", "cov", "off", "off_var")))
            move = MOTIONS[self.options.motion]
            held["state"], held["cov"], _ = move(held["state"], held["cov"], dt, noise, self.options.turn_acceleration)
            filters.fade(held["log_odds"], math.exp(-dt / self.options.lifetime_s))
            held["object"] = -1
            self._decisions.predict(dt, move, self.options.turn_acceleration)
        table = self._table()
        if self._rested.any():
            table = self._doubted(table)
        return table

    def update(self, objects: Objects, reporting: np.ndarray) -> Tracks:
        """The tracks after this window's `objects`, whose `track` says which one each belongs to.

        `reporting` (C,) bool are the cameras that delivered the window. Tracks without an object coast; see
        `Tracks.state`. Tentative tracks are returned too.
        """
        label, level = self._label_rows(objects), level_rows(self.site.site_map, objects.coded("level"))
        held = self._filters
        rows = filters.rows_of_ids(held["track"], np.ascontiguousarray(objects.track))
        names = ("xyz", "cov", "bias_cov", "score", "camera_set", "object")
        seen = tuple(np.ascontiguousarray(getattr(objects, name)) for name in names)
        window = Window(self.time, rows, (*seen, level, label), np.ascontiguousarray(objects.embedding))
        self.exchanges = self._decisions.weigh(held, self._looks, self._noise, self._labels, window)
        if self.exchanges:
            self._rested = self._rests()
        self._wake(rows, seen)
        filters.update(rows, self.time, MAX_LOG_ODDS, *seen, level, label, *(held[name] for name in FILTERED))
        self._settle()
        self._learn_appearance(rows, objects.embedding)
        self._miss(objects, reporting)
        if len(rows) and rows.min() < 0:
            self._bear(objects, rows, label, level)
        self._forget()
        return self._table()

    def finish(self) -> list[Exchange]:
        """The exchanges of tracks that are likely by now, as if all lags were over."""
        return self._decisions.finish()

    def _rests(self) -> np.ndarray:
        """Which tracks (T,) have stood for long enough: of classes that park."""
        held, options = self._filters, self.options
        where = self._parks(), stall_arrays(self.site.site_map), held["level"], held["state"], held["still_since"]
        return np.asarray(resting.resting(self.time, options.rest_s, options.rest_elsewhere_s, *where))

    def _parks(self) -> np.ndarray:
        return np.asarray(kind_arrays(self._labels).length.take(self._filters["label"]) >= PARKS)

    def _doubted(self, table: Tracks) -> Tracks:
        """The association looks farther for what rests and seems to start."""
        held, cov = self._filters, table.cov.copy()
        resting.doubt(self._rested, 0.25 * kind_arrays(self._labels).length.take(held["label"]), held["off"], cov)
        return table.revised(cov=cov)

    def _wake(self, rows: np.ndarray, seen: tuple[np.ndarray, ...]) -> None:
        held = self._filters
        if self._rested.any():
            xyz, cov, bias_cov, _, camera_set, _ = seen
            speed = kind_arrays(self._labels).speed.take(held["label"])
            known = [held[name] for name in ("seen_time", "state", "cov", "bias_cov", "camera_set")]
            objects = rows, self._rested, WAKE2, xyz, cov, bias_cov, camera_set
            resting.wake(*objects, *known, speed, self.time, held["off"], held["off_var"], held["still_since"])

    def _settle(self) -> None:
        held = self._filters
        allowed = STAND * kind_arrays(self._labels).length.take(held["label"])
        known = [held[name] for name in ("level", "state", "cov", "anchor", "still_since", "heading")]
        stalls = stall_arrays(self.site.site_map)
        resting.settle(self.time, allowed, STAND_SIGMA, LEAST_SPEED, self._parks(), stalls, *known)

    def _learn_appearance(self, rows: np.ndarray, embedding: np.ndarray) -> None:
        if self._looks.shape[1] != embedding.shape[1]:
            self._looks = np.zeros((len(self._filters), embedding.shape[1]), dtype=np.float32)
        if embedding.shape[1]:
            old = rows >= 0
            mixed = (1.0 - APPEARANCE_RATE) * self._looks[rows[old]] + APPEARANCE_RATE * embedding[old]
            self._looks[rows[old]] = unit_rows(mixed)

    def _miss(self, others: Objects, reporting: np.ndarray) -> None:
        """Cameras that could have seen a track and did not speak against it."""
        held = self._filters
        rows = np.flatnonzero(held["object"] < 0)
        if len(rows):
            xyz, nobody = np.empty((len(rows), 3)), np.zeros((0, len(reporting)), dtype=bool)
            xyz[:, :2], xyz[:, 2] = held["state"][rows, :2], held["z"][rows]
            place = held["level"][rows], xyz
            held["log_odds"][rows] += missed_evidence(self.site, *place, nobody, reporting, others, self.existence)

    def _bear(self, objects: Objects, rows: np.ndarray, label: np.ndarray, level: np.ndarray) -> None:
        """New tracks for objects that no track explains."""
        options = self.options
        new = np.flatnonzero((rows < 0) & (objects.best_score >= options.birth_score))
        if not len(new):
            return
        label, level, xyz, cov = label[new], level[new], objects.xyz[new], objects.cov[new]
        hidden = sight.depth_of(level, xyz, view_arrays(self.site.visibility))
        speed = kind_arrays(self._labels).speed[label]
        reach = options.reach_sigma * speed * self._last_step + worst_sigma(cov[:, :2, :2])
        prior = np.where(hidden <= reach, options.birth_probability, options.inside_birth_probability)
        born: np.ndarray = np.zeros(len(new), self._filters.dtype)
        size = born["state"].shape[1]
        born["track"] = self._next_id + np.arange(len(new))
        born["state"][:, :2], born["cov"][:, :2, :2] = xyz[:, :2], cov[:, :2, :2]
        born["cov"][:, [2, 3], [2, 3]] = speed[:, None] ** 2
        born["cov"][:, range(4, size), range(4, size)] = TURN_RATE_SIGMA**2
        born["bias_cov"], born["log_odds"] = objects.bias_cov[new, :2, :2], logit(prior) + logit(objects.score[new])
        born["seen_time"], born["camera_set"] = self.time, objects.camera_set[new]
        born["heading"], born["anchor"], born["still_since"] = np.nan, xyz[:, :2], self.time
        born["level"], born["z"], born["label"], born["object"] = level, xyz[:, 2], label, objects.object[new]
        self._next_id += len(new)
        self._filters = np.concatenate([self._filters, born])
        self._looks = np.concatenate([self._looks, objects.embedding[new]])

    def _forget(self) -> None:
        """Confirm the tracks that are likely enough, and drop those that are not, or were not seen for too long."""
        held, options = self._filters, self.options
        odds = _log_odds(options.confirm_probability), _log_odds(options.delete_probability)
        known = [held[name] for name in LIVING]
        alive = filters.live_on(self.time, *odds, options.max_coast_s, options.max_sigma, *known)
        if not alive.all():
            self._filters, self._looks = held[alive], self._looks[alive]

    def _label_rows(self, objects: Objects) -> np.ndarray:
        """Number (K,) of each object's label among those that the tracker has met."""
        labels = objects.coded("label")
        if not set(labels.names) <= set(self._labels):
            self._labels = tuple(dict.fromkeys((*self._labels, *labels.names)))
        return common_numbers(self._labels, labels.names)[1].take(labels.code)

    def _table(self) -> Tracks:
        held = self._filters
        said, score = filters.say_states(held["object"], held["log_odds"], held["confirmed"])
        state = held["state"]
        # copies: the filters live on, the table stays as it is
        return Tracks.trusted(
            time=np.full(len(held), self.time),
            track=held["track"].copy(),
            object=held["object"].copy(),
            level=Coded(level_names(self.site.site_map), held["level"].copy()),
            xy=state[:, :2].copy(),
            z=held["z"].copy(),
            velocity=state[:, 2:4].copy(),
            cov=held["cov"][:, :4, :4].copy(),
            bias_cov=held["bias_cov"].copy(),
            heading=held["heading"].copy(),
            still_since=held["still_since"].copy(),
            label=Coded(self._labels, held["label"].copy()),
            score=score,
            state=Coded(STATES, said),
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
