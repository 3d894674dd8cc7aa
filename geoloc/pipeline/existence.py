"""How much a window says for and against an object being there.

Each camera that boxes it speaks for it by the box's score; each camera that reported, could see the place,
had no other object in front of it, and has no box of it, speaks against it. Silence is no evidence.

A score p is read as the probability that a box, wherever it is, shows an object: p / (1 - p) is the ratio of true and
false boxes of that score. For a track that predicts the density f (1/m²) of its box's place, where objects stand with
density d, what the box says is p / (1 - p) f / d (Musicki, Evans and Stankovic, 1994, with the share of true boxes in
place of that of clutter): a box of a low score is still this track's, where the track expects one. Boxes of nothing
come again where they were, so that f / d makes up for a low score, and adds nothing to a high one.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.association import Groups
from geoloc.pipeline.lazily import sight
from geoloc.pipeline.packed import camera_arrays, camera_rows, kind_arrays, level_rows, view_arrays
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Objects, Tracks


@dataclass(frozen=True)
class ExistenceOptions:
    """What a box, and the absence of one, are worth."""

    detection_probability: float = 0.5  # of an object that nothing known hides; 0: absence says nothing
    score_floor: float = 0.05  # scores are read as probabilities within [floor, 1 - floor]
    density: float = 0.0125  # objects on a square as wide as one is long: a box where a track is expected is its own
    window_limit: float = 5.0  # log-odds that one window can add or take: errors within it are not independent
    blocker_width: float = 0.8  # of its class's mean extent: an object in the line of sight hides what is behind it

    def __post_init__(self) -> None:
        check_range(self, detection_probability=(0, 0.999), score_floor=(1e-6, 0.5), window_limit=(0, 100))
        check_range(self, density=(1e-9, 1e3))
        check_range(self, blocker_width=(0, 100))


def weigh_existence(
    objects: Objects,
    points: GroundPoints,
    groups: Groups,
    site: Site,
    reporting: np.ndarray,
    options: ExistenceOptions,
    tracks: Tracks | None = None,
) -> Objects:
    """`objects` with `score` the probability that each exists, even odds before, given this window alone.

    `tracks` are those that `groups` names the rows of: what they expect where it is, low scores do not speak against.
    """
    camera, score = camera_rows(site, points.coded("camera")), np.ascontiguousarray(points.score)
    group = np.ascontiguousarray(groups.group, dtype=np.int64)
    level, out = level_rows(site.site_map, objects.coded("level")), np.empty(len(objects))
    scene = scene_arrays(site, reporting, objects, options)
    expected = np.zeros(len(objects))
    if tracks is not None and len(score) and score.min() < 0.5:
        labels = objects.coded("label")
        area = kind_arrays(labels.names).length.take(labels.code) ** 2
        known = np.ascontiguousarray(tracks.xy), np.ascontiguousarray(tracks.cov), np.ascontiguousarray(tracks.bias_cov)
        seen = (np.ascontiguousarray(column) for column in (objects.xyz, objects.cov, objects.bias_cov))
        sight.expect(np.ascontiguousarray(groups.track), *seen, *known, options.density / area, expected)
    sight.weigh_groups(camera, score, group, level, expected, options.score_floor, *scene, out)
    return objects.revised(score=out)


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

    `detected` is (K, C), or (0, C) where no camera has a box of any. `reporting` (C,) are the cameras that
    delivered this window, `others` the window's objects, any of which may stand in front.
    """
    if not options.detection_probability or not len(xyz):
        return np.zeros(len(xyz))
    level = np.ascontiguousarray(level, dtype=np.int64)
    scene = scene_arrays(site, reporting, others, options)
    return sight.missed(np.ascontiguousarray(xyz), level, detected, *scene)


def scene_arrays(site: Site, reporting: np.ndarray, others: Objects, options: ExistenceOptions) -> tuple[object, ...]:
    """What `kernels.sight.missed` takes from `reporting` on."""
    labels = others.coded("label")
    radius, height = _blockers(labels.names, options.blocker_width)
    return (
        np.ascontiguousarray(reporting),
        camera_arrays(site).centre,
        view_arrays(site.visibility),
        np.ascontiguousarray(others.xyz),
        radius.take(labels.code),
        height.take(labels.code),
        math.log1p(-options.detection_probability),
        options.window_limit,
    )


@lru_cache(maxsize=256)
def _blockers(labels: tuple[str, ...], width: float) -> tuple[np.ndarray, np.ndarray]:
    """Radius and height (K,) m of what hides something behind an object of each label."""
    kinds = kind_arrays(labels)
    return 0.5 * width * np.sqrt(kinds.length * kinds.width), kinds.height
