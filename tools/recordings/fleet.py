"""A drawn fleet with lookalikes: how often the right one of a kind is named, over how hard that is.

    python tools/accuracy.py fleet
    python tools/recordings/fleet.py curve.html   # the curve as a page

Rates and transit times are learned from when vehicles leave and come, without saying who is who; kinds are found by
their looks.
"""

import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[up]) for up in (1, 2)]

from geoloc.evaluation.measures import Blocks, of_counts
from geoloc.evaluation.page import write_report_page
from geoloc.evaluation.report import Chart, Figure, Line, Report
from geoloc.metrics.ranking import mean_of_counts
from geoloc.retrieval.rerank.passages import lookalikes, match_passages
from geoloc.retrieval.rerank.transits import LearnOptions, Transit, learn_transit
from geoloc.synthetic.fleet import Fleet, FleetOptions, draw_fleet
from recordings.figures import Part

DIFFICULTIES = (0.02, 0.04, 0.08, 0.17, 0.3)
SEEDS = 60
LIMIT_HOURS = 1000  # other hours, from which to know what can be had at all: 60 scatter by 0.006
N_SITES, KINDS_A_SITE = 200, 5  # 57.6 an hour of each kind at 0.08
N_VEHICLES = 50_000
ALIKE = 0.5  # cosine; views of one kind have about 0.8, of two about 0
LEARN = LearnOptions(longest_s=300.0)
WAYS = {
    "looks": "by looks alone: any of its kind",
    "time": "by looks and its own time",
    "assigned": "by looks and time, all of a kind assigned to each other at once",
    "ideal": "as assigned, rate, mean and spread of the transit given",
}


def run() -> list[Figure]:
    """R@1 over the difficulty, and of 50,000 vehicles at 200 sites."""
    figures = []
    for difficulty in DIFFICULTIES:
        options = FleetOptions(difficulty=difficulty)
        hours = [draw_fleet(np.random.default_rng(seed), 1, 1, options) for seed in range(SEEDS)]
        part = Part("fleet", f"difficulty {difficulty:g}, {SEEDS} hours of one kind", 1.0)
        figures += _figures(part, hours, options)
        figures.append(_limit(options))
    options = FleetOptions()
    whole = draw_fleet(np.random.default_rng(1), N_SITES, KINDS_A_SITE, options)
    sites = [whole.at(site) for site in range(N_SITES)]
    sites = sites[: int(np.searchsorted(np.cumsum([len(site) for site in sites]), N_VEHICLES)) + 1]
    n = sum(len(site) for site in sites)
    part = Part("fleet", f"difficulty {options.difficulty:g}, {n:,} vehicles at {len(sites)} sites", 1.0)
    return figures + _figures(part, sites, options)


def _figures(part: Part, fleets: list[Fleet], options: FleetOptions) -> list[Figure]:
    """One figure a way; intervals over the hours or sites."""
    right = [named(fleet, options) for fleet in fleets]
    blocks = Blocks(np.arange(len(fleets)), len(fleets))
    size = np.array([len(fleet) for fleet in fleets], float)
    return [
        part.measured(
            of_counts(
                f"recall_at_1_{way}",
                "",
                f"{said}; transits and rates learned of the hour itself, without identities",
                np.stack([[hour[way] for hour in right], size], axis=1),
                blocks,
                mean_of_counts,
            ),
            "hours or sites",
        )
        for way, said in WAYS.items()
    ]


def _limit(options: FleetOptions) -> Figure:
    """The share that is right on average in the likeliest of all answers.

    Of normal transits of one spread that all take, the likeliest order to come in is that in which they left.
    """
    hours = [draw_fleet(np.random.default_rng(SEEDS + seed), 1, 1, options) for seed in range(LIMIT_HOURS)]
    right = [float((np.argsort(hour.leaves) == np.argsort(hour.comes)).sum()) for hour in hours]
    counts = np.stack([right, [len(hour) for hour in hours]], axis=1)
    said = "all come in the order in which they left, the likeliest answer where everything is known but who is who"
    blocks = Blocks(np.arange(LIMIT_HOURS), LIMIT_HOURS)
    part = Part("fleet", f"difficulty {options.difficulty:g}, {LIMIT_HOURS:,} other hours", 1.0)
    return part.measured(of_counts("recall_at_1_limit", "", said, counts, blocks, mean_of_counts), "hours")


def named(fleet: Fleet, options: FleetOptions) -> dict[str, float]:
    """How many of a site's vehicles are named rightly when they come to B, each way."""
    rng = np.random.default_rng(0)
    come = rng.permutation(len(fleet))  # B's rows are in an order of their own
    looks = np.concatenate([fleet.looks_a, fleet.looks_b[come]])
    kind = lookalikes(looks, ALIKE)
    group_a, group_b = kind[: len(fleet)], kind[len(fleet) :]
    comes = fleet.comes[come]
    same = group_b[:, None] == group_a
    by_looks = (same / np.maximum(same.sum(axis=1, keepdims=True), 1))[np.arange(len(come)), come].sum()
    out = {"looks": float(by_looks), "time": 0.0, "assigned": 0.0, "ideal": 0.0}
    learned = learn_transit(fleet.leaves, comes, group_a, group_b, LEARN)
    for transit, ways in ((learned, ("time", "assigned")), (_given(fleet, options), ("ideal",))):
        if transit is None:
            continue
        found = match_passages(transit, fleet.leaves, comes, group_a, group_b)
        out[ways[-1]] = float((found.row == come).sum())
        if "time" in ways:
            gap = comes[:, None] - fleet.leaves
            odds = np.where(same, transit.odds(gap.ravel()).reshape(gap.shape), -np.inf)
            out["time"] = float((odds.argmax(axis=1) == come).sum())
    return out


def _given(fleet: Fleet, options: FleetOptions) -> Transit:
    """The transit as it was drawn: all that leave come."""
    n, lasts = len(fleet), 3600.0 * options.hours
    of = np.array([options.transit_s]), np.array([options.spread_s]), np.ones(1)
    return Transit(*of, 1.0 - 0.5 / (n + 1.0), options.rate, 0.5 / lasts, lasts, n)


def curve(figures: list[Figure]) -> Chart:
    """R@1 over the difficulty, a line a way."""
    lines = []
    for way, said in WAYS.items():
        mine = [f for f in figures if f.figure == f"recall_at_1_{way}" and "one kind" in f.part]
        y, low, high = (np.array([getattr(f, name) for f in mine]) for name in ("value", "low", "high"))
        lines.append(Line(said, np.array(DIFFICULTIES), y, low, high))
    note = "vehicles that pass two cameras among lookalikes; bands are 95 % over hours"
    return Chart("Named rightly", "difficulty: rate of a kind x spread of the transit", "R@1", tuple(lines), note)


if __name__ == "__main__":
    found = run()
    write_report_page([Report("fleet", "retrieval", tuple(found), charts=(curve(found),))], sys.argv[1])
