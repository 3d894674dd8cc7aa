"""How much a window says for and against an object being there.

Each camera that boxes it speaks for it by the box's score; each camera that reported, could see the place,
had no other object in front of it, and has no box of it, speaks against it. Silence is no evidence.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.association import Groups
from geoloc.scene.rig import rig_of
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Objects


@dataclass(frozen=True)
class ExistenceOptions:
    """What a box, and the absence of one, are worth."""

    detection_probability: float = 0.9  # of an object in plain view of a camera that reported; 0: absence says nothing
    score_floor: float = 0.05  # scores are read as probabilities within [floor, 1 - floor]
    window_limit: float = 5.0  # log-odds that one window can add or take: errors within it are not independent
    blocker_radius: float = 0.4  # m; an object within this of the line of sight may hide what stands behind it
    blocker_height: float = 1.7  # m

    def __post_init__(self) -> None:
        check_range(self, detection_probability=(0, 0.999), score_floor=(1e-6, 0.5), window_limit=(0, 100))
        check_range(self, blocker_radius=(0, 100), blocker_height=(0, 100))


def weigh_existence(
    objects: Objects,
    points: GroundPoints,
    groups: Groups,
    site: Site,
    reporting: np.ndarray,
    options: ExistenceOptions,
) -> Objects:
    """`objects` with `score` the probability that each exists, even odds before, given this window alone."""
    n = len(objects)
    detected = np.zeros((n, len(site.cameras)), dtype=bool)
    detected[groups.group, site.camera_rows(points.camera)] = True
    scores = np.clip(points.score, options.score_floor, 1.0 - options.score_floor)
    speaks_for = np.bincount(groups.group, np.log(scores / (1.0 - scores)), n)
    level = site.site_map.level_rows(objects.level)
    against = missed_evidence(site, level, objects.xyz[:, :2], detected, reporting, objects.xyz[:, :2], options)
    log_odds = np.clip(speaks_for + against, -options.window_limit, options.window_limit)
    return objects.replace(score=1.0 / (1.0 + np.exp(-log_odds)))


def missed_evidence(
    site: Site,
    level: np.ndarray,
    xy: np.ndarray,
    detected: np.ndarray,
    reporting: np.ndarray,
    others: np.ndarray,
    options: ExistenceOptions,
) -> np.ndarray:
    """Log-odds (K,) <= 0 for objects at xy (K, 2) on levels (K,) that the cameras not in `detected` missed.

    `reporting` (C,) are the cameras that delivered this window, `others` (J, 2) m what may stand in front.
    """
    odds = np.zeros(len(xy))
    if not options.detection_probability or not len(xy):
        return odds
    rows, cameras = np.nonzero(site.visibility.seen_by(level, xy) & ~detected & reporting)
    if len(rows):
        free = ~_hidden(rig_of(site).centre[cameras], xy[rows], others, options)
        odds += np.bincount(rows, free * np.log1p(-options.detection_probability), len(xy))
    return np.maximum(odds, -options.window_limit)


def _hidden(centres: np.ndarray, xy: np.ndarray, others: np.ndarray, options: ExistenceOptions) -> np.ndarray:
    """Whether one of `others` (J, 2) stands between camera centres (M, 3) and the feet of objects at xy (M, 2)."""
    sight = xy - centres[:, :2]
    distance = np.linalg.norm(sight, axis=1)
    direction = sight / np.maximum(distance, 1e-9)[:, None]
    to_other = others[None] - centres[:, None, :2]
    along = np.einsum("mjk,mk->mj", to_other, direction)
    across = to_other[..., 0] * direction[:, None, 1] - to_other[..., 1] * direction[:, None, 0]
    # the line of sight to the foot passes the other at this height above the ground
    height = centres[:, 2, None] * (1.0 - along / np.maximum(distance, 1e-9)[:, None])
    between = (along > 0) & (along < distance[:, None] - options.blocker_radius)
    with np.errstate(invalid="ignore"):
        blocks = between & (np.abs(across) < options.blocker_radius) & (height < options.blocker_height)
    return blocks.any(axis=1)
