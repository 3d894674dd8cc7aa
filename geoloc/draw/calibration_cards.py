"""One card a camera of a calibration report: still, numbers, plain words, each mark."""

import numpy as np

from geoloc.calibrate.planner import NextMark
from geoloc.calibrate.report import CalibrationReport, CameraQuality
from geoloc.draw.ground_bands import gain_text, length_text
from geoloc.draw.still_svg import mark_kind, still_figure
from geoloc.draw.svg import text
from geoloc.draw.words import counted

SIGNS = {
    "consistent": "✓", "unchecked": "?", "suspicious": "!", "no error stated": "–", "kept": "–", "refused": "✗",
}  # fmt: skip
LAYERS = {
    "lines": "map lines", "marks": "marks", "names": "names", "residuals": "residuals", "next": "next mark",
}  # fmt: skip
MOST_OVERLAPS = 3


def camera_section(report: CalibrationReport, stills: dict[str, np.ndarray]) -> str:
    """All cards, and the boxes that show and hide what is drawn."""
    boxes = "".join(
        f'<label><input type="checkbox" id="show-{name}" checked>{words}</label>' for name, words in LAYERS.items()
    )
    cards = "".join(_card(report, i, stills) for i in range(len(report.cameras)))
    return (
        f'<section><h3>Every camera</h3><fieldset class="layers" aria-label="What is drawn">{boxes}</fieldset>'
        f"{cards}</section>"
    )


def camera_link(report: CalibrationReport, name: str) -> str:
    """A camera's name that leads to its card."""
    number = [camera.name for camera in report.cameras].index(name)
    return f'<a href="#c{number}">{text(name)}</a>'


def state_badge(state: str) -> str:
    """A camera's state with its sign and colour."""
    return f'<span class="state {state.split()[0]}">{SIGNS[state]} {text(state)}</span>'


def px_text(value: float) -> str:
    """Pixels to a hundredth; a dash for what is no number."""
    return f"{value:.2f} px" if np.isfinite(value) else "–"


def marks_text(quality: CameraQuality) -> str:
    """How many marks a camera has, and how many of them had a say."""
    if not quality.n_marks or quality.state == "refused":
        return str(quality.n_marks or "none")
    return f"{quality.n_used} of {quality.n_marks}"


def angle_text(degrees: float) -> str:
    """An angle to two digits; a dash for what is no number."""
    return f"{float(f'{degrees:.2g}'):.{3 if abs(degrees) < 0.1 else 2}f}°" if np.isfinite(degrees) else "–"


def _card(report: CalibrationReport, number: int, stills: dict[str, np.ndarray]) -> str:
    quality = report.cameras[number]
    freed = f"; freed: pose, {', '.join(quality.freed)}" if quality.freed else "; freed: pose"
    about = quality.lens + (freed if quality.n_marks and quality.state != "refused" else "")
    return (
        f'<article class="card seen" id="c{number}"><header><h4>{text(quality.name)}</h4>{state_badge(quality.state)}'
        f'<small>{text(about)}</small></header><div class="pair">'
        f"{still_figure(report, quality, stills.get(quality.name))}"
        f"<div>{_facts(quality)}{_words(quality)}{_next(quality)}{_marks(report, quality)}</div></div></article>"
    )


def _facts(quality: CameraQuality) -> str:
    if quality.state == "refused":
        return ""
    rows = [("marks used", marks_text(quality))] if quality.n_marks else []
    if np.isfinite(quality.rms_px):
        rows.append(("residual, rms", px_text(quality.rms_px)))
    if np.isfinite(quality.left_out_px):
        rows.append(("left out, median", f"{px_text(quality.left_out_px)} · {length_text(quality.left_out_m)}"))
    if np.isfinite(quality.scatter):
        rows.append(("scatter over stated sigmas", f"{quality.scatter:.2f} ×"))
    if np.isfinite(quality.centre_sigma_m):
        rows.append(("sigma of its place", length_text(quality.centre_sigma_m)))
        rows.append(("sigma of its direction", angle_text(quality.turn_sigma_deg)))
    rows.append(("sees", f"{quality.seen_m2:,.0f} m²"))
    if np.isfinite(quality.ground_median_m):
        spread = f"{length_text(quality.ground_median_m)} · {length_text(quality.ground_p90_m)}"
        rows.append(("ground sigma, median · 90 %", spread))
    items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return f'<dl class="facts">{items}</dl>'


def _words(quality: CameraQuality) -> str:
    said = [text(words[:1].upper() + words[1:]) for words in quality.words]
    if quality.overlaps:
        others = [f"{name} ({area:,.0f} m²)" for name, area in quality.overlaps[:MOST_OVERLAPS]]
        rest = len(quality.overlaps) - len(others)
        said.append(text(f"Shares ground with {', '.join(others)}" + (f" and {rest} more" if rest > 0 else "")))
    items = "".join(f"<li>{words}</li>" for words in said)
    return f'<ul class="list">{items}</ul>' if items else ""


def _next(quality: CameraQuality) -> str:
    """What to mark next in it, best first."""
    if not quality.next_marks:
        return ""
    items = "".join(f"<li>{suggestion(mark)}: <b>{gain_text(mark)}</b></li>" for mark in quality.next_marks)
    return f'<h5>Where to mark next</h5><ul class="list">{items}</ul>'


def suggestion(mark: NextMark) -> str:
    """What to mark, and where, in words."""
    (u, v), (x, y, z) = mark.pixel, mark.place
    what = f"point {text(mark.point)}" if mark.point else "a new point, to be surveyed"
    return f"{what}, near pixel ({u:.0f}, {v:.0f}), at ({x:.1f}, {y:.1f}, {z:.1f}) m"


def _marks(report: CalibrationReport, quality: CameraQuality) -> str:
    """Every mark, the most surprising first."""
    checks = report.marks
    rows = checks.of(quality.name)
    if not len(rows):
        return ""
    surprise = np.where(np.isnan(checks.surprise[rows]), -1.0, checks.surprise[rows])
    body = []
    for row in rows[np.argsort(-surprise, kind="stable")].tolist():
        kind = mark_kind(checks, row)
        residual, left, on_map = (
            float(np.linalg.norm(part[row])) for part in (checks.residual, checks.left_out, checks.left_out_m)
        )
        sigmas = f"{checks.surprise[row]:.1f}" if np.isfinite(checks.surprise[row]) else "–"
        bad = ' class="bad"' if kind in ("outlier", "suspicious") else ""
        name = text(checks.marks.point[row]) + (" <small>outlier</small>" if kind == "outlier" else "")
        cells = (px_text(residual).removesuffix(" px"), px_text(left).removesuffix(" px"), length_text(on_map), sigmas)
        body.append(
            f'<tr{bad}><th scope="row">{name}</th>' + "".join(f'<td class="number">{c}</td>' for c in cells) + "</tr>"
        )
    return (
        f'<details><summary>{counted(len(rows), "mark")}</summary><table class="marks-table"><thead><tr><th>point</th>'
        '<th class="number">residual<br>px</th><th class="number">left out<br>px</th><th class="number">on the<br>map'
        f'</th><th class="number">sigmas</th></tr></thead><tbody>{"".join(body)}</tbody></table></details>'
    )
