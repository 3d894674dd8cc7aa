"""All stills of a site laid onto a level of its map: each place from the camera that shows it sharpest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import cv2
import numpy as np

from geoloc.options import check_range
from geoloc.perception.ground_sheet import Sheet, Sight, SightOptions, level_sights
from geoloc.perception.rectify import check_still, rectify
from geoloc.perception.still_stack import Stack
from geoloc.scene.site import Site

LEAST = 1e-3  # weight below which a still adds nothing
UNSTEADY = 0.05  # weight of what differs between the stills of a camera, beside what stays
BALANCE_CELL = 0.5  # m in which the brightness of two cameras is compared
WHITE = 235.0  # grey value that no camera's bright ground is brought beyond
ALONE = 0.5  # natural logarithm by which a camera's brightness may be off others' where nothing is said


@dataclass(frozen=True)
class MosaicOptions:
    """How stills become one picture."""

    pixel: float = 0.03  # m; finer makes no sense, coarser where the ground is large
    longest: int = 4000  # px along the longer side
    feather: float = 0.6  # m over which one camera fades into the next
    balance: bool = True  # cameras are brought to one exposure
    sight: SightOptions = field(default_factory=SightOptions)

    def __post_init__(self) -> None:
        check_range(self, pixel=(0.005, 5), longest=(16, 30_000), feather=(0, 50))


@dataclass(frozen=True, eq=False)
class Mosaic:
    """`image` (H, W, 4) uint8, BGR and opacity, on `sheet`; what no camera sees is transparent.

    `source` (H, W) int16: which of `cameras` most of a pixel comes from, -1 for none; `footprint` (H, W) m that a
    pixel of that camera covers along its view, `sigma` (H, W) m that its calibration leaves, NaN where nobody sees.
    """

    sheet: Sheet
    image: np.ndarray
    cameras: tuple[str, ...]
    source: np.ndarray
    footprint: np.ndarray
    sigma: np.ndarray

    @property
    def corner(self) -> np.ndarray:
        """Upper left corner (2,) m."""
        return self.sheet.corner

    @property
    def pixel(self) -> float:
        """Side of a pixel (m)."""
        return self.sheet.pixel

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 m."""
        return self.sheet.extent

    @property
    def seen_m2(self) -> float:
        """Area that is not transparent."""
        return float((self.source >= 0).sum()) * self.pixel**2


def mosaic(site: Site, level: str, stills: Mapping[str, np.ndarray], options: MosaicOptions | None = None) -> Mosaic:
    """The stills (H, W, 3) uint8 BGR by camera, laid onto a level.

    A still of another size than its camera is scaled to it. Where no camera with a still sees, it is transparent.
    """
    options, chosen = options or MosaicOptions(), site.site_map.level(level)
    names = tuple(camera.name for camera in site.cameras if camera.name in stills)
    stacks = {}
    for name in names:
        still = check_still(stills[name], name, site.camera(name).size)
        stacks[name] = Stack(site.camera(name), still, np.ones(still.shape[:2], bool), 1)
    return mosaic_of(site, chosen.name, level_sights(site, names, options.sight)[chosen.name], stacks, options)


def mosaic_of(
    site: Site, level: str, sights: Sequence[Sight], stacks: Mapping[str, Stack], options: MosaicOptions | None = None
) -> Mosaic:
    """As `mosaic`, of stacks of stills by camera and of what their cameras see of the level."""
    options = options or MosaicOptions()
    sheet = _sheet(level, sights, options)
    names = tuple(sight.camera.name for sight in sights)
    empty = np.full(sheet.shape, np.nan, np.float32)
    image, source = np.zeros((*sheet.shape, 4), np.uint8), np.full(sheet.shape, -1, np.int16)
    if not sights:
        return Mosaic(sheet, image, names, source, empty, empty.copy())
    gains = _balance(site, level, sights, stacks) if options.balance else np.ones((len(sights), 3))
    total, colour = np.zeros(sheet.shape, np.float32), np.zeros((*sheet.shape, 3), np.float32)
    best, footprint, sigma = np.zeros(sheet.shape, np.float32), empty, empty.copy()
    for i, (sight, share) in enumerate(zip(sights, _shares(sights, options), strict=True)):
        part = sheet.cut(*sight.sheet.extent)
        rows, columns = _place(part, sheet)
        laid, seen = _laid(site, level, sight, stacks[sight.camera.name], part)
        weight = np.where(seen, np.maximum(sight.on(share, part), 0) * laid[..., 3], 0.0)
        total[rows, columns] += weight
        colour[rows, columns] += weight[..., None] * laid[..., :3] * gains[i].astype(np.float32)
        wins = weight > np.maximum(best[rows, columns], LEAST)
        best[rows, columns][wins] = weight[wins]
        source[rows, columns][wins] = i
        footprint[rows, columns][wins] = sight.on(sight.coarse, part)[wins]
        sigma[rows, columns][wins] = sight.on(sight.sigma, part)[wins]
    known = source >= 0
    image[known, :3] = np.clip(colour[known] / total[known, None], 0, 255)
    image[known, 3] = 255
    return Mosaic(sheet, image, names, source, footprint, sigma)


