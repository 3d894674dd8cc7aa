"""Poses of named images: hloc's result lines, and geoloc's CSV with refusals and covariances.

hloc and the long-term localization benchmark (Sattler et al. 2018) have lines of `name qw qx qy qz tx ty tz`,
cam_from_world; they know no refusals: an image that is not listed has no answer.

geoloc's CSV has a header and these columns, in any order:
    image                       name of the image; each comes once
    time, camera                UTC Unix s and the camera's name; may be empty or left out
    state, reason               "answered" (or empty) or "refused" and why; may be left out
    qw, qx, qy, qz              rotation cam_from_world
    tx, ty, tz  or  x, y, z     translation cam_from_world (m), or the camera's centre in the world (m)
    cov_rx_rx ... cov_tz_tz     21 columns, all or none: the upper triangle, row by row, of the covariance of xi in
                                exp(xi) * cam_from_world, rotation (rad) then translation (m); may be empty
The pose of a refused image is empty. Files of paths over time are in `trajectories`.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError, unknown_name
from geoloc.files import read_columns, read_text, write_whole
from geoloc.geometry.gaussian import is_covariance
from geoloc.io.pose_rows import NotAPose, PoseRows, looks_like, moment, numbers, unit_quaternion
from geoloc.io.rows import ReadReport

ANSWERED, REFUSED = "answered", "refused"
AXES = ("rx", "ry", "rz", "tx", "ty", "tz")
UPPER = [(i, j) for i in range(6) for j in range(i, 6)]
COV_COLUMNS = [f"cov_{AXES[i]}_{AXES[j]}" for i, j in UPPER]
QUATERNION, TRANSLATION, CENTRE = ("qw", "qx", "qy", "qz"), ("tx", "ty", "tz"), ("x", "y", "z")
NO_COV = np.full((6, 6), np.nan)


@dataclass(frozen=True, eq=False)
class NamedPoses:
    """N poses of named images, and R images whose pose was refused. Every name comes once.

    `image` (N,) str, `cam_from_world` (N,), `time` (N,) s (NaN: unknown), `camera` (N,) str ("": unknown), `cov`
    (N, 6, 6) of xi in exp(xi) * cam_from_world (NaN: unstated); `refused` (R,) str and `reason` (R,) str.
    """

    image: np.ndarray
    cam_from_world: RigidTransform
    time: np.ndarray
    camera: np.ndarray
    cov: np.ndarray
    refused: np.ndarray
    reason: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.image)
        shapes = np.shape(self.time), np.shape(self.camera), np.shape(self.cov), np.shape(self.reason)
        if self.cam_from_world.single or len(self.cam_from_world) != n:
            raise InputError(f"poses: {n} images need a batch of {n} poses, such as RigidTransform.concatenate")
        if shapes != ((n,), (n,), (n, 6, 6), np.shape(self.refused)):
            raise InputError(f"poses: {n} images, {len(self.refused)} refused; time, camera, cov, reason are {shapes}")
        names, count = np.unique(np.concatenate([self.image, self.refused]), return_counts=True)
        if (count > 1).any():
            raise InputError(f"poses: image {str(names[count > 1][0])!r} comes {count.max()} times; give each once")

    @classmethod
    def of(cls, image: Sequence[str], cam_from_world: RigidTransform) -> "NamedPoses":
        """Poses of which only the names are known; the rest is filled by `dataclasses.replace`."""
        n, none = len(image), np.empty(0, dtype=str)
        unknown = np.full(n, np.nan), np.full(n, ""), np.tile(NO_COV, (n, 1, 1))
        return cls(np.array(image, dtype=str), cam_from_world, *unknown, none, none)

    def __len__(self) -> int:
        return len(self.image)

    def without_folders(self) -> "NamedPoses":
        """The same poses by the last part of their names: hloc's results leave the folders out."""
        short = [
            np.array([name.rsplit("/", 1)[-1] for name in part.tolist()], dtype=str)
            for part in (self.image, self.refused)
        ]
        return replace(self, image=short[0], refused=short[1])


