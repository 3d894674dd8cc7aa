"""A whole recording's tracks, cut where identity was uncertain and linked anew, all at once.

Live, an object gets its number before anybody knows what comes. Of a recording everything is known: tracklets
that show one body at the same time become one, and ends and beginnings are linked by the one matching that
explains the recording best, with the costs that serve live. `smooth` may follow.
"""

from dataclasses import dataclass, field, fields, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from geoloc.options import check_range
from geoloc.pipeline.camera_sets import CameraSets
from geoloc.pipeline.comings import Places, Waits
from geoloc.pipeline.lineage import Event, Lineage
from geoloc.pipeline.link_costs import OVERLAP_S, LinkCostOptions, LinkCosts, Sights, not_before
from geoloc.pipeline.link_rows import linked_points, linked_rows
from geoloc.pipeline.same_body import SameBodyOptions, same_bodies
from geoloc.pipeline.tracking import logit
from geoloc.pipeline.tracklets import Tracklets, cut_into_tracklets
from geoloc.retrieval.rerank.one_to_one import best_matching, link_probabilities
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Tracks

PAIRS = 200_000  # pairs of tracklets whose costs are worked out at once
CLOSEST = 64  # ends before each beginning that are looked at first, and places where something stood
ROUNDS = 10  # in which births and links are worked out in turn
PLACE = 2.0  # times `entrance_reach`: side of the cells in which comings and goings are counted
BELIEVED = 0.9
NEGLIGIBLE = 1e-4  # probability of a link
STAND_REACH = 1.0  # of the longest class's length: where something stood is looked for as far away


@dataclass(frozen=True)
class LinkingOptions:
    """How a recording's tracks are linked."""

    cut_s: float = 0.5  # a track that had no point for longer may have become another object's
    goes_on: float = 0.95  # probability that a track which went on after that is the same object's, all else equal
    same_probability: float = 0.5  # tracklets are linked from here on: of one track, or vehicles' where the map
    # names entrances
    open_same_probability: float = 0.8  # the same of people, and of all where it names none: they come from anywhere
    forget_s: float = 86400.0  # nothing is linked over a longer time
    fill_s: float = 5.0  # shorter gaps are filled with rows
    same_body: SameBodyOptions = field(default_factory=SameBodyOptions)
    costs: LinkCostOptions = field(default_factory=LinkCostOptions)

    def __post_init__(self) -> None:
        check_range(self, cut_s=(0, 1e9), same_probability=(0, 1), goes_on=(1e-9, 1 - 1e-9))
        check_range(self, forget_s=(0, 1e12), fill_s=(0, 1e9), open_same_probability=(0, 1))


@dataclass(frozen=True, eq=False)
class Linked:
    """What linking gave: tracks under lasting numbers, points beside them, and what was linked to what and why.

    Where several tracks showed one body, its row names one of their objects; `points` are those that were given,
    of that object too, so that boxes are still found. From `first_free` on numbers are nobody's.
    """

    tracks: Tracks
    points: GroundPoints
    lineage: Lineage
    first_free: int


@dataclass(frozen=True, eq=False)
class Links:
    """Possible links end -> begin between n bodies."""

    end: np.ndarray  # (E,) body
    begin: np.ndarray  # (E,) body
    density: np.ndarray  # (E,) log density, 1/m², of the beginning's place, were it the end's object
    own: np.ndarray  # (E,) bool, the track itself went on

    def take(self, rows: np.ndarray) -> "Links":
        """The links that a mask or an index selects."""
        return Links(self.end[rows], self.begin[rows], self.density[rows], self.own[rows])


def link(
    tracks: Tracks,
    site: Site,
    options: LinkingOptions | None = None,
    points: GroundPoints | None = None,
    first_free: int = 1,
) -> Linked:
    """`tracks` of all windows of a recording, as `localize` gives them, linked over the whole of it.

    An object takes the number of its earliest tracklet, which is one of those that came in, unless a track that
    came in was cut: the later part of it, where it is linked to nothing, takes a number that is higher than all, and
    not below `first_free`: see `JournaledLocalizer.link`, which goes on behind those.
    `points` of all windows tell which cameras saw a track: without them only places tell whether two tracks show
    one body. Tentative tracks that were never confirmed stay as they are.
    """
    options = options or LinkingOptions()
    points = GroundPoints() if points is None else points
    cameras = CameraSets(points)
    costs = LinkCosts(site, options.costs)
    tracklets = cut_into_tracklets(tracks, site, options.cut_s, options.costs)
    body = same_bodies(tracklets, cameras, options.same_body)
    first, last = _ends_of_bodies(tracklets, body)
    firsts, lasts, number = tracklets.firsts.take(first), tracklets.lasts.take(last), tracklets.number
    duration = float(np.ptp(tracklets.tracks.time)) if len(tracklets) else 0.0
    links = _possible_links(lasts, firsts, costs, min(options.forget_s, duration))
    links = replace(links, own=number[last[links.end]] == number[first[links.begin]])
    links, odds, sure = _weigh(links, lasts, firsts, costs, duration, float(logit(options.goes_on)))
    known = links.own | costs.enclosed(firsts.length)[links.begin]
    likely = sure >= np.where(known, options.same_probability, options.open_same_probability)
    chosen = best_matching(links.end, links.begin, odds, len(firsts)) & likely
    free = max(first_free, int(tracks.track.max(initial=0)) + 1)
    numbers, lineage = _numbers(tracklets, body, links.take(chosen), sure[chosen], lasts, firsts, free)
    linked, alias = linked_rows(tracks, tracklets, numbers, cameras, options.fill_s)
    return Linked(linked, linked_points(points, alias), lineage, max(free, int(numbers.max(initial=0)) + 1))


