"""The map of a site: datum, levels and their surfaces, stalls, zones, occluders, control points."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely
from shapely import Geometry, Polygon

from geoloc.errors import InputError, unknown_name
from geoloc.geometry.geodesy import Datum
from geoloc.scene.learned import LaneLine, TransitTime

EDGE = 1e-3  # m


@dataclass(frozen=True, eq=False)
class Surface:
    """A piece of a level: the plane z = a x + b y + c over `polygon` (an empty one: everywhere).

    `plane` is (a, b, c), c in m; `sigma_z` (m) is how well its height is known.
    """

    plane: tuple[float, float, float] = (0.0, 0.0, 0.0)
    polygon: Polygon = field(default_factory=Polygon)
    sigma_z: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.plane).all() and np.isfinite(self.sigma_z) and self.sigma_z >= 0):
            found = f"plane {self.plane}, sigma_z {self.sigma_z}"
            raise InputError(f"surface: {found} must be finite and sigma_z >= 0")
        _check_valid("surface", self.polygon)

    def holds(self, xy: np.ndarray) -> np.ndarray:
        """Which points (N, 2) m lie over this piece: (N,) bool; its edge, 1 mm wide, belongs to it."""
        if self.polygon.is_empty:
            return np.isfinite(xy).all(axis=1)
        x, y = xy[:, 0], xy[:, 1]
        x0, y0, x1, y1 = self._bounds
        held = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        if not self.is_box:
            rows = np.flatnonzero(held)
            held[rows] = shapely.intersects_xy(self.outline, x[rows], y[rows])
        return held

    @cached_property
    def outline(self) -> Polygon:
        """The polygon, wider by 1 mm on all sides."""
        # wider by more than files and arithmetic round: nothing may fall between two pieces that adjoin
        outline = self.polygon.buffer(EDGE, join_style="mitre")
        shapely.prepare(outline)
        return outline

    @cached_property
    def _bounds(self) -> tuple[float, float, float, float]:
        return self.outline.bounds

    @cached_property
    def is_box(self) -> bool:
        """Whether the polygon is a rectangle along the axes."""
        return self.polygon.equals(self.polygon.envelope)

    def z_at(self, xy: np.ndarray) -> np.ndarray:
        """Height of the plane (N,) m at points (N, 2) m."""
        a, b, c = self.plane
        return a * xy[..., 0] + b * xy[..., 1] + c


@dataclass(frozen=True, eq=False)
class Level:
    """A floor, a lot, a ramp: named surfaces that together are one level."""

    name: str
    surfaces: tuple[Surface, ...]

    def __post_init__(self) -> None:
        if not self.name or not self.surfaces:
            raise InputError(f"level {self.name!r}: it needs a name and at least one surface")

    def z_at(self, xy: np.ndarray) -> np.ndarray:
        """Height of the level (N,) m at points (N, 2) m; NaN off it. The first surface that holds wins."""
        xy = np.asarray(xy, float).reshape(-1, 2)
        z = np.full(len(xy), np.nan)
        for surface in reversed(self.surfaces):
            z = np.where(surface.holds(xy), surface.z_at(xy), z)
        return z

    def under(self, xy: np.ndarray) -> Surface:
        """The surface under a place (2,) m; off the level, its first."""
        place = np.asarray(xy, float).reshape(1, 2)
        return next((surface for surface in self.surfaces if surface.holds(place)[0]), self.surfaces[0])

    def z_extended(self, xy: np.ndarray) -> np.ndarray:
        """As `z_at`; off the level the plane of its first surface goes on."""
        z = self.z_at(xy)
        return np.where(np.isnan(z), self.surfaces[0].z_at(xy), z)


@dataclass(frozen=True, eq=False)
class Place:
    """A named polygon on a level: a stall or a zone (lane, entrance, area of interest, ...).

    `direction` (rad, from east, counter-clockwise) is the only one in which vehicles may drive there; NaN: any.
    What was not drawn by hand says its `source` ("learned"), how well its middle is known (`sigma`, m), and the
    probability that there is such a place (`confidence`); NaN: not stated.
    """

    name: str
    level: str
    polygon: Polygon
    kind: str = "zone"
    direction: float = np.nan
    sigma: float = np.nan
    confidence: float = np.nan
    source: str = ""

    def __post_init__(self) -> None:
        _check_valid(f"{self.kind} {self.name!r}", self.polygon)
        if not self.name or self.polygon.is_empty:
            raise InputError(f"{self.kind} {self.name!r}: it needs a name and an outline")
        if np.isinf(self.direction):
            raise InputError(f"{self.kind} {self.name!r}: direction {self.direction}; it must be an angle")
        if self.sigma < 0 or np.isinf(self.sigma) or self.confidence < 0 or self.confidence > 1:
            found = f"sigma {self.sigma}, confidence {self.confidence}"
            raise InputError(f"{self.kind} {self.name!r}: {found}; sigma is m, confidence 0 to 1")


@dataclass(frozen=True, eq=False)
class Occluder:
    """A wall (line) or pillar (polygon) that stands on a level and blocks the view up to `height` m."""

    name: str
    level: str
    geometry: Geometry
    height: float = 3.0

    def __post_init__(self) -> None:
        _check_valid(f"occluder {self.name!r}", self.geometry)
        kind = self.geometry.geom_type
        solid = kind.endswith(("LineString", "Polygon")) and not self.geometry.is_empty
        if not (self.name and solid and 0 < self.height < np.inf):
            raise InputError(
                f"occluder {self.name!r}: {kind} of height {self.height} m; "
                "it needs a name, a line or polygon, and a positive height"
            )


@dataclass(frozen=True, eq=False)
class ControlPoint:
    """A surveyed point: `xyz` (3,) m with its standard deviation per axis `sigma` (3,) m."""

    name: str
    xyz: tuple[float, float, float]
    sigma: tuple[float, float, float] = (0.02, 0.02, 0.02)

    def __post_init__(self) -> None:
        finite = np.isfinite(self.xyz).all() and np.isfinite(self.sigma).all()
        if not (self.name and finite and min(self.sigma) >= 0):
            found = f"control point {self.name!r}: xyz {self.xyz}, sigma {self.sigma}"
            raise InputError(f"{found}; it needs a name, finite values, sigma >= 0")


@dataclass(frozen=True, eq=False)
class SiteMap:
    """What is fixed on a site. Without a `datum` everything is in metres and geodetic exports refuse."""

    levels: tuple[Level, ...] = field(default_factory=lambda: (Level("ground", (Surface(),)),))
    datum: Datum | None = None
    stalls: tuple[Place, ...] = ()
    zones: tuple[Place, ...] = ()
    occluders: tuple[Occluder, ...] = ()
    control_points: tuple[ControlPoint, ...] = ()
    lanes: tuple[LaneLine, ...] = ()
    transits: tuple[TransitTime, ...] = ()

    def __post_init__(self) -> None:
        if not self.levels:
            raise InputError("the map has no level; add at least one surface, such as the plane z = 0")
        _check_unique("level", (level.name for level in self.levels))
        _check_unique("control point", (point.name for point in self.control_points))
        _check_unique("stall", (stall.name for stall in self.stalls))
        things: tuple[Place | Occluder | LaneLine | TransitTime, ...]
        things = (*self.stalls, *self.zones, *self.occluders, *self.lanes, *self.transits)
        for thing in things:
            if thing.level not in self.level_index:
                raise unknown_name("level", thing.level, self.level_index, repr(thing.name))

    @cached_property
    def level_index(self) -> dict[str, int]:
        """Position of each level among `levels` by its name."""
        return {level.name: i for i, level in enumerate(self.levels)}

    @cached_property
    def level_names(self) -> np.ndarray:
        """Names of the levels, in order: (L,) str."""
        return np.array([level.name for level in self.levels])

    def level_rows(self, names: np.ndarray) -> np.ndarray:
        """Index among `levels` of each name (N,) str -> (N,) int; UnknownNameError if there is none."""
        index = self.level_index
        try:
            return np.fromiter((index[name] for name in names.tolist()), np.intp, len(names))
        except KeyError as error:
            raise unknown_name("level", error.args[0], index) from None

    def z_at(self, level_index: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Height (N,) m of levels (N,) at points (N, 2) m; NaN off them."""
        if len(self.levels) == 1:
            return self.levels[0].z_at(xy)
        z = np.full(len(xy), np.nan)
        for index in np.unique(level_index).tolist():
            rows = np.flatnonzero(level_index == index)
            z[rows] = self.levels[index].z_at(xy[rows])
        return z

    def level(self, name: str) -> Level:
        """The level of this name; UnknownNameError with the nearest name otherwise."""
        if name not in self.level_index:
            raise unknown_name("level", name, self.level_index)
        return self.levels[self.level_index[name]]

    def require_datum(self, what: str) -> Datum:
        """The datum, or InputError that says that `what` needs one."""
        if self.datum is None:
            raise InputError(f"{what} needs the site's datum; add latitude, longitude and height to its map")
        return self.datum


def _check_valid(what: str, geometry: Geometry) -> None:
    if not geometry.is_valid:
        reason = shapely.is_valid_reason(geometry)
        raise InputError(f"{what}: {reason}; its outline must not cross or touch itself")


def _check_unique(kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"the map has two {kind}s named {name!r}; names must differ")
        seen.add(name)
