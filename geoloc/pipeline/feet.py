"""The feet of detections, where objects touch the ground: pixels, their covariance, and rows without one."""

from dataclasses import dataclass

import numpy as np

from geoloc.geometry.gaussian import is_covariance_2x2
from geoloc.options import check_range
from geoloc.scene.tables import Detections

EDGE_PX = 2.0  # a box that comes this close to the image's edge is cut off by it
UNUSABLE = (  # of several reasons the last one counts
    "",
    "score outside [0, 1]",
    "singular foot covariance, or none",
    "foot without a box needs its foot_cov",
    "foot or its covariance is half given",
    "wholly outside the image",
    "box of negative size",
    "no finite foot or box",
    "no finite time",
)


@dataclass(frozen=True)
class ProjectionOptions:
    """How a box becomes a point, and which points are too vague to keep."""

    foot_sigma_px: float = 1.0  # floor of the foot's standard deviation in each axis
    foot_sigma_across: float = 0.05  # of the box's width: standard deviation of the foot along the image row
    foot_sigma_along: float = 0.02  # of the box's height: standard deviation of the foot along the column
    cut_sigma: float = 0.3  # the same two, of width and height, where the image's edge cuts the box off
    max_sigma: float = 10.0  # m; a point whose worst standard deviation is larger is dropped

    def __post_init__(self) -> None:
        check_range(self, foot_sigma_px=(1e-3, 1e3), foot_sigma_across=(0, 1), foot_sigma_along=(0, 1))
        check_range(self, cut_sigma=(0, 10), max_sigma=(1e-6, 1e6))


@dataclass(frozen=True, eq=False)
class Feet:
    """Feet of n rows, components first. A row that cannot be used has no pixel."""

    pixel: np.ndarray  # (2, n) px
    cov: np.ndarray  # (3, n) px²: uu, uv, vv
    unusable: np.ndarray  # (n,) int8: index into UNUSABLE, 0 for rows that can be used


def feet(
    detections: Detections, at: np.ndarray | slice, image: np.ndarray, options: ProjectionOptions
) -> Feet:
    """Feet of the rows `at`, as given or else from the box's lower edge; `image` (2, n or 1) px is their size."""
    box = rows_of(detections.box, at).T.copy()
    given = rows_of(detections.foot, at).T.copy()
    given_cov = rows_of(detections.foot_cov, at).reshape(-1, 4).T.copy()
    no_foot, no_cov = np.isnan(given), np.isnan(given_cov)
    pixel, cov = given, given_cov
    if no_foot.any():
        pixel = np.where(no_foot, (0.5 * (box[0] + box[2]), box[3]), given)
    if no_cov.any():
        cov = np.where(no_cov, _box_cov(box, image, options), given_cov)
    score, time = rows_of(detections.score, at), rows_of(detections.time, at)
    tests = (
        ~((score >= 0) & (score <= 1)),
        ~is_covariance_2x2(cov.T.reshape(-1, 2, 2)),
        np.isnan(cov[0]),
        (no_foot[0] != no_foot[1]) | (no_cov[0] != no_cov[1:]).any(axis=0),
        _outside(box, pixel, image),
        (box[2] < box[0]) | (box[3] < box[1]),
        ~np.isfinite(pixel[0] + pixel[1]) | np.isinf(box).any(axis=0),
        ~np.isfinite(time),
    )
    unusable = np.zeros(len(time), dtype=np.int8)
    for reason, failed in enumerate(tests, start=1):
        if failed.any():
            unusable[failed] = reason
    if unusable.any():
        pixel = np.where(unusable == 0, pixel, np.nan)
    return Feet(pixel, cov[[0, 1, 3]], unusable)


def rows_of(column: np.ndarray, at: np.ndarray | slice) -> np.ndarray:
    """Rows of a column: a slice shares them, as frozen tables allow; `take` is several times faster than an index."""
    return column[at] if isinstance(at, slice) else column.take(at, axis=0)


def _box_cov(box: np.ndarray, image: np.ndarray, options: ProjectionOptions) -> np.ndarray:
    """Covariance (4, n) px² of the middle of a box's lower edge; along a side that the image cuts off it is vague."""
    across = (box[2] >= image[0] - 0.5 - EDGE_PX) | (box[0] <= EDGE_PX - 0.5)
    along = box[3] >= image[1] - 0.5 - EDGE_PX
    cov = np.zeros((4, box.shape[1]))
    cov[0] = np.where(across, options.cut_sigma, options.foot_sigma_across) * (box[2] - box[0])
    cov[3] = np.where(along, options.cut_sigma, options.foot_sigma_along) * (box[3] - box[1])
    cov[::3] = cov[::3] ** 2 + options.foot_sigma_px**2
    return cov


def _outside(box: np.ndarray, pixel: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Which boxes (4, n) px lie wholly outside their images; of rows without a box, which feet (2, n) do."""
    width, height = image - 0.5
    outside = (box[2] < -0.5) | (box[3] < -0.5) | (box[0] > width) | (box[1] > height)
    boxless = np.isnan(box[0])
    if boxless.any():
        off = (pixel < -0.5).any(axis=0) | (pixel > image - 0.5).any(axis=0)
        outside = np.where(boxless, off, outside)
    return outside
