"""CityFlow: which track of another camera is this car, by time and place alone: its boxes carry no images.

Single-camera tracks of true boxes; transit times and the weights of the signals are learned on the other half of the
time, with its identities, and scored on this one; then the halves change places.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import Blocks, Measure, of_counts
from geoloc.evaluation.report import Figure
from geoloc.io.cityflow import read_cityflow_site, read_cityflow_truth
from geoloc.io.truth import BoxTracks
from geoloc.metrics.forecasts import FORECAST_FIGURES, score_forecasts
from geoloc.metrics.judging import JUNK, judge_rows
from geoloc.metrics.ranking import mean_of_counts, score_rankings
from geoloc.pipeline.projection import project_to_ground
from geoloc.retrieval.rerank.evidence import Evidence, learn_evidence
from geoloc.retrieval.rerank.one_to_one import link_probabilities
from geoloc.retrieval.rerank.transits import Transit, transit_of_pairs
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from recordings.figures import Part

GAP_S = 2.0  # a car that is not seen for longer begins a new track
FAR_M = 30.0  # distances above say no more
WAYS = {
    "time": ("starts", "ends"),
    "time_and_place": ("starts", "ends", "place"),
}
PROTOCOL = "tracks of true boxes against those of the other cameras; learned on the other half of the time"


@dataclass(frozen=True, eq=False)
class Cars:
    """N single-camera tracks: `car` (N,) who it is, `camera` (N,), `start`, `end` (N,) s, its `time`s and `xy`."""

    car: np.ndarray
    camera: np.ndarray
    start: np.ndarray
    end: np.ndarray
    time: list[np.ndarray]
    xy: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.car)

    def take(self, rows: np.ndarray) -> "Cars":
        """Those of row numbers (M,)."""
        lists = ([each[row] for row in rows.tolist()] for each in (self.time, self.xy))
        return Cars(self.car[rows], self.camera[rows], self.start[rows], self.end[rows], *lists)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Tracks `a`, `b` (P,) of two cameras, their signals, and whether they are one car's (P,) bool."""

    a: np.ndarray
    b: np.ndarray
    signals: dict[str, np.ndarray]
    same: np.ndarray


def run(folder: Path) -> list[Figure]:
    """mAP and R@1 by time, by time and place, and how reliable the probabilities are."""
    cars = cars_of(read_cityflow_site(folder), read_cityflow_truth(folder))
    late = cars.start > np.median(cars.start)
    halves = [cars.take(np.flatnonzero(late == side)) for side in (False, True)]
    part = Part("cityflow", f"search of {len(cars)} tracks, each half by the other", 10.0)
    figures = []
    scored = [(half, *_prepared(half, other)) for half, other in (halves, halves[::-1])]
    chance = [np.random.default_rng(0).normal(size=len(pairs.a)) for _, pairs, _ in scored]
    by_chance = [(half, pairs, said) for (half, pairs, _), said in zip(scored, chance, strict=True)]
    figures += _ranked(part, "chance", by_chance)
    for name, signals in WAYS.items():
        said, sure = [], []
        for half, pairs, learned in scored:
            evidence = _weights(learned, signals)
            odds = evidence.odds({each: pairs.signals[each] for each in signals})
            said.append((half, pairs, odds))
            sure.append(evidence.probability({each: pairs.signals[each] for each in signals}, evidence.prior))
        figures += _ranked(part, name, said)
        figures += _ranked(part, f"{name}_assigned", [_assigned(*each) for each in said])
        figures += _reliability(part, name, np.concatenate(sure), np.concatenate([p.same for _, p, _ in scored]))
    return figures


def cars_of(site: Site, truth: BoxTracks) -> Cars:
    """The tracks of single cameras, cut where a car is not seen for long."""
    detections = Detections(
        id=np.arange(len(truth.id)),
        time=truth.time,
        camera=truth.camera,
        box=truth.box,
        label=np.full(len(truth.id), "car"),
    )
    points, _ = project_to_ground(detections, site)
    xy = np.full((len(detections), 2), np.nan)
    xy[points.detection] = points.xy
    order = np.lexsort((truth.time, truth.id, truth.camera))
    camera, car, time = truth.camera[order], truth.id[order], truth.time[order]
    new = (camera[1:] != camera[:-1]) | (car[1:] != car[:-1]) | (np.diff(time) > GAP_S)
    cuts = [0, *(np.flatnonzero(new) + 1).tolist(), len(order)]
    rows = [order[first:last] for first, last in pairwise(cuts)]
    firsts, lasts = np.array([r[0] for r in rows]), np.array([r[-1] for r in rows])
    return Cars(
        truth.id[firsts],
        truth.camera[firsts],
        truth.time[firsts],
        truth.time[lasts],
        [truth.time[r] for r in rows],
        [xy[r] for r in rows],
    )


def _prepared(half: Cars, other: Cars) -> tuple[Pairs, Pairs]:
    """Pairs of this half by transits that the other's identities teach, and the other's own pairs by the same."""
    transits = _learned(other)
    return _pairs(half, transits), _pairs(other, transits)


