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


def bars_section(report: Report) -> str:
    """The first headline figures of all parts beside each other, where there are several parts."""
    cards: list[str] = []
    for figure in headlines(report):
        same = [f for f in report.figures if (f.figure, f.unit) == (figure.figure, figure.unit)]
        if FEWEST_BARS <= len(same) <= MOST_BARS and len(cards) < MOST_BAR_CHARTS:
            several = len({f.recording for f in same}) > 1
            names = [f"{f.recording} {f.part}" if several else f.part for f in same]
            values, low, high = (np.array([getattr(f, end) for f in same]) for end in ("value", "low", "high"))
            bars = bar_chart(names, values, low, high, figure.unit)
            cards.append(f'<figure class="card"><h4>{text(label_of(figure.figure))} by part</h4>{bars}</figure>')
    return f'<section><h3>By part</h3><div class="grid">{"".join(cards)}</div></section>' if cards else ""


def chart_section(report: Report) -> str:
    """The curves, side by side."""
    cards = "".join(_card(chart) for chart in report.charts)
    return f'<section><h3>Curves</h3><div class="grid">{cards}</div></section>' if cards else ""


def map_section(report: Report) -> str:
    """A map of errors for each level."""
    cards = "".join(
        f'<figure class="card"><h4>{text(m.level or "ground")}</h4>{error_chart(m.xy, m.error, m.missed, m.false)}'
        "</figure>"
        for m in report.error_maps
    )
    return f'<section><h3>Where the errors are</h3><div class="grid maps">{cards}</div></section>' if cards else ""


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
    return f"{time_text(moment.start)} to {time_text(moment.end)}"
