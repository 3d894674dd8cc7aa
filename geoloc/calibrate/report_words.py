"""What a calibration report says in plain words: of a camera's marks, of where they lie, of the whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.calibrate.ground_cells import LevelGround
from geoloc.calibrate.marks_left_out import MarkChecks
from geoloc.calibrate.quality import GroundSight, words_on_geometry
from geoloc.calibrate.solution import Solution
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import ControlPoint, SiteMap

FEW_LEFT = 4  # observations left over, below which a wrong mark may go unseen
MANY_WRONG = 0.3  # share of a camera's marks that are outliers, from which the lens is doubted
MOST_NAMED = 8  # names that are listed
WIDE = 2.0  # times their stated sigmas that marks may scatter
FAR_OFF = 4.0  # sigmas by which an adjustment may move a control point
TOGETHER = 3.0  # times their scatter that points must all move to have moved together


@dataclass(frozen=True)
class PointMove:
    """A control point of the map that the adjustment moved: by how much (m), and that in its own sigmas."""

    name: str
    moved: tuple[float, float, float]
    sigmas: float


def words_on_marks(camera: Camera, checks: MarkChecks, times: float, over: int, state: str) -> list[str]:
    """What the marks say of each other."""
    rows = checks.of(camera.name)
    said = []
    if state == "no error stated":
        said.append("it states no error: nothing can be said about how sure it is; calibrate it from marks")
    for row in rows[checks.suspicious[rows]].tolist():
        off = float(np.linalg.norm(checks.left_out[row]))
        name = str(checks.marks.point[row])
        said.append(
            f"mark {name!r} lies {off:.1f} px from where the others put it, {checks.surprise[row]:.1f} sigmas: "
            "is it the same thing in still and map?"
        )
    if times > WIDE:
        said.append(f"its marks scatter {times:.1f} times as much as their sigmas say: look for swapped marks")
    if state == "unchecked":
        more = -(-(FEW_LEFT - over) // 2)
        marks = "a mark more" if more == 1 else f"{more} marks more"
        said.append(f"its marks just suffice: a wrong one would not show; add at least {marks}")
    out = rows[~checks.used[rows] & np.isfinite(checks.residual[rows]).all(axis=1)]
    if len(out):
        names = _listed(checks.marks.point[out].tolist())
        said.append(f"not used, as an outlier: {names}" if len(out) == 1 else f"not used, as outliers: {names}")
    if len(out) > MANY_WRONG * len(rows):
        said.append("so many are wrong only if names were mixed up, or the lens is another, such as a fisheye: give it")
    return said


def words_on_places(
    camera: Camera, checks: MarkChecks, rows: np.ndarray, used: np.ndarray, sight: GroundSight | None
) -> list[str]:
    """What is weak about where the marks lie; `rows` are all of the camera's, `used` those that had a say."""
    if sight is None:
        return ["it is known by a homography only: no heights, no triangulation"]
    if not len(rows):
        return ["it has no marks in this calibration: it is kept as it was"]
    placed = np.isfinite(checks.xyz[rows]).all(axis=1)
    lost, behind = rows[~placed], rows[placed & ~np.isfinite(checks.residual[rows]).all(axis=1)]
    said = []
    if len(lost):
        names = _listed(checks.marks.point[lost].tolist())
        said.append(
            f"marks of points that neither the map nor another camera places: {names}; survey them, or leave them"
        )
    if len(behind):
        names = _listed(checks.marks.point[behind].tolist())
        said.append(
            f"marks of points that lie behind it or outside its lens's field: {names}; are they the same things?"
        )
    return said + words_on_geometry(camera, checks.xyz[used], checks.marks.pixel[used], sight)


def _listed(names: list[str], quoted: bool = True) -> str:
    """The first few names of many."""
    rest = len(names) - MOST_NAMED
    return ", ".join(map(repr if quoted else str, names[:MOST_NAMED])) + (f" and {rest} more" if rest > 0 else "")


def point_moves(solution: Solution, site_map: SiteMap) -> tuple[PointMove, ...]:
    """Control points that the adjustment moved, farthest in sigmas first."""
    after = {point.name: point for point in solution.points}
    found = [_move(point, after[point.name]) for point in site_map.control_points if point.name in after]
    return tuple(sorted((move for move in found if any(move.moved)), key=lambda move: -move.sigmas))


def _move(before: ControlPoint, after: ControlPoint) -> PointMove:
    moved = np.subtract(after.xyz, before.xyz)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigmas = np.where(moved == 0, 0.0, np.abs(moved) / np.asarray(before.sigma))
    x, y, z = moved.tolist()
    return PointMove(before.name, (x, y, z), float(sigmas.max()))


def words_on_all(
    names: tuple[str, ...], shared: np.ndarray, moves: tuple[PointMove, ...], grounds: Sequence[LevelGround]
) -> list[str]:
    """What is to be said of the whole."""
    said = _words_on_moves(moves)
    groups = _groups(shared)
    if len(groups) > 1:
        listed = "; ".join(", ".join(names[i] for i in group) for group in groups)
        said.append(f"the cameras fall into {len(groups)} groups that share no ground: {listed}")
    for ground in grounds:
        blind = [stall.name for stall in ground.stalls if stall.blind]
        if len(blind) == len(ground.stalls) > 0 and not ground.seen_m2:
            said.append(f"no camera sees level {ground.name!r}")
        elif blind:
            of = f"{len(blind)} of {len(ground.stalls)} stalls of level {ground.name!r} are blind"
            said.append(f"{of} (less than half seen): {_listed(blind, quoted=False)}")
    return said


def _words_on_moves(moves: tuple[PointMove, ...]) -> list[str]:
    far = [move for move in moves if move.sigmas > FAR_OFF]
    if not far:
        return []
    moved = np.array([move.moved for move in far])
    mean, spread = moved.mean(axis=0), moved.std(axis=0).max()
    names = ", ".join(repr(move.name) for move in far)
    length = float(np.linalg.norm(mean))
    if len(far) >= 3 and length > TOGETHER * spread:
        where = f"{length:.2f} m together (east {mean[0]:.2f}, north {mean[1]:.2f}, up {mean[2]:.2f})"
        return [f"{len(far)} control points moved {where}: is the map's origin right? {names}"]
    return [f"farther from their surveyed places than {FAR_OFF:.0f} sigmas: {names}; are they the same things?"]


def _groups(shared: np.ndarray) -> list[list[int]]:
    from scipy.sparse.csgraph import connected_components

    n, label = connected_components(shared > 0, directed=False)
    return [np.flatnonzero(label == i).tolist() for i in range(n)]
