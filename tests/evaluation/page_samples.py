"""Reports for tests of their page: the garage fixture through the engine, and the other families on drawn numbers."""

from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import Blocks, Measure, difference, of_counts, of_mean, of_quantile
from geoloc.evaluation.report import Absent, Chart, ErrorMap, Figure, Line, Moment, Report
from geoloc.geometry.gaussian import worst_sigma
from geoloc.io.detections import read_detections
from geoloc.metrics.bootstrap import time_blocks
from geoloc.metrics.consistency import nees
from geoloc.metrics.detection import score_pairs
from geoloc.metrics.hota import HOTA_FIGURES, hota_curves, score_hota
from geoloc.metrics.judging import judge_rows
from geoloc.metrics.matching import Pairs, Sightings, pair_positions
from geoloc.metrics.ranking import mean_of_counts, score_rankings
from geoloc.metrics.tracking import CLEAR_FIGURES, IDENTITY_FIGURES, score_clear, score_identity
from geoloc.pipeline.localizer import localize
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Tracks
from geoloc.synthetic.storage import load_truth
from geoloc.synthetic.truth import Truth

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "garage"
HOW = "bootstrap over blocks of 5 s"
GROUND = "ground plane, similarity 1 - distance / 2 m, 5 frames/s, confirmed positions, TrackEval's convention"
QUERY = "one bootstrap over queries"


def garage_reports() -> list[Report]:
    """What the engine makes of the garage fixture: tracking and uncertainty, by level."""
    site, truth = load_site("garage", FIXTURE), load_truth(FIXTURE / "truth.csv.gz")
    tracks = localize(read_detections(FIXTURE / "detections.csv.gz").detections, site)
    tracks = tracks.take(tracks.state == "confirmed")
    truth = truth.take(truth.n_cameras > 0)
    worse = tracks.replace(xy=tracks.xy + np.random.default_rng(4).normal(0, 0.25, tracks.xy.shape))
    return [_tracking(truth, tracks, worse), _uncertainty(truth, tracks)]


def _paired(truth: Truth, tracks: Tracks, level: str = "") -> tuple[Truth, Tracks, Pairs]:
    times = np.unique(truth.time)
    if level:
        truth, tracks = truth.take(truth.level == level), tracks.take(tracks.level == level)
    frame = np.abs(times[:, None] - tracks.time).argmin(axis=0)
    rows = np.flatnonzero(np.abs(times[frame] - tracks.time) < 0.03)
    rows = rows[np.unique(np.stack([frame[rows], tracks.track[rows]]), axis=1, return_index=True)[1]]
    tracks = tracks.take(rows)
    result = Sightings(times[frame[rows]], tracks.track, tracks.xy)
    return truth, tracks, pair_positions(Sightings(truth.time, truth.object, truth.xyz[:, :2]), result, 2.0)


def _measures(pairs: Pairs) -> list[Measure]:
    blocks = time_blocks(pairs.frames, 5.0)
    blocks = Blocks(blocks, int(blocks.max()) + 1)
    hota, clear, identity = score_hota(pairs), score_clear(pairs), score_identity(pairs)
    found = [of_counts(n, "%", GROUND, hota.counts, blocks, f, 100.0) for n, f in HOTA_FIGURES.items()]
    for name in ("mota", "motp", "moda"):
        found.append(of_counts(name, "%", GROUND, clear.counts, blocks, CLEAR_FIGURES[name], 100.0))
    found += [of_counts(n, "%", GROUND, identity.counts, blocks, f, 100.0) for n, f in IDENTITY_FIGURES.items()]
    return [*found, of_counts("id_switches", "", f"{GROUND}; a count", clear.counts, blocks, lambda n: n[..., 3])]


def _tracking(truth: Truth, tracks: Tracks, worse: Tracks) -> Report:
    every, levels = _paired(truth, tracks), np.unique(truth.level).tolist()
    parts = {"all levels": every, **{f"level {name}": _paired(truth, tracks, name) for name in levels}}
    figures = [m.figure("garage", part, HOW) for part, (_, _, pairs) in parts.items() for m in _measures(pairs)]
    pairs, other = every[2], _paired(truth, worse)[2]
    both = zip(_measures(pairs), _measures(other), strict=True)
    hota = hota_curves(score_hota(pairs).sums)
    alphas = score_hota(pairs).alphas
    clear = score_clear(pairs)
    alpha = Chart(
        "HOTA over the similarity asked for", "alpha", "share",
        tuple(Line(said, alphas, hota[n]) for n, said in (("hota", "HOTA"), ("det_a", "DetA"), ("ass_a", "AssA"))),
        "What each threshold makes of the same tracks; the published number is the mean.",
    )  # fmt: skip
    lost = Chart(
        "Objects over time", "time", "objects",
        (
            Line("true", pairs.frames, clear.counts[:, 0] + clear.counts[:, 2], reference=True),
            Line("found", pairs.frames, clear.counts[:, 0]),
        ),
    )  # fmt: skip
    return Report(
        "Garage, engine of today", "tracking", tuple(figures),
        absent=(Absent("all levels", "reidentified_after_30min", "the recording lasts 1 min; record at least 30 min"),),
        warnings=("40 truth ids appear among the result's ids: an oracle run, its identities prove nothing",),
        differences=tuple(difference(a, b, "all levels") for a, b in both),
        charts=(alpha, lost),
        error_maps=tuple(_error_map(*_paired(truth, tracks, name), name) for name in levels),
        moments=_moments(pairs, clear.counts),
    )  # fmt: skip


