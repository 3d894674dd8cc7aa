"""Where the search for a camera's pose begins: rough poses and focal lengths that marks of known points propose.

Nothing here is an answer: each start is to be refined (`camera_fit`), and the marks choose among what comes out.
Starts come from all marks at once (direct linear transform; homography of a plane, with both of its poses) and from
three marks at a time over a grid of focal lengths and distortions, which withstands marks that are wrong: the other
marks are what decides between the focal lengths, as in the four-point problem of unknown focal length.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.spatial.transform import Rotation

from geoloc.scene.distortion import radial_tangential_jacobians
from geoloc.scene.lenses import Fisheye, Lens, RadialTangential, fisheye_jacobians

FOCALS = np.geomspace(0.35, 6.0, 12)  # image widths: 110 degrees across down to 10
BARREL = -0.3  # k1 that wide-angle starts are tried with, beside none
FISHEYE_FOCALS = np.geomspace(0.2, 0.8, 6)  # the same of a fisheye: 286 degrees across down to 72
WIDEST_STRAIGHT = 1.3  # image widths; longer lenses are started without distortion
MIN_DLT = 6  # marks
FLAT = 0.03  # thickness of the points over their second extent, below which they count as one plane
TRIPLES = 40
KEPT = 24
REACH = 0.03  # image widths; a mark farther from its point says no more than that it is wrong


@dataclass(frozen=True, eq=False)
class Starts:
    """S lenses of one kind, with `params` (S, P), and poses `cam_from_world` (S, 4, 4) to refine."""

    kind: type[Lens]
    params: np.ndarray
    cam_from_world: np.ndarray

    def __len__(self) -> int:
        return len(self.params)

    def take(self, rows: np.ndarray) -> "Starts":
        """The starts that an index selects."""
        return Starts(self.kind, self.params[rows], self.cam_from_world[rows])


def propose_starts(
    points: np.ndarray, pixels: np.ndarray, size: tuple[int, int], lens: Lens | type[Lens], rng: np.random.Generator
) -> Starts:
    """At most `KEPT` starts, the most promising first, from points (N, 3) m at pixels (N, 2); N at least 3.

    Of a `lens` that is known as a kind alone the focal length is unknown. A start's cost is the sum of squared
    distances, each cut at `REACH`.
    """
    triples = _triples(pixels, rng)
    origin = points.mean(axis=0)  # the solvers lose digits far from it
    params, poses = [], []
    for candidate in _lenses(points, pixels, size, lens):
        found = [*_by_all(points - origin, pixels, candidate), *_by_threes(points - origin, pixels, candidate, triples)]
        params += [candidate.params] * len(found)
        poses += found
    kind = lens if isinstance(lens, type) else type(lens)
    motion = np.array(poses).reshape(-1, 6)
    matrices = np.tile(np.eye(4), (len(poses), 1, 1))
    matrices[:, :3, :3] = Rotation.from_rotvec(motion[:, :3]).as_matrix()
    matrices[:, :3, 3] = motion[:, 3:] - matrices[:, :3, :3] @ origin
    n_params = 8 if isinstance(lens, type) else len(lens.params)
    starts = Starts(kind, np.array(params).reshape(-1, n_params), matrices)
    cost = _costs(starts, points, pixels, REACH * size[0])
    return _distinct(starts.take(np.argsort(cost, kind="stable")), origin)


def focal_by_dlt(points: np.ndarray, pixels: np.ndarray) -> float:
    """Focal length (px) by the direct linear transform of N >= 6 points not in one plane; NaN if it has none.

    Hartley and Zisserman (2004), algorithm 7.1, on normalised coordinates.
    """
    import cv2

    if len(points) < MIN_DLT or _thickness(points) < FLAT:
        return float("nan")
    world, image = _normaliser(points), _normaliser(pixels)
    x = np.column_stack([points, np.ones(len(points))]) @ world.T
    u, v, _ = (np.column_stack([pixels, np.ones(len(pixels))]) @ image.T).T
    zero = np.zeros_like(x)
    rows = np.concatenate([
        np.hstack([x, zero, -u[:, None] * x]), np.hstack([zero, x, -v[:, None] * x])
    ])  # fmt: skip
    matrix = np.linalg.inv(image) @ np.linalg.svd(rows)[2][-1].reshape(3, 4) @ world
    intrinsics = cv2.decomposeProjectionMatrix(matrix)[0]
    focal = np.sqrt(abs(intrinsics[0, 0] * intrinsics[1, 1])) / max(abs(intrinsics[2, 2]), 1e-12)
    return float(focal)


def focal_by_plane(points: np.ndarray, pixels: np.ndarray, centre: np.ndarray) -> float:
    """Focal length (px) by the homography of N >= 4 points of one plane, principal point at `centre`; NaN if none.

    Zhang (2000), the two constraints of one view, with square pixels.
    """
    import cv2

    if len(points) < 4:
        return float("nan")
    plane = (points - points.mean(axis=0)) @ _axes(points)[:, :2]
    matrix, _ = cv2.findHomography(plane, pixels - centre)
    if matrix is None:
        return float("nan")
    (a, b, _), (c, d, _), (g, h, _) = matrix
    # columns r1, r2 of K^-1 H are orthogonal and of one length: two equations in 1 / f²
    left = np.array([a * b + c * d, a * a + c * c - b * b - d * d])
    right = -np.array([g * h, g * g - h * h])
    inverse2 = float(left @ right) / max(float(left @ left), 1e-300)
    return 1.0 / np.sqrt(inverse2) if inverse2 > 0 else float("nan")


def _lenses(points: np.ndarray, pixels: np.ndarray, size: tuple[int, int], lens: Lens | type[Lens]) -> Iterator[Lens]:
    if not isinstance(lens, type):
        yield lens
        return
    centre = (np.array(size) - 1) / 2
    if lens is Fisheye:
        for f in FISHEYE_FOCALS * size[0]:
            yield Fisheye(np.array([f, f, *centre, 0, 0, 0, 0]))
        return
    direct = np.array([focal_by_dlt(points, pixels), focal_by_plane(points, pixels, centre)]) / size[0]
    reachable = (direct > FOCALS[0] / 2) & (direct < 2 * FOCALS[-1])  # false for NaN
    for focal in [*FOCALS, *direct[reachable]]:
        for k1 in (0.0, BARREL) if focal < WIDEST_STRAIGHT else (0.0,):
            f = focal * size[0]
            yield RadialTangential(np.array([f, f, *centre, k1, k1 * k1, 0, 0]))


def _by_all(points: np.ndarray, pixels: np.ndarray, lens: Lens) -> list[np.ndarray]:
    """Motions (6,) by all marks: of points of one plane both that fit it, by Collins and Bartoli's IPPE; else SQPnP."""
    import cv2

    good, plane = _on_plane(pixels, lens)
    if good.sum() < 4:
        return []
    axes, local, method = np.eye(3), points[good], cv2.SOLVEPNP_SQPNP
    if _thickness(local) < FLAT:  # IPPE wants its plane at z = 0
        axes, method = _axes(local), cv2.SOLVEPNP_IPPE
    middle = local.mean(axis=0)
    local = (local - middle) @ axes
    if method == cv2.SOLVEPNP_IPPE:
        local[:, 2] = 0.0
    try:
        _, turns, shifts, _ = cv2.solvePnPGeneric(local, plane[good], np.eye(3), None, flags=method)
    except cv2.error:  # points that span no plane: the starts by threes are left
        return []
    found = []
    for turn, shift in zip(turns, shifts, strict=True):
        rotation = Rotation.from_rotvec(np.ravel(turn)).as_matrix() @ axes.T
        found.append(np.concatenate([Rotation.from_matrix(rotation).as_rotvec(), np.ravel(shift) - rotation @ middle]))
    return [motion for motion in found if np.isfinite(motion).all()]


