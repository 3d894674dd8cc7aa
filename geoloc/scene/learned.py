"""What was learned of how a site is driven: lanes as lines, and times from camera to camera."""

from dataclasses import dataclass

import numpy as np
from shapely import LineString

from geoloc.errors import InputError


@dataclass(frozen=True, eq=False)
class LaneLine:
    """The middle of a lane, in the direction in which it is driven, or in either if it is not `one_way`.

    `width` (m) with its `width_sigma`; `sigma` (m) how well the line is known across; `speed` (m/s) that is usual,
    with the spread of vehicles `speed_sigma`; `confidence` that there is such a lane, and driven so.
    """

    name: str
    level: str
    line: LineString
    width: float
    width_sigma: float = 0.0
    sigma: float = 0.0
    speed: float = np.nan
    speed_sigma: float = np.nan
    one_way: bool = True
    confidence: float = np.nan
    source: str = ""

    def __post_init__(self) -> None:
        whole = self.line.geom_type == "LineString" and self.line.length > 0
        if not (self.name and whole and 0 < self.width < np.inf):
            raise InputError(f"lane {self.name!r}: it needs a name, a line and a positive width")

    @property
    def edges(self) -> tuple[LineString, LineString]:
        """Its left and right edge, seen as it is driven."""
        return self.line.offset_curve(self.width / 2), self.line.offset_curve(-self.width / 2)


@dataclass(frozen=True, eq=False)
class TransitTime:
    """How long what leaves the sight of camera `start` is out of sight until camera `end` has it: s, with its spread.

    `line` leads from where it is lost to where it is seen again; `n` transits said so. `seconds_sigma` is the spread
    of single transits, not of their mean.
    """

    name: str
    level: str
    line: LineString
    start: str
    end: str
    seconds: float
    seconds_sigma: float
    n: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        finite = np.isfinite([self.seconds, self.seconds_sigma, self.n]).all() and min(self.seconds_sigma, self.n) >= 0
        if not (self.name and self.start and self.end and finite):
            raise InputError(f"transit {self.name!r}: it needs a name, both cameras, and finite seconds")
