"""An embedding head that learns of a site's own tracks, and is refused where it is no better on tracks held out.

What is known without anybody's labels: views of one track in two cameras show one object, and tracks that are there at
the same time are different objects. Of all other pairs nothing is known, and nothing is learnt: a car may come again.

    found = adapt(looks, find_embedder("plain").fingerprint, np.random.default_rng(0))
    if found.better:
        save_head(found.head, path)                     # then: --embedder adapted
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import GeometryError, InputError
from geoloc.features.crop_head import Head
from geoloc.features.whitening import WhiteningOptions, train_whitening, unit_rows
from geoloc.metrics.bootstrap import pool
from geoloc.metrics.judging import JUNK, judge_rows
from geoloc.metrics.paired import paired_bootstrap, paired_permutation
from geoloc.metrics.ranking import mean_of_counts, score_rankings
from geoloc.options import check_range
from geoloc.retrieval.looks import Looks

EVERY = 20  # steps after which a head is looked at
FEWEST = 8  # tracks with views in two cameras, to learn of and to be held out: fewer tell nothing


@dataclass(frozen=True)
class AdaptOptions:
    """How a head is learnt and judged."""

    dim: int = 128  # length of its vectors
    held_out: float = 0.35  # share of the tracks, the last to come, that it is judged by
    ridge: float = 1.0  # of the whitening that it starts from
    steps: int = 200  # of the optimizer, at most; 0: the whitening alone, without torch
    rate: float = 2e-3  # of a step, in lengths of the matrix's columns
    temperature: float = 0.2  # of likeness: differences of cosines far under it hardly count
    batch: int = 1024  # views at a step
    most_views: int = 6000  # of the tracks that came last; what all pairs of them need grows with its square
    level: float = 0.95  # of the interval of the gain, whose lower end must be above 0

    def __post_init__(self) -> None:
        check_range(self, dim=(2, 65536), held_out=(0.05, 0.9), ridge=(1e-6, 1e6), steps=(0, 100_000), rate=(1e-6, 1))
        check_range(self, temperature=(1e-3, 10), batch=(8, 1_000_000), most_views=(8, 100_000), level=(0.5, 0.999))


@dataclass(frozen=True)
class Judged:
    """Mean average precision over views of held-out tracks, `before` and `after`.

    Right is the view's track in other cameras, among all that these saw at its time. The `gain` lies from `low` to
    `high`; `p_value`: how often two heads that are equally good would differ by as much.
    """

    n_tracks: int
    n_views: int
    before: float
    after: float
    gain: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Adaptation:
    """A head, how it did on what was held out, and whether it may be used."""

    head: Head
    judged: Judged
    n_tracks: int  # learnt of

    @property
    def better(self) -> bool:
        """Whether it is surely better than what it stands on."""
        return self.judged.low > 0

    def told(self) -> str:
        """The judgement in a line."""
        j = self.judged
        gain = f"gain {100 * j.gain:+.1f} ({100 * j.low:+.1f} to {100 * j.high:+.1f})"
        told = f"mAP {100 * j.before:.1f} before, {100 * j.after:.1f} after, {gain}"
        return f"{told}, over {j.n_views} views of {j.n_tracks} tracks held out; learnt of {self.n_tracks} tracks"


@dataclass(frozen=True, eq=False)
class Views:
    """N views of tracks: `vector` (N, D), `track` (N,) from 0, `camera` (N,) from 0; `start`, `end` (T,) s of each."""

    vector: np.ndarray
    track: np.ndarray
    camera: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def of(self, tracks: np.ndarray) -> "Views":
        """The views of some tracks (M,), numbered anew."""
        rows = np.flatnonzero(np.isin(self.track, tracks))
        number = np.searchsorted(tracks, self.track[rows])
        return Views(self.vector[rows], number, self.camera[rows], self.start[tracks], self.end[tracks])

    def last(self, most: int) -> "Views":
        """The views of the tracks that came last, as many as have no more than `most` views."""
        order = np.argsort(-self.start, kind="stable")
        n = np.cumsum(np.bincount(self.track, minlength=len(order))[order])
        return self if len(self.track) <= most else self.of(np.sort(order[n <= most]))

    def parted(self, last: float) -> tuple["Views", "Views"]:
        """The views of the tracks that came first, and of the share of them that came `last`."""
        order = np.argsort(self.start, kind="stable")
        cut = len(order) - max(1, round(last * len(order)))
        return self.of(np.sort(order[:cut])), self.of(np.sort(order[cut:]))

    def known(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of views `rows` (M,) against all: which show the same object in another camera, which another: (M, N)."""
        mine = self.track[rows]
        same = mine[:, None] == self.track
        elsewhere = self.camera[rows][:, None] != self.camera
        begins_before = self.start[mine][:, None] <= self.end[self.track]
        ends_after = self.end[mine][:, None] >= self.start[self.track]
        return same & elsewhere, ~same & begins_before & ends_after

    @property
    def seen_twice(self) -> np.ndarray:
        """Tracks (M,) that two cameras saw or more."""
        pairs = np.unique(np.stack([self.track, self.camera]), axis=1)
        return np.flatnonzero(np.bincount(pairs[0], minlength=len(self.start)) > 1)


