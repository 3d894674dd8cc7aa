"""Where things drive and walk: metres of travel by place and direction, which fade slowly."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.perception.fading import FadingSums

SUMS = 10  # weight, then that times x, y, cosine, sine, speed, speed², bias xx, xy, yy
BINS = 24  # of direction


@dataclass(frozen=True)
class FlowOptions:
    """How finely travel is remembered, and for how long."""

    cell: float = 0.5  # m; places within a cell keep their mean, not the cell's middle
    fade_s: float = 30 * 86400.0  # s until what was seen counts a third
    most_cells: int = 200_000
    slowest: float = 1.0  # m/s; what is slower is not on its way
    longest_step_s: float = 1.0  # between two positions that are one piece of travel

    def __post_init__(self) -> None:
        check_range(self, cell=(0.05, 10), fade_s=(1, 1e12), most_cells=(100, 1e8), slowest=(0.01, 50))
        check_range(self, longest_step_s=(1e-3, 60))


@dataclass(frozen=True, eq=False)
class Nodes:
    """M places and directions of travel: on which level, where on the mean (M, 2) m, and how much.

    `weight` (M,) m of travel; `direction` (M,) rad; `speed` and `speed_var` (M,) m/s, m²/s²; `bias_cov` (M, 2, 2) m².
    """

    level: np.ndarray
    xy: np.ndarray
    weight: np.ndarray
    direction: np.ndarray
    speed: np.ndarray
    speed_var: np.ndarray
    bias_cov: np.ndarray

    def on(self, level: int) -> "Nodes":
        """Those on one level."""
        rows = self.level == level
        return Nodes(*(getattr(self, name)[rows] for name in Nodes.__dataclass_fields__))


class Flow:
    """Metres of travel in cells of place and direction."""

    def __init__(self, options: FlowOptions | None = None) -> None:
        self.options = options or FlowOptions()
        self.sums = FadingSums(4, SUMS, self.options.fade_s, self.options.most_cells)

    def add(
        self,
        level: np.ndarray,
        xy: np.ndarray,
        velocity: np.ndarray,
        metres: np.ndarray,
        bias_cov: np.ndarray,
        time: np.ndarray,
    ) -> None:
        """Travel of N pieces: level (N,) int, place and velocity (N, 2), length (N,) m, bias (N, 2, 2) m², time s."""
        angle = np.arctan2(velocity[:, 1], velocity[:, 0])
        place = np.floor(xy / self.options.cell)
        sector = np.floor(np.mod(angle / (2 * np.pi), 1.0) * BINS) % BINS
        keys = np.column_stack([level, place, sector]).astype(np.int64)
        speed = np.hypot(velocity[:, 0], velocity[:, 1])
        each = [np.ones(len(xy)), xy[:, 0], xy[:, 1], np.cos(angle), np.sin(angle), speed, speed**2]
        each += [bias_cov[:, 0, 0], bias_cov[:, 0, 1], bias_cov[:, 1, 1]]
        self.sums.add(keys, np.stack(each, axis=1) * metres[:, None], time)

    def nodes(self, time: float = np.nan) -> Nodes:
        """What is remembered at a time (s); default: at the last that was added."""
        keys, sums = self.sums.at(time)
        rows = np.flatnonzero(sums[:, 0] > 1e-6)
        keys, sums = keys[rows], sums[rows]
        weight = sums[:, 0]
        mean = sums[:, 1:] / weight[:, None]
        bias = np.stack([mean[:, 6:8], mean[:, 7:9]], axis=1)
        direction = np.arctan2(mean[:, 3], mean[:, 2])
        spread = np.maximum(mean[:, 5] - mean[:, 4] ** 2, 0.0)
        return Nodes(keys[:, 0], mean[:, :2], weight, direction, mean[:, 4], spread, bias)

    def arrays(self) -> dict[str, np.ndarray]:
        """For a file."""
        return self.sums.arrays()

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """From a file."""
        self.sums.restore(arrays)
