"""CMC: who is who across four cameras by looks alone, from real vectors; each stage of re-ranking and the chain.

Labels come of positions where they leave no doubt: a box counts whose foot lies near one person of the published
tracker, or without it of the engine on positions alone, and far from all others. What is re-ranked are vectors, cameras
and single-camera tracklets, which are made of overlapping boxes; times are compared within a camera only.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import Measure, difference, of_counts
from geoloc.evaluation.recording import reported
from geoloc.evaluation.report import Figure
from geoloc.io.cmc import FPS, read_cmc, read_cmc_tracks
from geoloc.metrics.judging import JUNK, judge_rows
from geoloc.metrics.ranking import mean_of_counts, score_rankings
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.pipeline.projection import project_to_ground
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.chain import Chain, learn_chain, return_judge
from geoloc.retrieval.rerank.stages import STAGES, compare, rerank
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from recordings.engine import linked, run_online
from recordings.figures import Part

NEAR, ALONE = 0.5, 1.0  # m: a box belongs to a person this near with nobody else this near
OVERLAP, LEAD = 0.3, 0.1  # IoU of a tracklet's next box, and by how much it must lead any other's
STEP_S = 1.5 / FPS  # between two boxes of a tracklet, at most
MOMENT_S = 0.5 / FPS
BLOCK_S = 5.0
PROTOCOL = (
    "mAP of single boxes over those of the other cameras; right is the same person by positions without doubt, wrong "
    "one who was elsewhere at some time"
)


@dataclass(frozen=True, eq=False)
class Positions:
    """Where people were: identities (M,) at times (M,) s and places (M, 2) m, and who says so."""

    time: np.ndarray
    id: np.ndarray
    xy: np.ndarray
    source: str


def run(folder: Path) -> list[Figure]:
    """Every sequence that has boxes: chance, single vectors, every stage, and the chain that chose its stages."""
    sequences = sorted(path.name for path in (folder / "fairmot").glob("*") if path.is_dir())
    return [figure for sequence in sequences for figure in _sequence(folder, sequence)]


def _sequence(folder: Path, sequence: str) -> list[Figure]:
    site, detections = read_cmc(folder, sequence)
    positions = _positions(folder, sequence, site, detections)
    person = people_of(site, detections, positions)
    views, rows = views_of(detections), np.flatnonzero(person >= 0)
    chain = learn_chain(return_judge(views))
    scored = Scored(views.take(rows), person[rows])
    part = Part("cmc", f"{sequence} search, {len(rows)} boxes, people by {positions.source}", BLOCK_S)
    chance = np.random.default_rng(0).normal(size=(len(rows), len(rows)))
    ways = {"chance": (), "single": (), **{name: (name,) for name in STAGES}, "chain": chain.stages}
    measures = {
        name: scored.measure(part, f"search_map_{name}", chance if name == "chance" else _scores(views, stages, rows))
        for name, stages in ways.items()
    }
    figures = [part.measured(measure) for measure in measures.values()]
    gains = [_gain(part, name, measures[name], measures["single"]) for name in (*STAGES, "chain")]
    return [*figures, *gains, *_told(part, chain)]


def views_of(detections: Detections) -> Looks:
    """The boxes as views of their tracklets."""
    return Looks(
        id=np.arange(len(detections)),
        camera=detections.camera,
        time=detections.time,
        track=tracklets(detections),
        quality=detections.score,
        vector=detections.embedding,
    )


def tracklets(detections: Detections) -> np.ndarray:
    """Number (N,) of the tracklet of each box: boxes of one camera that overlap from frame to frame, without doubt."""
    out = np.arange(len(detections))
    for camera in np.unique(detections.camera).tolist():
        mine = np.flatnonzero(detections.camera == camera)
        before, last = np.zeros(0, int), -np.inf
        for time in np.unique(detections.time[mine]).tolist():
            now = mine[detections.time[mine] == time]
            if time - last <= STEP_S:
                a, b = _clear_pairs(detections.box[before], detections.box[now])
                out[now[b]] = out[before[a]]
            before, last = now, time
    return out


def _clear_pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of boxes that overlap each other clearly more than any else."""
    low = np.maximum(first[:, None, :2], second[:, :2])
    shared = np.maximum(np.minimum(first[:, None, 2:], second[:, 2:]) - low, 0).prod(axis=2)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).prod(axis=1) for box in (first, second))
    iou = shared / (area_a[:, None] + area_b - shared)
    a, b = np.nonzero(iou > OVERLAP)
    rivals = iou[a, b] - LEAD
    alone = ((iou[a] > rivals[:, None]).sum(axis=1) == 1) & ((iou[:, b] > rivals).sum(axis=0) == 1)
    return a[alone], b[alone]


