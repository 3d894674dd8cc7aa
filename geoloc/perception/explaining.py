"""Which bodies on the ground make a mask what it is.

Bodies of all classes are tried at all places of a grid, each with the outline that the camera would see; the one that
explains most of what is left is taken, then the next: masks of several bodies fall apart into them, what fits none is
left over (compare Fleuret et al. 2008, who ask the same of several cameras).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from geoloc.options import check_range
from geoloc.perception.map_prior import stall_pull, usual_places
from geoloc.perception.silhouettes import (
    BODIES,
    Body,
    Ground,
    clearance,
    draw_outline,
    ground_seen,
    image_box,
    outlines,
    place_points,
)
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site

COARSE = 4  # px of the picture that are one of the mask on which places are tried
FULL_TURN = np.pi  # rad; outlines do not tell front from rear
LEAST_STEP = 0.06  # m
LONG_M = 3.0  # m; longer bodies drive, and may reach out of the picture
SAMPLED = 64  # pixels of such a mask by which an outline is known
MOST = 40  # bodies in a frame of one camera


@dataclass(frozen=True)
class ExplainOptions:
    """Which bodies explain a mask."""

    classes: tuple[str, ...] = ("person", "bicycle", "car", "van", "truck")
    step: float = 0.5  # m between places that are tried
    reach: float = 20.0  # m from the camera: beyond, outlines of bodies at a height of 3 m tell no place
    missing: float = 1.2  # what a pixel of a body that the mask does not have costs, beside one that it has
    covered: float = 0.62  # share of a body's pixels that the mask must have
    least_px: float = 28.0  # height of a vehicle's outline: smaller ones tell neither place nor class
    least_person_px: float = 30.0  # and of a person's or a bicycle's
    cost_px: float = 14.0  # pixels that one more body must explain

    def __post_init__(self) -> None:
        check_range(self, step=(0.05, 10), reach=(1, 1000), missing=(0, 100), covered=(0, 1))
        check_range(self, least_px=(1, 10_000), least_person_px=(1, 10_000), cost_px=(0, 1e6))


@dataclass(frozen=True, eq=False)
class Found:
    """A body that explains a part of a mask: place (3,) m, heading (rad), level, and how well it fits (0 to 1).

    `pixels` (P, 2) are those of its points, `visible` the share of its outline that no nearer body hides.
    """

    body: Body
    xyz: np.ndarray
    heading: float
    level: int
    pixels: np.ndarray
    fit: float
    visible: float


class Explainer:
    """The bodies that one camera may see, each with its outline; `camera` is of the masks' size."""

    def __init__(self, site: Site, camera: Camera, options: ExplainOptions | None = None) -> None:
        self.site, self.camera, self.options = site, camera, options or ExplainOptions()
        self._centre = camera.centre_world
        ground = ground_seen(site, camera, self.options.step, self.options.reach)
        parts = [self._tried(BODIES[name], ground) for name in self.options.classes]
        self._body = [BODIES[name] for name, part in zip(self.options.classes, parts, strict=True) for _ in part[0]]
        self._xyz, self._heading, self._level = (np.concatenate([part[k] for part in parts]) for k in range(3))
        self._coarse = -(-camera.size[0] // COARSE), -(-camera.size[1] // COARSE)
        self._pixels: list[np.ndarray] = [one for part in parts for one in part[3]]
        # what is rare must fit better
        usual = np.array([body.usual for body in self._body])
        drives = np.array([body.length > LONG_M for body in self._body], bool)
        where = self._level[drives], self._xyz[drives, :2], self._heading[drives]
        self._place, self._long = np.ones(len(usual)), drives
        self._place[drives] = usual_places(site.site_map, *where)
        self._missing = self.options.missing * (usual * self._place) ** -0.5
        self._alone = np.array([body.alone for body in self._body])
        self._sparse(self._pixels)
        self.reached = self._reached()

    def __len__(self) -> int:
        return len(self._body)

    def _reached(self) -> np.ndarray:
        """Pixels (H, W) bool that some body may cover."""
        hit = np.zeros(self._coarse[0] * self._coarse[1], np.uint8)
        hit[self._matrix.indices] = 255
        wide = cv2.dilate(hit.reshape(self._coarse[::-1]), np.ones((3, 3), np.uint8))
        return np.asarray(cv2.resize(wide, self.camera.size, interpolation=cv2.INTER_NEAREST) > 0)

    def explain(
        self,
        left: np.ndarray,
        before: Sequence[Found] = (),
        mask: np.ndarray | None = None,
        vehicles_only: bool = False,
    ) -> list[Found]:
        """Bodies that explain a mask `left` (H, W) uint8 0 or 255; those that were there `before` are tried first.

        With a whole `mask`, of which others have explained the rest, bodies may stand behind those.
        """
        mask = left if mask is None else mask
        small = cv2.resize(mask, self._coarse, interpolation=cv2.INTER_AREA) > 110
        found: list[Found] = []
        left = left.copy()
        for old in before:
            again = self.judged(mask, left, old)
            if again is not None and again.visible >= again.body.alone:
                found.append(again)
                _take_out(left, again, self.camera.size)
        rest = cv2.resize(left, self._coarse, interpolation=cv2.INTER_AREA) > 110
        flat, open_ = small.reshape(-1), rest.reshape(-1).copy()
        rows = np.flatnonzero(open_[self._middle] & (self._long | (not vehicles_only)))
        tried = self._rows_of(rows) if len(rows) else None
        while tried is not None and len(found) < MOST:
            gain = self._gains(tried, rows, flat, open_)
            best = int(np.argmax(gain))
            if gain[best] <= 0:
                break
            row = int(rows[best])
            one = self._at(row)
            better = self.refined(mask, left, one)
            gone = one if better is None or better.visible < better.body.alone else better
            if gone is better:
                found.append(better)
                _take_out(left, better, self.camera.size)
            self._close(open_, gone.pixels)
        return found

    def _close(self, open_: np.ndarray, pixels: np.ndarray) -> None:
        """Take an outline out of what is open (h w,) bool on the coarse mask."""
        small = (pixels + 0.5) / COARSE - 0.5
        x0, y0, x1, y1 = image_box(small, self._coarse)
        if x1 > x0 and y1 > y0:
            own = draw_outline(small, (x0, y0), (x1 - x0, y1 - y0)) > 0
            open_.reshape(self._coarse[::-1])[y0:y1, x0:x1][own] = False

    def refined(self, mask: np.ndarray, left: np.ndarray, found: Found) -> Found | None:
        """The same body where it fits best near by; None where it fits too badly."""
        body, reach = found.body, self.options.step
        turn = FULL_TURN / body.headings / 2 if body.headings > 1 else 0.0
        place, heading = found.xyz, found.heading
        best = float(self._worths(mask, left, found, place[None], np.array([heading]))[0])
        farthest, widest = 2.0 * reach, 1.2 * turn
        while reach > LEAST_STEP:
            places, headings = self._about(found.level, place, heading, reach, turn)
            near = np.linalg.norm(places - found.xyz, axis=1) <= farthest
            near &= np.abs(headings - found.heading) <= widest + 1e-9
            worth = np.where(near, self._worths(mask, left, found, places, headings), -np.inf)
            first = int(np.argmax(worth))
            if worth[first] > best:
                best, place, heading = float(worth[first]), places[first], float(headings[first])
            else:
                reach, turn = reach / 2, turn / 2
        return self.judged(mask, left, replace(found, xyz=place, heading=heading))

    def judged(self, mask: np.ndarray, left: np.ndarray, found: Found) -> Found | None:
        """The same body as well as it fits where it is; None where it fits too badly."""
        pixels = self._outlines(found, found.xyz[None], np.array([found.heading]))[0]
        if not np.isfinite(pixels).all():
            return None
        inside, fresh, area = _counts(mask, left, pixels, self.camera.size)
        # what is rare must be seen more fully
        least = 1.0 - (1.0 - self.options.covered) * found.body.usual**0.5
        if area < 1 or inside < least * area:
            return None
        return replace(found, pixels=pixels, fit=inside / area, visible=fresh / area)

    def _about(
        self, level: int, place: np.ndarray, heading: float, reach: float, turn: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Places a step farther, nearer, to either side, and turns to either side."""
        away = place[:2] - self._centre[:2]
        away = away / max(float(np.linalg.norm(away)), 1e-6)
        moves = reach * np.array([away, -away, [-away[1], away[0]], [away[1], -away[0]]])
        turns = [turn, -turn] if turn else []
        places = np.repeat(place[None], 4 + len(turns), axis=0)
        places[:4, :2] += moves
        z = self.site.site_map.levels[level].z_extended(places[:, :2])
        places[:, 2] = np.where(np.isfinite(z), z, place[2])
        return places, np.array([heading] * 4 + [heading + t for t in turns])

    def _worths(
        self, mask: np.ndarray, left: np.ndarray, found: Found, places: np.ndarray, headings: np.ndarray
    ) -> np.ndarray:
        """What bodies at places (N, 3) explain, less what they would show that is not there: (N,) px."""
        pixels, body = self._outlines(found, places, headings), found.body
        worths = np.full(len(places), -np.inf)
        missing = self.options.missing * body.usual**-0.5
        for row in np.flatnonzero(np.isfinite(pixels).all(axis=(1, 2))).tolist():
            inside, fresh, area = _counts(mask, left, pixels[row], self.camera.size)
            drives = body.length > LONG_M
            where = places[row, :2], float(headings[row])
            pull = stall_pull(self.site.site_map, found.level, *where) if drives else 0.0
            worths[row] = fresh - missing * (area - inside) - pull * area
        return worths

    def _outlines(self, found: Found, places: np.ndarray, headings: np.ndarray) -> np.ndarray:
        return outlines(self.camera, place_points(found.body, places, headings))

    def _tried(self, body: Body, ground: Ground) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Places, headings, levels and outlines of one class."""
        heading = np.arange(body.headings) * np.pi / body.headings
        room = clearance(self.site, ground.xyz) > body.height
        ground = Ground(ground.xyz[room], ground.level[room])
        xyz, turned = np.repeat(ground.xyz, body.headings, axis=0), np.tile(heading, len(ground.xyz))
        level = np.repeat(ground.level, body.headings)
        pixels = outlines(self.camera, place_points(body, xyz, turned))
        low, high = pixels.min(axis=1), pixels.max(axis=1)
        size = np.array(self.camera.size)
        shown = np.clip(np.minimum(high, size) - np.maximum(low, 0), 0, None).prod(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            kept = shown / (high - low).prod(axis=1) > (0.35 if body.length > LONG_M else 0.75)
            least = self.options.least_px if body.length > LONG_M else self.options.least_person_px
            kept &= high[:, 1] - low[:, 1] >= least
        return xyz[kept], turned[kept], level[kept], pixels[kept]

    def _sparse(self, pixels: list[np.ndarray]) -> None:
        indices, counts, pointer, middle = [], [], [0], np.zeros(len(pixels), int)
        width, height = self._coarse
        for row, own in enumerate(pixels):
            small = (own + 0.5) / COARSE - 0.5
            x0, y0, x1, y1 = image_box(small, self._coarse)
            mask = draw_outline(small, (x0, y0), (max(x1 - x0, 1), max(y1 - y0, 1)))
            v, u = np.nonzero(mask)
            at = (v + y0) * width + u + x0
            every = -(-len(at) // SAMPLED)  # large outlines need not be known at every pixel
            at = at[every // 2 :: max(every, 1)]
            indices.append(at)
            counts.append(np.full(len(at), every, np.float32))
            pointer.append(pointer[-1] + len(at))
            centre = np.clip(np.rint(small.mean(axis=0)), 0, [width - 1, height - 1]).astype(int)
            middle[row] = centre[1] * width + centre[0]
        packed = np.concatenate(indices) if indices else np.zeros(0, int)
        data = np.concatenate(counts) if counts else np.zeros(0, np.float32)
        self._matrix = csr_matrix((data, packed, np.array(pointer)), shape=(len(pixels), width * height))
        self._area = np.asarray(self._matrix.sum(axis=1)).reshape(-1).astype(np.float32)
        self._middle = middle

    def _rows_of(self, rows: np.ndarray) -> csr_matrix:
        return self._matrix[rows]

    def _gains(self, tried: csr_matrix, rows: np.ndarray, flat: np.ndarray, open_: np.ndarray) -> np.ndarray:
        area = self._area[rows]
        inside, fresh = tried @ flat.astype(np.float32), tried @ open_.astype(np.float32)
        gain = fresh - self._missing[rows] * (area - inside) - self.options.cost_px / COARSE**2
        gain *= self._place[rows] ** 0.25
        usable = (inside >= 0.9 * self.options.covered * area) & (fresh >= self._alone[rows] * area)
        return np.where(usable, gain, -np.inf)

    def _at(self, row: int) -> Found:
        pixels = self._pixels[row]
        heading, level = float(self._heading[row]), int(self._level[row])
        return Found(self._body[row], self._xyz[row], heading, level, pixels, 0.0, 1.0)


def _along(camera: Camera, place: np.ndarray) -> np.ndarray:
    away = place[:2] - camera.centre_world[:2]
    return np.asarray(away / max(float(np.linalg.norm(away)), 1e-6))


def _counts(
    mask: np.ndarray, left: np.ndarray, pixels: np.ndarray, size: tuple[int, int]
) -> tuple[float, float, float]:
    """Pixels of an outline that the mask has, that are left of it, and all."""
    x0, y0, x1, y1 = image_box(pixels, size)
    if x1 <= x0 or y1 <= y0:
        return 0.0, 0.0, 0.0
    own = draw_outline(pixels, (x0, y0), (x1 - x0, y1 - y0))
    inside = cv2.countNonZero(cv2.bitwise_and(mask[y0:y1, x0:x1], own))
    fresh = inside if left is mask else cv2.countNonZero(cv2.bitwise_and(left[y0:y1, x0:x1], own))
    return float(inside), float(fresh), float(cv2.countNonZero(own))


def _take_out(left: np.ndarray, found: Found, size: tuple[int, int]) -> None:
    """Take a body's outline, a little wider, out of what is left of a mask."""
    x0, y0, x1, y1 = image_box(found.pixels, size)
    x0, y0, x1, y1 = max(x0 - 2, 0), max(y0 - 2, 0), min(x1 + 2, size[0]), min(y1 + 2, size[1])
    own = cv2.dilate(draw_outline(found.pixels, (x0, y0), (x1 - x0, y1 - y0)), np.ones((5, 5), np.uint8))
    left[y0:y1, x0:x1][own > 0] = 0


def best_place(
    site: Site, camera: Camera, mask: np.ndarray, body: Body, options: ExplainOptions | None = None
) -> Found | None:
    """Where a body of a known class stands that makes this mask (H, W) uint8 0 or 255 of it alone; None: nowhere.

    The mask's lower middle says about where; all headings are tried from there.
    """
    options = options or ExplainOptions()
    fitter = _Fitter(site, camera, options)
    x, y, width, height = cv2.boundingRect(mask)
    found: list[tuple[float, Found]] = []
    for level, start in fitter.starts(np.array([x + (width - 1) / 2, y + height - 0.5])):
        for turn in range(body.headings):
            heading = turn * FULL_TURN / body.headings
            place = start.copy()
            place[:2] += _along(camera, start) * 0.3 * body.length
            one = fitter.refined(mask, mask, Found(body, place, heading, level, np.zeros((0, 2)), 0.0, 1.0))
            if one is not None:
                inside, _, area = _counts(mask, mask, one.pixels, camera.size)
                found.append((inside / (area + cv2.countNonZero(mask) - inside), one))
    return max(found, key=lambda pair: pair[0])[1] if found else None


class _Fitter(Explainer):
    """An explainer without places that it tries: it refines what it is given."""

    def __init__(self, site: Site, camera: Camera, options: ExplainOptions) -> None:
        self.site, self.camera, self.options, self._centre = site, camera, options, camera.centre_world

    def starts(self, pixel: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Where the ray of a pixel meets each level from above: row and place (3,) m."""
        ray, centre = self.camera.unproject(pixel[None])[0], self.camera.centre_world
        met: list[tuple[int, np.ndarray]] = []
        for number, level in enumerate(self.site.site_map.levels):
            for surface in level.surfaces:
                a, b, c = surface.plane
                down = ray[2] - ray[0] * a - ray[1] * b
                far = (a * centre[0] + b * centre[1] + c - centre[2]) / down if down else -1.0
                place = centre + far * ray
                if 0 < far < 200 and surface.holds(place[None, :2])[0]:
                    met.append((number, place))
        return met[:1] if len(met) == 1 else sorted(met, key=lambda pair: np.linalg.norm(pair[1] - centre))[:1]
