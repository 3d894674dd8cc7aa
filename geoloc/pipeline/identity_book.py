"""What is known of each identity: a row of arrays, entered at its first track and struck when it is over."""

from copy import copy
from dataclasses import dataclass, field

import numpy as np

from geoloc.pipeline.lazily import identities
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.packed import KindArrays, common_numbers, kind_arrays, level_names, level_rows
from geoloc.pipeline.tracking import STATES
from geoloc.scene.columns import Coded
from geoloc.scene.kinds import family_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

LIVES = ("tentative", "confirmed", "parked", "hidden", "out_of_sight", "gone")
TENTATIVE, CONFIRMED, PARKED, HIDDEN, OUT_OF_SIGHT, GONE = range(6)
UNDOABLE = 256  # decisions that two numbers are one object
FOUND_RATE = 0.02  # of a window in the share of windows in which an object is found
LIKELY = 0.5  # probability that a track exists, below which its point is likelier a false alarm than its object
COLUMNS: dict[str, tuple[type, tuple[int, ...]]] = {
    "number": (np.int64, ()),
    "track": (np.int64, ()),  # that shows it now; -1: none
    "life": (np.int64, ()),  # of LIVES
    "since": (np.float64, ()),  # s, first seen
    "seen": (np.float64, ()),  # s, last window with a point that is likely its own
    "first_seen": (np.float64, ()),  # s, of the track that shows it
    "still_since": (np.float64, ()),  # s
    "stood": (np.float64, (2,)),  # m, where it was parked before
    "stood_until": (np.float64, ()),  # s; -inf: it was not
    "xy": (np.float64, (2,)),
    "start": (np.float64, (2,)),  # m, where its track began
    "z": (np.float64, ()),
    "level": (np.int64, ()),
    "start_level": (np.int64, ()),
    "level_probability": (np.float64, ()),
    "height": (np.float64, ()),  # m; NaN: not known
    "height_var": (np.float64, ()),
    "velocity": (np.float64, (2,)),
    "cov": (np.float64, (4, 4)),
    "bias_cov": (np.float64, (2, 2)),
    "label": (np.int64, ()),  # number among the labels that were met
    "log_odds": (np.float64, ()),  # that it stands where it is remembered
    "best": (np.float64, ()),  # highest probability so far that its track shows anything
    "found": (np.float64, ()),  # share of windows with a point of it
    "claimed": (np.float64, ()),  # probability that a track which has another number shows it
    "judged": (np.int64, ()),  # 1: new or known is decided
    "revision": (np.int64, ()),  # how often its past was corrected
}
FOLLOWED = (
    "life",
    "found",
    "claimed",
    "seen",
    "xy",
    "z",
    "velocity",
    "cov",
    "bias_cov",
    "level",
    "label",
    "still_since",
)


@dataclass(frozen=True, eq=False)
class Joined:
    """Two numbers became one object: the `event`, and what was known before of the one that its number ended, or of
    the one whose track ended: a `row` (1,) and a `look` (1, D)."""

    event: Event
    row: np.ndarray
    look: np.ndarray


