"""A map of errors: where they are large, what was missed, what was there for nothing; crowds in hexagons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.draw.extent import nice_step, points_bounds
from geoloc.draw.svg import plain, short, text, tick_step

WIDTH = 560  # of the map's own pixels; a page scales it
TALLEST, FLATTEST = 0.9, 0.35  # height over width
FOOT = 48  # room for scale bar and colours
MOST_SINGLE = 1200  # points that are drawn one by one
MOST_SIGNS = 60  # hexagons that get a sign of what was missed or false in them: those with most
ACROSS = 56  # at most as many hexagons along the longer side
N_COLOURS = 7
MARGIN = 0.04
LEAST_SPAN = 4.0  # m
SIGNS = ("missed", "false")
HIGHEST = 95.0  # percentile of the errors from which on all have the last colour


@dataclass(frozen=True, eq=False)
class Ground:
    """Which ground is shown, `box` (4,) m, at how many of the map's pixels a metre."""

    box: np.ndarray
    scale: float

    @property
    def height(self) -> float:
        """Of the map, in its own pixels."""
        return float((self.box[3] - self.box[1]) * self.scale)

    def pixels(self, xy: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of positions (N, 2) m, north up."""
        return np.column_stack([xy[:, 0] - self.box[0], self.box[3] - xy[:, 1]]) * self.scale

    def shows(self, xy: np.ndarray) -> np.ndarray:
        """Which positions (N, 2) m lie on it: (N,) bool."""
        return np.all((xy >= self.box[:2]) & (xy <= self.box[2:]), axis=1)


def error_chart(xy: np.ndarray, error: np.ndarray, missed: np.ndarray, false: np.ndarray) -> str:
    """Positions (N, 2) m coloured by `error` (N,) m, with what was missed (M, 2) and false (K, 2) m.

    More than MOST_SINGLE points become hexagons in the colour of their median error. Strays far from all
    others, and rows that are no number, are left out and counted below the map.
    """
    xy, missed, false = (np.asarray(part, float).reshape(-1, 2) for part in (xy, missed, false))
    error = np.asarray(error, float)
    known = np.isfinite(xy).all(axis=1) & np.isfinite(error)
    places = xy[known], missed[np.isfinite(missed).all(axis=1)], false[np.isfinite(false).all(axis=1)]
    ground = _ground(np.concatenate(places))
    near = [ground.shows(part) for part in places]
    inside = [part[rows] for part, rows in zip(places, near, strict=True)]
    shown_error = error[known][near[0]]
    n_left = sum(map(len, (xy, missed, false))) - sum(map(len, inside))
    span = float((ground.box[2:] - ground.box[:2]).max())
    cell = tick_step(span / ACROSS) if sum(map(len, inside)) > MOST_SINGLE else 0.0
    edges = colour_edges(shown_error)
    drawn = [paper(ground), _hexagons(ground, inside[0], shown_error, edges, cell)]
    signs = [crowds(part, cell) for part in inside[1:]]
    drawn += [_signs(ground, *sign, kind) for sign, kind in zip(signs, SIGNS, strict=True)]
    drawn += [scale_bar(ground), _colour_bar(ground, edges)]
    legend = _legend(inside, n_left, cell, [int(counts.min()) if len(counts) else 0 for _, counts in signs])
    return (
        f'<div class="ground"><svg viewBox="0 0 {WIDTH} {short(ground.height + FOOT)}" role="img" '
        f'aria-label="map of errors">{"".join(drawn)}</svg>{legend}</div>'
    )


def colour_edges(error: np.ndarray) -> np.ndarray:
    """Round errors (N_COLOURS - 1,) m at which the colour changes; the last takes in all beyond."""
    top = float(np.percentile(error, HIGHEST)) if len(error) else 1.0
    return tick_step(max(top, 1e-3) / N_COLOURS) * np.arange(1, N_COLOURS)


def hexagon_of(xy: np.ndarray, size: float) -> np.ndarray:
    """Centre (N, 2) of the hexagon of width `size` that each of `xy` (N, 2) lies in."""
    pitch = np.array([size, size * np.sqrt(3)])
    even = np.round(xy / pitch) * pitch
    odd = (np.floor(xy / pitch) + 0.5) * pitch
    nearer = ((xy - even) ** 2).sum(axis=1) <= ((xy - odd) ** 2).sum(axis=1)
    return np.where(nearer[:, None], even, odd)


def _ground(xy: np.ndarray) -> Ground:
    box = points_bounds(xy) if len(xy) else np.zeros(4)
    middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    size = np.maximum(size + 2 * MARGIN * size.max(), LEAST_SPAN)
    size = np.maximum(size, [size[1] / TALLEST, size[0] * FLATTEST])
    return Ground(np.concatenate([middle - size / 2, middle + size / 2]), float(WIDTH / size[0]))


def paper(ground: Ground) -> str:
    """The map's background with its grid."""
    step = nice_step(float(ground.box[2] - ground.box[0]) / 4)
    lines = []
    for axis, far in ((0, ground.box[2]), (1, ground.box[3])):
        for at in np.arange(np.ceil(ground.box[axis] / step), np.floor(far / step) + 1) * step:
            spot = ground.pixels(np.full((1, 2), at))[0, axis]
            lines.append(f"M{short(spot)} 0V{short(ground.height)}" if axis == 0 else f"M0 {short(spot)}H{WIDTH}")
    paper = f'<rect class="ground-paper" width="{WIDTH}" height="{short(ground.height)}" rx="6"/>'
    return f'{paper}<path class="grid" d="{"".join(lines)}"/>'


def _hexagons(ground: Ground, xy: np.ndarray, error: np.ndarray, edges: np.ndarray, cell: float) -> str:
    """The points, one by one where `cell` is 0, else the cells that hold some."""
    centres, medians, largest, counts = grouped(hexagon_of(xy, cell) if cell else xy, error, bool(cell))
    colours = np.searchsorted(edges, medians, side="right")
    order = np.argsort(medians, kind="stable")  # the worst lie on top
    pixels, path = ground.pixels(centres), _hexagon_path(cell * ground.scale)
    parts = []
    for i in order.tolist():
        where = f"at {centres[i, 0]:.1f}, {centres[i, 1]:.1f} m"
        if cell:
            says = f"{counts[i]} here: median {plain(medians[i])} m, largest {plain(largest[i])} m, {where}"
            shape = f'<path d="M{short(pixels[i, 0])} {short(pixels[i, 1])}{path}"'
        else:
            says = f"{plain(medians[i])} m {where}"
            shape = f'<circle cx="{short(pixels[i, 0])}" cy="{short(pixels[i, 1])}" r="4"'
        parts.append(f'{shape} class="spot h{colours[i]}" data-tip="{says}"/>')
    return "".join(parts)


def grouped(
    centres: np.ndarray, error: np.ndarray, together: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centres (G, 2), median and largest error (G,) and number (G,) of each group of equal `centres` (N, 2)."""
    if not together or not len(error):
        return centres, error, error, np.ones(len(error), dtype=int)
    places, group = np.unique(centres.round(6), axis=0, return_inverse=True)
    group = group.reshape(-1)
    ordered = error[np.lexsort([error, group])]
    counts = np.bincount(group)
    first = np.cumsum(counts) - counts
    median = 0.5 * (ordered[first + (counts - 1) // 2] + ordered[first + counts // 2])
    return places, median, ordered[first + counts - 1], counts


def _hexagon_path(width: float) -> str:
    """A hexagon around the point where the pen is, as relative moves."""
    corners = width / np.sqrt(3) * np.exp(1j * np.deg2rad(np.arange(30, 390, 60)))
    moves = np.diff(np.concatenate([[0], corners]))
    steps = "l".join(f"{move.real:.2f} {move.imag:.2f}" for move in moves[1:])
    return f"m{moves[0].real:.2f} {moves[0].imag:.2f}l{steps}z"


def crowds(xy: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Where signs stand (G, 2) and for how many (G,) of `xy` (N, 2): each, or the at most MOST_SIGNS fullest hexagons.

    All hexagons with as many as the emptiest that is left out are left out with it: what is even has no place.
    """
    centres, _, _, counts = grouped(hexagon_of(xy, cell) if cell else xy, np.zeros(len(xy)), bool(cell))
    if not cell or len(counts) <= MOST_SIGNS:
        return centres, counts
    full = counts > np.sort(counts)[-MOST_SIGNS - 1]
    return centres[full], counts[full]


def _signs(ground: Ground, centres: np.ndarray, counts: np.ndarray, kind: str) -> str:
    """Crosses or diamonds; a crowd of them is one that is larger."""
    sizes = 3.0 * np.minimum(1 + 0.25 * np.log2(counts), 2.2)
    parts = []
    for (x, y), size, n, at in zip(ground.pixels(centres), sizes, counts.tolist(), centres, strict=True):
        says = f"{n} {kind} here" if n > 1 else f"{kind} at {at[0]:.1f}, {at[1]:.1f} m"
        parts.append(f'<path class="{kind}" d="M{short(x)} {short(y)}{_sign(kind, size)}" data-tip="{says}"/>')
    return "".join(parts)


def _sign(kind: str, r: float) -> str:
    if kind == "missed":
        return f"m{-r:.1f} {-r:.1f}l{2 * r:.1f} {2 * r:.1f}m0 {-2 * r:.1f}l{-2 * r:.1f} {2 * r:.1f}"
    return f"m0 {-1.2 * r:.1f}l{1.2 * r:.1f} {1.2 * r:.1f}l{-1.2 * r:.1f} {1.2 * r:.1f}l{-1.2 * r:.1f} {-1.2 * r:.1f}z"


def scale_bar(ground: Ground) -> str:
    """A round length, below the map."""
    length = nice_step(130 / ground.scale)
    width, y = length * ground.scale, ground.height + 20
    line = f'<path class="bar-line" d="M1 {short(y - 5)}v5h{short(width)}v-5"/>'
    return f'{line}<text x="1" y="{short(y + 17)}">{plain(length)} m</text>'


def _colour_bar(ground: Ground, edges: np.ndarray) -> str:
    """The colours with the errors at which they change."""
    wide, y = 32, ground.height + 12
    left = WIDTH - N_COLOURS * wide - 40
    parts = [f'<text class="label" x="{left - 8}" y="{short(y + 10)}" text-anchor="end">error</text>']
    for i in range(N_COLOURS):
        parts.append(f'<rect class="h{i}" x="{left + i * wide}" y="{short(y)}" width="{wide}" height="10"/>')
    for i, edge in enumerate(edges.tolist(), 1):
        unit = " m" if i == len(edges) else ""
        at = left + i * wide
        anchor = f'x="{at - 12}"' if unit else f'x="{at}" text-anchor="middle"'
        parts.append(f'<text {anchor} y="{short(y + 26)}">{plain(edge)}{unit}</text>')
    parts.append(f'<text x="{left + N_COLOURS * wide + 5}" y="{short(y + 10)}">more</text>')
    return "".join(parts)


def _legend(inside: Sequence[np.ndarray], n_left: int, cell: float, least: Sequence[int]) -> str:
    signs = [
        f'<li><svg viewBox="-7 -7 14 14" aria-hidden="true"><path class="{kind}" d="M0 0{_sign(kind, 4.2)}"/></svg>'
        f"{len(part):,} {kind}{_shown(len(part), fewest)}</li>"
        for kind, part, fewest in zip(SIGNS, inside[1:], least, strict=True)
    ]
    how = f"{len(inside[0]):,} matched" + (f", in hexagons of {plain(cell)} m by their median error" if cell else "")
    left = [f"<li>{n_left:,} far off or no number: not drawn</li>"] if n_left else []
    return f'<ul class="legend"><li>{text(how)}</li>{"".join(signs + left)}</ul>'


def _shown(n: int, fewest: int) -> str:
    """Which hexagons have a sign, where not all have."""
    if n and not fewest:
        return ", everywhere alike"
    return f", signs where {fewest:,} and more lie in a hexagon" if fewest > 1 else ""
