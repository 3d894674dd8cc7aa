"""What speaks for or against an object beside its looks: places and times on a known site, class, colour, size.

    around = Surroundings.of(gallery.views(), site)  # times between cameras, and ways round walls and over ramps
    gallery.search(views, around=around)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.context import (
    Transits,
    TravelOptions,
    lane_lengths,
    learn_transits,
    place_odds,
    told_transits,
    transit_odds,
)
from geoloc.retrieval.rerank.cues import CueOptions, length_odds, name_odds, shares_of
from geoloc.scene.site import Site
from geoloc.scene.ways import Ways


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What is known of a site: the times between its cameras, and its ways, with the row of each of its levels."""

    transits: Transits = field(default_factory=dict)
    site: str = ""
    level: Mapping[str, int] = field(default_factory=dict)
    ways: Ways | None = None

    @classmethod
    def of(cls, views: Looks, site: Site) -> "Surroundings":
        """A site's ways, and the times between its cameras: as its map tells them, or as views of objects teach."""
        told = told_transits(views, site.name, site.site_map.transits)
        return cls({**told, **learn_transits(views)}, site.name, site.site_map.level_index, Ways.of(site))


NOWHERE = Surroundings()


def said_beside_looks(
    query: Looks,
    looks: Looks,
    body: np.ndarray,
    view: np.ndarray,
    around: Surroundings,
    travel: TravelOptions,
    cues: CueOptions,
) -> dict[str, np.ndarray]:
    """Log-odds of each object (B,) by signals: `body` (N,) is the object of each row of `looks`, `view` (B,) its best.

    Of what is not known of the query there is no signal.
    """
    n, signals = len(view), {}
    one, row = np.indices((len(query), len(looks))).reshape(2, -1)
    asked, seen = query.take(one), looks.take(row)
    if np.isfinite(query.xy).any():
        signals["places"] = _least(_places(asked, seen, around, travel), body[row], n)
    if around.transits:
        signals["transit"] = _transit(asked, seen, body[row], around, n)
    for name in ("label", "color"):
        told, held = str(getattr(query, name)[0]), getattr(looks, name)
        if told:
            signals[name] = name_odds(np.full(n, told), held[view], shares_of(held), cues)
    known = query.length[np.isfinite(query.length)]
    if len(known):
        signals["length"] = length_odds(np.full(n, known.mean()), looks.length[view], cues)
    return signals


def _places(asked: Looks, seen: Looks, around: Surroundings, travel: TravelOptions) -> np.ndarray:
    """Log-odds (K,) of pairs of views, by where they were: of one site, and of one level or with a way between."""
    gap, way = seen.time - asked.time, np.full(len(seen), np.nan)
    here = np.flatnonzero((asked.site == around.site) & (seen.site == around.site))
    if around.ways is not None and len(here):
        start, goal = _place(asked.take(here), around), _place(seen.take(here), around)
        way[here] = lane_lengths(around.ways, start, goal, gap[here], travel)
    one_site = (seen.site == asked.site) | (asked.site == "")
    told = one_site & ((seen.level == asked.level) | np.isfinite(way))
    apart = np.where(told[:, None], seen.xy - asked.xy, np.nan)
    return place_odds(gap, apart, seen.cov + asked.cov, travel, way)


def _place(looks: Looks, around: Surroundings) -> tuple[np.ndarray, np.ndarray]:
    level = np.array([around.level.get(name, -1) for name in looks.level.tolist()], int)
    return level, np.where(level[:, None] >= 0, looks.xy, np.nan)


def _transit(asked: Looks, seen: Looks, body: np.ndarray, around: Surroundings, n: int) -> np.ndarray:
    """Log-odds of each of `n` objects, by the time between the query and the view of it that is nearest in time."""
    gap = seen.time - asked.time
    first = np.where(gap <= 0, seen.camera, asked.camera)
    then = np.where(gap <= 0, asked.camera, seen.camera)
    nearest = np.abs(gap) <= _least(np.abs(gap), body, n)[body]
    odds = np.where(nearest, transit_odds(around.transits, seen.site, first, then, np.abs(gap)), 0.0)
    return np.bincount(body, odds, n) / np.maximum(np.bincount(body, nearest, n), 1)


def _least(values: np.ndarray, body: np.ndarray, n: int) -> np.ndarray:
    """The least value of each of `n` bodies."""
    least = np.full(n, np.inf)
    np.minimum.at(least, body, np.where(np.isfinite(values), values, np.inf))
    return np.where(np.isfinite(least), least, 0.0)
