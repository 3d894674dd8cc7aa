"""Identities: tracks that end and begin again, hide, park and wake, under one number that is never given twice.

A track lives while its object is seen; an identity lives while its object is on the site. A track that begins is
a new object or one that was lost from sight: the ratio of both likelihoods decides, over all new tracks and all
lost identities at once. The answer of a window is given at once; where later windows know better, the row says
so by its `revision`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from geoloc.options import check_range
from geoloc.pipeline.existence import ExistenceOptions, missed_evidence
from geoloc.pipeline.identity_book import Book
from geoloc.pipeline.lineage import Event, Lineage
from geoloc.pipeline.recognition import Recognition, RecognitionOptions
from geoloc.pipeline.tracking import logit, probability
from geoloc.scene.kinds import kind_column
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Objects, Tracks

SURE = 4.6  # log-odds that what stood there a moment ago still does


@dataclass(frozen=True)
class IdentityOptions:
    """When an object counts as parked, gone or the same as before."""

    park_s: float = 10.0  # an object that stood for as long is parked
    empty_probability: float = 0.02  # a place is seen empty when what hid there is less likely than this
    stay_s: float = 7200.0  # mean time that a parked object which nobody sees stays: its score falls with it
    view_s: float = 1.0  # views of one place closer in time than this err alike
    same_probability: float = 0.5  # a new track takes a lost identity's number from here on
    forget_s: float = 86400.0  # an object out of sight for longer is archived
    overlap: float = 0.6  # of the class's width: bodies whose middles are closer than this are one
    overlap_s: float = 1.5  # for as long, while no camera sees both
    recognition: RecognitionOptions = field(default_factory=RecognitionOptions)

    def __post_init__(self) -> None:
        check_range(self, park_s=(0, 1e9), stay_s=(1, 1e12))
        check_range(self, empty_probability=(1e-9, 0.5), same_probability=(0, 1), forget_s=(0, 1e12))
        check_range(self, view_s=(0, 1e3), overlap=(0, 1), overlap_s=(0, 1e9))


class Identities:
    """The objects of one site. `update` gives each window's tracks their lasting numbers."""

    def __init__(
        self, site: Site, options: IdentityOptions | None = None, existence: ExistenceOptions | None = None
    ) -> None:
        self.site = site
        self.options = options or IdentityOptions()
        self.existence = existence or ExistenceOptions()
        self.book = Book()
        self.lineage = Lineage()
        self.recognition = Recognition(site, self.options.recognition)
        self._echo: dict[int, int] = {}  # track that shows the same body as an identity's own, and that identity
        self._close: dict[tuple[int, int], float] = {}  # pairs of tracks in one body, and s for which they were
        self._time = np.nan

    def update(self, tracks: Tracks, points: GroundPoints, objects: Objects, reporting: np.ndarray) -> Tracks:
        """`tracks` of a window with the numbers of their objects, and those that stand where nobody sees them.

        `points` and `objects` are the window's own, `reporting` (C,) bool the cameras that delivered it.
        """
        if not len(tracks) and not len(self.book):
            return tracks
        time = float(tracks.time[0]) if len(tracks) else self._time
        passed = 0.0 if np.isnan(self._time) else time - self._time
        self._time = time
        self._separate(tracks, points)
        own = ~np.isin(tracks.track, list(self._echo)) if self._echo else np.ones(len(tracks), dtype=bool)
        rows = self._follow(tracks, own)
        self._stand(rows, tracks.take(own))
        self._lose(rows, time)
        self._look(objects, reporting, passed)
        self._recognise(tracks.take(own))
        self._join(tracks, points, passed)
        return self._table(tracks)

    # ---- the tracks that are there

    def _follow(self, tracks: Tracks, own: np.ndarray) -> np.ndarray:
        """The rows of the book of this window's own tracks; new ones are entered."""
        tracks = tracks.take(own)
        rows = self.book.rows_of_tracks(tracks.track)
        new = np.flatnonzero(rows < 0)
        if len(new):
            rows[new] = self.book.enter(tracks.take(new))
            for track, time in zip(tracks.track[new].tolist(), tracks.time[new].tolist(), strict=True):
                self.lineage.add(Event(time, "born", track))
        self.book.copy(rows, tracks, self.site)
        return rows

    def _stand(self, rows: np.ndarray, tracks: Tracks) -> None:
        """Note since when each object has stood where it stands."""
        book = self.book
        book.still_since[rows] = np.minimum(tracks.still_since, self._time)
        confirmed = tracks.state != "tentative"
        parked = self._time - book.still_since[rows] >= self.options.park_s
        life = np.where(confirmed, np.where(parked, "parked", "confirmed"), "tentative")
        book.life[rows] = life

    def _lose(self, rows: np.ndarray, time: float) -> None:
        """What is with the identities whose track has ended: hidden, out of sight, gone, or never real."""
        book = self.book
        ended = (book.track >= 0) & (book.seen < time)
        ended[rows] = False
        if not ended.any():
            return
        for row in np.flatnonzero(ended).tolist():
            heir = next((track for track, number in self._echo.items() if number == book.number[row]), -1)
            if heir >= 0:  # another track shows the same body
                del self._echo[heir]
                book.track[row] = heir
                continue
            book.track[row] = -1
            if book.life[row] == "parked":
                book.life[row], book.log_odds[row] = "hidden", SURE
            elif book.life[row] == "confirmed":
                gone = self.recognition.is_exit(book.level[row : row + 1], book.xy[row : row + 1])[0]
                book.life[row] = "gone" if gone else "out_of_sight"
                if gone:
                    self.lineage.add(Event(time, "gone", int(book.number[row])))
        book.strike(book.life == "gone")
        book.strike((book.life == "tentative") & (book.track < 0))
        book.strike((book.life == "out_of_sight") & (time - book.seen > self.options.forget_s))

    # ---- those that nobody sees

    def _look(self, objects: Objects, reporting: np.ndarray, passed: float) -> None:
        """What the cameras say about the places where hidden objects should stand."""
        book, options = self.book, self.options
        hidden = np.flatnonzero(book.life == "hidden")
        if not len(hidden):
            return
        xyz = np.column_stack([book.xy[hidden], book.z[hidden]])
        nobody = np.zeros((len(hidden), len(self.site.cameras)), dtype=bool)
        said = missed_evidence(self.site, book.level[hidden], xyz, nobody, reporting, objects, self.existence)
        # what was found in one window of ten is missed nine times without having left
        usual = np.log1p(-np.clip(book.found[hidden], 0.05, 0.95))
        said *= usual / np.log1p(-self.existence.detection_probability) if self.existence.detection_probability else 0.0
        book.log_odds[hidden] += said * min(1.0, passed / options.view_s if options.view_s else 1.0)
        empty = hidden[book.log_odds[hidden] < logit(options.empty_probability)]
        book.life[empty] = "out_of_sight"
        taken = hidden[self._taken(hidden)]
        book.life[taken] = "out_of_sight"

    def _taken(self, hidden: np.ndarray) -> np.ndarray:
        """Whether another object stands where each hidden one should."""
        book = self.book
        others = np.flatnonzero((book.track >= 0) & (book.life == "parked"))
        apart = np.linalg.norm(book.xy[hidden, None] - book.xy[others], axis=2)
        near = apart < self.options.overlap * kind_column(book.label[hidden], "width")[:, None]
        return (near & (book.level[hidden, None] == book.level[others])).any(axis=1)

    def _recognise(self, tracks: Tracks) -> None:
        """Give new tracks the numbers of lost identities that they are."""
        book = self.book
        rows = book.rows_of_tracks(tracks.track)
        fresh = book.judged[rows] == 0
        ready = fresh & ((tracks.state != "tentative") | self._over_hidden(rows, fresh))
        lost = np.flatnonzero(np.isin(book.life, ("hidden", "out_of_sight")))
        settled = rows[fresh & (tracks.state != "tentative")]
        new = rows[ready]
        book.judged[settled] = 1
        if not len(new) or not len(lost):
            return
        odds = self.recognition.odds(book, new, lost, self._time)
        chosen_new, chosen_lost = linear_sum_assignment(np.maximum(odds, 0.0), maximize=True)
        for i, j in zip(chosen_new.tolist(), chosen_lost.tolist(), strict=True):
            rivals = np.concatenate([np.delete(odds[i], j), np.delete(odds[:, j], i)])
            sure = probability(odds[i, j] - max(0.0, rivals.max(initial=0.0)))
            if sure >= self.options.same_probability and odds[i, j] > 0:
                self._take_over(int(lost[j]), int(new[i]), float(sure))
        book.strike(book.number < 0)

    def _over_hidden(self, rows: np.ndarray, fresh: np.ndarray) -> np.ndarray:
        """Which fresh tracks began in the body of a hidden object: that one need not be confirmed first."""
        book = self.book
        over = np.zeros(len(rows), dtype=bool)
        hidden = np.flatnonzero(book.life == "hidden")
        if len(hidden) and fresh.any():
            mine = rows[fresh]
            apart = np.linalg.norm(book.xy[mine, None] - book.xy[hidden], axis=2)
            near = apart < self.options.overlap * kind_column(book.label[mine], "width")[:, None]
            over[fresh] = (near & (book.level[mine, None] == book.level[hidden])).any(axis=1)
        return over

    def _take_over(self, known: int, new: int, sure: float) -> None:
        """The new row's track is the known identity's: its number goes on, the new one's ends."""
        book = self.book
        number, other = int(book.number[known]), int(book.number[new])
        apart = float(np.linalg.norm(book.xy[known] - book.xy[new]))
        away = float(self._time - book.seen[known])
        event = Event(self._time, "recognised", number, (other,), sure, f"{apart:.1f} m away after {away:.1f} s")
        self.lineage.add(event)
        book.carry_on(known, new)

    # ---- bodies that two tracks show

    def _join(self, tracks: Tracks, points: GroundPoints, passed: float) -> None:
        """Two tracks in one body for long enough, which no camera tells apart, are one object."""
        seen = np.flatnonzero((tracks.object >= 0) & ~np.isin(tracks.track, list(self._echo)))
        near = {}
        for i, j in _pairs_within(tracks, seen, self.options.overlap):
            pair = int(tracks.track[i]), int(tracks.track[j])
            if not _shared_camera(points, tracks.object[i], tracks.object[j]):
                near[pair] = self._close.get(pair, 0.0) + passed
        self._close = near
        for (first, second), lasted in list(near.items()):
            if lasted >= self.options.overlap_s:
                self._merge(first, second)
                del self._close[first, second]

    def _merge(self, first: int, second: int) -> None:
        book = self.book
        a, b = book.rows_of_tracks(np.array([first, second])).tolist()
        if a < 0 or b < 0:
            return
        if book.since[b] < book.since[a]:
            a, b, second = b, a, first
        self._echo[second] = int(book.number[a])
        self.lineage.add(Event(self._time, "merged", int(book.number[a]), (int(book.number[b]),)))
        book.number[b] = -1
        book.strike(book.number < 0)

    def _separate(self, tracks: Tracks, points: GroundPoints) -> None:
        """An echo that has left the body that it was taken for is an object of its own."""
        alive = set(tracks.track.tolist())
        self._echo = {track: number for track, number in self._echo.items() if track in alive}
        for track, number in list(self._echo.items()):
            row = int(np.flatnonzero(self.book.number == number)[0]) if (self.book.number == number).any() else -1
            i = int(np.flatnonzero(tracks.track == track)[0])
            own = np.flatnonzero(tracks.track == self.book.track[row]) if row >= 0 else np.zeros(0, int)
            if not len(own):
                if row < 0:
                    del self._echo[track]
                continue
            apart = float(np.linalg.norm(tracks.xy[i] - tracks.xy[own[0]]))
            width = kind_column(tracks.label[i : i + 1], "width")[0]
            if apart > 2 * self.options.overlap * width and tracks.object[i] >= 0:
                del self._echo[track]
                self.lineage.add(Event(self._time, "split", number, (track,)))

    # ---- the answer

    def _table(self, tracks: Tracks) -> Tracks:
        """This window's rows under their lasting numbers, and a row for each hidden object."""
        book = self.book
        rows = book.rows_of_tracks(tracks.track)
        tracks = tracks.take(rows >= 0)
        rows = rows[rows >= 0]
        life = book.life[rows].astype(np.str_)
        known = tracks.replace(track=book.number[rows], life=life, revision=book.revision[rows])
        hidden = np.flatnonzero((book.life == "hidden") & (book.track < 0))
        if not len(hidden):
            return known
        score = probability(book.log_odds[hidden]) * np.exp(-(self._time - book.seen[hidden]) / self.options.stay_s)
        return Tracks.concat([known, book.remembered(hidden, self._time, score, self.site)])


def _pairs_within(tracks: Tracks, rows: np.ndarray, overlap: float) -> Iterable[tuple[int, int]]:
    """Pairs of rows whose middles lie within one body, on one level."""
    if len(rows) < 2:
        return
    from scipy.spatial import cKDTree

    reach = overlap * kind_column(tracks.label[rows], "width")
    for a, b in sorted(cKDTree(tracks.xy[rows]).query_pairs(float(reach.max()))):
        i, j = int(rows[a]), int(rows[b])
        apart = np.linalg.norm(tracks.xy[i] - tracks.xy[j])
        if apart < min(reach[a], reach[b]) and tracks.level[i] == tracks.level[j]:
            yield i, j


def _shared_camera(points: GroundPoints, first: int, second: int) -> bool:
    """Whether one camera has a box of both objects in this window."""
    return bool(np.isin(points.camera[points.object == first], points.camera[points.object == second]).any())
