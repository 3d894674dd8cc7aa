"""What is known of each identity: a row of arrays, entered at its first track and struck when it is over."""

from dataclasses import dataclass, field, fields

import numpy as np

from geoloc.scene.kinds import family_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

FOUND_RATE = 0.02  # of a window in the share of windows in which an object is found


def _none(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return np.zeros((0, *shape), dtype=dtype)


@dataclass(eq=False)
class Book:
    """One row an identity. `track` is the one that shows it now, -1 while none does."""

    number: np.ndarray = field(default_factory=lambda: _none((), int))
    track: np.ndarray = field(default_factory=lambda: _none((), int))
    life: np.ndarray = field(default_factory=lambda: _none((), object))
    since: np.ndarray = field(default_factory=lambda: _none((), float))  # s, first seen
    seen: np.ndarray = field(default_factory=lambda: _none((), float))  # s, last window of its track
    first_seen: np.ndarray = field(default_factory=lambda: _none((), float))  # s, of the track that shows it
    still_since: np.ndarray = field(default_factory=lambda: _none((), float))  # s
    xy: np.ndarray = field(default_factory=lambda: _none((2,), float))
    start: np.ndarray = field(default_factory=lambda: _none((2,), float))  # m, where its track began
    z: np.ndarray = field(default_factory=lambda: _none((), float))
    level: np.ndarray = field(default_factory=lambda: _none((), int))
    start_level: np.ndarray = field(default_factory=lambda: _none((), int))
    velocity: np.ndarray = field(default_factory=lambda: _none((2,), float))
    cov: np.ndarray = field(default_factory=lambda: _none((4, 4), float))
    bias_cov: np.ndarray = field(default_factory=lambda: _none((2, 2), float))
    label: np.ndarray = field(default_factory=lambda: _none((), object))
    family: np.ndarray = field(default_factory=lambda: _none((), object))
    log_odds: np.ndarray = field(default_factory=lambda: _none((), float))  # that it stands where it is remembered
    found: np.ndarray = field(default_factory=lambda: _none((), float))  # share of windows with a point of it
    judged: np.ndarray = field(default_factory=lambda: _none((), int))  # 1: new or known is decided
    revision: np.ndarray = field(default_factory=lambda: _none((), int))  # how often its past was corrected
    embedding: np.ndarray = field(default_factory=lambda: _none((0,), np.float32))

    def __len__(self) -> int:
        return len(self.number)

    def rows_of_tracks(self, track: np.ndarray) -> np.ndarray:
        """The row that each track (N,) shows; -1: none."""
        if not len(self):
            return np.full(len(track), -1)
        order = np.argsort(self.track, kind="stable")
        place = np.minimum(np.searchsorted(self.track, track, sorter=order), len(order) - 1)
        rows = order[place]
        return np.where(self.track[rows] == track, rows, -1)

    def enter(self, tracks: Tracks) -> np.ndarray:
        """New rows for tracks that show no known identity, under the tracks' numbers."""
        n = len(tracks)
        new = {
            "number": tracks.track,
            "track": tracks.track,
            "life": np.full(n, "tentative", dtype=object),
            "since": tracks.time,
            "seen": tracks.time,
            "first_seen": tracks.time,
            "still_since": tracks.time,
            "xy": tracks.xy,
            "start": tracks.xy,
            "z": tracks.z,
            "level": np.zeros(n, dtype=int),
            "start_level": np.full(n, -1),
            "velocity": tracks.velocity,
            "cov": tracks.cov,
            "bias_cov": tracks.bias_cov,
            "label": tracks.label.astype(object),
            "family": np.array([family_of(label) for label in tracks.label.tolist()], dtype=object),
            "log_odds": np.zeros(n),
            "found": np.full(n, 0.5),
            "judged": np.zeros(n, dtype=int),
            "revision": np.zeros(n, dtype=int),
            "embedding": tracks.embedding,
        }
        if self.embedding.shape[1] != tracks.embedding.shape[1]:
            self.embedding = np.zeros((len(self), tracks.embedding.shape[1]), dtype=np.float32)
        rows = len(self) + np.arange(n)
        for name, values in new.items():
            setattr(self, name, np.concatenate([getattr(self, name), values]))
        return rows

    def copy(self, rows: np.ndarray, tracks: Tracks, site: Site) -> None:
        """Take over what this window's `tracks` say of the identities in `rows`."""
        self.seen[rows], self.xy[rows], self.z[rows] = tracks.time, tracks.xy, tracks.z
        self.velocity[rows], self.cov[rows], self.bias_cov[rows] = tracks.velocity, tracks.cov, tracks.bias_cov
        self.level[rows] = site.site_map.level_rows(tracks.level)
        self.label[rows] = tracks.label
        first = rows[self.start_level[rows] < 0]
        self.start_level[first] = self.level[first]
        self.found[rows] += FOUND_RATE * ((tracks.object >= 0) - self.found[rows])
        if tracks.embedding.shape[1] == self.embedding.shape[1]:
            self.embedding[rows] = tracks.embedding

    def carry_on(self, known: int, new: int) -> None:
        """The identity `known` is what the row `new` shows; that row is left without a number."""
        kept = ("number", "since", "revision")
        stood = self.life[known] == "hidden" and self.still_since[known]
        for name in (item.name for item in fields(self)):
            if name not in kept:
                getattr(self, name)[known] = getattr(self, name)[new]
        if stood:
            self.still_since[known] = stood
        self.revision[known] += 1
        self.judged[known] = 1
        self.number[new], self.track[new] = -1, -1

    def strike(self, over: np.ndarray) -> None:
        """Take out the rows of identities that are over."""
        if over.any():
            for item in fields(self):
                setattr(self, item.name, getattr(self, item.name)[~over])

    def remembered(self, rows: np.ndarray, time: float, score: np.ndarray, site: Site) -> Tracks:
        """Rows of objects that stand where nobody sees them."""
        n = len(rows)
        cov = self.cov[rows].copy()
        cov[:, 2:, :] = cov[:, :, 2:] = 0.0
        return Tracks(
            time=np.full(n, time),
            track=self.number[rows],
            object=np.full(n, -1),
            level=site.site_map.level_names[self.level[rows]],
            xy=self.xy[rows],
            z=self.z[rows],
            velocity=np.zeros((n, 2)),
            cov=cov,
            bias_cov=self.bias_cov[rows],
            label=self.label[rows].astype(np.str_),
            score=score,
            state=np.full(n, "coasting"),
            life=self.life[rows].astype(np.str_),
            revision=self.revision[rows],
            embedding=self.embedding[rows],
        )
