"""How fast `triangulate` is beside OpenCV, pycolmap and aniposelib: `python tools/bench_triangulation.py`.

All work on the same distorted pixels and take the distortion out themselves; only geoloc gives covariances.
Contestants take turns, so that a busy machine slows them alike, and the best time of each counts. A peer
that is not installed is skipped with the reason.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from geoloc.estimators.triangulation import TriangulationOptions, triangulate
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential

NOISE_PX = 0.5
LENS = RadialTangential(np.array([1000.0, 1010.0, 955.0, 545.0, -0.3, 0.1, 1e-3, -5e-4]))
CALIB_COV = np.diag([1e-3, 1e-3, 1e-3, 0.02, 0.02, 0.02]) ** 2  # rad, m
FREED = ("fx", "fy", "cx", "cy", "k1", "k2")
FREED_COV = np.diag([1e-3, 1e-3, 1e-3, 0.02, 0.02, 0.02, 3.0, 3.0, 2.0, 2.0, 3e-3, 3e-3]) ** 2


@dataclass(frozen=True)
class Row:
    """One contestant: the best time of a call on `points` points, scaled to all of them where it is fewer."""

    views: int
    name: str
    ms: float
    note: str = ""


def cameras(n: int, calib_cov: np.ndarray | None = None, freed: tuple[str, ...] = ()) -> list[Camera]:
    """`n` of 7 places on a ring of 20 m, 5 to 7 m up."""
    places = [np.array([20 * np.cos(a), 20 * np.sin(a), 5.0 + i % 3]) for i, a in enumerate(0.9 * np.arange(n))]
    cov = np.zeros((6, 6)) if calib_cov is None else calib_cov
    poses = [look_at(place, np.array([0.0, 0.0, 1.0])) for place in places]
    return [Camera(f"c{i}", LENS, (1920, 1080), pose, cov, freed) for i, pose in enumerate(poses)]


def scene(n_points: int, n_views: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) m and their noisy pixels (N, V, 2)."""
    points = rng.uniform([-5, -5, 0], [5, 5, 3], (n_points, 3))
    pixels = np.stack([camera.project(points) for camera in cameras(n_views)], axis=1)
    return points, pixels + rng.normal(0, NOISE_PX, pixels.shape)


