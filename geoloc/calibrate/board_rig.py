"""Several cameras out of one board that they see at the same moments: lenses and poses in one adjustment."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial.transform import RigidTransform

from geoloc.calibrate.board_adjustment import Adjusted, Priors, Sightings, State, adjust, bare_camera, by_unknowns
from geoloc.calibrate.board_settling import Settled, settle
from geoloc.calibrate.board_slip import Slip, next_slip
from geoloc.calibrate.board_start import first_state
from geoloc.calibrate.boards import FEWEST_CORNERS, Board, BoardCorners, RefusedView
from geoloc.calibrate.intrinsics import (
    AUTO,
    FEWEST_VIEWS,
    UNKNOWNS,
    IntrinsicsOptions,
    check_model,
    check_numbers,
    final_priors,
    freed_unknowns,
    require_focal,
    typical_priors,
)
from geoloc.errors import GeometryError, InputError
from geoloc.scene.camera import Camera
from geoloc.scene.columns import name_codes

MOST_COMPARED = 100  # views of a pair of cameras that are compared with each other
FIRST = Slip(0.01, 0.005)  # of the board, before the pictures have said more
WILD = 5.0  # times the typical slip; a picture beyond it shows another moment
MAX_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class RigFit:
    """Cameras in the frame of the first, and what the views say of them.

    Each camera's `calib_cov` is of its pose relative to the first camera (whose own is zero) and of its whole lens;
    `cov` (C, C) blocks of 6 + P joins those of all cameras, in their order. `residual` (N, 2) px, marked less
    predicted, and `used` (N,) are of the rows of `corners`. `world_from_board` is of `views`.
    """

    cameras: tuple[Camera, ...]
    cov: np.ndarray
    held: dict[str, tuple[str, ...]]  # of each camera, the unknowns that the boards do not tell
    sigma_px: np.ndarray  # (C,) noise of each axis of a corner in each camera
    slip: Slip  # how far the board moved between the cameras' exposures
    corners: BoardCorners
    residual: np.ndarray
    used: np.ndarray
    views: tuple[str, ...]
    world_from_board: RigidTransform
    refused: tuple[RefusedView, ...] = ()

    @property
    def rms_px(self) -> float:
        """Root mean square length of the residuals that count."""
        return float(np.sqrt((self.residual[self.used] ** 2).sum(axis=1).mean()))


def calibrate_rig(
    corners: BoardCorners,
    board: Board,
    sizes: Mapping[str, tuple[int, int]],
    model: str = "radial_tangential",
    options: IntrinsicsOptions | None = None,
) -> RigFit:
    """Calibrate cameras, lenses and poses, from corners of a ChArUco board that they see at the same moments.

    `sizes` names the cameras, with the (width, height) px of their pictures; the first is the world's frame. Lenses
    are freed as by `calibrate_intrinsics`. GeometryError for cameras that never see the board together, and for a
    focal length that is not told.
    """
    options = options or IntrinsicsOptions()
    check_model(model, AUTO)
    names = _check_rig(corners, board, sizes)
    views, view = name_codes(corners.view)
    camera = np.array([names.index(name) for name in corners.camera.tolist()])
    seen = Sightings(camera, view, board.points[corners.corner], corners.pixel)
    picture = camera * len(views) + view
    enough = (np.bincount(picture)[picture] >= FEWEST_CORNERS) & np.isfinite(corners.pixel).all(axis=1)
    singles = [_single(name, i, seen, enough, model, sizes[name], options) for i, name in enumerate(names)]
    used = np.zeros(len(view), bool)
    used[np.concatenate([one.rows for one in singles])] = True
    sigma = np.array([one.sigma_px for one in singles])
    left_out = {where: reason for one in singles for where, reason in one.left_out.items()}
    state = _joined(names, singles, seen, used, len(views))
    adjusted = adjust(state, seen, used, typical_priors(state, options), 3.0 * sigma, robust=True)
    start = Settled(adjusted, used, sigma, left_out)
    settled, slip = _settle(start, seen, lambda at: typical_priors(at, options), FIRST)
    for i in range(len(names)):
        require_focal(settled, i, seen, options)
    freed = [freed_unknowns(settled.adjusted, i, AUTO, options) for i in range(len(names))]
    settled, slip = _settle(settled, seen, lambda at: final_priors(at, freed, AUTO, options), slip)
    kept = np.unique(view[settled.used])
    cameras, cov = _with_cov(settled.adjusted)
    return RigFit(
        cameras=cameras,
        cov=cov,
        held={name: tuple(np.array(UNKNOWNS[model])[~own].tolist()) for name, own in zip(names, freed, strict=True)},
        sigma_px=sigma,
        slip=slip,
        corners=corners,
        residual=np.where(np.isin(view, kept)[:, None], settled.adjusted.residual, np.nan),
        used=settled.used,
        views=tuple(views[v] for v in kept),
        world_from_board=settled.adjusted.state.world_from_board[kept],
        refused=tuple(RefusedView(f"{names[c]} {views[v]}", reason) for (c, v), reason in settled.left_out.items()),
    )


def _check_rig(corners: BoardCorners, board: Board, sizes: Mapping[str, tuple[int, int]]) -> list[str]:
    names = list(sizes)
    if not board.is_oriented:
        raise InputError("a rig needs a ChArUco board: a chessboard can be taken for itself upside down")
    if len(names) < 2:
        raise InputError(f"a rig has two cameras or more; {len(names)} given")
    check_numbers(corners, board)
    unknown = sorted(set(corners.camera.tolist()) - set(names))
    if unknown:
        raise InputError(f"corners of camera {unknown[0]!r}, whose picture size is not given; it is of {names}")
    return names


def _settle(settled: Settled, seen: Sightings, priors: Priors, slip: Slip) -> tuple[Settled, Slip]:
    """Adjust with slips until their size is that of the minimum; pictures of another moment are left out."""
    adjusted, used, left_out = settled.adjusted, settled.used.copy(), dict(settled.left_out)
    for _ in range(MAX_ROUNDS):
        adjusted = adjust(adjusted.state, seen, used, priors(adjusted.state), settled.sigma_px, slip=slip)
        length = np.array([np.linalg.norm(one.slip, axis=1) for one in adjusted.slips])
        wild = np.argwhere(length > WILD * np.nanmedian(length))
        before, slip = slip, next_slip(slip, adjusted.slips)
        for c, v in wild.tolist():
            left_out[c, v] = "the board lies elsewhere than for the other cameras: it is not the same moment"
            used &= ~((seen.camera == c) & (seen.view == v))
        change = np.abs(np.log(slip.scale / before.scale)).max()
        if not len(wild) and change < 0.01:
            break
    return Settled(adjusted, used, settled.sigma_px, left_out), slip


@dataclass(frozen=True, eq=False)
class _Single:
    """One camera by itself: bare camera, views (n,) that it saw well, the board's pose in each, rows that fit."""

    camera: Camera
    views: np.ndarray
    cam_from_board: RigidTransform
    rows: np.ndarray
    sigma_px: float
    left_out: dict[tuple[int, int], str]


