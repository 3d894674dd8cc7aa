"""All fields of an index's rows and their ids, and which rows a filter keeps."""

from collections.abc import Mapping

import numpy as np

from geoloc.retrieval.store.column import Column
from geoloc.retrieval.store.growing import Growing
from geoloc.retrieval.store.ids import IdRuns
from geoloc.retrieval.where import ID, Condition, Equal, Fields, Near, Where

NARROW = 16  # a filter is narrow where at most a part of this many of the rows is to be looked at
CACHED = 32  # filters whose rows are remembered until the rows change
LONG = 1000  # values in a filter that is not worth remembering


class Columns:
    """Ids and fields of rows 0 to N - 1 in the order in which they came; removed ones keep their number."""

    def __init__(self, fields: Fields, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        arrays = arrays or {}
        self._held = Growing(arrays.get(ID, np.zeros(0, np.int64)))
        self._gone = Growing(arrays.get("gone", np.zeros(0, bool)))
        self.n_gone = int(self._gone.values.sum())
        self._columns = {
            name: Column(kind, arrays.get(f"field.{name}"), arrays.get(f"names.{name}"))
            for name, kind in fields.items()
        }
        self._runs = IdRuns()
        self._runs.add(self.held, np.arange(len(self.held)))
        self._cache: dict[Where, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.held)

    @property
    def held(self) -> np.ndarray:
        """The id of each row (N,), removed ones too."""
        return self._held.values

    @property
    def gone(self) -> np.ndarray:
        """Whether each row (N,) is removed."""
        return self._gone.values

    def append(self, ids: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
        """Add rows under ids (M,) that are not held."""
        self._cache.clear()
        self._runs.add(ids, np.arange(len(self), len(self) + len(ids)))
        self._held.append(ids)
        self._gone.append(np.zeros(len(ids), bool))
        for name, column in self._columns.items():
            column.append(rows[name])

    def remove(self, rows: np.ndarray) -> None:
        """Mark rows (M,) as removed."""
        self._cache.clear()
        self.gone[rows] = True
        self.n_gone += len(rows)

    def find(self, ids: np.ndarray) -> np.ndarray:
        """The row of each id (M,); -1: not held."""
        return self._runs.find(ids, self.gone)

    def read(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of `rows` (M,) as they were given."""
        return {name: column.read(rows) for name, column in self._columns.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, for a file."""
        found = {ID: self.held, "gone": self.gone}
        for name, column in self._columns.items():
            found[f"field.{name}"] = column.values
            if column.kind is str:
                found[f"names.{name}"] = column.names
        return found

    def taken(self, rows: np.ndarray, fields: Fields) -> "Columns":
        """These rows (M,) alone, under new numbers."""
        arrays = {ID: self.held[rows]}
        for name, column in self._columns.items():
            taken = column.taken(rows)
            arrays |= {f"field.{name}": taken.values, f"names.{name}": taken.names}
        return Columns(fields, {**arrays, "gone": np.zeros(len(rows), bool)})

    def kept(self, where: Where) -> np.ndarray:
        """Rows (M,) that `where` keeps, in order; not to be written to. A filter is remembered while no row changes."""
        if any(isinstance(condition, Equal) and len(condition.values) > LONG for condition in where.conditions):
            return self._kept(where)
        found = self._cache.pop(where, None)
        if found is None:
            found = self._kept(where)
            if len(self._cache) >= CACHED:
                del self._cache[next(iter(self._cache))]
        self._cache[where] = found
        return found

    def _kept(self, where: Where) -> np.ndarray:
        if not where.conditions:
            return np.flatnonzero(~self.gone)
        few = self._narrowest(where)
        if few is None:
            kept = ~self.gone
            for condition in where.conditions:
                kept &= self._holds(condition, slice(None))
            return np.flatnonzero(kept)
        kept = ~self.gone[few]
        for condition in where.conditions:
            kept &= self._holds(condition, few)
        return np.sort(few[kept])

    def _holds(self, condition: Condition, rows: np.ndarray | slice) -> np.ndarray:
        if isinstance(condition, Near):
            x, y = (self._columns[name].values[rows] for name in (condition.x, condition.y))
            return condition.holds({condition.x: x, condition.y: y})
        if condition.field == ID:
            return condition.holds({ID: self.held[rows]})
        return self._columns[condition.field].holds(condition, rows)

    def _narrowest(self, where: Where) -> np.ndarray | None:
        """Rows (M,) that hold all that the narrowest condition keeps; None where that is a good part of all."""
        best = len(self) // NARROW
        found: np.ndarray | None = None
        for condition in where.conditions:
            rows = self._candidates(condition, best)
            if rows is not None and len(rows) <= best:
                found, best = rows, len(rows)
        return found

    def _candidates(self, condition: Condition, most: int) -> np.ndarray | None:
        """Rows among which all lie that a condition keeps, where it is one that at most `most` hold."""
        if isinstance(condition, Equal) and condition.field == ID:
            if len(condition.values) > most:
                return None
            rows = self.find(np.unique(np.array(condition.values, np.int64)))
            return rows[rows >= 0]
        name = condition.x if isinstance(condition, Near) else condition.field
        if name == ID:
            return None
        column = self._columns[name]
        order = column.order()
        spans = column.spans(condition)
        tail = np.arange(len(order), len(self))
        if sum(b - a for a, b in spans) + len(tail) > most:
            return None
        return np.concatenate([*(order[a:b] for a, b in spans), tail]).astype(np.intp)
