"""How far a moving camera's or object's path is from the truth: APE and RPE, after an alignment or none.

Conventions and names are evo's (github.com/MichaelGrupp/evo), held against its numbers.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError, unknown_name
from geoloc.metrics.path_alignment import PathAlignment, align_paths

RELATIONS = ("translation", "rotation_deg", "full")
UNITS = ("frames", "seconds", "metres")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """N poses over time: `time` (N,) s, rising; `world_from_body` RigidTransform (N,), as files in TUM form have them.

    A camera's pose is the inverse of its `cam_from_world`: see `of_camera`.
    """

    time: np.ndarray
    world_from_body: RigidTransform

    def __post_init__(self) -> None:
        time = np.asarray(self.time, float)
        if self.world_from_body.single or time.shape != (len(self.world_from_body),):
            n = "one" if self.world_from_body.single else len(self.world_from_body)
            raise InputError(f"trajectory: times {time.shape} and {n} poses; give (N,) and a batch of N")
        if not (np.isfinite(time).all() and np.isfinite(self.world_from_body.translation).all()):
            raise InputError("trajectory: times or positions that are not finite; leave those rows out")
        late = np.flatnonzero(np.diff(time) <= 0)
        if len(late):
            raise InputError(
                f"trajectory: row {late[0] + 1} at {time[late[0] + 1]} s does not come after the row before it "
                f"({len(late)} such rows); sort by time and keep one pose of each"
            )
        object.__setattr__(self, "time", time)

    @classmethod
    def of_camera(cls, time: np.ndarray, cam_from_world: RigidTransform) -> "Trajectory":
        """The path of one camera from its poses `cam_from_world` (N,)."""
        return cls(time, cam_from_world.inv())

    def __len__(self) -> int:
        return len(self.time)

    @property
    def xyz(self) -> np.ndarray:
        """Positions (N, 3) m."""
        return self.world_from_body.translation

    def take(self, rows: np.ndarray) -> "Trajectory":
        """The rows that an index selects, in rising order."""
        return Trajectory(self.time[rows], self.world_from_body[rows])


@dataclass(frozen=True, eq=False)
class PathErrors:
    """Errors of a path: `value` (M,) in m, deg or none (`relation` "full"), one a pose (APE) or a pair of poses (RPE).

    `time` (M,) s of the truth: of the pose, or of the later one of the pair, so that blocks of time can be resampled.
    `alignment` says how the estimate was brought onto the truth; `n_unmatched` poses of the estimate had no truth.
    """

    value: np.ndarray
    time: np.ndarray
    relation: str
    alignment: PathAlignment
    n_unmatched: int

    def statistics(self) -> dict[str, float]:
        """rmse, mean, median, std (of the population), min, max and sse, as evo prints them."""
        value = self.value
        sse = float((value**2).sum())
        return {
            "rmse": float(np.sqrt(sse / len(value))),
            "mean": float(value.mean()),
            "median": float(np.median(value)),
            "std": float(value.std()),
            "min": float(value.min()),
            "max": float(value.max()),
            "sse": sse,
        }

    @property
    def rmse(self) -> float:
        """Root of the mean square."""
        return self.statistics()["rmse"]


def match_times(
    true_time: np.ndarray, time: np.ndarray, tolerance_s: float = 0.01, offset_s: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the truth (M,) and of the estimate (M,) whose times agree within `tolerance_s`.

    Both times rise; `offset_s` is added to the estimate's. Each row of the shorter takes the nearest of the longer
    (the earlier of two equally near), which may so be taken twice, as evo does it.
    """
    if not tolerance_s >= 0:
        raise InputError(f"times are to agree within {tolerance_s} s; give 0 or more")
    shifted = np.asarray(time, float) + offset_s
    if len(true_time) == 0 or len(shifted) == 0:
        raise InputError(f"{len(true_time)} true and {len(shifted)} estimated poses: nothing can be compared")
    swap = len(shifted) > len(true_time)
    short, long = (np.asarray(true_time, float), shifted) if swap else (shifted, np.asarray(true_time, float))
    after = np.clip(np.searchsorted(long, short, "right"), 1, max(len(long) - 1, 1))
    before, after = after - 1, np.minimum(after, len(long) - 1)
    nearest = np.where(np.abs(long[after] - short) < np.abs(short - long[before]), after, before)
    near = np.flatnonzero(np.abs(long[nearest] - short) <= tolerance_s)
    if not len(near):
        gap = float(np.abs(long[nearest] - short).min())
        raise InputError(
            f"no times of truth and estimate agree within {tolerance_s} s; the nearest are {gap:.6g} s apart: "
            "check that both are in seconds of one clock, or give their offset"
        )
    return (near, nearest[near]) if swap else (nearest[near], near)


