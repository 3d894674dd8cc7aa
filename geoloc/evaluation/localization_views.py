"""What recalls do not show: how errors are spread, where on the map they are large, which images went worst."""

from collections.abc import Sequence

import numpy as np

from geoloc.evaluation.matched_poses import MatchedPoses
from geoloc.evaluation.measures import Blocks, of_quantile
from geoloc.evaluation.queries import bare_figure
from geoloc.evaluation.report import Chart, ErrorMap, Figure, Line
from geoloc.metrics.area import error_map

POINTS = 200  # of a curve of errors
WORST = 5  # images that are named
FEWEST = 5  # errors in a cell from which its median is told
BEYOND = 1.2  # of the largest threshold that a curve reaches, how far it is drawn


def charts(matched: MatchedPoses, thresholds: Sequence[tuple[float, float]]) -> tuple[Chart, ...]:
    """Share of all images over their position and rotation errors, thresholds marked; none without an answer."""
    if not len(matched.answer):
        return ()
    scores = matched.scores
    position, rotation = scores.position_error, np.degrees(scores.rotation_error)
    return (
        _cumulative("Position error", "m", position, [m for m, _ in thresholds]),
        _cumulative("Rotation error", "deg", rotation, [deg for _, deg in thresholds]),
    )


def error_maps(matched: MatchedPoses) -> tuple[ErrorMap, ...]:
    """Where answers were how far off over the ground; refused and missing images are what was missed."""
    ground, centres = np.linalg.norm(matched.offsets[:, :2], axis=1), matched.centres[:, :2]
    missed = centres[~matched.scores.answered]
    return (ErrorMap("", centres[matched.query], ground, missed, np.empty((0, 2))),)


def areas(name: str, matched: MatchedPoses, cell_m: float, n: int) -> list[Figure]:
    """Median ground error in the `n` worst cells of the map of side `cell_m` (m), the worst first."""
    if not len(matched.answer):
        return []
    xy, error = matched.centres[matched.query, :2], np.linalg.norm(matched.offsets[:, :2], axis=1)
    cells = error_map(xy, error, cell_m)
    told = np.flatnonzero(cells.count >= FEWEST)
    figures = []
    for cell in told[np.argsort(-cells.median[told], kind="stable")][:n].tolist():
        rows = error[cells.cell_of == cell]
        (x, y), count = cells.low[cell], len(rows)
        part = f"x {x:g} to {x + cell_m:g} m, y {y:g} to {y + cell_m:g} m"
        says = f"of the worst cells of {cell_m:g} m by true position; {count} answers, over the ground"
        measure = of_quantile("ground_error_median_m", "m", says, rows, Blocks(np.arange(count), count))
        figures.append(measure.figure(name, part, "bootstrap over queries"))
    return figures


def worst_images(name: str, matched: MatchedPoses) -> list[Figure]:
    """Both errors of the answers that are farthest off: those that a user should look at first."""
    scores = matched.scores
    rows = matched.query[np.argsort(-scores.position_error[matched.query], kind="stable")][:WORST]
    figures = []
    for row in rows.tolist():
        part = f"image {matched.true.image[row]}"
        says = "of the answers that are farthest off" + _when(matched, row)
        metres, degrees = scores.position_error[row], np.degrees(scores.rotation_error[row])
        figures.append(bare_figure(name, part, "position_error_m", metres, "m", says))
        figures.append(bare_figure(name, part, "rotation_error_deg", degrees, "deg", says))
    return figures


def _when(matched: MatchedPoses, row: int) -> str:
    camera, time = str(matched.true.camera[row]), float(matched.true.time[row])
    return (f", camera {camera}" if camera else "") + (f", at {time:.3f} s" if np.isfinite(time) else "")


def _cumulative(title: str, unit: str, error: np.ndarray, thresholds: Sequence[float]) -> Chart:
    """Share of N images with at most an error; `error` (N,) is infinite where there is no answer."""
    answers = np.sort(error[np.isfinite(error)])
    marks = sorted(set(thresholds))
    reached = [mark for mark in marks if mark <= max(2 * np.quantile(answers, 0.95), marks[0])]
    x = np.linspace(0.0, BEYOND * reached[-1], POINTS)
    share = 100 * np.searchsorted(answers, x, "right") / len(error)
    lines = [Line("images", x, share)]
    lines += [Line(f"{mark:g} {unit}", np.full(2, mark), np.array([0.0, 100.0]), reference=True) for mark in reached]
    without = 100 * float(np.mean(~np.isfinite(error)))
    note = f"of all {len(error):,} images; {without:.3g} % have no answer; thresholds are marked"
    return Chart(title, unit, "% within", tuple(lines), note)
