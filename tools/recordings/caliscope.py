"""caliscope: a ChArUco board carried through the views of four cameras, and the camera array that it gave."""

import tomllib
from pathlib import Path

import numpy as np

from geoloc.calibrate.board_rig import calibrate_rig
from geoloc.calibrate.boards import Board, BoardCorners
from geoloc.errors import InputError
from geoloc.estimators.triangulation import TriangulationOptions, triangulate
from geoloc.evaluation.measures import Blocks, of_counts, of_mean
from geoloc.evaluation.report import Figure
from geoloc.files import read_columns, read_text
from geoloc.geometry.se3 import from_rt
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential

RECORDING = "caliscope"
SQUARE_MM = 54.0
BOARD = Board("charuco", 4, 5, 0.054, 0.0405, "DICT_4X4_1000")
MOMENTS = 5  # that follow each other are held out together, and are a block of the bootstrap
# the board moves between the cameras' exposures by millimetres: no view is an outlier for it
LOOSE = TriangulationOptions(robust=False, gate_probability=1 - 1e-12, max_relative_sigma=10.0)
SIGMA_PX = 3.0
PROTOCOL = "adjacent corners of the board, each triangulated by itself from all cameras that saw it"
HELD_OUT = f"{PROTOCOL}; every {MOMENTS} moments by cameras out of the others' {MOMENTS}"
SAME = f"{PROTOCOL}; cameras out of the same moments"
PEER = f"{PROTOCOL}; the reference's cameras, out of the same moments"


def run(folder: Path) -> list[Figure]:
    """Lengths of the board's squares by cameras calibrated here, held out and not, and by the reference's."""
    folder = folder / "post_optimization"
    corners = read_corners(folder / "calibration" / "extrinsic" / "CHARUCO" / "xy_CHARUCO.csv")
    reference = read_array(folder / "camera_array.toml")
    block = blocks_of(corners)
    runs = {"_same": (SAME, _lengths(corners, _calibrated(corners, reference), block))}
    runs["_peer"] = (PEER, _lengths(corners, reference, block))
    halves = []
    for half in (0, 1):
        out = block % 2 == half
        cameras = _calibrated(corners.take(~out), reference)
        halves.append(_lengths(corners.take(out), cameras, block[out]))
    lengths, blocks = (np.concatenate(column) for column in zip(*halves, strict=True))
    figures = _figures("", HELD_OUT, lengths, blocks)
    for suffix, (said, (lengths, blocks)) in runs.items():
        figures += _figures(suffix, said, lengths, blocks)
    return figures


def read_corners(path: Path) -> BoardCorners:
    """The corners that caliscope found; a view is one moment."""
    columns = read_columns(path)
    try:
        pixel = np.array([columns["img_loc_x"], columns["img_loc_y"]], float).T
        view = np.char.zfill(np.array(columns["sync_index"]), 4)
        camera = np.char.add("cam_", np.array(columns["cam_id"]))
        return BoardCorners(camera=camera, view=view, corner=np.array(columns["keypoint_id"], int), pixel=pixel)
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: not a table of ChArUco corners ({error})") from error


def read_array(path: Path) -> tuple[Camera, ...]:
    """The cameras of a caliscope array."""
    try:
        entries = tomllib.loads(read_text(path))["cameras"]
        return tuple(_camera(f"cam_{number}", entry) for number, entry in sorted(entries.items()))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a camera array of caliscope ({error})") from error


def _camera(name: str, entry: dict) -> Camera:
    matrix = np.array(entry["matrix"], float)
    lens = RadialTangential(np.array([*matrix[[0, 1], [0, 1]], *matrix[:2, 2], *entry["distortions"]]))
    pose = from_rt(np.array(entry["rotation"], float), np.array(entry["translation"], float))
    return Camera(name, lens, (int(entry["size"][0]), int(entry["size"][1])), pose)


def blocks_of(corners: BoardCorners) -> np.ndarray:
    """The block of MOMENTS moments that each corner (N,) belongs to."""
    _, moment = np.unique(corners.view, return_inverse=True)
    return np.asarray(moment.reshape(-1) // MOMENTS)


def _calibrated(corners: BoardCorners, like: tuple[Camera, ...]) -> tuple[Camera, ...]:
    return calibrate_rig(corners, BOARD, {camera.name: camera.size for camera in like}).cameras


def _lengths(
    corners: BoardCorners, cameras: tuple[Camera, ...], block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (K,) mm between adjacent corners of one moment, and the blocks (K,) that they are of."""
    names = [camera.name for camera in cameras]
    n = len(BOARD.points)
    _, first, moment = np.unique(corners.view, return_index=True, return_inverse=True)
    moment = moment.reshape(-1)
    pixels = np.full((len(first) * n, len(cameras), 2), np.nan)
    pixels[moment * n + corners.corner, [names.index(name) for name in corners.camera.tolist()]] = corners.pixel
    xyz = triangulate(pixels, cameras, SIGMA_PX**2 * np.eye(2), LOOSE).xyz
    xyz = xyz.reshape(len(first), BOARD.down, BOARD.across, 3)
    found = [np.linalg.norm(np.diff(xyz, axis=axis), axis=-1).reshape(len(first), -1) for axis in (1, 2)]
    lengths = 1000 * np.concatenate(found, axis=1)
    at, _ = np.nonzero(np.isfinite(lengths))
    return lengths[np.isfinite(lengths)], block[first][at]


def _figures(suffix: str, said: str, lengths: np.ndarray, block: np.ndarray) -> list[Figure]:
    _, block = np.unique(block, return_inverse=True)
    blocks = Blocks(block.reshape(-1), int(block.max()) + 1)
    said = f"{said}; {len(lengths)} pairs, {SQUARE_MM:g} mm true"
    counts = np.column_stack([(lengths - SQUARE_MM) ** 2, np.ones(len(lengths))])
    measures = [
        of_mean(f"adjacent_mean{suffix}", "mm", said, lengths, blocks),
        of_counts(f"adjacent_rms_error{suffix}", "mm", said, counts, blocks, lambda n: np.sqrt(n[..., 0] / n[..., 1])),
    ]
    over = f"bootstrap over blocks of {MOMENTS} moments"
    return [measure.figure(RECORDING, "4 cameras", over) for measure in measures]