def score_ape(
    truth: Trajectory,
    estimate: Trajectory,
    relation: str = "translation",
    alignment: str = "se3",
    tolerance_s: float = 0.01,
) -> PathErrors:
    """Absolute pose error of each matched pose (Sturm et al. 2012, eq. 3), after one of ALIGNMENTS.

    `relation`: "translation" (m), "rotation_deg", or "full", the Frobenius norm of the relative pose less identity.
    """
    true, found, aligned, unmatched = _matched(truth, estimate, alignment, tolerance_s)
    value = _errors(true.world_from_body, found.world_from_body, relation)
    return PathErrors(value, true.time, relation, aligned, unmatched)


def score_rpe(
    truth: Trajectory,
    estimate: Trajectory,
    delta: float = 1.0,
    unit: str = "frames",
    relation: str = "translation",
    alignment: str = "none",
    all_pairs: bool = False,
    pairs_from: str = "truth",
    tolerance_s: float = 0.01,
) -> PathErrors:
    """Relative pose error: of the motions over `delta` of `unit` (Sturm et al. 2012, eq. 1), each against the true one.

    Pairs follow each other, or with `all_pairs` start at every pose and end nearest to `delta`, at most 10 % off it.
    Metres are path length along `pairs_from`: "truth", or "estimate", which is evo's default. Of the alignments only
    "sim3" changes anything, by its scale. Frames are matched poses; seconds, which evo has not, the truth's.
    """
    if pairs_from not in ("truth", "estimate"):
        raise unknown_name("path for the pairs", pairs_from, ["truth", "estimate"])
    true, found, aligned, unmatched = _matched(truth, estimate, alignment, tolerance_s)
    first, second = _pairs(true if pairs_from == "truth" else found, delta, unit, all_pairs)
    poses, moved = true.world_from_body, found.world_from_body
    value = _errors(poses[first].inv() * poses[second], moved[first].inv() * moved[second], relation)
    return PathErrors(value, true.time[second], relation, aligned, unmatched)


def _matched(
    truth: Trajectory, estimate: Trajectory, alignment: str, tolerance_s: float
) -> tuple[Trajectory, Trajectory, PathAlignment, int]:
    """Both paths at their matched poses, the estimate's aligned; how; and how many of its poses are left over."""
    rows, found = match_times(truth.time, estimate.time, tolerance_s)
    true_poses, poses = truth.world_from_body[rows], estimate.world_from_body[found]
    aligned = align_paths(true_poses.translation, poses.translation, alignment)
    # one pose may stand for two of the other path: the shorter one's times, which rise, are both paths'
    time = truth.time[rows] if len(np.unique(rows)) == len(rows) else estimate.time[found]
    unmatched = len(estimate) - len(np.unique(found))
    return Trajectory(time, true_poses), Trajectory(time, aligned.apply(poses)), aligned, unmatched


def _errors(true: RigidTransform, found: RigidTransform, relation: str) -> np.ndarray:
    if relation not in RELATIONS:
        raise unknown_name("pose relation", relation, RELATIONS)
    difference = true.inv() * found
    if relation == "translation":
        return np.linalg.norm(difference.translation, axis=1)
    if relation == "rotation_deg":
        return np.degrees(difference.rotation.magnitude())
    return np.linalg.norm(difference.as_matrix() - np.eye(4), axis=(1, 2))


def _pairs(path: Trajectory, delta: float, unit: str, all_pairs: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows at which the pairs start and end."""
    if unit not in UNITS:
        raise unknown_name("unit of delta", unit, UNITS)
    if not delta > 0 or (unit == "frames" and delta != int(delta)):
        raise InputError(f"delta of {delta} {unit}; it must be greater than 0, and whole where it counts frames")
    along = _along(path, unit)
    first, second = _nearest_pairs(along, delta, unit) if all_pairs else _following_pairs(along, delta)
    if not len(first):
        raise InputError(f"no two poses lie {delta} {unit} apart; the path is {along[-1]:.6g} {unit} long")
    return first, second


def _along(path: Trajectory, unit: str) -> np.ndarray:
    """How far along the path each pose is, from 0: (N,) frames, s or m."""
    if unit == "frames":
        return np.arange(len(path), dtype=float)
    if unit == "seconds":
        return path.time - path.time[0]
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path.xyz, axis=0), axis=1))])


def _following_pairs(along: np.ndarray, delta: float) -> tuple[np.ndarray, np.ndarray]:
    rows = [0]
    slack = 1e-9 * (delta + along[-1])  # steps of a clock must not miss their delta by rounding
    while (row := int(np.searchsorted(along, along[rows[-1]] + delta - slack))) < len(along):
        rows.append(row)
    return np.array(rows[:-1], dtype=int), np.array(rows[1:], dtype=int)


def _nearest_pairs(along: np.ndarray, delta: float, unit: str) -> tuple[np.ndarray, np.ndarray]:
    start = np.arange(len(along) - 1)
    target = along[start] + delta
    above = np.clip(np.searchsorted(along, target), start + 1, len(along) - 1)
    below = np.maximum(np.searchsorted(along, along[above - 1]), start + 1)  # the first of several that stand still
    end = np.where(np.abs(along[below] - target) <= np.abs(along[above] - target), below, above)
    off = 0.0 if unit == "frames" else 0.1 * delta
    kept = np.abs(along[end] - target) <= off
    return start[kept], end[kept]