def _sheet(level: str, sights: Sequence[Sight], options: MosaicOptions) -> Sheet:
    """A sheet over all that is seen."""
    if not sights:
        return Sheet(level, np.zeros(2), options.pixel, (1, 1))
    boxes = np.array([sight.sheet.extent for sight in sights])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    pixel = max(options.pixel, float((high - low).max()) / options.longest)
    width, height = (max(1, round(side / pixel)) for side in (high - low).tolist())
    return Sheet(level, np.array([low[0], high[1]]), pixel, (height, width))


def _place(part: Sheet, whole: Sheet) -> tuple[slice, slice]:
    """Rows and columns of a sheet that was cut out of another."""
    left, top = np.rint((part.corner - whole.corner) * [1, -1] / whole.pixel).astype(int).tolist()
    return slice(top, top + part.shape[0]), slice(left, left + part.shape[1])


def _laid(site: Site, level: str, sight: Sight, stack: Stack, sheet: Sheet) -> tuple[np.ndarray, np.ndarray]:
    """Colour and trust (H, W, 4) of a camera's stills on a sheet, and where it sees (H, W)."""
    trust = np.where(stack.steady, 255, round(255 * UNSTEADY)).astype(np.uint8)
    laid, seen = rectify(np.dstack([stack.image, trust]), sight, site.site_map.level(level), sheet)
    laid[..., 3] /= 255.0
    return laid, seen


def _shares(sights: Sequence[Sight], options: MosaicOptions) -> list[np.ndarray]:
    """How much each camera counts in each of its cells: all where it is the sharpest, fading into others."""
    cell = sights[0].sheet.pixel
    boxes = np.array([sight.sheet.extent for sight in sights])
    corner = np.array([boxes[:, 0].min(), boxes[:, 3].max()])
    width, height = np.rint((boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)) / cell).astype(int).tolist()
    whole = replace(sights[0].sheet, corner=corner, shape=(height, width))
    lowest, best = np.full(whole.shape, np.inf), np.full(whole.shape, -1)
    for i, sight in enumerate(sights):
        rows, columns = _place(sight.sheet, whole)
        better = sight.blur < lowest[rows, columns]
        lowest[rows, columns][better], best[rows, columns][better] = sight.blur[better], i
    found = []
    for i, sight in enumerate(sights):
        mine = (best == i).astype(np.float32)
        soft = cv2.GaussianBlur(mine, (0, 0), options.feather / cell) if options.feather else mine
        # one that is not the sharpest still counts a little: where the sharpest shows what moves, it is asked
        there = np.maximum(soft, 0.02)[_place(sight.sheet, whole)]
        # a camera fades out before the edge of what it sees
        inside = cv2.distanceTransform(np.pad(sight.seen.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
        ramp = np.clip(inside * cell / max(options.feather, cell), 0.05, 1.0)
        found.append(np.where(sight.seen, there * ramp, 0.0).astype(np.float32))
    return found


def _balance(site: Site, level: str, sights: Sequence[Sight], stacks: Mapping[str, Stack]) -> np.ndarray:
    """Gains (C, 3) that bring cameras to one brightness and colour where they see the same ground.

    Least squares of the logarithms' medians over pairs, each camera held near 1: what nobody shares stays as it is.
    """
    n = len(sights)
    parts = [sight.sheet.resampled(BALANCE_CELL) for sight in sights]
    logs = []
    for sight, part in zip(sights, parts, strict=True):
        laid, seen = _laid(site, level, sight, stacks[sight.camera.name], part)
        seen &= (laid[..., 3] > 0.5) & (laid[..., :3].max(axis=2) < 250) & (laid[..., :3].min(axis=2) > 4)
        logs.append(np.where(seen[..., None], np.log(np.maximum(laid[..., :3], 1.0)), np.nan))
    normal, right = np.eye(n) / ALONE**2, np.zeros((n, 3))
    for i, j in combinations(range(n), 2):
        rows, columns = np.nonzero(np.isfinite(logs[i][..., 0]))
        at = np.rint(parts[j].pixels(parts[i].xy(rows, columns))).astype(int)
        inside = ((at >= 0) & (at < np.array(parts[j].shape[::-1]))).all(axis=1)
        there, here = logs[j][at[inside, 1], at[inside, 0]], logs[i][rows[inside], columns[inside]]
        both = np.isfinite(there[:, 0])
        if both.sum() < 20:
            continue
        off = np.median(there[both] - here[both], axis=0)
        weight = min(float(both.sum()), 400.0)
        normal[[i, j], [i, j]] += weight
        normal[[i, j], [j, i]] -= weight
        right[i] += weight * off
        right[j] -= weight * off
    gains = np.exp(np.linalg.solve(normal, right))
    # ground in the sun is brighter than in the shade: balanced, it must not go white
    most = [np.nanpercentile(log, 95, axis=(0, 1)) if np.isfinite(log).any() else np.zeros(3) for log in logs]
    return np.asarray(np.minimum(gains, (WHITE / np.exp(np.array(most)).max(axis=1))[:, None]))
