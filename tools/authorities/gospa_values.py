"""Writes fixtures/authorities/gospa.json: what Stone Soup and the authors of T-GOSPA say of the crowd of tracking.json.

Needs an environment of its own and the authors' program, which is no package:
    python -m venv authorities && . authorities/bin/activate
    pip install stonesoup==1.9.1
    git clone https://github.com/Agarciafernandez/T-GOSPA-metric-python
    git -C T-GOSPA-metric-python checkout 62b9f072bcd8e9cb06ece5ca7cff0bc8c78a32b6
    PYTHONPATH=T-GOSPA-metric-python python tools/authorities/gospa_values.py
"""

import json
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from stonesoup.metricgenerator.ospametric import GOSPAMetric, OSPAMetric
from stonesoup.types.state import State
from TGOSPAMetric import LP_metric_Cluster, locCostComp_V2
from utils import Trajectory

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "authorities"
COMMAND = "PYTHONPATH=T-GOSPA-metric-python python tools/authorities/gospa_values.py"
AUTHORS = "Agarciafernandez/T-GOSPA-metric-python 62b9f072bcd8e9cb06ece5ca7cff0bc8c78a32b6"
SINGLE = ((2.0, 1.0), (2.0, 2.0), (0.6, 1.0), (10.0, 2.0))  # c (m), p
# c (m), p, gamma (m), number of coordinates: the authors measure in the p-norm, ours is Euclidean for every p
TRACKS = ((2.0, 2.0, 1.0, 2), (2.0, 2.0, 4.0, 2), (0.6, 2.0, 0.5, 2), (1.0, 1.0, 0.5, 1), (3.0, 1.0, 6.0, 1))

Values = dict[str, Any]


def states(rows: np.ndarray, frame: int) -> list[State]:
    """Rows (frame, id, x, y) of one frame as Stone Soup has them."""
    at = datetime(2024, 1, 1) + timedelta(seconds=int(frame))
    return [State(row[2:, None], timestamp=at) for row in rows[rows[:, 0] == frame]]


def stone_soup_values(truth: np.ndarray, result: np.ndarray, c: float, p: float) -> Values:
    """GOSPA, its parts and OSPA of each frame in which anything is."""
    gospa, ospa = GOSPAMetric(c=c, p=p), OSPAMetric(c=c, p=p)
    values: Values = {"c": c, "p": p, "gospa": [], "localization": [], "missed": [], "false": [], "ospa": []}
    for frame in np.unique(np.concatenate([truth[:, 0], result[:, 0]])).astype(int):
        t, r = states(truth, frame), states(result, frame)
        found = gospa.compute_gospa_metric(r, t)[0].value
        for ours, theirs in (("gospa", "distance"), ("localization", "localisation"), ("missed",) * 2, ("false",) * 2):
            values[ours].append(float(found[theirs]))
        values["ospa"].append(float(ospa.compute_OSPA_distance(r, t).value))
    return values


def tracks(rows: np.ndarray, frames: np.ndarray, n_coordinates: int) -> Trajectory:
    """Rows (frame, id, x, y) as the authors have them: a table of all steps, NaN where a track is not."""
    names, name = np.unique(rows[:, 1], return_inverse=True)
    table = np.full((n_coordinates, len(frames), len(names)), np.nan)
    table[:, np.searchsorted(frames, rows[:, 0]), name] = rows[:, 2 : 2 + n_coordinates].T
    return Trajectory(table, np.ones(len(names), int), np.full(len(names), len(frames)))


def authors_values(truth: np.ndarray, result: np.ndarray, c: float, p: float, gamma: float, n: int) -> Values:
    """T-GOSPA^p and its parts at each step from one linear programme over all tracks, nothing pruned."""
    frames = np.unique(np.concatenate([truth[:, 0], result[:, 0]]))
    x, y = tracks(truth, frames, n), tracks(result, frames, n)
    nx, ny, steps = len(x.tVec), len(y.tVec), len(frames)
    costs = locCostComp_V2(x, y, c, p)
    total, *parts = LP_metric_Cluster(x, y, costs, nx, ny, nx * ny, (nx + 1) * (ny + 1), steps, c, p, gamma)
    named = zip(("localization", "missed", "false", "switch"), parts, strict=True)
    return {"c": c, "p": p, "gamma": gamma, "coordinates": n, "total": float(total)} | {
        name: float(np.sum(part)) for name, part in named
    }


def main() -> None:
    """Write the file whole."""
    crowd = json.loads((FOLDER / "tracking.json").read_text(encoding="utf-8"))["positions"]
    truth, result = np.array(crowd["truth"]), np.array(crowd["result"])
    content: Values = {
        "command": COMMAND,
        "versions": {name: version(name) for name in ("stonesoup", "numpy", "scipy")} | {"t_gospa": AUTHORS},
        "input": "positions of tracking.json",
        "stonesoup": [stone_soup_values(truth, result, c, p) for c, p in SINGLE],
        "t_gospa": [authors_values(truth, result, *options) for options in TRACKS],
    }
    part = FOLDER / "gospa.part"
    part.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(FOLDER / "gospa.json")


if __name__ == "__main__":
    main()
