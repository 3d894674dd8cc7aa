"""How well single images are localized: recall at thresholds, medians, and refusals apart from errors.

Poses are `cam_from_world`; the error of a position is the distance of the camera centres, that of a rotation the
angle between the two (Sattler et al. 2018, "Benchmarking 6DOF outdoor visual localization", sec. 3).
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError
from geoloc.metrics.detection import Formula, ratio

ANSWERED, REFUSED, MISSING = "answered", "refused", "missing"

# Thresholds as (m, deg): the long-term localization benchmark; InLoc and hloc, indoors; fine ones.
OUTDOOR = ((0.25, 2.0), (0.5, 5.0), (5.0, 10.0))
INDOOR = ((0.25, 10.0), (0.5, 10.0), (1.0, 10.0))
FINE = ((0.05, 0.5), (0.1, 1.0), (0.25, 2.0))

# Of counts (..., 4): answered within the threshold, answered beyond it, refused, missing.
LOCALIZATION_FIGURES: dict[str, Formula] = {
    "recall": lambda n: ratio(n[..., 0], n.sum(axis=-1)),
    "error_rate": lambda n: ratio(n[..., 1], n[..., 0] + n[..., 1]),
    "answer_rate": lambda n: ratio(n[..., 0] + n[..., 1], n.sum(axis=-1)),
    "refusal_rate": lambda n: ratio(n[..., 2], n.sum(axis=-1)),
}


@dataclass(frozen=True, eq=False)
class LocalizationScores:
    """What became of N queries. An answer has an error; a refusal and a missing answer have none.

    `outcome` (N,) str is ANSWERED, REFUSED or MISSING. `position_error` (N,) m and `rotation_error` (N,) rad are
    infinite where there was no answer, so that no threshold lets them pass. `reason` (N,) str of the refused.
    """

    outcome: np.ndarray
    position_error: np.ndarray
    rotation_error: np.ndarray
    reason: np.ndarray

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def answered(self) -> np.ndarray:
        """Which queries were answered: (N,) bool."""
        return self.outcome == ANSWERED

    def counts(self, position_m: float, rotation_deg: float) -> np.ndarray:
        """Counts of each query (N, 4), as LOCALIZATION_FIGURES take them; the thresholds themselves pass."""
        if not (position_m > 0 and rotation_deg > 0):
            raise InputError(f"thresholds ({position_m} m, {rotation_deg} deg) must be greater than 0")
        good = (self.position_error <= position_m) & (np.degrees(self.rotation_error) <= rotation_deg)
        columns = [good, self.answered & ~good, self.outcome == REFUSED, self.outcome == MISSING]
        return np.stack(columns, axis=1).astype(float)

    def figure(self, name: str, position_m: float, rotation_deg: float) -> float:
        """One of LOCALIZATION_FIGURES over all queries: 0 to 1."""
        counts = self.counts(position_m, rotation_deg).sum(axis=0)
        if name == "error_rate" and not counts[:2].any():
            raise InputError("error_rate: none of the queries was answered, so none can be wrong; report the recall")
        return float(LOCALIZATION_FIGURES[name](counts))

    def recall(self, position_m: float, rotation_deg: float) -> float:
        """Share of all queries that were answered within both thresholds; refused and missing are not."""
        return self.figure("recall", position_m, rotation_deg)

    def error_rate(self, position_m: float, rotation_deg: float) -> float:
        """Share of the answers that are beyond a threshold: what a user who trusts every answer meets."""
        return self.figure("error_rate", position_m, rotation_deg)

    def median_errors(self) -> tuple[float, float]:
        """Medians of the answers' position errors (m) and rotation errors (rad); refusals are left out."""
        if not self.answered.any():
            raise InputError("median errors: none of the queries was answered; report the recall")
        chosen = self.answered
        return float(np.median(self.position_error[chosen])), float(np.median(self.rotation_error[chosen]))

    def reasons(self) -> dict[str, int]:
        """How often each reason was given for a refusal, the most frequent first."""
        names, count = np.unique(self.reason[self.outcome == REFUSED], return_counts=True)
        return {str(names[k]): int(count[k]) for k in np.argsort(-count, kind="stable")}