@dataclass(frozen=True, eq=False)
class ReadPoses:
    """Poses of a file and the report on its reading."""

    poses: NamedPoses
    report: ReadReport


def look_poses(path: Path | str) -> str:
    """What a file of poses looks like: "hloc", "csv", "tum", "kitti", "empty" or "unknown"."""
    return looks_like(path)


def read_poses(path: Path | str, kind: str = "") -> ReadPoses:
    """Poses of named images; `kind` of POSE_READERS, or what the file looks like.

    Malformed rows are left out and counted; an image that comes twice is refused by name.
    """
    kind = kind or look_poses(path)
    if kind in ("tum", "kitti"):
        raise InputError(f"{path}: a path over time ({kind}), without names of images; read it with read_trajectory")
    if kind not in POSE_READERS:
        raise unknown_name("form of poses", kind, POSE_READERS, str(path))
    return POSE_READERS[kind](path)


def write_poses(path: Path | str, poses: NamedPoses) -> None:
    """Write poses, whole or not at all: geoloc's CSV if the name ends in .csv, else hloc's lines.

    Numbers come back bit by bit, rotations to 1e-15. hloc's lines hold neither refusals nor covariances, cameras and
    times.
    """
    write_whole(path, _csv_text(poses) if Path(path).suffix.lower() == ".csv" else _hloc_text(path, poses))


def _read_hloc(path: Path | str) -> ReadPoses:
    rows = PoseRows(path, "hloc")
    found: list[_Row] = []
    for line, text in enumerate(read_text(path).splitlines(), 1):
        cells = text.split()
        if not cells or cells[0].startswith("#"):
            continue
        with rows.guarded(line):
            if len(cells) != 8:
                raise NotAPose("not the 8 cells name qw qx qy qz tx ty tz")
            values = numbers(cells[1:])
            found.append(_Row(cells[0], unit_quaternion(values[:4]), values[4:]))
    return _result(rows, found, TRANSLATION)


def _read_csv(path: Path | str) -> ReadPoses:
    columns = read_columns(path)
    place = _place_columns(columns, path)
    stated = _has_covariances(columns, path)
    rows = PoseRows(path, "csv", "row")
    found: list[_Row] = []
    for row in range(len(columns["image"])):
        cells = {name: values[row].strip() for name, values in columns.items()}
        with rows.guarded(row + 1):
            found.append(_csv_row(cells, place, stated))
    return _result(rows, found, place)


@dataclass(frozen=True, eq=False)
class _Row:
    """One image: rotation as (w, x, y, z) and position (3,) m, both empty where it was refused."""

    image: str
    quaternion: np.ndarray
    position: np.ndarray
    time: float = float("nan")
    camera: str = ""
    reason: str = ""
    cov: np.ndarray = field(default_factory=lambda: NO_COV)


def _csv_row(cells: dict[str, str], place: tuple[str, ...], stated: bool) -> _Row:
    if not cells["image"]:
        raise NotAPose("no name of an image")
    state = cells.get("state") or ANSWERED
    if state not in (ANSWERED, REFUSED):
        raise NotAPose(f"the state is neither {ANSWERED} nor {REFUSED}")
    time = moment(cells["time"]) if cells.get("time") else float("nan")
    camera = cells.get("camera", "")
    if state == REFUSED:
        return _Row(cells["image"], np.empty(0), np.empty(0), time, camera, cells.get("reason", ""))
    values = numbers([cells[name] for name in (*QUATERNION, *place)])
    cov = _covariance([cells[name] for name in COV_COLUMNS]) if stated else NO_COV
    return _Row(cells["image"], unit_quaternion(values[:4]), values[4:], time, camera, "", cov)


