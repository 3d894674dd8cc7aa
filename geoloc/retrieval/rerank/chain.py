"""A chain of stages that notices which of them help: each is kept only where it is shown to, without labels if need be.

    chain = learn_chain(return_judge(views))  # of self-labelled tracks: nobody said who is who
    ranked = rerank(compare(queries, rows), chain.stages)
    for gain in chain.gains: ...  # what each brought, and whether it was kept

What a stage is worth where nobody is named is seen in returns (as in the cycles of Jabri, Owens and Efros 2020): from a
half of a track to what other cameras saw that is most alike, and from there back to the first camera, to the other half
rather than to the tracks that were in sight beside it. The halves are re-ranked apart, so that no stage can find the
one through the other; what all find alike, as by a camera's light, returns to anybody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.judging import JUNK, judge_rows
from geoloc.metrics.numbering import numbered
from geoloc.metrics.ranking import score_rankings
from geoloc.options import check_range
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.stages import STAGES, Ranked, camera_names, compare, rerank, track_names

DRAWS = 1000
REACH = 0.05  # share of a ranking within which a step goes on, by 1/e
FEWEST_UNITS = 8  # tracks or objects, under which nothing is shown


@dataclass(frozen=True, eq=False)
class Judged:
    """How well U queries were answered: `value` (U,) 0 to 1, and the `unit` (U,) that each query is one of."""

    value: np.ndarray
    unit: np.ndarray


Judge = Callable[[Sequence[str]], Judged]


@dataclass(frozen=True)
class ChainOptions:
    """What a stage has to show."""

    confidence: float = 0.99  # that it helps, over draws of tracks or objects: several stages are tried
    most_views: int = 2000  # that are judged by; more are thinned, whole tracks at a time

    def __post_init__(self) -> None:
        check_range(self, confidence=(0.5, 0.9999), most_views=(10, 1_000_000))


@dataclass(frozen=True)
class Gain:
    """What one stage brought to those kept before it: figures 0 to 1, and the least that it brings for sure."""

    stage: str
    before: float
    after: float
    least: float
    kept: bool


@dataclass(frozen=True)
class Chain:
    """The `stages` that were kept, and what every stage brought when it was tried last."""

    stages: tuple[str, ...]
    gains: tuple[Gain, ...]


def learn_chain(judge: Judge, stages: Sequence[str] = tuple(STAGES), options: ChainOptions | None = None) -> Chain:
    """The stages of STAGES that help by this judge, one added at a time, the one that brings most first.

    A stage is added when the mean over units gains with `options.confidence`, by bootstrap.
    """
    options = options or ChainOptions()
    kept: list[str] = []
    gains: dict[str, Gain] = {}
    now = judge(())
    while len(kept) < len(stages):
        tried = {name: judge((*kept, name)) for name in stages if name not in kept}
        found = {name: _gain(name, now, after, options.confidence) for name, after in tried.items()}
        gains |= found
        sure = [gain for gain in found.values() if gain.kept]
        if not sure:
            break
        best = max(sure, key=lambda gain: gain.after)
        gains |= {name: Gain(name, g.before, g.after, g.least, False) for name, g in found.items() if g is not best}
        kept.append(best.stage)
        now = tried[best.stage]
    order = [name for name in STAGES if name in kept]
    return Chain(tuple(order), tuple(gains[name] for name in STAGES if name in gains))


def label_judge(queries: Looks, rows: Looks) -> Judge:
    """Judges by `object` (-1: not known): average precision in other cameras than the query's; units are objects."""
    asked = queries.take(queries.object >= 0)
    cameras = numbered(np.concatenate([asked.camera, rows.camera]))[1]
    same = asked.object[:, None] == rows.object
    grades = np.where(same, 1, np.where(rows.object < 0, JUNK, 0))
    grades[cameras[: len(asked), None] == cameras[len(asked) :]] = JUNK
    usable = (grades == 1).any(axis=1) & (grades == 0).any(axis=1)
    asked, grades = asked.take(usable), grades[usable]

    def judge(stages: Sequence[str]) -> Judged:
        return _precision(rerank(compare(asked, rows), stages).scores, grades, asked.object)

    return judge


