"""Where a scan of unknown pose may lie on a map: every place that its walls allow, and what its features say.

The scan's broadest planes give the vertical; over all headings the plan of its walls is correlated with that of the
map, and its floors give the height. So a second place that fits as well as the first is found, not overlooked.
Local features are of no use here: on a site of flat faces, one place's are like any other's.
"""

from importlib import import_module
from types import ModuleType

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.calibrate.scan_faces import Faces
from geoloc.errors import InputError

CELL = 0.5  # m, of the plans that are correlated
HEADING = np.pi / 90  # rad between the headings that are tried
PEAKS = 3  # places kept of each heading
PLACES = 14  # kept of all headings
HEIGHTS = 2  # floors tried at each place
APART = 3.0  # m and, at 20 m, about 9 degrees: places nearer to each other are one
UPRIGHT, FLAT = 0.3, 0.9  # |cosine| between a point's normal and the vertical


def require_open3d() -> ModuleType:
    """open3d, or InputError that names the extra and the system's libraries."""
    try:
        return import_module("open3d")
    except (ImportError, OSError) as error:
        raise InputError(
            f"registering a scan needs open3d ({error}); pip install 'geoloc[scan]' and, on Debian, "
            "apt install libegl1 libusb-1.0-0"
        ) from error


def thin_out(points: np.ndarray, cell: float, rng: np.random.Generator) -> np.ndarray:
    """One random point (M, 3) of each cube of `cell` m: as evenly spread as a scanner's points are not."""
    order = rng.permutation(len(points))
    cubes = np.floor((points[order] - points.min(axis=0)) / cell).astype(np.int64)
    _, first = np.unique(cubes, axis=0, return_index=True)
    return points[order[np.sort(first)]]


def normals_of(points: np.ndarray, radius: float) -> np.ndarray:
    """Unit normals (N, 3) of the surface around each point, of either sign."""
    open3d = require_open3d()
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamHybrid(radius=radius, max_nn=30))
    return np.asarray(cloud.normals)


def search_places(points: np.ndarray, normals: np.ndarray, faces: Faces) -> list[RigidTransform]:
    """world_from_scan of the likeliest places of thinned-out `points` (N, 3) m with their `normals`."""
    plan = _Plan(faces)
    found: list[tuple[float, RigidTransform]] = []
    for axis in _verticals(normals):
        upright = np.abs(normals @ axis) < UPRIGHT
        flat = np.abs(normals @ axis) > FLAT
        for up in (axis, -axis):
            level = RigidTransform.from_rotation(Rotation.align_vectors([[0.0, 0.0, 1.0]], [up])[0])
            walls, floors = level.apply(points[upright]), level.apply(points[flat])
            found += [(score, place * level) for score, place in plan.places(walls, floors)]
    found.sort(key=lambda one: -one[0])
    kept: list[RigidTransform] = []
    for _, place in found:
        if all(rms_between(points, place, other) > APART for other in kept):
            kept.append(place)
        if len(kept) == PLACES * HEIGHTS:
            break
    return kept


