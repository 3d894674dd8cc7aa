"""One search of a gallery: views that are alike, the objects that they show, and what all of it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from geoloc.errors import InputError
from geoloc.geometry.gaussian import worst_sigma
from geoloc.options import check_range
from geoloc.retrieval.indexes import Index
from geoloc.retrieval.judgement import Judgement
from geoloc.retrieval.likeness import posterior
from geoloc.retrieval.looks import Looks, looks_of
from geoloc.retrieval.matches import Match, Matches, Reason
from geoloc.retrieval.rerank.context import TravelOptions
from geoloc.retrieval.rerank.cues import CueOptions
from geoloc.retrieval.rerank.stages import compare, rerank
from geoloc.retrieval.rows import NONE
from geoloc.retrieval.surroundings import NOWHERE, Surroundings, said_beside_looks
from geoloc.retrieval.views import bodies_of
from geoloc.retrieval.where import Where

SAYS = 0.05  # log-odds under which a signal is not worth a word
WORDS = {
    "places": ("could have come there in time", "was too far away at the time"),
    "transit": ("came from {camera} in the usual time", "from {camera} it takes another time"),
    "label": ("is a {label} too", "is a {label}"),
    "color": ("is {color} too", "is {color}"),
    "length": ("is as long", "is of another length"),
}


@dataclass(frozen=True)
class SearchOptions:
    """How a gallery is searched."""

    shortlist: int = 256  # views whose objects are looked at
    absent: float = 0.5  # probability, before anything is compared, that the query shows no object of the gallery
    near_m: float = 25.0  # m, radius where a place is given without one
    travel: TravelOptions = field(default_factory=TravelOptions)  # of a query whose place and time are known
    cues: CueOptions = field(default_factory=CueOptions)  # of one whose class, colour or length is

    def __post_init__(self) -> None:
        check_range(self, shortlist=(1, 100_000), absent=(1e-9, 1 - 1e-9), near_m=(0, 1e7))


def checked_units(vectors: np.ndarray, dim: int, what: str) -> np.ndarray:
    """Vectors (N, dim) float32 of unit length; InputError names the first that has none, or another length."""
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or (vectors.shape[1] != dim and len(vectors)):
        raise InputError(f"gallery: vectors {vectors.shape}; it holds vectors of length {dim}: give (N, {dim})")
    length = np.linalg.norm(vectors.astype(float), axis=1)
    bad = np.flatnonzero(~(np.isfinite(length) & (length > 0)))
    if len(bad):
        said = "is all 0, as of a blank picture" if length[bad[0]] == 0 else "is not finite"
        raise InputError(f"gallery: the vector of {what} {bad[0]} {said} ({len(bad)} such); leave it out")
    return (vectors / length[:, None]).astype(np.float32)


def answer(
    index: Index,
    query: Looks,
    k: int,
    where: Where,
    judgement: Judgement,
    options: SearchOptions,
    around: Surroundings = NOWHERE,
) -> Matches:
    """The `k` likeliest objects among the views that `where` keeps, for a query's views (Q rows) of one object.

    A view of the query that is the gallery's own, by its id, is none of the answers.
    """
    if k < 1:
        raise InputError(f"gallery: {k} answers asked for; ask for at least 1")
    own = int(np.count_nonzero(query.id >= 0))
    found = index.search(query.vector, options.shortlist + own, where)
    ids = np.setdiff1d(np.unique(found.ids[found.ids != NONE]), query.id)
    if not len(ids):
        return Matches((), 1.0, 0.0, 0, str(judgement.likeness))
    looks = looks_of(ids, *index.read(ids))
    body = bodies_of(looks)
    scores = rerank(compare(query, looks), judgement.stages).scores
    score, view = object_scores(scores, query.quality, body)
    beside = said_beside_looks(query, looks, body, view, around, options.travel, options.cues)
    signals = {"looks": judgement.likeness.log_ratio(score)}
    signals |= {name: odds for name, odds in beside.items() if np.abs(odds).max(initial=0.0) > SAYS}
    ratios = np.sum(list(signals.values()), axis=0)
    n_objects = _count(index, where, found.ids, len(ids), len(ratios), options.shortlist)
    shares, not_here, unknown = posterior(ratios, n_objects, options.absent)
    cosine, counts = (query.vector @ looks.vector.T).max(axis=0), np.bincount(body)
    order = np.lexsort((-score, -shares))[:k]
    matches = tuple(
        _match(looks, int(view[one]), float(shares[one]), float(cosine[view[one]]), int(counts[one]),
               {name: float(odds[one]) for name, odds in signals.items()})
        for one in order.tolist()
    )  # fmt: skip
    unlisted = max(unknown + float(shares.sum() - shares[order].sum()), 0.0)
    return Matches(matches, not_here, unlisted, n_objects, str(judgement.likeness))


def object_scores(scores: np.ndarray, quality: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How alike each object (B,) is to a query's views, of scores (Q, N), and the row (B,) of its most alike view.

    Of each of the query's views the most alike one of the object counts; their mean is by the query's `quality` (Q,).
    """
    order = np.argsort(body, kind="stable")
    starts = np.flatnonzero(np.diff(body[order], prepend=-1))
    best = np.maximum.reduceat(scores[:, order], starts, axis=1)
    weight = np.maximum(quality, 1e-6)
    ranked = np.lexsort((-scores.max(axis=0), body))
    return weight @ best / weight.sum(), ranked[np.flatnonzero(np.diff(body[ranked], prepend=-1))]


