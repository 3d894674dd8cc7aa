"""What time and place say of two sightings being one object: log-odds of pairs, added to what their looks say.

Nobody is in two places, or gets from one to the other faster than the ways of the site allow, and who goes from one
camera to another takes about as long as others did. Each is a function of arrays over pairs (K,), an earlier sighting
and a later one; 0: nothing is said. (Exits and entrances are the tracker's, `pipeline.recognition`: a gallery keeps an
object's best views, of which the last need not be the one by which it left.)
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import log_ndtr

from geoloc.geometry.gaussian import require_covariances
from geoloc.options import check_range
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.transits import Transit, transit_of_pairs
from geoloc.scene.learned import TransitTime
from geoloc.scene.ways import Ways, way_lengths

Transits = Mapping[tuple[str, str, str], Transit]  # of a site, from a camera to another
IMPOSSIBLE = -50.0  # log-odds: clocks, boxes and maps may be wrong, never so often that looks could not outweigh it
GRID = 1.08  # times its length a way over a grid may have, see `scene.ways`
REACH_M = 25.0  # m, and no farther: a way that is longer than possible by this is impossible where places are sharp
FEWEST = 8  # objects that went from one camera to another, from which on it is known how long that takes
SAME_PLACE = 1e-9  # m; nearer than that there is no direction


@dataclass(frozen=True)
class TravelOptions:
    """How fast objects move."""

    top_speed: float = 20.0  # m/s, that nobody exceeds

    def __post_init__(self) -> None:
        check_range(self, top_speed=(1e-3, 1e4))


def place_odds(
    gap_s: np.ndarray,
    apart: np.ndarray,
    cov: np.ndarray,
    options: TravelOptions | None = None,
    way_m: np.ndarray | None = None,
) -> np.ndarray:
    """Log-odds (K,) <= 0 that one object was in two places `apart` (K, 2) m within `gap_s` (K,) s, either way.

    `cov` (K, 2, 2) m² is of the step between them, both places' together. It is how probable the noise makes it that
    they were no farther apart than top speed allows, straight or by the way of `way_m` (K,) m, where it is longer.
    NaN places say nothing.
    """
    options = options or TravelOptions()
    gap_s, apart, cov = np.abs(np.asarray(gap_s, float)), np.asarray(apart, float), np.asarray(cov, float)
    out = np.zeros(len(gap_s))
    known = np.flatnonzero(np.isfinite(gap_s) & np.isfinite(apart).all(axis=1) & np.isfinite(cov).all(axis=(1, 2)))
    if not len(known):
        return out
    require_covariances(cov[known], "places of sightings")
    distance = np.linalg.norm(apart[known], axis=1)
    there = distance[:, None] > SAME_PLACE
    along = np.where(there, apart[known] / np.maximum(distance, SAME_PLACE)[:, None], [1.0, 0.0])
    sigma = np.sqrt(np.einsum("ki,kij,kj->k", along, cov[known], along))
    if way_m is not None:
        distance = np.fmax(distance, np.asarray(way_m, float)[known])
    too_far = np.maximum(distance - options.top_speed * gap_s[known], 0.0)
    # twice: of a step that could just be made the odds are 0
    out[known] = np.maximum(log_ndtr(-too_far / sigma) + np.log(2.0), IMPOSSIBLE)
    return out


def lane_lengths(
    ways: Ways,
    start: tuple[np.ndarray, np.ndarray],
    goal: tuple[np.ndarray, np.ndarray],
    gap_s: np.ndarray,
    options: TravelOptions | None = None,
) -> np.ndarray:
    """Lengths (K,) m that no way from `start` to `goal` is shorter than, round walls and over ramps.

    Each is the index of a level (K,), -1 for none, and a place xy (K, 2) m. No way is looked for that is `REACH_M`
    longer than top speed allows in `gap_s` (K,) s. NaN where a place is not on the map. Cars turn, park and go
    against the arrows where nobody comes: what hinders them so is not counted.
    """
    options = options or TravelOptions()
    a, b = ways.rows(*start), ways.rows(*goal)
    most = GRID * (options.top_speed * np.abs(np.nan_to_num(gap_s)) + REACH_M)
    length = np.minimum(way_lengths(ways, a, b, most, np.zeros(len(a), bool)), most)
    return np.where((a < 0) | (b < 0), np.nan, np.maximum(length / GRID - 2.0 * ways.cell, 0.0))


def transit_odds(
    transits: Transits, site: np.ndarray, camera_a: np.ndarray, camera_b: np.ndarray, gap_s: np.ndarray
) -> np.ndarray:
    """Log-odds (K,) of the times `gap_s` (K,) s from camera a (K,) to camera b (K,) of a site, as others took.

    Who did not go straight on comes at any time. A pair of cameras of which nothing was learned says nothing.
    """
    site, camera_a, camera_b = (np.asarray(each) for each in (site, camera_a, camera_b))
    gap_s, out = np.asarray(gap_s, float), np.zeros(len(camera_a))
    for (of_site, first, then), transit in transits.items():
        rows = (site == of_site) & (camera_a == first) & (camera_b == then) & np.isfinite(gap_s)
        later = np.log1p(-transit.share) - np.log(transit.lasted_s) - np.log(transit.rate)
        out[rows] = np.maximum(np.logaddexp(transit.odds(gap_s[rows]), later), IMPOSSIBLE)
    return out


def learn_transits(views: Looks) -> Transits:
    """Times from each camera to the next of a site, by the objects that were known again there.

    The time is from an object's last view in the one to its first in the other; of fewer than `FEWEST` nothing is
    learned.
    """
    known = views.take((views.object >= 0) & (views.camera != "") & np.isfinite(views.time))
    rows = zip(known.site.tolist(), known.object.tolist(), known.camera.tolist(), known.time.tolist(), strict=True)
    visits: dict[tuple[str, int], dict[str, tuple[float, float]]] = {}
    for site, body, camera, time in rows:
        cameras = visits.setdefault((site, body), {})
        first, last = cameras.get(camera, (time, time))
        cameras[camera] = min(first, time), max(last, time)
    seen = Counter((site, camera) for (site, _), cameras in visits.items() for camera in cameras)
    gaps: dict[tuple[str, str, str], list[float]] = {}
    for (site, _), cameras in visits.items():
        for (a, left), (b, came) in pairwise(sorted(cameras.items(), key=lambda visit: visit[1])):
            if came[0] > left[1]:  # or else both saw it at once, and nothing was gone
                gaps.setdefault((site, a, b), []).append(came[0] - left[1])
    lasted = {name: float(np.ptp(known.time[known.site == name])) for name in np.unique(known.site).tolist()}
    return {
        (site, a, b): transit_of_pairs(np.array(took), seen[site, a], seen[site, b], lasted[site])
        for (site, a, b), took in gaps.items()
        if len(took) >= FEWEST
    }


def told_transits(views: Looks, site: str, told: Sequence[TransitTime]) -> Transits:
    """Times from camera to camera as a site's map tells them, for queries among views of a gallery.

    The map's times are out of sight. A view is taken in the midst of a stay in sight, so half a stay in either camera
    comes on top, as long as the views of known objects show stays to be; without any that do nothing is told.
    """
    known = views.take((views.site == site) & (views.object >= 0) & (views.camera != "") & np.isfinite(views.time))
    stays = _stays(known)
    if not stays:
        return {}
    usual, lasted = float(np.median(list(stays.values()))), float(np.ptp(known.time))
    by_pair: dict[tuple[str, str], list[TransitTime]] = {}
    for transit in told:
        if transit.n > 0:
            by_pair.setdefault((transit.start, transit.end), []).append(transit)
    seen = {name: len(np.unique(known.object[known.camera == name])) for name in np.unique(known.camera).tolist()}
    found: dict[tuple[str, str, str], Transit] = {}
    for (a, b), ways in by_pair.items():
        half = np.array([stays.get(name, usual) for name in (a, b)]) / 2.0
        mean, sigma, n = np.array([(way.seconds, way.seconds_sigma, way.n) for way in ways]).T
        sigma = np.sqrt(sigma**2 + (half**2).sum() / 3.0)  # a moment of a stay is anywhere in it
        left, came = seen.get(a, 0), seen.get(b, 0)
        both = len(np.intersect1d(known.object[known.camera == a], known.object[known.camera == b]))
        share = (both + 1.0) / (left + 2.0)  # rule of succession (Laplace)
        rate = max(came, 0.5) / max(lasted, 1.0)
        part = n / n.sum()
        found[site, a, b] = Transit(mean + half.sum(), sigma, part, share, rate, rate, max(lasted, 1.0), float(n.sum()))
    return found


def _stays(known: Looks) -> dict[str, float]:
    """How long (s) objects stay in the sight of each camera, median, of those with two views and more by it."""
    out: dict[str, float] = {}
    for camera in np.unique(known.camera).tolist():
        mine = known.take(known.camera == camera)
        number, which, count = np.unique(mine.object, return_inverse=True, return_counts=True)
        first, last = np.full(len(number), np.inf), np.full(len(number), -np.inf)
        np.minimum.at(first, which, mine.time)
        np.maximum.at(last, which, mine.time)
        several = count > 1
        if several.any():  # of moments drawn evenly from a stay the outermost span (k - 1) / (k + 1) of it
            stay = (last - first)[several] * (count[several] + 1) / (count[several] - 1)
            out[camera] = float(np.median(stay))
    return out
