"""The cameras' clocks when nothing is known of them: offsets of seconds to minutes, from the paths alone.

Each camera is tracked alone. For two cameras, every pair of paths over the same ground votes for a difference of
their clocks; true pairs agree, false ones scatter, so the peak tells (`_search`). Differences must add up to zero
around loops; over the whole recording a clock may jump, or fall behind as its stream loses frames (`clock_courses`).
Then all true pairs together give the offsets by robust least squares, jointly with a persistent shift
of each camera's points and their offset along the line of sight: a point ahead of its object looks like a clock that
is late, unless objects go both ways or at several speeds, and the covariance tells which it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from typing import NamedTuple

import networkx as nx
import numpy as np

from geoloc.errors import GeometryError
from geoloc.geometry.gaussian import symmetric
from geoloc.options import check_range
from geoloc.pipeline.clock_courses import ClockCourseOptions, Course, find_courses
from geoloc.pipeline.clock_paths import Passages, Paths, meet, paths_of
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections

FULL_COUNT = 20  # places in which a pair of paths agreed, from which on it counts wholly
SECTORS = 8  # of the compass
PLACES = 4.0  # neighbouring places of a path whose errors are one
ROUNDS = 20
NEAR_START_S = 10.0  # the search is nearer than this to the truth
ROBUST_DISTANCE2 = 9.0  # squared normalised residual at which a passage counts for a quarter
MEDIAN_TO_SIGMA = 1.4826  # of a normal distribution
TREE_MARGIN = 1.25  # a link that contradicts others by a loop goes alone only if it is so much weaker


@dataclass(frozen=True)
class ClockStartOptions:
    """How clocks are found that nothing is known of."""

    max_offset_s: float = 300.0  # largest difference between two clocks that is looked for
    stretch_s: float = 900.0  # of each camera's recording that is searched, from its start, and from each jump on
    least_places: int = 8  # in which two paths agree, for the pair to vote
    tolerance_s: float = 0.3  # to which votes of true pairs agree before footprints are taken into account
    least_pairs: int = 4  # of paths that must agree on a difference
    least_ratio: float = 1.3  # the best difference's score over that of the second best
    loop_s: float = 0.8  # to which differences must add up around a loop of cameras
    shift_sigma: float = 0.5  # m, persistent shift of a camera's points
    away_sigma: float = 0.45  # of the class's length: how far points stand from their objects along the line of sight
    place_sigma: float = 0.5  # m, of two cameras' points against each other in one direction of travel
    object_sigma: float = 0.1  # of the class's length: the same, differing from object to object
    courses: ClockCourseOptions = field(default_factory=ClockCourseOptions)

    def __post_init__(self) -> None:
        check_range(self, max_offset_s=(0.1, 1e5), stretch_s=(1, 1e6), least_places=(2, 1e6))
        check_range(self, tolerance_s=(1e-3, 60), least_pairs=(2, 1e6), least_ratio=(1, 1e3), loop_s=(1e-3, 60))
        check_range(self, shift_sigma=(0, 100), away_sigma=(0, 100), object_sigma=(1e-3, 100), place_sigma=(0, 100))


@dataclass(frozen=True, eq=False)
class ClockLink:
    """Two cameras whose clocks' difference was found: stamps of `a` are `ahead` s later than those of `b`."""

    a: str
    b: str
    ahead: float
    score: float
    ratio: float  # of the score to that of the next best difference
    passages: Passages  # that agree on it


@dataclass(frozen=True, eq=False)
class ClockEstimate:
    """Offsets (K,) s of `cameras`' stamps against the site's time, which is their mean, and covariance (K, K) s².

    A camera whose clock jumped has a row for each stretch, in order of time; the first of each make the mean. The
    covariance is that of the offsets less that mean, so it is singular: only differences can be known.
    """

    cameras: tuple[str, ...]
    since: np.ndarray  # (K,) s, the stamp from which on each row holds; -inf: from the beginning
    offset: np.ndarray
    cov: np.ndarray
    links: tuple[ClockLink, ...]
    refused: dict[str, str] = field(default_factory=dict)  # cameras whose clock could not be found, and why

    @property
    def sigma(self) -> np.ndarray:
        """Standard deviation (K,) s of each offset against the cameras' mean."""
        return np.sqrt(np.diag(self.cov))

    def correct(self, detections: Detections) -> Detections:
        """`detections` with the site's time in place of the cameras' stamps; those of refused cameras stay."""
        stamp, time = detections.time, detections.time.copy()
        for name, since, offset in zip(self.cameras, self.since.tolist(), self.offset.tolist(), strict=True):
            mine = (detections.camera == name) & (stamp >= since)
            time[mine] = stamp[mine] - offset
        return detections.replace(time=time)


