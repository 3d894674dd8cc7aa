"""How well tracks follow the truth of a synthetic world."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.assignment import assign
from geoloc.metrics.consistency import nees
from geoloc.metrics.hota import score_hota
from geoloc.metrics.matching import Pairs, Sightings, pair_positions
from geoloc.metrics.tracking import score_clear, score_identity
from geoloc.options import check_range
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks
from geoloc.synthetic.truth import Truth

STOREY = 1e5  # m that levels are held apart along x, so that nothing pairs across them


@dataclass(frozen=True)
class ScoreOptions:
    """What counts as a match, and which truths are asked for."""

    reach: float = 2.0  # m, at most between a track and the truth that it is matched with
    memory: float = 1.0  # s for which a truth is still asked for after the last camera lost it
    states: tuple[str, ...] = ("confirmed",)  # of the tracks that count as results

    def __post_init__(self) -> None:
        check_range(self, reach=(1e-3, 1000), memory=(0, 1e6))


@dataclass(frozen=True)
class Scores:
    """Figures of one recording. The scores are shares of 1; MOTA may be negative."""

    n_truths: int  # truth rows that are asked for
    n_unseen: int  # rows that no camera could show: neither asked for nor counted against a track
    position_error_median_m: float
    position_error_p95_m: float
    nees: float  # mean, of position and reported covariance; 2 if honest
    hota: float
    idf1: float
    mota: float
    precision: float
    recall: float
    id_switches: int


def score_tracks(
    tracks: Tracks, truth: Truth, site_map: SiteMap, options: ScoreOptions | None = None
) -> Scores:
    """Compare `tracks` with the truth of an observation, which says how many cameras showed each row.

    A track's last row before half a frame has passed stands for a frame; it is carried to the frame's time by
    its velocity. HOTA runs over its usual thresholds of similarity 1 - distance / `reach`, the others match
    within `reach`.
    """
    options = options or ScoreOptions()
    if not len(truth):
        raise InputError("score_tracks: the truth has no rows; simulate a longer time or more objects")
    tracks = _at_frames(tracks.take(np.isin(tracks.state, options.states)), np.unique(truth.time))
    asked = observable(truth, options.memory)
    tracks = tracks.take(_counted(pair_positions(*_sightings(truth, tracks, site_map), options.reach), asked))
    truth = truth.take(asked)
    pairs = pair_positions(*_sightings(truth, tracks, site_map), options.reach)
    errors, covs = _errors(pairs, truth, tracks)
    distance = np.linalg.norm(errors, axis=1)
    clear = score_clear(pairs, threshold=0.0)
    return Scores(
        n_truths=len(truth),
        n_unseen=int((~asked).sum()),
        position_error_median_m=float(np.median(distance)) if len(distance) else np.nan,
        position_error_p95_m=float(np.quantile(distance, 0.95)) if len(distance) else np.nan,
        nees=float(np.mean(nees(errors, covs))) if len(distance) else np.nan,
        hota=score_hota(pairs).mean("hota"),
        idf1=score_identity(pairs, threshold=0.0).figure("idf1"),
        mota=clear.mota,
        precision=clear.figure("precision"),
        recall=clear.figure("recall"),
        id_switches=int(clear.counts[:, 3].sum()),
    )


def observable(truth: Truth, memory: float) -> np.ndarray:
    """Which rows (N,) some camera shows, or showed at most `memory` s before."""
    order = np.lexsort((truth.time, truth.object))
    span = np.ptp(truth.time) + memory + 1.0 if len(truth) else 0.0
    rank = np.unique(truth.object, return_inverse=True)[1]
    clock = (truth.time - truth.time.min(initial=np.inf) + rank * span)[order]  # objects one after the other
    last = np.maximum.accumulate(np.where(truth.n_cameras[order] > 0, clock, -np.inf))
    asked = np.empty(len(truth), dtype=bool)
    asked[order] = clock - last <= memory + 1e-6
    return asked


def _at_frames(tracks: Tracks, times: np.ndarray) -> Tracks:
    """The last row of each track in each frame of the truth, carried to the frame's time."""
    edges = (times[1:] + times[:-1]) / 2
    frame = np.searchsorted(edges, tracks.time)
    half = np.diff(times).min(initial=np.inf) / 2
    rows = np.flatnonzero(np.abs(tracks.time - times[frame]) <= half)
    rows = rows[np.lexsort((tracks.time[rows], frame[rows], tracks.track[rows]))]
    same = (np.diff(tracks.track[rows]) == 0) & (np.diff(frame[rows]) == 0)
    rows = rows[np.append(~same, np.ones(min(len(rows), 1), dtype=bool))]
    ahead = times[frame[rows]] - tracks.time[rows]
    last = tracks.take(rows)
    return last.replace(time=times[frame[rows]], xy=last.xy + ahead[:, None] * last.velocity)


def _counted(pairs: Pairs, asked: np.ndarray) -> np.ndarray:
    """Which results (M,) count: all but those that follow a truth that no camera could show."""
    chosen = assign(pairs.truth, pairs.result, pairs.similarity + 1e-9)
    counted = np.ones(len(pairs.result_frame), dtype=bool)
    counted[pairs.result[chosen & ~asked[pairs.truth]]] = False
    return counted


def _sightings(truth: Truth, tracks: Tracks, site_map: SiteMap) -> tuple[Sightings, Sightings]:
    found = []
    for table, ids, xy in ((truth, truth.object, truth.xyz[:, :2]), (tracks, tracks.track, tracks.xy)):
        apart = np.zeros((len(table), 2))
        apart[:, 0] = STOREY * site_map.level_rows(table.level)
        found.append(Sightings(table.time, ids, xy + apart))
    return found[0], found[1]


def _errors(pairs: Pairs, truth: Truth, tracks: Tracks) -> tuple[np.ndarray, np.ndarray]:
    """Errors (P, 2) m of the pairs that lie nearest all in all, and the covariances (P, 2, 2) reported."""
    chosen = assign(pairs.truth, pairs.result, pairs.similarity + 1e-9)
    mine, theirs = pairs.result[chosen], pairs.truth[chosen]
    return tracks.xy[mine] - truth.xyz[theirs, :2], tracks.position_cov[mine]
