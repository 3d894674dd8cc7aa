"""What a marking session holds and asks: marks, points and lines, and what a solver answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from geoloc.calibrate.solution import Solution
from geoloc.scene.known import ImageLines
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint


@dataclass(frozen=True, eq=False)
class MarkingState:
    """Marks of all cameras, the control points that are not on the map, and lines drawn into the stills."""

    marks: Marks = field(default_factory=Marks)
    points: tuple[ControlPoint, ...] = ()
    lines: ImageLines = field(default_factory=ImageLines)


@dataclass(frozen=True)
class Spot:
    """A place on the map for a new control point: `height` and the sigmas in m, `height` over its level."""

    x: float
    y: float
    level: str
    height: float
    sigma_xy: float
    sigma_z: float


@dataclass(frozen=True)
class DrawnLine:
    """A straight line of the world drawn into a still, from `start` to `end` px; `group` of parallel ones."""

    camera: str
    kind: str
    start: tuple[float, float]
    end: tuple[float, float]
    group: str = ""


@dataclass(frozen=True, eq=False)
class Question:
    """A camera with a still of `size` (width, height) px, its own marks and lines, and all control points."""

    camera: str
    size: tuple[int, int]
    marks: Marks
    points: tuple[ControlPoint, ...]
    lines: ImageLines = field(default_factory=ImageLines)


@dataclass(frozen=True)
class NextMark:
    """Where the next mark would help most: the pixel, the place on the map, and why. `point` is "" for any spot."""

    pixel: tuple[float, float]
    xyz: tuple[float, float, float]
    point: str = ""
    words: str = ""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a camera's marks say: its calibration, and where to mark next if that is known.

    `headline` is that in one line; `wrong` names marks that look wrong, each with why; `ground_m` are the ground
    sigmas (m) that half and nine tenths of the ground in view stay below, NaN where there are none. `present`: the
    camera is the site's present one, for the marks give no new one. `freed` is what the solver chose to free;
    `turned` (rad), of each line of the question, how far it is from what it is said to be.
    """

    solution: Solution
    headline: str = ""
    next_mark: NextMark | None = None
    wrong: dict[str, str] = field(default_factory=dict)
    ground_m: tuple[float, float] = (float("nan"), float("nan"))
    present: bool = False
    freed: tuple[str, ...] = ()
    turned: tuple[float, ...] = ()


Solve = Callable[[Question], Verdict]
