"""Boards before a lens that is known: corners with noise, and rendered pictures."""

from functools import lru_cache

import cv2
import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.calibrate.boards import Board, BoardCorners
from geoloc.scene.lenses import Fisheye, Lens, RadialTangential

SIZE = (960, 640)
LENS = RadialTangential(np.array([700.0, 701.0, 488.0, 312.0, -0.2, 0.06, 0.0004, -0.0006, -0.01]))
DOME = Fisheye(np.array([380.0, 380.7, 488.0, 312.0, -0.02, 0.008, -0.003, 0.001]))
CHESS = Board("chessboard", 8, 5, 0.04)
CHARUCO = Board("charuco", 8, 6, 0.04, 0.03, "DICT_4X4_50")
DENSE, RIM = 40, 65  # px of a texture's square, and of the white around the board


def board_pose(lens: Lens, pixel, distance: float, tilt_deg, board: Board = CHESS) -> RigidTransform:
    """cam_from_board with the board's middle under `pixel`, `tilt_deg` about x, y and then z."""
    ray = lens.unproject(np.array([pixel], float))[0]
    turn = Rotation.from_euler("xyz", tilt_deg, degrees=True)
    middle = board.points.mean(axis=0)
    return RigidTransform.from_components(distance * ray, turn) * RigidTransform.from_translation(-middle)


def scattered_poses(
    rng: np.random.Generator, n: int, lens: Lens = LENS, spread: float = 1.0, distance=(0.35, 0.6), tilt_deg: float = 35
) -> list[RigidTransform]:
    """Boards all over the picture, or in its middle `spread`, tilted to all sides."""
    poses = []
    for _ in range(n):
        pixel = (np.array(SIZE) - 1) / 2 + spread * rng.uniform(-0.5, 0.5, 2) * np.array(SIZE)
        tilt = rng.uniform([-tilt_deg, -tilt_deg, -180], [tilt_deg, tilt_deg, 180])
        poses.append(board_pose(lens, pixel, rng.uniform(*distance), tilt))
    return poses


def seen_corners(
    poses, lens: Lens = LENS, board: Board = CHARUCO, sigma: float = 0.2, rng=None, camera: str = "gate"
) -> BoardCorners:
    """Corners of every pose that lie in the picture, with noise."""
    tables = []
    for i, pose in enumerate(poses):
        pixel = lens.project(pose.apply(board.points))
        inside = np.isfinite(pixel).all(axis=1) & (pixel > 0).all(axis=1) & (pixel < np.array(SIZE) - 1).all(axis=1)
        number = np.flatnonzero(inside)
        if len(number) < 8:
            continue
        noise = 0.0 if rng is None else rng.normal(0, sigma, (len(number), 2))
        names = {"camera": np.full(len(number), camera), "view": np.full(len(number), f"v{i:02d}")}
        tables.append(BoardCorners(corner=number, pixel=pixel[number] + noise, **names))
    return BoardCorners.concat(tables)


@lru_cache
def texture(board: Board) -> tuple[np.ndarray, float]:
    """A picture of the board with a white rim, and where its first corner lies in it (px, both ways)."""
    if board.kind == "charuco":
        markers = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
        pattern = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square, board.marker, markers)
        inner = pattern.generateImage((board.columns * DENSE, board.rows * DENSE), marginSize=0)
    else:
        row, column = np.indices(((board.rows + 1) * DENSE, (board.columns + 1) * DENSE)) // DENSE
        inner = (255 * ((row + column) % 2)).astype(np.uint8)
    return cv2.copyMakeBorder(inner, *[RIM] * 4, cv2.BORDER_CONSTANT, value=255), RIM + DENSE - 0.5


@lru_cache(maxsize=2)
def pixel_rays(lens: Lens, size) -> list[np.ndarray]:
    """Rays of four points of every pixel."""
    u, v = np.meshgrid(np.arange(size[0], dtype=float), np.arange(size[1], dtype=float))
    shifts = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))
    return [lens.unproject(np.column_stack([u.ravel() + du, v.ravel() + dv])) for du, dv in shifts]


def render(pose: RigidTransform, board: Board = CHESS, lens: Lens = LENS, size=SIZE, rng=None) -> np.ndarray:
    """What the lens sees of the board at cam_from_board, on grey, with a little noise."""
    picture, origin = texture(board)
    total = np.zeros((size[1], size[0]))
    inverse = pose.inv()
    for rays in pixel_rays(lens, size):
        rays_board = inverse.rotation.apply(rays)
        scale = -inverse.translation[2] / rays_board[:, 2]
        at = inverse.translation + scale[:, None] * rays_board
        place = np.where((scale > 0)[:, None], at[:, :2] / board.square * DENSE + origin, -1e4)
        place = np.nan_to_num(place, nan=-1e4).astype(np.float32).reshape(size[1], size[0], 2)
        total += cv2.remap(picture, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderValue=120)
    noise = 0.0 if rng is None else rng.normal(0, 2.0, total.shape)
    return np.clip(40 + 0.65 * total / 4 + noise, 0, 255).astype(np.uint8)
