"""Truth on disk: CSV with a header, packed with gzip where the name ends in .gz.

Columns: time (UTC Unix s), object, label, level, x, y, z (m), vx, vy (m/s), heading (rad), length, width, height
(m), n_cameras. Places are rounded to 0.1 mm, angles to 1e-5 rad.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_columns, write_whole
from geoloc.synthetic.truth import Truth

DECIMALS = {
    "time": 4,
    "object": 0,
    "label": -1,  # text
    "level": -1,
    **dict.fromkeys(("x", "y", "z", "vx", "vy"), 4),
    "heading": 5,
    **dict.fromkeys(("length", "width", "height"), 3),
    "n_cameras": 0,
}


def save_truth(truth: Truth, path: str | Path) -> None:
    """Write a truth, whole or not at all; the same truth gives the same bytes."""
    numbers = np.column_stack([truth.xyz, truth.velocity, truth.heading, truth.size])
    columns = [truth.time, truth.object, truth.label, truth.level, *numbers.T, truth.n_cameras]
    texts = [_texts(column, DECIMALS[name]) for name, column in zip(DECIMALS, columns, strict=True)]
    save_csv(path, tuple(DECIMALS), zip(*texts, strict=True))


def load_truth(path: str | Path) -> Truth:
    """Read a truth; InputError names the file and the line that does not fit."""
    columns = read_columns(path)
    if tuple(columns) != tuple(DECIMALS):
        raise InputError(f"{path}: no truth; its first line must be {','.join(DECIMALS)}")
    try:
        number_of = {
            name: np.array(columns[name], float) for name, decimals in DECIMALS.items() if decimals >= 0
        }
    except ValueError as error:
        raise InputError(f"{path}: a column of numbers holds something else ({error})") from error
    return Truth(
        time=number_of["time"],
        object=number_of["object"].astype(int),
        label=np.array(columns["label"], str),
        level=np.array(columns["level"], str),
        xyz=np.column_stack([number_of[name] for name in ("x", "y", "z")]),
        velocity=np.column_stack([number_of[name] for name in ("vx", "vy")]),
        heading=number_of["heading"],
        size=np.column_stack([number_of[name] for name in ("length", "width", "height")]),
        n_cameras=number_of["n_cameras"].astype(int),
    )


def _texts(values: np.ndarray, decimals: int) -> list[str]:
    """Values (N,) as text with so many decimals; negative: they are text already."""
    if decimals < 0:
        return [str(value) for value in values.tolist()]
    # + 0.0: no "-0.00"
    return [f"{value:.{decimals}f}" for value in (np.round(values.astype(float), decimals) + 0.0).tolist()]


def save_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows of text under a header, packed where the name ends in .gz, always to the same bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    content = out.getvalue().encode()
    write_whole(path, gzip.compress(content, 9, mtime=0) if str(path).endswith(".gz") else content)
