"""What sparse encodings have in common: the sums that k-reciprocal re-ranking ends in."""

import numpy as np

from geoloc.compiled import compiled


@compiled
def sum_minima(
    starts: np.ndarray,
    columns: np.ndarray,
    shares: np.ndarray,
    held_starts: np.ndarray,
    held_rows: np.ndarray,
    held_shares: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Add up, into `sums` (Q, N) of zeros, the smaller of two rows' shares wherever both have one.

    Q rows lie one after the other (CSR: `starts` (Q + 1,), `columns`, `shares`), the N others column by column (CSC).
    """
    for q in range(sums.shape[0]):
        row = sums[q]
        for at in range(starts[q], starts[q + 1]):
            own, column = shares[at], columns[at]
            for place in range(held_starts[column], held_starts[column + 1]):
                row[held_rows[place]] += min(own, held_shares[place])
