"""Sums by place that fade: what a layout is learned in, of bounded size, and saved as plain arrays."""

from collections.abc import Mapping

import numpy as np

from geoloc.errors import InputError

REBASE = 20.0  # fading times after which the sums are scaled anew, long before they overflow
KEPT = 0.9  # of the most cells, when there are more


class FadingSums:
    """Rows of sums under integer keys (K,): each addition counts exp(-age / `fade_s`) of itself.

    Of more than `most` rows those with the least in the first column are forgotten.
    """

    def __init__(self, keys: int, sums: int, fade_s: float, most: int) -> None:
        self.fade_s, self.most = fade_s, most
        self._row: dict[tuple[int, ...], int] = {}
        self._keys = np.zeros((256, keys), np.int64)
        self._sums = np.zeros((256, sums))
        self._base = np.nan  # s, at which the stored sums count whole

    def __len__(self) -> int:
        return len(self._row)

    def add(self, keys: np.ndarray, values: np.ndarray, time: np.ndarray) -> None:
        """Add values (N, S) under keys (N, K), each at its time (N,) s."""
        if not len(keys):
            return
        weight = self._weights(time)[:, None] * values
        order = np.lexsort(keys.T[::-1])
        ordered = keys[order]
        first = np.ones(len(order), bool)
        first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        starts = np.flatnonzero(first)
        sums = np.add.reduceat(weight[order], starts, axis=0)
        rows = self._rows(ordered[starts])  # first: it may make room
        self._sums[rows] += sums
        if len(self._row) > self.most:
            self._forget()

    def at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Keys (M, K) and what the sums (M, S) still count at a time (s); NaN: the latest that was added."""
        n = len(self._row)
        faded = 1.0 if np.isnan(time) or np.isnan(self._base) else np.exp((self._base - time) / self.fade_s)
        return self._keys[:n].copy(), self._sums[:n] * faded

    def arrays(self) -> dict[str, np.ndarray]:
        """All that there is to know, for a file."""
        n = len(self._row)
        return {"keys": self._keys[:n].copy(), "sums": self._sums[:n].copy(), "base": np.array(self._base)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Become what `arrays` were taken of; InputError where they are of another kind."""
        keys, sums = arrays["keys"], arrays["sums"]
        if keys.shape != (len(sums), self._keys.shape[1]) or sums.shape[1:] != self._sums.shape[1:]:
            raise InputError(f"learned sums of shapes {keys.shape}, {sums.shape}; another version saved them")
        self._keys, self._sums = keys.astype(np.int64), sums.astype(float)
        self._row = {tuple(key): row for row, key in enumerate(self._keys.tolist())}
        self._base = float(arrays["base"])

    def _weights(self, time: np.ndarray) -> np.ndarray:
        latest = float(time.max())
        if np.isnan(self._base):
            self._base = latest
        elif latest - self._base > REBASE * self.fade_s:
            self._sums *= np.exp((self._base - latest) / self.fade_s)
            self._base = latest
        return np.exp((time - self._base) / self.fade_s)

    def _rows(self, keys: np.ndarray) -> np.ndarray:
        known = self._row
        rows = [known.setdefault(tuple(key), len(known)) for key in keys.tolist()]
        size = len(self._keys)
        if len(known) > size:
            more = max(len(known), 2 * size) - size
            self._keys = np.concatenate([self._keys, np.zeros((more, self._keys.shape[1]), np.int64)])
            self._sums = np.concatenate([self._sums, np.zeros((more, self._sums.shape[1]))])
        self._keys[rows] = keys
        return np.array(rows)

    def _forget(self) -> None:
        n = len(self._row)
        kept = np.sort(np.argsort(-self._sums[:n, 0], kind="stable")[: int(KEPT * self.most)])
        self._keys, self._sums = self._keys[kept], self._sums[kept]
        self._row = {tuple(key): row for row, key in enumerate(self._keys.tolist())}
