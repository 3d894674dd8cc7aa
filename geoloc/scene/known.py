"""What is known of a site besides its marks: distances, lines in the stills, heights and lenses of cameras."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.scene.lenses import Lens
from geoloc.scene.tables import Column, Table

LINE_KINDS = ("plumb", "parallel", "horizon")
LINE_SIGMA = 1.0  # px; how well a person draws the end of a line


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
    parallel to each other; "horizon" lies on the horizon of a level ground. Pixels are geoloc's own.
    """

    camera: np.ndarray
    kind: np.ndarray
    group: np.ndarray
    start: np.ndarray
    end: np.ndarray
    sigma: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "camera": Column(str),
        "kind": Column(str),
        "group": Column(str),
        "start": Column(float, (2,), "px"),
        "end": Column(float, (2,), "px"),
        "sigma": Column(float, unit="px", missing=LINE_SIGMA),  # standard deviation of each end, across the line
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

    `height` (m over the ground below it) with its standard deviation `height_sigma`; `lens` is the name of a
    KnownLens; cameras with the same `shared_lens` have one lens between them, still to be found.
    """

    name: str
    height: float = float("nan")
    height_sigma: float = 0.05
    lens: str = ""
    shared_lens: str = ""

    def __post_init__(self) -> None:
        stated = not np.isnan(self.height)
        if not self.name or np.isinf(self.height) or not (self.height_sigma > 0 and np.isfinite(self.height_sigma)):
            found = f"height {self.height} m, height_sigma {self.height_sigma} m"
            raise InputError(f"camera {self.name!r}: {found}; it needs a name, a finite height, a positive sigma")
        if stated and self.height <= 0:
            raise InputError(f"camera {self.name!r}: height {self.height} m; it is measured up from the ground")
        if self.lens and self.shared_lens:
            raise InputError(f"camera {self.name!r}: has both 'lens' and 'shared_lens'; a known lens needs no sharing")


@dataclass(frozen=True, eq=False)
class Known:
    """Everything that is known of a site besides its marks; empty tables where nothing is."""

    distances: Distances
    lines: ImageLines
    cameras: tuple[KnownCamera, ...] = ()
    lenses: tuple[KnownLens, ...] = ()

    def __post_init__(self) -> None:
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
