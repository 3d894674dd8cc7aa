"""Points of one window, taken at slightly different times, brought to the window's time."""

import numpy as np

from geoloc.pipeline.lazily import nearest
from geoloc.pipeline.packed import kind_arrays
from geoloc.scene.tables import GroundPoints, Tracks

SAME_TIME_S = 1e-3
SAME_PLACE_M = 0.05  # way in the time that clocks are uncertain by, below which it is nothing
GATE2 = 9.0  # squared Mahalanobis distance within which a point moves with its nearest track


def align_times(
    points: GroundPoints, predicted: Tracks, time: float, sigma: np.ndarray
) -> tuple[GroundPoints, np.ndarray]:
    """`points` at `time` (s), and the covariance (N, 2, 2) m² on the ground that their clocks' `sigma` (N,) s means.

    Each moves with the predicted track that it lies on. A point that lies on no track stays, and its `cov` grows by
    how far its class may have come meanwhile. Clocks' errors persist: what they mean is
    no noise, and comes beside the points.
    """
    if not len(points):
        return points, np.zeros((0, 2, 2))
    labels = points.coded("label")
    speed = kind_arrays(labels.names).speed.take(labels.code)
    same_time = max(time - points.time.min(), points.time.max() - time) < SAME_TIME_S
    if same_time and (speed * sigma).max() < SAME_PLACE_M:
        return points, np.zeros((len(points), 2, 2))
    xy, cov, late = nearest.align(
        np.ascontiguousarray(points.xy),
        np.ascontiguousarray(points.cov),
        np.ascontiguousarray(points.bias_cov),
        time - points.time,
        sigma,
        speed,
        np.ascontiguousarray(predicted.xy),
        np.ascontiguousarray(predicted.velocity),
        predicted.position_cov,
        GATE2,
    )
    return points.revised(xy=xy, cov=cov), late
