"""How good a calibration is: each mark, each camera, each level of the map, in numbers and in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.calibrate.changes import Change, changes
from geoloc.calibrate.ground_cells import LevelGround, level_ground, shared_ground
from geoloc.calibrate.map_checks import words_on_heights
from geoloc.calibrate.marks_left_out import MarkChecks, leave_marks_out, scatter
from geoloc.calibrate.planner import NextMark, next_mark
from geoloc.calibrate.quality import GroundSight, ground_sight
from geoloc.calibrate.report_words import (
    FEW_LEFT,
    WIDE,
    PointMove,
    point_moves,
    words_on_all,
    words_on_marks,
    words_on_places,
)
from geoloc.calibrate.solution import Refused, Solution
from geoloc.errors import unknown_name
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site

LEAST_SHARED = 1.0  # m², below which two cameras are not said to overlap
WORTH = 0.99  # of the ground sigma, below which a mark must bring it to be worth making

STATES = ("consistent", "unchecked", "suspicious", "no error stated", "kept", "refused")


@dataclass(frozen=True)
class CameraQuality:
    """One camera. Its `state` is one of `STATES`:

    "consistent": its marks confirm each other; "unchecked": they agree, but too few are left over to prove one wrong;
    "suspicious": they contradict each other; "no error stated": it has no covariance to judge; "kept": it has no
    marks here and is as it was; "refused": the marks cannot calibrate it. What is not known is NaN.
    `n_used` marks had a say; `rms_px` and the medians `left_out_px` and `left_out_m` are over them, `scatter` is
    their spread over what their sigmas say. `centre_sigma_m` and `turn_sigma_deg` are the largest over all
    directions. `ground_median_m` and `ground_p90_m` are ground sigmas over the area `seen_m2` that it sees.
    """

    name: str
    state: str
    lens: str
    freed: tuple[str, ...]
    n_marks: int
    n_used: int
    rms_px: float = float("nan")
    left_out_px: float = float("nan")
    left_out_m: float = float("nan")
    scatter: float = float("nan")
    centre_sigma_m: float = float("nan")
    turn_sigma_deg: float = float("nan")
    seen_m2: float = 0.0
    ground_median_m: float = float("nan")
    ground_p90_m: float = float("nan")
    overlaps: tuple[tuple[str, float], ...] = ()  # other cameras and the area (m²) that both see, most first
    words: tuple[str, ...] = ()
    next_marks: tuple[NextMark, ...] = ()


@dataclass(frozen=True, eq=False)
class CalibrationReport:
    """All that is to be said of a calibration. `site` has the cameras as calibrated, less those that were refused.

    `cameras` are in the order of their names, refused ones too; `grounds` are the map's levels; `words` speak of
    the whole; `notes` are the solution's own.
    """

    site: Site
    cameras: tuple[CameraQuality, ...]
    marks: MarkChecks
    grounds: tuple[LevelGround, ...]
    moves: tuple[PointMove, ...]
    changes: tuple[Change, ...]
    words: tuple[str, ...]
    notes: tuple[str, ...]

    def camera(self, name: str) -> CameraQuality:
        """What is said of one camera; UnknownNameError if nothing is."""
        known = {camera.name: camera for camera in self.cameras}
        if name not in known:
            raise unknown_name("camera", name, known, "the calibration report")
        return known[name]

    @property
    def rms_px(self) -> float:
        """Root mean square residual of all used marks."""
        return _rms(self.marks.residual[self.marks.used])

    @property
    def left_out_px(self) -> float:
        """Median distance of a used mark from where the others put it."""
        return _median(self.marks.left_out[self.marks.used])

    @property
    def left_out_m(self) -> float:
        """The same on the map, at the points' heights."""
        return _median(self.marks.left_out_m[self.marks.used])

    def ground_sigma(self, share: float) -> float:
        """Ground sigma (m) that a share of the seen area stays below, by the best camera of each place."""
        return _quantile(np.concatenate([ground.sigma.ravel() for ground in self.grounds]), share)

    def next_marks(self) -> tuple[NextMark, ...]:
        """The best next mark of each camera, those first that take most off the ground sigma."""
        best = [camera.next_marks[0] for camera in self.cameras if camera.next_marks]
        return tuple(sorted(best, key=lambda mark: mark.sigma_after - mark.sigma_before))


def calibration_report(site: Site, solution: Solution, before: Sequence[Camera] = ()) -> CalibrationReport:
    """The report on a solution for `site`. With cameras `before`, also what changed since.

    The site's other cameras are judged by the covariance that they came with; refused ones show no ground.
    """
    calibrated = _calibrated(site, solution)
    checks = leave_marks_out(solution, site.site_map)
    grounds = tuple(level_ground(calibrated, i) for i in range(len(site.site_map.levels)))
    names = tuple(camera.name for camera in calibrated.cameras)
    shared = shared_ground(grounds, names)
    found = [
        _quality(calibrated, camera, checks, grounds, _overlaps(names, shared[i], i))
        for i, camera in enumerate(calibrated.cameras)
    ]
    found += [_refused(refused, site, checks) for refused in solution.refused]
    moves = point_moves(solution, site.site_map)
    refused = {one.camera for one in solution.refused}
    earlier = [camera for camera in before if camera.name not in refused]
    return CalibrationReport(
        site=calibrated,
        cameras=tuple(sorted(found, key=lambda camera: camera.name)),
        marks=checks,
        grounds=grounds,
        moves=moves,
        changes=changes(earlier, calibrated.cameras, site.site_map) if earlier else (),
        words=(*words_on_heights(site.site_map), *words_on_all(names, shared, moves, grounds)),
        notes=solution.notes,
    )


