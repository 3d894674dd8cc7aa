"""What vehicle tracks say about a straight road before anything is measured: its vanishing point and its lanes."""

from dataclasses import dataclass, fields

import numpy as np

from geoloc.errors import GeometryError
from geoloc.scene.roads import PixelTracks

MARGIN = 0.08  # image widths from the border: there a tracked point slides over its vehicle
FEWEST_POINTS = 12
SHORTEST = 0.1  # image widths
CROOKED = 0.002  # image widths of rms off a straight path: lane changes, and identities that jump
DRAWS = 300
INLIER = 3.0  # sigmas
LEAST_SHARE = 0.03  # of the vehicles; a lane without any is none
STEPS = 200
SETTLED = 1e-5  # spacings


@dataclass(frozen=True, eq=False)
class Paths:
    """M straight paths: `first` and `last` pixel (M, 2), `start` (M,) s and `duration` (M,) s between, and rms px."""

    first: np.ndarray
    last: np.ndarray
    start: np.ndarray
    duration: np.ndarray
    rms: np.ndarray

    def take(self, rows: np.ndarray) -> "Paths":
        """The paths that a mask or index selects."""
        return Paths(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Lanes:
    """`n` equally spaced lanes that lateral positions fall into, and the share of vehicles on the emptiest."""

    spacing: float
    sigma: float
    n: int
    least_share: float


def straight_paths(tracks: PixelTracks, size: tuple[int, int]) -> Paths:
    """Paths of the tracks that run straight well inside an image of `size` (width, height) px."""
    width, height = size
    low, high = np.array([MARGIN * width, 0.0]), np.array([(1 - MARGIN) * width, height - MARGIN * width])
    order = np.argsort(tracks.track, kind="stable")
    starts = np.flatnonzero(np.diff(tracks.track[order], prepend=-1))
    rows = []
    for index in np.split(order, starts[1:]):
        mine = index[((tracks.pixel[index] >= low) & (tracks.pixel[index] <= high)).all(axis=1)]
        if len(mine) >= FEWEST_POINTS:
            rows.append(_path(tracks.time[mine], tracks.pixel[mine]))
    table = np.array(rows).reshape(-1, 7)
    paths = Paths(table[:, 0:2], table[:, 2:4], table[:, 4], table[:, 5], table[:, 6])
    long = np.linalg.norm(paths.last - paths.first, axis=1) > SHORTEST * width
    return paths.take(long & (paths.rms < CROOKED * width) & (paths.duration > 0))


def vanishing_point(paths: Paths, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixel (2,) where most paths meet, its covariance (2, 2) px², and which paths (M,) go there.

    Random pairs, then weighted least squares on the inliers (Dubská et al. 2014 vote in a diamond space instead).
    """
    if len(paths.rms) < 10:
        raise GeometryError(f"{len(paths.rms)} straight vehicle paths give no vanishing point; track for longer")
    middle, step = 0.5 * (paths.first + paths.last), paths.last - paths.first
    length = np.linalg.norm(step, axis=1)
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / length[:, None]
    offset = (normal * middle).sum(axis=1)
    sigma = np.maximum(paths.rms, 1.0) / (length / np.sqrt(12.0))  # rad, of each path's direction

    def deviation(point: np.ndarray) -> np.ndarray:
        return (normal @ point - offset) / np.linalg.norm(point - middle, axis=1) / sigma

    point = min(_crossings(normal, offset, rng), key=lambda p: np.minimum(np.abs(deviation(p)), INLIER).sum())
    for _ in range(20):
        off = deviation(point)
        weight = (np.abs(off) < INLIER) / (np.linalg.norm(point - middle, axis=1) * sigma) ** 2
        information = (normal * weight[:, None]).T @ normal
        point = np.linalg.solve(information, (normal * (weight * offset)[:, None]).sum(axis=0))
    inlying = np.abs(deviation(point)) < INLIER
    return point, np.linalg.inv(information), inlying


def possible_lanes(position: np.ndarray, most: int = 5) -> list[Lanes]:
    """Equally spaced lanes, two to `most`, that explain lateral positions (M,) better than one wide lane does.

    Mixtures by EM, compared by Schwarz's criterion. Vehicles of two sizes make two lanes look like more, so the
    choice is left to who knows what spacing is usual. GeometryError if there is only one lane.
    """
    if len(position) < FEWEST_POINTS:
        raise GeometryError(f"{len(position)} vehicle paths give no lanes; track for longer")
    alone = min(_mixtures(position, 1))[0]
    best = [min(_mixtures(position, n)) for n in range(2, most + 1)]
    found = [lanes for score, _, lanes in best if score < alone and lanes.least_share > LEAST_SHARE]
    if not found:
        raise GeometryError("all vehicles keep to one lane, so no width is seen; measure a distance across the road")
    return found


def _path(time: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    middle = pixel.mean(axis=0)
    _, size, axes = np.linalg.svd(pixel - middle, full_matrices=False)
    along = (pixel - middle) @ axes[0]
    ends = middle + along[[0, -1], None] * axes[0]
    return np.array([*ends[0], *ends[1], time[0], time[-1] - time[0], size[1] / np.sqrt(len(pixel))])


def _crossings(normal: np.ndarray, offset: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    pairs = [rng.choice(len(offset), 2, replace=False) for _ in range(DRAWS)]
    steep = [pair for pair in pairs if abs(np.linalg.det(normal[pair])) > 0.02]
    if not steep:
        raise GeometryError("the vehicle paths are parallel in the image, so the road has no vanishing point in reach")
    return [np.linalg.solve(normal[pair], offset[pair]) for pair in steep]


def _mixtures(position: np.ndarray, n: int) -> list[tuple[float, int, Lanes]]:
    """Schwarz's criterion, number of the start, and the lanes."""
    low, high = np.quantile(position, [0.02, 0.98])
    starts = (high - low) / max(n - 1, 1) * np.array([0.8, 1.0, 1.2])
    found = [_mixture(position, n, low, spacing) for spacing in starts]
    return [(score, i, lanes) for i, (score, lanes) in enumerate(found)]


def _mixture(position: np.ndarray, n: int, first: float, spacing: float) -> tuple[float, Lanes]:
    lane, share = np.arange(n), np.full(n, 1.0 / n)
    width = 0.2 * spacing + 1e-9
    clutter = 0.05 / max(np.ptp(position), 1e-9)  # lane changes and stray tracks lie anywhere
    for _ in range(STEPS):
        density = share * np.exp(-0.5 * ((position[:, None] - first - spacing * lane) / width) ** 2) / width
        density = 0.95 * density / np.sqrt(2 * np.pi)
        total = density.sum(axis=1) + clutter
        part = density / total[:, None]
        share = part.sum(axis=0) / part.sum()
        design = np.array([[part.sum(), (part @ lane).sum()], [(part @ lane).sum(), (part @ lane**2).sum()]])
        right = np.array([(part * position[:, None]).sum(), (part * position[:, None] * lane).sum()])
        first, spacing = np.linalg.lstsq(design, right, rcond=None)[0]
        before, width = (
            width,
            np.sqrt((part * (position[:, None] - first - spacing * lane) ** 2).sum() / part.sum()) + 1e-9,
        )
        if abs(width - before) < SETTLED * spacing:
            break
    sigma = width / np.sqrt(max(part.sum() * (share @ lane**2 - (share @ lane) ** 2), 1e-9))
    score = (n + 2 if n > 1 else 2) * np.log(len(position)) - 2 * np.log(total).sum()
    return float(score), Lanes(float(abs(spacing)), float(sigma), n, float(share.min()))
