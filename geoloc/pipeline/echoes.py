"""Bodies that two tracks show: one is the object's own, the other its echo, and is not reported.

No two objects stand in one place. Tracks that lie in one body for long enough, while no camera sees both of them,
are one object seen by cameras that disagree; an echo that leaves that body is an object of its own again.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.identity_book import PARKED, Book
from geoloc.pipeline.lazily import identities
from geoloc.pipeline.lineage import Event, Lineage
from geoloc.pipeline.packed import kind_arrays, level_rows
from geoloc.scene.tables import GroundPoints, Tracks


@dataclass(frozen=True)
class EchoOptions:
    """When two tracks are one object."""

    overlap: float = 0.6  # of the class's width: bodies whose middles are closer than this are one
    parked_overlap: float = 0.9  # the same of two that stand
    overlap_s: float = 1.5  # for as long as this, in windows that see both
    part: float = 1.2  # of the class's width: an echo that is seen farther off is another object

    def __post_init__(self) -> None:
        check_range(self, overlap=(0, 1), parked_overlap=(0, 1), overlap_s=(0, 1e9), part=(0, 100))


class Echoes:
    """The echoes among a site's tracks, and those that may be some."""

    def __init__(self, book: Book, lineage: Lineage, options: EchoOptions) -> None:
        self.options = options
        self.owner: dict[int, int] = {}  # track that is an echo, and the number of the identity that it shows
        self._book = book
        self._lineage = lineage
        self._close: dict[tuple[int, int], float] = {}  # pairs of tracks in one body, and s for which both were seen

    def forget(self, tracks: set[int], numbers: np.ndarray) -> None:
        """Know nothing more of some tracks and identities."""
        self.owner = {t: owner for t, owner in self.owner.items() if t not in tracks and owner not in numbers}
        self._close = {pair: lasted for pair, lasted in self._close.items() if not tracks & set(pair)}

    def rows(self, tracks: Tracks) -> np.ndarray:
        """Which rows (N,) bool are echoes."""
        return np.isin(tracks.track, list(self.owner))

    def heir(self, number: int) -> int:
        """The track that shows an identity now that its own has ended, which is no echo from now on; -1: none."""
        for track, owner in self.owner.items():
            if owner == number:
                del self.owner[track]
                return track
        return -1

    def shown(self, tracks: Tracks, number: np.ndarray, echoes: Tracks) -> tuple[Tracks, np.ndarray]:
        """`tracks` (N,) of the identities `number` (N,), which have their echoes' objects where they have none.

        And (K, 2) the objects of other echoes, and those of the tracks that they are echoes of.
        """
        place = {one: row for row, one in enumerate(number.tolist())}
        object, both = tracks.object.copy(), []
        for track, own in zip(echoes.track.tolist(), echoes.object.tolist(), strict=True):
            row = place.get(self.owner.get(track, -1), -1)
            if own < 0 or row < 0:
                continue
            if object[row] < 0:
                object[row] = own
            else:
                both.append((own, int(object[row])))
        return tracks.revised(object=object), np.array(both, dtype=int).reshape(-1, 2)

    def part(self, tracks: Tracks, time: float) -> None:
        """Echoes that have left the body that they were taken for, or whose track or object is over, are none."""
        if not self.owner:
            return
        rows = {track: row for row, track in enumerate(tracks.track.tolist())}
        for track, number in list(self.owner.items()):
            known = self._book.row_of(number)
            if track not in rows or known < 0:
                del self.owner[track]
                continue
            row = rows[track]
            apart = np.linalg.norm(tracks.xy[row] - self._book["xy"][known])
            width = self._book.kinds(np.array([known])).width[0]
            if tracks.object[row] >= 0 and apart > self.options.part * width:
                del self.owner[track]
                other = self._own_number(track, number, tracks.take(slice(row, row + 1)))
                self._lineage.add(Event(time, "split", number, (other,), why=f"{apart:.1f} m apart"))

    def _own_number(self, track: int, number: int, tracks: Tracks) -> int:
        """The number of an echo that is none: the one that it had before it was merged, or a new one."""
        book = self._book
        for joined in [joined for joined in book.joined if joined.event.number == number]:
            if joined.event.kind == "merged" and joined.row["track"][0] == track:
                book.joined = [one for one in book.joined if one is not joined]
                book.revive(joined.row, joined.look)
                return joined.event.others[0]
        book.enter(tracks, np.zeros(1, dtype=np.int64))
        return int(book["number"][-1])

    def join(self, tracks: Tracks, points: GroundPoints, time: float, passed: float) -> None:
        """Note which tracks lie in one body, `passed` s after the window before; those that do for long are merged."""
        near: dict[tuple[int, int], float] = {}
        for i, j in self._pairs(tracks):
            pair = int(tracks.track[i]), int(tracks.track[j])
            if pair[0] in self.owner or pair[1] in self.owner:
                continue
            lasted = self._close.get(pair, 0.0)
            if tracks.object[i] >= 0 and tracks.object[j] >= 0:
                camera = points.coded("camera").code
                apart = identities.share_a_camera(camera, points.object, tracks.object[i], tracks.object[j])
                lasted = 0.0 if apart else lasted + passed
            near[pair] = lasted
        self._close = near
        for pair in [pair for pair, lasted in near.items() if lasted >= self.options.overlap_s]:
            self._merge(*pair, time)
            del self._close[pair]

    def _pairs(self, tracks: Tracks) -> list[list[int]]:
        if len(tracks) < 2:
            return []
        labels = tracks.coded("label")
        width = kind_arrays(labels.names).width.take(labels.code)
        rows = self._book.rows_of_tracks(tracks.track)
        stands = (rows >= 0) & (self._book["life"][rows] == PARKED)
        reach = np.where(stands, self.options.parked_overlap, self.options.overlap) * width
        level = level_rows(self._book.site.site_map, tracks.coded("level"))
        found: list[list[int]] = identities.close_pairs(np.ascontiguousarray(tracks.xy), level, reach).tolist()
        return sorted(found)

    def _merge(self, first: int, second: int, time: float) -> None:
        book = self._book
        a, b = book.rows_of_tracks(np.array([first, second])).tolist()
        if a < 0 or b < 0 or book.are_apart(np.array([a]), np.array([b])).any():
            return
        if book["since"][b] < book["since"][a]:
            a, b, second = b, a, first
        number, other = int(book["number"][a]), int(book["number"][b])
        for track, owner in self.owner.items():
            if owner == other:
                self.owner[track] = number
        self.owner[second] = number
        event = self._lineage.add(Event(time, "merged", number, (other,), why="in one body, and no camera sees both"))
        book.note_joined(event, b)
        over = np.zeros(len(book), dtype=bool)
        over[b] = True
        book.strike(over)
