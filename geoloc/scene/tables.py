"""The four tables of the main path: struct of arrays, frozen, one declared dtype, shape and unit a column."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from geoloc.errors import InputError, unknown_name

WIDTH = -1  # a dimension whose size the table's data decides, the same for all rows
LATEST_TIME = 1e11  # s; no time is later than the year 5138, but one in milliseconds is, from 1973 on


@dataclass(frozen=True)
class Column:
    """Declaration of one column: dtype, shape of a row, unit, and the value that means "missing"."""

    dtype: type
    shape: tuple[int, ...] = ()
    unit: str = ""
    missing: object = None

    def filled(self, n: int) -> np.ndarray:
        """`n` missing rows."""
        shape = (n, *(0 if size == WIDTH else size for size in self.shape))
        missing = {float: np.nan, np.float32: np.nan, int: -1, str: ""}[self.dtype]
        return np.full(shape, missing if self.missing is None else self.missing, dtype=self.dtype)

    def cast(self, table: str, name: str, value: object, n: int | None) -> np.ndarray:
        """`value` as this column, refused by name where its dtype or shape does not fit."""
        try:
            array = np.asarray(value)
            if self.dtype is int and array.size and not np.can_cast(array.dtype, np.int64, "same_kind"):
                raise ValueError(f"dtype {array.dtype}")
            array = array.astype(np.str_ if self.dtype is str else self.dtype, copy=False)
        except (ValueError, TypeError) as error:
            raise InputError(f"{table}.{name}: cannot read the values as {self.dtype.__name__} ({error})") from error
        if array.size == 0 and array.ndim <= 1 and len(self.shape):
            array = self.filled(0)
        fits = array.ndim == 1 + len(self.shape) and all(
            want in (WIDTH, got) for want, got in zip(self.shape, array.shape[1:], strict=True)
        )
        if not fits or (n is not None and len(array) != n):
            sizes = ("D" if size == WIDTH else str(size) for size in self.shape)
            want = ", ".join(["N" if n is None else str(n), *sizes])
            raise InputError(f"{table}.{name}: shape {array.shape}; it must be ({want})")
        return array


class Coded(NamedTuple):
    """A column of names as integers: row i holds `names[code[i]]`. Names differ; their order is free."""

    names: tuple[str, ...]
    code: np.ndarray  # (N,) int

    def spelt(self) -> np.ndarray:
        """The names themselves (N,) str."""
        return _as_array(self.names).take(self.code)


class Table:
    """A frozen struct of arrays. Columns that are not given are missing: NaN, -1, "" or zero width.

    >>> Detections(time=[0.0], camera=["gate"], box=[[10, 20, 30, 60]]).box.shape
    (1, 4)

    A column of names is kept as integer codes too, once somebody asked for them by `coded`: rows that are taken
    take the codes along, and the strings are made when they are read, so that a window of a recording costs none.
    """

    columns: ClassVar[dict[str, Column]] = {}
    _codes: dict[str, Coded]

    def __init__(self, **data: Any) -> None:
        name = type(self).__name__
        for key in data:
            if key not in self.columns:
                raise unknown_name("column", key, self.columns, name)
        n: int | None = None
        self.__dict__["_codes"] = {}
        for key, column in self.columns.items():
            if key in data:
                array = column.cast(name, key, data[key], n).view()
                array.setflags(write=False)
                self.__dict__[key] = array
                n = len(array)
        for key, column in self.columns.items():
            if key not in data:
                array = column.filled(n or 0)
                array.setflags(write=False)
                self.__dict__[key] = array

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use replace({name}=...)")

    def __getattr__(self, name: str) -> np.ndarray:
        codes = self.__dict__.get("_codes", {})
        if name not in codes:
            raise AttributeError(f"{type(self).__name__} has no column {name!r}")
        array = codes[name].spelt()
        array.setflags(write=False)
        self.__dict__[name] = array
        return array

    def __len__(self) -> int:
        return len(self.__dict__[next(iter(self.columns))])  # in no table a column of names

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # frozen

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows: {', '.join(self.columns)})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(_same(getattr(self, name), getattr(other, name)) for name in self.columns)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Pairs of column name and array, in the declared order."""
        return ((name, getattr(self, name)) for name in self.columns)

    def coded(self, name: str) -> Coded:
        """A column of names as integers, worked out once; a column of strings gives its names in order."""
        if name not in self._codes:
            names, code = name_codes(getattr(self, name))
            self._codes[name] = Coded(tuple(names), code)
        return self._codes[name]

    def take(self, rows: np.ndarray | slice) -> Self:
        """The rows that an index, a boolean mask or a slice selects, in that order; a slice shares them."""
        if isinstance(rows, slice):
            arrays: dict[str, np.ndarray | Coded] = {name: array[rows] for name, array in self._stored()}
            return self._wrap(arrays | {name: Coded(c.names, c.code[rows]) for name, c in self._codes.items()})
        rows = np.asarray(rows)
        if rows.dtype == bool:
            if len(rows) != len(self):
                raise InputError(f"{type(self).__name__}.take: a mask of {len(rows)} for {len(self)} rows")
            rows = np.flatnonzero(rows)
        rows = rows.astype(np.intp, copy=False)
        # `take` copies whole rows, several times faster than an index
        taken: dict[str, np.ndarray | Coded] = {name: array.take(rows, axis=0) for name, array in self._stored()}
        return self._wrap(taken | {name: Coded(c.names, c.code.take(rows)) for name, c in self._codes.items()})

    def replace(self, **data: Any) -> Self:
        """A copy with some columns replaced; the others are shared."""
        name, n = type(self).__name__, len(self)
        for key in data:
            if key not in self.columns:
                raise unknown_name("column", key, self.columns, name)
        new = {key: self.columns[key].cast(name, key, value, n).view() for key, value in data.items()}
        return self.revised(**new)

    def revised(self, **arrays: "np.ndarray | Coded") -> Self:
        """As `replace`, with arrays that are known to have the declared dtypes and shapes, as for `trusted`."""
        table = self.__class__.__new__(self.__class__)
        columns, codes = self.__dict__.copy(), self._codes.copy()
        for name, array in arrays.items():
            if type(array) is Coded:
                codes[name] = array
                columns.pop(name, None)
            else:
                codes.pop(name, None)
                array.setflags(write=False)  # type: ignore[union-attr]
                columns[name] = array
        columns["_codes"] = codes
        table.__dict__.update(columns)
        return table

    @classmethod
    def concat(cls, tables: list[Self]) -> Self:
        """All rows of `tables` in order; an embedding of zero width is widened with NaN."""
        tables = [table for table in tables if len(table)]
        if len(tables) < 2:
            return tables[0] if tables else cls()
        merged: dict[str, np.ndarray | Coded] = {}
        for name, column in cls.columns.items():
            codes = [table._codes.get(name) for table in tables]
            if codes[0] is not None and all(c is not None and c.names == codes[0].names for c in codes):
                merged[name] = Coded(codes[0].names, np.concatenate([c.code for c in codes if c is not None]))
                continue
            arrays = [getattr(table, name) for table in tables]
            if WIDTH in column.shape:
                arrays = _same_width(cls.__name__, name, arrays)
            merged[name] = np.concatenate(arrays)
        return cls._wrap(merged)

    @classmethod
    def trusted(cls, **arrays: "np.ndarray | Coded") -> Self:
        """A table around fresh arrays that are known to have the declared dtypes and shapes, unchecked.

        For the engine's own stages, at every window; columns that are not given are missing.
        """
        n = len(arrays[next(iter(cls.columns))])  # in no table a column of names
        arrays.update({name: _missing(cls, name, n) for name in cls.columns if name not in arrays})
        return cls._wrap(arrays)

    @classmethod
    def _wrap(cls, arrays: "dict[str, np.ndarray | Coded]") -> Self:
        """A table around arrays that are known to fit, without checking them again."""
        table = cls.__new__(cls)
        codes: dict[str, Coded] = {}
        columns = table.__dict__
        columns["_codes"] = codes
        for name, array in arrays.items():
            if type(array) is Coded:
                codes[name] = array
            else:
                array.setflags(write=False)  # type: ignore[union-attr]
                columns[name] = array
        return table

    def _stored(self) -> list[tuple[str, np.ndarray]]:
        """Columns that are kept as arrays alone."""
        codes, columns = self._codes, self.__dict__
        return [(name, columns[name]) for name in self.columns if name not in codes]


