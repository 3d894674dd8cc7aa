"""A table: struct of arrays, frozen, one declared dtype and shape a column."""

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