def spoiled(pixels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A gross outlier in one view of a `share` of the points."""
    out = pixels.copy()
    rows = np.flatnonzero(rng.random(len(pixels)) < share)
    out[rows, rng.integers(0, pixels.shape[1], len(rows))] = rng.uniform([0, 0], [1920, 1080], (len(rows), 2))
    return out


def geoloc_calls(pixels: np.ndarray, rng: np.random.Generator) -> dict[str, Callable[[], object]]:
    """Name -> call of every form of `triangulate`."""
    n_views = pixels.shape[1]
    cov, plain = NOISE_PX**2 * np.eye(2), TriangulationOptions(robust=False)
    bare, posed, freed = cameras(n_views), cameras(n_views, CALIB_COV), cameras(n_views, FREED_COV, FREED)
    calls: dict[str, Callable[[], object]] = {
        "geoloc, cov": lambda: triangulate(pixels, bare, cov, plain),
        "geoloc, cov + bias_cov of the pose": lambda: triangulate(pixels, posed, cov, plain),
        "geoloc, cov + bias_cov of pose and lens": lambda: triangulate(pixels, freed, cov, plain),
        "geoloc robust, no outliers": lambda: triangulate(pixels, bare, cov),
    }
    if n_views > 2:
        some, all_ = spoiled(pixels, 0.2, rng), spoiled(pixels, 1.0, rng)
        calls["geoloc robust, 20 % of points with an outlier"] = lambda: triangulate(some, bare, cov)
        calls["geoloc robust, every point with an outlier"] = lambda: triangulate(all_, bare, cov)
    return calls


def opencv_call(pixels: np.ndarray) -> Callable[[], object]:
    """Two views only."""
    import cv2

    matrix = np.array([[1000.0, 0, 955], [0, 1010, 545], [0, 0, 1]])
    first, second = (camera.cam_from_world.as_matrix()[:3] for camera in cameras(2))

    views = [np.ascontiguousarray(pixels[:, v]) for v in range(2)]

    def call() -> np.ndarray:
        a, b = (cv2.undistortPoints(view, matrix, LENS.params[4:])[:, 0].T for view in views)
        homogeneous = cv2.triangulatePoints(first, second, a, b)
        return np.asarray(homogeneous[:3] / homogeneous[3]).T

    return call


def pycolmap_call(pixels: np.ndarray) -> Callable[[], object]:
    """A call a point, as its interface has it."""
    import pycolmap

    n_views = pixels.shape[1]
    camera = pycolmap.Camera(model="OPENCV", width=1920, height=1080, params=LENS.params)
    projections = [camera.cam_from_world.as_matrix()[:3] for camera in cameras(n_views)]

    def call() -> list[np.ndarray | None]:
        flat = [camera.cam_from_img(pixels[:, v]) for v in range(n_views)]
        if n_views == 2:
            return [pycolmap.triangulate_point(*projections, a, b) for a, b in zip(*flat, strict=True)]  # type: ignore[call-overload]
        rays = np.concatenate([np.stack(flat, axis=1), np.ones((*pixels.shape[:2], 1))], axis=2)
        rays /= np.linalg.norm(rays, axis=2, keepdims=True)
        return [pycolmap.triangulate_multi_view_point(projections, ray) for ray in rays]

    return call


def aniposelib_calls(pixels: np.ndarray, n_robust: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Plain, and the robust form on the first `n_robust` points."""
    from aniposelib.cameras import Camera as TheirCamera
    from aniposelib.cameras import CameraGroup

    matrix, distortion = np.array([[1000.0, 0, 955], [0, 1010, 545], [0, 0, 1]]), np.r_[LENS.params[4:], 0.0]
    group = CameraGroup(
        [
            TheirCamera(
                matrix=matrix,
                dist=distortion,
                size=camera.size,
                rvec=camera.cam_from_world.rotation.as_rotvec(),
                tvec=camera.cam_from_world.translation,
                name=camera.name,
            )
            for camera in cameras(pixels.shape[1])
        ]
    )
    views_first = np.ascontiguousarray(pixels.swapaxes(0, 1))
    few = np.ascontiguousarray(views_first[:, :n_robust])
    return lambda: group.triangulate(views_first), lambda: group.triangulate_ransac(few)


def best_ms(calls: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Best time of each call (ms); the calls take turns."""
    best = dict.fromkeys(calls, np.inf)
    for _ in range(repeat):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def measure(n_points: int, n_views: int, repeat: int, seed: int = 1) -> Iterator[Row]:
    """All contestants on the same `n_points` points of `n_views` views."""
    rng = np.random.default_rng(seed)
    _, pixels = scene(n_points, n_views, rng)
    calls, skipped, n_robust = geoloc_calls(pixels, rng), {}, min(200, n_points)
    peers: dict[str, Callable[[], Callable[[], object]]] = {"pycolmap": lambda: pycolmap_call(pixels)}
    if n_views == 2:
        peers["OpenCV"] = lambda: opencv_call(pixels)
    peers["aniposelib"] = lambda: aniposelib_calls(pixels, n_robust)[0]
    peers["aniposelib robust"] = lambda: aniposelib_calls(pixels, n_robust)[1]
    for name, make in peers.items():
        try:
            calls[name] = make()
        except ImportError as error:
            skipped[name] = f"skipped: {error}"
    for name, ms in best_ms(calls, repeat).items():
        scaled = name == "aniposelib robust"
        note = f"{n_robust} points, scaled" if scaled else ""
        yield Row(n_views, name, ms * n_points / n_robust if scaled else ms, note)
    for name, reason in skipped.items():
        yield Row(n_views, name, float("nan"), reason)


def table(rows: list[Row]) -> str:
    """Markdown, each time beside pycolmap's and beside geoloc's plain form."""
    by_name = {row.name: row.ms for row in rows}
    reference, plain = by_name.get("pycolmap", np.nan), by_name["geoloc, cov"]
    lines = ["| views | | ms | of pycolmap | of geoloc, cov | |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratios = f"{row.ms / reference:.2f} | {row.ms / plain:.2f}"
        lines.append(f"| {row.views} | {row.name} | {row.ms:,.0f} | {ratios} | {row.note} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="a list of rows instead of tables")
    options = parser.parse_args()
    rows = {views: list(measure(options.points, views, options.repeat)) for views in (2, 7)}
    if options.json:
        print(json.dumps([asdict(row) for group in rows.values() for row in group]))
        return
    print(f"{options.points:,} points, best of {options.repeat}")
    for group in rows.values():
        print(f"\n{table(group)}")


if __name__ == "__main__":
    main()
