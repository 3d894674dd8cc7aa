"""Lines on the ground, in metres: painted ones and edges of another surface, each with what is open about its place."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.options import check_range
from geoloc.perception.ground_sheet import Sheet, Sight
from geoloc.perception.line_linking import Segment, link
from geoloc.perception.rectify import rectify
from geoloc.perception.ridges import RidgePoints, bright_ridges, colour_edges
from geoloc.perception.still_stack import Stack
from geoloc.scene.camera import Camera
from geoloc.scene.ground_error import ground_jacobians, homography_jacobian, slope_at
from geoloc.scene.sitemap import Level

PAINT, KERB = "paint", "kerb"
APART = 0.25  # m along a line over which its wobbles are alike: paint, grain and pixels together
PAINTED = 0.005  # m; how straight paint is
POINT_PX = 0.15  # of the still's pixels, by which a point on a line is off at least
PROFILE = 0.45  # m to both sides in which a line's width is measured
BESIDE = 0.22  # m from its middle from where on it is the ground beside it
ONE_SIDED = 0.35  # of a line's contrast that it must have over its brighter side: else it is an edge
STEPS = 40  # places along a line at which its profile is looked at


@dataclass(frozen=True)
class LineOptions:
    """What counts as a line."""

    pixel: float = 0.025  # m of the sheet on which lines are looked for
    width: float = 0.11  # m of a painted line, about
    widest: float = 0.30  # m; wider paint is no line
    coarsest: float = 0.22  # m that a pixel of the still may cover along the view
    contrast: float = 0.07  # natural logarithm of paint over ground
    noise: float = 2.5  # times the ground's own unevenness
    shortest: float = 0.7  # m
    gap: float = 1.2  # m over which a line goes on: worn paint, a leaf, a tyre
    kerb_contrast: float = 0.10  # natural logarithm of a colour's share, from one surface to the next
    kerb_shortest: float = 3.0  # m

    def __post_init__(self) -> None:
        check_range(self, pixel=(0.005, 0.5), width=(0.03, 2), widest=(0.03, 3), coarsest=(0.005, 5))
        check_range(self, contrast=(0.005, 3), noise=(0, 50), shortest=(0.1, 50), gap=(0, 20))
        check_range(self, kerb_contrast=(0.005, 3), kerb_shortest=(0.1, 100))


@dataclass(frozen=True, eq=False)
class GroundLine:
    """A straight line on a level as one camera's stills show it: `ends` (2, 2) m, `width` m (0: an edge).

    `noise` (2, 2) m² is the covariance of where it lies across itself at its two ends, as far as pixels and paint go;
    `by_calib` (2, 6 + k + 1) is how that moves with the variables of the camera's `calib_cov`, then with the height of
    the ground (m). `covered` is the share of its length on which it was found.
    """

    camera: str
    level: str
    kind: str
    ends: np.ndarray
    width: float
    contrast: float
    covered: float
    noise: np.ndarray
    by_calib: np.ndarray
    coarse: float

    @property
    def length(self) -> float:
        """m."""
        return float(np.linalg.norm(self.ends[1] - self.ends[0]))

    @property
    def ahead(self) -> np.ndarray:
        """Its direction (2,)."""
        return np.asarray((self.ends[1] - self.ends[0]) / max(self.length, 1e-9))

    @property
    def across(self) -> np.ndarray:
        """Its normal (2,), to the left of `ahead`."""
        x, y = self.ahead.tolist()
        return np.array([-y, x])

    def cov(self, calib_cov: np.ndarray, sigma_z: float) -> np.ndarray:
        """Covariance (2, 2) m² of where it lies across itself at its ends, all together."""
        shared = _with_height(calib_cov, sigma_z)
        return self.noise + self.by_calib @ shared @ self.by_calib.T

    def sigma(self, camera: Camera, level: Level) -> float:
        """Standard deviation (m) of its middle across itself."""
        cov = self.cov(camera_cov(camera), sigma_z_at(level, self.ends.mean(axis=0)))
        return float(np.sqrt(cov.sum() / 4))


def camera_cov(camera: Camera) -> np.ndarray:
    """What `by_calib` refers to: the covariance of a camera's calibration, or of its homography's pixels."""
    return np.eye(2) * camera.homography_sigma_px**2 if camera.is_homography else camera.calib_cov


def sigma_z_at(level: Level, xy: np.ndarray) -> float:
    """How well (m) the height of a level is known under a place (2,)."""
    return level.under(xy).sigma_z


def _with_height(calib_cov: np.ndarray, sigma_z: float) -> np.ndarray:
    n = len(calib_cov)
    both = np.zeros((n + 1, n + 1))
    both[:n, :n], both[n, n] = calib_cov, sigma_z**2
    return both


def find_lines(sight: Sight, stack: Stack, level: Level, options: LineOptions | None = None) -> list[GroundLine]:
    """Painted lines and kerbs that a camera's stills show on a level, longest first of each."""
    options = options or LineOptions()
    near = sight.seen & (sight.coarse <= options.coarsest)
    if not near.any():
        return []
    sheet = _box(sight.sheet, near).resampled(options.pixel)
    steady = np.where(stack.steady, 255, 0).astype(np.uint8)
    laid, known = rectify(np.dstack([stack.image, steady]), sight, level, sheet)
    known &= (sight.on(near.astype(np.float32), sheet) > 0.5) & (laid[..., 3] > 127)
    logs = np.log(laid[..., :3] + 8.0)
    spread = options.width / 2 / options.pixel
    brightness = logs.mean(axis=2)
    ridges = bright_ridges(brightness, known, spread, options.contrast, options.noise)
    found = link(ridges, sheet.shape, options.shortest / options.pixel, options.gap / options.pixel)
    lines = [_painted(each, ridges, brightness, sheet, sight, level, options) for each in found]
    edges = colour_edges(_colour(logs, known), known, 2 * spread, options.kerb_contrast, options.noise)
    runs = link(edges, sheet.shape, options.kerb_shortest / options.pixel, options.gap / options.pixel)
    kerbs = [_line(each, edges, sheet, sight, level, KERB, 0.0, float(np.median(edges.height[each.points])))
             for each in runs]  # fmt: skip
    return [line for line in lines if line is not None] + kerbs


