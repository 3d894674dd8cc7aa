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
from geoloc.synthetic.sensor import Observation
from geoloc.synthetic.truth import Glimpses, Truth

MATCH_M = 1.0  # a track farther than this from an object is not on it
CLEAR_VIEW = 0.5  # hidden share below which an object counts as visible to a camera


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


def score_synthetic(tracks: Tracks, seen: Observation) -> SyntheticScores:
    """Scores of the confirmed rows of `tracks`; coasting ones are predictions and left out.

    Objects count at times at which some camera sees more than half of them; a position on an object that
    nobody sees counts neither for nor against. Matches are one to one within MATCH_M in x, y and z.
    """
    confirmed = tracks.take(tracks.state == "confirmed")
    visible = visible_rows(seen)
    truth, result, tracks = _sightings(confirmed, seen.truth, visible, seen.site)
    pairs = pair_positions(truth, result, 2.0 * MATCH_M)
    near = np.where(pairs.similarity >= 0.5, pairs.similarity, 0.0)
    matched = np.flatnonzero(assign(pairs.truth, pairs.result, near) & (near > 0))
    if not len(matched):
        raise InputError("no track lies on an object that is seen: nothing can be scored")
    errors = (result.where[pairs.result[matched]] - truth.where[pairs.truth[matched]])[:, :2]
    cov = tracks.position_cov[pairs.result[matched]]
    distance, normalised = np.linalg.norm(errors, axis=1), nees(errors, cov)
    clear = score_clear(pairs)
    return SyntheticScores(
        error_median_m=float(np.median(distance)),
        error_p95_m=float(np.quantile(distance, 0.95)),
        sigma_median_m=float(np.median(worst_sigma(cov))),
        nees=float(normalised.mean()),
        coverage_95=coverage(normalised, 2, 0.95),
        hota=score_hota(pairs).mean("hota"),
        idf1=score_identity(pairs).idf1,
        mota=clear.mota,
        id_switches=clear.switches,
        precision=len(matched) / len(result),
        recall=len(matched) / len(truth),
        n_objects=len(np.unique(truth.id)),
        n_positions=len(result),
    )


def visible_rows(seen: Observation) -> np.ndarray:
    """Which rows of the truth (N,) some camera sees more than half of."""
    times = np.unique(seen.truth.time)

    def key(table: Truth | Glimpses) -> np.ndarray:
        return table.object * len(times) + np.searchsorted(times, table.time)

    glimpses = seen.glimpses
    return np.isin(key(seen.truth), key(glimpses.take(glimpses.hidden < CLEAR_VIEW)))


def _sightings(tracks: Tracks, truth: Truth, visible: np.ndarray, site: Site) -> tuple[Sightings, Sightings, Tracks]:
    """Visible truth, and the tracks at the truth's times less those that lie on an object that nobody sees."""
    times = np.unique(truth.time)
    nearest = np.searchsorted(0.5 * (times[1:] + times[:-1]), tracks.time)
    late = (tracks.time - times[nearest])[:, None]
    level = tracks.level
    xy = tracks.xy - late * tracks.velocity
    z = np.zeros(len(tracks))
    for name in np.unique(level):
        z[level == name] = site.site_map.level(str(name)).z_extended(xy[level == name])
    result = Sightings(nearest, tracks.track, np.column_stack([xy, z]))
    everything = Sightings(np.searchsorted(times, truth.time), truth.object, truth.xyz)
    pairs = pair_positions(everything, result, MATCH_M)
    on_visible = np.isin(np.arange(len(result)), pairs.result[visible[pairs.truth]])
    on_hidden = np.isin(np.arange(len(result)), pairs.result[~visible[pairs.truth]])
    counts = on_visible | ~on_hidden
    return _rows(everything, visible), _rows(result, counts), tracks.take(counts)


def _rows(sightings: Sightings, rows: np.ndarray) -> Sightings:
    return Sightings(sightings.frame[rows], sightings.id[rows], sightings.where[rows])
