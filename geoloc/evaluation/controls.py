"""Controls: recordings made wrong on purpose, to see which results come about by chance."""

from collections.abc import Mapping

import numpy as np

from geoloc.errors import unknown_name
from geoloc.scene.tables import Detections


def shift_clocks(detections: Detections, shift_s: Mapping[str, float]) -> Detections:
    """The same detections with the clocks of the cameras named in `shift_s` ahead by so many seconds."""
    known = np.unique(detections.camera).tolist()
    time = detections.time.copy()
    for name, seconds in shift_s.items():
        if name not in known:
            raise unknown_name("camera", name, known, "the detections")
        time[detections.camera == name] += seconds
    return detections.replace(time=time)
