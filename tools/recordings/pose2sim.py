"""Pose2Sim's calibration stills: a chessboard of 4 x 7 inner corners before four cameras of one make."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from geoloc.calibrate.board_detection import detect_boards
from geoloc.calibrate.boards import Board
from geoloc.calibrate.intrinsics import IntrinsicsFit, calibrate_intrinsics
from geoloc.errors import InputError
from geoloc.evaluation.measures import Blocks, of_counts
from geoloc.evaluation.report import Figure
from geoloc.files import read_text
from geoloc.io.pictures import find_pictures, read_pictures

RECORDING = "pose2sim_calib"
BOARD = Board("chessboard", 4, 7, 0.06)
UNIT = 64.0  # of Qualisys's file: sixty-fourths of a pixel
SURE = 1.96  # sigmas of a 95 % interval
PROTOCOL = "corners by the sector detector, freed as the boards tell"
PEER = "findChessboardCorners, cornerSubPix of 11 px, calibrateCamera, five coefficients"
FOCAL = "mean of fx and fy, less that of the reference; interval from the stated sigma alone, the reference's unknown"


@dataclass(frozen=True, eq=False)
class Result:
    """One camera: residuals of each picture (n, 2) px, focal length and its sigma (px; NaN where not stated)."""

    residual: tuple[np.ndarray, ...]
    focal: float
    sigma: float


def run(folder: Path) -> list[Figure]:
    """Residuals of all cameras and of the worst, focal lengths beside the reference; the usual chain as a peer."""
    reference = read_reference(folder / "Calib.qca.txt")
    stills = {name: find_pictures([folder / "intrinsics" / f"int_{name}_img"]) for name in reference}
    ours = {name: _result(calibrate(name, files)) for name, files in stills.items()}
    peers = {name: _peer(files) for name, files in stills.items()}
    part = f"cameras {', '.join(reference)}"
    figures = []
    for results, protocol, suffix in ((ours, PROTOCOL, ""), (peers, PEER, "_peer")):
        figures += _rms_figures(results, part, protocol, suffix)
        off = {name: 100 * (result.focal / reference[name] - 1) for name, result in results.items()}
        worst = max(off, key=lambda name: abs(off[name]))
        half = SURE * 100 * results[worst].sigma / reference[worst]
        value, said = abs(off[worst]), f"{protocol}; {FOCAL}; the worst camera, {worst}"
        bounds = (max(value - half, 0.0), value + half)
        figures.append(Figure(RECORDING, part, f"focal_error_worst{suffix}", value, *bounds, "%", said))
    for name, result in ours.items():
        value = 100 * (result.focal / reference[name] - 1)
        half = SURE * 100 * result.sigma / reference[name]
        bounds = (value - half, value + half)
        figures.append(Figure(RECORDING, f"camera {name}", "focal_error", value, *bounds, "%", f"{PROTOCOL}; {FOCAL}"))
    return figures


def calibrate(name: str, files: list[Path]) -> IntrinsicsFit:
    """The lens of one camera out of its stills."""
    found = detect_boards(read_pictures(files, 1), BOARD, name)
    return calibrate_intrinsics(found.corners, BOARD, found.size)


def read_reference(path: Path) -> dict[str, float]:
    """Focal length (px, mean of both axes) of each camera in a Qualisys calibration file."""
    try:
        root = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: not XML ({error})") from error
    lenses = {camera.get("serial", ""): camera.find("intrinsic") for camera in root.iter("camera")}
    if not lenses or None in lenses.values():
        raise InputError(f"{path}: no cameras with intrinsics in it")
    return {
        name: float(np.mean([float(lens.get(f"focalLength{axis}", "nan")) for axis in "UV"]) / UNIT)
        for name, lens in lenses.items()
        if lens is not None
    }


def _result(fit: IntrinsicsFit) -> Result:
    by_view = tuple(fit.residual[fit.used & (fit.corners.view == view)] for view in fit.views)
    half = np.array([0.5, 0.5])
    sigma = float(np.sqrt(half @ fit.cov[:2, :2] @ half))
    return Result(by_view, float(fit.lens.params[:2].mean()), sigma)


def _rms_figures(results: dict[str, Result], part: str, protocol: str, suffix: str) -> list[Figure]:
    """Root mean square residual over all cameras, and of the camera where it is largest."""
    rms = {name: float(np.sqrt((np.concatenate(r.residual) ** 2).sum(axis=1).mean())) for name, r in results.items()}
    worst = max(rms, key=lambda name: rms[name])
    groups = {"rms": [r for result in results.values() for r in result.residual], "rms_worst": results[worst].residual}
    figures = []
    for name, residual in groups.items():
        counts = np.array([[(r**2).sum(), len(r)] for r in residual])
        blocks = Blocks(np.arange(len(counts)), len(counts))
        said = f"{protocol}; {int(counts[:, 1].sum())} corners of {len(counts)} pictures"
        said += f"; the worst camera, {worst}" if name == "rms_worst" else ""
        measure = of_counts(f"{name}{suffix}", "px", said, counts, blocks, lambda n: np.sqrt(n[..., 0] / n[..., 1]))
        figures.append(measure.figure(RECORDING, part, "bootstrap over pictures"))
    return figures


def _peer(files: list[Path]) -> Result:
    """What most programs do: every board found counts, all five coefficients are free."""
    shape = (BOARD.columns, BOARD.rows)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-3)
    corners, size = [], (0, 0)
    for _, grey in read_pictures(files, 1):
        found, pixel = cv2.findChessboardCorners(grey, shape)
        size = (grey.shape[1], grey.shape[0])
        if found:
            corners.append(cv2.cornerSubPix(grey, pixel.astype(np.float32), (11, 11), (-1, -1), stop).reshape(-1, 2))
    points = [BOARD.points.astype(np.float32)] * len(corners)
    _, matrix, bend, turns, shifts = cv2.calibrateCamera(points, corners, size, None, None)
    projected = [
        cv2.projectPoints(BOARD.points, turn, shift, matrix, bend)[0].reshape(-1, 2)
        for turn, shift in zip(turns, shifts, strict=True)
    ]
    residual = tuple(np.asarray(c - p, float) for c, p in zip(corners, projected, strict=True))
    return Result(residual, float(matrix[[0, 1], [0, 1]].mean()), float("nan"))
