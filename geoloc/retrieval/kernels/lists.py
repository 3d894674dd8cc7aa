"""A square of distances between rows read once for the lists of both sides."""

import numpy as np

from geoloc.compiled import compiled, inlined

LANES = 64  # pairs that are looked at together


@inlined
def _put(rows: np.ndarray, values: np.ndarray, at: int, row: int, value: float) -> None:
    """Take `row` into the list `at`, of rows and values (N, K) by value, behind its equals; the last one goes."""
    place = values.shape[1] - 1
    while place > 0 and values[at, place - 1] > value:
        values[at, place] = values[at, place - 1]
        rows[at, place] = rows[at, place - 1]
        place -= 1
    values[at, place] = value
    rows[at, place] = row


@compiled
def put_square(
    product: np.ndarray,
    length: np.ndarray,
    first: int,
    second: int,
    rows: np.ndarray,
    values: np.ndarray,
    worst: np.ndarray,
    farthest: np.ndarray,
) -> None:
    """Take the inner products (A, B) of vectors from `first` on with those from `second` on into the lists of both.

    `length` (N,) are the squared lengths; `rows`, `values` (N, K) the lists so far, nearest first, with their last
    values `worst` (N,), and `farthest` (N,). Squares must come row by row of squares, from left to right: then equals
    are in the order of rows. A square on the diagonal is whole, any other stands for its mirror image too.
    """
    last, mirrored = values.shape[1] - 1, first != second
    there, back = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    two, zero = np.float32(2.0), np.float32(0.0)
    for a in range(product.shape[0]):
        i = first + a
        own, most = length[i], np.zeros(LANES, np.float32)
        for start in range(0, product.shape[1], LANES):
            n, limit, near = min(LANES, product.shape[1] - start), worst[i], 0
            some = slice(second + start, second + start + n)  # indices from 0 on leave nothing to check
            along, others, theirs, far = product[a, start : start + n], length[some], worst[some], farthest[some]
            # without a branch, so that the machine takes many pairs at a time; hardly any is near
            for b in range(n):
                twice = two * along[b]
                # rounded as if the rows were asked one by one
                there[b] = max((others[b] - twice) + own, zero)
                back[b] = max((own - twice) + others[b], zero)
                most[b] = max(most[b], there[b])
                near += (there[b] < limit) | (back[b] < theirs[b])
            if mirrored:
                for b in range(n):
                    far[b] = max(far[b], back[b])
            if not near:
                continue
            for b in range(n):
                j = second + start + b
                if there[b] < worst[i]:
                    _put(rows, values, i, j, there[b])
                    worst[i] = values[i, last]
                if mirrored and back[b] < worst[j]:
                    _put(rows, values, j, i, back[b])
                    worst[j] = values[j, last]
        farthest[i] = max(farthest[i], most.max())
