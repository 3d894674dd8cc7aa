"""A marking session: marks, points and lines of a site while a person sets them, saved at every change."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.io.rows import MAX_NAME
from geoloc.io.world_files import PlanImage
from geoloc.scene.columns import Table
from geoloc.scene.known import LINE_KINDS, ImageLines
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint
from geoloc.service.marking_files import MarkingFiles
from geoloc.service.marking_state import DrawnLine, MarkingState, Question, Solve, Spot, Verdict
from geoloc.service.proposal_box import ProposalBox
from geoloc.service.scan_view import ScanView
from geoloc.service.stills import Still

MAX_STEPS = 1000  # changes that can be undone
SHORTEST = 10.0  # px; a shorter line says little of its direction, and was a double click


class MarkingSession:
    """Holds the state and its history. Every change is saved before it is told; one at a time.

    `folder` is the site's calibration folder (see `MarkingFiles`). Cameras are solved beside, one at a time too, so
    that saving never waits for a solver.
    """

    def __init__(
        self,
        site: Site,
        stills: tuple[Still, ...],
        folder: Path,
        solve: Solve,
        plan: PlanImage | None = None,
        scan: ScanView | None = None,
        proposals: ProposalBox | None = None,
    ) -> None:
        self.proposals = proposals
        self.site, self.stills, self.folder, self.plan, self.scan = site, stills, folder, plan, scan
        self.revision = 0
        self.changed_camera = ""  # whose marks the last change, undo or redo was about
        self._files = MarkingFiles(folder)
        self._solve = solve
        self._lock, self._solving = threading.RLock(), threading.Lock()
        self._solved: dict[str, tuple[int, Verdict]] = {}
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
        """Take what the files say, and forget the history."""
        with self._lock:
            self._done, self._undone = [self._files.read(self.site.site_map)], list[MarkingState]()
            self.revision += 1

    def mark(self, camera: str, point: str, pixel: tuple[float, float], sigma: float, spot: Spot | None = None) -> None:
        """Mark a point in a still, or move its mark. With `spot` a new control point is made there by that name."""
        with self._lock:
            still, points = self.still(camera), self.state.points
            if not 0 < len(point.strip()) <= MAX_NAME:
                raise InputError(f"a point needs a name of at most {MAX_NAME} characters")
            if not _inside(pixel, still) or not 0 < sigma < np.inf:
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
            self._change(replace(self.state, marks=Marks.concat([before, row, after]), points=points))

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
            self._change(replace(self.state, marks=marks.take(marks.point != point), points=rest))

    def draw(self, line: DrawnLine, instead_of: DrawnLine | None = None) -> None:
        """Draw a line, or move another one there, which keeps what else is known of it.

        A second horizon of a camera replaces the first.
        """
        with self._lock:
            _check_line(line, self.still(line.camera))
            lines = self.state.lines
            old = self._row_of(instead_of) if instead_of is not None else np.zeros(len(lines), dtype=bool)
            if line.kind == "horizon":
                old |= (lines.camera == line.camera) & (lines.kind == "horizon")
            at = int(np.flatnonzero(old)[0]) if old.any() else len(lines)
            fresh = ImageLines(camera=[line.camera]) if instead_of is None else lines.take(np.array([at]))
            row = fresh.replace(kind=[line.kind], group=[line.group], start=[line.start], end=[line.end])
            rest = lines.take(~old)
            before, after = rest.take(np.arange(at)), rest.take(np.arange(at, len(rest)))
            self._change(replace(self.state, lines=ImageLines.concat([before, row, after])))

    def erase(self, line: DrawnLine) -> None:
        """Take a line away."""
        with self._lock:
            self._change(replace(self.state, lines=self.state.lines.take(~self._row_of(line))))

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

    def decide(self, action: str, stall: str = "") -> None:
        """`accept` or `reject` a proposed stall, or `take_back` the last such decision."""
        with self._lock:
            if self.proposals is None:
                raise InputError("no stalls are proposed; start geoloc mark with --proposals")
            if action == "take_back":
                self.proposals.take_back()
            elif action == "accept":
                self.proposals.accept(stall)
            else:
                self.proposals.reject(stall)
            self.site = replace(self.site, site_map=self.proposals.map)

    def solve(self, camera: str) -> tuple[int, Verdict]:
        """The revision of the marks that were solved and what they say; errors of the solver are the caller's.

        Whoever waited for another solve gets an answer about the newest marks, which is found once.
        """
        with self._solving:
            with self._lock:
                revision, question = self.revision, self._question(camera)
            solved = self._solved.get(camera)
            if solved is None or solved[0] != revision:
                solved = self._solved[camera] = (revision, self._solve(question))
            return solved

    def _question(self, camera: str) -> Question:
        still, state = self.still(camera), self.state
        marks = state.marks.take(state.marks.camera == camera)
        lines = state.lines.take(state.lines.camera == camera)
        return Question(camera, still.size, marks, self.control_points, lines)

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

    def _row_of(self, line: DrawnLine) -> np.ndarray:
        """(N,) bool: the first row of the lines that is this one."""
        lines = self.state.lines
        same = (lines.camera == line.camera) & (lines.kind == line.kind) & (lines.group == line.group)
        same &= (lines.start == line.start).all(axis=1) & (lines.end == line.end).all(axis=1)
        if not same.any():
            raise InputError(f"camera {line.camera!r} has no such {line.kind} line any more; reload the page")
        same[np.flatnonzero(same)[1:]] = False
        return same

    def _change(self, state: MarkingState) -> None:
        self._save(state)
        self._done = [*self._done[-MAX_STEPS:], state]
        self._undone.clear()

    def _save(self, state: MarkingState) -> None:
        self._files.write(self.state, state)
        changed = _cameras_of(self.state.marks, state.marks) | _cameras_of(self.state.lines, state.lines)
        self.changed_camera = min(changed, default="")
        self.revision += 1


def _inside(pixel: tuple[float, float], still: Still) -> bool:
    return all(-0.5 <= at <= side - 0.5 for at, side in zip(pixel, still.size, strict=True))


def _check_line(line: DrawnLine, still: Still) -> None:
    if line.kind not in LINE_KINDS:
        raise unknown_name("kind of line", line.kind, LINE_KINDS)
    if not (_inside(line.start, still) and _inside(line.end, still)):
        raise InputError(f"{line.kind} line of {line.camera!r}: {line.start} to {line.end} px is not inside the still")
    length = float(np.hypot(*np.subtract(line.end, line.start)))
    if length < SHORTEST:
        raise InputError(f"a line of {length:.1f} px has no direction; draw it as long as the still shows it")
    if (line.kind == "parallel" and not line.group) or len(line.group) > MAX_NAME:
        raise InputError(
            f"{line.kind} line: group {line.group[:40]!r}; parallel lines need the short name of their set"
        )


def _cameras_of(before: Table, after: Table) -> set[str]:
    """Cameras of rows that are in only one of two tables."""
    old, new = (
        {tuple(map(str, row)) for row in zip(*(column.tolist() for _, column in table), strict=True)}
        for table in (before, after)
    )
    columns = list(before.columns)
    return {row[columns.index("camera")] for row in old ^ new}