def people_of(site: Site, detections: Detections, positions: Positions) -> np.ndarray:
    """The person (N,) whose each box is without doubt; -1: doubtful."""
    points, _ = project_to_ground(detections, site)
    row_of = {number: row for row, number in enumerate(detections.id.tolist())}
    person = np.full(len(detections), -1)
    for number, time, xy in zip(points.detection.tolist(), points.time.tolist(), points.xy, strict=True):
        now = np.flatnonzero(np.abs(positions.time - time) < MOMENT_S)
        distance = np.linalg.norm(positions.xy[now] - xy, axis=1)
        order = np.argsort(distance)
        if len(now) and distance[order[0]] < NEAR and (len(now) == 1 or distance[order[1]] > ALONE):
            person[row_of[number]] = positions.id[now[order[0]]]
    return person


def _positions(folder: Path, sequence: str, site: Site, detections: Detections) -> Positions:
    if (folder / f"EST_{sequence}_WORLD_CENTROID.txt").is_file():
        peer = read_cmc_tracks(folder, sequence)
        return Positions(peer.time, peer.id, peer.xy, "a published tracker")
    plain = detections.replace(embedding=np.zeros((len(detections), 0)))
    online = run_online(plain, site, LocalizerOptions())
    tracks = reported(linked(online, site, LocalizerOptions()).tracks)
    return Positions(tracks.time, tracks.track, tracks.xy, "the engine on positions alone")


def _scores(views: Looks, stages: tuple[str, ...], rows: np.ndarray) -> np.ndarray:
    """Scores (n, n) among `rows` of the views, all of which are re-ranked."""
    return rerank(compare(views, views), stages).scores[np.ix_(rows, rows)]


@dataclass(frozen=True, eq=False)
class Scored:
    """The views (N,) whose person (N,) is known."""

    views: Looks
    person: np.ndarray

    def measure(self, part: Part, name: str, scores: np.ndarray) -> Measure:
        """Cross-camera mAP of scores (N, N), over blocks of time of the queries."""
        grades = np.where(self.person[:, None] == self.person, 1, np.where(self._apart(), 0, JUNK))
        grades[self.views.camera[:, None] == self.views.camera] = JUNK
        found = score_rankings(judge_rows(self.views.id, scores, grades), (1,))
        time = self.views.time[np.searchsorted(self.views.id, found.query)]
        return of_counts(name, "%", PROTOCOL, found.counts("map"), part.blocks(time), mean_of_counts, 100)


    def _apart(self) -> np.ndarray:
        """Which (N, N) are of people who were seen at one time: of others a broken track may have made two of one."""
        people, number = np.unique(self.person, return_inverse=True)
        times, moment = np.unique(self.views.time, return_inverse=True)
        there = np.zeros((len(people), len(times)), int)
        there[number, moment] = 1
        return ((there @ there.T) > 0)[number[:, None], number]


def _gain(part: Part, name: str, ours: Measure, single: Measure) -> Figure:
    gained = difference(ours, single, part.name)
    said = f"{PROTOCOL}; over single vectors, paired over blocks of {BLOCK_S:g} s, p {gained.p_value:.2g}"
    values = gained.difference, gained.low, gained.high
    return Figure(part.recording, part.name, f"search_gain_{name}", *values, "%", said)


def _told(part: Part, chain: Chain) -> list[Figure]:
    """What the chain saw of each stage, without labels."""
    return [
        part.figure(
            f"search_returns_{gain.stage}",
            100.0 * (gain.after - gain.before),
            "%",
            f"what returns of tracks to themselves gain, without labels; {'kept' if gain.kept else 'left out'}",
        )
        for gain in chain.gains
    ]
