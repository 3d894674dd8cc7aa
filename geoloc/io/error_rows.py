"""Errors with their stated covariances, and probabilities with what came true, as CSV rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import first_line
from geoloc.geometry.gaussian import is_covariance
from geoloc.io.cells import header_words, table_cells
from geoloc.io.rows import ReadReport

AXES = "xyz"
KINDS = {"error": "nees", "innovation": "nis"}  # what columns are called, and the figure that they give


@dataclass(frozen=True, eq=False)
class ErrorRows:
    """N errors (N, d) m of two or three dimensions, covariances (N, d, d), times (N,) s; `figure` is nees or nis."""

    figure: str
    time: np.ndarray
    error: np.ndarray
    cov: np.ndarray


@dataclass(frozen=True, eq=False)
class ForecastRows:
    """N probabilities (N,) at times (N,) s, and whether each came true (N,) bool."""

    time: np.ndarray
    probability: np.ndarray
    event: np.ndarray


def holds_errors(path: Path | str) -> bool:
    """Whether a file's header names errors or innovations."""
    return any(f"{kind}_x" in _header(path) for kind in KINDS)


def holds_forecasts(path: Path | str) -> bool:
    """Whether a file's header names probabilities and events."""
    return {"probability", "event"} <= set(_header(path))


def read_errors(path: Path | str) -> tuple[ErrorRows, ReadReport]:
    """Columns `time`, `error_x`, `error_y` (or `innovation_x`, ...; m) and `cov_x_x`, `cov_x_y`, `cov_y_y` (m²).

    `_z` makes it three dimensions. Rows that are not finite or state no covariance are left out and counted.
    """
    cells = table_cells(path)
    kind = next((kind for kind in KINDS if f"{kind}_x" in cells.header), "")
    if not kind:
        raise InputError(f"{path}: no column error_x or innovation_x; its columns are {', '.join(cells.header)}")
    axes = AXES if f"{kind}_z" in cells.header else AXES[:2]
    places = [(i, j) for i in range(len(axes)) for j in range(i, len(axes))]
    names = [f"cov_{axes[i]}_{axes[j]}" for i, j in places]
    cells.require("time", f"{kind}_y", *names)
    error = np.stack([cells.numbers(f"{kind}_{axis}") for axis in axes], axis=1)
    cov, time = cells.matrix(names, places, len(axes)), cells.numbers("time")
    keep = cells.usable(
        ("time or error is NaN or infinite", ~(np.isfinite(time) & np.isfinite(error).all(axis=1))),
        ("its covariance is none", ~is_covariance(cov)),
    )
    rows = ErrorRows(KINDS[kind], time[keep], error[keep], cov[keep])
    return rows, cells.report(f"{kind}s", int(keep.sum()))


def read_forecasts(path: Path | str) -> tuple[ForecastRows, ReadReport]:
    """Columns `time` (s), `probability` (0 to 1) and `event` (0 or 1)."""
    cells = table_cells(path)
    cells.require("time", "probability", "event")
    time, probability, event = (cells.numbers(name) for name in ("time", "probability", "event"))
    keep = cells.usable(
        ("no readable time", ~np.isfinite(time)),
        ("probability is outside [0, 1]", ~((probability >= 0) & (probability <= 1))),
        ("event is neither 0 nor 1", ~np.isin(event, (0, 1))),
    )
    return ForecastRows(time[keep], probability[keep], event[keep] == 1), cells.report("forecasts", int(keep.sum()))


def _header(path: Path | str) -> list[str]:
    return header_words(first_line(path))
