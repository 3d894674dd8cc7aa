"""Decisions that stay open for a while: two tracks whose objects may have been taken for each other's.

Where two tracks cross, or begin beside one another before any velocity is known, a window may give each the other's
object with almost the same likelihood. The answer is given at once; a pair of such tracks is kept beside it as it
would be had the objects been exchanged (its shadows), and both accounts are compared by what comes, for a stated lag.
Where the exchange turns out far more likely, the tracks become their shadows.

For each pair the one likeliest window of an exchange is kept: an older one against a new one, whichever is ahead.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.lazily import decisions, identities
from geoloc.pipeline.lazily import tracks as steps
from geoloc.pipeline.packed import JointArrays
from geoloc.scene.kinds import family_of

KEEP, EXCHANGE, AT_LAST = 1, 2, 2  # as in `kernels.decisions`
OWN = ("track", "log_odds", "confirmed")  # what a track keeps when it becomes its shadow


@dataclass(frozen=True)
class DecisionOptions:
    """For how long, and how surely, which track is which is reconsidered."""

    lag_s: float = 2.0  # after so long a decision is final; 0: at once
    least_probability: float = 0.01  # an exchange that is less likely than this is not considered any further
    exchange_probability: float = 0.95  # two tracks are exchanged from here on
    last_probability: float = 0.6  # the same when the lag is over
    most_pairs: int = 256  # that are open at once: the likeliest ones
    reach: float = 5.0  # m; an object farther off is never the track's
    outlier_probability: float = 0.05  # as in the association
    outlier_scale: float = 3.0
    height_spread: float = 0.3  # m, as in the association
    label_confusion: float = 0.0001
    appearance_weight: float = 10.0  # log-odds per unit of cosine similarity
    view_s: float = 1.0  # views closer in time than this err alike

    def __post_init__(self) -> None:
        check_range(self, lag_s=(0, 3600), least_probability=(1e-9, 0.5), exchange_probability=(0.5, 1 - 1e-9))
        check_range(self, last_probability=(0.5, 1 - 1e-9))
        check_range(self, most_pairs=(0, 10_000), reach=(0, 1e3), outlier_probability=(0, 0.5), outlier_scale=(1, 100))
        check_range(self, label_confusion=(1e-9, 1), appearance_weight=(0, 1e3), view_s=(0, 1e3))
        check_range(self, height_spread=(0, 1e3))


class Exchange(NamedTuple):
    """Two tracks that had each other's objects from `since` (s) until before `until` (NaN: to the end)."""

    first: int
    second: int
    since: float
    until: float
    probability: float


PAIR = np.dtype(
    [("first", "i8"), ("second", "i8"), ("since", "f8"), ("until", "f8"), ("odds", "f8")]
)  # of tracks by their ids; s; log-odds


class Window(NamedTuple):
    """What a window says: `rows` (K,) of the tracks that its objects belong to, -1: none, and the objects."""

    time: float
    rows: np.ndarray
    objects: tuple[np.ndarray, ...]  # xyz, cov, bias_cov, score, camera_set, object, level, sure, label: as for filters
    climbs: tuple[float, JointArrays]  # how often, 1/s, and where objects change levels
    looks: np.ndarray  # (K, D)
    heights: tuple[np.ndarray, np.ndarray]  # (K,) m, and their variances (K,) m²

    @property
    def placed(self) -> tuple[np.ndarray, ...]:
        """What `kernels.decisions` calls objects."""
        xyz, cov, bias_cov, _, camera_set, *_ = self.objects
        return xyz, cov, bias_cov, camera_set

    @property
    def kinds(self) -> tuple[np.ndarray, ...]:
        """Number (K,) of each object's label, and its height."""
        return self.objects[-1], *self.heights


