"""Where vehicles come and leave, where they go unseen, and how long that takes them from camera to camera."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geoloc.options import check_range
from geoloc.perception.fading import FadingSums
from geoloc.perception.tracks_trails import PERSON, End, Gap
from geoloc.scene.joints import joints_of
from geoloc.scene.site import Site

CELL = 2.0  # m, of ends
BLIND_CELL = 1.0  # m
OPEN_S = 600.0  # s unseen after which nobody was on his way
JOINT_REACH = 8.0  # m from where two levels meet, that is no entrance
GAP_COLUMNS = 8  # start camera, end camera, level, both places, seconds


@dataclass(frozen=True)
class DoorOptions:
    """What makes an entrance, a blind area and a transit."""

    fade_s: float = 30 * 86400.0
    least: float = 3.0  # vehicles that came, or left
    least_share: float = 0.05  # of all that came, or left
    one_sided: float = 0.75  # share of those that came among all that came or left there
    half_width: float = 3.0  # m, of an entrance about where vehicles were first seen
    least_blind: float = 2.0  # vehicles that were out of sight over a place
    most_transits: int = 5000
    least_transits: int = 3

    def __post_init__(self) -> None:
        check_range(self, fade_s=(1, 1e12), least=(0.1, 1e6), least_share=(0, 1), one_sided=(0.5, 1))
        check_range(self, half_width=(0.5, 50), least_blind=(0.1, 1e6), most_transits=(10, 1e7))
        check_range(self, least_transits=(1, 1e6))


@dataclass(frozen=True, eq=False)
class LearnedDoor:
    """An entrance or exit: its ground, the direction (rad) in which it is passed, sigma (m) of its middle."""

    kind: str
    level: int
    polygon: shapely.Polygon
    direction: float
    sigma: float
    confidence: float
    n: float


@dataclass(frozen=True, eq=False)
class LearnedTransit:
    """Times (N,) s unseen from camera to camera, and the places (2,) m where that begins and ends."""

    start: str
    end: str
    level: int
    start_xy: np.ndarray
    end_xy: np.ndarray
    gap_s: np.ndarray

    @property
    def seconds(self) -> float:
        """The usual time (s): of half of them it is less."""
        return float(np.median(self.gap_s))

    @property
    def spread_s(self) -> float:
        """Standard deviation (s) of single transits, robust against those that stopped on the way."""
        return float(max(1.4826 * np.median(np.abs(self.gap_s - self.seconds)), 0.1))


class Doors:
    """Ends and gaps of vehicles' tracks."""

    def __init__(self, site: Site, options: DoorOptions | None = None) -> None:
        self.site, self.options = site, options or DoorOptions()
        self.ends = FadingSums(4, 6, self.options.fade_s, 50_000)
        self.blind = FadingSums(3, 1, self.options.fade_s, 200_000)
        self.transits = np.zeros((0, GAP_COLUMNS))

    def add(self, ends: list[End], gaps: list[Gap]) -> None:
        """Count them; people are left out."""
        ends = [end for end in ends if end.family != PERSON and np.isfinite(end.velocity).all()]
        if ends:
            xy, velocity = np.array([end.xy for end in ends]), np.array([end.velocity for end in ends])
            axis = velocity / np.maximum(np.hypot(*velocity.T), 1e-9)[:, None]
            keys = np.column_stack([[(end.begins, end.level) for end in ends], np.floor(xy / CELL)]).astype(np.int64)
            values = np.column_stack([np.ones(len(ends)), xy, axis, (xy**2).sum(axis=1)])
            self.ends.add(keys, values, np.array([end.time for end in ends]))
        gaps = [gap for gap in gaps if gap.family != PERSON and gap.time[1] - gap.time[0] < OPEN_S]
        for gap in gaps:
            self._unseen(gap)
        self._transits(gaps)

    def doors(self) -> list[LearnedDoor]:
        """Entrances and exits."""
        keys, sums = self.ends.at(np.nan)
        if not len(keys):
            return []
        begins = keys[:, 0] == 1
        total = {True: sums[begins, 0].sum(), False: sums[~begins, 0].sum()}
        found = []
        for begin in (True, False):
            for level in np.unique(keys[:, 1]).tolist():
                mine = np.flatnonzero((begins == begin) & (keys[:, 1] == level))
                for cells in _clusters(keys[mine, 2:]):
                    found.append(self._door(begin, level, sums[mine[cells]], keys, sums, total[begin]))
        return [door for door in found if door is not None]

    def blind_areas(self, level: int, seen: np.ndarray) -> list[tuple[shapely.Polygon, float]]:
        """Ground over which vehicles went unseen, of cells where none of `seen` (N, 2) m was, and how many did."""
        keys, sums = self.blind.at(np.nan)
        mine = (keys[:, 0] == level) & (sums[:, 0] >= self.options.least_blind)
        cells, count = keys[mine, 1:], sums[mine, 0]
        known = {tuple(cell) for cell in np.floor(seen / BLIND_CELL).astype(int).tolist()}
        dark = np.array([tuple(cell) not in known for cell in cells.tolist()], bool)
        cells, count = cells[dark], count[dark]
        areas = []
        for part in _clusters(cells):
            low = cells[part] * BLIND_CELL
            union = shapely.union_all(shapely.box(*low.T, *(low + BLIND_CELL).T)).buffer(0.8).buffer(-0.3)
            pieces = [piece.simplify(0.3) for piece in shapely.get_parts(union) if piece.area > 4.0]
            areas += [(shapely.Polygon(piece.exterior), float(count[part].max())) for piece in pieces]
        return areas

    def learned_transits(self) -> list[LearnedTransit]:
        """The times from camera to camera that were seen often enough."""
        found = []
        for pair in np.unique(self.transits[:, :3], axis=0).tolist():
            rows = self.transits[(self.transits[:, :3] == pair).all(axis=1)]
            if len(rows) >= self.options.least_transits:
                names = [self.site.cameras[int(i)].name for i in pair[:2]]
                start, end = np.median(rows[:, 3:5], axis=0), np.median(rows[:, 5:7], axis=0)
                found.append(LearnedTransit(names[0], names[1], int(pair[2]), start, end, rows[:, 7]))
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """For a file."""
        parts = {"ends": self.ends, "blind": self.blind}
        named = {f"{name}.{key}": array for name, part in parts.items() for key, array in part.arrays().items()}
        return named | {"transits": self.transits}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """From a file."""
        for name, part in (("ends", self.ends), ("blind", self.blind)):
            part.restore({key: arrays[f"{name}.{key}"] for key in ("keys", "sums", "base")})
        self.transits = arrays["transits"]

    def _unseen(self, gap: Gap) -> None:
        apart = gap.end - gap.start
        length = float(np.hypot(*apart))
        if gap.level[0] != gap.level[1] or length < 2 * BLIND_CELL:
            return
        steps = np.linspace(0.0, 1.0, int(length / (0.5 * BLIND_CELL)) + 2)[1:-1]
        cells = np.unique(np.floor((gap.start + steps[:, None] * apart) / BLIND_CELL).astype(np.int64), axis=0)
        keys = np.column_stack([np.full(len(cells), gap.level[0]), cells])
        self.blind.add(keys, np.ones((len(cells), 1)), np.full(len(cells), gap.time[1]))

    def _transits(self, gaps: list[Gap]) -> None:
        if not gaps or not self.site.cameras:
            return
        levels = np.array([gap.level for gap in gaps])
        ends = [
            self._camera_at(levels[:, i], np.array(places))
            for i, places in enumerate(([gap.start for gap in gaps], [gap.end for gap in gaps]))
        ]
        rows = [
            [a, b, gap.level[0], *gap.start, *gap.end, gap.time[1] - gap.time[0]]
            for gap, a, b in zip(gaps, *(end.tolist() for end in ends), strict=True)
            if min(a, b) >= 0 and a != b
        ]
        more = np.reshape(np.array(rows, float), (-1, GAP_COLUMNS))
        self.transits = np.concatenate([self.transits, more])[-self.options.most_transits :]

    def _camera_at(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """The nearest camera (N,) that sees each place; -1: none does."""
        sees = self.site.visibility.seen_by(level, xy)
        anchor = np.array([camera.anchor_xy for camera in self.site.cameras])
        apart = np.where(sees, np.linalg.norm(xy[:, None] - anchor, axis=2), np.inf)
        return np.where(sees.any(axis=1), apart.argmin(axis=1), -1)

    def _changes_level(self, level: int, xy: np.ndarray) -> bool:
        """Whether a place is where another level is come to, which is no way out."""
        joints = [joint for joint in joints_of(self.site.site_map) if level in (joint.first, joint.second)]
        places = [place for joint in joints for place in (joint.ramp, joint.climb) if not place.is_empty]
        return any(place.distance(shapely.Point(xy)) < JOINT_REACH for place in places)

    def _door(
        self, begin: bool, level: int, mine: np.ndarray, keys: np.ndarray, sums: np.ndarray, total: float
    ) -> LearnedDoor | None:
        n = float(mine[:, 0].sum())
        if n < max(self.options.least, self.options.least_share * total):
            return None
        middle = mine[:, 1:3].sum(axis=0) / n
        turned = mine[:, 3:5].sum(axis=0) / n
        spread = float(np.sqrt(max(0.5 * (mine[:, 5].sum() / n - middle @ middle), 0.0)))
        other = (keys[:, 0] != begin) & (keys[:, 1] == level)
        place = sums[:, 1:3] / np.maximum(sums[:, :1], 1e-9)
        against = float(sums[other & (np.hypot(*(place - middle).T) < 2 * spread + CELL), 0].sum())
        share = n / (n + against)
        if self._changes_level(level, middle):
            return None
        if share < self.options.one_sided:
            return None
        ahead = turned / max(float(np.hypot(*turned)), 1e-9)
        direction = float(np.arctan2(turned[1], turned[0])) if np.hypot(*turned) > 0.8 else np.nan
        left = np.array([-ahead[1], ahead[0]])
        half = np.array([1.5 * spread + 2.0, self.options.half_width])
        signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        corners = middle + signs[:, :1] * half[0] * ahead + signs[:, 1:] * half[1] * left
        confidence = share * (1.0 - 0.5 ** (n / self.options.least))
        kind = "entrance" if begin else "exit"
        return LearnedDoor(kind, level, shapely.Polygon(corners), direction, spread / np.sqrt(n), confidence, n)


def _clusters(cells: np.ndarray) -> list[np.ndarray]:
    """Rows of cells (N, 2) that touch each other, group by group."""
    if not len(cells):
        return []
    apart = np.abs(cells[:, None] - cells[None]).max(axis=2) if len(cells) < 3000 else None
    if apart is not None:
        a, b = np.nonzero(apart <= 1)
    else:
        from scipy.spatial import cKDTree

        a, b = cKDTree(cells).query_pairs(1.5, output_type="ndarray").T
    label = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(len(cells),) * 2), directed=False)[1]
    return [np.flatnonzero(label == i) for i in range(label.max() + 1)]
