"""What lines and a known height say of one camera, in words: what they carry, and which of them are wrong."""

from dataclasses import replace

import numpy as np

from geoloc.calibrate.line_words import in_degrees, wrong_line
from geoloc.estimators.camera_choice import Choice
from geoloc.estimators.camera_fit import Fits, MarkedPoints, covariance_of, information, linearise_fits
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.estimators.seen_lines import HORIZON, PLUMB
from geoloc.scene.camera import Camera
from geoloc.scene.known import KnownCamera
from geoloc.scene.sitemap import Level

DISPROVED = 15.1  # squared sigmas, of which a true height exceeds it once in 10,000


def words_on_lines(
    choice: Choice, marked: MarkedPoints, prior: CameraPrior, directions: tuple[str, ...]
) -> tuple[str, ...]:
    """What the lines that count carry, and which do not; `directions` are the names of their groups."""
    lines, counts = marked.lines, choice.fit.line_weight[0] > 0
    if not len(lines):
        return ()
    told = [_carried(choice, marked, prior)] if lines.kept(counts).freedom else []
    return (*told, *(wrong_line(lines, row, directions) for row in np.flatnonzero(~counts).tolist()))


def disproved_height(camera: Camera, tall: KnownCamera, level: Level) -> str:
    """Says by how much a camera that was placed without its measured height contradicts it, or nothing."""
    centre = camera.centre_world
    surface = level.under(centre[:2])
    normal = np.array([-surface.plane[0], -surface.plane[1], 1.0])
    height = float(normal @ centre - surface.plane[2])
    sigma = float(np.sqrt(normal @ centre_cov(camera) @ normal))
    spread = float(np.hypot(sigma, np.hypot(tall.height_sigma, surface.sigma_z)))
    if (height - tall.height) ** 2 <= DISPROVED * spread**2:
        return ""
    feet = " (feet?)" if abs(height / (0.3048 * tall.height) - 1) < 0.1 else ""
    return (
        f"its height of {tall.height:.2f} m{feet} is wrong and was left out: its marks put it "
        f"{height:.2f} m (one sigma {sigma:.2f}) over the ground"
    )


def words_on_height(camera: Camera, without: Camera) -> str:
    """What a known height adds to the camera's place."""
    up = np.array([0.0, 0.0, 1.0])
    before, after = (float(np.sqrt(up @ centre_cov(one) @ up)) for one in (without, camera))
    return f"its known height counts: without it, it would be known to {before:.2f} m, with it to {after:.2f} m"


def centre_cov(camera: Camera) -> np.ndarray:
    """Covariance (3, 3) m² of a camera's place."""
    turn = camera.cam_from_world.rotation.as_matrix()
    # centre = -R' t moves by -R' v under a translation v of exp(xi), and not at all under a rotation about it
    return np.asarray(turn.T @ camera.calib_cov[3:6, 3:6] @ turn)


def line_chi2(choice: Choice, marked: MarkedPoints, prior: CameraPrior) -> float:
    """Sum of squares of the lines that count, at their stated sigmas."""
    if not len(marked.lines):
        return 0.0
    rows = linearise_fits(choice.fit, marked, prior).lines
    return float((rows.residual[0] ** 2 * (choice.fit.line_weight[0, rows.lines.row_statement] > 0)).sum())


def _carried(choice: Choice, marked: MarkedPoints, prior: CameraPrior) -> str:
    fit = choice.fit
    counts = fit.line_weight[0] > 0
    without = replace(fit, line_weight=np.zeros_like(fit.line_weight))
    (up, focal), (up_before, focal_before) = (_up_and_focal(one, marked, prior) for one in (fit, without))
    lines = marked.lines
    n = [int((counts[: len(lines)] & own).sum()) for own in (lines.group == PLUMB, lines.group >= 0)]
    seen = [f"{n[0]} plumb"] * (n[0] > 0) + [f"{n[1]} parallel"] * (n[1] > 0)
    seen += ["the horizon"] * bool((counts[: len(lines)] & (lines.group == HORIZON)).any())
    said = f"lines count ({', '.join(seen)}): the vertical is known to {_deg(up)}, without them to {_deg(up_before)}"
    if fit.free[0, 0]:
        said += f"; the focal length to {_percent(focal)}, without them to {_percent(focal_before)}"
    return said


def _up_and_focal(fit: Fits, marked: MarkedPoints, prior: CameraPrior) -> tuple[float, float]:
    """Standard deviations of the vertical in the camera (rad) and of the focal length (share)."""
    marks, known = information(fit, linearise_fits(fit, marked, prior))
    cov = covariance_of(marks[0], known[0], fit.free[0])
    up = fit.rotation[0, :, 2]
    across = np.cross(np.eye(3), up)
    turned = across @ cov[:3, :3] @ across.T
    focal = float(fit.params[0, :2].mean())
    return float(np.sqrt(np.linalg.eigvalsh(turned)[-1])), float(np.sqrt(cov[6, 6])) / focal


def _deg(angle: float) -> str:
    return in_degrees(angle, 2) if angle < 0.5 else "no better than by guessing"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
