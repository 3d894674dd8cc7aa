"""A camera's still in a page: the picture if there is one, over it map lines, marks, residuals, what to mark next."""

import base64

import cv2
import numpy as np

from geoloc.calibrate.marks_left_out import SURPRISING, MarkChecks
from geoloc.calibrate.report import CalibrationReport, CameraQuality
from geoloc.draw.extent import nice_step
from geoloc.draw.ground_bands import gain_text, length_text
from geoloc.draw.labels import place_labels
from geoloc.draw.still_lines import still_lines
from geoloc.draw.svg import plain, points, short, text
from geoloc.draw.words import one_line
from geoloc.perception.rectify import check_still

WIDTH = 960.0  # of the drawing's own pixels; a page scales it
EMBEDDED = 1280  # px of width at which stills are embedded at most
QUALITY = 80  # of their JPEG
ARROW = 46.0  # length of a usual residual in the drawing
LONGEST_ARROW = 230.0
FONT, NEXT_FONT = 17.0, 19.0
RINGS = (17, 11)  # radius of the best next mark, and of the second best
NAME = 18  # characters of a mark's name that are written at it

# on a photograph, whatever the page's colours are
PHOTO = {
    "stall-line": "#4fd8ff", "zone-line": "#ffd23f", "wall-line": "#ff9de0", "level-line": "#8cff9a",
    "case": "#000000", "halo": "#000000", "word": "#ffffff", "good": "#ffffff", "goal": "#ffd23f", "bad": "#ff4d4d",
    "fill": "#00000066",
}  # fmt: skip


def still_style() -> str:
    """CSS of what is drawn over photographs."""
    return f".still.photo {{ {' '.join(f'--{name}: {colour};' for name, colour in PHOTO.items())} }}\n"


def still_figure(report: CalibrationReport, quality: CameraQuality, still: np.ndarray | None) -> str:
    """The drawing of one camera as SVG; without a still (H, W, 3) uint8 BGR its lines and marks stand alone.

    Nothing where there is nothing to draw.
    """
    if still is None and quality.name not in report.site.camera_index and not len(report.marks.of(quality.name)):
        return ""
    size = image_size(report, quality.name, still)
    scale = WIDTH / size[0]
    height = size[1] * scale
    if still is None:
        ground = f'<rect class="blank" width="{short(WIDTH)}" height="{short(height)}"/>'
    else:
        ground = f'<image width="{short(WIDTH)}" height="{short(height)}" href="{jpeg(still)}"/>'
    times = arrow_scale(report.marks, quality.name, scale)
    drawn = [ground, _lines(report, quality, scale)]
    drawn += [_marks(report.marks, quality.name, scale, times), _next(quality, scale)]
    drawn.append(_labels(report.marks, quality, scale, height))
    label = f"what {quality.name} sees, with the map's lines and its marks"
    kind = "blank" if still is None else "photo"
    note = f"residuals drawn {plain(times)} times as long" if quality.n_marks and quality.state != "refused" else ""
    return (
        f'<div class="still {kind}"><svg viewBox="0 0 {short(WIDTH)} {short(height)}" role="img" '
        f'aria-label="{text(label)}">{"".join(drawn)}</svg><p class="note-line residuals">{note}</p></div>'
    )


def image_size(report: CalibrationReport, name: str, still: np.ndarray | None) -> tuple[int, int]:
    """Width and height of a camera's image: its own; of a refused one its still's, else what its marks span."""
    known = report.site.camera(name).size if name in report.site.camera_index else None
    if still is not None:
        check_still(still, name, known)
    if known is not None:
        return known
    if still is not None:
        return still.shape[1], still.shape[0]
    rows = report.marks.of(name)
    far = report.marks.marks.pixel[rows].max(axis=0, initial=0.0) if len(rows) else np.array([1920.0, 1080.0])
    return max(16, int(np.ceil(far[0] * 1.05))), max(9, int(np.ceil(far[1] * 1.05)))


