"""What is wrong with a camera's marks before anything is computed: each fault by name, with the next step."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.calibrate.solution import Refused
from geoloc.estimators.camera_fit import MarkedPoints
from geoloc.estimators.seen_lines import SeenLines
from geoloc.scene.lenses import Lens
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint

FEWEST_WITH_LENS, FEWEST = 4, 5  # marks: pose alone, and pose with focal length; two residuals and more are left over
FEWEST_BESIDES = 3  # marks, however much else is known
CORNER = 0.15  # share of width and height within which marks say nothing of the rest of the still
THIN = 0.02  # breadth over length of points that lie on a line
SMALLEST, LARGEST = 0.5, 20_000.0  # m; extent of a site
DEGREES = 360.0
ALIKE, TOLD = 0.7, 6  # how like a name must be to be hinted at; names that are listed at most
EDGE = 0.5  # px


@dataclass(frozen=True, eq=False)
class Usable:
    """The K of N marks that lie at control points, and what is to be told of the others."""

    marked: MarkedPoints
    rows: np.ndarray  # (K,) of the marks
    points: tuple[ControlPoint, ...]  # (K)
    notes: tuple[str, ...]


def carried_besides(lines: SeenLines, with_lens: bool, with_height: bool) -> int:
    """How many of a camera's unknowns lines and a height determine: which way is up, the focal length, its height."""
    return min(lines.freedom, 2 if with_lens else 3) + with_height


def usable_marks(
    name: str, size: tuple[int, int], marks: Marks, control_points: Sequence[ControlPoint], lens: Lens | None,
    lines: SeenLines = SeenLines(), with_height: bool = False,  # noqa: B008 - frozen
) -> Usable | Refused:  # fmt: skip
    """The marks of one camera, all named `name`, ready to be fitted with its `lines`; or why they cannot be."""
    known = {point.name: point for point in control_points}
    fault = _doubled(marks) or _bad_sigma(marks) or _outside(size, marks) or _other_size(size, lens)
    if fault:
        return Refused(name, *fault)
    rows = np.array([i for i, point in enumerate(marks.point.tolist()) if point in known], int)
    points = tuple(known[point] for point in marks.point[rows].tolist())
    strangers = [point for point in marks.point.tolist() if point not in known]
    notes = _on_strangers(strangers, known)
    xyz = np.array([point.xyz for point in points]).reshape(-1, 3)
    fault = (
        _too_few(size, marks.pixel[rows], lens, strangers, carried_besides(lines, lens is not None, with_height))
        or _odd_extent(xyz)
        or on_a_line(xyz, points)
        or _in_a_corner(size, marks.pixel[rows])
    )
    if fault:
        return Refused(name, *fault)
    cov = np.array([np.diag(np.square(point.sigma)) for point in points])
    return Usable(MarkedPoints(xyz, marks.pixel[rows], marks.sigma[rows], cov, lines), rows, points, notes)


Fault = tuple[str, str]


def empty_part(size: tuple[int, int], pixels: np.ndarray) -> str:
    """In words, the quarter of the still that is farthest from every mark (N, 2)."""
    width, height = size
    if not len(pixels):
        return "all over the still"
    quarters = {
        "the upper left": (0.25, 0.25), "the upper right": (0.75, 0.25),
        "the lower left": (0.25, 0.75), "the lower right": (0.75, 0.75),
    }  # fmt: skip
    middles = np.array(list(quarters.values())) * [width, height]
    nearest = np.linalg.norm(middles[:, None] - pixels, axis=2).min(axis=1)
    return f"{list(quarters)[int(np.argmax(nearest))]} of the still"


def _doubled(marks: Marks) -> Fault | None:
    names, counts = np.unique(marks.point, return_counts=True)
    if (counts > 1).any():
        twice = str(names[np.argmax(counts > 1)])
        return f"point {twice!r} is marked twice", "delete the mark that is wrong"
    return None


def _bad_sigma(marks: Marks) -> Fault | None:
    bad = ~((marks.sigma > 0) & np.isfinite(marks.sigma) & np.isfinite(marks.pixel).all(axis=1))
    if bad.any():
        point = str(marks.point[np.argmax(bad)])
        return f"the mark of point {point!r} has no pixel or no positive sigma", "mark it again, or delete it"
    return None


def _outside(size: tuple[int, int], marks: Marks) -> Fault | None:
    width, height = size
    over = (marks.pixel < -EDGE) | (marks.pixel > np.array(size) - 1 + EDGE)
    out = over.any(axis=1)
    if not out.any():
        return None
    first = int(np.argmax(out))
    u, v = marks.pixel[first]
    point = str(marks.point[first])
    found = f"the mark of point {point!r} at ({u:.0f}, {v:.0f}) is outside the still of {width} x {height}"
    if out.sum() > 1:
        reach = marks.pixel.max(axis=0) + 1
        return (
            f"{found}, and so are {out.sum() - 1} others",
            f"marks reach {reach[0]:.0f} x {reach[1]:.0f}: were they made on a still of another size? "
            "give that size, or scale the marks",
        )
    return found, "mark it again, or delete it"


