"""Each camera calibrated anew from its marks while they are set, what looks wrong, and where to mark next."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geoloc.calibrate.line_checks import line_turns
from geoloc.calibrate.marks_left_out import SURPRISING, MarkChecks, leave_marks_out, scatter
from geoloc.calibrate.planner import next_mark
from geoloc.calibrate.quality import GroundSight, ground_sight
from geoloc.calibrate.report_words import FEW_LEFT, WIDE, words_on_places
from geoloc.calibrate.single import SingleSolution, calibrate_camera
from geoloc.calibrate.solution import Refused, Solution
from geoloc.scene.camera import Camera
from geoloc.scene.known import Known
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.service.marking_state import NextMark, Question, Solve, Verdict

MISTYPED = r"'[^']+' \(did you mean '[^']+'\?\)"  # in a note on points that the map does not have
SHOWN = 3  # of names and hints alike
CLEARLY = 0.97  # of the ground sigma now, below which the next mark must bring it to be worth a walk


def live_calibration(site: Site, known: Known) -> Solve:
    """A `Solve` that calibrates a camera from its marks alone, with its lens where that is known.

    A camera whose marks cannot do that keeps its present calibration, and its marks are held against that one.
    """

    def solve(question: Question) -> Verdict:
        lens = known.lens(question.camera)
        usable = lens is None or tuple(lens.size) == tuple(question.size)
        about = known if usable else known.without_lens(question.camera)
        about = replace(about, lines=question.lines)
        found = calibrate_camera(
            question.camera, question.size, question.marks, question.points, known=about, site_map=site.site_map
        )
        if isinstance(found, Refused):
            return _refused(found, site, question)
        return _calibrated(found, site, question)

    return solve


def _refused(refused: Refused, site: Site, question: Question) -> Verdict:
    """Why there is no calibration, beside what the present one says of the marks where there is one."""
    marks, points = question.marks, question.points
    residual, used = np.full((len(marks), 2), np.nan), np.ones(len(marks), dtype=bool)
    solution = Solution((), marks, residual, used, points, (refused,))
    present = next((camera for camera in site.cameras if camera.name == question.camera), None)
    if present is None or present.is_homography or tuple(present.size) != tuple(question.size):
        return Verdict(solution, headline=f"Not calibrated: {refused.reason}.")
    places = {point.name: point.xyz for point in points}
    nowhere = (np.nan, np.nan, np.nan)
    xyz = np.array([places.get(name, nowhere) for name in marks.point.tolist()], float).reshape(-1, 3)
    solution = replace(solution, cameras=(present,), residual=marks.pixel - present.project(xyz))
    told = _judged(solution, site, question, present, present=True)
    headline = f"No new calibration: {refused.reason}. Shown is the present one."
    return replace(told, headline=headline, present=True, next_mark=_farthest(present, question))


def _calibrated(found: SingleSolution, site: Site, question: Question) -> Verdict:
    marks = question.marks.replace(sigma=found.mark_sigma)
    strangers = [note for note in found.notes if note.startswith("the map has no point")]
    notes = tuple(part for note in found.notes if note not in strangers for part in _beyond_freed(note))
    notes = (*notes, *_on_strangers(question, strangers))
    solution = Solution((found.camera,), marks, found.residual, found.used, question.points, notes=notes)
    told = _judged(solution, site, question, found.camera)
    n, of = int(found.used.sum()), f" of {len(marks)}" if not found.used.all() else ""
    if told.wrong:
        looks = f"{len(told.wrong)} of {len(marks)} marks look wrong" if len(told.wrong) > 1 else "A mark looks wrong"
        headline = f"{looks}: {', '.join(told.wrong)}."
    elif found.dof < FEW_LEFT:
        headline = f"{n}{of} marks agree, but a wrong one would not show yet: mark more."
    else:
        headline = f"{n}{of} marks confirm each other."
    return replace(told, headline=headline, freed=("pose", *found.estimated))


def _on_strangers(question: Question, notes: list[str]) -> list[str]:
    """One note on all marks without a place on the map, which may be tie points, and those that look mistyped."""
    if not notes:
        return []
    known = {point.name for point in question.points}
    names = [name for name in question.marks.point.tolist() if name not in known]
    listed = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    told = f"without a place on the map, and so counted only when all cameras are calibrated together: {listed}"
    return [told, *(hint for note in notes for hint in re.findall(MISTYPED, note))]


def _beyond_freed(note: str) -> list[str]:
    """A note without what it says of the freed unknowns, which have a line of their own."""
    if not note.startswith("free: "):
        return [note]
    return [rest] if (rest := note.partition("; ")[2]) else []


def _judged(solution: Solution, site: Site, question: Question, camera: Camera, present: bool = False) -> Verdict:
    """What looks wrong about marks, lines and where they lie, how sharp the ground is, and the next mark."""
    on_map = replace(site.site_map, control_points=question.points)
    # marks had no say in a calibration that was there before them
    used = np.zeros(len(solution.marks), dtype=bool) if present else solution.used
    checks = leave_marks_out(replace(solution, used=used), on_map)
    rows = checks.of(camera.name)
    placed = rows[solution.used[rows] & np.isfinite(checks.residual[rows]).all(axis=1)]
    sight = ground_sight(Site(site.name, (camera,), site.site_map), camera.name)
    on_map_rows = rows[np.isfinite(checks.xyz[rows]).all(axis=1)]  # the others have a note of their own
    said = words_on_places(camera, checks, on_map_rows, placed, sight) if len(placed) and not present else []
    if not present and scatter(camera.name, checks)[0] > WIDE:
        said.append(f"its marks scatter {scatter(camera.name, checks)[0]:.1f} times as much as their sigmas say")
    wrong, notes = _wrong(checks, rows if camera.calib_cov.any() else rows[:0], solution.notes)
    said = [f"{text[0].upper()}{text[1:]}." for text in (*said, *notes)]
    return Verdict(
        replace(solution, notes=tuple(said)), next_mark=_following(camera, sight, question, on_map), wrong=wrong,
        ground_m=_ground(camera, sight), turned=tuple(line_turns(camera, question.lines).tolist()),
    )  # fmt: skip


def _wrong(checks: MarkChecks, rows: np.ndarray, notes: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Marks that look wrong, each with why, and the notes that are on something else."""
    wrong, rest = dict[str, str](), list(notes)
    for row in rows.tolist():
        name = str(checks.marks.point[row])
        about = [note for note in notes if note.startswith(f"mark of {name!r} is wrong")]
        if about:
            wrong[name] = about[0].removeprefix(f"mark of {name!r} ")
            rest.remove(about[0])
        elif checks.surprise[row] > SURPRISING:
            off = float(np.linalg.norm(checks.left_out[row]))
            wrong[name] = f"lies {off:.1f} px from where it should: is it the same thing in still and map?"
    return wrong, rest