def adapt(looks: Looks, base: str, rng: np.random.Generator, options: AdaptOptions | None = None) -> Adaptation:
    """A head on vectors of the embedder with the fingerprint `base`, learnt of and judged by the tracks of `looks`.

    Rows need `track`, `camera`, `time` and `vector`; rows of quality 0 and blank ones are left out. Learnt by torch:
    from a whitening of the tracks' means and of how views of one track differ, by InfoNCE (Oord et al. 2018) over
    pairs of which something is known, several positives each (Khosla et al. 2020, eq. 2). GeometryError where too few
    tracks are seen by two cameras.
    """
    options = options or AdaptOptions()
    views = views_of(looks).last(options.most_views)
    taught, held = views.parted(options.held_out)
    for part, what in ((taught, "to learn of"), (held, "held out")):
        n = len(part.seen_twice)
        if n < FEWEST:
            raise GeometryError(f"adapt: {n} tracks {what} are seen by two cameras; it takes {FEWEST}: give more time")
    mean, matrix = learn(taught, rng, options)
    head = Head(mean, matrix, base)
    return Adaptation(head, judge(held, head, rng, options.level), len(taught.start))


def views_of(looks: Looks) -> Views:
    """The views of tracks among looks."""
    shows = (looks.track >= 0) & (looks.quality > 0) & np.isfinite(looks.vector).all(axis=1) & looks.vector.any(axis=1)
    rows = np.flatnonzero(shows & np.isfinite(looks.time))
    if not len(rows):
        raise InputError(f"adapt: none of {len(looks)} looks has a track, a time and a vector; fill a gallery first")
    _, site = np.unique(looks.site[rows], return_inverse=True)
    _, track = np.unique(np.stack([site, looks.track[rows]]), axis=1, return_inverse=True)
    _, camera = np.unique(np.stack([looks.site[rows], looks.camera[rows]]), axis=1, return_inverse=True)
    track, time = track.reshape(-1), looks.time[rows]
    start, end = np.full(track.max() + 1, np.inf), np.full(track.max() + 1, -np.inf)
    np.minimum.at(start, track, time)
    np.maximum.at(end, track, time)
    return Views(looks.vector[rows].astype(np.float32), track, camera.reshape(-1), start, end)


def judge(views: Views, head: Head, rng: np.random.Generator, level: float = 0.95) -> Judged:
    """How `head` does on views that it did not learn of, beside the vectors as they are."""
    before, after = (_precisions(views, unit_rows(each)) for each in (views.vector, head(views.vector)))
    first, second = (pool(np.column_stack([value, np.ones(len(value))]), owner, len(views.start))
                     for owner, value in (after, before))  # fmt: skip
    told = np.flatnonzero(first[:, 1])
    first, second = first[told], second[told]
    found = paired_bootstrap(first, second, mean_of_counts, rng, level=level)
    p_value = paired_permutation(first, second, mean_of_counts, rng, n=2000)
    # few tracks make the bootstrap too sure: what exchanging cannot exclude is in the interval
    low = found.low if p_value <= 1.0 - level else min(found.low, 0.0)
    values = [float(mean_of_counts(part.sum(axis=0))) for part in (second, first)]
    return Judged(len(told), len(before[1]), values[0], values[1], found.difference, low, found.high, p_value)