def _count(index: Index, where: Where, found: np.ndarray, n_views: int, n_bodies: int, shortlist: int) -> int:
    """About how many objects were searched."""
    if (found == NONE).any() or shortlist >= len(index):
        return n_bodies
    eligible = len(index.ids(where)) if where.conditions else len(index)
    return max(n_bodies, round(eligible * n_bodies / n_views))


def _match(
    looks: Looks, row: int, share: float, cosine: float, n_views: int, signals: Mapping[str, float]
) -> Match:
    cov, camera, time = looks.cov[row], str(looks.camera[row]), float(looks.time[row])
    known = {"camera": camera, "label": str(looks.label[row]), "color": str(looks.color[row])}
    seen = " ".join(part for part in (f"by {camera}" if camera else "", _clock(time)) if part)
    alike = "looks like it" if signals["looks"] >= 0 else "looks otherwise"
    said = {"looks": f"{alike}{' as seen ' + seen if seen else ''}, cosine {cosine:.2f}"}
    said |= {name: _say(name, odds, known) for name, odds in signals.items() if name in WORDS and abs(odds) > SAYS}
    return Match(
        site=str(looks.site[row]),
        object=int(looks.object[row]),
        track=int(looks.track[row]),
        probability=share,
        cosine=cosine,
        view=int(looks.id[row]),
        camera=camera,
        time=time,
        level=str(looks.level[row]),
        xy=(float(looks.xy[row, 0]), float(looks.xy[row, 1])),
        sigma=float(worst_sigma(cov)) if np.isfinite(cov).all() else float("nan"),
        label=known["label"],
        color=known["color"],
        n_views=n_views,
        reasons=tuple(Reason(name, signals[name], f"{words} ({signals[name]:+.1f})") for name, words in said.items()),
    )


def _say(name: str, odds: float, known: Mapping[str, str]) -> str:
    return WORDS[name][odds < 0].format(**known)


def _clock(time: float) -> str:
    if not np.isfinite(time):
        return ""
    return f"at {datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}" if 1e8 < time < 1e11 else f"at {time:.1f} s"


def narrowed(
    where: Where, near: Sequence[float], when: tuple[float, float], label: str, options: SearchOptions
) -> Where:
    """A filter with what `Gallery.search` takes in words."""
    if len(near):
        if len(near) not in (2, 3):
            raise InputError(f"near {tuple(near)}: give x and y (m), and perhaps a radius")
        where = where.near(near[0], near[1], near[2] if len(near) == 3 else options.near_m)
    if when != (-np.inf, np.inf):
        where = where.between("time", *when)
    return where.equal("label", label) if label else where
