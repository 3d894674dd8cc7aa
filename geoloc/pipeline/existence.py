"""How much a window says for and against an object being there.

Each camera that boxes it speaks for it by the box's score; each camera that reported, could see the place,
had no other object in front of it, and has no box of it, speaks against it. Silence is no evidence.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.association import Groups
from geoloc.scene.kinds import kind_column
from geoloc.scene.rig import rig_of
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Objects


@dataclass(frozen=True)
class ExistenceOptions:
    """What a box, and the absence of one, are worth."""

    detection_probability: float = 0.5  # of an object that nothing known hides; 0: absence says nothing
    score_floor: float = 0.05  # scores are read as probabilities within [floor, 1 - floor]
    window_limit: float = 5.0  # log-odds that one window can add or take: errors within it are not independent
    blocker_width: float = 0.8  # of its class's mean extent: an object in the line of sight hides what is behind it

    def __post_init__(self) -> None:
        check_range(self, detection_probability=(0, 0.999), score_floor=(1e-6, 0.5), window_limit=(0, 100))
        check_range(self, blocker_width=(0, 100))


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
    against = missed_evidence(site, level, objects.xyz, detected, reporting, objects, options)
    log_odds = np.clip(speaks_for + against, -options.window_limit, options.window_limit)
    return objects.replace(score=1.0 / (1.0 + np.exp(-log_odds)))


def missed_evidence(
    site: Site,
    level: np.ndarray,
    xyz: np.ndarray,
    detected: np.ndarray,
    reporting: np.ndarray,
    others: Objects,
    options: ExistenceOptions,
) -> np.ndarray:
    """Log-odds (K,) <= 0 for objects at xyz (K, 3) on levels (K,) that the cameras not in `detected` missed.

    `reporting` (C,) are the cameras that delivered this window, `others` the window's objects, any of which may
    stand in front.
    """
    odds = np.zeros(len(xyz))
    if not options.detection_probability or not len(xyz):
        return odds
    rows, cameras = np.nonzero(site.visibility.seen_by(level, xyz[:, :2]) & ~detected & reporting)
    if len(rows):
        free = ~_hidden(rig_of(site).centre[cameras], xyz[rows], others, options)
        odds += np.bincount(rows, free * np.log1p(-options.detection_probability), len(xyz))
    return np.maximum(odds, -options.window_limit)


def _hidden(centres: np.ndarray, xyz: np.ndarray, others: Objects, options: ExistenceOptions) -> np.ndarray:
    """Whether one of `others` stands between camera centres (M, 3) and the feet of objects at xyz (M, 3)."""
    sight = xyz[:, :2] - centres[:, :2]
    distance = np.maximum(np.linalg.norm(sight, axis=1, keepdims=True), 1e-9)
    direction = sight / distance
    mean_extent = np.sqrt(kind_column(others.label, "length") * kind_column(others.label, "width"))
    radius = 0.5 * options.blocker_width * mean_extent
    to_other = others.xyz[None, :, :2] - centres[:, None, :2]
    along = np.einsum("mjk,mk->mj", to_other, direction)
    across = to_other[..., 0] * direction[:, None, 1] - to_other[..., 1] * direction[:, None, 0]
    # where the line of sight to the foot passes the other, and how high
    height = centres[:, 2, None] + (xyz[:, 2] - centres[:, 2])[:, None] * along / distance
    above = height - others.xyz[:, 2]
    with np.errstate(invalid="ignore"):
        blocks = (along > 0) & (along < distance - radius) & (np.abs(across) < radius)
        blocks &= (above > 0) & (above < kind_column(others.label, "height"))
    return blocks.any(axis=1)
