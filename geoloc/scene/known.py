"""What is known of a site besides its marks: distances, lines in the stills, heights and lenses of cameras."""

from collections.abc import Set
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.scene.columns import Column, Table
from geoloc.scene.lenses import Lens
from geoloc.scene.sitemap import Level, SiteMap

LINE_KINDS = ("plumb", "parallel", "horizon")
LINE_SIGMA = 1.0  # px; how well a person draws the end of a line
BEARING_SIGMA = np.pi / 360  # rad, half a degree; how well a direction is read off a map


class Distances(Table):
    """One row a length measured between two points of the map, along the straight line between them."""

    point_a: np.ndarray
    point_b: np.ndarray
    distance: np.ndarray
    sigma: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "point_a": Column(str),
        "point_b": Column(str),
        "distance": Column(float, unit="m"),
        "sigma": Column(float, unit="m"),
    }


class ImageLines(Table):
    """One row a straight line of the world drawn into a camera's still, from `start` to `end`.

    `kind` is one of LINE_KINDS: "plumb" lines are vertical in the world; "parallel" lines of one `group` are
    parallel to each other and level (kerbs, lane lines, eaves), in all stills that show any of them; "horizon" lies on
    the horizon of a level ground. `bearing` is the direction of a parallel line, clockwise from the map's north
    (y) and either way along, where it is known; one row of a group that states it states it for all.
    """

    camera: np.ndarray
    kind: np.ndarray
    group: np.ndarray
    start: np.ndarray
    end: np.ndarray
    sigma: np.ndarray
    bearing: np.ndarray
    bearing_sigma: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "camera": Column(str),
        "kind": Column(str),
        "group": Column(str),
        "start": Column(float, (2,), "px"),  # geoloc's own pixels
        "end": Column(float, (2,), "px"),
        "sigma": Column(float, unit="px", missing=LINE_SIGMA),  # standard deviation of each end, across the line
        "bearing": Column(float, unit="rad"),  # NaN: not known
        "bearing_sigma": Column(float, unit="rad", missing=BEARING_SIGMA),
    }


@dataclass(frozen=True, eq=False)
class KnownLens:
    """A lens that is known beforehand, for stills of `size` (width, height) px."""

    name: str
    lens: Lens
    size: tuple[int, int]


@dataclass(frozen=True)
class KnownCamera:
    """What is known of a camera before it is calibrated; NaN and "" where nothing is.

    `height` (m over the `level` beneath it, the map's first if none is named) with its standard deviation
    `height_sigma`; `lens` is the name of a
    KnownLens; cameras with the same `shared_lens` have one lens between them, still to be found.
    """

    name: str
    height: float = float("nan")
    height_sigma: float = 0.05
    lens: str = ""
    shared_lens: str = ""
    level: str = ""

    def __post_init__(self) -> None:
        stated = not np.isnan(self.height)
        if not self.name or np.isinf(self.height) or not (self.height_sigma > 0 and np.isfinite(self.height_sigma)):
            found = f"height {self.height} m, height_sigma {self.height_sigma} m"
            raise InputError(f"camera {self.name!r}: {found}; it needs a name, a finite height, a positive sigma")
        if stated and self.height <= 0:
            raise InputError(f"camera {self.name!r}: height {self.height} m; it is measured up from the ground")
        if self.lens and self.shared_lens:
            raise InputError(f"camera {self.name!r}: has both 'lens' and 'shared_lens'; a known lens needs no sharing")

    def ground(self, site_map: SiteMap) -> Level:
        """The level over which it stands."""
        return site_map.level(self.level) if self.level else site_map.levels[0]