def estimate_clocks(
    detections: Detections,
    site: Site,
    options: ClockStartOptions | None = None,
    engine: LocalizerOptions | None = None,
) -> ClockEstimate:
    """Offsets of the clocks of all cameras that saw objects which another camera saw too, and why not of the others.

    Where a clock jumped, its offsets before and after; that is looked for in the whole recording.
    GeometryError where no two cameras' clocks can be compared. `engine` tracks each camera alone.
    """
    options, engine = options or ClockStartOptions(), engine or LocalizerOptions()
    names = [camera.name for camera in site.cameras if (detections.camera == camera.name).any()]
    jump = options.courses.reach_s > 0
    given = {name: detections if jump else _stretch(detections, name, options) for name in names}
    paths = {name: paths_of(given[name], site, name, engine) for name in names}
    links, why = [], {}
    for a, b in combinations(names, 2):
        link = _search(a, b, _start(paths[a], options), _start(paths[b], options), options)
        if isinstance(link, ClockLink):
            links.append(link)
        elif link:
            why[a], why[b] = f"with {b}: {link}", f"with {a}: {link}"
    links, known, contradicted = _consistent(links, options)
    refused = {name: contradicted.get(name, _reason(name, paths, why)) for name in names if name not in known}
    if not known:
        said = "; ".join(f"{name}: {reason}" for name, reason in sorted(refused.items()))
        what_next = "give a longer recording of moving objects"
        raise GeometryError(f"no two cameras' clocks can be compared ({said}); {what_next}")
    links, courses = _with_jumps(links, known, paths, options)
    offset, cov = _refine(courses, links, options)
    while (smallest := _smallest_jump(courses, offset)).size < options.courses.least_jump_s:
        courses[smallest.camera] = courses[smallest.camera].without(smallest.number)
        offset, cov = _refine(courses, links, options)
    cameras = tuple(name for name in sorted(known) for _ in courses[name].since)
    since = np.concatenate([courses[name].since for name in sorted(known)])
    return ClockEstimate(cameras, since, offset, cov, tuple(links), refused)


def _with_jumps(
    links: list[ClockLink], known: dict[str, float], paths: dict[str, Paths], options: ClockStartOptions
) -> tuple[list[ClockLink], dict[str, Course]]:
    """The course of each known clock; where any jumps, the links with all passages that agree with the courses."""
    steady = {name: Course(offset=np.array([offset])) for name, offset in known.items()}
    if options.courses.reach_s <= 0:
        return links, steady
    on_one = {name: replace(paths[name], time=paths[name].time - known[name]) for name in known}
    reach, least = 2.0 * options.courses.reach_s, options.least_places
    met = {(link.a, link.b): meet(on_one[link.a], on_one[link.b], reach, least) for link in links}
    jumped = find_courses(met, options.courses)
    if not jumped:
        return links, steady
    courses = {name: jumped.get(name, Course()) for name in known}
    return [_over_jumps(link, met[link.a, link.b], courses, known, options) for link in links], {
        name: Course(course.since + known[name], course.offset + known[name]) for name, course in courses.items()
    }


class _Jump(NamedTuple):
    size: float  # s
    camera: str
    number: int  # of the stretch after it


def _smallest_jump(courses: dict[str, Course], offset: np.ndarray) -> _Jump:
    """The smallest of all clocks' jumps, by the `offset` (N,) s of all stretches of the cameras in order of names."""
    jumps, first = [_Jump(np.inf, "", 0)], 0
    for name in sorted(courses):
        mine = offset[first : first + len(courses[name].since)]
        jumps += [_Jump(size, name, number + 1) for number, size in enumerate(np.abs(np.diff(mine)).tolist())]
        first += len(mine)
    return min(jumps)


def _over_jumps(
    link: ClockLink, met: Passages, courses: dict[str, Course], known: dict[str, float], options: ClockStartOptions
) -> ClockLink:
    """A link with the passages `met`, of clocks on one time, that agree on courses: the first of each stretch."""
    a, b = courses[link.a], courses[link.b]
    use = np.abs(met.ahead - a.at(met.time_a) + b.at(met.time_b)) <= 3.0 * options.tolerance_s
    for course, time in ((a, met.time_a), (b, met.time_b)):
        begin = np.append(time.min(initial=np.inf), course.since[1:])
        use &= time <= begin[course.part(time)] + options.stretch_s
    met = met.take(use)
    of_a, of_b = known[link.a], known[link.b]
    stamped = replace(met, ahead=met.ahead + of_a - of_b, time_a=met.time_a + of_a, time_b=met.time_b + of_b)
    return replace(link, passages=stamped)