def return_judge(views: Looks, options: ChainOptions | None = None, rng: np.random.Generator | None = None) -> Judge:
    """Judges by tracks of single cameras alone: see the module. Units are tracks; times are one camera's."""
    options = options or ChainOptions()
    views = _thinned(views.take(views.track >= 0), options.most_views, rng or np.random.default_rng(0))
    halves = [_Half.of(views, camera) for camera in np.unique(camera_names(views)).tolist()]
    halves = [half for half in halves if half.grades.size and (half.grades == 1).any()]

    def judge(stages: Sequence[str]) -> Judged:
        parts = [part for half in halves for part in half.judged(stages)]
        if not parts:
            raise InputError("returns: no track is seen twice beside another while other cameras see something")
        return Judged(np.concatenate([p.value for p in parts]), np.concatenate([p.unit for p in parts]))

    return judge


@dataclass(frozen=True, eq=False)
class _Half:
    """One camera's tracks cut in two, and what the other cameras see; `grades` (A, B) of first against last halves."""

    first: Looks
    last: Looks
    others: Looks
    grades: np.ndarray
    track: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, views: Looks, camera: int) -> "_Half":
        track, mine = track_names(views), camera_names(views) == camera
        begin, end, late = _spans(track, views.time)
        a, b = np.flatnonzero(mine & ~late), np.flatnonzero(mine & late)
        together = (begin[a, None] <= end[b]) & (begin[b] <= end[a, None])
        grades = np.where(track[a, None] == track[b], 1, np.where(together, 0, JUNK))
        return cls(views.take(a), views.take(b), views.take(~mine), grades, (track[a], track[b]))

    def judged(self, stages: Sequence[str]) -> list[Judged]:
        """Each half's way out to the other cameras and back to the other half."""
        if not len(self.others):
            return []
        ways = (
            (self.first, self.last, self.grades, self.track[0]),
            (self.last, self.first, self.grades.T, self.track[1]),
        )
        found = []
        for half, other, grades, track in ways:
            usable = (grades == 1).any(axis=1) & (grades == 0).any(axis=1)
            if usable.any():
                out, back = (rerank(compare(*sides), stages) for sides in ((half, self.others), (self.others, other)))
                returns = _steps(out)[usable] @ _steps(back)
                found.append(_precision(returns, grades[usable], track[usable]))
        return found


def _steps(ranked: Ranked) -> np.ndarray:
    """How much each query goes to each row (Q, N), by the row's place in its ranking."""
    n_queries, n_rows = ranked.scores.shape
    steps = np.empty((n_queries, n_rows), np.float32)
    weight = np.exp(-np.arange(n_rows) / (REACH * n_rows)).astype(np.float32)
    np.put_along_axis(steps, np.argsort(-ranked.scores, axis=1, kind="stable"), weight[None], axis=1)
    return steps


def _precision(scores: np.ndarray, grades: np.ndarray, unit: np.ndarray) -> Judged:
    rankings = judge_rows(np.arange(len(scores)), scores, grades)
    return Judged(score_rankings(rankings, (1,)).values["map"], unit)


def _spans(track: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When each view's track begins and ends (N,) s, and whether the view is in its later half (N,) bool."""
    n = int(track.max(initial=-1)) + 1
    begin, end = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(begin, track, time)
    np.maximum.at(end, track, time)
    order = np.lexsort((time, track))
    size = np.bincount(track, minlength=n)
    place = np.empty(len(track), int)
    place[order] = np.arange(len(track)) - (np.cumsum(size) - size)[track[order]]
    return begin[track], end[track], 2 * place >= size[track]


def _thinned(views: Looks, most: int, rng: np.random.Generator) -> Looks:
    """Whole tracks, drawn until there are `most` views."""
    track = track_names(views)
    if len(views) <= most:
        return views
    drawn = rng.permutation(int(track.max()) + 1)
    size = np.bincount(track)[drawn]
    return views.take(np.isin(track, drawn[np.cumsum(size) <= most]))


def _gain(stage: str, before: Judged, after: Judged, confidence: float) -> Gain:
    """Mean over the queries, sure over draws of units; a few units show nothing."""
    _, unit = numbered(before.unit)
    size = np.bincount(unit)
    change = np.bincount(unit, after.value - before.value)
    drawn = np.random.default_rng(1).multinomial(len(size), np.full(len(size), 1 / len(size)), DRAWS)
    means = (drawn @ change) / np.maximum(drawn @ size, 1)
    least = float(np.quantile(means, 1.0 - confidence))
    kept = least > 0 and len(size) >= FEWEST_UNITS
    return Gain(stage, float(before.value.mean()), float(after.value.mean()), least, kept)