def rms_between(points: np.ndarray, first: RigidTransform, second: RigidTransform) -> float:
    """How far apart two transforms put `points` (N, 3), m."""
    rows = points[:: max(1, len(points) // 500)]
    return float(np.sqrt(((first.apply(rows) - second.apply(rows)) ** 2).sum(axis=1).mean()))


def improve(points: np.ndarray, faces: Faces, start: RigidTransform, gates: tuple[float, ...]) -> RigidTransform:
    """`start` after open3d's point-to-plane ICP with Tukey's loss, within each of `gates` (m) in turn."""
    open3d = require_open3d()
    registration = open3d.pipelines.registration
    source = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    target = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(faces.points))
    target.normals = open3d.utility.Vector3dVector(faces.normal[faces.face])
    matrix = start.as_matrix()
    for gate in gates:
        plane = registration.TransformationEstimationPointToPlane(registration.TukeyLoss(gate))
        done = registration.ICPConvergenceCriteria(max_iteration=30)
        matrix = registration.registration_icp(source, target, gate, matrix, plane, done).transformation
    return RigidTransform.from_matrix(matrix)


def balanced(normals: np.ndarray, n: int) -> np.ndarray:
    """About `n` rows of points (N,) of which half lie on no floor: floors are most of a scan and all alike."""
    flat = np.abs(normals @ _verticals(normals)[0]) > FLAT
    return np.concatenate([np.flatnonzero(flat)[: n // 2], np.flatnonzero(~flat)[: n // 2]])


def _verticals(normals: np.ndarray) -> list[np.ndarray]:
    """The directions (3,) that most normals share, either sign; a second one where it has half as many."""
    found: list[np.ndarray] = []
    counts: list[int] = []
    left = normals[:: max(1, len(normals) // 3000)]
    for _ in range(3):
        if len(left) < 10:
            break
        share = np.abs(left @ left.T) > np.cos(0.105)
        best = share[np.argmax(share.sum(axis=1))]
        _, vectors = np.linalg.eigh(left[best].T @ left[best])
        found.append(vectors[:, -1])
        counts.append(int(best.sum()))
        left = left[np.abs(left @ found[-1]) < np.cos(0.35)]
    return [axis for axis, count in zip(found, counts, strict=True) if count >= 0.5 * counts[0]]


class _Plan:
    """The plan of a map's walls, and its floors, ready to be asked where a levelled scan lies."""

    def __init__(self, faces: Faces) -> None:
        self.walls = np.unique(np.floor(faces.points[faces.upright][:, :2] / CELL).astype(int), axis=0)
        floor = faces.points[~faces.upright]
        cells = np.unique(np.floor(floor[:, :2] / CELL).astype(int), axis=0)
        self.floor = floor
        self.low = np.minimum(self.walls.min(axis=0), cells.min(axis=0))
        self.size = np.maximum(self.walls.max(axis=0), cells.max(axis=0)) - self.low + 1

    def places(self, walls: np.ndarray, floors: np.ndarray) -> list[tuple[float, RigidTransform]]:
        """Scores and world_from_level of a scan whose z is up."""
        reach = int(2 * np.ceil(np.linalg.norm(walls[:, :2], axis=1).max() / CELL)) + 3 if len(walls) else 3
        shape = [next_fast_len(int(side) + reach, real=True) for side in self.size]
        raster = np.zeros(shape)
        raster[tuple((self.walls - self.low).T)] = 1.0
        raster = np.minimum(gaussian_filter(raster, 1.0, mode="wrap") * 4.0, 1.0)
        spectrum = rfft2(raster - raster.mean())
        peaks = [
            peak for yaw in np.arange(0.0, 2 * np.pi, HEADING) for peak in self._peaks(walls, yaw, spectrum, shape)
        ]
        peaks.sort(key=lambda peak: -peak[0])
        kept: list[tuple[float, float, np.ndarray]] = []
        for score, yaw, shift in peaks:
            near = [
                abs((yaw - other[1] + np.pi) % (2 * np.pi) - np.pi) < 3 * HEADING
                and np.abs(shift - other[2]).max() < APART
                for other in kept
            ]
            if not any(near):
                kept.append((score, yaw, shift))
            if len(kept) == PLACES:
                break
        return [one for peak in kept for one in self._with_height(*peak, floors)]

    def _peaks(
        self, walls: np.ndarray, yaw: float, spectrum: np.ndarray, shape: list[int]
    ) -> list[tuple[float, float, np.ndarray]]:
        turned = Rotation.from_rotvec([0.0, 0.0, yaw]).apply(walls)[:, :2]
        cells = np.unique(np.floor(turned / CELL).astype(int), axis=0)
        raster = np.zeros(shape)
        raster[tuple((cells % shape).T)] = 1.0
        score = irfft2(spectrum * np.conj(rfft2(raster)), shape) / max(len(cells), 1)
        best = np.where(maximum_filter(score, 5, mode="wrap") == score, score, -np.inf).ravel()
        top = np.argpartition(-best, PEAKS)[:PEAKS]
        middle = turned.mean(axis=0) if len(turned) else np.zeros(2)
        found = []
        for index in top.tolist():
            shift = np.array(np.unravel_index(index, shape), float) + self.low
            # the plan wraps round: of all shifts that are one, that which lays the scan's middle nearest to the map's
            aim = self.low + self.size / 2 - middle / CELL
            shift += np.round((aim - shift) / shape) * shape
            found.append((float(best[index]), yaw, shift * CELL))
        return found

    def _with_height(
        self, score: float, yaw: float, shift: np.ndarray, floors: np.ndarray
    ) -> list[tuple[float, RigidTransform]]:
        turn = Rotation.from_rotvec([0.0, 0.0, yaw])
        heights = self._rises(turn.apply(floors) + np.append(shift, 0.0))
        return [(score + 0.1 * share, RigidTransform.from_components([*shift, z], turn)) for share, z in heights]

    def _rises(self, floors: np.ndarray) -> list[tuple[float, float]]:
        """How far the scan must rise for its floors to meet the map's: shares and m, the commonest first."""
        from scipy.spatial import cKDTree

        tree = cKDTree(self.floor[:, :2])
        near = tree.query_ball_point(floors[::5, :2], CELL / 2)
        rise = np.concatenate(
            [self.floor[rows, 2] - z for rows, z in zip(near, floors[::5, 2], strict=True) if rows] or [np.zeros(1)]
        )
        bins = np.round(rise / 0.2).astype(int)
        values, counts = np.unique(bins, return_counts=True)
        top = np.argsort(-counts)[:HEIGHTS]
        return [(counts[i] / counts.sum(), float(np.median(rise[bins == values[i]]))) for i in top]
