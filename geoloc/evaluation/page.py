"""Reports as one HTML page that needs no network: headlines, curves, maps of errors, the worst moments."""

from collections.abc import Sequence
from pathlib import Path

from geoloc import __version__
from geoloc.draw.charts import chart_script, page_style
from geoloc.draw.svg import text
from geoloc.draw.template import asset, fill_page
from geoloc.errors import InputError
from geoloc.evaluation.page_figures import (
    Notes,
    absent_section,
    difference_section,
    figure_section,
    headline_section,
)
from geoloc.evaluation.page_pictures import chart_section, map_section, moment_section
from geoloc.evaluation.report import Report
from geoloc.files import write_whole


def write_report_page(reports: Sequence[Report], path: str | Path, *, title: str = "") -> Path:
    """Write `reports` as one self-contained page, for a browser in light and dark; returns its path.

    `title` defaults to that of the reports. Every name in them is shown as text, whatever it holds.
    """
    if not reports:
        raise InputError(f"{path}: no report to show; evaluate something first")
    titles = list(dict.fromkeys(report.title for report in reports))
    places = {
        "title": text(title or ", ".join(titles)),
        "about": text(_about(reports)),
        "style": page_style(),
        "contents": _contents(reports),
        "warnings": "".join(_warnings(report, len(reports) > 1) for report in reports),
        "reports": "".join(_report(report, i) for i, report in enumerate(reports, 1)),
        "version": text(__version__),
        "script": chart_script(),
    }
    write_whole(path, fill_page(asset("report.html", "geoloc.evaluation"), places))
    return Path(path)


def _report(report: Report, number: int) -> str:
    notes = Notes(f"r{number}n")
    sections = [
        headline_section(report, notes),
        chart_section(report),
        map_section(report),
        difference_section(report, notes),
        figure_section(report, notes),
        moment_section(report),
        absent_section(report),
        notes.section(),
    ]
    head = f'<header><h2>{text(report.title)}</h2><span class="family">{text(report.family)}</span></header>'
    return f'<article id="r{number}">{head}{"".join(sections)}</article>'


def _about(reports: Sequence[Report]) -> str:
    """What the page is about in a line: recordings and how much was measured."""
    recordings = list(dict.fromkeys(figure.recording for report in reports for figure in report.figures))
    n_figures, n_absent = sum(len(r.figures) for r in reports), sum(len(r.absent) for r in reports)
    said = [", ".join(recordings)] if recordings else []
    said.append(f"{n_figures} figures")
    if n_absent:
        said.append(f"{n_absent} not stated")
    return " · ".join(said)


def _contents(reports: Sequence[Report]) -> str:
    """Links to the reports, where there are several."""
    if len(reports) < 2:
        return ""
    links = [
        f'<a href="#r{i}"><b>{text(report.family)}</b> {text(report.title)}</a>' for i, report in enumerate(reports, 1)
    ]
    return f'<nav aria-label="Reports">{"".join(links)}</nav>'


def _warnings(report: Report, named: bool) -> str:
    whose = f"<b>{text(report.title)}, {text(report.family)}:</b> " if named else ""
    return "".join(
        f'<p class="warning" role="alert"><strong>Warning</strong><span>{whose}{text(warning)}</span></p>'
        for warning in report.warnings
    )
