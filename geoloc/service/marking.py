"""A marking session: marks and control points of a site while a person sets them, saved at every change."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geoloc.calibrate.solution import Solution
from geoloc.errors import InputError, unknown_name
from geoloc.files import read_bytes
from geoloc.io.marks import read_marks, write_marks
from geoloc.io.points import read_points, write_points
from geoloc.io.rows import MAX_NAME, ReadReport
from geoloc.io.world_files import PlanImage
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, SiteMap
from geoloc.service.stills import Still

MARKS, POINTS = "marks.csv", "points.csv"
MAX_STEPS = 1000  # changes that can be undone


@dataclass(frozen=True)
class NextMark:
    """Where the next mark would help most: the pixel, the place on the map, and why. `point` is "" for any spot."""

    pixel: tuple[float, float]
    xyz: tuple[float, float, float]
    point: str = ""
    words: str = ""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a camera's marks say: its calibration, and where to mark next if that is known."""

    solution: Solution
    next_mark: NextMark | None = None


# camera, size of its still (px), its marks, all control points -> what they say
Solve = Callable[[str, tuple[int, int], Marks, tuple[ControlPoint, ...]], Verdict]


@dataclass(frozen=True, eq=False)
class MarkingState:
    """Marks of all cameras, and the control points that are not on the map."""

    marks: Marks
    points: tuple[ControlPoint, ...]


@dataclass(frozen=True)
class Spot:
    """A place on the map for a new control point: `height` and the sigmas in m, `height` over its level."""

    x: float
    y: float
    level: str
    height: float
    sigma_xy: float
    sigma_z: float


