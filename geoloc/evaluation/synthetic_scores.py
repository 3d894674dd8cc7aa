"""Tracks of a synthetic recording against its truth."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.geometry.gaussian import worst_sigma
from geoloc.metrics.assignment import assign
from geoloc.metrics.consistency import coverage, nees
from geoloc.metrics.hota import score_hota
from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.metrics.tracking import score_clear, score_identity
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks
from geoloc.synthetic.truth import Truth

MATCH_M = 1.0  # a track farther than this from an object is not on it


@dataclass(frozen=True)
class SyntheticScores:
    """How good the confirmed positions of tracks are; shares are 0 to 1."""

    error_median_m: float
    error_p95_m: float
    sigma_median_m: float  # largest direction, as reported
    nees: float  # mean; 2 if the covariances are honest
    coverage_95: float  # share of the errors inside the 95 % ellipse
    hota: float
    idf1: float
    mota: float
    id_switches: int
    precision: float
    recall: float
    n_objects: int
    n_positions: int


def score_synthetic(tracks: Tracks, truth: Truth, site: Site) -> SyntheticScores:
    """Scores of the confirmed rows of `tracks`; coasting ones are predictions and left out.

    `truth` is an observation's: objects count at times at which some camera shows them well enough
    (`n_cameras`); a position on an object that no camera shows counts neither for nor against. A track's last
    row around each time of the truth is carried there by its velocity. Matches are one to one within MATCH_M in
    x, y and z.
    """
    if not len(truth):
        raise InputError("the truth has no rows: simulate a longer time or more objects")
    tracks = _at_times(tracks.take(tracks.state == "confirmed"), np.unique(truth.time))
    if not len(tracks):
        raise InputError("no track is confirmed at a time of the truth: nothing can be scored")
    result = Sightings(tracks.time, tracks.track, _places(tracks, site))
    everything = Sightings(truth.time, truth.object, truth.xyz)
    shown = truth.n_cameras > 0
    counts = _counted(everything, result, shown)
    truth_seen, result, tracks = _rows(everything, shown), _rows(result, counts), tracks.take(counts)
    pairs = pair_positions(truth_seen, result, 2.0 * MATCH_M)
    near = np.where(pairs.similarity >= 0.5, pairs.similarity, 0.0)
    matched = np.flatnonzero(assign(pairs.truth, pairs.result, near) & (near > 0))
    if not len(matched):
        raise InputError("no track lies on an object that is seen: nothing can be scored")
    errors = (result.where[pairs.result[matched]] - truth_seen.where[pairs.truth[matched]])[:, :2]
    cov = tracks.position_cov[pairs.result[matched]]
    distance, normalised = np.linalg.norm(errors, axis=1), nees(errors, cov)
    clear = score_clear(pairs)
    return SyntheticScores(
        error_median_m=float(np.median(distance)),
        error_p95_m=float(np.quantile(distance, 0.95)),
        sigma_median_m=float(np.median(worst_sigma(cov))),
        nees=float(normalised.mean()),
        coverage_95=coverage(normalised, 2, 0.95),
        hota=score_hota(pairs).figure("hota"),
        idf1=score_identity(pairs).idf1,
        mota=clear.mota,
        id_switches=clear.switches,
        precision=len(matched) / len(result),
        recall=len(matched) / len(truth_seen),
        n_objects=len(np.unique(truth_seen.id)),
        n_positions=len(result),
    )


def _at_times(tracks: Tracks, times: np.ndarray) -> Tracks:
    """The last row of each track around each of `times`, carried there; rows between them are left out."""
    frame = np.searchsorted(0.5 * (times[1:] + times[:-1]), tracks.time)
    half = 0.5 * np.diff(times).min(initial=np.inf)
    rows = np.flatnonzero(np.abs(tracks.time - times[frame]) <= half)
    rows = rows[np.lexsort((tracks.time[rows], frame[rows], tracks.track[rows]))]
    same = (np.diff(tracks.track[rows]) == 0) & (np.diff(frame[rows]) == 0)
    rows = rows[np.append(~same, np.ones(min(len(rows), 1), dtype=bool))]
    tracks, time = tracks.take(rows), times[frame[rows]]
    return tracks.replace(time=time, xy=tracks.xy + (time - tracks.time)[:, None] * tracks.velocity)


def _places(tracks: Tracks, site: Site) -> np.ndarray:
    """Positions (N, 3) m on the surfaces of their levels, which keep storeys apart."""
    z = np.zeros(len(tracks))
    for name in np.unique(tracks.level):
        rows = tracks.level == name
        z[rows] = site.site_map.level(str(name)).z_extended(tracks.xy[rows])
    return np.column_stack([tracks.xy, z])


def _counted(truth: Sightings, result: Sightings, shown: np.ndarray) -> np.ndarray:
    """Which results (M,) count: all but those that follow a truth that no camera shows."""
    counted = np.ones(len(result), dtype=bool)
    pairs = pair_positions(truth, result, MATCH_M)
    chosen = assign(pairs.truth, pairs.result, pairs.similarity)
    counted[pairs.result[chosen & ~shown[pairs.truth]]] = False
    return counted


def _rows(sightings: Sightings, rows: np.ndarray) -> Sightings:
    return Sightings(sightings.frame[rows], sightings.id[rows], sightings.where[rows])
