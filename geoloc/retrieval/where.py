"""Which rows of an index a search may answer with: conditions on their fields, with one meaning in every index.

    where = Where().equal("camera", "gate", "ramp").between("time", start, end).near(12.0, 5.0, 10.0)

Every condition must hold. A missing number (NaN) holds in none; a missing name is the empty string, a name like any.
`Where.holds` is the meaning: what an index makes of it in its own language must keep the same rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError, unknown_name

Rows = Mapping[str, np.ndarray]  # a field's name to its values (N,)
Fields = Mapping[str, type]  # a field's name to int, float or str
ID = "id"  # the field that every row has
FARTHEST = 1e9  # m: a place and its distances, whose squares must be numbers in every index


@dataclass(frozen=True)
class Equal:
    """The field has one of these values; a number for int and float, a name for str."""

    field: str
    values: tuple[int | float | str, ...]

    def holds(self, rows: Rows) -> np.ndarray:
        """Whether it holds, for each row (N,)."""
        return np.isin(rows[self.field], np.array(self.values)) if self.values else np.zeros(len(rows[ID]), bool)


@dataclass(frozen=True)
class Between:
    """The number lies from `low` to `high`, ends included; infinite: open on that side."""

    field: str
    low: float
    high: float

    def holds(self, rows: Rows) -> np.ndarray:
        """Whether it holds, for each row (N,)."""
        values = rows[self.field]
        return (values >= self.low) & (values <= self.high)


@dataclass(frozen=True)
class Near:
    """The point in the fields `x` and `y` lies within `radius` (m) of (`at_x`, `at_y`), edge included."""

    at_x: float
    at_y: float
    radius: float
    x: str = "x"
    y: str = "y"

    def holds(self, rows: Rows) -> np.ndarray:
        """Whether it holds, for each row (N,)."""
        return (rows[self.x] - self.at_x) ** 2 + (rows[self.y] - self.at_y) ** 2 <= self.radius**2


Condition = Equal | Between | Near


@dataclass(frozen=True)
class Where:
    """Rows for which all the conditions hold; without one, all rows."""

    conditions: tuple[Condition, ...] = ()

    def equal(self, field: str, *values: int | float | str) -> "Where":
        """And the field has one of these values."""
        return Where((*self.conditions, Equal(field, values)))

    def between(self, field: str, low: float = -np.inf, high: float = np.inf) -> "Where":
        """And the number lies from `low` to `high`, ends included."""
        if not low <= high:
            raise InputError(f"filter on {field}: from {low} to {high} holds nothing; give the lower end first")
        return Where((*self.conditions, Between(field, low, high)))

    def near(self, x: float, y: float, radius: float) -> "Where":
        """And the row's place is within `radius` (m) of this point."""
        if not ((np.abs([x, y, radius]) <= FARTHEST).all() and radius >= 0):  # NaN is refused too
            raise InputError(f"filter near ({x}, {y}) within {radius}: give metres up to {FARTHEST:g}, the radius >= 0")
        return Where((*self.conditions, Near(x, y, radius)))

    def ids(self, ids: np.ndarray) -> "Where":
        """And the id is among these (M,)."""
        return Where((*self.conditions, Equal(ID, tuple(np.asarray(ids).tolist()))))

    def holds(self, rows: Rows) -> np.ndarray:
        """Whether all hold, for each row (N,); `rows` has the field "id" too."""
        kept = np.ones(len(rows[ID]), bool)
        for condition in self.conditions:
            kept &= condition.holds(rows)
        return kept

    def check(self, fields: Fields) -> None:
        """InputError where a condition names a field that the rows do not have, or values of another kind."""
        for condition in self.conditions:
            names = (condition.x, condition.y) if isinstance(condition, Near) else (condition.field,)
            for name in names:
                if name not in fields and name != ID:
                    raise unknown_name("field", name, [ID, *fields], "filter")
            kind = int if names[0] == ID else fields[names[0]]
            values = condition.values if isinstance(condition, Equal) else ()
            if kind is str and not isinstance(condition, Equal):
                raise InputError(f"filter on {names[0]}: holds names; ask for equal ones")
            wrong = next((value for value in values if isinstance(value, str) != (kind is str)), None)
            if wrong is not None:
                raise InputError(f"filter on {names[0]}: {wrong!r} is no {kind.__name__}; give one")


ANYWHERE = Where()