def _precisions(views: Views, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Track and average precision (Q,) of each view whose track another camera saw."""
    every = np.arange(len(views.track))
    same, other = views.known(every)
    there = views.camera[:, None] != views.camera
    asked = np.flatnonzero(same.any(axis=1))
    grades = np.where(same, 1, np.where(other & there, 0, JUNK))[asked]
    scores = score_rankings(judge_rows(asked, vectors[asked] @ vectors.T, grades), cutoffs=(1,))
    return views.track[scores.query], scores.values["map"]


def learn(views: Views, rng: np.random.Generator, options: AdaptOptions) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and matrix (D, d), after as many steps as do best on the last tracks when learnt of the others."""
    n_steps = options.steps
    early, late = views.parted(options.held_out)
    if n_steps and min(len(early.seen_twice), len(late.seen_twice)) >= FEWEST:
        mean, start = _start(early, options)
        scores = [_precisions(late, Head(mean, matrix, "")(late.vector))[1].mean()
                  for matrix in (start, *_steps(early, mean, start, rng, options))]  # fmt: skip
        n_steps = min(EVERY * int(np.argmax(scores)), n_steps)
    mean, start = _start(views, options)
    *_, matrix = (start, *_steps(views, mean, start, rng, replace(options, steps=n_steps)))
    return mean, matrix


def _start(views: Views, options: AdaptOptions) -> tuple[np.ndarray, np.ndarray]:
    """Whitening by how tracks differ and how views of one track do; columns of length one, in the mean."""
    n = np.bincount(views.track, minlength=len(views.start))
    means = pool(views.vector, views.track, len(n)) / n[:, None]
    several = n[views.track] > 1
    within = (views.vector - means[views.track])[several] * np.sqrt(2.0)
    whitening = train_whitening(means, within, WhiteningOptions(max_dim=options.dim, ridge=options.ridge))
    return whitening.mean, whitening.matrix / np.sqrt(np.mean(np.sum(whitening.matrix**2, axis=0)))


def _steps(
    views: Views, mean: np.ndarray, matrix: np.ndarray, rng: np.random.Generator, options: AdaptOptions
) -> Iterator[np.ndarray]:
    """The matrix after every `EVERY` of the optimizer's steps, and after the last; none without any."""
    if not options.steps:
        return
    try:
        import torch
    except ImportError as error:
        raise InputError('adapt: PyTorch is not installed; pip install "geoloc[torch]"') from error
    weight = torch.from_numpy(matrix.astype(np.float32)).requires_grad_(True)
    moving = torch.optim.Adam([weight], lr=options.rate)
    centred = views.vector - mean
    for step in range(1, options.steps + 1):
        rows = _batch(views, rng, options.batch)
        same, other = (torch.from_numpy(part[:, rows]) for part in views.known(rows))
        asked = same.any(dim=1) & other.any(dim=1)
        if asked.any():
            same, told = same[asked], (same | other)[asked]
            unit = torch.nn.functional.normalize(torch.from_numpy(centred[rows]) @ weight, dim=1)
            likeness = (unit[asked] @ unit.T / options.temperature).masked_fill(~told, -torch.inf)
            right = torch.where(same, torch.log_softmax(likeness, dim=1), 0.0).sum(dim=1) / same.sum(dim=1)
            moving.zero_grad()
            (-right.mean()).backward()
            moving.step()
        if step % EVERY == 0 or step == options.steps:
            yield weight.detach().numpy().copy()


def _batch(views: Views, rng: np.random.Generator, size: int) -> np.ndarray:
    """Rows of whole tracks, drawn until there are `size`: in order."""
    if len(views.track) <= size:
        return np.arange(len(views.track))
    order = rng.permutation(len(views.start))
    n = np.bincount(views.track, minlength=len(order))[order]
    taken = order[np.cumsum(n) <= max(size, int(n[0]))]
    return np.flatnonzero(np.isin(views.track, taken))
