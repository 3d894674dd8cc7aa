"""The pictures of a report's page: curves, parts beside each other, maps of errors, the worst moments."""

from dataclasses import replace

import numpy as np

from geoloc.draw.charts import Curve, bar_chart, line_chart, reliability_chart
from geoloc.draw.error_chart import error_chart
from geoloc.draw.svg import text
from geoloc.draw.timeline import Stretch, timeline
from geoloc.draw.words import is_unix, time_text
from geoloc.evaluation.page_figures import headlines, label_of
from geoloc.evaluation.report import Chart, Moment, Report
from geoloc.evaluation.report_text import format_value

FEWEST_BARS, MOST_BARS = 3, 40
MOST_BAR_CHARTS = 2
MOST_COLUMNS = 3


def chart_section(report: Report) -> str:
    """Parts beside each other and curves, side by side."""
    return _section("Curves and parts", [*_bars(report), *(_card(chart) for chart in report.charts)])


def map_section(report: Report) -> str:
    """A map of errors for each level."""
    cards = [
        f'<figure class="card"><h4>{text(m.level or "ground")}</h4>{error_chart(m.xy, m.error, m.missed, m.false)}'
        "</figure>"
        for m in report.error_maps
    ]
    return _section("Where the errors are", cards, "maps", most=2)


def moment_section(report: Report) -> str:
    """When it went worst: on the axis of time, and as a list from the dearest."""
    if not report.moments:
        return ""
    ranked = sorted(report.moments, key=lambda moment: -moment.cost)
    drawn = timeline([Stretch(m.part, m.start, m.end, m.cost, f"{_when(m)}: {m.what}") for m in ranked])
    items = "".join(
        f'<li><span class="when">{text(_when(m))}</span><span>{text(m.what)} <small>{text(m.part)}</small></span>'
        f'<span class="number" data-tip="cost">{format_value(m.cost)}</span></li>'
        for m in ranked
    )
    return (
        f'<section><h3>Worst moments <small>dearest first, with their cost</small></h3><div class="card wide">{drawn}'
        f'<ol class="moments">{items}</ol></div></section>'
    )


def _section(title: str, cards: list[str], kind: str = "", most: int = MOST_COLUMNS) -> str:
    """Cards side by side, in rows that are as even as can be."""
    if not cards:
        return ""
    columns = 2 if len(cards) == 4 else min(len(cards), most)
    return f'<section><h3>{title}</h3><div class="grid {kind} columns{columns}">{"".join(cards)}</div></section>'


def _bars(report: Report) -> list[str]:
    """The first headline figures of all parts, where there are several parts."""
    cards: list[str] = []
    for name, unit in dict.fromkeys((f.figure, f.unit) for f in headlines(report)):
        same = [f for f in report.figures if (f.figure, f.unit) == (name, unit)]
        if FEWEST_BARS <= len(same) <= MOST_BARS and len(cards) < MOST_BAR_CHARTS:
            several = len({f.recording for f in same}) > 1
            names = [f"{f.recording} {f.part}" if several else f.part for f in same]
            values, low, high = (np.array([getattr(f, end) for f in same]) for end in ("value", "low", "high"))
            bars = bar_chart(names, values, low, high, unit)
            cards.append(f'<figure class="card"><h4>{text(label_of(name, unit))} by part</h4>{bars}</figure>')
    return cards


def _card(chart: Chart) -> str:
    curves = [Curve(line.name, line.x, line.y, line.low, line.high, line.reference) for line in chart.lines]
    if _is_reliability(curves):
        drawn = reliability_chart(curves, chart.x_label, chart.y_label)
    else:
        curves, since = _since_start(curves)
        drawn = line_chart(curves, chart.x_label + since, chart.y_label)
    note = f"<p>{text(chart.note)}</p>" if chart.note else ""
    return f'<figure class="card"><h4>{text(chart.title)}</h4>{drawn}{note}</figure>'


def _is_reliability(curves: list[Curve]) -> bool:
    """Whether shares are held against the diagonal of what was stated."""
    ideal = [c for c in curves if c.reference]
    diagonal = bool(ideal) and all(len(c.x) > 1 and np.array_equal(c.x, c.y) for c in ideal)
    numbers = np.concatenate([np.empty(0), *(part for c in curves for part in (c.x, c.y, c.low, c.high))])
    return diagonal and bool(((numbers >= 0) & (numbers <= 1) | np.isnan(numbers)).all())


def _since_start(curves: list[Curve]) -> tuple[list[Curve], str]:
    """Curves over dates as seconds since the first, which is then named."""
    numbers = np.concatenate([np.empty(0), *(c.x[np.isfinite(c.x)] for c in curves)])
    if not len(numbers) or not is_unix(float(numbers.min())):
        return curves, ""
    start = float(numbers.min())
    return [replace(c, x=c.x - start) for c in curves], f", s since {time_text(start, with_date=True)}"


def _when(moment: Moment) -> str:
    start, end = time_text(moment.start), time_text(moment.end)
    return start if start == end else f"{start} to {end}"
