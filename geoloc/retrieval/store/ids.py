"""Which row an id has, among millions that come in any order."""

import numpy as np


class IdRuns:
    """Sorted runs of ids with their rows, each at most half as long as the one before: adding and finding stay fast."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, ids: np.ndarray, rows: np.ndarray) -> None:
        """Take in ids (M,), each once, with their rows (M,)."""
        order = np.argsort(ids, kind="stable")
        self._runs.append((ids[order], rows[order].astype(np.int32)))
        while len(self._runs) > 1 and 2 * len(self._runs[-1][0]) > len(self._runs[-2][0]):
            last, before = self._runs.pop(), self._runs.pop()
            both = np.concatenate([before[0], last[0]])
            order = np.argsort(both, kind="stable")  # near linear: two runs that are sorted
            self._runs.append((both[order], np.concatenate([before[1], last[1]])[order]))

    def find(self, ids: np.ndarray, gone: np.ndarray) -> np.ndarray:
        """The row of each id (M,) that is not `gone` (N,) bool; -1: there is none. An id may come back in a new row."""
        found = np.full(len(ids), -1, np.intp)
        for held, rows in self._runs:
            if not len(held) or not len(ids) or ids.min() > held[-1] or ids.max() < held[0]:
                continue
            at, stop = np.searchsorted(held, ids), np.searchsorted(held, ids, "right")
            while (some := at < stop).any():  # more than one where an id was removed and came back
                row = rows[at[some]].astype(np.intp)
                alive = ~gone[row]
                found[np.flatnonzero(some)[alive]] = row[alive]
                at = at + 1
        return found