def _error_map(truth: Truth, tracks: Tracks, pairs: Pairs, level: str) -> ErrorMap:
    found = score_pairs(pairs, 0.0)
    xy = truth.xyz[found.truth, :2]
    error = np.linalg.norm(tracks.xy[found.result] - xy, axis=1)
    missed, false = np.delete(truth.xyz[:, :2], found.truth, axis=0), np.delete(tracks.xy, found.result, axis=0)
    return ErrorMap(f"level {level}", xy, error, missed, false)


def _moments(pairs: Pairs, counts: np.ndarray) -> tuple[Moment, ...]:
    cost = counts[:, 1] + counts[:, 2] + 10 * counts[:, 3]
    found = []
    for i, start in enumerate(np.argsort(-np.convolve(cost, np.ones(5), "valid"))[::7][:8].tolist()):
        n = counts[start : start + 5].sum(axis=0)
        what = f"{n[2]:.0f} misses, {n[1]:.0f} false, {n[3]:.0f} switches"
        begin, end = float(pairs.frames[start]), float(pairs.frames[start + 4])
        found.append(Moment(("all levels", "entrance")[i % 2], begin, end, float(cost[start : start + 5].sum()), what))
    return tuple(found)


def _uncertainty(truth: Truth, tracks: Tracks) -> Report:
    truth, tracks, pairs = _paired(truth, tracks)
    found = score_pairs(pairs, 0.0)
    error = tracks.xy[found.result] - truth.xyz[found.truth, :2]
    cov = tracks.position_cov[found.result]
    near = np.linalg.norm(error, axis=1) < 1.0
    values, sigma = nees(error[near], cov[near]), worst_sigma(cov[near])
    time = truth.time[found.truth[near]]
    blocks = Blocks(time_blocks(time, 5.0), 12)
    protocol = "2 degrees of freedom, positions within 1 m of the truth, covariance with bias"
    measures = [
        of_mean("nees", "", f"{protocol}; 2 is honest", values, blocks),
        of_mean("coverage_95", "%", f"{protocol}; share inside the 95 % ellipse", 100.0 * (values < 5.991), blocks),
        of_quantile("sharpness", "m", f"{protocol}; median largest sigma", sigma, blocks),
        of_quantile("error_median", "m", protocol, np.linalg.norm(error[near], axis=1), blocks),
    ]
    stated = np.linspace(0.05, 0.95, 19)
    seen = np.array([(values < -2 * np.log1p(-p)).mean() for p in stated])
    line = Line("positions", stated, seen, np.clip(seen - 0.03, 0, 1), np.clip(seen + 0.03, 0, 1))
    chart = Chart(
        "Coverage", "stated probability", "share of errors inside",
        (Line("honest", np.array([0.0, 1.0]), np.array([0.0, 1.0]), reference=True), line),
        "Above the diagonal the stated ellipses are too wide, below it they promise too much.",
    )  # fmt: skip
    figures = tuple(m.figure("garage", "all levels", HOW) for m in measures)
    absent = (Absent("all levels", "nis", "the tracker's innovations were not recorded; pass them to the evaluation"),)
    return Report("Garage, engine of today", "uncertainty", figures, absent=absent, charts=(chart,))


def retrieval_report(rng: np.random.Generator, n: int = 120) -> Report:
    """Rankings of drawn scores that favour what is right."""
    right = rng.random((n, 300)) < 0.02
    right[:, 0] = True
    scores = rng.normal(size=right.shape) + 2.2 * right
    found = score_rankings(judge_rows(np.arange(n), scores, right.astype(int)), (1, 2, 5, 10, 20, 50))
    blocks = Blocks(np.arange(n), n)
    figures = [
        of_counts(name, "%", f"{n} queries, no junk; TREC's", found.counts(name), blocks, mean_of_counts, 100.0)
        for name in ("map", "minp", "mrr", "hit_rate@1", "hit_rate@10", "ndcg")
    ]
    line = Line("a right one is among the first", np.array(found.cutoffs), found.curve("hit_rate"))
    cmc = Chart("CMC", "rank", "share of queries", (line,))
    return Report("Gallery", "retrieval", tuple(m.figure("gallery", "all", QUERY) for m in figures), charts=(cmc,))


def robustness_report() -> Report:
    """Scores that fall with the strength of five hazards."""
    strength, hazards = np.arange(6.0), ("camera rotated", "camera lost", "clock offset", "boxes missed", "rain")
    falls = [0.9 - 0.08 * (i + 1) / 5 * strength**1.3 / 1.6 for i in range(len(hazards))]
    lines = tuple(
        Line(name, strength, y, y - 0.02 - 0.004 * strength, y + 0.02) for name, y in zip(hazards, falls, strict=True)
    )
    how = "mean HOTA lost over five strengths as a share of the clean score, as ImageNet-C has it"
    figures = [Figure("garage", "all hazards", "overall_degradation", 21.4, 18.0, 25.2, "%", how)]
    for name, y in zip(hazards, falls, strict=True):
        lost = float(100 * (1 - y[1:].mean() / y[0]))
        figures.append(Figure("garage", name, "degradation", lost, 0.85 * lost, 1.2 * lost, "%", how))
    chart = Chart("HOTA under each hazard", "strength", "HOTA", lines)
    return Report("Garage under strain", "robustness", tuple(figures), charts=(chart,))
