"""The tables of a calibration page: all cameras, what they share, what changed, which points moved."""


from geoloc.calibrate.report import CalibrationReport
from geoloc.draw.calibration_cards import angle_text, camera_link, marks_text, px_text, state_badge
from geoloc.draw.ground_bands import length_text
from geoloc.draw.svg import plain, short, text
from geoloc.draw.words import counted, one_line

MOST_MOVES = 12
MOST_MATRIX = 40  # cameras that a matrix of overlaps still shows
CELL = 26  # of the matrix, in its own pixels
NAME = 22  # characters of a camera's name in it


def camera_table(report: CalibrationReport) -> str:
    rows = []
    for camera in report.cameras:
        cells = (
            marks_text(camera), px_text(camera.rms_px),
            px_text(camera.left_out_px), length_text(camera.left_out_m), length_text(camera.centre_sigma_m),
            length_text(camera.ground_median_m), length_text(camera.ground_p90_m), f"{camera.seen_m2:,.0f} m²",
        )  # fmt: skip
        rows.append(
            f'<tr><th scope="row">{camera_link(report, camera.name)}</th><td>{state_badge(camera.state)}</td>'
            + "".join(f'<td class="number">{cell}</td>' for cell in cells)
            + "</tr>"
        )
    heads = ("marks used", "residual rms", "left out", "on the map", "place", "ground", "90 %", "sees")
    head = "".join(f'<th class="number">{name}</th>' for name in heads)
    return (
        "<section><h3>All cameras <small>left out: median distance from where the other marks put a mark; place and "
        'ground: sigmas</small></h3><div class="card wide wide-table" tabindex="0"><table><thead><tr><th>camera</th>'
        f"<th>state</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def overlap_section(report: CalibrationReport) -> str:
    """Which cameras see the same ground, as a matrix."""
    cameras = [camera for camera in report.cameras if camera.name in report.site.camera_index]
    if not 2 <= len(cameras) <= MOST_MATRIX:
        return ""
    most = max((area for camera in cameras for _, area in camera.overlaps), default=0.0)
    names = [one_line(camera.name, NAME) for camera in cameras]
    left = 8 * max(map(len, names)) + 34
    parts = []
    for i, camera in enumerate(cameras):
        shared = dict(camera.overlaps)
        y = CELL * (i + 1)
        parts.append(f'<text x="{left - 26}" y="{y + 18}" text-anchor="end">{text(names[i])}</text>')
        parts += [f'<text class="number" x="{x}" y="{at}">{i + 1}</text>' for x, at in (
            (left - 11, y + 18), (left + CELL * i + CELL / 2, CELL - 6))]  # fmt: skip
        for j, other in enumerate(cameras):
            area = shared.get(other.name, 0.0)
            kind = ' class="own"' if i == j else "" if area else ' class="none"'
            opacity = f' fill-opacity="{short(0.15 + 0.85 * area / most)}"' if area and i != j else ""
            says = f"{camera.name} sees {camera.seen_m2:,.0f} m²" if i == j else (
                f"{camera.name} and {other.name}: {area:,.0f} m²"
            )  # fmt: skip
            parts.append(
                f'<rect{kind} x="{left + CELL * j}" y="{y}" width="{CELL}" height="{CELL}"{opacity} '
                f'data-tip="{text(says)}"/>'
            )
    width, height = left + CELL * len(cameras), CELL * (len(cameras) + 1)
    return (
        "<section><h3>Overlaps <small>the stronger, the more ground both see</small></h3><div class=\"card matrix\">"
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="overlaps of the cameras">'
        f"{''.join(parts)}</svg></div></section>"
    )


def change_section(report: CalibrationReport) -> str:
    """What changed since the calibration before."""
    if not report.changes:
        return ""
    rows = []
    same = sum(change.state == "same" for change in report.changes)
    for change in (change for change in report.changes if change.state != "same"):
        shift = map(length_text, (change.shift_median_m, change.shift_p95_m))
        cells = (length_text(change.moved_m), angle_text(change.turned_deg), *shift)
        told = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        if change.state != "changed":
            told = f'<td class="number" colspan="{len(cells)}">{text(change.state)}</td>'
        rows.append(f'<tr><th scope="row">{text(change.camera)}</th>{told}</tr>')
    heads = "".join(f'<th class="number">{name}</th>' for name in ("moved", "turned", "ground<br>shifts", "95 %"))
    rest = f"<p>{counted(same, 'camera')} as before</p>" if same else ""
    if not rows:
        return f'<section><h3>What changed</h3><div class="card">{rest}</div></section>'
    return (
        "<section><h3>What changed <small>and how far apart both calibrations put the ground</small></h3>"
        f'<div class="card wide"><table><thead><tr><th>camera</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{rest}</div></section>"
    )


def move_section(report: CalibrationReport) -> str:
    """Control points that the adjustment moved."""
    if not report.moves:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{text(move.name)}</th>'
        + "".join(f'<td class="number">{100 * part:+.1f} cm</td>' for part in move.moved)
        + f'<td class="number">{plain(round(move.sigmas, 2))}</td></tr>'
        for move in report.moves[:MOST_MOVES]
    )
    rest = len(report.moves) - MOST_MOVES
    more = f"<p>and {rest} that moved less</p>" if rest > 0 else ""
    heads = "".join(f'<th class="number">{name}</th>' for name in ("east", "north", "up", "sigmas"))
    return (
        "<section><h3>Control points <small>as the adjustment moved them</small>"
        f'</h3><div class="card wide"><table><thead><tr><th>point</th>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        f"{more}</div></section>"
    )
