"""Numbers of half precision made single, many at a time: FAISS and NumPy take them one by one, ten times as long."""

import numpy as np

from geoloc.compiled import compiled

EXPONENT = np.float32(2.0**112)  # between what the same bits say as an exponent of half and of single precision


@compiled
def widen(bits: np.ndarray, kept: np.ndarray, out_bits: np.ndarray, out: np.ndarray) -> None:
    """Rows `kept` (M,) of finite float16 numbers, `bits` (N, D) uint16, into `out` (M, D) float32.

    `out_bits` is `out` seen as uint32.
    """
    for m in range(len(kept)):
        row, into, said = bits[kept[m]], out[m], out_bits[m]
        for d in range(len(row)):
            number = np.uint32(row[d])
            said[d] = ((number & np.uint32(0x7FFF)) << np.uint32(13)) | ((number & np.uint32(0x8000)) << np.uint32(16))
        for d in range(len(into)):
            into[d] *= EXPONENT
