"""Points of one window, taken at slightly different times, brought to the window's time."""

import numpy as np
from scipy.spatial import cKDTree

from geoloc.geometry.gaussian import mahalanobis2
from geoloc.scene.kinds import kind_column
from geoloc.scene.tables import GroundPoints, Tracks

SAME_TIME_S = 1e-3
GATE2 = 9.0  # squared Mahalanobis distance within which a point moves with its nearest track


def align_times(points: GroundPoints, predicted: Tracks, time: float) -> GroundPoints:
    """`points` at `time` (s): each moves with the predicted track that it lies on.

    A point that lies on no track stays, and its `cov` grows by how far its class may have come meanwhile.
    """
    dt = time - points.time
    if not len(points) or np.abs(dt).max() < SAME_TIME_S:
        return points
    moved = np.zeros(len(points), dtype=bool)
    velocity = np.zeros((len(points), 2))
    if len(predicted):
        nearest = cKDTree(predicted.xy).query(points.xy)[1]
        apart = points.xy - predicted.xy[nearest] + predicted.velocity[nearest] * dt[:, None]
        cov = points.cov + points.bias_cov + predicted.position_cov[nearest]
        moved = mahalanobis2(apart, cov) < GATE2
        velocity[moved] = predicted.velocity[nearest[moved]]
    unsure = np.where(moved, 0.0, kind_column(points.label, "speed") * dt) ** 2
    return points.replace(
        xy=points.xy + velocity * dt[:, None], cov=points.cov + unsure[:, None, None] * np.eye(2)
    )