def poses_from_centres(centre: np.ndarray, cam_from_world: Rotation) -> RigidTransform:
    """`cam_from_world` poses of cameras at `centre` (N, 3) m, turned by the rotations (N,) of the same name."""
    centre = np.asarray(centre, float)
    if centre.ndim != 2 or centre.shape[1] != 3 or cam_from_world.single or len(cam_from_world) != len(centre):
        n = "one" if cam_from_world.single else len(cam_from_world)
        raise InputError(f"poses: centres {centre.shape} and {n} rotations; give (N, 3) and N")
    _refuse_unfinished(centre, "centre")
    return RigidTransform.from_components(-cam_from_world.apply(centre), cam_from_world)


def position_errors(true: RigidTransform, estimated: RigidTransform) -> np.ndarray:
    """Distances (N,) m between the camera centres of two batches of N `cam_from_world`."""
    _same_length(true, estimated)
    return np.linalg.norm(true.inv().translation - estimated.inv().translation, axis=1)


def rotation_errors(true: RigidTransform, estimated: RigidTransform) -> np.ndarray:
    """Angles (N,) rad, 0 to pi, between the rotations of two batches of N `cam_from_world`."""
    _same_length(true, estimated)
    return (estimated.rotation * true.rotation.inv()).magnitude()


def score_poses(
    true: RigidTransform,
    estimated: RigidTransform,
    query: np.ndarray,
    refused: np.ndarray | None = None,
    reason: np.ndarray | None = None,
) -> LocalizationScores:
    """Scores of A `estimated` poses of the queries `query` (A,) int, which index N `true` poses.

    `refused` (R,) int are the queries that the system declined, `reason` (R,) str why; both are needed together.
    A query in neither is missing. Each query may come once.
    """
    n = _batch(true, "true")
    if not n:
        raise InputError("localization: the truth is empty: nothing can be scored; check the part")
    query, declined = _indices(query, n, "query"), _indices([] if refused is None else refused, n, "refused")
    if len(query) != _batch(estimated, "estimated"):
        raise InputError(f"localization: {len(estimated)} estimated poses of {len(query)} queries; give one each")
    names = np.asarray([] if reason is None else reason, dtype=str)
    if names.shape != declined.shape:
        raise InputError(f"localization: {len(declined)} refused queries with {len(names)} reasons; give one each")
    _refuse_repeats(np.concatenate([query, declined]))
    outcome = np.full(n, MISSING, dtype="U8")
    outcome[query], outcome[declined] = ANSWERED, REFUSED
    position, rotation = np.full(n, np.inf), np.full(n, np.inf)
    if len(query):
        position[query] = position_errors(true[query], estimated)
        rotation[query] = rotation_errors(true[query], estimated)
    why = np.full(n, "", dtype=names.dtype if len(names) else "U1")
    why[declined] = names
    return LocalizationScores(outcome, position, rotation, why)


def _indices(numbers: object, n: int, what: str) -> np.ndarray:
    array = np.asarray(numbers)
    array = array.astype(int) if array.size == 0 else array
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"localization: {what} is {array.dtype} {array.shape}; give int (A,)")
    bad = array[(array < 0) | (array >= n)]
    if len(bad):
        raise InputError(f"localization: {what} {bad[0]} is none of the {n} true poses; number them from 0")
    return array


def _refuse_repeats(query: np.ndarray) -> None:
    names, count = np.unique(query, return_counts=True)
    if (count > 1).any():
        raise InputError(
            f"localization: query {names[count > 1][0]} comes {count.max()} times among the answers and refusals "
            f"({(count > 1).sum()} such queries); a query has one outcome"
        )


def _batch(poses: RigidTransform, what: str) -> int:
    if poses.single:
        raise InputError(f"localization: {what} is a single pose; give a batch, such as RigidTransform.concatenate")
    _refuse_unfinished(poses.translation, f"{what} translation")
    return len(poses)


def _same_length(true: RigidTransform, estimated: RigidTransform) -> None:
    n, m = _batch(true, "true"), _batch(estimated, "estimated")
    if n != m:
        raise InputError(f"localization: {n} true and {m} estimated poses; give the same number")


def _refuse_unfinished(rows: np.ndarray, what: str) -> None:
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise InputError(f"localization: {what} {bad[0]} is {rows[bad[0]]}; leave the {len(bad)} such rows out")
