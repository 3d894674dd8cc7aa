"""What objects looked like: one row a view of an object, with where and when it was seen."""

from typing import ClassVar

import numpy as np

from geoloc.retrieval.where import Fields
from geoloc.scene.columns import WIDTH, Column, Table


class Looks(Table):
    """Views of objects: a vector each, and what is known of the view. Rows of one track and camera show one object."""

    id: np.ndarray
    site: np.ndarray
    camera: np.ndarray
    time: np.ndarray
    level: np.ndarray
    xy: np.ndarray
    cov: np.ndarray
    label: np.ndarray
    color: np.ndarray
    length: np.ndarray
    track: np.ndarray
    object: np.ndarray
    quality: np.ndarray
    vector: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "id": Column(int),
        "site": Column(str),
        "camera": Column(str),
        "time": Column(float, unit="s"),
        "level": Column(str),
        "xy": Column(float, (2,), "m"),
        "cov": Column(float, (2, 2), "m2"),  # of xy: what a track reports, its bias added
        "label": Column(str),
        "color": Column(str),  # its name; empty: not told
        "length": Column(float, unit="m"),
        "track": Column(int),
        "object": Column(int),  # the identity; -1: not decided
        "quality": Column(float, missing=1.0),  # 0 to 1: how well it shows the object
        "vector": Column(np.float32, (WIDTH,)),  # of unit length
    }


FIELDS: Fields = {
    "site": str,
    "camera": str,
    "time": float,
    "level": str,
    "x": float,
    "y": float,
    "var_x": float,
    "cov_xy": float,
    "var_y": float,
    "label": str,
    "color": str,
    "length": float,
    "track": int,
    "object": int,
    "quality": float,
}


def fields_of(looks: Looks) -> dict[str, np.ndarray]:
    """The rows' fields, as an index with `FIELDS` takes them."""
    apart = {"x": looks.xy[:, 0], "y": looks.xy[:, 1]}
    apart |= {"var_x": looks.cov[:, 0, 0], "cov_xy": looks.cov[:, 0, 1], "var_y": looks.cov[:, 1, 1]}
    return {name: apart[name] if name in apart else getattr(looks, name) for name in FIELDS}


def looks_of(ids: np.ndarray, vectors: np.ndarray, rows: dict[str, np.ndarray]) -> Looks:
    """The table of rows that an index with `FIELDS` gave back."""
    xy = np.stack([rows["x"], rows["y"]], axis=-1)
    across = rows["cov_xy"]
    cov = np.stack([rows["var_x"], across, across, rows["var_y"]], axis=-1).reshape(-1, 2, 2)
    same = {name: rows[name] for name in FIELDS if name in Looks.columns}
    return Looks(id=ids, vector=vectors, xy=xy, cov=cov, **same)