_absent: dict[tuple[type[Table], str], np.ndarray] = {}  # missing rows, of which tables take as many as they have


def _missing(table: type[Table], name: str, n: int) -> np.ndarray:
    """`n` missing rows of a column, which no one writes into."""
    known = _absent.get((table, name))
    if known is None or len(known) < n:
        known = _absent[table, name] = table.columns[name].filled(2 * n + 64)
        known.setflags(write=False)
    return known[:n]


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def name_codes(names: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The distinct names in order, and each one's place among them: (N,) str -> (N,) int."""
    listed = names.tolist()
    distinct = sorted(set(listed))
    place = {name: i for i, name in enumerate(distinct)}
    return distinct, np.fromiter(map(place.__getitem__, listed), np.intp, len(listed))


@lru_cache(maxsize=256)
def _as_array(names: tuple[str, ...]) -> np.ndarray:
    return np.array(names, dtype=np.str_)


def _same_width(table: str, name: str, arrays: list[np.ndarray]) -> list[np.ndarray]:
    widths = {array.shape[1] for array in arrays} - {0}
    if len(widths) > 1:
        raise InputError(f"{table}.{name}: widths {sorted(widths)} differ; use one embedder for all rows")
    width = max(widths, default=0)
    return [a if a.shape[1] == width else np.full((len(a), width), np.nan, a.dtype) for a in arrays]


class Detections(Table):
    """What a detector saw: boxes in pixels. Rows that share camera and time are one camera frame."""

    id: np.ndarray
    time: np.ndarray
    camera: np.ndarray
    box: np.ndarray
    foot: np.ndarray
    foot_cov: np.ndarray
    label: np.ndarray
    score: np.ndarray
    embedding: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "id": Column(int),
        "time": Column(float, unit="s"),
        "camera": Column(str),
        "box": Column(float, (4,), "px"),  # left, top, right, bottom
        "foot": Column(float, (2,), "px"),  # where the object touches the ground; NaN: from the box
        "foot_cov": Column(float, (2, 2), "px2"),  # NaN: from the box
        "label": Column(str),
        "score": Column(float, missing=1.0),
        "embedding": Column(np.float32, (WIDTH,)),
    }


