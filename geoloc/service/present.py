"""What marks say of a camera as it is calibrated at present, without calibrating it anew."""

import numpy as np

from geoloc.calibrate.solution import Refused, Solution
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint
from geoloc.service.marking import Solve, Verdict


def present_residuals(site: Site) -> Solve:
    """A `Solve` that holds marks against the site's cameras as they stand; cameras without a pose are refused."""

    def solve(camera: str, size: tuple[int, int], marks: Marks, points: tuple[ControlPoint, ...]) -> Verdict:
        known = next((known for known in site.cameras if known.name == camera), None)
        unknown = np.full((len(marks), 2), np.nan)
        used = np.ones(len(marks), dtype=bool)
        if known is None or known.is_homography or tuple(known.size) != tuple(size):
            why = "is not calibrated yet" if known is None else "has no pose for stills of this size"
            following = "Mark at least 6 points all over the still, then calibrate it."
            refused = Refused(camera, f"{camera} {why}.", following)
            return Verdict(Solution((), marks, unknown, used, points, (refused,)))
        places = {point.name: point.xyz for point in points}
        xyz = np.array([places.get(name, (np.nan,) * 3) for name in marks.point.tolist()], float).reshape(-1, 3)
        residual = marks.pixel - known.project(xyz)
        note = "Residuals are of the calibration as it stands."
        return Verdict(Solution((known,), marks, residual, used, points, notes=(note,)))

    return solve
