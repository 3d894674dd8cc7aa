"""What links cameras besides the marks that people set: ground matched where stills overlap, and objects seen by
several cameras at one time. Both are marks of tie points of which the map knows the height alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from geoloc.calibrate.overlap import NoOverlapError, OverlapOptions, match_on_ground
from geoloc.calibrate.overlap_direct import register_on_ground
from geoloc.errors import GeometryError
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap

Progress = Callable[[str], None]


@dataclass(frozen=True)
class TieOptions:
    """Which ties are sought, and how they are weighed against marks."""

    most_a_pair: int = 60  # ties of two cameras that count
    contradiction: float = 1e-6  # probability; ties that move a camera farther than its marks allow at it are dropped
    direct: bool = False  # register ground that has no features whole, by kornia (extra `torch`)

    def __post_init__(self) -> None:
        check_range(self, most_a_pair=(4, 10_000), contradiction=(0.0, 0.5))


@dataclass(frozen=True, eq=False)
class Ties:
    """Marks of tie points, what the map knows of the points, and in words what was found and what was not."""

    marks: Marks = field(default_factory=Marks)
    on_ground: tuple[ControlPoint, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: "Ties") -> "Ties":
        """Both together."""
        marks = Marks.concat([self.marks, other.marks])
        return Ties(marks, (*self.on_ground, *other.on_ground), (*self.notes, *other.notes))

    def between(self, cameras: Sequence[str]) -> "Ties":
        """Those whose marks are all in `cameras`."""
        gone = set(self.marks.point[~np.isin(self.marks.camera, list(cameras))].tolist())
        return self.without(gone)

    def without(self, points: set[str]) -> "Ties":
        """Those that are not of `points`."""
        kept = ~np.isin(self.marks.point, list(points))
        known = tuple(point for point in self.on_ground if point.name not in points)
        return Ties(self.marks.take(kept), known, self.notes)


Finder = Callable[[tuple[Camera, ...]], Ties]  # ties by cameras as marks have them


def overlap_ties(
    cameras: Sequence[Camera],
    stills: Mapping[str, np.ndarray],
    site_map: SiteMap,
    overlap: OverlapOptions = OverlapOptions(),  # noqa: B008 - frozen
    options: TieOptions = TieOptions(),
    progress: Progress = lambda _: None,
) -> Ties:
    """Ties of all cameras whose `stills` (H, W[, 3]) overlap on the ground, level by level.

    `progress` is told each pair when done. Pairs that share no ground are passed over; why other pairs have no ties
    is in the notes.
    """
    seeing = [camera for camera in cameras if camera.name in stills and not camera.is_homography]
    found = Ties()
    for first, second in combinations(seeing, 2):
        for level in site_map.levels:
            found += _pair(first, second, stills, site_map, level.name, overlap, options)
        progress(f"{first.name} {second.name}")
    return found


def _pair(
    first: Camera, second: Camera, stills: Mapping[str, np.ndarray], site_map: SiteMap, level: str,
    overlap: OverlapOptions, options: TieOptions,
) -> Ties:  # fmt: skip
    names = f"{first.name} and {second.name}"
    pair, images = (first, second), (stills[first.name], stills[second.name])
    own = replace(overlap, most_ties=options.most_a_pair)
    try:
        ties = match_on_ground(pair, images, site_map, level, own)
        how = "features"
    except NoOverlapError:
        return Ties()
    except GeometryError as error:
        if not options.direct:
            return Ties(notes=(f"overlap: no ties: {error}",))
        try:
            ties = register_on_ground(pair, images, site_map, level, own).ties
            how = "whole"
        except GeometryError as again:
            return Ties(notes=(f"overlap: no ties: {again}",))
    moved = float(np.linalg.norm(ties.shift))
    note = (
        f"overlap: {names} are tied at {len(ties.marks) // 2} places on {level} ({how}); by their marks alone they "
        f"put them {100 * moved:.0f} cm apart"
    )
    renamed = [f"{point} on {level}" for point in ties.marks.point.tolist()]
    known = tuple(replace(point, name=f"{point.name} on {level}") for point in ties.on_ground)
    return Ties(ties.marks.replace(point=np.array(renamed, dtype=str)), known, (note,))