class Dropped(Table):
    """Rows that a stage could not use: which detection, and why."""

    detection: np.ndarray
    reason: np.ndarray
    columns: ClassVar[dict[str, Column]] = {"detection": Column(int), "reason": Column(str)}


class GroundPoints(Table):
    """Detections on the map: where a foot meets a level, with both covariances."""

    time: np.ndarray
    camera: np.ndarray
    detection: np.ndarray
    object: np.ndarray
    level: np.ndarray
    level_probability: np.ndarray
    xy: np.ndarray
    z: np.ndarray
    cov: np.ndarray
    bias_cov: np.ndarray
    away: np.ndarray
    foot: np.ndarray
    box: np.ndarray
    height: np.ndarray
    height_var: np.ndarray
    label: np.ndarray
    score: np.ndarray
    embedding: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "camera": Column(str),
        "detection": Column(int),
        "object": Column(int),  # -1: in none yet
        "level": Column(str),
        "level_probability": Column(float, missing=1.0),  # that it is this one, by its camera alone
        "xy": Column(float, (2,), "m"),
        "z": Column(float, unit="m"),  # of the level there
        "cov": Column(float, (2, 2), "m2"),
        "bias_cov": Column(float, (2, 2), "m2"),
        "away": Column(float, (2,)),  # unit vector on the map that points away from the camera
        "foot": Column(float, (2,), "px"),  # middle of the box's lower edge; NaN where it was given, or not seen
        "box": Column(float, (4,), "px"),  # left, top, right, bottom
        "height": Column(float, unit="m"),  # of a vehicle, by its boxes; NaN: not known
        "height_var": Column(float, unit="m2"),
        "label": Column(str),
        "score": Column(float, missing=1.0),
        "embedding": Column(np.float32, (WIDTH,)),
    }


