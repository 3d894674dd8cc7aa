"""Straight segments out of points on ridges and edges."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from geoloc.perception.ridges import RidgePoints

SECTORS = 18  # of half a turn; each looks at points that run its way, neighbours' too
OFF = 1.6  # px that a point may lie off its segment
TURNED = 0.21  # rad by which a point may run otherwise than its segment


@dataclass(frozen=True, eq=False)
class Segment:
    """A straight run of points: ends (2, 2) as column and row, and the points' rows in what it was linked from."""

    ends: np.ndarray
    points: np.ndarray

    @property
    def length(self) -> float:
        """px."""
        return float(np.linalg.norm(self.ends[1] - self.ends[0]))


def link(points: RidgePoints, shape: tuple[int, int], shortest: float, gap: float) -> list[Segment]:
    """Segments of at least `shortest` px, longest first; runs of one line are joined over gaps of `gap` px.

    A point belongs to one segment at most.
    """
    free = np.ones(len(points), bool)
    candidates = [rows for sector in range(SECTORS) for rows in _components(points, shape, sector, shortest / 2)]
    found: list[Segment] = []
    for rows in sorted(candidates, key=len, reverse=True):
        rows = rows[free[rows]]
        for _ in range(2):
            rows = _straight(points, rows)
        segment = _segment(points, rows)
        if segment is not None and segment.length >= shortest / 2:
            free[segment.points] = False
            found.append(segment)
    joined = _join(points, found, gap)
    return sorted((each for each in joined if each.length >= shortest), key=lambda each: -each.length)


def _components(points: RidgePoints, shape: tuple[int, int], sector: int, shortest: float) -> list[np.ndarray]:
    """Rows of points that hang together and run about one way."""
    middle = np.pi * sector / SECTORS
    off = np.abs(np.mod(points.angle - middle + np.pi / 2, np.pi) - np.pi / 2)
    rows = np.flatnonzero(off <= np.pi / SECTORS)
    if len(rows) < shortest / 2:
        return []
    mask = np.zeros(shape, np.uint8)
    at = np.clip(np.rint(points.at[rows]).astype(int), 0, np.array(shape[::-1]) - 1)
    mask[at[:, 1], at[:, 0]] = 1
    n, labels = cv2.connectedComponents(cv2.dilate(mask, np.ones((3, 3), np.uint8)), connectivity=8)
    label = labels[at[:, 1], at[:, 0]]
    order = np.argsort(label, kind="stable")
    edges = np.searchsorted(label[order], np.arange(1, n + 1))
    return [rows[order[a:b]] for a, b in pairwise(edges.tolist()) if b - a >= shortest / 2]


def _axis(at: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle (2,) and direction (2,) of points (N, 2)."""
    middle = np.average(at, axis=0, weights=weight)
    moved = (at - middle) * np.sqrt(weight)[:, None]
    _, _, axes = np.linalg.svd(moved, full_matrices=False)
    return middle, axes[0]


def _straight(points: RidgePoints, rows: np.ndarray) -> np.ndarray:
    """Those of the points that lie on their line and run its way."""
    if len(rows) < 4:
        return rows[:0]
    middle, ahead = _axis(points.at[rows], points.height[rows])
    off = (points.at[rows] - middle) @ np.array([-ahead[1], ahead[0]])
    turned = np.mod(points.angle[rows] - np.arctan2(ahead[1], ahead[0]) + np.pi / 2, np.pi) - np.pi / 2
    reach = max(OFF, 1.5 * 1.4826 * float(np.median(np.abs(off))))
    return rows[(np.abs(off) <= reach) & (np.abs(turned) <= TURNED)]


def _segment(points: RidgePoints, rows: np.ndarray) -> Segment | None:
    if len(rows) < 4:
        return None
    middle, ahead = _axis(points.at[rows], points.height[rows])
    along = (points.at[rows] - middle) @ ahead
    ends = middle + np.array([along.min(), along.max()])[:, None] * ahead
    covered = len(np.unique(np.rint(along).astype(int))) / max(float(np.ptp(along)), 1.0)
    return Segment(ends, rows) if covered > 0.5 else None


def _join(points: RidgePoints, found: list[Segment], gap: float) -> list[Segment]:
    """Segments that go on in another one after a gap, as one."""
    left = sorted(found, key=lambda each: -each.length)
    joined: list[Segment] = []
    while left:
        one = left.pop(0)
        grown = True
        while grown:
            grown = False
            for i, other in enumerate(left):
                if _continues(one, other, gap):
                    rows = np.concatenate([one.points, other.points])
                    both = _segment_of(points, rows)
                    one, grown = both, True
                    left.pop(i)
                    break
        joined.append(one)
    return joined


def _segment_of(points: RidgePoints, rows: np.ndarray) -> Segment:
    middle, ahead = _axis(points.at[rows], points.height[rows])
    along = (points.at[rows] - middle) @ ahead
    return Segment(middle + np.array([along.min(), along.max()])[:, None] * ahead, rows)


def _continues(one: Segment, other: Segment, gap: float) -> bool:
    ahead = (one.ends[1] - one.ends[0]) / max(one.length, 1e-9)
    along, off = (other.ends - one.ends[0]) @ ahead, (other.ends - one.ends[0]) @ np.array([-ahead[1], ahead[0]])
    apart = max(float(along.min()) - one.length, -float(along.max()))
    allowed = OFF + 0.02 * max(apart, 0.0)
    return apart <= gap and bool((np.abs(off) <= allowed + 0.01 * other.length).all())
