"""One box, one explanation: which of two levels a box stands on that may stand on either.

Both places are nodes of the window's graph. What they were joined with there decides, a track or points of other
cameras; without such it is what the camera alone holds likelier, and the next windows see.
"""

import numpy as np

from geoloc.pipeline.association import AssociationOptions, Groups
from geoloc.scene.kinds import kind_of
from geoloc.scene.tables import GroundPoints, Tracks

LEAST = 1e-6  # probability of a level


def one_explanation(
    points: GroundPoints, groups: Groups, tracks: Tracks, options: AssociationOptions
) -> tuple[np.ndarray, Groups]:
    """Rows (n,) of `points` without those places of boxes that something else explains better, and their groups."""
    rivals = rivals_of(points)
    rows = np.arange(len(points))
    if not len(rivals):
        return rows, groups
    worth = np.array([[_worth(row, points, groups, tracks, options) for row in pair] for pair in rivals.tolist()])
    rows = np.delete(rows, rivals[np.arange(len(rivals)), np.argmin(worth, axis=1)])
    number, group = np.unique(groups.group[rows], return_inverse=True)
    return rows, Groups(group.astype(np.int64), groups.track[number])


def rivals_of(points: GroundPoints) -> np.ndarray:
    """Pairs (R, 2) of rows that are two places of one box, see `project_to_levels`."""
    doubt = np.flatnonzero(points.level_probability < 1.0)
    if len(doubt) < 2:
        return np.zeros((0, 2), dtype=int)
    sure = np.round(np.abs(points.level_probability[doubt] - 0.5), 12)
    key = (points.coded("level").code[doubt], sure, points.detection[doubt], points.coded("camera").code[doubt])
    order = np.lexsort(key)
    same = np.all([part[order[1:]] == part[order[:-1]] for part in key[1:]], axis=0)
    same &= key[0][order[1:]] != key[0][order[:-1]]
    first = np.flatnonzero(same)
    first = first[np.diff(first, prepend=-2) > 1]
    return np.stack([doubt[order[first]], doubt[order[first + 1]]], axis=1)


def _worth(row: int, points: GroundPoints, groups: Groups, tracks: Tracks, options: AssociationOptions) -> float:
    """Log-odds of a point's place: its camera's, and those of all that it was joined with there."""
    worth = float(np.log(max(points.level_probability[row], LEAST)))
    group = groups.group[row]
    track = int(groups.track[group])
    others = np.flatnonzero((groups.group == group) & (np.arange(len(points)) != row))
    if track >= 0:
        on = tracks.level_probability[track]
        same = tracks.level[track] == points.level[row]
        worth += float(np.log(max(on if same else 1.0 - on, LEAST)))
        worth += _nearness(row, points, tracks.xy[track], tracks.position_cov[track], options)
    for other in others.tolist():
        cov = points.cov[other] + points.bias_cov[other]
        worth += _nearness(row, points, points.xy[other], cov, options)
        worth += float(np.log(max(points.level_probability[other], LEAST)))
    return worth


def _nearness(row: int, points: GroundPoints, xy: np.ndarray, cov: np.ndarray, options: AssociationOptions) -> float:
    """Log-likelihood ratio of a point and what lies at xy (2,) being one, against two; as of the association."""
    both, step = points.cov[row] + points.bias_cov[row] + cov, points.xy[row] - xy
    spread = 0.5 * float(np.log(np.linalg.det(both))) + float(np.log(2.0 * np.pi))
    density = options.density / kind_of(str(points.label[row])).length ** 2
    two = float(np.log(density) + np.log1p(-options.detection_probability))  # a camera missed one of them
    return -0.5 * float(step @ np.linalg.solve(both, step)) - spread - two