def _by_threes(points: np.ndarray, pixels: np.ndarray, lens: Lens, triples: np.ndarray) -> list[np.ndarray]:
    """Motions (6,) that bring three points into line with their marks, by Ke and Roumeliotis's solver."""
    import cv2

    good, plane = _on_plane(pixels, lens)
    identity, found = np.eye(3), []
    for rows in triples[good[triples].all(axis=1)]:
        n, turns, shifts = cv2.solveP3P(points[rows], plane[rows], identity, None, cv2.SOLVEPNP_AP3P)
        found += [np.concatenate([turn, shift])[:, 0] for turn, shift in zip(turns[:n], shifts[:n], strict=True)]
    return [motion for motion in found if np.isfinite(motion).all()]


def _on_plane(pixels: np.ndarray, lens: Lens) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels (N, 2) have rays well in front of the camera, and where those meet the plane z = 1 (N, 2)."""
    rays = lens.unproject(pixels)
    good = rays[:, 2] > 0.05  # false for NaN
    return good, rays[:, :2] / np.where(good, rays[:, 2], np.nan)[:, None]


def _triples(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Triples (M, 3) of rows whose marks span large triangles: all of a few marks, drawn ones of many."""
    if len(pixels) <= 6:
        triples = np.array(list(combinations(range(len(pixels)), 3)))
    else:
        triples = np.array([rng.choice(len(pixels), 3, replace=False) for _ in range(2 * TRIPLES)])
    a, b = pixels[triples[:, 1]] - pixels[triples[:, 0]], pixels[triples[:, 2]] - pixels[triples[:, 0]]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    return triples[np.argsort(-area, kind="stable")[:TRIPLES]]