def _calibrated(site: Site, solution: Solution) -> Site:
    refused = {one.camera for one in solution.refused}
    cameras = {camera.name: camera for camera in (*site.cameras, *solution.cameras) if camera.name not in refused}
    if list(cameras.values()) == list(site.cameras):
        return site  # with the visibility that it came with
    return replace(site, cameras=tuple(cameras.values()))


def _quality(
    site: Site,
    camera: Camera,
    checks: MarkChecks,
    grounds: Sequence[LevelGround],
    overlaps: tuple[tuple[str, float], ...],
) -> CameraQuality:
    rows = checks.of(camera.name)
    used = rows[checks.used[rows] & np.isfinite(checks.residual[rows]).all(axis=1)]
    times, over = scatter(camera.name, checks)
    sigma = np.concatenate([np.zeros(0), *(v.sigma for g in grounds for v in g.views if v.camera == camera.name)])
    sight: GroundSight | None = None
    following: tuple[NextMark, ...] = ()
    if not camera.is_homography:
        sight = ground_sight(site, camera.name)
        following = _following(site, camera, sight, checks)
    state = _state(camera, checks.suspicious[rows].any(), times, over, len(rows))
    words = words_on_marks(camera, checks, times, over, state)
    words += words_on_places(camera, checks, rows, used, sight)
    seen = sum(g.cell**2 * len(v.cells) for g in grounds for v in g.views if v.camera == camera.name)
    if not seen:
        words.append("it sees no level of the map: is its pose right, is the map's height?")
    return CameraQuality(
        name=camera.name,
        state=state,
        lens=camera.lens.model,
        freed=camera.freed,
        n_marks=len(rows),
        n_used=len(used),
        rms_px=_rms(checks.residual[used]),
        left_out_px=_median(checks.left_out[used]),
        left_out_m=_median(checks.left_out_m[used]),
        scatter=times,
        centre_sigma_m=_centre_sigma(camera),
        turn_sigma_deg=_turn_sigma(camera),
        seen_m2=float(seen),
        ground_median_m=_quantile(sigma, 0.5),
        ground_p90_m=_quantile(sigma, 0.9),
        overlaps=overlaps,
        words=tuple(words),
        next_marks=following,
    )


def _refused(refused: Refused, site: Site, checks: MarkChecks) -> CameraQuality:
    rows = checks.of(refused.camera)
    known = site.camera_index.get(refused.camera)
    words = [refused.reason, refused.next_step]
    if known is not None:
        words.append("the calibration that it had before is left out of all maps here")
    lens = site.cameras[known].lens.model if known is not None else ""
    words = [word for word in words if word]
    return CameraQuality(refused.camera, "refused", lens, (), len(rows), 0, words=tuple(words))


def _state(camera: Camera, suspicious: bool, times: float, over: int, n_marks: int) -> str:
    stated = camera.homography_sigma_px > 0 if camera.is_homography else bool(camera.calib_cov.any())
    if not stated:
        return "no error stated"
    if not n_marks:
        return "kept"
    if suspicious or times > WIDE:
        return "suspicious"
    return "unchecked" if over < FEW_LEFT else "consistent"


def _following(site: Site, camera: Camera, sight: GroundSight, checks: MarkChecks) -> tuple[NextMark, ...]:
    rows = checks.of(camera.name)
    sigma_px = float(np.median(checks.marks.sigma[rows])) if len(rows) else 1.0
    marked = set(checks.marks.point[rows].tolist())
    found = next_mark(camera, sight, site.site_map, marked, sigma_px)
    return tuple(mark for mark in found if mark.sigma_after < WORTH * mark.sigma_before)


def _overlaps(names: tuple[str, ...], shared: np.ndarray, own: int) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-shared, kind="stable")
    return tuple((names[i], float(shared[i])) for i in order.tolist() if i != own and shared[i] >= LEAST_SHARED)


def _centre_sigma(camera: Camera) -> float:
    """Standard deviation (m) of where the camera is, in its worst direction."""
    if camera.is_homography or not camera.calib_cov.any():
        return float("nan")
    # exp(xi) turns about the camera's own centre: its translation alone moves that
    return float(np.sqrt(np.linalg.eigvalsh(camera.calib_cov[3:6, 3:6])[-1]))


def _turn_sigma(camera: Camera) -> float:
    if camera.is_homography or not camera.calib_cov.any():
        return float("nan")
    return float(np.degrees(np.sqrt(np.linalg.eigvalsh(camera.calib_cov[:3, :3])[-1])))


def _rms(vectors: np.ndarray) -> float:
    squared = (vectors**2).sum(axis=1)
    squared = squared[np.isfinite(squared)]
    return float(np.sqrt(squared.mean())) if len(squared) else float("nan")


def _median(vectors: np.ndarray) -> float:
    return _quantile(np.linalg.norm(vectors, axis=1), 0.5)


def _quantile(values: np.ndarray, share: float) -> float:
    values = values[np.isfinite(values)]
    return float(np.quantile(values, share)) if len(values) else float("nan")
