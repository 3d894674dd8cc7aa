"""The files of a marking session: read whole or refused, and never written over what another program wrote."""

from pathlib import Path

from geoloc.errors import InputError
from geoloc.files import read_bytes
from geoloc.io.known import LINES, read_lines, write_lines
from geoloc.io.marks import read_marks, write_marks
from geoloc.io.points import read_points, write_points
from geoloc.io.rows import ReadReport
from geoloc.scene.known import ImageLines
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap
from geoloc.service.marking_state import MarkingState

MARKS, POINTS = "marks.csv", "points.csv"


class MarkingFiles:
    """`marks.csv`, `points.csv` and `lines.csv` of a folder, each made when it is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, bytes] = {}

    def read(self, site_map: SiteMap) -> MarkingState:
        """What they say; rows that cannot be read are refused, for saving would drop them."""
        marks, points, lines = Marks(), tuple[ControlPoint, ...](), ImageLines()
        if (self.folder / MARKS).exists():
            result = read_marks(self.folder / MARKS, "csv")
            marks = result.marks
            _require_whole(result.report, "marks")
        if (self.folder / POINTS).exists():
            found = read_points(self.folder / POINTS, "csv")
            points = found.points
            _require_whole(found.report, "points")
        if (self.folder / LINES).exists():
            lines, report = read_lines(self.folder / LINES)
            _require_whole(report, "lines")
        _check_points(site_map, points)
        self._known = {name: self._content(name) for name in (MARKS, POINTS, LINES)}
        return MarkingState(marks, points, lines)

    def write(self, before: MarkingState, after: MarkingState) -> None:
        """Points first: a point without marks does no harm, a mark without its point does."""
        for name in (MARKS, POINTS, LINES):
            if self._content(name) != self._known[name]:
                changed = f"{self.folder / name}: another program has changed it"
                raise InputError(f"{changed}; take its content over with Reload, then mark again")
        if after.points != before.points:
            write_points(self.folder / POINTS, after.points)
            self._known[POINTS] = self._content(POINTS)
        if after.lines != before.lines:
            write_lines(self.folder / LINES, after.lines)
            self._known[LINES] = self._content(LINES)
        if after.marks != before.marks:
            write_marks(self.folder / MARKS, after.marks)
            self._known[MARKS] = self._content(MARKS)

    def _content(self, name: str) -> bytes:
        return read_bytes(self.folder / name) if (self.folder / name).exists() else b""


def _require_whole(report: ReadReport, what: str) -> None:
    for reason, item in report.skipped.items():
        rows = f"line {', '.join(map(str, item.first))}"
        raise InputError(f"{report.path}: {reason} ({rows}); mend it first, for saving {what} would drop such rows")


def _check_points(site_map: SiteMap, points: tuple[ControlPoint, ...]) -> None:
    """No name may be on the map and beside it."""
    on_map = {point.name for point in site_map.control_points}
    for point in points:
        if point.name in on_map:
            raise InputError(f"{POINTS}: control point {point.name!r} is on the map too; remove it from one of them")