def _single(
    name: str, index: int, seen: Sightings, enough: np.ndarray, model: str, size: tuple[int, int],
    options: IntrinsicsOptions,
) -> _Single:  # fmt: skip
    rows = np.flatnonzero(enough & (seen.camera == index))
    views, view = np.unique(seen.view[rows], return_inverse=True)
    if len(views) < FEWEST_VIEWS:
        raise GeometryError(f"camera {name!r}: {len(views)} views show the board; {FEWEST_VIEWS} are the fewest")
    own = Sightings(np.zeros(len(rows), int), view.reshape(-1), seen.point[rows], seen.pixel[rows])
    used = np.ones(len(rows), bool)
    state = first_state(name, model, size, own, used, lambda at: typical_priors(at, options))
    settled = settle(state, own, used, lambda at: typical_priors(at, options), options.gates)
    kept = np.unique(own.view[settled.used])
    state = settled.adjusted.state
    left_out = {(index, int(views[v])): reason for (_, v), reason in settled.left_out.items()}
    poses = state.world_from_board[kept]
    return _Single(state.cameras[0], views[kept], poses, rows[settled.used], float(settled.sigma_px[0]), left_out)


def _joined(
    names: list[str], singles: list[_Single], seen: Sightings, used: np.ndarray, n_views: int
) -> State:
    """All cameras in the first one's frame, along the links that most views support; and the boards there."""
    poses = _chained(names, singles)
    cameras = tuple(
        bare_camera(name, one.camera.lens, one.camera.size, pose)
        for name, one, pose in zip(names, singles, poses, strict=True)
    )
    n_corners = np.zeros((len(names), n_views), int)
    np.add.at(n_corners, (seen.camera[used], seen.view[used]), 1)
    best = np.zeros(n_views, int)
    board = np.tile(np.eye(4), (n_views, 1, 1))
    for i, (one, pose) in enumerate(zip(singles, poses, strict=True)):
        world = (pose.inv() * one.cam_from_board).as_matrix()
        more = n_corners[i, one.views] > best[one.views]
        board[one.views[more]], best[one.views[more]] = world[more], n_corners[i, one.views[more]]
    return State(cameras, RigidTransform.from_matrix(board))


