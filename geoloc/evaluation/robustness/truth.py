"""What truly was where, whatever the hazard, and the scores of tracks against it."""

from dataclasses import dataclass, field

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.metrics.assignment import assign
from geoloc.metrics.consistency import coverage, nees
from geoloc.metrics.detection import score_pairs
from geoloc.metrics.hota import score_hota
from geoloc.metrics.matching import Pairs, Sightings, pair_positions
from geoloc.metrics.tracking import score_identity
from geoloc.scene.tables import Tracks

HOLD_S = 2.0  # a track counts for so long after it was last seen, at the place predicted, as a map shows it
EVERYWHERE = shapely.box(-1e9, -1e9, 1e9, 1e9)


@dataclass(frozen=True, eq=False)
class KnownTruth:
    """Truth of a case. `sightings.frame` are times (s), `where` is (N, 3) m.

    `shown` (N,) bool: some camera showed it in the recording as it was; a result on what none shows counts
    neither for nor against. Without `has_ids` only positions are scored. Matches are within `match_m` (m).
    """

    sightings: Sightings
    shown: np.ndarray
    has_ids: bool
    match_m: float
    sigma_m: float = 0.0  # standard deviation of the true positions themselves, per axis
    area: shapely.Polygon = field(default_factory=lambda: EVERYWHERE)  # results elsewhere do not count

    def __post_init__(self) -> None:
        if not len(self.sightings) or not np.any(self.shown):
            raise InputError("the truth holds nothing that a camera shows: nothing can be scored")
        if self.sightings.where.shape[1] != 3:
            raise InputError(f"true positions have {self.sightings.where.shape[1]} coordinates; give x, y and z (m)")

    @property
    def times(self) -> np.ndarray:
        """Times (T,) s of the truth, ascending."""
        return np.unique(self.sightings.frame)

    @property
    def accuracies(self) -> tuple[str, ...]:
        """Names of the scores that are 1 at best; the first is the main one."""
        return ("hota", "idf1", "moda") if self.has_ids else ("moda",)

    def protocol(self) -> str:
        """How scores come about, in words."""
        what = "HOTA, IDF1, MODA" if self.has_ids else "MODA"
        return (
            f"ground plane, {what}, matches within {self.match_m:g} m at the {len(self.times)} times of the truth; "
            f"confirmed tracks, shown for {HOLD_S:g} s after their last sighting"
        )


def score_tracks(truth: KnownTruth, tracks: Tracks) -> dict[str, float]:
    """Scores of what a map shows: `truth.accuracies` (1 at best), and `nees` and `coverage_95` where defined.

    Nothing shown scores 0. NEES and coverage are of the matched positions with a covariance, cov + bias_cov and
    the truth's own noise; 2 and 0.95 are expected. They are left out where there is no such position.
    """
    tracks = at_times(shown_by_map(tracks), truth.times)
    tracks = tracks.take(shapely.intersects_xy(truth.area, tracks.xy[:, 0], tracks.xy[:, 1]))
    result = Sightings(tracks.time, tracks.track, np.column_stack([tracks.xy, tracks.z]))
    counts = _counted(truth, result)
    tracks, result = tracks.take(counts), _rows(result, counts)
    if not len(tracks):
        return dict.fromkeys(truth.accuracies, 0.0)
    seen = _rows(truth.sightings, truth.shown)
    pairs = pair_positions(seen, result, 2.0 * truth.match_m)
    positions = score_pairs(pairs, 0.5)
    scores = {"moda": positions.moda}
    if truth.has_ids:
        scores = {"hota": score_hota(pairs).figure("hota"), "idf1": score_identity(pairs).idf1} | scores
    error = (result.where[positions.result] - seen.where[positions.truth])[:, :2]
    return scores | _honesty(error, tracks.position_cov[positions.result] + truth.sigma_m**2 * np.eye(2))


def shown_by_map(tracks: Tracks) -> Tracks:
    """The rows that a live map shows: confirmed ones, and coasting ones for HOLD_S after the last of those."""
    order = np.lexsort((tracks.time, tracks.track))
    confirmed = tracks.state[order] == "confirmed"
    last = np.maximum.accumulate(np.where(confirmed, np.arange(len(order)), -1))
    known = (last >= 0) & (tracks.track[order] == tracks.track[order][last])
    fresh = tracks.time[order] - tracks.time[order][last] <= HOLD_S
    return tracks.take(order[known & fresh & (confirmed | (tracks.state[order] == "coasting"))])


def at_times(tracks: Tracks, times: np.ndarray) -> Tracks:
    """The last row of each track around each of `times` (T,) s, carried there by its velocity; no other rows."""
    frame = np.searchsorted(0.5 * (times[1:] + times[:-1]), tracks.time)
    half = 0.5 * np.diff(times).min(initial=np.inf)
    rows = np.flatnonzero(np.abs(tracks.time - times[frame]) <= half)
    rows = rows[np.lexsort((np.arange(len(rows)), tracks.time[rows], frame[rows], tracks.track[rows]))]
    ends = np.diff(tracks.track[rows], append=-1) != 0
    ends |= np.diff(frame[rows], append=-1) != 0
    tracks, time = tracks.take(rows[ends]), times[frame[rows[ends]]]
    return tracks.replace(time=time, xy=tracks.xy + (time - tracks.time)[:, None] * tracks.velocity)


def _counted(truth: KnownTruth, result: Sightings) -> np.ndarray:
    """Which results (M,) count: all but those that follow a truth that no camera shows."""
    counted = np.ones(len(result), dtype=bool)
    if truth.shown.all() or not len(result):
        return counted
    pairs: Pairs = pair_positions(truth.sightings, result, truth.match_m)
    chosen = assign(pairs.truth, pairs.result, pairs.similarity)
    counted[pairs.result[chosen & ~truth.shown[pairs.truth]]] = False
    return counted


def _rows(sightings: Sightings, rows: np.ndarray) -> Sightings:
    return Sightings(sightings.frame[rows], sightings.id[rows], sightings.where[rows])


def _honesty(error: np.ndarray, cov: np.ndarray) -> dict[str, float]:
    stated = np.isfinite(cov).all(axis=(1, 2))
    if not stated.any():
        return {}
    values = nees(error[stated], cov[stated])
    return {"nees": float(values.mean()), "coverage_95": coverage(values, 2, 0.95)}
