"""Estimated poses brought onto the images of the truth, or a refusal that says why they cannot be."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.evaluation.guards import refuse_or_warn
from geoloc.evaluation.pose_guards import find_copies, refuse_other_reading
from geoloc.evaluation.queries import match_names
from geoloc.io.poses import NamedPoses
from geoloc.metrics.localization import LocalizationScores, score_poses


@dataclass(frozen=True, eq=False)
class MatchedPoses:
    """Answers and refusals brought onto the images of the truth, and what became of each of them.

    `answer` (A,) are rows of the estimate that have a truth, `query` (A,) the truth's row of each, `found` (A,) the
    estimated cam_from_world.
    """

    true: NamedPoses
    estimated: NamedPoses
    answer: np.ndarray
    query: np.ndarray
    found: RigidTransform
    scores: LocalizationScores

    @property
    def centres(self) -> np.ndarray:
        """True centres of all images: (N, 3) m."""
        return self.true.cam_from_world.inv().translation

    @property
    def offsets(self) -> np.ndarray:
        """Estimated less true centre of the answers: (A, 3) m."""
        return self.found.inv().translation - self.centres[self.query]

    @property
    def perturbation(self) -> np.ndarray:
        """xi (A, 6) with exp(xi) * estimated = true, rotation (rad) then translation (m)."""
        return (self.true.cam_from_world[self.query] * self.found.inv()).as_exp_coords().reshape(-1, 6)


def match_poses(true: NamedPoses, estimated: NamedPoses, oracle: bool = False) -> tuple[MatchedPoses, list[str]]:
    """Answers and refusals on the truth's images, with warnings; InputError where they would be worth nothing."""
    if not len(true):
        raise InputError("localization: the truth is empty: nothing can be scored; check the file and the part")
    names = np.concatenate([estimated.image, estimated.refused])
    rows, query, warnings = match_names(names, true.image, "images of the result")
    answers = rows < len(estimated)
    answer, query, refusal, declined = rows[answers], query[answers], rows[~answers] - len(estimated), query[~answers]
    found = estimated.cam_from_world[np.isin(np.arange(len(estimated)), answer)]  # an index fails where there are none
    scores = score_poses(true.cam_from_world, found, query, declined, estimated.reason[refusal])
    refuse_other_reading(true.cam_from_world[query], found)
    copies = find_copies(scores.position_error[query], scores.rotation_error[query])
    warnings += refuse_or_warn(copies, oracle)
    return MatchedPoses(true, estimated, answer, query, found, scores), warnings
