"""Rankings against a truth, from scores, searches or TREC files, alone or beside another run: one report."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.measures import FEWEST_BLOCKS, Measure, difference, of_counts
from geoloc.evaluation.queries import bare_figure, query_blocks
from geoloc.evaluation.report import Chart, Difference, Figure, Line, Report
from geoloc.io.trec import read_qrels, read_run
from geoloc.metrics.judgements import Judgements, Labelled, Run, is_there
from geoloc.metrics.judging import Rankings, judge_identities, judge_run, judge_search
from geoloc.metrics.precision_recall import interpolated_precision
from geoloc.metrics.ranking import RankingScores, mean_of_counts, score_rankings

OVER_ALL = "all"
CMC_RANKS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50)
RECALLS = tuple(k / 20 for k in range(21))
BACKWARDS = 0.75  # of a whole ranking: right items that stand behind it on average were sorted the wrong way
RISING = 0.95  # share of lists whose last item scores higher than the first, from which that is no chance
ARE_DISTANCES = "are these distances? A greater score must be better; give them negated"
FEWEST = 5  # queries from which a coincidence of all of them is unlikely
WORST = 5  # queries that are named
SAME_IDENTITY = {
    "cross_camera": "right is the query's identity, in the query's own camera it is junk (Market-1501, VeRi-776)",
    "any_camera": "right is the query's identity, in any camera",
    "leave_one_out": "right is the query's identity, the query itself is junk",
}


@dataclass(frozen=True)
class RetrievalOptions:
    """How rankings are scored."""

    cutoffs: tuple[int, ...] = (1, 5, 10)  # ranks k of CMC, R@k and nDCG@k
    ties: str = "expected"  # of metrics.ranking.TIES
    queries: str = "with_positives"  # of metrics.ranking.QUERIES
    least_grade: int = 1  # grade from which an item is right


@dataclass(frozen=True, eq=False)
class RetrievalRun:
    """Judged rankings under a `name`, and by what `protocol` they were judged.

    `whole`: each ranks its whole gallery, so that what it lacks was not cut off.
    """

    name: str
    rankings: Rankings
    protocol: str
    warnings: tuple[str, ...] = ()
    whole: bool = False


def run_of_scores(
    name: str,
    scores: Iterable[np.ndarray],
    query: Labelled,
    gallery: Labelled,
    protocol: str = "cross_camera",
    how: str = "",
) -> RetrievalRun:
    """A run of `scores` (Q, G), greater is better, or a generator of such rows; `protocol` of judging.PROTOCOLS.

    `how` the scores were made, for the protocol of each figure.
    """
    rankings = judge_identities(scores, query, gallery, protocol)
    says = f"{SAME_IDENTITY[protocol]}; the whole gallery of {len(gallery.key):,} is ranked"
    says = f"{how}; {says}" if how else says
    return RetrievalRun(name, rankings, says, whole=True)


def run_of_search(
    name: str,
    candidate: np.ndarray,
    scores: np.ndarray,
    query: Labelled,
    gallery: Labelled,
    protocol: str = "cross_camera",
) -> RetrievalRun:
    """A run of what a search gave: keys of the gallery `candidate` (Q, K) with `scores` (Q, K); -1 or "" is none.

    Lists may come in any order. InputError where nearly all come with scores that rise, as distances do.
    """
    rankings = judge_search(candidate, scores, query, gallery, protocol)
    _refuse_rising(name, np.asarray(candidate), np.asarray(scores))
    depth = np.shape(candidate)[1]
    says = f"{SAME_IDENTITY[protocol]}; the best {depth} of {len(gallery.key):,} are ranked, right ones beyond are lost"
    return RetrievalRun(name, rankings, says)


def run_of_judgements(name: str, truth: Judgements, run: Run) -> RetrievalRun:
    """A run held against judgements, in memory: what is not judged is wrong."""
    return RetrievalRun(name, judge_run(truth, run), "by judgements, what is not judged is wrong, as trec_eval")


def run_of_trec(qrels: Path | str, run: Path | str, name: str = "") -> RetrievalRun:
    """A run of TREC's files, under the run file's name unless another is given; what could not be read is told."""
    truth, ranked = read_qrels(qrels), read_run(run)
    told = (*truth.report.left_out(), *ranked.report.left_out())
    try:
        judged = run_of_judgements(name or Path(run).stem, truth.judgements, ranked.run)
    except InputError as error:
        raise InputError(f"{run} against {qrels}: {error}") from error
    return RetrievalRun(judged.name, judged.rankings, judged.protocol, told)


def evaluate_retrieval(
    run: RetrievalRun, options: RetrievalOptions | None = None, against: RetrievalRun | None = None
) -> Report:
    """mAP, CMC, R@k, mINP, nDCG and MRR of a run, with intervals over queries, curves and the worst queries.

    `against` is another run on the same queries: each figure's difference to it is tested in pairs. InputError
    where no query has a right item, and where scores rank backwards, as distances do.
    """
    options = options or RetrievalOptions()
    scores = _scores(run, options)
    measures, sure = _measures(run, scores, options)
    figures = [measure.figure(run.name, OVER_ALL, sure) for measure in measures]
    return Report(
        title=run.name,
        family="retrieval",
        figures=(*figures, *_counts(run, scores), *_worst(run, scores)),
        warnings=(*run.warnings, *_suspicions(run, scores), *_told_of(against)),
        differences=() if against is None else _differences(scores, measures, against, options),
        charts=(_cmc_chart(run, options), _precision_chart(run, scores, options)),
    )


def _told_of(against: RetrievalRun | None) -> tuple[str, ...]:
    return () if against is None else tuple(f"the other run: {warning}" for warning in against.warnings)


def _scores(run: RetrievalRun, options: RetrievalOptions) -> RankingScores:
    behind = _share_before(run)
    if run.whole and behind > BACKWARDS:
        raise InputError(
            f"{run.name}: right items are behind {100 * behind:.0f} % of the gallery on average: {ARE_DISTANCES}"
        )
    return score_rankings(run.rankings, options.cutoffs, options.ties, options.queries, options.least_grade)


def _refuse_rising(name: str, candidate: np.ndarray, scores: np.ndarray) -> None:
    full = is_there(candidate).all(axis=1) & (candidate.shape[1] > 1)
    if full.sum() >= FEWEST and np.mean(scores[full, 0] < scores[full, -1]) > RISING:
        raise InputError(f"{name}: scores rise along the lists: {ARE_DISTANCES}")


def _share_before(run: RetrievalRun) -> float:
    """Share of their lists that right items stand behind, on average; 0 where too few queries tell."""
    r = run.rankings
    rows = np.flatnonzero(r.length[r.hit_query] > 1)
    if len(np.unique(r.hit_query[rows])) < FEWEST:
        return 0.0
    place = (r.before[rows] + 0.5 * (r.tied[rows] - 1)) / (r.length[r.hit_query[rows]] - 1)
    return float(place.mean())


def _suspicions(run: RetrievalRun, scores: RankingScores) -> tuple[str, ...]:
    behind = _share_before(run)
    if behind > BACKWARDS:  # of lists that may be cut short, which tell less than a whole gallery
        return (f"right items are behind {100 * behind:.0f} % of their lists on average: {ARE_DISTANCES}",)
    if len(scores.query) < FEWEST or scores.figure("map") < 1.0:
        return ()
    n = len(scores.query)
    return (f"all {n} queries rank every right item first: does the gallery hold the queries, or do scores know ids?",)


def _measures(run: RetrievalRun, scores: RankingScores, options: RetrievalOptions) -> tuple[list[Measure], str]:
    says = f"{run.protocol}; {len(scores.query):,} queries; {options.ties} order of ties"
    blocks, sure = query_blocks(len(scores.query))
    named = [
        ("map", "map", "mean average precision, not interpolated, as trec_eval"),
        ("minp", "minp", "right items over the rank of the last of them (Ye et al. 2021)"),
        ("mrr", "mrr", "1 / rank of the first right item"),
    ]
    for k in scores.cutoffs:
        named.append((f"cmc@{k}", f"hit_rate@{k}", f"CMC: a right item among the first {k}; place recognition's R@{k}"))
    for k in scores.cutoffs:
        named.append((f"recall@{k}", f"recall@{k}", f"share of all right items among the first {k}, as trec_eval"))
    named.append((f"ndcg@{scores.cutoffs[-1]}", f"ndcg@{scores.cutoffs[-1]}", "gain = grade, as trec_eval's ndcg_cut"))
    measures = [
        of_counts(name, "%", f"{says}; {how}", scores.counts(key), blocks, mean_of_counts, 100)
        for name, key, how in named
    ]
    return measures, sure


def _counts(run: RetrievalRun, scores: RankingScores) -> list[Figure]:
    """Queries left out and tied, and junk: what a reader of the figures has to know."""
    kept = np.isin(run.rankings.query, scores.query)
    what = [
        ("queries", len(scores.query), f"those that count: {scores.queries}"),
        (
            "queries_without_right",
            scores.without_positive,
            "nothing is right: " + _fate(scores.queries == "with_positives"),
        ),
        ("queries_not_ranked", scores.missing, "the run lacks them: " + _fate(scores.queries == "trec_eval")),
        ("queries_unknown", scores.unknown, "ranked but not in the truth: left out"),
        ("queries_tied", scores.tied, f"right and wrong items share a score: {scores.ties} order"),
        ("junk", run.rankings.n_junk[kept].sum(), "items taken out of the rankings of those that count"),
    ]
    return [bare_figure(run.name, OVER_ALL, name, n, "", how) for name, n, how in what]


def _fate(left_out: bool) -> str:
    return "left out" if left_out else "count as 0"


def _worst(run: RetrievalRun, scores: RankingScores) -> list[Figure]:
    """Average precision of the queries that went worst, of those that went not well."""
    value = scores.values["map"]
    rows = np.argsort(value, kind="stable")[:WORST]
    figures = []
    for row in rows[value[rows] < 1.0].tolist():
        rank = scores.first_rank[row]
        first = f"first right item at rank {rank:.4g}" if np.isfinite(rank) else "no right item is ranked"
        says = f"of the worst queries; {first}, {scores.n_relevant[row]} right in all"
        part = f"query {scores.query[row]}"
        figures.append(bare_figure(run.name, part, "average_precision", 100 * value[row], "%", says))
    return figures


def _differences(
    ours: RankingScores, measures: list[Measure], against: RetrievalRun, options: RetrievalOptions
) -> tuple[Difference, ...]:
    scores = _scores(against, options)
    if scores.query.tolist() != ours.query.tolist():
        strange = np.setxor1d(scores.query, ours.query)
        which = f": {strange[0]!s} is in one alone" if len(strange) else " in the same order"
        raise InputError(f"{against.name}: two runs compare on the same queries only{which}")
    if not np.array_equal(scores.n_relevant, ours.n_relevant):
        raise InputError(f"{against.name}: scored against another truth; two runs compare on one truth only")
    others = {measure.name: measure for measure in _measures(against, scores, options)[0]}
    return tuple(difference(m, others[m.name], OVER_ALL) for m in measures)


def _cmc_chart(run: RetrievalRun, options: RetrievalOptions) -> Chart:
    longest = max(int(run.rankings.length.max()), 1)
    ranks = tuple(k for k in CMC_RANKS if k <= longest)
    scores = score_rankings(run.rankings, ranks, options.ties, options.queries, options.least_grade)
    blocks, _ = query_blocks(len(scores.query))
    points = [of_counts("cmc", "%", "", scores.counts(f"hit_rate@{k}"), blocks, mean_of_counts, 100) for k in ranks]
    band = np.array([(f.low, f.high) for f in (point.figure("", "", "") for point in points)])
    low, high = band.T if blocks.n >= FEWEST_BLOCKS else np.empty((2, 0))
    line = Line("CMC", np.array(ranks, float), 100 * scores.curve("hit_rate"), low, high)
    return Chart("Cumulative match", "rank", "% of queries", (line,), "queries with a right item up to that rank")


def _precision_chart(run: RetrievalRun, scores: RankingScores, options: RetrievalOptions) -> Chart:
    ties = "pessimistic" if options.ties == "expected" else options.ties
    precision = interpolated_precision(run.rankings, RECALLS, ties, options.least_grade)
    mean = precision[np.isin(run.rankings.query, scores.query)].mean(axis=0)
    line = Line("precision", 100 * np.array(RECALLS), 100 * mean)
    note = f"mean of the queries' interpolated precision, as trec_eval's iprec_at_recall; {ties} order of ties"
    return Chart("Precision over recall", "% recall", "% precision", (line,), note)