class MarkingSession:
    """Holds the state, its history and its files. Every change is saved before it is told; one at a time.

    `folder` is the site's calibration folder with `marks.csv` and `points.csv`, both made when they are needed.
    A file in it that another program has changed meanwhile is never written over.
    """

    def __init__(
        self, site: Site, stills: tuple[Still, ...], folder: Path, solve: Solve, plan: PlanImage | None = None
    ) -> None:
        self.site, self.stills, self.folder, self.plan = site, stills, folder, plan
        self.revision = 0
        self.changed_camera = ""  # whose marks the last change, undo or redo was about
        self._solve = solve
        self._lock = threading.RLock()
        self.reload()

    @property
    def state(self) -> MarkingState:
        """Marks and points as they stand."""
        return self._done[-1]

    @property
    def control_points(self) -> tuple[ControlPoint, ...]:
        """Those of the map, then those of `points.csv`."""
        return (*self.site.site_map.control_points, *self.state.points)

    @property
    def can_undo(self) -> bool:
        return len(self._done) > 1

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def reload(self) -> None:
        """Take what the files say, and forget the history.

        Rows that cannot be read are refused: saving would drop them.
        """
        with self._lock:
            marks, points = Marks(), tuple[ControlPoint, ...]()
            if self._path(MARKS).exists():
                result = read_marks(self._path(MARKS), "csv")
                marks = result.marks
                _require_whole(result.report)
            if self._path(POINTS).exists():
                found = read_points(self._path(POINTS), "csv")
                points = found.points
                _require_whole(found.report)
            _check_points(self.site.site_map, points)
            self._files = {name: self._content(name) for name in (MARKS, POINTS)}
            self._done, self._undone = [MarkingState(marks, points)], list[MarkingState]()
            self.revision += 1

    def mark(self, camera: str, point: str, pixel: tuple[float, float], sigma: float, spot: Spot | None = None) -> None:
        """Mark a point in a still, or move its mark. With `spot` a new control point is made there by that name."""
        with self._lock:
            still, points = self.still(camera), self.state.points
            if not 0 < len(point.strip()) <= MAX_NAME:
                raise InputError(f"a point needs a name of at most {MAX_NAME} characters")
            inside = all(-0.5 <= at <= side - 0.5 for at, side in zip(pixel, still.size, strict=True))
            if not inside or not 0 < sigma < np.inf:
                found = f"mark of {point!r} in {camera!r}: pixel {pixel}, sigma {sigma} px"
                raise InputError(f"{found}; it must lie inside the still, its sigma be positive")
            if spot is not None:
                points = (*points, self._new_point(point, spot))
            marks = self.state.marks
            same = (marks.camera == camera) & (marks.point == point)
            row = Marks(camera=[camera], point=[point], pixel=[pixel], sigma=[sigma])
            at = int(np.flatnonzero(same)[0]) if same.any() else len(marks)
            rest = marks.take(~same)
            before, after = rest.take(np.arange(at)), rest.take(np.arange(at, len(rest)))
            self._change(MarkingState(Marks.concat([before, row, after]), points))

    def unmark(self, camera: str, point: str) -> None:
        """Take a mark away; the point stays on the map."""
        with self._lock:
            marks = self.state.marks
            gone = (marks.camera == camera) & (marks.point == point)
            if not gone.any():
                raise unknown_name("mark", point, marks.point[marks.camera == camera].tolist(), f"camera {camera!r}")
            self._change(replace(self.state, marks=marks.take(~gone)))

    def remove_point(self, point: str) -> None:
        """Take a control point of `points.csv` away, with its marks; those of the map stay."""
        with self._lock:
            own = [known.name for known in self.state.points]
            if point not in own:
                raise unknown_name("point set while marking", point, own)
            marks = self.state.marks
            rest = tuple(known for known in self.state.points if known.name != point)
            self._change(MarkingState(marks.take(marks.point != point), rest))

    def undo(self) -> None:
        """Back to the state before the last change; nothing happens where there is none."""
        with self._lock:
            if self.can_undo:
                self._save(self._done[-2])
                self._undone.append(self._done.pop())

    def redo(self) -> None:
        """The change that was undone last, again."""
        with self._lock:
            if self._undone:
                self._save(self._undone[-1])
                self._done.append(self._undone.pop())

    def solve(self, camera: str) -> Verdict:
        """What the marks of a camera say now; errors of the solver are the caller's to show."""
        still, state = self.still(camera), self.state
        return self._solve(camera, still.size, state.marks.take(state.marks.camera == camera), self.control_points)

    def still(self, camera: str) -> Still:
        """The still of a camera."""
        for still in self.stills:
            if still.camera == camera:
                return still
        raise unknown_name("camera", camera, [still.camera for still in self.stills], "these stills")

    def _new_point(self, name: str, spot: Spot) -> ControlPoint:
        if any(known.name == name for known in self.control_points):
            raise InputError(f"there is a control point {name!r} already; give the new one another name")
        if not (spot.sigma_xy > 0 and spot.sigma_z > 0):
            raise InputError(f"point {name!r}: sigmas {spot.sigma_xy} and {spot.sigma_z} m; both must be positive")
        ground = self.site.site_map.level(spot.level).z_extended(np.array([[spot.x, spot.y]]))
        xyz = (spot.x, spot.y, float(ground[0]) + spot.height)
        return ControlPoint(name, xyz, (spot.sigma_xy, spot.sigma_xy, spot.sigma_z))

    def _change(self, state: MarkingState) -> None:
        self._save(state)
        self._done = [*self._done[-MAX_STEPS:], state]
        self._undone.clear()

    def _save(self, state: MarkingState) -> None:
        """Points first: a point without marks does no harm, a mark without its point does."""
        for name in (MARKS, POINTS):
            if self._content(name) != self._files[name]:
                changed = f"{self._path(name)}: another program has changed it"
                raise InputError(f"{changed}; take its content over with Reload, then mark again")
        self.changed_camera = _changed_camera(self.state.marks, state.marks)
        if state.points != self.state.points or (state.points and not self._path(POINTS).exists()):
            write_points(self._path(POINTS), state.points)
            self._files[POINTS] = self._content(POINTS)
        write_marks(self._path(MARKS), state.marks)
        self._files[MARKS] = self._content(MARKS)
        self.revision += 1

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _content(self, name: str) -> bytes:
        return read_bytes(self._path(name)) if self._path(name).exists() else b""


def _changed_camera(before: Marks, after: Marks) -> str:
    """The camera of a mark that is in only one of the two; "" if none is."""
    old, new = (
        {(camera, point, *pixel, sigma) for camera, point, pixel, sigma in zip(*columns, strict=True)}
        for columns in (
            [getattr(marks, name).tolist() for name in ("camera", "point", "pixel", "sigma")]
            for marks in (before, after)
        )
    )
    return min((row[0] for row in old ^ new), default="")


def _require_whole(report: ReadReport) -> None:
    for reason, item in report.skipped.items():
        rows = f"line {', '.join(map(str, item.first))}"
        raise InputError(f"{report.path}: {reason} ({rows}); mend it first, for saving marks would drop such rows")


def _check_points(site_map: SiteMap, points: tuple[ControlPoint, ...]) -> None:
    """No name may be on the map and beside it."""
    on_map = {point.name for point in site_map.control_points}
    for point in points:
        if point.name in on_map:
            raise InputError(f"{POINTS}: control point {point.name!r} is on the map too; remove it from one of them")
