"""Bands of ground sigma with round edges, as outlines on the map: what pictures and pages fill and label."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from geoloc.calibrate.ground_cells import LevelGround
from geoloc.calibrate.planner import NextMark

N_BANDS = 7
ROUND = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100])  # m
LOW = 0.05  # share of the ground that may lie within the sharpest band
MOST = 300  # cells along the longer side; larger levels are thinned


def band_edges(grounds: Sequence[LevelGround]) -> np.ndarray:
    """Round sigmas (N_BANDS - 1,) m at which the colour changes, the same for all levels."""
    known = np.concatenate([np.zeros(0), *(ground.sigma[np.isfinite(ground.sigma)] for ground in grounds)])
    low = float(np.quantile(known, LOW)) if len(known) else 0.02
    first = int(np.clip(np.searchsorted(ROUND, low), 0, len(ROUND) - N_BANDS + 1))
    return ROUND[first : first + N_BANDS - 1]


def length_text(metres: float) -> str:
    """A length as people say it: 5 cm, 1.2 m; a dash for what is no number."""
    if not np.isfinite(metres):
        return "–"
    if metres < 0.00995:
        return f"{1000 * metres:.0f} mm" if metres >= 0.00095 or metres == 0 else "< 1 mm"
    if metres < 0.995:
        return f"{100 * metres:.1f} cm".replace(".0 cm", " cm") if metres < 0.0995 else f"{100 * metres:.0f} cm"
    return f"{metres:.1f} m".replace(".0 m", " m") if metres < 99.5 else f"{metres:,.0f} m"


def gain_text(mark: NextMark) -> str:
    """What it does to the ground sigma."""
    return f"{length_text(mark.sigma_before)} → {length_text(mark.sigma_after)}"


def bands(ground: LevelGround, edges: np.ndarray) -> list[list[np.ndarray]]:
    """Rings (K, 2) m of each of the N_BANDS bands, holes the other way round; they reach beyond what is seen."""
    from contourpy import FillType, contour_generator

    x, y, values = _filled(ground)
    if not len(values):
        return [[] for _ in range(N_BANDS)]
    generator = contour_generator(x, y, values, fill_type=FillType.OuterOffset)
    limits = np.log(np.concatenate([[1e-9], edges, [1e9]]))
    found = []
    for low, high in pairwise(limits.tolist()):
        # each entry: the points of an outline with its holes, and where in them each ring ends
        parts = zip(*generator.filled(low, high), strict=True)
        found.append([np.asarray(outline)[a:b] for outline, cuts in parts for a, b in pairwise(np.asarray(cuts))])
    return found


def band_labels(ground: LevelGround, edges: np.ndarray, apart: float) -> list[tuple[np.ndarray, str]]:
    """Places (2,) m on the edges of bands, and what they are called; places lie `apart` m from each other."""
    x, y, values = _filled(ground)
    if not len(values):
        return []
    found: list[tuple[np.ndarray, str]] = []
    for edge in edges[::-1].tolist():
        for line in sorted(_lines(x, y, values, float(np.log(edge))), key=len, reverse=True)[:6]:
            spots = line[len(line) // 6 :: max(1, len(line) // 5)]
            for spot in spots[_is_seen(ground, spots)]:
                if all(np.linalg.norm(spot - other) > apart for other, _ in found):
                    found.append((spot, length_text(edge)))
                    break
    return found


def region(ground: LevelGround, inside: np.ndarray) -> list[np.ndarray]:
    """Rings (K, 2) m around the cells of a mask (ny, nx), corners cut at half a cell."""
    if not inside.any():
        return []
    padded = np.pad(inside, 1).astype(float)
    x, y = _axes(ground, padded.shape, 1)
    return _lines(x, y, padded, 0.5)


def _lines(x: np.ndarray, y: np.ndarray, values: np.ndarray, at: float) -> list[np.ndarray]:
    """Polylines (K, 2) m on which values (ny, nx) are `at`."""
    from contourpy import LineType, contour_generator

    return [np.asarray(line) for line in contour_generator(x, y, values, line_type=LineType.Separate).lines(at)]


def _filled(ground: LevelGround) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axes (m) and logarithm of the sigma; unknown cells take the nearest known value, to be cut away later."""
    from scipy.ndimage import distance_transform_edt

    known = np.isfinite(ground.sigma) & (ground.sigma > 0)
    if not known.any():
        return np.zeros(0), np.zeros(0), np.zeros((0, 0))
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    values = np.pad(np.log(ground.sigma[tuple(nearest)]), 1, mode="edge")
    x, y = _axes(ground, values.shape, 1)
    step = max(1, -(-max(values.shape) // MOST))
    return x[::step], y[::step], values[::step, ::step]


def _axes(ground: LevelGround, shape: tuple[int, ...], pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Middles of cells along x and y (m), with `pad` cells more on each side."""
    x, y = (ground.corner[axis] + ground.cell * (np.arange(shape[1 - axis]) - pad + 0.5) for axis in (0, 1))
    return x, y


def _is_seen(ground: LevelGround, xy: np.ndarray) -> np.ndarray:
    column, row = np.floor((xy - ground.corner) / ground.cell).astype(int).T
    within = (row >= 0) & (column >= 0) & (row < ground.shape[0]) & (column < ground.shape[1])
    within[within] = np.isfinite(ground.sigma[row[within], column[within]])
    return np.asarray(within)