def _costs(starts: Starts, points: np.ndarray, pixels: np.ndarray, reach: float) -> np.ndarray:
    pose = starts.cam_from_world
    points_cam = np.einsum("sij,nj->sni", pose[:, :3, :3], points) + pose[:, None, :3, 3]
    params = np.repeat(starts.params, len(points), axis=0)
    jacobians = fisheye_jacobians if starts.kind is Fisheye else radial_tangential_jacobians
    found = jacobians(params, points_cam.reshape(-1, 3))[0].reshape(len(starts), len(points), 2)
    distance2 = ((found - pixels) ** 2).sum(axis=2)
    return np.fmin(distance2, reach**2).sum(axis=1)


def _distinct(starts: Starts, middle: np.ndarray) -> Starts:
    """The first `KEPT` that do not repeat another's lens and place."""
    pose = starts.cam_from_world
    centres = -np.einsum("sji,sj->si", pose[:, :3, :3], pose[:, :3, 3])
    distance = np.maximum(np.linalg.norm(centres - middle, axis=1), 1e-9)
    k1 = starts.params[:, 4:5] if starts.params.shape[1] > 4 else np.zeros((len(starts), 1))
    signature = np.column_stack([centres / distance[:, None], np.log(distance), np.log(starts.params[:, 0]), k1])
    left = np.arange(len(starts))
    kept: list[int] = []
    while len(left) and len(kept) < KEPT:
        first = int(left[0])
        kept.append(first)
        left = left[np.abs(signature[left] - signature[first]).max(axis=1) >= 0.1]
    return starts.take(np.array(kept, int))


def _axes(points: np.ndarray) -> np.ndarray:
    """Right-handed principal axes of points (N, 3), longest first: columns (3, 3)."""
    axes: np.ndarray = np.linalg.svd(points - points.mean(axis=0))[2].T
    return axes * np.array([1.0, 1.0, np.sign(np.linalg.det(axes))])


def _thickness(points: np.ndarray) -> float:
    """Smallest over middle extent of points (N, 3)."""
    extent = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(extent[2] / max(extent[1], 1e-12)) if len(extent) == 3 else 0.0


def _normaliser(rows: np.ndarray) -> np.ndarray:
    """Homogeneous matrix that brings rows (N, d) to mean zero and unit extent."""
    d = rows.shape[1]
    mean = rows.mean(axis=0)
    scale = np.sqrt(d) / max(float(np.sqrt(((rows - mean) ** 2).sum(axis=1)).mean()), 1e-12)
    matrix = np.eye(d + 1) * scale
    matrix[:d, d], matrix[d, d] = -scale * mean, 1.0
    return matrix