def jpeg(still: np.ndarray) -> str:
    """A still as a data URL, no wider than EMBEDDED."""
    still = np.ascontiguousarray(still)
    if still.shape[1] > EMBEDDED:
        size = (EMBEDDED, round(still.shape[0] * EMBEDDED / still.shape[1]))
        still = cv2.resize(still, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", still, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def arrow_scale(marks: MarkChecks, camera: str, scale: float) -> float:
    """How many times longer than they are residuals are drawn: a round number."""
    rows = marks.of(camera)
    lengths = np.linalg.norm(marks.residual[rows[marks.used[rows]]], axis=1)
    lengths = lengths[np.isfinite(lengths) & (lengths > 0)]
    if not len(lengths):
        return 1.0
    return max(1.0, nice_step(ARROW / (float(np.quantile(lengths, 0.75)) * scale)))


def _lines(report: CalibrationReport, quality: CameraQuality, scale: float) -> str:
    if quality.name not in report.site.camera_index:
        return ""
    paths: dict[str, list[str]] = {}
    for line in still_lines(report.site.camera(quality.name), report.site.site_map):
        x, y = ((line.pixels + 0.5) * scale).T
        paths.setdefault(line.kind, []).append(f"M{points(x, y)}")
    drawn = [
        f'<path class="casing" d="{"".join(lines)}"/><path class="{kind}" d="{"".join(lines)}"/>'
        for kind, lines in sorted(paths.items(), key=lambda item: "grid zone level wall stall".index(item[0]))
    ]
    return f'<g class="lines">{"".join(drawn)}</g>'


def _marks(marks: MarkChecks, camera: str, scale: float, times: float) -> str:
    arrows, signs = [], []
    for row in marks.of(camera).tolist():
        kind, at = mark_kind(marks, row), (marks.marks.pixel[row] + 0.5) * scale
        x, y = at.tolist()
        arrows.append(_arrow(marks, row, scale, times, at, kind))
        signs.append(
            f'<g class="mark {kind}" data-tip="{text(mark_words(marks, row))}"><circle cx="{short(x)}" '
            f'cy="{short(y)}" r="8"/><path d="M{short(x - 4)} {short(y)}h8m-4 -4v8"/></g>'
        )
    return f'<g class="residuals">{"".join(arrows)}</g><g class="marks">{"".join(signs)}</g>'


def _labels(marks: MarkChecks, quality: CameraQuality, scale: float, height: float) -> str:
    """What is to be marked next, then names of marks where they have room."""
    rows, best = marks.of(quality.name), quality.next_marks[:1]
    names = [f"next: {one_line(mark.point or 'new point', NAME)}, {gain_text(mark)}" for mark in best]
    names += [one_line(name, NAME) for name in marks.marks.point[rows].tolist()]
    pixels = np.concatenate([np.array([mark.pixel for mark in best]).reshape(-1, 2), marks.marks.pixel[rows]])
    at = (pixels + 0.5) * scale
    fonts = np.array([NEXT_FONT] * len(best) + [FONT] * len(rows))
    # y grows downwards here and upwards there, which is the same to boxes that keep apart
    placed = place_labels(at, names, fonts, np.array([WIDTH, height]))
    written: dict[str, list[str]] = {"names": [], "following": []}
    for i, ((x, y), shown) in enumerate(zip(placed.centre.tolist(), placed.shown.tolist(), strict=True)):
        group, kind = ("following", "next") if i < len(best) else ("names", "name")
        if shown:
            spot = f'x="{short(x)}" y="{short(y + 0.35 * fonts[i])}"'
            written[group].append(f'<text class="{kind}" {spot}>{text(names[i])}</text>')
    return "".join(f'<g class="{group}">{"".join(texts)}</g>' for group, texts in written.items())


def mark_kind(marks: MarkChecks, row: int) -> str:
    """Of a mark: used, suspicious, outlier, or unknown where its camera or its point has no place."""
    if not np.isfinite(marks.residual[row]).all():
        return "unknown"
    if not marks.used[row]:
        return "outlier"
    return "suspicious" if marks.surprise[row] > SURPRISING else "used"


def mark_words(marks: MarkChecks, row: int) -> str:
    """A mark in a line."""
    u, v = marks.marks.pixel[row].tolist()
    name, residual, left = marks.marks.point[row], _norm(marks.residual[row]), _norm(marks.left_out[row])
    said = [f"{name} at ({u:.1f}, {v:.1f}) px"]
    if np.isfinite(residual):
        said.append(f"residual {residual:.2f} px")
    if np.isfinite(left):
        off = length_text(_norm(marks.left_out_m[row]))
        said.append(f"the others put it {left:.2f} px ({off}) away, {marks.surprise[row]:.1f} sigmas")
    elif np.isfinite(residual):
        said.append("without it the others say nothing here")
    if not np.isfinite(residual):
        said.append("nothing to compare it with")
    elif not marks.used[row]:
        said.append("not used: an outlier")
    return ": ".join([said[0], "; ".join(said[1:])]) if said[1:] else said[0]


def _arrow(marks: MarkChecks, row: int, scale: float, times: float, at: np.ndarray, kind: str) -> str:
    """From the mark along its residual, enlarged; of an outlier a dashed line to where it should be."""
    residual = marks.residual[row] * scale
    if not np.isfinite(residual).all():
        return ""
    if kind == "outlier":
        there = at - residual
        return f'<path class="outlier" d="M{points(*np.stack([at, there]).T)}"/>'
    step = residual * times
    length = float(np.linalg.norm(step))
    step *= min(1.0, LONGEST_ARROW / max(length, 1e-9))
    tip, along = at + step, step / max(float(np.linalg.norm(step)), 1e-9)
    across = np.array([-along[1], along[0]])
    head = np.stack([tip - 9 * along + 4.5 * across, tip, tip - 9 * along - 4.5 * across])
    return f'<path class="{kind}" d="M{points(*np.stack([at, tip]).T)}M{points(*head.T)}"/>'


def _next(quality: CameraQuality, scale: float) -> str:
    """The best next mark in a ring, the second best in a smaller one."""
    drawn = []
    for i, mark in enumerate(quality.next_marks):
        x, y = ((np.array(mark.pixel) + 0.5) * scale).tolist()
        ring = f'cx="{short(x)}" cy="{short(y)}" r="{RINGS[i]}"'
        drawn.append(
            f'<g class="{"best" if i == 0 else "second"}" data-tip="{text(str(mark))}">'
            f'<circle class="casing" {ring}/><circle {ring}/></g>'
        )
    return f'<g class="following">{"".join(drawn)}</g>'


def _norm(vector: np.ndarray) -> float:
    return float(np.linalg.norm(vector))