def _ground(camera: Camera, sight: GroundSight) -> tuple[float, float]:
    if not len(sight.xyz) or not camera.calib_cov.any():
        return (float("nan"), float("nan"))
    middle, far = np.quantile(sight.sigma(camera.calib_cov), [0.5, 0.9]).tolist()
    return (middle, far)


def _following(camera: Camera, sight: GroundSight, question: Question, site_map: SiteMap) -> NextMark | None:
    """The mark that sharpens the ground most, if one does; a point that is there already before one to survey."""
    found = next_mark(camera, sight, site_map, set(question.marks.point.tolist()))
    worth = [mark for mark in found if mark.sigma_after < CLEARLY * mark.sigma_before]
    best = next((mark for mark in worth if mark.point), next(iter(worth), None))
    if best is None:
        return None
    what = f"Mark {best.point} next" if best.point else "Next, survey and mark the ringed spot"
    gain = f"{100 * best.sigma_before:.1f} to {100 * best.sigma_after:.1f} cm"
    return NextMark(best.pixel, best.xyz, best.point, f"{what}: the ground gets sharper, {gain} on average.")


def _farthest(camera: Camera, question: Question) -> NextMark | None:
    """The control point that the present camera shows farthest from all marks: for a new calibration, room counts."""
    left = [point for point in question.points if point.name not in question.marks.point.tolist()]
    pixels = camera.project(np.array([point.xyz for point in left], float).reshape(-1, 3))
    seen = np.flatnonzero(np.isfinite(pixels).all(axis=1) & camera.inside(pixels))
    if not len(seen):
        return None
    away = np.linalg.norm(pixels[seen][:, None] - question.marks.pixel, axis=2).min(axis=1, initial=np.inf)
    best = int(seen[np.argmax(away)])
    pixel, name = (float(pixels[best, 0]), float(pixels[best, 1])), left[best].name
    return NextMark(pixel, left[best].xyz, name, f"Mark {name} next: it lies farthest from the others.")
