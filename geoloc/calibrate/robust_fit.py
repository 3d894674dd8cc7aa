"""A fit in which wrong measurements hardly pull: at a wide scale first, then ever tighter, from any rough start."""

from dataclasses import replace

import numpy as np
from scipy.stats import chi2

from geoloc.calibrate.kept import Kept, everything, moved, pruned, sizes
from geoloc.calibrate.tie_points import start_points
from geoloc.estimators.bundle import adjust
from geoloc.estimators.network import Layout, Network
from geoloc.estimators.network_rows import geman_mcclure, line_residuals, linearise, squares, start_of

FIRST_SCALE = 3.0  # sigmas; the fit starts no tighter than this
LAST_SCALE = 4.0
TIGHTER = 2.0
AGAIN_SCALE = 60.0
SETTLED_SHARE = 0.95  # where this much agrees, no camera is lost
STAGE_STEPS = 12
FARTHEST = 1e6  # sigmas; a point behind its camera counts as this far off
USUAL = 30.0  # m; where a tie point is put whose rays do not meet


def robust_fit(network: Network, probability: float) -> tuple[Network, Kept]:
    """A fit in which wrong measurements hardly pull, and what it agrees with."""
    whole_set = everything(network)
    size = sizes(network)
    scale = max(FIRST_SCALE, 2.0 * _median(size))
    # poses first: a free lens bends to wrong marks while they still pull
    posed = replace(network, freed=((),) * len(network.freed))
    network, size, scale = _tighten(posed, network, size, scale, scale / 9.0)
    network, size, scale = _tighten(network, network, size, scale, LAST_SCALE)
    # once more from farther off: a camera that was lost among wrong tie points finds the right ones now
    if (size < LAST_SCALE).mean() < SETTLED_SHARE:
        again, size_again, _ = _tighten(network, network, size, AGAIN_SCALE, LAST_SCALE)
        if (size_again < LAST_SCALE).sum() > (size < LAST_SCALE).sum():
            network, size = again, size_again
    gate = np.sqrt(chi2.isf(probability, 2)) * max(1.0, _median(size) / np.sqrt(chi2.ppf(0.5, 2)))
    n_spans = len(network.spans.metres)
    n_tall = len(network.heights.sigma)
    layout = Layout(network)
    linear = linearise(layout, start_of(network), squares)
    agrees = np.abs(linear.row_residual[: n_spans + n_tall]) < gate
    lines = whole_set.lines
    if len(network.lines):
        off = np.abs(line_residuals(layout, start_of(network), geman_mcclure(LAST_SCALE)).residual[0])
        lines = np.bincount(network.lines.row_statement, off >= gate, len(lines)) == 0
    kept = Kept(size < gate, whole_set.surveys, agrees[:n_spans], agrees[n_spans:], lines)
    return _doubt_surveys(network, kept, gate)


def _doubt_surveys(network: Network, kept: Kept, gate: float) -> tuple[Network, Kept]:
    """Drop surveys whose points most marks put elsewhere, and all in one place: there the marks are right."""
    sights, n_points = network.sights, len(network.points)
    places = start_points(network.cameras, sights.camera, sights.point, sights.pixel, n_points, USUAL)
    agree = sizes(replace(network, points=places)) < gate
    here, there = (np.bincount(sights.point[rows], minlength=n_points) for rows in (kept.sights, agree))
    moved_points = np.zeros(n_points, dtype=bool)
    moved_points[network.surveyed.point] = ((there >= 2) & (there > here))[network.surveyed.point]
    points = np.where(moved_points[:, None], places, network.points)
    right = np.where(moved_points[sights.point], agree, kept.sights)
    surveys = kept.surveys & ~moved_points[network.surveyed.point]
    return replace(network, points=points), replace(kept, sights=right, surveys=surveys)


def _tighten(
    network: Network, whole: Network, size: np.ndarray, scale: float, last: float
) -> tuple[Network, np.ndarray, float]:
    """Robust fits at ever smaller scales, down to `last` or to what the residuals allow; with `whole`'s unknowns."""
    whole_set = everything(network)
    loss = geman_mcclure(scale)
    while True:
        network, size = _replaced(network, size, scale)
        kept = replace(whole_set, sights=np.isfinite(size))
        network = moved(network, adjust(pruned(network, kept), loss, STAGE_STEPS))
        size = sizes(network)
        if scale <= last:
            break
        tighter = max(last, min(scale / TIGHTER, 3.0 * _median(size)))
        scale, loss = tighter, geman_mcclure(tighter)
    network, size = _replaced(network, size, scale)
    return replace(network, freed=whole.freed), size, scale


def _replaced(network: Network, size: np.ndarray, scale: float) -> tuple[Network, np.ndarray]:
    """The network with each tie point put where its rays meet now, where more of its sights agree there."""
    sights, n_points = network.sights, len(network.points)
    places = start_points(network.cameras, sights.camera, sights.point, sights.pixel, n_points, USUAL)
    places[network.surveyed.point] = network.points[network.surveyed.point]
    there = sizes(replace(network, points=places))
    cost = [np.log1p(np.minimum(found, FARTHEST) ** 2 / scale**2) for found in (size, there)]
    here, new = (np.bincount(sights.point, own, minlength=n_points) for own in cost)
    points = np.where((new < here)[:, None], places, network.points)
    network = replace(network, points=points)
    return network, sizes(network)


def _median(size: np.ndarray) -> float:
    finite = size[np.isfinite(size)]
    return float(np.median(finite)) if len(finite) else 0.0