def _box(cells: Sheet, chosen: np.ndarray) -> Sheet:
    """The part of a sheet that holds all chosen cells (H, W)."""
    rows, columns = (np.flatnonzero(chosen.any(axis=axis)) for axis in (1, 0))
    low = cells.xy(np.array([rows[-1] + 0.5]), np.array([columns[0] - 0.5]))[0]
    high = cells.xy(np.array([rows[0] - 0.5]), np.array([columns[-1] + 0.5]))[0]
    return cells.cut(*low.tolist(), *high.tolist())


def _colour(logs: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How the ground's colour differs (H, W): light and shade change brightness, another surface its colour."""
    shares = np.stack([logs[..., 0] - logs[..., 1], logs[..., 2] - logs[..., 1]], axis=-1)
    shares -= np.median(shares[known], axis=0) if known.any() else 0.0
    some = shares[known][:: max(1, int(known.sum()) // 20_000)]
    if len(some) < 3:
        return np.zeros(known.shape, np.float32)
    _, axes = np.linalg.eigh(np.cov(some.T))
    return np.asarray(shares @ axes[:, -1])


def _painted(
    segment: Segment, ridges: RidgePoints, brightness: np.ndarray, sheet: Sheet, sight: Sight, level: Level,
    options: LineOptions,
) -> GroundLine | None:  # fmt: skip
    """A segment as a painted line; None where it is an edge, or too wide."""
    offsets = np.arange(-PROFILE, PROFILE + 1e-9, options.pixel)
    profile = _profile(segment, brightness, offsets / options.pixel)
    left, right = (float(np.median(profile[side])) for side in (offsets < -BESIDE, offsets > BESIDE))
    peak = float(profile[np.abs(offsets) < 0.08].max())
    contrast = peak - 0.5 * (left + right)
    if contrast < options.contrast or peak - max(left, right) < ONE_SIDED * (peak - min(left, right)):
        return None
    base = np.interp(offsets, [offsets[0], offsets[-1]], [left, right])
    width = options.pixel * float((profile - base > 0.5 * (peak - base)).sum())
    line = _line(segment, ridges, sheet, sight, level, PAINT, width, contrast)
    return line if width <= options.widest + line.coarse else None


def _profile(segment: Segment, image: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The middle value of an image across a segment, at offsets (M,) px to its right: (M,)."""
    ahead = (segment.ends[1] - segment.ends[0]) / segment.length
    spots = segment.ends[0] + np.linspace(0.02, 0.98, STEPS)[:, None] * (segment.ends[1] - segment.ends[0])
    at = spots[:, None] + offsets[:, None] * np.array([-ahead[1], ahead[0]])
    place = at.astype(np.float32)
    values = cv2.remap(image, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.median(values, axis=0))


def _line(
    segment: Segment, points: RidgePoints, sheet: Sheet, sight: Sight, level: Level, kind: str, width: float,
    contrast: float,
) -> GroundLine:  # fmt: skip
    ends = sheet.xy(segment.ends[:, 1], segment.ends[:, 0])
    length = float(np.linalg.norm(ends[1] - ends[0]))
    ahead = (ends[1] - ends[0]) / length
    across = np.array([-ahead[1], ahead[0]])
    at = points.at[segment.points]
    xy = sheet.xy(at[:, 1], at[:, 0]) - ends[0]
    along, off = xy @ ahead, xy @ across
    cells = np.clip(np.rint(sight.sheet.pixels(sheet.xy(at[:, 1], at[:, 0]))).astype(int), 0,
                    np.array(sight.seen.shape[::-1]) - 1)  # fmt: skip
    coarse = float(np.median(sight.coarse[cells[:, 1], cells[:, 0]]))
    spread = max(1.4826 * float(np.median(np.abs(off - np.median(off)))), POINT_PX * coarse, 0.003)
    n = max(length / APART, 1.0)
    noise = spread**2 / n * np.array([[4.0, -2.0], [-2.0, 4.0]]) + PAINTED**2
    covered = len(np.unique(np.rint(along / sheet.pixel).astype(int))) * sheet.pixel / length
    return GroundLine(
        sight.camera.name, level.name, kind, ends, width, contrast, min(covered, 1.0), noise,
        np.einsum("j,ijk->ik", across, ground_moves(sight.camera, level, ends)), coarse,
    )  # fmt: skip


def ground_moves(camera: Camera, level: Level, xy: np.ndarray) -> np.ndarray:
    """How the ground (N, 2, 6 + k + 1) m under a fixed pixel moves with the camera's variables, then with its height.

    Of a camera known by its homography the variables are the two of the pixel.
    """
    if camera.is_homography:
        moves = np.linalg.inv(homography_jacobian(camera, xy))
        return np.concatenate([moves, np.zeros((len(xy), 2, 1))], axis=2)
    points = np.column_stack([xy, level.z_extended(xy)])
    by_ground, by_calib = ground_jacobians(camera, points, slope_at(level, xy))
    by_height = camera.jacobians(points)[1][:, :, 2:]
    return -np.linalg.solve(by_ground, np.concatenate([by_calib, by_height], axis=2))


def painted(lines: Sequence[GroundLine]) -> list[GroundLine]:
    """Those of them that are paint."""
    return [line for line in lines if line.kind == PAINT]