class Objects(Table):
    """Points of several cameras fused: one row an object and time."""

    object: np.ndarray
    time: np.ndarray
    level: np.ndarray
    level_probability: np.ndarray
    xyz: np.ndarray
    cov: np.ndarray
    bias_cov: np.ndarray
    height: np.ndarray
    height_var: np.ndarray
    label: np.ndarray
    score: np.ndarray
    best_score: np.ndarray
    n_cameras: np.ndarray
    camera_set: np.ndarray
    track: np.ndarray
    embedding: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "object": Column(int),
        "time": Column(float, unit="s"),
        "level": Column(str),
        "level_probability": Column(float, missing=1.0),  # that it is this one, by this window alone
        "xyz": Column(float, (3,), "m"),
        "cov": Column(float, (3, 3), "m2"),
        "bias_cov": Column(float, (3, 3), "m2"),
        "height": Column(float, unit="m"),  # of a vehicle, by its boxes; NaN: not known
        "height_var": Column(float, unit="m2"),
        "label": Column(str),
        "score": Column(float, missing=1.0),  # probability that the object exists, given this window alone
        "best_score": Column(float, missing=1.0),  # highest score of its detections
        "n_cameras": Column(int),
        "camera_set": Column(int),  # equal numbers: seen by the same cameras, so with the same bias
        "track": Column(int),  # the track that the association put it with; -1: a new one
        "embedding": Column(np.float32, (WIDTH,)),  # mean of its detections', of unit length
    }


class Tracks(Table):
    """Objects that keep their identity: one row a track and time."""

    time: np.ndarray
    track: np.ndarray
    object: np.ndarray
    level: np.ndarray
    level_probability: np.ndarray
    xy: np.ndarray
    z: np.ndarray
    velocity: np.ndarray
    cov: np.ndarray
    bias_cov: np.ndarray
    height: np.ndarray
    height_var: np.ndarray
    label: np.ndarray
    score: np.ndarray
    heading: np.ndarray
    still_since: np.ndarray
    state: np.ndarray
    life: np.ndarray
    revision: np.ndarray
    embedding: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "track": Column(int),
        "object": Column(int),  # -1: coasting
        "level": Column(str),
        "level_probability": Column(float, missing=1.0),  # that it is on this one, by all that was seen of it
        "xy": Column(float, (2,), "m"),
        "z": Column(float, unit="m"),  # of the level where it was seen last
        "velocity": Column(float, (2,), "m/s"),
        "cov": Column(float, (4, 4), "m2, m2/s, m2/s2"),  # of x, y, vx, vy
        "bias_cov": Column(float, (2, 2), "m2"),
        "height": Column(float, unit="m"),  # of a vehicle, by its boxes; NaN: not known
        "height_var": Column(float, unit="m2"),
        "label": Column(str),
        "score": Column(float, missing=1.0),  # probability that the object exists
        "heading": Column(float, unit="rad"),  # it drives or last drove this way, from east; NaN: not known
        "still_since": Column(float, unit="s"),  # it has stood where it stands since then; NaN: not known
        "state": Column(str),  # tentative, confirmed or coasting
        "life": Column(str),  # of its object: tentative, confirmed, parked or hidden; empty: not followed so far
        "revision": Column(int, missing=0),  # how often its object's past was corrected
        "embedding": Column(np.float32, (WIDTH,)),  # running mean, of unit length
    }

    @property
    def position_cov(self) -> np.ndarray:
        """Covariance of the position as it is to be reported, noise and bias: (N, 2, 2) m²."""
        return self.cov[:, :2, :2] + self.bias_cov