class Decisions:
    """The open pairs of one site's tracks, held in arrays of the tracker's kind, `dtype`."""

    def __init__(self, dtype: np.dtype, options: DecisionOptions | None = None) -> None:
        self.options = options or DecisionOptions()
        self._pairs: np.ndarray = np.zeros(0, PAIR)
        self._shadows: np.ndarray = np.zeros(0, dtype)  # two a pair: what its tracks would be
        self._noise = np.zeros(0)  # of each shadow's motion
        self._looks = np.zeros((0, 0), dtype=np.float32)  # of each shadow, when its pair was opened
        self._passed = 0.0  # s since the last window

    def __len__(self) -> int:
        return len(self._pairs)

    def predict(self, passed: float, turn_noise: float) -> None:
        """Move the shadows on by `passed` s as the tracks are."""
        self._passed = passed
        if len(self):
            steps.drift(self._shadows, passed, self._noise, turn_noise)

    def weigh(
        self, held: np.ndarray, looks: np.ndarray, noise: np.ndarray, labels: tuple[str, ...], window: Window
    ) -> list[Exchange]:
        """Hold a window against the open pairs and open new ones: the tracks that are exchanged now.

        The rows of `held` (T,) and `looks` (T, D) of tracks that are exchanged become their shadows, and their objects
        in `window.rows` each other's, in place. `noise` (T,) is that of the tracks' motions.
        """
        if not self.options.lag_s or len(held) < 2 or not len(window.rows):
            self._keep(np.zeros(len(self), dtype=bool))
            return []
        model, families = _model(self.options), _families(labels)
        exchanges: list[Exchange] = []
        verdict, wanted = np.zeros(len(self), dtype=np.int64), np.zeros(2 * len(self), dtype=np.int64)
        if len(self):
            verdict = self._carry_on(model, families, held, window, wanted)
            exchanges = self._exchange(verdict, held, looks, window)
        about = window.placed, window.kinds, families, *_alike(window.looks, looks)
        new, odds = decisions.ambiguous(model, held, window.rows, *about, self._pairs, verdict)
        if len(new) or len(self):
            kept = verdict == KEEP
            self._keep(kept)
            self._open(new, odds, held, looks, noise, window.time)
            swapped = decisions.objects_of(window.rows, len(held))[new[:, ::-1].ravel()]
            self._update(np.concatenate([wanted[np.repeat(kept, 2)], swapped]), window)
            self._bound()
        return exchanges

    def finish(self) -> list[Exchange]:
        """The exchanges that are likely at the last window; nothing is open after it."""
        found: list[Exchange] = []
        pairs = self._pairs[self._pairs["odds"] >= _model(self.options)[AT_LAST]]
        for first, second, since, until, odds in pairs[np.argsort(-pairs["odds"], kind="stable")].tolist():
            if not any({first, second} & {known.first, known.second} for known in found):
                found.append(Exchange(first, second, since, until, _sure(odds)))
        self._keep(np.zeros(len(self), dtype=bool))
        return found

    def forget(self, tracks: set[int]) -> None:
        """Leave undecided what is open about some tracks."""
        self._keep(~np.isin(self._pairs["first"], list(tracks)) & ~np.isin(self._pairs["second"], list(tracks)))

    def _carry_on(
        self, model: np.ndarray, families: np.ndarray, held: np.ndarray, window: Window, wanted: np.ndarray
    ) -> np.ndarray:
        looks, own_looks = _alike(window.looks, self._looks)
        now = held, decisions.objects_of(window.rows, len(held)), window.placed, window.kinds, families, looks
        own = self._pairs, self._shadows, own_looks, wanted
        verdict: np.ndarray = decisions.carry_on(window.time, self._passed, model, *now, *own)
        return verdict

    def _exchange(self, verdict: np.ndarray, held: np.ndarray, looks: np.ndarray, window: Window) -> list[Exchange]:
        """Let the tracks of the pairs that are to be exchanged become their shadows, the likeliest first."""
        found, pairs = [], self._pairs
        wanted = np.flatnonzero(verdict == EXCHANGE)
        object_of = decisions.objects_of(window.rows, len(held))
        touched: set[int] = set()
        for h in wanted[np.argsort(-pairs["odds"][wanted], kind="stable")].tolist():
            first, second, since, until, odds = pairs[h].tolist()
            if first in touched or second in touched:
                continue
            touched |= {first, second}
            i, j = np.searchsorted(held["track"], [first, second]).tolist()
            for row, shadow in ((i, 2 * h), (j, 2 * h + 1)):
                own = [held[name][row] for name in OWN]
                held[row] = self._shadows[shadow]
                if looks.shape[1] == self._looks.shape[1]:
                    looks[row] = self._looks[shadow]
                for name, value in zip(OWN, own, strict=True):
                    held[name][row] = value
            still = np.isnan(until)
            if still:
                window.rows[[object_of[i], object_of[j]]] = j, i
            found.append(Exchange(first, second, since, window.time if still else until, _sure(odds)))
        if touched:  # what else was open about them is about what they were not
            over = np.isin(pairs["first"], list(touched)) | np.isin(pairs["second"], list(touched))
            verdict[over] = 0
        return found

    def _keep(self, kept: np.ndarray) -> None:
        if not kept.all():
            both = np.repeat(kept, 2)
            self._pairs, self._shadows = self._pairs[kept], self._shadows[both]
            self._noise, self._looks = self._noise[both], self._looks[both]

    def _open(
        self, new: np.ndarray, odds: np.ndarray, held: np.ndarray, looks: np.ndarray, noise: np.ndarray, time: float
    ) -> None:
        if not len(new):
            return
        pairs: np.ndarray = np.zeros(len(new), PAIR)
        pairs["first"], pairs["second"] = held["track"][new].T
        pairs["since"], pairs["until"], pairs["odds"] = time, np.nan, odds
        rows = new.ravel()
        if self._looks.shape[1] != looks.shape[1]:
            self._looks = np.zeros((len(self._shadows), looks.shape[1]), dtype=np.float32)
        self._pairs = np.asarray(identities.joined(self._pairs, pairs, np.empty(len(self._pairs) + len(pairs), PAIR)))
        room = np.empty(len(self._shadows) + len(rows), held.dtype)
        self._shadows = np.asarray(identities.joined(self._shadows, held.take(rows), room))
        self._noise = np.concatenate([self._noise, noise[rows]])
        self._looks = np.concatenate([self._looks, looks[rows]])

    def _update(self, wanted: np.ndarray, window: Window) -> None:
        """The shadows (2 H,) take the objects that they want, -1: none."""
        steps.renew(self._shadows, wanted, window.time, np.inf, *window.climbs, *window.objects)

    def _bound(self) -> None:
        if len(self) > self.options.most_pairs:
            order = np.argsort(-self._pairs["odds"], kind="stable")
            kept = np.zeros(len(self), dtype=bool)
            kept[order[: self.options.most_pairs]] = True
            self._keep(kept)


def _sure(odds: float) -> float:
    return float(1.0 / (1.0 + np.exp(-odds)))


def _alike(looks: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of one width, or none."""
    return (looks, others) if looks.shape[1] == others.shape[1] else (looks[:, :0], others[:, :0])


@lru_cache(maxsize=64)
def _model(options: DecisionOptions) -> np.ndarray:
    """See `kernels.decisions`."""
    sure = options.least_probability, options.exchange_probability, options.last_probability
    return np.array(
        [
            *(np.log(probability / (1.0 - probability)) for probability in sure),
            options.lag_s,
            options.outlier_probability,
            options.outlier_scale**2,
            np.log(options.label_confusion),
            options.appearance_weight,
            options.view_s,
            options.reach,
            2.0 * options.height_spread**2,
        ]
    )


@lru_cache(maxsize=256)
def _families(labels: tuple[str, ...]) -> np.ndarray:
    """Number (L,) of the family of each label."""
    names = [family_of(label) for label in labels]
    return np.array([names.index(name) for name in names], dtype=np.int64)
