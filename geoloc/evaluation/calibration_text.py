"""A calibration report for a terminal."""

import numpy as np

from geoloc.calibrate.report import CalibrationReport, CameraQuality
from geoloc.draw.ground_bands import length_text
from geoloc.draw.words import counted
from geoloc.evaluation.text_table import aligned

CAMERAS = ("camera", "state", "marks", "rms px", "left out px", "m", "ground m", "90 %", "sees m²")
LEVELS = ("level", "area m²", "seen m²", "by two m²", "best", "median", "worst", "blind stalls")
MOST_MOVES = 5
MARKS = ("camera", "point", "residual px", "left out px", "m", "sigmas", "")


def report_text(report: CalibrationReport, *, marks: bool = False) -> str:
    """Cameras, levels, what is weak and what to mark next, in aligned lines; with `marks` each of them too."""
    parts = [f"calibration of {report.site.name}", *(f"LOOK: {words}" for words in report.words)]
    parts.append(aligned(CAMERAS, [_camera_row(camera) for camera in report.cameras]))
    parts.append(aligned(LEVELS, _level_rows(report)))
    said = [f"  {camera.name}: {words}" for camera in report.cameras for words in camera.words]
    parts += ["\n".join(["in plain words:", *said])] if said else []
    following = [f"  {mark}" for mark in report.next_marks()]
    parts += ["\n".join(["where to mark next:", *following])] if following else []
    parts += ["\n".join(["what changed:", *_changes(report)])] if report.changes else []
    moves = [
        f"  {move.name}: east {move.moved[0]:+.3f}, north {move.moved[1]:+.3f}, up {move.moved[2]:+.3f} m, "
        f"{move.sigmas:.1f} sigmas"
        for move in report.moves[:MOST_MOVES]
    ]
    rest = len(report.moves) - len(moves)
    moves += [f"  and {rest} that moved less"] if rest else []
    parts += ["\n".join(["control points that moved:", *moves])] if moves else []
    parts += [aligned(MARKS, _mark_rows(report))] if marks and len(report.marks.marks) else []
    parts += ["\n".join(["how it was solved:", *(f"  {note}" for note in report.notes)])] if report.notes else []
    return "\n\n".join(parts)


def _changes(report: CalibrationReport) -> list[str]:
    said = [f"  {change}" for change in report.changes if change.state != "same"]
    same = len(report.changes) - len(said)
    return [*said, *([f"  {counted(same, 'camera')} as before"] if same else [])]


def _camera_row(camera: CameraQuality) -> tuple[str, ...]:
    return (
        camera.name,
        camera.state,
        f"{camera.n_used}/{camera.n_marks}",
        *(_number(value, 2) for value in (camera.rms_px, camera.left_out_px)),
        *(_number(value, 3) for value in (camera.left_out_m, camera.ground_median_m, camera.ground_p90_m)),
        f"{camera.seen_m2:.0f}",
    )


def _level_rows(report: CalibrationReport) -> list[tuple[str, ...]]:
    rows = []
    for ground in report.grounds:
        known = ground.sigma[np.isfinite(ground.sigma)]
        spread = [length_text(float(np.quantile(known, q))) if len(known) else "-" for q in (0.0, 0.5, 1.0)]
        blind = f"{sum(stall.blind for stall in ground.stalls)} of {len(ground.stalls)}"
        area = f"{ground.area_m2:.0f}" if ground.area_m2 else "endless"
        rows.append((ground.name, area, f"{ground.seen_m2:.0f}", f"{ground.twice_m2:.0f}", *spread, blind))
    return rows


def _mark_rows(report: CalibrationReport) -> list[tuple[str, ...]]:
    checks = report.marks
    off, left, on_map = (np.linalg.norm(part, axis=1) for part in (checks.residual, checks.left_out, checks.left_out_m))
    return [
        (
            str(checks.marks.camera[row]),
            str(checks.marks.point[row]),
            *(_number(value, 2) for value in (off[row], left[row])),
            _number(on_map[row], 3),
            _number(checks.surprise[row], 1),
            "outlier" if not checks.used[row] else "suspicious" if checks.suspicious[row] else "",
        )
        for row in range(len(checks.marks))
    ]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"
