"""What must hold of ids in MEVA: one is on one object of a camera at a time, and a parked vehicle keeps its own."""

from pathlib import Path

import numpy as np
import shapely

from geoloc.files import read_columns
from geoloc.scene.tables import Detections

ONE_THING = 0.5  # IoU from which two annotated objects of one frame may be one thing, drawn twice
MATCH = 1e-6


def id_conflicts(
    detections: Detections, known_object: np.ndarray, track: np.ndarray, every_s: float
) -> tuple[int, int]:
    """How often one id is on two objects of a camera at one time, and how many ids of a camera and time there are.

    `known_object` and `track` (N,) are those of each detection, -1: none. Objects whose boxes overlap by
    `ONE_THING` are taken as one that was annotated twice.
    """
    rows = np.flatnonzero((known_object >= 0) & (track >= 0))
    window = np.floor(detections.time[rows] / every_s + MATCH).astype(int)
    _, camera = np.unique(detections.camera[rows], return_inverse=True)
    key = np.stack([window, camera, track[rows]], axis=1)
    names, group, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    n_conflicts = 0
    for number in np.flatnonzero(count > 1).tolist():
        own = rows[group.ravel() == number]
        _, first = np.unique(known_object[own], return_index=True)
        n_conflicts += _apart(detections.box[own[first]])
    return n_conflicts, len(names)


def _apart(boxes: np.ndarray) -> bool:
    """Whether any two of the boxes (N, 4) px overlap too little to be one thing."""
    areas = shapely.box(*boxes.T)
    a, b = (areas[rows] for rows in np.triu_indices(len(areas), 1))
    return bool((shapely.area(shapely.intersection(a, b)) < ONE_THING * shapely.area(shapely.union(a, b))).any())


def kept_by_parked(
    folder: Path, slot: str, detections: Detections, known_object: np.ndarray, track: np.ndarray
) -> np.ndarray:
    """In which share of its windows each parked vehicle of a slot had its commonest id: (P,) 0 to 1; 0: never any.

    A vehicle that several annotations show has several boxes in a window; one of them under that id is enough.
    """
    columns = read_columns(folder / "tracks" / "parked.csv")
    shares = []
    for row in np.flatnonzero(np.array(columns["slot"]) == slot).tolist():
        begin, end = float(columns["t0"][row]), float(columns["t1"][row])
        own = (detections.camera == columns["camera"][row]) & (known_object == int(columns["object_id"][row]))
        own &= (detections.time >= begin) & (detections.time <= end)
        seen = np.unique(np.column_stack([detections.time[own], track[own]]), axis=0)
        _, counts = np.unique(seen[seen[:, 1] >= 0, 1], return_counts=True)
        shares.append(counts.max(initial=0) / max(len(np.unique(seen[:, 0])), 1))
    return np.array(shares, dtype=float)
