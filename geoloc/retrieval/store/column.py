"""One field of an index's rows: numbers, or names as codes, with the order in which a filter finds its rows."""

import numpy as np

from geoloc.retrieval.store.growing import Growing
from geoloc.retrieval.where import Between, Equal, Near

DTYPES = {int: np.int64, float: np.float64, str: np.int32}
TAIL = 32  # the order is made anew once the rows behind it are a part of this many of all
LEAST_TAIL = 20_000  # rows behind the order that are never worth it


class Column:
    """Values (N,) of one field; names are kept as codes, each name once."""

    def __init__(self, kind: type, values: np.ndarray | None = None, names: np.ndarray | None = None) -> None:
        self.kind = kind
        self._values = Growing(np.zeros(0, DTYPES[kind]) if values is None else values)
        self._names: list[str] = [] if names is None else names.tolist()
        self._codes = {name: code for code, name in enumerate(self._names)}
        self._order = np.zeros(0, np.int32)
        self._ordered = np.zeros(0, DTYPES[kind])

    @property
    def values(self) -> np.ndarray:
        """What is kept of each row (N,): numbers, or the codes of names."""
        return self._values.values

    @property
    def names(self) -> np.ndarray:
        """The name of each code."""
        return np.array(self._names, np.str_)

    def append(self, values: np.ndarray) -> None:
        """Add values (M,) at the end."""
        if self.kind is not str:
            self._values.append(values)
            return
        unique, which = np.unique(values, return_inverse=True)
        codes = [self._codes.setdefault(name, len(self._codes)) for name in unique.tolist()]
        self._names = list(self._codes)
        self._values.append(np.array(codes, np.int32)[which] if len(codes) else np.zeros(0, np.int32))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The values of `rows` (M,) as they were given."""
        values = self.values[rows]
        return self.names[values] if self.kind is str and len(values) else values.astype(
            np.str_ if self.kind is str else values.dtype
        )

    def taken(self, rows: np.ndarray) -> "Column":
        """The column of these rows alone; names that none of them has are left out."""
        if self.kind is not str:
            return Column(self.kind, self.values[rows])
        codes, which = np.unique(self.values[rows], return_inverse=True)
        return Column(str, which.astype(np.int32), self.names[codes])

    def wanted(self, condition: Equal) -> np.ndarray:
        """The kept values that the condition asks for; names that no row has are left out."""
        if self.kind is str:
            return np.array([self._codes[name] for name in condition.values if name in self._codes], np.int32)
        return np.unique(np.array([value for value in condition.values if value == value]))  # NaN holds in none

    def holds(self, condition: Equal | Between, rows: np.ndarray | slice) -> np.ndarray:
        """Whether the condition holds, for each of `rows`."""
        values = self.values[rows]
        if isinstance(condition, Between):
            return (values >= condition.low) & (values <= condition.high)
        wanted = self.wanted(condition)
        if len(wanted) == 1:
            return values == wanted[0]
        if self.kind is str:
            table = np.zeros(len(self._codes), bool)
            table[wanted] = True
            return table[values]
        return np.isin(values, wanted)

    def spans(self, condition: Equal | Between | Near) -> list[tuple[int, int]]:
        """Parts of `order` in which all rows lie that the condition may keep."""
        values = self._ordered
        if isinstance(condition, Equal):
            wanted = self.wanted(condition)
            low, high = np.searchsorted(values, wanted, "left"), np.searchsorted(values, wanted, "right")
            return [(int(a), int(b)) for a, b in zip(low, high, strict=True) if a < b]
        if isinstance(condition, Near):
            wide = condition.radius * (1 + 1e-9) + 1e-9 * abs(condition.at_x)  # rounding must not lose one
            ends = condition.at_x - wide, condition.at_x + wide
        else:
            ends = condition.low, condition.high
        a, b = np.searchsorted(values, ends[0], "left"), np.searchsorted(values, ends[1], "right")
        return [(int(a), int(b))] if a < b else []

    def order(self) -> np.ndarray:
        """The first of the rows by value (N0,) int32; those behind them came since it was made."""
        n, tail = len(self.values), len(self.values) - len(self._order)
        if tail > max(LEAST_TAIL, n // TAIL) or not len(self._order):
            self._order = np.argsort(self.values, kind="stable").astype(np.int32)
            self._ordered = self.values[self._order]
        return self._order
