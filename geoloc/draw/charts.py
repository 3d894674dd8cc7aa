"""Charts of a page: curves, bars, intervals and stretches of time, as SVG in HTML that takes the page's colours.

The page holds `chart_style()` (or `page_style()`) once, `chart_script()` at its end (values under the mouse, a
finger or the arrow keys), and the colours of `style.css_variables`. Every name that is given is text, never markup.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from geoloc.draw.svg import Scale, plain, points, runs, scale, short, text
from geoloc.draw.template import asset
from geoloc.errors import InputError

WIDTH, HEIGHT, SQUARE = 440, 250, 370  # of a chart's own pixels; a page scales it
LEFT, RIGHT, TOP, BOTTOM, DIGIT = 12, 14, 10, 26, 7.8
MOST_POINTS = 600  # of a curve; more are thinned to the least and the most of short stretches
MOST_MARKED = 32  # points of a curve that are marked one by one
N_COLOURS = 12


@dataclass(frozen=True, eq=False)
class Curve:
    """`y` (N,) over `x` (N,), with a band `low` to `high` (N,), of zero length where none; NaN breaks the line.

    A `reference` is what would be ideal or expected: thin and dashed.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray = field(default_factory=lambda: np.empty(0))
    high: np.ndarray = field(default_factory=lambda: np.empty(0))
    reference: bool = False

    def __post_init__(self) -> None:
        for name in ("x", "y", "low", "high"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), float))
        n = len(self.x)
        if self.y.shape != (n,) or self.low.shape != self.high.shape or self.low.shape not in ((0,), (n,)):
            shapes = f"x {self.x.shape}, y {self.y.shape}, low {self.low.shape}, high {self.high.shape}"
            raise InputError(f"curve {self.name!r}: {shapes}; x and y must be (N,), low and high (N,) or (0,)")

    def take(self, rows: np.ndarray) -> "Curve":
        """The points that a mask or index selects."""
        band = rows if len(self.low) else slice(0)
        return Curve(self.name, self.x[rows], self.y[rows], self.low[band], self.high[band], self.reference)


def chart_style() -> str:
    """CSS of all charts."""
    return asset("charts.css")


def page_style() -> str:
    """CSS of pages that are made of headlines, cards, tables and charts."""
    return chart_style() + asset("cards.css")


def chart_script() -> str:
    """JavaScript that shows values where one points."""
    return asset("charts.js")


def line_chart(curves: Sequence[Curve], x_label: str, y_label: str) -> str:
    """Curves over one pair of axes, each in a colour of its own, with a legend."""
    shown = [thinned(curve) for curve in curves]
    ys = [part for curve in shown for part in (curve.y, curve.low, curve.high)]
    y = scale(ys, HEIGHT - BOTTOM, TOP, snap=True)
    left = LEFT + DIGIT * max(map(len, y.labels))
    x = scale([curve.x for curve in shown], left, WIDTH - RIGHT, snap=False)
    return _chart(shown, x, y, (WIDTH, HEIGHT), (x_label, y_label))


def reliability_chart(curves: Sequence[Curve], x_label: str, y_label: str) -> str:
    """What was observed over what was stated, both 0 to 1, on a square: calibrated means on the diagonal."""
    ticks = tuple(np.linspace(0, 1, 6).tolist())
    y = Scale(0.0, 1.0, SQUARE - BOTTOM, TOP, ticks)
    left = LEFT + DIGIT * 3
    x = Scale(0.0, 1.0, left, left + y.start - y.end, ticks)
    size = (round(x.end + RIGHT), SQUARE)
    return _chart([thinned(curve) for curve in curves], x, y, size, (x_label, y_label))


