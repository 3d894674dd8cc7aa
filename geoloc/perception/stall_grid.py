"""Stalls proposed from the lines on the ground, each with its confidence and the covariance of its corners."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from shapely import Polygon

from geoloc.options import check_range
from geoloc.perception.ground_lines import GroundLine, painted
from geoloc.perception.ground_marks import Arrow
from geoloc.perception.stall_fit import FittedRow, fit_row
from geoloc.perception.stall_rows import Row, RowOptions, find_rows
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Place

SAME = 0.5  # share of two outlines' union that they have in common if they are one stall
BY_ARROW = 0.45  # m from an arrow within which a line is a part of it
AT_EDGE = 0.25  # m from a row's edge at which a line ends there
BEYOND = 0.5  # m
UNSURE = 0.6  # m; what is less sure of its corners is no stall that a person could accept
CROSSES = 0.2  # share of a stall that another one may cover
# log-odds that a proposal is a stall: set by hand on drawn garages, not fitted; what is stated errs on the low side
BIAS, BY_SIDE, BY_EDGE, BY_ROW = -4.5, 2.6, 1.6, 0.45
PASSED, FLOATING = 1.5, 1.5
LONG_ROW = 4


@dataclass(frozen=True)
class StallOptions:
    """What is proposed."""

    rows: RowOptions = field(default_factory=RowOptions)
    least: float = 0.3  # confidence

    def __post_init__(self) -> None:
        check_range(self, least=(0, 1))


@dataclass(frozen=True, eq=False)
class ProposedStall:
    """A stall that the lines carry: `corners` (4, 2) m with `corner_cov` (4, 2, 2) m² each, and how likely it is one.

    `sides` are the shares of its two long sides on which paint was found, `edges` whether its short ones were.
    """

    name: str
    level: str
    corners: np.ndarray
    corner_cov: np.ndarray
    confidence: float
    sides: tuple[float, float]
    edges: tuple[bool, bool]

    @property
    def sigma(self) -> float:
        """Standard deviation (m) of its worst corner in its worst direction."""
        return float(np.sqrt(np.linalg.eigvalsh(self.corner_cov)[:, -1].max()))

    @property
    def place(self) -> Place:
        """As it would stand on the map."""
        return Place(self.name, self.level, Polygon(self.corners), "stall")


@dataclass(frozen=True, eq=False)
class Proposal:
    """Stalls of one level, and why there are none or not more."""

    level: str
    stalls: tuple[ProposedStall, ...]
    known: int = 0  # that the map has already
    refusal: str = ""


def propose_stalls(
    site: Site, level: str, lines: Sequence[GroundLine], options: StallOptions | None = None,
    arrows: Sequence[Arrow] = (),
) -> Proposal:  # fmt: skip
    """The stalls that the lines of all cameras carry on a level; those that the map has already are only counted.

    Lines along `arrows` are theirs: a lane is as wide as two stalls, and an arrow runs in its middle.
    """
    options, chosen = options or StallOptions(), site.site_map.level(level)
    paint = [line for line in painted(lines) if not any(_of_arrow(line, arrow) for arrow in arrows)]
    rows = find_rows(level, paint, options.rows)
    cameras = {camera.name: camera for camera in site.cameras}
    found: list[ProposedStall] = []
    for row in rows:
        found += _stalls(fit_row(row, cameras, chosen))
    kept = _apart([stall for stall in found if stall.confidence >= options.least and stall.sigma < UNSURE])
    on_map = [stall.polygon for stall in site.site_map.stalls if stall.level == level]
    fresh = [stall for stall in kept if not any(_same(stall.place.polygon, other) for other in on_map)]
    taken = {stall.name for stall in site.site_map.stalls}
    named = _named(level, fresh, taken)
    refusal = "" if kept else _why(paint, rows, found, options)
    return Proposal(level, tuple(named), len(kept) - len(fresh), refusal)


def _of_arrow(line: GroundLine, arrow: Arrow) -> bool:
    off = np.abs((line.ends - arrow.middle) @ line_normal(arrow))
    along = np.abs((line.ends - arrow.middle) @ np.array([np.cos(arrow.direction), np.sin(arrow.direction)]))
    return bool(off.max() < BY_ARROW + arrow.sigma and along.max() < 0.5 * arrow.length + BY_ARROW + arrow.sigma)


def line_normal(arrow: Arrow) -> np.ndarray:
    """To the left (2,) of where an arrow points."""
    return np.array([-np.sin(arrow.direction), np.cos(arrow.direction)])


def _stalls(fitted: FittedRow) -> list[ProposedStall]:
    row = fitted.row
    found: list[ProposedStall] = []
    covered = {(d.block, d.number): d.covered for d in row.dividers}
    for block in range(len(row.starts)):
        numbers = [number for b, number in covered if b == block]
        for number in range(min(numbers), max(numbers)):
            sides = (covered.get((block, number), 0.0), covered.get((block, number + 1), 0.0))
            corners = fitted.corners(block, number)
            odds, marked = _odds(fitted, block, number, sides, max(numbers) - min(numbers))
            edges, confidence = (marked[0], marked[1]), float(1 / (1 + np.exp(-odds)))
            cov = fitted.corner_cov(block, number)
            name = f"{block}/{number}"
            found.append(ProposedStall(name, row.level, corners, cov, confidence, sides, edges))
    return found


def _closed(fitted: FittedRow, side: int, block: int, number: int) -> bool:
    """Whether paint runs along half of a stall's short side."""
    row, u0 = fitted.row, fitted.unknowns[5 + block] + number * fitted.unknowns[1]
    u1, share = u0 + fitted.unknowns[1], 0.0
    for line in row.closing[side]:
        ends = np.sort(line.ends @ row.across)
        share += max(0.0, min(float(ends[1]), u1) - max(float(ends[0]), u0)) / (u1 - u0)
    return bool(share > 0.5)