def _chained(names: list[str], singles: list[_Single]) -> list[RigidTransform]:
    """cam_from_first of every camera."""
    n = len(names)
    links: dict[tuple[int, int], RigidTransform] = {}
    shared = np.zeros((n, n))
    for a, b in combinations(range(n), 2):
        common, in_a, in_b = np.intersect1d(singles[a].views, singles[b].views, return_indices=True)
        if len(common):
            shared[a, b] = len(common)
            b_from_a = singles[b].cam_from_board[in_b] * singles[a].cam_from_board[in_a].inv()
            links[a, b] = _typical(b_from_a, singles[a].cam_from_board[in_a])
            links[b, a] = links[a, b].inv()
    _require_linked(names, shared)
    weights = np.divide(1.0, shared, out=np.zeros_like(shared), where=shared > 0)
    tree = minimum_spanning_tree(coo_array(weights))
    order, before = breadth_first_order(tree, 0, directed=False)
    poses = {0: RigidTransform.identity()}
    for i in order[1:].tolist():
        poses[i] = links[int(before[i]), i] * poses[int(before[i])]
    return [poses[i] for i in range(n)]


def _typical(moves: RigidTransform, boards: RigidTransform) -> RigidTransform:
    """The one of several measured transforms that most others agree with."""
    some = np.unique(np.linspace(0, len(moves) - 1, min(len(moves), MOST_COMPARED)).round().astype(int))
    distance = float(np.median(np.linalg.norm(boards.translation, axis=1)))
    matrix = moves[some].as_matrix()
    turned = np.linalg.norm(matrix[:, None, :3, :3] - matrix[None, :, :3, :3], axis=(2, 3)) * distance
    shifted = np.linalg.norm(matrix[:, None, :3, 3] - matrix[None, :, :3, 3], axis=2)
    return moves[int(some[np.argmin(np.median(turned + shifted, axis=1))])]


def _require_linked(names: list[str], shared: np.ndarray) -> None:
    n_groups, group = connected_components(coo_array(shared), directed=False)
    if n_groups > 1:
        groups = "; ".join(
            ", ".join(name for name, g in zip(names, group, strict=True) if g == k) for k in range(n_groups)
        )
        raise GeometryError(
            f"the cameras fall apart into {n_groups} groups that never see the board at once: {groups}; hold it where "
            "cameras of both see it"
        )


def _with_cov(adjusted: Adjusted) -> tuple[tuple[Camera, ...], np.ndarray]:
    """The cameras with their covariances, and that of all together."""
    blocks = []
    for i, camera in enumerate(adjusted.state.cameras):
        free = adjusted.free[i]
        block = np.zeros((6 + len(free), len(adjusted.columns[i])))
        n_pose = 6 * (i > 0)
        block[:n_pose, :n_pose] = np.eye(n_pose)
        block[6:, n_pose:] = by_unknowns(camera.lens)[:, free]
        blocks.append(block)
    ends = np.cumsum([0, *(len(block) for block in blocks)])
    by_all = np.zeros((ends[-1], len(adjusted.cov)))
    for block, columns, start in zip(blocks, adjusted.columns, ends, strict=False):
        by_all[start : start + len(block), columns] = block
    cov = by_all @ adjusted.cov @ by_all.T
    cameras = []
    for camera, start, block in zip(adjusted.state.cameras, ends, blocks, strict=False):
        own = slice(start, start + len(block))
        lens, names = camera.lens, camera.lens.parameter_names
        cameras.append(Camera(camera.name, lens, camera.size, camera.cam_from_world, cov[own, own], names))
    return tuple(cameras), cov