@dataclass(eq=False)
class Book:
    """One row an identity: `rows` is a structured array of COLUMNS, `looks` (B, D) are the embeddings."""

    site: Site
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, [(name, *of) for name, of in COLUMNS.items()]))
    looks: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    labels: tuple[str, ...] = ()
    next_number: int = 1
    reserved: tuple[tuple[int, int], ...] = ()  # numbers, from one and before another, that others than it have given
    joined: list[Joined] = field(default_factory=list)  # the last ones, in order; replaced, never changed in place
    apart: set[tuple[int, int]] = field(default_factory=set)  # pairs of numbers that are two objects for sure

    def __len__(self) -> int:
        return len(self.rows)

    def __deepcopy__(self, memo: dict[int, object]) -> "Book":
        other = copy(self)
        other.rows, other.looks, other.apart = self.rows.copy(), self.looks.copy(), self.apart.copy()
        return other

    def __getitem__(self, name: str) -> np.ndarray:
        """A column; what is written into it stays."""
        column: np.ndarray = self.rows[name]
        return column

    def rows_of_tracks(self, track: np.ndarray) -> np.ndarray:
        """The row that each track (N,) shows; -1: none."""
        return np.asarray(identities.rows_showing(self["track"], np.ascontiguousarray(track)))

    def row_of(self, number: int) -> int:
        """The row of an identity; -1: it is over."""
        found = np.flatnonzero(self["number"] == number)
        return int(found[0]) if len(found) else -1

    def kinds(self, rows: np.ndarray) -> KindArrays:
        """What is known of the classes of the identities in `rows`."""
        label = self["label"][rows]
        return KindArrays(*(column.take(label) for column in kind_arrays(self.labels)))

    def families(self, rows: np.ndarray) -> np.ndarray:
        """Number of the family of each identity in `rows`."""
        names = [family_of(label) for label in self.labels]
        return np.array([names.index(name) for name in names], dtype=np.int64).take(self["label"][rows])

    def enter(self, tracks: Tracks, shown: np.ndarray) -> np.ndarray:
        """New rows for the tracks in rows `shown` (n,), which show no known identity, under numbers none ever had."""
        n = len(shown)
        new: np.ndarray = np.zeros(n, self.rows.dtype)
        new["track"], new["number"] = tracks.track[shown], self._free_numbers(n)
        new["since"] = new["first_seen"] = tracks.time[shown]
        new["start"] = tracks.xy[shown]
        new["start_level"] = level_rows(self.site.site_map, tracks.coded("level"))[shown]
        new["found"], new["stood_until"] = 0.5, -np.inf
        rows = len(self) + np.arange(n)
        looks = tracks.embedding[shown]
        if self.looks.shape[1] != looks.shape[1]:
            self.looks = np.zeros((len(self), looks.shape[1]), dtype=np.float32)
        self.rows = np.asarray(identities.joined(self.rows, new, np.empty(len(self) + n, new.dtype)))
        self.looks = np.concatenate([self.looks, looks])
        return rows

    @property
    def first_free(self) -> int:
        """The lowest number that nobody ever had or will get, were it reserved."""
        return max(self.next_number, self.reserved[-1][1] if self.reserved else 1)

    def reserve(self, stop: int) -> None:
        """Give no number from `first_free` on and before `stop`: others have."""
        if stop > self.first_free:
            self.reserved = (*self.reserved, (self.first_free, stop))

    def _free_numbers(self, n: int) -> np.ndarray:
        number = self.next_number + np.arange(n)
        for first, stop in self.reserved:
            if first >= self.next_number:
                number[number >= first] += stop - first
        self.next_number = int(number[-1]) + 1 if n else self.next_number
        return number

    def follow(self, rows: np.ndarray, tracks: Tracks, time: float, park_s: float) -> None:
        """Take over what this window's `tracks` say of the identities in `rows`."""
        states, labels = tracks.coded("state"), tracks.coded("label")
        if not set(labels.names) <= set(self.labels):
            self.labels = tuple(dict.fromkeys((*self.labels, *labels.names)))
        label = common_numbers(self.labels, labels.names)[1].take(labels.code)
        said = states.code != (states.names.index("tentative") if "tentative" in states.names else -1)
        names = ("object", "xy", "z", "velocity", "cov", "bias_cov")
        told = [np.ascontiguousarray(getattr(tracks, name)) for name in names]
        told[0] = np.where(tracks.score >= LIKELY, told[0], -1)
        self["best"][rows] = np.maximum(self["best"][rows], tracks.score)
        how = (
            time,
            TENTATIVE,
            PARKED,
            park_s,
            FOUND_RATE,
            said,
            *told,
            level_rows(self.site.site_map, tracks.coded("level")),
            label,
        )
        own = [self[name] for name in FOLLOWED]
        identities.follow(rows, *how, tracks.still_since, *own, self["stood"], self["stood_until"])
        for name in ("level_probability", "height", "height_var"):
            self[name][rows] = getattr(tracks, name)
        if tracks.embedding.shape[1] and tracks.embedding.shape[1] == self.looks.shape[1]:
            self.looks[rows] = tracks.embedding

    def carry_on(self, known: int, new: int) -> None:
        """The identity in row `known` is what the row `new` shows; that row is left without a number."""
        old, stays = self.rows[known].copy(), self["life"][known] == HIDDEN
        self.rows[known] = self.rows[new]
        for name in ("number", "since", "revision"):
            self[name][known] = old[name]
        if stays:
            self["still_since"][known] = old["still_since"]
        self.looks[known] = self.looks[new]
        self["revision"][known] += 1
        self["judged"][known] = 1
        self["number"][new] = self["track"][new] = -1

    def strike(self, over: np.ndarray) -> None:
        """Take out the rows of identities that are over (B,) bool."""
        if over.any():
            stay = np.flatnonzero(~over)
            self.rows, self.looks = self.rows.take(stay), self.looks.take(stay, axis=0)

    def note_joined(self, event: Event, row: int) -> None:
        """Keep what is known in a `row` that `event` is about to change or strike."""
        joined = Joined(event, self.rows[row : row + 1].copy(), self.looks[row : row + 1].copy())
        self.joined = [*self.joined[1 - UNDOABLE :], joined]

    def revive(self, row: np.ndarray, look: np.ndarray) -> None:
        """Enter an identity again as it was, a `row` (1,) and its `look` (1, D)."""
        fresh = row.copy()
        fresh["judged"] = 1
        fresh["revision"] += 1
        if look.shape[1] != self.looks.shape[1]:
            look = np.zeros((1, self.looks.shape[1]), dtype=np.float32)
        self.rows, self.looks = np.concatenate([self.rows, fresh]), np.concatenate([self.looks, look])

    def tell_apart(self, a: int, b: int) -> None:
        """Two numbers are two objects, whatever it looks like; pairs of which nothing is left are forgotten."""
        there = set(self["number"].tolist())
        self.apart = {pair for pair in self.apart if there & set(pair)} | {(min(a, b), max(a, b))}

    def are_apart(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Which (n, m) of the identities in `rows` (n,) and `others` (m,) are two for sure."""
        found: np.ndarray = np.zeros((len(rows), len(others)), dtype=bool)
        for a, b in self.apart:
            mine, yours = self["number"][rows], self["number"][others]
            found |= (mine[:, None] == a) & (yours == b) | (mine[:, None] == b) & (yours == a)
        return found

    def remembered(self, rows: np.ndarray, time: float, score: np.ndarray) -> Tracks:
        """Rows of objects that stand where nobody sees them."""
        n, cov = len(rows), self["cov"][rows]
        cov[:, 2:, :] = cov[:, :, 2:] = 0.0
        return Tracks.trusted(
            time=np.full(n, time),
            track=self["number"][rows],
            object=np.full(n, -1),
            level=Coded(level_names(self.site.site_map), self["level"][rows]),
            level_probability=self["level_probability"][rows],
            xy=self["xy"][rows],
            z=self["z"][rows],
            velocity=np.zeros((n, 2)),
            cov=cov,
            bias_cov=self["bias_cov"][rows],
            height=self["height"][rows],
            height_var=self["height_var"][rows],
            label=Coded(self.labels, self["label"][rows]),
            score=score,
            still_since=self["still_since"][rows],
            state=Coded(STATES, np.full(n, STATES.index("coasting"))),
            life=Coded(LIVES, self["life"][rows]),
            revision=self["revision"][rows],
            embedding=self.looks[rows],
        )
