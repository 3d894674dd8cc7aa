"""Reports for tests of their page: the garage fixture through the engine, and the other families on drawn numbers."""

from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import Blocks, of_counts
from geoloc.evaluation.report import Chart, Figure, Line, Report
from geoloc.evaluation.synthetic_truth import synthetic_recording
from geoloc.evaluation.tracking import evaluate_tracking
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.evaluation.uncertainty import evaluate_uncertainty
from geoloc.io.detections import read_detections
from geoloc.metrics.judging import judge_rows
from geoloc.metrics.ranking import mean_of_counts, score_rankings
from geoloc.pipeline.localizer import localize
from geoloc.scene.storage import load_site
from geoloc.synthetic.storage import load_truth

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "garage"
QUERY = "one bootstrap over queries"


def garage_reports() -> list[Report]:
    """What the engine makes of the garage fixture, beside the same with a quarter of a metre of noise."""
    site, truth = load_site("garage", FIXTURE), load_truth(FIXTURE / "truth.csv.gz")
    tracks = localize(read_detections(FIXTURE / "detections.csv.gz").detections, site)
    worse = tracks.replace(xy=tracks.xy + np.random.default_rng(4).normal(0, 0.25, tracks.xy.shape))
    options = TrackingOptions()
    ours, other = (synthetic_recording(table, truth, site, options) for table in (tracks, worse))
    tracking = evaluate_tracking(ours, options, against=other)
    oracle = "40 truth ids appear among the result's ids: an oracle run, its identities prove nothing"
    return [tracking.warned(oracle), evaluate_uncertainty(ours, options)]


def retrieval_report(rng: np.random.Generator, n: int = 120) -> Report:
    """Rankings of drawn scores that favour what is right."""
    right = rng.random((n, 300)) < 0.02
    right[:, 0] = True
    scores = rng.normal(size=right.shape) + 2.2 * right
    found = score_rankings(judge_rows(np.arange(n), scores, right.astype(int)), (1, 2, 5, 10, 20, 50))
    blocks = Blocks(np.arange(n), n)
    figures = [
        of_counts(name, "%", f"{n} queries, no junk; TREC's", found.counts(name), blocks, mean_of_counts, 100.0)
        for name in ("map", "minp", "mrr", "recall@1", "recall@10", "ndcg")
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