def _other_size(size: tuple[int, int], lens: Lens | None) -> Fault | None:
    if lens is None:
        return None
    centre = lens.params[2:4] + 0.5
    share = centre / np.array(size)
    if (np.abs(share - 0.5) < 0.15).all():
        return None
    width, height = 2 * centre
    return (
        f"the lens has its centre at ({centre[0]:.0f}, {centre[1]:.0f}), the still is {size[0]} x {size[1]}",
        f"the lens was calibrated on stills of about {width:.0f} x {height:.0f}: "
        "scale its focal length and centre to this still, or give stills of that size",
    )


def _on_strangers(strangers: list[str], known: dict[str, ControlPoint]) -> tuple[str, ...]:
    """What is said of marks of points that the map does not have, in one line."""
    if not strangers:
        return ()
    hints = [(point, difflib.get_close_matches(point, known, n=1, cutoff=ALIKE)) for point in strangers[:TOLD]]
    # numbers are all alike: a hint at one would mislead
    named = [
        f"{point!r} (did you mean {near[0]!r}?)" if near and not point.isdigit() else repr(point)
        for point, near in hints
    ]
    rest = len(strangers) - len(named)
    listed = ", ".join(named) + (f" and {rest} more" if rest else "")
    if len(strangers) == 1:
        return (f"the map has no point {listed}: its mark is not used here; add it to the map's control points",)
    return (f"the map has no points {listed}: their marks are not used here; add them to the map's control points",)


def _too_few(
    size: tuple[int, int], pixels: np.ndarray, lens: Lens | None, strangers: list[str], besides: int
) -> Fault | None:
    # six unknowns, seven with the focal length, and two residuals left over; marks alone, without a lens, three
    needed = (
        max(FEWEST_BESIDES, (8 + (lens is None) - besides + 1) // 2)
        if besides
        else (FEWEST if lens is None else FEWEST_WITH_LENS)
    )
    if len(pixels) >= needed:
        return None
    missing = needed - len(pixels)
    unused = f" ({len(strangers)} more are of points that the map does not have)" if strangers else ""
    what = "pose and focal length need" if lens is None else "a pose needs"
    where = f"first in {empty_part(size, pixels)}" if len(pixels) else "all over the still"
    more = f"mark {missing} more point{'s' if missing > 1 else ''}, {where}"
    if strangers:
        more += f"; or add {strangers[0]!r} to the map"
    return f"{len(pixels)} marks at points of the map{unused}; {what} at least {needed}", more


def _odd_extent(xyz: np.ndarray) -> Fault | None:
    extent = float(np.ptp(xyz, axis=0)[:2].max())
    if extent < SMALLEST and (np.abs(xyz[:, :2]) <= DEGREES).all():
        return (
            f"the marked points span {extent:.2g} m: their coordinates look like degrees",
            "give latitude and longitude with a datum, so that they become metres, or metres",
        )
    if extent > LARGEST:
        return (
            f"the marked points span {extent / 1000:.0f} km: latitude and longitude of some look swapped",
            "check the order of latitude and longitude, and the datum",
        )
    return None


def on_a_line(xyz: np.ndarray, points: Sequence[ControlPoint]) -> Fault | None:
    """Why points (N, 3) m that lie on a line, but for one perhaps, place no camera, and what to do; or nothing."""
    # one point off a line, perhaps by a typo, does not make a plane: nothing else would contradict it
    rest = _without_the_lonely(xyz)
    centred = rest - rest.mean(axis=0)
    axes = np.linalg.svd(centred)[2]
    width = float(np.linalg.norm(centred - np.outer(centred @ axes[0], axes[0]), axis=1).max())
    length = float(np.ptp(centred @ axes[0]))
    unsure = 3 * float(np.median([max(point.sigma) for point in points]))
    if width >= max(THIN * length, unsure):
        return None
    return (
        f"{len(rest)} of {len(xyz)} marked points lie within {width:.1f} m of one line of {length:.0f} m",
        f"mark two points at least {max(0.1 * length, unsure):.1f} m off it",
    )


def _without_the_lonely(xyz: np.ndarray) -> np.ndarray:
    """The points (N, 3) but for the one without which they lie nearest to one line; all of three."""
    n = len(xyz)
    if n <= 3:
        return xyz
    off = xyz - xyz.mean(axis=0)
    scatters = off.T @ off - n / (n - 1) * off[:, :, None] * off[:, None]
    return np.delete(xyz, np.argmin(np.linalg.eigvalsh(scatters)[:, 1]), axis=0)


def _in_a_corner(size: tuple[int, int], pixels: np.ndarray) -> Fault | None:
    span = np.ptp(pixels, axis=0) / np.array(size)
    if (span >= CORNER).any():
        return None
    return (
        f"all marks lie within {100 * span.max():.0f} % of the still",
        f"mark points in {empty_part(size, pixels)} too",
    )
