"""Where on the map errors are large: errors binned over a grid of the ground."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError


@dataclass(frozen=True, eq=False)
class ErrorMap:
    """Errors of each of the C cells of a grid that hold any, from south-west to north-east.

    `cell` (C, 2) int are column and row from the map's origin, `low` (C, 2) m is a cell's south-west corner, `size`
    its side (m); `count` (C,) errors, their `median` (C,) and the 90 % quantile `p90` (C,), as the errors' unit.
    `cell_of` (N,) is the number of each error's cell, for resampling.
    """

    size: float
    cell: np.ndarray
    low: np.ndarray
    count: np.ndarray
    median: np.ndarray
    p90: np.ndarray
    cell_of: np.ndarray

    def __len__(self) -> int:
        return len(self.count)


def error_map(xy: np.ndarray, error: np.ndarray, size: float = 5.0) -> ErrorMap:
    """Errors (N,) at true positions `xy` (N, 2) m of one level, over square cells of side `size` (m).

    Cells lie at whole multiples of the side from (0, 0), so that two runs share their cells. Errors are finite:
    give those of what was answered or matched.
    """
    xy, error = np.asarray(xy, float), np.asarray(error, float)
    if xy.ndim != 2 or xy.shape != (len(error), 2) or error.ndim != 1:
        raise InputError(f"error map: positions {xy.shape} and errors {error.shape}; give (N, 2) and (N,)")
    if not size > 0:
        raise InputError(f"error map: cells of {size} m; their side must be greater than 0")
    if not len(error):
        raise InputError("error map: no errors were given; nothing was matched with the truth")
    bad = np.flatnonzero(~(np.isfinite(xy).all(axis=1) & np.isfinite(error)))
    if len(bad):
        raise InputError(
            f"error map: row {bad[0]} is at {xy[bad[0]]} with error {error[bad[0]]}; leave the {len(bad)} such rows out"
        )
    cell, cell_of = np.unique(np.floor(xy / size).astype(int), axis=0, return_inverse=True)
    cell_of = cell_of.reshape(-1)
    parts = np.split(error[np.argsort(cell_of, kind="stable")], np.cumsum(np.bincount(cell_of))[:-1])
    median, p90 = np.array([np.percentile(part, [50.0, 90.0]) for part in parts]).T
    return ErrorMap(float(size), cell, cell * float(size), np.bincount(cell_of), median, p90, cell_of)