def _ends_of_bodies(tracklets: Tracklets, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tracklets that show each body first, and last."""
    by_start = np.lexsort((tracklets.firsts.time, body))
    by_end = np.lexsort((-tracklets.lasts.time, body))
    first = by_start[np.unique(body[by_start], return_index=True)[1]]
    last = by_end[np.unique(body[by_end], return_index=True)[1]]
    return first, last


# ---- possible links


def _possible_links(lasts: Sights, firsts: Sights, costs: LinkCosts, forget_s: float) -> Links:
    """Links of each beginning to the ends shortly before it, and to those that stood where it is."""
    end, begin = _candidates(lasts, firsts, forget_s)
    parts = [
        _weighed(lasts, firsts, end[k : k + PAIRS], begin[k : k + PAIRS], costs) for k in range(0, len(end), PAIRS)
    ]
    links = [Links(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros(0, bool)), *parts]
    names = [item.name for item in fields(Links)]
    return Links(*(np.concatenate([getattr(part, name) for part in links]) for name in names))


def _candidates(lasts: Sights, firsts: Sights, forget_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (K,), (K,) of ends and beginnings that are worth a look."""
    n = len(firsts)
    by_time = np.argsort(lasts.time, kind="stable")
    stop = np.searchsorted(lasts.time[by_time], firsts.time + OVERLAP_S, side="right")
    rank = stop[:, None] - 1 - np.arange(min(CLOSEST, n))
    begin, column = np.nonzero(rank >= 0)
    end = by_time[rank[begin, column]]
    stood = np.flatnonzero(lasts.stays_s > 0)
    if len(stood) and n:
        near = cKDTree(lasts.xy[stood]).query_ball_point(firsts.xy, STAND_REACH * lasts.length[stood].max())
        size = np.array([len(rows) for rows in near])
        more = stood[np.concatenate([np.asarray(rows, dtype=int) for rows in near])] if size.any() else stood[:0]
        end, begin = np.append(end, more), np.append(begin, np.repeat(np.arange(n), size))
    away = firsts.time[begin] - lasts.time[end]
    later = (firsts.time[begin] > firsts.time[end]) & (lasts.time[begin] > lasts.time[end])
    use = (away >= -OVERLAP_S) & (away <= forget_s) & later & (end != begin)
    use &= lasts.family[end] == firsts.family[begin]
    key = np.unique(end[use] * np.int64(max(n, 1)) + begin[use])
    return key // max(n, 1), key % max(n, 1)


def _weighed(lasts: Sights, firsts: Sights, end: np.ndarray, begin: np.ndarray, costs: LinkCosts) -> Links:
    """The candidates that are possible at all."""
    lost, new = lasts.take(end), firsts.take(begin)
    density = costs.density(lost, not_before(lost, new))
    possible = np.isfinite(density)
    return Links(end[possible], begin[possible], density[possible], np.zeros(possible.sum(), bool))


# ---- what they weigh


def _weigh(
    links: Links, lasts: Sights, firsts: Sights, costs: LinkCosts, duration: float, goes_on: float
) -> tuple[Links, np.ndarray, np.ndarray]:
    """Links worth keeping, and their log-odds and probability (E,), against a final end and a birth.

    Where objects come and how often, which share of those that are lost somewhere comes back, and after how
    long, is learned from the recording itself, by expectation and maximisation.
    """
    n = len(firsts)
    size = PLACE * costs.options.entrance_reach
    kinds = np.unique(firsts.family)
    comes, leaves = costs.comes_at(firsts.level, firsts.xy), costs.leaves_at(lasts.level, lasts.xy)
    came, went = Places(firsts, comes, kinds, size), Places(lasts, leaves, kinds, size)
    ground = np.tile(costs.areas(), len(kinds)) * max(duration, 1.0)
    # probabilities that each end, and each beginning, is linked
    linked = _first_guess(leaves, costs.has("exit")), _first_guess(comes, costs.has("entrance"))
    waits = _waits(links, lasts, firsts, duration)
    odds = sure = np.zeros(len(links.end))
    for turn in range(ROUNDS):
        rate = came.rates(1.0 - linked[1], ground, size**2 * max(duration, 1.0))
        back = went.shares(linked[0])
        odds = links.density + waits.densities(sure) - np.log(rate)[links.begin] + logit(back)[links.end]
        odds += np.where(links.own, goes_on, 0.0)
        sure = link_probabilities(links.end, links.begin, odds, n)
        # what belief propagation says of all links of one end adds up to 1 but for rounding
        linked = np.minimum(np.bincount(links.end, sure, n), 1.0), np.minimum(np.bincount(links.begin, sure, n), 1.0)
        if turn == 1:  # by now most are out of the question
            kept = sure > NEGLIGIBLE
            links, odds, sure = links.take(kept), odds[kept], sure[kept]
            waits = _waits(links, lasts, firsts, duration)
    return links, odds, sure


def _first_guess(expected: np.ndarray, named: bool) -> np.ndarray:
    """Probabilities (n,) from which learning starts: a map that names its exits is believed."""
    return np.where(expected, 1.0 - BELIEVED, BELIEVED) if named else np.full(len(expected), 0.5)


def _waits(links: Links, lasts: Sights, firsts: Sights, duration: float) -> Waits:
    away = np.maximum(firsts.time[links.begin] - lasts.time[links.end], 0.0)
    return Waits(away, lasts.stays_s[links.end] > 0, duration)


# ---- numbers and what is told of them


def _numbers(
    tracklets: Tracklets,
    body: np.ndarray,
    links: Links,
    sure: np.ndarray,
    lasts: Sights,
    firsts: Sights,
    free: int,
) -> tuple[np.ndarray, Lineage]:
    """The number (n,) of each tracklet's object, new ones from `free` on, and the events."""
    chain = _chains(links, len(firsts))[body]
    number, start = tracklets.number, tracklets.firsts.time
    order = np.lexsort((np.arange(len(chain)), start, chain))
    heads = order[np.unique(chain[order], return_index=True)[1]]  # the earliest tracklet of each chain
    heads = heads[np.argsort(start[heads], kind="stable")]
    given, events = {}, []
    taken: set[int] = set()
    for head in heads.tolist():
        own = int(number[head])
        if own in taken:
            events.append(Event(float(start[head]), "split", own, (free,)))
            own, free = free, free + 1
        else:
            events.append(Event(float(start[head]), "born", own))
        taken.add(own)
        given[int(chain[head])] = own
    result = np.array([given[c] for c in chain.tolist()], dtype=int)
    events += _links_told(tracklets, body, links, sure, lasts, firsts, result)
    lineage = Lineage()
    for event in sorted(events, key=lambda event: event.time):
        lineage.add(event)
    return result, lineage


def _links_told(
    tracklets: Tracklets,
    body: np.ndarray,
    links: Links,
    sure: np.ndarray,
    lasts: Sights,
    firsts: Sights,
    number: np.ndarray,
) -> list[Event]:
    """An event for each number that became part of another one."""
    members: list[list[int]] = [[] for _ in range(len(firsts))]
    for tracklet, shown in enumerate(body.tolist()):
        members[shown].append(tracklet)
    came_as, events = tracklets.number.tolist(), []
    for own in members:
        others = tuple(sorted({came_as[i] for i in own} - {int(number[own[0]])}))
        if len(own) > 1 and others:
            time = float(np.sort(tracklets.firsts.time[own])[1])
            events.append(Event(time, "merged", int(number[own[0]]), others, why="one body at one time"))
    apart, away = np.linalg.norm(firsts.xy[links.begin] - lasts.xy[links.end], axis=1), firsts.time[links.begin]
    for k, (end, begin) in enumerate(zip(links.end.tolist(), links.begin.tolist(), strict=True)):
        before = {came_as[i] for i in members[end]}
        others = tuple(sorted({came_as[i] for i in members[begin]} - before))
        if others:
            why = f"{apart[k]:.1f} m away after {max(away[k] - lasts.time[end], 0.0):.1f} s"
            if firsts.embedding[begin].any() and lasts.embedding[end].any():
                why += f", appearance {firsts.embedding[begin] @ lasts.embedding[end]:.2f}"
            known = int(number[members[begin][0]])
            events.append(Event(float(away[k]), "recognised", known, others, float(sure[k]), why))
    return events


def _chains(links: Links, n: int) -> np.ndarray:
    """The chain (n,) that each of n bodies is part of."""
    graph = coo_array((np.ones(len(links.end)), (links.end, links.begin)), shape=(n, n))
    return connected_components(graph, directed=False)[1]
