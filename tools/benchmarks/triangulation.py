"""`triangulate` beside OpenCV, pycolmap and aniposelib: the contestants of `tools/bench_triangulation.py`."""

import math

from bench_triangulation import measure

from benchmarks.row import Row

N_POINTS = 100_000
REPEAT = 5
INSTALL = {"aniposelib": "aniposelib numba", "aniposelib robust": "aniposelib numba"}
ASKED = {"geoloc, cov + bias_cov of pose and lens": "<= 1 x", "geoloc robust, no outliers": "<= 3 x plain"}


def bench_triangulation() -> list[Row]:
    """Two and seven views; ratios are to pycolmap, whose points come without covariance."""
    rows = []
    for n_views in (2, 7):
        found = list(measure(N_POINTS, n_views, REPEAT))
        reference = next((row.ms for row in found if row.name == "pycolmap"), math.nan)
        name = f"{N_POINTS:,} points from {n_views} views"
        for row in found:
            absent = math.isnan(row.ms)
            ratio = None if absent or math.isnan(reference) else row.ms / reference
            note = f"not installed: pip install {INSTALL.get(row.name, row.name)}" if absent else row.note
            rows.append(Row(name, row.name, None if absent else row.ms, "ms", ratio, ASKED.get(row.name, ""), note))
    return rows
