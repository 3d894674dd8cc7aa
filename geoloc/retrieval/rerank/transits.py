"""How long objects take from one camera to another: learned from when alike ones leave and come, without identities.

Of all pairs of one that left here and one that came there, those of one object share a time; the others' times are
spread evenly. A mixture of normal times over an even background tells them apart (Dempster, Laird and Rubin 1977; of
cameras without common view: Makris, Ellis and Black 2004), and with it how probable a time is of one object's.

    transit = learn_transit(leaves_s, comes_s, longest_s=300.0, group_a=looks_a, group_b=looks_b)
    transit.odds(gap_s)  # of one object, against another that looks alike
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.retrieval.rerank.one_to_one import link_probabilities

STEPS = 200
SETTLED = 1e-7  # of the log-likelihood a pair
LEAST_SIGMA_S = 0.05
TINY = 1e-12
WITHOUT_CHANCE = 1e12  # s, over which the even part is spread where there is none
ROUNDS = 10  # of learning from pairs of which nobody is two
OUT_OF_THE_QUESTION = -12.0  # log-odds
FEWEST = 2.0  # transits of a way that say how long it takes


@dataclass(frozen=True)
class LearnOptions:
    """What makes times of one object stand out."""

    earliest_s: float = 0.0  # between leaving here and coming there; negative where views overlap
    longest_s: float = 600.0
    most_ways: int = 3  # normal times that one transit may be made of
    least_sigmas: float = 4.0  # by which pairs at one time must outnumber chance

    def __post_init__(self) -> None:
        check_range(self, earliest_s=(-1e6, 1e6), longest_s=(-1e6, 1e7), most_ways=(1, 20), least_sigmas=(0, 100))
        if self.longest_s <= self.earliest_s:
            raise InputError(f"transits from {self.earliest_s} to {self.longest_s} s; give the longer time last")


@dataclass(frozen=True, eq=False)
class Transit:
    """Times from one camera to another: M ways of `mean_s`, `sigma_s` and `part` (M,), which sums to 1.

    `share` of those that leave here come there; alike ones come there `rate` times a second whoever left, `fresh`
    times without having been here. It was learned of `n` transits
    among what `lasted_s` showed, all groups one after the other.
    """

    mean_s: np.ndarray
    sigma_s: np.ndarray
    part: np.ndarray
    share: float
    rate: float
    fresh: float
    lasted_s: float
    n: float

    def log_density(self, gap_s: np.ndarray) -> np.ndarray:
        """Log density (K,) 1/s of the times (K,) s of one object."""
        z = (np.asarray(gap_s, float)[:, None] - self.mean_s) / self.sigma_s
        return np.asarray(logsumexp(np.log(self.part / self.sigma_s) - 0.5 * (z**2 + np.log(2 * np.pi)), axis=1))

    def odds(self, gap_s: np.ndarray) -> np.ndarray:
        """Log-odds (K,) that one who came `gap_s` later is the one who left, against any other that is alike."""
        return self.log_density(gap_s) + np.log(max(self.share, TINY)) - np.log(max(self.rate, TINY))

    def link_odds(self, gap_s: np.ndarray) -> np.ndarray:
        """As `odds`, where all who left and came are assigned to each other at once: against both being alone."""
        alone = np.log(max(1.0 - self.share, TINY)) + np.log(max(self.fresh, TINY))
        return self.log_density(gap_s) + np.log(max(self.share, TINY)) - alone


def learn_transit(
    leaves_s: np.ndarray,
    comes_s: np.ndarray,
    group_a: np.ndarray | None = None,
    group_b: np.ndarray | None = None,
    options: LearnOptions | None = None,
) -> Transit | None:
    """The transit from where objects leave at `leaves_s` (A,) to where they come at `comes_s` (B,); None: none shows.

    `group_a` (A,), `group_b` (B,): what looks alike, as of one model and colour: pairs are formed within a group.
    """
    options = options or LearnOptions()
    a, b = _times(leaves_s, "leaves_s"), _times(comes_s, "comes_s")
    groups_a = np.zeros(len(a), int) if group_a is None else np.asarray(group_a)
    groups_b = np.zeros(len(b), int) if group_b is None else np.asarray(group_b)
    row, column = pairs_within(a, b, groups_a, groups_b, options.earliest_s, options.longest_s)
    gap, window = b[column] - a[row], options.longest_s - options.earliest_s
    start = _peak(gap, options, np.zeros((0, 3)))
    if start is None:
        return None
    ways = _fit(gap, window, start[None])
    for _ in range(options.most_ways - 1):  # another way, as long as the pairs are the more probable for it (BIC)
        start = _peak(gap, options, ways)
        more = None if start is None else _fit(gap, window, np.vstack([ways, start]))
        if more is None or _score(gap, window, more) <= _score(gap, window, ways):
            break
        ways = more
    return _matched(_transit(ways, len(a), b, gap, window, groups_b), gap, row, column, (len(a), len(b)))


def transit_of_pairs(gap_s: np.ndarray, n_left: int, n_came: int, lasted_s: float) -> Transit:
    """The transit of objects that are known to be one: their times (N,) s, and what else was seen in `lasted_s`.

    `n_left` left here and `n_came` came there. InputError without a pair.
    """
    gap = _times(gap_s, "gap_s")
    if not len(gap) or not lasted_s > 0:
        raise InputError(f"transits: {len(gap)} known pairs in {lasted_s} s; give at least one, and a time above 0")
    best, ways = -np.inf, np.zeros((0, 3))
    for n_ways in range(1, min(LearnOptions.most_ways, 1 + len(gap) // 10) + 1):
        starts = np.quantile(gap, (np.arange(n_ways) + 0.5) / n_ways)
        spread = np.full(n_ways, max(float(gap.std()) / n_ways, LEAST_SIGMA_S))
        found = _fit(gap, WITHOUT_CHANCE, np.column_stack([starts, spread, np.full(n_ways, 1.0 / n_ways)]))
        score = _score(gap, WITHOUT_CHANCE, found)
        if score > best:
            best, ways = score, found
    rate = max(n_came, 0.5) / lasted_s
    return _counted(ways, float(len(gap)), max(n_left, len(gap)), n_came, rate, lasted_s)


def pairs_within(
    a: np.ndarray, b: np.ndarray, group_a: np.ndarray, group_b: np.ndarray, earliest_s: float, longest_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (P,) of a and of b that are of one group, b's time from `earliest_s` to `longest_s` after a's."""
    number = np.unique(np.concatenate([group_a, group_b]), return_inverse=True)[1]
    of_a, of_b = number[: len(a)], number[len(a) :]
    order = np.lexsort((b, of_b))
    # groups one after the other on one axis of time, farther apart than any pair
    low, high = (min(x.min(initial=0.0) for x in (a, b)), max(x.max(initial=0.0) for x in (a, b)))
    stride = 2.0 * (high - low + abs(earliest_s) + abs(longest_s) + 1.0)
    line = b[order] - low + stride * of_b[order]
    at = a - low + stride * of_a
    first = np.searchsorted(line, at + earliest_s, "left")
    count = np.maximum(np.searchsorted(line, at + longest_s, "right") - first, 0)
    row = np.repeat(np.arange(len(a)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    return row, order[place]


def _times(times: np.ndarray, what: str) -> np.ndarray:
    times = np.asarray(times, float)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise InputError(f"transits: {what} {times.shape}; give finite seconds (N,)")
    return times


def _peak(gap: np.ndarray, options: LearnOptions, ways: np.ndarray) -> np.ndarray | None:
    """Mean, sigma and part (3,) of the times that most outnumber chance and the ways that are known; None: chance."""
    window, best, found = options.longest_s - options.earliest_s, options.least_sigmas, None
    even = 1.0 - ways[:, 2].sum()
    for n_bins in 2 ** np.arange(2, 11):
        width = window / n_bins
        for shift in (0.0, 0.5):
            edges = options.earliest_s + width * (np.arange(n_bins + 1) - shift)
            seen = np.histogram(gap, edges)[0]
            middle = 0.5 * (edges[1:] + edges[:-1])
            expected = len(gap) * width * (even / window + np.exp(_log_ways(middle, ways)).sum(axis=1))
            if not len(ways):  # the even part is what most bins hold, as the peak is in the mean
                expected = np.full(n_bins, max(np.median(seen), len(gap) / n_bins * 0.1, 0.25))
            sigmas = 2.0 * (np.sqrt(seen + 0.375) - np.sqrt(expected + 0.375))  # of counts (Anscombe 1948)
            at = int(sigmas.argmax())
            if sigmas[at] > best:
                part = np.clip((seen[at] - expected[at]) / len(gap), 1e-3, 0.9)
                best, found = sigmas[at], np.array([middle[at], 0.5 * width, part])
    return found


def _fit(gap: np.ndarray, window: float, ways: np.ndarray) -> np.ndarray:
    """Ways (M, 3) of mean, sigma and part that make the pairs most probable; what is left over is even."""
    before = -np.inf
    for _ in range(STEPS):
        log_each = np.column_stack([_log_ways(gap, ways), _log_even(gap, window, ways)])
        total = logsumexp(log_each, axis=1)
        member = np.exp(log_each - total[:, None])[:, :-1]
        size = np.maximum(member.sum(axis=0), TINY)
        mean = (member * gap[:, None]).sum(axis=0) / size
        variance = (member * (gap[:, None] - mean) ** 2).sum(axis=0) / size
        ways = np.column_stack([mean, np.maximum(np.sqrt(variance), LEAST_SIGMA_S), size / len(gap)])
        now = float(total.mean())
        if now - before < SETTLED:
            break
        before = now
    return ways


def _log_ways(gap: np.ndarray, ways: np.ndarray) -> np.ndarray:
    mean, sigma, part = ways.T
    return np.log(part / sigma) - 0.5 * (((gap[:, None] - mean) / sigma) ** 2 + np.log(2 * np.pi))


def _log_even(gap: np.ndarray, window: float, ways: np.ndarray) -> np.ndarray:
    return np.full(len(gap), np.log(max(1.0 - ways[:, 2].sum(), TINY) / window))


def _score(gap: np.ndarray, window: float, ways: np.ndarray) -> float:
    log_each = np.column_stack([_log_ways(gap, ways), _log_even(gap, window, ways)])
    return float(logsumexp(log_each, axis=1).sum() - 0.5 * 3 * len(ways) * np.log(max(len(gap), 1)))


def _transit(
    ways: np.ndarray, n_left: int, comes: np.ndarray, gap: np.ndarray, window: float, groups: np.ndarray
) -> Transit:
    part = ways[:, 2].sum()
    n = part * len(gap)
    lasted = max(float(np.ptp(comes)), 1.0) * len(np.unique(groups))
    rate = max((1.0 - part) * len(gap) / (max(n_left, 1) * window), 0.5 / lasted)
    return _counted(ways, n, n_left, len(comes), rate, lasted)


def _counted(ways: np.ndarray, n: float, n_left: int, n_came: int, rate: float, lasted: float) -> Transit:
    """The transit of `n` objects among those that left and came."""
    share = min(n / max(n_left, 1), 1.0 - 0.5 / (n_left + 1.0))
    mean, sigma, part = ways.T
    return Transit(mean, sigma, part / part.sum(), share, rate, max(n_came - n, 0.5) / lasted, lasted, n)


def _matched(
    transit: Transit, gap: np.ndarray, row: np.ndarray, column: np.ndarray, size: tuple[int, int]
) -> Transit:
    """Learned again of the same pairs under the rule that nobody is two: each pair counts as it is then probable."""
    for _ in range(ROUNDS):
        odds = transit.link_odds(gap)
        near = np.flatnonzero(odds > OUT_OF_THE_QUESTION)
        sure = link_probabilities(row[near], column[near], odds[near], max(size))
        log_each = _log_ways(gap[near], np.column_stack([transit.mean_s, transit.sigma_s, transit.part]))
        member = np.exp(log_each - logsumexp(log_each, axis=1)[:, None]) * sure[:, None]
        n = member.sum(axis=0)
        if not (n > FEWEST).all():
            break
        mean = (member * gap[near, None]).sum(axis=0) / n
        variance = (member * (gap[near, None] - mean) ** 2).sum(axis=0) / n
        ways = np.column_stack([mean, np.maximum(np.sqrt(variance), LEAST_SIGMA_S), n])
        transit = _counted(ways, float(n.sum()), *size, transit.rate, transit.lasted_s)
    return transit
