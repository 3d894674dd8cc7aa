"""Identities: tracks that end and begin again, hide, park and wake, under one number that is never given twice.

A track lives while its object is seen; an identity lives while its object is on the site. A track that begins is
a new object or one that was lost from sight: the ratio of both likelihoods decides, over all new tracks and all
lost identities at once. The answer of a window is given at once; where later windows know better, the row says
so by its `revision`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.corrections import can_be_undone, take_back, to_undo
from geoloc.pipeline.decisions import Exchange
from geoloc.pipeline.echoes import Echoes, EchoOptions
from geoloc.pipeline.existence import ExistenceOptions, missed_evidence
from geoloc.pipeline.identity_book import CONFIRMED, GONE, HIDDEN, LIVES, OUT_OF_SIGHT, PARKED, TENTATIVE, Book
from geoloc.pipeline.lineage import Event, Lineage
from geoloc.pipeline.link_costs import OVERLAP_S
from geoloc.pipeline.recognition import Recognition, RecognitionOptions
from geoloc.pipeline.tracking import logit, probability
from geoloc.scene.columns import Coded
from geoloc.scene.lanes import DRIVES
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Objects, Tracks

NO_ECHO: np.ndarray = np.zeros((0, 2), dtype=int)
SURE = 4.6  # log-odds that what stood there a moment ago still does


@dataclass(frozen=True)
class IdentityOptions:
    """When an object counts as parked, gone or the same as before."""

    park_s: float = 10.0  # an object that stood for as long is parked
    empty_probability: float = 0.02  # a place is seen empty when what hid there is less likely than this
    stay_s: float = 7200.0  # mean time that a parked object which nobody sees stays: its score falls with it
    view_s: float = 1.0  # views of one place closer in time than this err alike
    sure_probability: float = 0.99  # that there is anything: a track that ends before was nothing
    brief_s: float = 5.0  # and so was a vehicle that no entrance let in, of which less was seen: another one's echo
    same_probability: float = 0.8  # a new track takes a lost identity's number from here on
    reconsider_s: float = 6.0  # for as long a new object may turn out to be one that was lost after it began
    carried_s: float = 10.0  # a track that leaves a place, where another appears within this time, was carried off
    forget_s: float = 14400.0  # an object out of sight for longer is archived
    most_lost: int = 1000  # and so is the one that was lost first, of more than so many
    echoes: EchoOptions = field(default_factory=EchoOptions)
    recognition: RecognitionOptions = field(default_factory=RecognitionOptions)

    def __post_init__(self) -> None:
        check_range(
            self, park_s=(0, 1e9), stay_s=(1, 1e12), carried_s=(0, 1e6), reconsider_s=(0, 1e6), most_lost=(0, 1e9)
        )
        check_range(self, empty_probability=(1e-9, 0.5), same_probability=(0, 1), forget_s=(0, 1e12))
        check_range(self, view_s=(0, 1e3), sure_probability=(0, 1), brief_s=(0, 1e6))


class Identities:
    """The objects of one site. `update` gives each window's tracks their lasting numbers."""

    def __init__(
        self, site: Site, options: IdentityOptions | None = None, existence: ExistenceOptions | None = None
    ) -> None:
        self.site = site
        self.options = options or IdentityOptions()
        self.existence = existence or ExistenceOptions()
        self.book = Book(site)
        self.lineage = Lineage()
        self.recognition = Recognition(site, self.options.recognition)
        self.recognition.costs.prepare()  # not in the midst of a live step
        self.echoes = Echoes(self.book, self.lineage, self.options.echoes)
        self.echoed = NO_ECHO  # (K, 2) objects of this window: an echo's, and that of the row that it is an echo of
        self._time = np.nan

    def update(
        self,
        tracks: Tracks,
        points: GroundPoints,
        objects: Objects,
        reporting: np.ndarray,
        exchanges: Sequence[Exchange] = (),
    ) -> Tracks:
        """`tracks` of a window with the numbers of their objects, and those that stand where nobody sees them.

        `points` and `objects` are the window's own, `reporting` (C,) bool the cameras that delivered it, `exchanges`
        those of tracks that had been taken for each other until this window.
        """
        if not len(tracks) and not len(self.book):
            return tracks
        time = float(objects.time.max()) if not len(tracks) and len(objects) else self._time
        time = float(tracks.time[0]) if len(tracks) else time
        passed = 0.0 if np.isnan(self._time) else time - self._time
        self._time = time
        self.recognition.note_time(self.book, time, passed)
        self.echoes.part(tracks, time)
        own = tracks.take(~self.echoes.rows(tracks)) if self.echoes.owner else tracks
        rows = self._follow(own)
        if exchanges:
            self.correct(exchanges)
        if np.count_nonzero(self.book["track"] >= 0) > len(rows):
            self._lose(rows)
        self._look(objects, reporting, passed)
        self._recognise(own, points)
        self.echoes.join(tracks, points, time, passed)
        return self._table(tracks)

    def undo(self, object: int, other: int, why: str = "") -> Event:
        """Take back that `other` was recognised as `object`, or merged into it; see `take_back`.

        What is shown is `other` from the next window on, and `object` is again where it was. They are not taken for
        one again. InputError where that was not decided lately, or other things came of it.
        """
        return take_back(self.book, self.echoes, self.lineage, (object, other), why, self._time)

    @property
    def undoable(self) -> list[Event]:
        """The decisions that `undo` would take back now, in the order in which they were made."""
        return [event for event in (joined.event for joined in self.book.joined) if can_be_undone(self.book, event)]

    def to_undo(self, id: int) -> Event:
        """The event of an `id`, whose (number, others[0]) `undo` takes back; InputError where it cannot be, and why."""
        return to_undo(self.book, self.lineage, id)

    # ---- the tracks that are there

    def _follow(self, tracks: Tracks) -> np.ndarray:
        """The rows of the book of this window's own tracks; new ones are entered."""
        rows = self.book.rows_of_tracks(tracks.track)
        new = np.flatnonzero(rows < 0)
        if len(new):
            rows[new] = self.book.enter(tracks, new)
        self.book.follow(rows, tracks, self._time, self.options.park_s)
        return rows

    def correct(self, exchanges: Sequence[Exchange]) -> None:
        """Take note that tracks had been taken for each other: the past of their identities was told wrongly."""
        book = self.book
        for first, second, since, end, sure in exchanges:
            rows = book.rows_of_tracks(np.array([first, second]))
            if rows.min() < 0:  # an echo
                continue
            number, other = sorted(book["number"][rows].tolist())
            book["revision"][rows] += 1
            lasted = (self._time if np.isnan(end) else end) - since
            event = Event(self._time, "exchanged", number, (other,), sure, f"for {lasted:.1f} s")
            self.lineage.add(replace(event, since=since, until=np.inf if np.isnan(end) else end))

    def _lose(self, rows: np.ndarray) -> None:
        """What is with the identities whose track has ended: hidden, out of sight, gone, or never real."""
        book = self.book
        ended = book["track"] >= 0
        ended[rows] = False
        for row in np.flatnonzero(ended).tolist():
            book["track"][row] = self.echoes.heir(int(book["number"][row]))
            if book["track"][row] >= 0:
                continue
            if book["life"][row] == PARKED:
                book["life"][row], book["log_odds"][row] = HIDDEN, SURE
            elif book["life"][row] == CONFIRMED and (
                book["best"][row] < self.options.sure_probability or self._was_brief(row)
            ):
                self._was_nothing(row)
            elif book["life"][row] == CONFIRMED:
                gone = self.recognition.is_exit(book["level"][row : row + 1], book["xy"][row : row + 1])[0]
                book["life"][row] = GONE if gone else OUT_OF_SIGHT
                if gone:
                    self.lineage.add(Event(self._time, "gone", int(book["number"][row])))
        life, unseen = book["life"], book["track"] < 0
        out = life == OUT_OF_SIGHT
        over = (life == GONE) | ((life == TENTATIVE) & unseen)
        over |= out & (self._time - book["seen"] > np.minimum(self.options.forget_s, self.recognition.forget_s(book)))
        if np.count_nonzero(out) > self.options.most_lost:
            over |= out & (book["seen"] < np.sort(book["seen"][out])[-self.options.most_lost])
        book.strike(over)

    def _was_brief(self, row: int) -> bool:
        """Whether a vehicle appeared where none comes from, and was lost again at once."""
        book, at = self.book, slice(row, row + 1)
        if book["seen"][row] - book["since"][row] >= self.options.brief_s:
            return False
        if not self.recognition.costs.enclosed(book.kinds(np.array([row])).length)[0]:
            return False
        return not self.recognition.costs.is_near("entrance", book["start_level"][at], book["start"][at])[0]

    def _was_nothing(self, row: int) -> None:
        """A track has ended that was never sure: what was taken for it is where it was lost before."""
        book = self.book
        number = int(book["number"][row])
        mine = [one for one in book.joined if one.event.number == number and one.event.kind == "recognised"]
        if not mine or mine[-1].event.time < book["first_seen"][row]:
            book["life"][row] = TENTATIVE
            return
        last, revision = mine[-1], book["revision"][row]
        book.rows[row], book.looks[row] = last.row[0], last.look[0]
        book["track"][row], book["revision"][row] = -1, revision + 1
        if book["life"][row] == CONFIRMED:
            book["life"][row] = OUT_OF_SIGHT
        book.joined = [one for one in book.joined if one is not last]
        self.lineage.add(Event(self._time, "undone", number, last.event.others, why="what was seen was nothing"))

    # ---- those that nobody sees

    def _look(self, objects: Objects, reporting: np.ndarray, passed: float) -> None:
        """What the cameras say about the places where hidden objects should stand."""
        book, options = self.book, self.options
        hidden = np.flatnonzero(book["life"] == HIDDEN)
        if not len(hidden):
            return
        xyz = np.column_stack([book["xy"][hidden], book["z"][hidden]])
        nobody = np.zeros((len(hidden), len(self.site.cameras)), dtype=bool)
        said = missed_evidence(self.site, book["level"][hidden], xyz, nobody, reporting, objects, self.existence)
        # what was found in one window of ten is missed nine times without having left
        usual = np.log1p(-np.clip(book["found"][hidden], 0.05, 0.95))
        said *= usual / np.log1p(-self.existence.detection_probability) if self.existence.detection_probability else 0.0
        book["log_odds"][hidden] += said * min(1.0, passed / options.view_s if options.view_s else 1.0)
        empty = hidden[book["log_odds"][hidden] < logit(options.empty_probability)]
        book["life"][empty] = OUT_OF_SIGHT
        for row in hidden[book["life"][hidden] == HIDDEN].tolist():
            self._make_way(row)
        book.strike(book["number"] < 0)

    def _make_way(self, hidden: int) -> None:
        """Another object stands where the hidden one should: it is the same one, or that one has left."""
        book = self.book
        others = np.flatnonzero((book["track"] >= 0) & (book["life"] == PARKED) & self._over(hidden))
        others = others[~book.are_apart(np.array([hidden]), others)[0]]
        if not len(others):
            return
        other = int(others[0])
        if book["still_since"][other] > book["seen"][hidden] or book["since"][other] < book["since"][hidden]:
            book["life"][hidden] = OUT_OF_SIGHT
            return
        # it stood there while this one was still seen: one body, whose track another object's went over to
        self._take_over(hidden, other, 1.0, "stood in the same body")

    def _over(self, row: int) -> np.ndarray:
        """Which identities (B,) are at the place of the one in `row`."""
        book = self.book
        width = book.kinds(np.array([row])).width[0]
        apart = np.linalg.norm(book["xy"] - book["xy"][row], axis=1)
        return (apart < self.options.echoes.parked_overlap * width) & (book["level"] == book["level"][row])

    # ---- new tracks

    def _recognise(self, tracks: Tracks, points: GroundPoints) -> None:
        """Give new tracks the numbers of lost identities that they are."""
        book = self.book
        fresh = np.flatnonzero((book["judged"] == 0) & (book["track"] >= 0))
        lost = self._lost()
        again = self._second_thoughts(lost)
        if not len(fresh) and not len(again):
            return
        settled = book["life"][fresh] != TENTATIVE
        if not settled.any() and not len(again) and not (book["life"] == HIDDEN).any():
            return
        new = fresh[settled | self._began_over(fresh, lost[book["life"][lost] == HIDDEN])]
        book["judged"][fresh[settled]] = 1
        if (book["stood_until"] >= book["first_seen"][fresh].min(initial=np.inf) - self.options.carried_s).any():
            back = [row for row in fresh[settled].tolist() if self._put_back(row)]
            new = np.setdiff1d(new, back)
        new = np.concatenate([new, again])
        if len(new) and len(lost):
            self._assign(new, lost, len(again), tracks, points)
        self._announce(fresh[settled])
        book.strike(book["number"] < 0)

    def _lost(self) -> np.ndarray:
        """Rows of objects that may begin again somewhere: those that nobody sees, of which some still coast."""
        book = self.book
        coasts = (book["life"] == CONFIRMED) & (book["track"] >= 0) & (book["seen"] < self._time)
        return np.flatnonzero((book["life"] == HIDDEN) | (book["life"] == OUT_OF_SIGHT) | coasts)

    def _second_thoughts(self, lost: np.ndarray) -> np.ndarray:
        """Rows of tracks that were taken for new objects while what has been lost since was still seen."""
        book = self.book
        young = (book["judged"] == 1) & (book["track"] >= 0) & (book["revision"] == 0)
        young &= (self._time - book["first_seen"] <= self.options.reconsider_s) & (book["seen"] == self._time)
        rows = np.flatnonzero(young)
        rows = rows[book.kinds(rows).length >= DRIVES]
        if not len(rows) or not len(lost):
            return rows[:0]
        since = book["seen"][lost] - book["first_seen"][rows][:, None]
        return rows[((since >= 0) & (since <= OVERLAP_S)).any(axis=1)]

    def _assign(self, new: np.ndarray, lost: np.ndarray, n_again: int, tracks: Tracks, points: GroundPoints) -> None:
        """Decide which of the tracks in rows `new`, the last `n_again` not for the first time, are which lost ones."""
        book = self.book
        sure = self.recognition.probabilities(book, new, lost)
        first = sure[: len(new) - n_again]
        self.recognition.learn(book, new[: len(first)], lost, first)
        taken = sure >= self.options.same_probability
        for i, j in np.argwhere(taken).tolist():
            apart = float(np.linalg.norm(book["xy"][lost[j]] - book["start"][new[i]]))
            away = float(book["first_seen"][new[i]] - book["seen"][lost[j]])
            seen = _cameras_of(int(book["track"][new[i]]), tracks, points)
            self._take_over(
                int(lost[j]), int(new[i]), float(sure[i, j]), f"{apart:.1f} m away after {away:.1f} s", seen
            )
        left = ~taken.any(axis=0)
        book["claimed"][lost[left]] = 1.0 - (1.0 - book["claimed"][lost[left]]) * np.prod(1.0 - first[:, left], axis=0)

    def _began_over(self, fresh: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Which fresh tracks began in the body of a hidden object: that one need not be confirmed first."""
        book = self.book
        if not len(hidden):
            return np.zeros(len(fresh), dtype=bool)
        apart = np.linalg.norm(book["xy"][fresh, None] - book["xy"][hidden], axis=2)
        near = apart < self.options.echoes.overlap * book.kinds(fresh).width[:, None]
        return (near & (book["level"][fresh, None] == book["level"][hidden])).any(axis=1)

    def _put_back(self, new: int) -> bool:
        """Whether a new track is a parked object, which seemed to leave a moment ago: what left was another one."""
        book = self.book
        width = book.kinds(np.array([new])).width[0]
        left = book["first_seen"][new] - book["stood_until"]
        there = np.linalg.norm(book["stood"] - book["start"][new], axis=1) < self.options.echoes.overlap * width
        away = np.linalg.norm(book["stood"] - book["xy"], axis=1) > width
        carried = ~book.are_apart(np.array([new]), np.arange(len(book)))[0]
        carried &= (left >= -1e-6) & (left <= self.options.carried_s) & there & away & (book["number"] >= 0)
        rows = np.flatnonzero(carried & (book["level"] == book["start_level"][new]))
        for row in rows.tolist()[:1]:
            number, other = int(book["number"][row]), int(book["number"][new])
            book["number"][row], book["number"][new] = other, number
            for name in ("since", "revision"):
                book[name][[row, new]] = book[name][[new, row]]
            book["revision"][new] += 1
            # what left may be an object that was lost on its way, as if it had begun here
            book["judged"][row], book["stood_until"][row] = 0, -np.inf
            book["first_seen"][row], book["start"][row] = self._time, book["xy"][row]
            book["start_level"][row] = book["level"][row]
            self.lineage.add(Event(self._time, "undone", number, (other,), why="it still stands where it was parked"))
        return bool(len(rows))

    def _take_over(self, known: int, new: int, sure: float, why: str, cameras: tuple[str, ...] = ()) -> None:
        """The new row's track is the known identity's: its number goes on, the new one's ends."""
        number, other = int(self.book["number"][known]), int(self.book["number"][new])
        event = self.lineage.add(Event(self._time, "recognised", number, (other,), sure, why, cameras))
        self.book.note_joined(event, known)
        if self.book["track"][known] >= 0:  # coasts to where it is not
            self.echoes.owner[int(self.book["track"][known])] = number
        self.book.carry_on(known, new)

    def _announce(self, rows: np.ndarray) -> None:
        """New objects that are none of those that were lost."""
        book = self.book
        born = rows[(book["number"][rows] >= 0) & (book["revision"][rows] == 0)]
        self.recognition.note_new(book, born)
        for row in born.tolist():
            self.lineage.add(Event(self._time, "born", int(book["number"][row])))

    # ---- the answer

    def _table(self, tracks: Tracks) -> Tracks:
        """This window's rows under their lasting numbers, and a row for each hidden object."""
        book = self.book
        rows = book.rows_of_tracks(tracks.track)
        self.echoed = NO_ECHO
        if len(rows) and rows.min() < 0:
            echoes = tracks.take(rows < 0)
            tracks, rows = tracks.take(rows >= 0), rows[rows >= 0]
            tracks, self.echoed = self.echoes.shown(tracks, book["number"][rows], echoes)
        life = Coded(LIVES, book["life"][rows])
        known = tracks.revised(track=book["number"][rows], life=life, revision=book["revision"][rows])
        hidden = np.flatnonzero((book["life"] == HIDDEN) & (book["track"] < 0))
        if not len(hidden):
            return known
        away = np.exp(-(self._time - book["seen"][hidden]) / self.options.stay_s)
        score = probability(book["log_odds"][hidden]) * away
        return Tracks.concat([known, book.remembered(hidden, self._time, score)])


def _cameras_of(track: int, tracks: Tracks, points: GroundPoints) -> tuple[str, ...]:
    """The cameras with a point of a track in this window."""
    seen = tracks.object[(tracks.track == track) & (tracks.object >= 0)]
    return tuple(sorted(set(points.camera[np.isin(points.object, seen)].tolist()))) if len(seen) else ()