@dataclass(frozen=True, eq=False)
class Known:
    """Everything that is known of a site besides its marks; empty where nothing is."""

    distances: Distances = field(default_factory=Distances)
    lines: ImageLines = field(default_factory=ImageLines)
    cameras: tuple[KnownCamera, ...] = ()
    lenses: tuple[KnownLens, ...] = ()

    def __post_init__(self) -> None:
        _check_distances(self.distances)
        _check_lines(self.lines)
        names = {lens.name for lens in self.lenses}
        for camera in self.cameras:
            if camera.lens and camera.lens not in names:
                raise unknown_name("lens", camera.lens, names, f"camera {camera.name!r}")

    def camera(self, name: str) -> KnownCamera:
        """What is known of a camera; of one that is not named, nothing."""
        return next((camera for camera in self.cameras if camera.name == name), KnownCamera(name))

    def lens(self, camera: str) -> KnownLens | None:
        """The known lens of a camera, if it has one."""
        wanted = self.camera(camera).lens
        return next((lens for lens in self.lenses if lens.name == wanted), None)

    @property
    def heights(self) -> tuple[KnownCamera, ...]:
        """The cameras whose height is known."""
        return tuple(camera for camera in self.cameras if np.isfinite(camera.height))

    @property
    def shared(self) -> tuple[tuple[str, ...], ...]:
        """Groups of cameras that share a lens which is still to be found."""
        groups: dict[str, list[str]] = {}
        for camera in self.cameras:
            if camera.shared_lens:
                groups.setdefault(camera.shared_lens, []).append(camera.name)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)

    def without_height(self, camera: str) -> "Known":
        """The same without the height of one camera."""
        unknown = (replace(own, height=float("nan")) if own.name == camera else own for own in self.cameras)
        return replace(self, cameras=tuple(unknown))

    def without_lens(self, camera: str) -> "Known":
        """The same without the lens of one camera."""
        unknown = (replace(own, lens="") if own.name == camera else own for own in self.cameras)
        return replace(self, cameras=tuple(unknown))

    def about(self, cameras: Set[str], points: Set[str]) -> "Known":
        """What of it is of these cameras, or between two of these points."""
        table = self.distances
        between = [{a, b} <= points for a, b in zip(table.point_a.tolist(), table.point_b.tolist(), strict=True)]
        return replace(
            self,
            distances=table.take(np.array(between, bool)),
            lines=self.lines.take(np.isin(self.lines.camera, list(cameras))),
            cameras=tuple(camera for camera in self.cameras if camera.name in cameras),
        )


def _check_distances(table: Distances) -> None:
    for a, b, metres, sigma in zip(
        table.point_a.tolist(), table.point_b.tolist(), table.distance.tolist(), table.sigma.tolist(), strict=True
    ):
        if not (a and b and a != b):
            raise InputError(f"distance from {a!r} to {b!r}: it needs two different points")
        if not (0 < metres < np.inf and 0 < sigma < np.inf):
            found = f"{metres} m, sigma {sigma} m; both must be positive and finite (m, not feet)"
            raise InputError(f"distance from {a!r} to {b!r}: {found}")


def _check_lines(table: ImageLines) -> None:
    unknown = sorted(set(table.kind.tolist()) - set(LINE_KINDS))
    if unknown:
        raise unknown_name("kind of line", unknown[0], LINE_KINDS, "the lines")
    stated = np.isfinite(table.bearing)
    if (stated & (table.kind != "parallel")).any():
        row = int(np.argmax(stated & (table.kind != "parallel")))
        what = f"camera {table.camera[row]!r}: a {table.kind[row]} line"
        raise InputError(f"{what} has no bearing; only parallel lines do")
    for group in np.unique(table.group[stated]).tolist():
        rows = np.flatnonzero(stated & (table.group == group))
        said = {(float(table.bearing[row]), float(table.bearing_sigma[row])) for row in rows}
        if len(said) > 1:
            raise InputError(f"parallel lines {group!r}: {len(said)} different bearings are stated; state one")
    ends = np.hstack([table.start, table.end])
    if not (np.isfinite(ends).all() and (table.sigma > 0).all() and (table.bearing_sigma > 0).all()):
        raise InputError("lines: the ends must be finite and every sigma positive")