def whisker(value: float, low: float, high: float, domain: tuple[float, float], *, mark: float = math.nan) -> str:
    """A value as a dot on its interval, as wide as there is room; `mark` is a value to compare with, such as 0."""
    ends = [_percent(v, domain) for v in (low, high)] if math.isfinite(low) and math.isfinite(high) else []
    parts = ['<line class="axis" x1="3%" x2="97%" y1="50%" y2="50%"/>']
    if math.isfinite(mark):
        at = _percent(mark, domain)
        parts.append(f'<line class="mark" x1="{at}" x2="{at}" y1="0" y2="100%"/>')
    if ends:
        parts.append(f'<line class="range" x1="{ends[0]}" x2="{ends[1]}" y1="50%" y2="50%"/>')
    open_ = math.isfinite(mark) and not (low > mark or high < mark)
    parts.append(f'<circle class="{"open" if open_ else "value"}" cx="{_percent(value, domain)}" cy="50%" r="3.6"/>')
    return f'<svg class="whisker" aria-hidden="true">{"".join(parts)}</svg>'


def bar_chart(names: Sequence[str], values: np.ndarray, low: np.ndarray, high: np.ndarray, unit: str = "") -> str:
    """Horizontal bars from 0, one a name, with their intervals (NaN: none); `values`, `low`, `high` (N,)."""
    every = np.concatenate([[0.0], np.asarray(values, float), np.asarray(low, float), np.asarray(high, float)])
    domain = float(np.nanmin(every)), float(np.nanmax(every))
    rows = []
    for name, v, a, b in zip(names, values, low, high, strict=True):
        says = f"{name}: {plain(v)} {unit}" + (f" ({plain(a)} to {plain(b)})" if math.isfinite(a + b) else "")
        rows.append(
            f'<div class="bar" data-tip="{text(says)}"><span class="name">{text(name)}</span>{_bar(v, a, b, domain)}'
            f'<span class="number">{plain(v)}<small> {text(unit)}</small></span></div>'
        )
    return f'<div class="bars">{"".join(rows)}</div>'


def _chart(curves: Sequence[Curve], x: Scale, y: Scale, size: tuple[int, int], labels: tuple[str, str]) -> str:
    colours = _colours(curves)
    drawn = [_frame(x, y)]
    drawn += [_band(c, x, y, colour) for c, colour in zip(curves, colours, strict=True) if len(c.low)]
    drawn += [_line(c, x, y, colour) for c, colour in zip(curves, colours, strict=True)]
    keys = [
        f'<li class="{colour}"><i class="{"dashed" if c.reference else ""}"></i>{text(c.name)}</li>'
        for c, colour in zip(curves, colours, strict=True)
    ]
    y_name, x_name = text(labels[1]), text(labels[0])
    data = _json(_hover(curves, x, y, labels[0]))
    return (
        f'<div class="chart"><div class="y-name">{y_name}</div><svg viewBox="0 0 {size[0]} {size[1]}" tabindex="0" '
        f'role="img" aria-label="{y_name} over {x_name}" data-chart="{data}">{"".join(drawn)}</svg>'
        f'<div class="x-name">{x_name}</div><ul class="legend">{"".join(keys)}</ul></div>'
    )


def _json(data: object) -> str:
    """JSON as an attribute's value."""
    return (
        json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        .replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
    )  # fmt: skip


def _frame(x: Scale, y: Scale) -> str:
    """Grid and ticks."""
    parts = []
    for at, label in zip(y(np.array(y.ticks)).tolist(), y.labels, strict=True):
        parts.append(f'<path class="grid" d="M{short(x.start)} {short(at)}H{short(x.end)}"/>')
        parts.append(f'<text x="{short(x.start - 7)}" y="{short(at + 4)}" text-anchor="end">{label}</text>')
    for at, label in zip(x(np.array(x.ticks)).tolist(), x.labels, strict=True):
        parts.append(f'<path class="grid" d="M{short(at)} {short(y.start)}v5"/>')
        parts.append(f'<text x="{short(at)}" y="{short(y.start + 18)}" text-anchor="middle">{label}</text>')
    parts.append(f'<path class="base" d="M{short(x.start)} {short(y.start)}H{short(x.end)}"/>')
    return "".join(parts)


