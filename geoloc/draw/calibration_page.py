"""The calibration page: one HTML file that says how good a calibration is, where it is weak, and what to mark next."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from geoloc import __version__
from geoloc.calibrate.report import STATES, CalibrationReport
from geoloc.draw.calibration_cards import (
    SIGNS,
    camera_link,
    camera_section,
    px_text,
    suggestion,
)
from geoloc.draw.calibration_tables import camera_table, change_section, move_section, overlap_section
from geoloc.draw.charts import chart_script, page_style
from geoloc.draw.ground_bands import band_edges, gain_text, length_text
from geoloc.draw.ground_svg import LAID, cameras_by_level, coverage_map, mosaic_map, shown_ground, sigma_map
from geoloc.draw.still_svg import still_style
from geoloc.draw.svg import text
from geoloc.draw.template import asset, fill_page
from geoloc.draw.words import counted
from geoloc.errors import unknown_name
from geoloc.files import write_whole
from geoloc.perception.ground_mosaic import mosaic

MOST_NEXT = 6
MOST_WARNED = 5  # cameras that are named one by one


def write_calibration_page(
    report: CalibrationReport, path: str | Path, stills: Mapping[str, np.ndarray] | None = None, *, title: str = ""
) -> Path:
    """Write a report as a self-contained page, for a browser in light and dark; returns its path.

    `stills` (H, W, 3) uint8 BGR by camera are embedded; without them map lines and marks stand alone. Stills of
    cameras that the report does not know are refused. Every name is shown as text, whatever it holds.
    """
    given = dict(stills or {})
    known = {camera.name: camera for camera in report.cameras}
    for name in given:
        if name not in known:
            raise unknown_name("camera", name, known, "a still")
    sections = [
        _warnings(report),
        _headlines(report),
        _next_section(report),
        _ground_section(report, given),
        camera_table(report),
        f'<div class="headings">{overlap_section(report)}{change_section(report)}{move_section(report)}</div>',
        camera_section(report, given),
        _note_section(report),
    ]
    places = {
        "title": text(title or f"Calibration of {report.site.name}"),
        "about": text(_about(report)),
        "verdict": _verdict(report),
        "style": page_style() + asset("calibration.css") + still_style(),
        "sections": "".join(sections),
        "version": text(__version__),
        "script": chart_script(),
    }
    write_whole(path, fill_page(asset("calibration.html"), places))
    return Path(path)


def _about(report: CalibrationReport) -> str:
    points = len(np.unique(report.marks.marks.point))
    said = [counted(len(report.cameras), "camera"), f"{counted(len(report.marks.marks), 'mark')} of {points} points"]
    return " · ".join([*said, counted(len(report.grounds), "level")])


def _verdict(report: CalibrationReport) -> str:
    found = [camera.state for camera in report.cameras]
    items = [
        f'<li><span class="state {state.split()[0]}">{SIGNS[state]} {found.count(state)} {text(state)}</span></li>'
        for state in STATES
        if state in found
    ]
    return f'<ul class="states">{"".join(items)}</ul>'


def _warnings(report: CalibrationReport) -> str:
    """What speaks against the whole, and cameras that were refused or contradict themselves."""
    said = [text(words[:1].upper() + words[1:]) for words in report.words]
    bad = [camera for camera in report.cameras if camera.state in ("refused", "suspicious")]
    if len(bad) > MOST_WARNED:
        links = ", ".join(camera_link(report, camera.name) for camera in bad)
        said.append(f"{len(bad)} cameras were refused or contradict themselves: {links}")
    else:
        said += [
            f"<b>{camera_link(report, camera.name)}</b> {text(camera.state)}: {text(camera.words[0])}" for camera in bad
        ]
    return "".join(f'<p class="warning" role="alert"><strong>Look</strong><span>{words}</span></p>' for words in said)


def _headlines(report: CalibrationReport) -> str:
    judged = [camera for camera in report.cameras if camera.n_marks]
    fine = sum(camera.state == "consistent" for camera in judged)
    stalls = [stall for ground in report.grounds for stall in ground.stalls]
    seen, twice = (sum(getattr(ground, name) for ground in report.grounds) for name in ("seen_m2", "twice_m2"))
    cards = [
        _stat("Consistent cameras", str(fine), f"of {len(judged)} with marks: their marks confirm each other"),
        _stat("Marks, left out", px_text(report.left_out_px), f"median; {length_text(report.left_out_m)} on the map"),
        _stat("Residual", px_text(report.rms_px), "root mean square of used marks"),
        _stat(
            "Ground sigma", length_text(report.ground_sigma(0.5)),
            f"median of the seen ground; 90 % below {length_text(report.ground_sigma(0.9))}",
        ),
        _stat("Ground seen", f"{seen:,.0f} m²", f"{100 * twice / seen:.0f} % by two cameras or more" if seen else ""),
    ]  # fmt: skip
    if stalls:
        cards.append(_stat("Blind stalls", str(sum(stall.blind for stall in stalls)), f"of {len(stalls)}"))
    return f'<section><h3>In short</h3><div class="stats">{"".join(cards)}</div></section>'


def _stat(name: str, value: str, how: str) -> str:
    number, _, unit = value.partition(" ")
    return (
        f'<div class="stat"><span class="name">{text(name)}</span><span class="value">{text(number)}'
        f'<small> {text(unit)}</small></span><span class="how">{text(how)}</span></div>'
    )


def _next_section(report: CalibrationReport) -> str:
    best = report.next_marks()[:MOST_NEXT]
    if not best:
        return ""
    items = "".join(
        f"<li><span>{camera_link(report, mark.camera)}: {suggestion(mark)}</span>"
        f'<span class="gain">{gain_text(mark)}</span></li>'
        for mark in best
    )
    return (
        "<section><h3>Where to mark next <small>what takes most off the ground sigma of its camera (root mean square "
        f'over its picture)</small></h3><div class="card"><ol class="suggestions">{items}</ol></div></section>'
    )


def _ground_section(report: CalibrationReport, stills: dict[str, np.ndarray]) -> str:
    view, edges = shown_ground(report.grounds, report.site), band_edges(report.grounds)
    found, laid, cameras = [], [], cameras_by_level(report.grounds)
    for ground in report.grounds:
        known = ground.sigma[np.isfinite(ground.sigma)]
        spread = (
            f"{length_text(float(known.min()))} at best, {length_text(float(np.median(known)))} in the middle, "
            f"{length_text(float(known.max()))} at worst"
        ) if len(known) else "no camera that sees it states an error"  # fmt: skip
        share = f" of {ground.area_m2:,.0f} m²" if ground.area_m2 and ground.area_m2 < 4 * ground.seen_m2 else ""
        covered = f"{ground.seen_m2:,.0f} m²{share} seen, {ground.twice_m2:,.0f} m² by two cameras or more"
        blind = sum(stall.blind for stall in ground.stalls)
        hatched = f"; {counted(blind, 'blind stall')} hatched" if blind else ""
        cards = [
            _map("Ground sigma", spread, sigma_map(report.site, ground, view, edges, cameras[ground.name])),
            _map("Coverage", covered + hatched, coverage_map(report.site, ground, view, cameras[ground.name])),
        ]
        found.append(_maps(f"Level {text(ground.name)}", cards))
        if any(seen.camera in stills for seen in ground.views):
            drawn = mosaic_map(report.site, ground, view, mosaic(report.site, ground.name, stills, LAID))
            laid.append(_map(f"Level {text(ground.name)}", "each place from the camera that knows it best", drawn))
    return "".join(found) + (_maps("All stills on the map", laid) if laid else "")


def _maps(title: str, cards: list[str]) -> str:
    columns = f"columns{min(len(cards), 2)}"
    return f'<section><h3>{title}</h3><div class="grid maps {columns}">{"".join(cards)}</div></section>'


def _map(name: str, note: str, drawn: str) -> str:
    return f'<figure class="card"><h4>{name}</h4>{drawn}<p>{text(note)}</p></figure>'


def _note_section(report: CalibrationReport) -> str:
    if not report.notes:
        return ""
    items = "".join(f"<li>{text(note)}</li>" for note in report.notes)
    return f'<section><h3>How it was solved</h3><div class="card"><ul class="list">{items}</ul></div></section>'
