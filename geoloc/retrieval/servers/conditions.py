"""What conditions of a filter ask of a field, as servers take it."""

import numpy as np

from geoloc.retrieval.where import Between, Equal

INT64 = np.iinfo(np.int64)


def askable(condition: Equal, kind: type) -> list[int | float | str]:
    """The values that a field of this kind can equal, as that kind."""
    if kind is str:
        return list(condition.values)
    numbers = [float(value) for value in condition.values]
    if kind is float:
        return [number for number in numbers if number == number]  # NaN equals nothing
    whole = [int(value) for value in condition.values if float(value).is_integer()]
    return [number for number in whole if INT64.min <= number <= INT64.max]


def bounds(condition: Between, kind: type) -> tuple[float | None, float | None]:
    """Both ends as a field of this kind takes them; None: open."""
    low, high = condition.low, condition.high
    if kind is not int:
        return (None if low == -np.inf else low), (None if high == np.inf else high)
    if low > INT64.max or high < INT64.min:
        return 1, 0
    return (None if low <= INT64.min else int(np.ceil(low))), (None if high >= INT64.max else int(np.floor(high)))
