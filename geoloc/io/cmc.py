"""The Curtin multi-camera recordings (Ong et al., PAMI 2020): people in a room, 4 cameras, appearance.

The publisher states 1920x1024 pixels, 4 frames a second and a room of 7.67 x 3.41 m. The camera matrices take
metres to pixels (same people in two cameras agree to 0.16 to 0.44 m on z = 0); boxes are left, top, right,
bottom, not cut at the image's edge, in the pixels that those matrices give: they are not shifted.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.files import find_files, read_bytes, read_numbers
from geoloc.geometry.se3 import pose_cov
from geoloc.io.matrices import camera_from_projection
from geoloc.io.recording_forms import read_fairmot
from geoloc.io.rows import ReadOptions, require_whole
from geoloc.io.truth import GroundTruth
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Detections

FPS = 4.0
SIZE = (1920, 1024)
ROOM = (0.0, 0.0, 7.67, 3.41)  # m
# where the published tracker follows people; furniture beyond it gives false alarms
TRACKED = (2.03, 0.0, 6.3, 3.41)
# The files state no accuracy. Assumed: 3 mrad of rotation, 3 cm of position.
ASSUMED_SIGMA = (0.003, 0.03)


def read_cmc(
    folder: Path | str, sequence: str = "CMC1", pose_sigma: tuple[float, float] = ASSUMED_SIGMA
) -> tuple[Site, Detections]:
    """Site and boxes with scores and appearance vectors of one sequence (a folder under `fairmot`)."""
    return read_cmc_site(folder, sequence, pose_sigma), read_cmc_boxes(folder, sequence)


def read_cmc_site(
    folder: Path | str, sequence: str = "CMC1", pose_sigma: tuple[float, float] = ASSUMED_SIGMA
) -> Site:
    """The four cameras and the room: one level `floor`, z = 0, no datum.

    CMC5 was recorded on another day: its cameras 3 and 4 have the matrices whose names end in `__`.
    """
    cameras = []
    for file in find_files(folder, "camera_matrices/cam*_cam_mat.mat", "camera matrix"):
        other = file.with_name(f"{file.stem}__.mat")
        matrix = read_matlab_matrix(other if sequence == "CMC5" and other.is_file() else file)
        lens, pose = camera_from_projection(matrix, str(file))
        name = "Cam_" + file.name.removeprefix("cam").partition("_")[0]
        cameras.append(Camera(name, lens, SIZE, pose, pose_cov(*pose_sigma)))
    zones = (
        Place("room", "floor", shapely.box(*ROOM)),
        Place("tracked area", "floor", shapely.box(*TRACKED), "area_of_interest"),
    )
    return Site(f"cmc {sequence}", tuple(cameras), SiteMap((Level("floor", (Surface(),)),), zones=zones))


def read_cmc_boxes(folder: Path | str, sequence: str = "CMC1") -> Detections:
    """Boxes of all cameras of a sequence; frame k of an archive is its array `k`, at k / 4 s."""
    files = find_files(folder, f"fairmot/{sequence}/Cam_*.npz", "boxes of a camera")
    table = Detections.concat([require_whole(read_fairmot(file, ReadOptions(fps=FPS))) for file in files])
    return table.replace(id=np.arange(len(table)))


def read_cmc_tracks(folder: Path | str, sequence: str = "CMC1") -> GroundTruth:
    """Output of the published tracker (not truth): identities and positions, on the clock of the boxes."""
    rows = read_numbers(Path(folder) / f"EST_{sequence}_WORLD_CENTROID.txt", 9)
    return GroundTruth(time=(rows[:, 0] - 1.0) / FPS, id=rows[:, 1].astype(int), xy=rows[:, 7:9])


def read_matlab_matrix(path: Path | str) -> np.ndarray:
    """The one matrix of doubles (3, 4) in a MATLAB file of version 5 or 7.3.

    A 7.3 file is HDF5; only what MATLAB writes for one small matrix is read: a compact data set of version 3.
    """
    content = read_bytes(path)
    if content.startswith(b"MATLAB 7.3"):
        return _read_compact_hdf5(content, path)
    if not content.startswith(b"MATLAB 5.0"):
        raise InputError(f"{path}: not a MATLAB file of version 5 or 7.3")
    from scipy.io.matlab import MatReadError, loadmat

    broken = (ValueError, TypeError, LookupError, OSError, EOFError, ArithmeticError, MemoryError, zlib.error)
    try:
        arrays = [value for name, value in loadmat(io.BytesIO(content)).items() if name[:2] != "__"]
    except (*broken, NotImplementedError, MatReadError) as error:
        raise InputError(f"{path}: a MATLAB file that cannot be read ({error})") from error
    if len(arrays) != 1 or arrays[0].shape != (3, 4):
        raise InputError(f"{path}: it must hold one matrix of 3 x 4, the camera's projection")
    return arrays[0].astype(float)


def _read_compact_hdf5(content: bytes, path: Path | str) -> np.ndarray:
    n_bytes = 12 * 8
    shape = struct.pack("<QQ", 4, 3)  # HDF5 keeps MATLAB's columns as rows
    layout = struct.pack("<BBH", 3, 0, n_bytes)
    start = content.find(layout) + len(layout)
    if shape not in content or start < len(layout) or len(content) < start + n_bytes:
        raise InputError(f"{path}: no compact 3 x 4 matrix in this HDF5 file; save it with MATLAB's -v6")
    return np.frombuffer(content, "<f8", count=12, offset=start).reshape(4, 3).T