def _covariance(cells: list[str]) -> np.ndarray:
    if not any(cells):
        return NO_COV
    cov = np.empty((6, 6))
    for (i, j), value in zip(UPPER, numbers(cells), strict=True):
        cov[i, j] = cov[j, i] = value
    if not is_covariance(cov):
        raise NotAPose("the covariance is not positive definite")
    return cov


def _place_columns(columns: dict[str, list[str]], path: Path | str) -> tuple[str, ...]:
    """The columns of positions; InputError where the file is not of poses."""
    missing = [name for name in ("image", *QUATERNION) if name not in columns]
    places = [place for place in (TRANSLATION, CENTRE) if set(place) <= columns.keys()]
    if missing or len(places) != 1:
        missing = missing or ["either tx, ty, tz or x, y, z"]
        raise InputError(f"{path}: not a CSV of poses; it needs {', '.join(missing)}, and has {', '.join(columns)}")
    return places[0]


def _has_covariances(columns: dict[str, list[str]], path: Path | str) -> bool:
    missing = [name for name in COV_COLUMNS if name not in columns]
    if 0 < len(missing) < len(COV_COLUMNS):
        raise InputError(f"{path}: covariances lack {', '.join(missing[:5])}; give all {len(COV_COLUMNS)} columns")
    return not missing


def _result(rows: PoseRows, found: list[_Row], place: tuple[str, ...]) -> ReadPoses:
    report = rows.report("poses", len(found))
    answered = [row for row in found if len(row.position)]
    declined = [row for row in found if not len(row.position)]
    rotation = Rotation.from_quat(np.array([r.quaternion for r in answered]).reshape(-1, 4), scalar_first=True)
    position = np.array([r.position for r in answered]).reshape(-1, 3)
    shift = position if place == TRANSLATION else -rotation.apply(position)
    try:
        poses = NamedPoses(
            image=np.array([r.image for r in answered], dtype=str),
            cam_from_world=RigidTransform.from_components(shift, rotation),
            time=np.array([r.time for r in answered], dtype=float),
            camera=np.array([r.camera for r in answered], dtype=str),
            cov=np.array([r.cov for r in answered]).reshape(-1, 6, 6),
            refused=np.array([r.image for r in declined], dtype=str),
            reason=np.array([r.reason for r in declined], dtype=str),
        )
    except InputError as error:
        raise InputError(f"{rows.path}: {error}") from error
    return ReadPoses(poses, report)


def _csv_text(poses: NamedPoses) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["image", "time", "camera", "state", "reason", *QUATERNION, *TRANSLATION, *COV_COLUMNS])
    quaternion = poses.cam_from_world.rotation.as_quat(scalar_first=True)
    upper = poses.cov[:, [i for i, _ in UPPER], [j for _, j in UPPER]]
    values = np.concatenate([quaternion, poses.cam_from_world.translation, upper], axis=1).tolist()
    for image, time, camera, row in zip(poses.image, poses.time.tolist(), poses.camera, values, strict=True):
        writer.writerow([image, _cell(time), camera, ANSWERED, "", *map(_cell, row)])
    for image, reason in zip(poses.refused, poses.reason, strict=True):
        writer.writerow([image, "", "", REFUSED, reason, *[""] * (7 + len(COV_COLUMNS))])
    return out.getvalue()


def _cell(value: float) -> str:
    return "" if np.isnan(value) else repr(value)


def _hloc_text(path: Path | str, poses: NamedPoses) -> str:
    for name in poses.image.tolist():
        if name.split() != [name]:
            raise InputError(f"{path}: image {name!r} is empty or holds blanks, for which hloc's lines have no form")
    quaternion = poses.cam_from_world.rotation.as_quat(scalar_first=True)
    rows = np.concatenate([quaternion, poses.cam_from_world.translation], axis=1).tolist()
    return "".join(f"{name} {' '.join(map(repr, row))}\n" for name, row in zip(poses.image, rows, strict=True))


POSE_READERS: dict[str, Callable[[Path | str], ReadPoses]] = {"hloc": _read_hloc, "csv": _read_csv}
