"""Paths of one body over time: lines in TUM's form, and rows of KITTI's odometry.

TUM (Sturm et al. 2012): `t tx ty tz qx qy qz qw`, world_from_body, t in s, # begins a comment. KITTI (Geiger et al.
2012): the 12 numbers of [R | t] row by row, world_from_cam, a line for each frame of a fixed rate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError, unknown_name
from geoloc.files import read_text, write_whole
from geoloc.io.pose_rows import NotAPose, PoseRows, looks_like, moment, numbers, unit_quaternion
from geoloc.io.rows import ReadReport
from geoloc.metrics.trajectory import Trajectory

ROTATION = 0.01  # how far R R^T may be from identity, in any cell
Row = tuple[float, np.ndarray, Rotation]


@dataclass(frozen=True, eq=False)
class ReadTrajectory:
    """The path of a file and the report on its reading."""

    trajectory: Trajectory
    report: ReadReport


def read_trajectory(path: Path | str, kind: str = "", fps: float = 0.0, start: float = 0.0) -> ReadTrajectory:
    """A path over time; `kind` of TRAJECTORY_READERS, or what the file looks like.

    KITTI's rows are frames: they need `fps` (frames/s), and the first lies at `start` (s). Malformed rows are left
    out and counted; rows out of order are sorted, which the report notes; a time that comes twice is refused.
    """
    kind = kind or looks_like(path)
    if kind in ("hloc", "csv"):
        raise InputError(f"{path}: poses of named images ({kind}), no path over time; read it with read_poses")
    if kind not in TRAJECTORY_READERS:
        raise unknown_name("form of paths", kind, TRAJECTORY_READERS, str(path))
    if kind == "kitti" and not 0 < fps < np.inf:
        raise InputError(f"{path}: KITTI's rows are frames; give their rate, such as fps=10 (found {fps})")
    rows = PoseRows(path, kind)
    found: list[Row] = []
    lines = [(i, line.split()) for i, line in enumerate(read_text(path).splitlines(), 1)]
    lines = [(i, cells) for i, cells in lines if cells and not cells[0].startswith("#")]
    for frame, (line, cells) in enumerate(lines):
        with rows.guarded(line):
            found.append(TRAJECTORY_READERS[kind](cells, start + frame / fps if fps else start))
    return _result(rows, found)


def write_trajectory(path: Path | str, trajectory: Trajectory) -> None:
    """Write a path in TUM's form, whole or not at all. Numbers come back bit by bit, rotations to 1e-15."""
    quaternion = trajectory.world_from_body.rotation.as_quat()
    rows = np.concatenate([trajectory.time[:, None], trajectory.xyz, quaternion], axis=1).tolist()
    write_whole(path, "".join(" ".join(map(repr, row)) + "\n" for row in rows))


def _tum_row(cells: list[str], _time: float) -> Row:
    if len(cells) != 8:
        raise NotAPose("not the 8 numbers t tx ty tz qx qy qz qw")
    values = numbers(cells)
    return moment(cells[0]), values[1:4], Rotation.from_quat(unit_quaternion(values[4:]))


def _kitti_row(cells: list[str], time: float) -> Row:
    if len(cells) != 12:
        raise NotAPose("not the 12 numbers of a 3 x 4 matrix")
    matrix = numbers(cells).reshape(3, 4)
    turn = matrix[:, :3]
    if np.abs(turn @ turn.T - np.eye(3)).max() > ROTATION or np.linalg.det(turn) < 0:
        raise NotAPose("the first three columns are no rotation")
    return time, matrix[:, 3], Rotation.from_matrix(turn)


def _result(rows: PoseRows, found: list[Row]) -> ReadTrajectory:
    time = np.array([row[0] for row in found])
    order = np.argsort(time, kind="stable")
    if (np.diff(order) < 0).any():
        rows.notes.append("its rows were not in the order of their times; they were sorted")
    report = rows.report("poses", len(found))
    twice = np.flatnonzero(np.diff(time[order]) == 0)
    if len(twice):
        again = float(time[order][twice[0]])
        raise InputError(f"{rows.path}: time {again!r} s comes twice; a body has one pose at a time")
    xyz = np.array([found[i][1] for i in order])
    rotation = Rotation.concatenate([found[i][2] for i in order])
    return ReadTrajectory(Trajectory(time[order], RigidTransform.from_components(xyz, rotation)), report)


# From the cells of a row, and the time (s) of its frame for forms that state none.
TRAJECTORY_READERS: dict[str, Callable[[list[str], float], Row]] = {"tum": _tum_row, "kitti": _kitti_row}