def _stretch(detections: Detections, camera: str, options: ClockStartOptions) -> Detections:
    mine = detections.take((detections.camera == camera) & np.isfinite(detections.time))
    return mine.take(mine.time <= mine.time.min(initial=np.inf) + options.stretch_s)


def _start(paths: Paths, options: ClockStartOptions) -> Paths:
    return paths.take(paths.time <= paths.time.min(initial=np.inf) + options.stretch_s)


def _reason(name: str, paths: dict[str, Paths], why: dict[str, str]) -> str:
    if not len(paths[name]):
        return "it saw nothing that moves"
    return why.get(name, "it saw no object on ground that another camera sees")


def _search(a: str, b: str, of_a: Paths, of_b: Paths, options: ClockStartOptions) -> ClockLink | str:
    """The difference of two clocks that most pairs of paths agree on; why there is none, "" without any pair."""
    passages = meet(of_a, of_b, options.max_offset_s, options.least_places)
    if not len(passages):
        return ""
    score = _scores(passages, options.tolerance_s)
    best = int(np.argmax(score))
    # what lies under the same peak is no rival
    rival = np.abs(passages.ahead - passages.ahead[best]) > 5.0 * options.tolerance_s
    ratio = score[best] / max(float(score[rival].max(initial=0.0)), 1e-9)
    near = np.abs(passages.ahead - passages.ahead[best]) <= 3.0 * options.tolerance_s
    agree = passages.take(near)
    n_pairs = min(len(np.unique(agree.track_a)), len(np.unique(agree.track_b)))
    if n_pairs < options.least_pairs:
        return f"only {n_pairs} objects agree on a difference, {options.least_pairs} are needed"
    if ratio < options.least_ratio:
        second = passages.ahead[rival][np.argmax(score[rival])]
        return f"ambiguous: {passages.ahead[best]:.1f} s explains the paths hardly better than {second:.1f} s"
    return ClockLink(a, b, float(np.median(agree.ahead)), float(score[best]), float(ratio), agree)


def _scores(passages: Passages, tolerance: float) -> np.ndarray:
    """How well each passage's `ahead` explains all: (M,), about the number of objects; each object counts once."""
    weight = np.minimum(passages.count / FULL_COUNT, 1.0) * tolerance / np.maximum(passages.spread, tolerance)
    both = []
    for track in (passages.track_a, passages.track_b):
        order = np.argsort(track, kind="stable")
        starts = np.flatnonzero(np.diff(track[order], prepend=-1))
        apart = (passages.ahead[order] - passages.ahead[:, None]) / tolerance
        votes = weight[order] * np.exp(-0.5 * apart**2)
        both.append(np.maximum.reduceat(votes, starts, axis=1).sum(axis=1))
    return np.minimum(*both)


def _consistent(
    links: list[ClockLink], options: ClockStartOptions
) -> tuple[list[ClockLink], dict[str, float], dict[str, str]]:
    """Links that add up around every loop, the offsets that they give, and cameras lost to contradictions.

    Where a loop does not add up its weakest link is wrong; if the next weaker one is hardly stronger, both go.
    """
    contradicted: dict[str, str] = {}
    links = sorted(links, key=lambda link: (-link.score, link.a, link.b))
    while True:
        graph: nx.Graph = nx.Graph()
        kept: list[ClockLink] = []
        wrong: set[int] = set()
        for link in links:
            if not (graph.has_node(link.a) and graph.has_node(link.b) and nx.has_path(graph, link.a, link.b)):
                graph.add_edge(link.a, link.b, link=link)
                kept.append(link)
                continue
            way = nx.shortest_path(graph, link.a, link.b)
            around = [graph.edges[pair]["link"] for pair in pairwise(way)]
            signs = [1.0 if one.a == node else -1.0 for one, node in zip(around, way[:-1], strict=True)]
            gap = link.ahead - sum(sign * one.ahead for sign, one in zip(signs, around, strict=True))
            if abs(gap) <= options.loop_s:
                kept.append(link)
                continue
            said = f"differences around the loop {', '.join(way)} miss each other by {gap:.1f} s"
            contradicted |= {link.a: said, link.b: said}
            wrong.add(id(link))
            weakest = min(around, key=lambda one: one.score)
            if weakest.score < TREE_MARGIN * link.score:
                wrong.add(id(weakest))
                break
        if not any(id(link) in wrong for link in kept):
            return _largest(kept, contradicted)
        links = [link for link in links if id(link) not in wrong]