def _learned(cars: Cars) -> dict[tuple[str, str, str], Transit]:
    """Transits between starts, and between ends, of each pair of cameras."""
    lasted = float(cars.end.max() - cars.start.min())
    found = {}
    names = np.unique(cars.camera).tolist()
    for first in names:
        for then in names:
            a, b = (np.flatnonzero(cars.camera == name) for name in (first, then))
            i, j = np.nonzero(cars.car[a][:, None] == cars.car[b])
            if first == then or not len(i):
                continue
            for what, times in (("starts", cars.start), ("ends", cars.end)):
                gap = times[b[j]] - times[a[i]]
                found[what, first, then] = transit_of_pairs(gap, len(a), len(b), lasted)
    return found


def _pairs(cars: Cars, transits: dict[tuple[str, str, str], Transit]) -> Pairs:
    a, b = np.nonzero(cars.camera[:, None] != cars.camera)
    signals = {"place": np.array([_apart(cars, i, j) for i, j in zip(a.tolist(), b.tolist(), strict=True)])}
    for what, times in (("starts", cars.start), ("ends", cars.end)):
        odds, gap = np.zeros(len(a)), times[b] - times[a]
        for (kind, first, then), transit in transits.items():
            rows = np.flatnonzero((cars.camera[a] == first) & (cars.camera[b] == then) & (kind == what))
            odds[rows] = np.maximum(transit.odds(gap[rows]), -20.0)
        signals[what] = odds
    return Pairs(a, b, signals, cars.car[a] == cars.car[b])


def _apart(cars: Cars, i: int, j: int) -> float:
    """Minus the median distance (m) of two tracks while both are seen; as if far away where they never are."""
    both = (cars.time[i] >= cars.start[j]) & (cars.time[i] <= cars.end[j])
    if not both.any():
        return -FAR_M
    at = cars.time[i][both]
    other = np.column_stack([np.interp(at, cars.time[j], cars.xy[j][:, axis]) for axis in (0, 1)])
    distance = np.linalg.norm(cars.xy[i][both] - other, axis=1)
    known = distance[np.isfinite(distance)]
    return -min(float(np.median(known)), FAR_M) if len(known) else -FAR_M


def _weights(learned: Pairs, signals: tuple[str, ...]) -> Evidence:
    return learn_evidence({name: learned.signals[name] for name in signals}, learned.same, learned.a)


def _assigned(cars: Cars, pairs: Pairs, odds: np.ndarray) -> tuple[Cars, Pairs, np.ndarray]:
    """The same, where no track is two of another camera."""
    out = odds.copy()
    names = np.unique(cars.camera).tolist()
    for first, then in ((a, b) for a in names for b in names if a != b):
        rows = np.flatnonzero((cars.camera[pairs.a] == first) & (cars.camera[pairs.b] == then))
        # each is one of the others there with the same probability, or none of them, before anything is known
        fair = odds[rows] - np.log(max(float(np.count_nonzero(cars.camera == then)), 1.0))
        sure = link_probabilities(pairs.a[rows], pairs.b[rows], fair, len(cars))
        out[rows] = np.log(np.maximum(sure, 1e-12)) + 1e-6 * odds[rows]
    return cars, pairs, out


def _ranked(part: Part, name: str, said: list[tuple[Cars, Pairs, np.ndarray]]) -> list[Figure]:
    found: dict[str, list[np.ndarray]] = {"map": [], "hit_rate@1": []}
    for cars, pairs, odds in said:
        scores = np.full((len(cars), len(cars)), -np.inf)
        grades = np.full(scores.shape, JUNK)
        scores[pairs.a, pairs.b], grades[pairs.a, pairs.b] = odds, pairs.same
        kept = (grades == 1).any(axis=1)
        ranking = score_rankings(judge_rows(np.flatnonzero(kept), scores[kept], grades[kept]), (1,))
        for figure, values in found.items():
            values.append(ranking.counts(figure))
    named = {f"search_{key.partition('@')[0]}_{name}": np.concatenate(values) for key, values in found.items()}
    return [_over_queries(part, each, counts) for each, counts in named.items()]


def _over_queries(part: Part, name: str, counts: np.ndarray) -> Figure:
    blocks = Blocks(np.arange(len(counts)), len(counts))
    said = f"{PROTOCOL}; {len(counts)} tracks that another camera sees"
    measure: Measure = of_counts(name, "%", said, counts, blocks, mean_of_counts, 100)
    return part.measured(measure, "tracks")


def _reliability(part: Part, name: str, probability: np.ndarray, same: np.ndarray) -> list[Figure]:
    scores = score_forecasts(probability, same)
    said = f"probability of each of {len(same):,} pairs; {PROTOCOL}"
    return [
        part.figure(f"search_{figure}_{name}", scores.figure(figure), "", said)
        for figure in ("calibration_error", "brier", "uncertainty")
        if figure in FORECAST_FIGURES
    ]
