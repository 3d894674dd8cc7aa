"""Objects of successive windows become tracks: a Kalman filter each, and a probability that it exists.

All tracks live in arrays; a step is a handful of array operations whatever their number. Birth, confirmation
and death are decided by that probability (integrated probabilistic data association; Musicki, Evans and
Stankovic, 1994) and by seconds, never by counts of frames.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.geometry.gaussian import inverse_2x2, symmetric, worst_sigma
from geoloc.geometry.vectors import unit_rows
from geoloc.options import check_range
from geoloc.pipeline.existence import ExistenceOptions, missed_evidence
from geoloc.pipeline.motion import MOTIONS, STATE_SIZE
from geoloc.scene.kinds import kind_column
from geoloc.scene.site import Site
from geoloc.scene.tables import Objects, Tracks

MAX_LOG_ODDS = 7.0  # of existence, so that a track that is no longer seen is given up in time
APPEARANCE_RATE = 0.2  # of a window in a track's running mean embedding
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
    max_coast_s: float = 5.0  # a track without points for longer is forgotten
    max_sigma: float = 10.0  # m; a track without points whose position is known worse than this is forgotten

    def __post_init__(self) -> None:
        if self.motion not in MOTIONS:
            raise unknown_name("motion", self.motion, MOTIONS)
        check_range(self, acceleration=(1e-6, 1e3), turn_acceleration=(0, 1e3))
        check_range(self, reach_sigma=(0, 1e3), birth_probability=(1e-12, 1), birth_score=(0, 1))
        check_range(self, inside_birth_probability=(1e-12, 1), confirm_probability=(0, 1))
        check_range(self, delete_probability=(0, 1), lifetime_s=(1e-3, 1e9), max_coast_s=(0, 1e9))
        check_range(self, max_sigma=(1e-6, 1e6))


@dataclass(eq=False)
class _Filters:
    """One row a track: what the tracker knows of it."""

    track: np.ndarray  # (T,) id
    state: np.ndarray  # (T, d) see motion
    cov: np.ndarray  # (T, d, d)
    bias_cov: np.ndarray  # (T, 2, 2) m², of the cameras that saw it last
    log_odds: np.ndarray  # (T,) of its existence
    seen_time: np.ndarray  # (T,) s, of its last point
    camera_set: np.ndarray  # (T,) see Objects
    level: np.ndarray  # (T,) index into the map's levels
    z: np.ndarray  # (T,) m
    label: np.ndarray  # (T,) str, as objects
    confirmed: np.ndarray  # (T,) bool
    object: np.ndarray  # (T,) of this window; -1: none
    embedding: np.ndarray  # (T, D)

    def take(self, rows: np.ndarray) -> "_Filters":
        return _Filters(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def joined(self, other: "_Filters") -> "_Filters":
        if not len(self.track):
            return other
        parts = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return _Filters(*(np.concatenate(pair) for pair in parts))


class Tracker:
    """The tracks of one site. `predict` them to a window's time, associate, then `update` with its objects."""

    def __init__(
        self, site: Site, options: TrackingOptions | None = None, existence: ExistenceOptions | None = None
    ) -> None:
        self.site = site
        self.options = options or TrackingOptions()
        self.existence = existence or ExistenceOptions()
        self.time = np.nan
        self._next_id = 1
        self._last_step = np.inf  # s since the window before; infinite at the first
        self._filters = self._new(Objects())

    def predict(self, time: float) -> Tracks:
        """All tracks, tentative ones too, moved on to `time` (s); they are one more camera of the association."""
        self._last_step = np.inf if np.isnan(self.time) else time - self.time
        dt = 0.0 if np.isnan(self.time) else time - self.time
        if dt < 0:
            raise InputError(f"window at {time} s comes after one at {self.time} s; sort the windows by time")
        filters = self._filters
        noise = self.options.acceleration * kind_column(filters.label, "acceleration")
        move = MOTIONS[self.options.motion]
        filters.state, filters.cov, _ = move(filters.state, filters.cov, dt, noise, self.options.turn_acceleration)
        filters.log_odds = logit(np.exp(-dt / self.options.lifetime_s) * probability(filters.log_odds))
        filters.object = np.full(len(filters.track), -1)
        self.time = time
        return self._table()

    def update(self, objects: Objects, reporting: np.ndarray) -> Tracks:
        """The tracks after this window's `objects`, whose `track` says which one each belongs to.

        `reporting` (C,) bool are the cameras that delivered the window. Tracks without an object coast; see
        `Tracks.state`. Tentative tracks are returned too.
        """
        by_id = np.argsort(self._filters.track)
        place = np.searchsorted(self._filters.track, objects.track, sorter=by_id)
        rows = by_id[np.minimum(place, len(by_id) - 1)] if len(by_id) else np.zeros(len(objects), dtype=np.intp)
        old = objects.track >= 0
        self._filter(rows[old], objects.take(old))
        self._miss(objects, reporting)
        self._filters = self._filters.joined(self._born(objects.take(~old)))
        filters = self._filters
        filters.confirmed = filters.confirmed | (filters.log_odds >= logit(self.options.confirm_probability))
        self._filters = filters.take(self._alive())
        return self._table()

    def _filter(self, rows: np.ndarray, objects: Objects) -> None:
        """Kalman update of the tracks in `rows` by one object each (Joseph's form)."""
        filters = self._filters
        bias_cov = objects.bias_cov[:, :2, :2]
        changed = (objects.camera_set != filters.camera_set[rows])[:, None, None]
        # other cameras, other persistent errors: the step between them is no motion
        noise = objects.cov[:, :2, :2] + np.where(changed, bias_cov + filters.bias_cov[rows], 0.0)
        cov = filters.cov[rows]
        gain = cov[:, :, :2] @ inverse_2x2(cov[:, :2, :2] + noise)
        filters.state[rows] += np.einsum("tij,tj->ti", gain, objects.xyz[:, :2] - filters.state[rows, :2])
        size = cov.shape[1]
        kept = np.eye(size) - gain @ np.eye(2, size)
        filters.cov[rows] = symmetric(kept @ cov @ kept.swapaxes(1, 2) + gain @ noise @ gain.swapaxes(1, 2))
        filters.log_odds[rows] = np.minimum(filters.log_odds[rows] + logit(objects.score), MAX_LOG_ODDS)
        filters.bias_cov[rows], filters.camera_set[rows] = bias_cov, objects.camera_set
        filters.seen_time[rows], filters.object[rows] = self.time, objects.object
        filters.level[rows], filters.z[rows] = self.site.site_map.level_rows(objects.level), objects.xyz[:, 2]
        filters.label[rows] = objects.label
        self._learn_appearance(rows, objects.embedding)

    def _learn_appearance(self, rows: np.ndarray, embedding: np.ndarray) -> None:
        filters = self._filters
        if filters.embedding.shape[1] != embedding.shape[1]:
            filters.embedding = np.zeros((len(filters.track), embedding.shape[1]), dtype=np.float32)
        mixed = (1.0 - APPEARANCE_RATE) * filters.embedding[rows] + APPEARANCE_RATE * embedding
        filters.embedding[rows] = unit_rows(mixed)

    def _miss(self, others: Objects, reporting: np.ndarray) -> None:
        """Cameras that could have seen a track and did not speak against it."""
        filters = self._filters
        rows = np.flatnonzero(filters.object < 0)
        nobody = np.zeros((len(rows), len(self.site.cameras)), dtype=bool)
        xyz, level = np.column_stack([filters.state[rows, :2], filters.z[rows]]), filters.level[rows]
        filters.log_odds[rows] += missed_evidence(self.site, level, xyz, nobody, reporting, others, self.existence)

    def _born(self, objects: Objects) -> _Filters:
        """New tracks for objects that no track explains."""
        options = self.options
        level = self.site.site_map.level_rows(objects.level)
        hidden = self.site.visibility.distance_to_unseen(level, objects.xyz[:, :2])
        speed = kind_column(objects.label, "speed")
        reach = options.reach_sigma * speed * self._last_step + worst_sigma(objects.cov[:, :2, :2])
        prior = np.where(hidden <= reach, options.birth_probability, options.inside_birth_probability)
        log_odds = logit(prior) + logit(objects.score)
        starts = objects.best_score >= options.birth_score
        born = self._new(objects.take(starts))
        born.log_odds = log_odds[starts]
        self._next_id += len(born.track)
        return born

    def _new(self, objects: Objects) -> _Filters:
        n, size = len(objects), STATE_SIZE[self.options.motion]
        state, cov = np.zeros((n, size)), np.zeros((n, size, size))
        state[:, :2], cov[:, :2, :2] = objects.xyz[:, :2], objects.cov[:, :2, :2]
        cov[:, [2, 3], [2, 3]] = kind_column(objects.label, "speed")[:, None] ** 2
        cov[:, range(4, size), range(4, size)] = TURN_RATE_SIGMA**2
        return _Filters(
            track=self._next_id + np.arange(n),
            state=state,
            cov=cov,
            bias_cov=objects.bias_cov[:, :2, :2].copy(),
            log_odds=np.zeros(n),
            seen_time=np.full(n, self.time),
            camera_set=objects.camera_set.copy(),
            level=self.site.site_map.level_rows(objects.level),
            z=objects.xyz[:, 2].copy(),
            label=objects.label.astype(object),
            confirmed=np.zeros(n, dtype=bool),
            object=objects.object.copy(),
            embedding=objects.embedding.copy(),
        )

    def _alive(self) -> np.ndarray:
        filters, options = self._filters, self.options
        sigma = worst_sigma(filters.cov[:, :2, :2] + filters.bias_cov)
        return (filters.object >= 0) | (
            (filters.log_odds > logit(options.delete_probability))
            & (self.time - filters.seen_time <= options.max_coast_s)
            & (sigma <= options.max_sigma)
        )

    def _table(self) -> Tracks:
        filters = self._filters
        state = np.where(filters.confirmed, np.where(filters.object < 0, "coasting", "confirmed"), "tentative")
        # copies: the filters live on, the table stays as it is
        return Tracks.trusted(
            time=np.full(len(filters.track), self.time),
            track=filters.track.copy(),
            object=filters.object.copy(),
            level=self.site.site_map.level_names[filters.level],
            xy=filters.state[:, :2].copy(),
            z=filters.z.copy(),
            velocity=filters.state[:, 2:4].copy(),
            cov=filters.cov[:, :4, :4].copy(),
            bias_cov=filters.bias_cov.copy(),
            label=filters.label.astype(np.str_),
            score=probability(filters.log_odds),
            state=state,
            embedding=filters.embedding.copy(),
        )


def logit(probability: np.ndarray | float) -> np.ndarray:
    """Log-odds of a probability, which is held within 1e-12 of 0 and 1."""
    clipped = np.clip(probability, 1e-12, 1.0 - 1e-12)
    return np.log(clipped / (1.0 - clipped))


def probability(log_odds: np.ndarray) -> np.ndarray:
    """Probability of log-odds."""
    return 1.0 / (1.0 + np.exp(-log_odds))