def _band(curve: Curve, x: Scale, y: Scale, colour: str) -> str:
    px, low, high = x(curve.x), y(curve.low), y(curve.high)
    parts = []
    for run in runs(np.isfinite(px + low + high)):
        there, back = points(px[run], high[run]), points(px[run][::-1], low[run][::-1])
        parts.append(f'<polygon class="band {colour}" points="{there} {back}"/>')
    return "".join(parts)


def _line(curve: Curve, x: Scale, y: Scale, colour: str) -> str:
    px, py = x(curve.x), y(curve.y)
    kept = np.isfinite(px + py)
    kind = "ideal" if curve.reference else "curve"
    # a lone point between gaps is a dot by its round ends
    parts = [f'<path class="{kind} {colour}" d="M{points(px[run], py[run])}h0"/>' for run in runs(kept)]
    if not curve.reference and kept.sum() <= MOST_MARKED:
        spots = zip(px[kept].tolist(), py[kept].tolist(), strict=True)
        parts += [f'<circle class="{colour}" cx="{short(a)}" cy="{short(b)}" r="2.6"/>' for a, b in spots]
    return "".join(parts)


def _hover(curves: Sequence[Curve], x: Scale, y: Scale, label: str) -> dict[str, object]:
    """What the script needs to tell values."""
    lines = []
    for curve, colour in zip(curves, _colours(curves), strict=True):
        line: dict[str, object] = {"name": curve.name, "colour": colour, "x": _numbers(curve.x), "y": _numbers(curve.y)}
        lines.append(line | ({"low": _numbers(curve.low), "high": _numbers(curve.high)} if len(curve.low) else {}))
    ends = {name: [s.low, s.high, s.start, s.end] for name, s in (("x", x), ("y", y))}
    return {**ends, "label": label, "lines": lines}


def thinned(curve: Curve) -> Curve:
    """At most MOST_POINTS points by x: the least and the most of each stretch stay, so that no peak is lost."""
    curve = curve.take(np.argsort(curve.x, kind="stable")[: int(np.isfinite(curve.x).sum())])
    n = len(curve.x)
    if n <= MOST_POINTS:
        return curve
    stretches = np.array_split(np.arange(n), MOST_POINTS // 2)
    y = np.where(np.isfinite(curve.y), curve.y, 0.0)
    ends = [(s[np.argmin(y[s])], s[np.argmax(y[s])]) for s in stretches]
    return curve.take(np.unique(ends))


def _bar(value: float, low: float, high: float, domain: tuple[float, float]) -> str:
    ends = [_share(v, domain) for v in sorted((0.0, value))]
    parts = [f'<rect x="{short(ends[0])}%" width="{short(ends[1] - ends[0])}%" y="3" height="10" rx="2"/>']
    if math.isfinite(low + high):
        parts.append(f'<line class="range" x1="{_percent(low, domain)}" x2="{_percent(high, domain)}" y1="8" y2="8"/>')
    return f'<svg aria-hidden="true">{"".join(parts)}</svg>'


def _percent(value: float, domain: tuple[float, float]) -> str:
    return f"{short(_share(value, domain))}%"


def _share(value: float, domain: tuple[float, float]) -> float:
    """Where in the domain a value lies, in per cent of a width that leaves room for a dot at both ends."""
    width = domain[1] - domain[0]
    return 3.0 + 94.0 * float(np.clip((value - domain[0]) / width if width > 0 else 0.5, 0.0, 1.0))


def _colours(curves: Sequence[Curve]) -> list[str]:
    """A class for each curve: c0, c1, ... by its place among those that are no reference."""
    place = np.cumsum([not curve.reference for curve in curves]) - 1
    return ["r" if c.reference else f"c{i % N_COLOURS}" for c, i in zip(curves, place.tolist(), strict=True)]


def _numbers(values: np.ndarray) -> list[float | None]:
    """Six significant digits; null for what is no number."""
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values.tolist()]
