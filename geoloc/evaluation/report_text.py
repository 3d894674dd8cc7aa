"""Reports as text for a terminal and as JSON for machines."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from geoloc.evaluation.report import Chart, Difference, Figure, Report
from geoloc.evaluation.text_table import aligned

HEADER = ("recording", "part", "figure", "value", "95 % interval", "unit", "how")
COUNTED = {"fp", "fn", "id_switches", "fragments", "mostly_tracked", "partly_tracked", "mostly_lost"}
DIFFERENCES = ("part", "figure", "this", "against", "difference", "95 % interval", "p", "unit")


def to_json(figures: Iterable[Figure]) -> str:
    """A list of objects with the fields of Figure; an absent bound is null."""
    return json.dumps([_plain(asdict(figure)) for figure in figures], indent=1, ensure_ascii=False, allow_nan=False)


def report_json(report: Report) -> dict[str, Any]:
    """All of a report but its error maps, ready for `json.dumps`."""
    return {
        "title": report.title,
        "family": report.family,
        "warnings": list(report.warnings),
        "figures": [_plain(asdict(figure)) for figure in report.figures],
        "absent": [asdict(absent) for absent in report.absent],
        "differences": [_plain(asdict(difference)) for difference in report.differences],
        "charts": [_chart(chart) for chart in report.charts],
        "moments": [asdict(moment) for moment in report.moments],
    }


def to_table(figures: Sequence[Figure]) -> str:
    """The figures as aligned lines under a header, for a terminal; protocols follow as numbered notes."""
    protocols = list(dict.fromkeys(figure.protocol for figure in figures))
    rows = [_cells(figure, f"[{protocols.index(figure.protocol) + 1}]") for figure in figures]
    notes = [f"[{i}] {protocol}" for i, protocol in enumerate(protocols, 1)]
    return "\n".join([aligned(HEADER, rows), *([""] if notes else []), *notes])


def report_text(report: Report) -> str:
    """A report for a terminal: warnings first, then figures with protocols, then what could not be said."""
    parts = [f"{report.title}: {report.family}"]
    parts += [f"WARNING: {warning}" for warning in report.warnings]
    if report.figures:
        parts.append(to_table(report.figures))
    if report.differences:
        parts.append(_difference_table(report))
    if report.absent:
        parts.append("\n".join(["not stated:", *_absent_lines(report)]))
    if report.moments:
        said = [f"  {m.part} {m.start:.1f} to {m.end:.1f} s: {m.what}" for m in report.moments]
        parts.append("\n".join(["worst moments:", *said]))
    return "\n\n".join(parts)


def format_value(value: float) -> str:
    """Four significant digits, never an exponent for what people read as a plain number."""
    if not math.isfinite(value):
        return ""
    if value == 0 or value == int(value):
        return f"{value:.0f}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 6)}f}"


def format_interval(measured: Figure | Difference) -> str:
    """`low to high`, of a count in whole numbers; empty where there is none."""
    low, high = measured.low, measured.high
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if measured.figure in COUNTED:
        low, high = round(low), round(high)  # bounds of a count are interpolated between draws
    return f"{format_value(low)} to {format_value(high)}"


def format_p_value(p_value: float) -> str:
    """Three digits, never 0: a resampling test cannot say so; empty where there is none."""
    if not math.isfinite(p_value):
        return ""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _absent_lines(report: Report) -> list[str]:
    """What cannot be said, a line a reason."""
    names: dict[tuple[str, str], list[str]] = {}
    for absent in report.absent:
        names.setdefault((absent.part, absent.reason), []).append(absent.figure)
    return [f"  {part}: {', '.join(figures)}: {reason}" for (part, reason), figures in names.items()]


def _difference_table(report: Report) -> str:
    rows = [
        (
            *(d.part, d.figure, format_value(d.value), format_value(d.against), format_value(d.difference)),
            *(format_interval(d), format_p_value(d.p_value), d.unit),
        )
        for d in report.differences
    ]
    return aligned(DIFFERENCES, rows)


def _cells(figure: Figure, note: str) -> tuple[str, ...]:
    interval = format_interval(figure)
    value = format_value(figure.value)
    return figure.recording, figure.part, figure.figure, value, interval, figure.unit, note


def _chart(chart: Chart) -> dict[str, Any]:
    lines = [
        {"name": line.name, "reference": line.reference, "x": _numbers(line.x), "y": _numbers(line.y)}
        | ({"low": _numbers(line.low), "high": _numbers(line.high)} if len(line.low) else {})
        for line in chart.lines
    ]
    return {"title": chart.title, "x": chart.x_label, "y": chart.y_label, "lines": lines, "note": chart.note}


def _numbers(values: Any) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: null."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
