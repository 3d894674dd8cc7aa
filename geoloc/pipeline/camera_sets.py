"""Which cameras show which objects."""

import numpy as np

from geoloc.scene.tables import GroundPoints


class CameraSets:
    """Which cameras show each object, as bits."""

    def __init__(self, points: GroundPoints) -> None:
        self._object, row = np.unique(points.object, return_inverse=True)
        cameras = points.coded("camera")
        self._bits = np.zeros((len(self._object), len(cameras.names) // 63 + 1), dtype=np.int64)
        np.bitwise_or.at(self._bits, (row, cameras.code // 63), np.int64(1) << (cameras.code % 63))

    def share(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether a camera shows both objects (K,) and (K,)."""
        return (self._of(first) & self._of(second)).any(axis=1)

    def _of(self, objects: np.ndarray) -> np.ndarray:
        if not len(self._object):
            return np.zeros((len(objects), 1), dtype=np.int64)
        place = np.minimum(np.searchsorted(self._object, objects), len(self._object) - 1)
        known = (self._object[place] == objects) & (objects >= 0)
        return np.where(known[:, None], self._bits[place], 0)
