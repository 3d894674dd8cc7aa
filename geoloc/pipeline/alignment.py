"""Points of one window, taken at slightly different times, brought to the window's time."""

import numpy as np

from geoloc.pipeline.lazily import nearest
from geoloc.pipeline.packed import kind_arrays
from geoloc.scene.tables import GroundPoints, Tracks

SAME_TIME_S = 1e-3
GATE2 = 9.0  # squared Mahalanobis distance within which a point moves with its nearest track


def align_times(points: GroundPoints, predicted: Tracks, time: float) -> GroundPoints:
    """`points` at `time` (s): each moves with the predicted track that it lies on.

    A point that lies on no track stays, and its `cov` grows by how far its class may have come meanwhile.
    """
    if not len(points) or max(time - points.time.min(), points.time.max() - time) < SAME_TIME_S:
        return points
    labels = points.coded("label")
    xy, cov = nearest.align(
        np.ascontiguousarray(points.xy),
        np.ascontiguousarray(points.cov),
        np.ascontiguousarray(points.bias_cov),
        time - points.time,
        kind_arrays(labels.names).speed.take(labels.code),
        np.ascontiguousarray(predicted.xy),
        np.ascontiguousarray(predicted.velocity),
        predicted.position_cov,
        GATE2,
    )
    return points.revised(xy=xy, cov=cov)