def _largest(
    links: list[ClockLink], contradicted: dict[str, str]
) -> tuple[list[ClockLink], dict[str, float], dict[str, str]]:
    """The largest set of cameras that are linked, with the offsets along its strongest links."""
    graph: nx.Graph = nx.Graph()
    for link in links:
        graph.add_edge(link.a, link.b, link=link, score=link.score)
    if not links:
        return [], {}, contradicted
    parts = sorted((sorted(part) for part in nx.connected_components(graph)), key=lambda part: (-len(part), part))
    tree = nx.maximum_spanning_tree(graph.subgraph(parts[0]), weight="score")
    offset = {parts[0][0]: 0.0}
    for known, new in nx.bfs_edges(tree, parts[0][0]):
        link = graph.edges[known, new]["link"]
        offset[new] = offset[known] + (link.ahead if link.a == new else -link.ahead)
    for part in parts[1:]:
        others = "linked only with " + ", ".join(part)
        contradicted |= dict.fromkeys(part, others)
    return [link for link in links if link.a in offset], offset, contradicted


def _refine(
    courses: dict[str, Course], links: Sequence[ClockLink], options: ClockStartOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (N,) less the mean of the cameras' first ones, and covariance (N, N), by robust least squares.

    Over all agreeing passages; cameras in order of their names, each with all offsets of its course.
    """
    names = sorted(courses)
    start = np.concatenate([courses[name].offset for name in names])
    n, k = len(start), len(names)
    parts = [_rows(link, number, len(links), courses, options) for number, link in enumerate(links)]
    design, ahead, sigma = (np.concatenate(column) for column in zip(*parts, strict=True))
    prior = np.full(design.shape[1], options.place_sigma)
    prior[: n + 3 * k] = np.repeat([NEAR_START_S, options.away_sigma, options.shift_sigma], [n, k, 2 * k])
    prior_information = np.diag(1.0 / np.maximum(prior, 1e-6) ** 2)
    ahead = ahead - design[:, :n] @ start
    state = np.zeros(len(prior))
    for _ in range(ROUNDS):
        left = (ahead - design @ state) / sigma
        # objects may differ by more than is stated: the middle of the residuals tells
        stretch = max(1.0, MEDIAN_TO_SIGMA * float(np.median(np.abs(left))))
        trust = 1.0 / (1.0 + (left / stretch) ** 2 / ROBUST_DISTANCE2) ** 2
        weight = trust / (stretch * sigma) ** 2
        information = design.T @ (weight[:, None] * design) + prior_information
        state = np.linalg.solve(information, design.T @ (weight * ahead))
    first = np.isinf(np.concatenate([courses[name].since for name in names]))
    centre = np.eye(n) - first / k
    cov = symmetric(centre @ np.linalg.inv(information)[:n, :n] @ centre)
    return centre @ (start + state[:n]), cov


def _rows(
    link: ClockLink, number: int, n_links: int, courses: dict[str, Course], options: ClockStartOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Design (M, N + 3K + 8L), stamps' differences (M,) and their sigmas (M,) of the passages of one of L links.

    Parameters are the N offsets of K cameras, their offsets along the line of sight, shifts east, shifts north, and a
    shift of each link and of each eighth of the compass: calibration errors that are a place's own.
    """
    passages, names = link.passages, sorted(courses)
    sizes = [len(courses[name].since) for name in names]
    n, k, a, b = sum(sizes), len(names), names.index(link.a), names.index(link.b)
    row = np.arange(len(passages))
    design = np.zeros((len(passages), n + 3 * k + SECTORS * n_links))
    design[row, sum(sizes[:a]) + courses[link.a].part(passages.time_a)] = 1.0
    design[row, sum(sizes[:b]) + courses[link.b].part(passages.time_b)] = -1.0
    design[:, n + a], design[:, n + b] = -passages.away_a, passages.away_b
    for axis in (1, 2):
        lever = passages.lever[:, axis - 1]
        design[:, n + axis * k + a], design[:, n + axis * k + b] = -lever, lever
    slowness, direction = np.hypot(*passages.lever.T), np.arctan2(passages.lever[:, 1], passages.lever[:, 0])
    sector = np.round(direction / (2.0 * np.pi) * SECTORS).astype(int) % SECTORS
    design[row, n + 3 * k + SECTORS * number + sector] = slowness
    own = np.sqrt(2.0) * options.object_sigma * passages.scale
    seen = MEDIAN_TO_SIGMA * passages.spread / np.sqrt(np.maximum(passages.count / PLACES, 1.0))
    return design, passages.ahead, np.hypot(own, seen)