def _reach(fitted: FittedRow, block: int, number: int) -> tuple[float, float]:
    """From where to where (m) a divider's lines reach, beyond the row's low edge and beyond its high one."""
    row = fitted.row
    lines = [line for d in row.dividers if (d.block, d.number) == (block, number) for line in d.lines]
    if not lines:
        return np.nan, np.nan
    v = np.array([line.ends @ row.ahead - row.shear * (line.ends @ row.across) for line in lines])
    return float(fitted.unknowns[2] - v.min()), float(v.max() - fitted.unknowns[3])


def _odds(fitted: FittedRow, block: int, number: int, sides: tuple[float, float], n: int) -> tuple[float, list[bool]]:
    """Log-odds that this is a stall, and which of its short sides are marked: by paint along it, or lines that end."""
    odds, marked = BIAS + BY_SIDE * sum(sides) + BY_ROW * min(n, LONG_ROW), []
    reaches = [_reach(fitted, block, number + step) for step in (0, 1)]
    for side in (0, 1):
        closed = _closed(fitted, side, block, number)
        beyond = [reach[side] for reach in reaches]
        marked.append(closed or any(abs(over) < AT_EDGE for over in beyond))
        odds += BY_EDGE * marked[side]
        odds -= 0.0 if closed else PASSED * sum(over > BEYOND for over in beyond)
    floating = sum(max(reach) < -AT_EDGE for reach in reaches)  # a line in a lane, such as an arrow, meets no edge
    return odds - FLOATING * floating, marked


def _apart(stalls: Sequence[ProposedStall]) -> list[ProposedStall]:
    """Of stalls that cover each other, the likelier."""
    kept: list[ProposedStall] = []
    for stall in sorted(stalls, key=lambda each: -each.confidence):
        outline = stall.place.polygon
        if outline.is_valid and all(
            outline.intersection(other.place.polygon).area < CROSSES * outline.area for other in kept
        ):
            kept.append(stall)
    return kept


def _same(one: Polygon, other: Polygon) -> bool:
    return bool(one.intersection(other).area > SAME * one.union(other).area)


def _named(level: str, stalls: Sequence[ProposedStall], taken: set[str]) -> list[ProposedStall]:
    """With names from north-west to south-east: LEVEL-1, LEVEL-2, ... that the map does not have."""
    order = sorted(stalls, key=lambda each: (-round(float(each.corners[:, 1].mean()) / 2.5), each.corners[:, 0].mean()))
    named, number = [], 0
    for stall in order:
        number += 1
        while f"{level}-{number}" in taken:
            number += 1
        named.append(ProposedStall(f"{level}-{number}", level, stall.corners, stall.corner_cov, stall.confidence,
                                   stall.sides, stall.edges))  # fmt: skip
    return named


def _why(
    paint: Sequence[GroundLine], rows: Sequence[Row], found: Sequence[ProposedStall], options: StallOptions
) -> str:
    """Why nothing is proposed, and what to do."""
    if not paint:
        return "no painted line was found; give sharper stills, by day and dry, or draw the stalls on a plan"
    if not rows:
        long = sum(line.length >= options.rows.shortest for line in paint)
        return (
            f"{len(paint)} painted lines, {long} as long as a stall, but none stand side by side at one distance of "
            f"{options.rows.narrowest:g} to {options.rows.widest:g} m: they carry no grid"
        )
    best = max((stall.confidence for stall in found), default=0.0)
    return f"what looks like stalls is too unsure (at most {best:.2f}); give more stills, when fewer cars stand there"
