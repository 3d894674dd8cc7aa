"""Numbers in place of names."""

import numpy as np


def numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct `values` (N,), sorted, and which of them each is (N,); sorts only where it must."""
    values = np.asarray(values)
    if len(values) and values.dtype.kind in "iu":
        least, most = int(values.min()), int(values.max())
        if most - least < 4 * len(values) + 1000:  # close together: a table is quicker than sorting
            place = (values - values.min()).astype(np.intp)
            there = np.zeros(most - least + 1, dtype=bool)
            there[place] = True
            return np.flatnonzero(there) + least, (np.cumsum(there) - 1)[place]
    new = np.append(True, values[1:] != values[:-1])[: len(values)]
    if (values[1:] >= values[:-1]).all():
        return values[new], np.cumsum(new) - 1
    return np.unique(values, return_inverse=True)
