"""Vectors as rows."""

import numpy as np


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows (N, D) scaled to unit length; rows shorter than 1e-9 have no direction and become zero."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 1e-9, length, np.inf)
