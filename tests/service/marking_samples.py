"""The garage with stills that its true cameras would take of its lines, and a plain pose fit."""

from pathlib import Path

import numpy as np
from outside import opencv
from scipy.optimize import least_squares

from geoloc.calibrate.solution import Refused, Solution
from geoloc.geometry.se3 import perturb
from geoloc.scene.camera import Camera
from geoloc.scene.known import ImageLines
from geoloc.scene.site import Site
from geoloc.service.marking_data import still_lines
from geoloc.service.marking_state import NextMark, Verdict
from geoloc.synthetic.garage import garage


def garage_site() -> Site:
    return garage().site


def draw_still(camera: Camera, site: Site, path: Path) -> None:
    """The map's lines and control points as `camera` sees them, on grey."""
    cv2 = opencv()
    width, height = camera.size
    image = np.full((height, width, 3), 92, np.uint8)
    for level, colour in zip(site.site_map.levels, ((225, 225, 225), (205, 190, 165)), strict=False):
        for flat in still_lines(camera, site.site_map, level):
            corners = np.rint(np.array(flat).reshape(-1, 1, 2)).astype(np.int32)
            cv2.polylines(image, [corners], False, colour, 2, cv2.LINE_AA)
    for u, v in true_pixels(camera, site).values():
        cv2.drawMarker(image, (round(u), round(v)), (60, 200, 250), cv2.MARKER_CROSS, 18, 2)
    cv2.imwrite(str(path), image)


def true_pixels(camera: Camera, site: Site) -> dict[str, tuple[float, float]]:
    """Where a camera sees the control points that lie in its image."""
    points = site.site_map.control_points
    pixels = camera.project(np.array([point.xyz for point in points]))
    seen = camera.inside(pixels) & np.isfinite(pixels).all(axis=1)
    return {point.name: tuple(at) for point, at, good in zip(points, pixels.tolist(), seen, strict=True) if good}


def pose_fit(site: Site):
    """A `Solve` that refines the pose of each camera, lens known, from where it is off by a metre."""

    def solve(question):
        name, marks, points = question.camera, question.marks, question.points
        true = site.camera(name)
        xyz = {point.name: point.xyz for point in points}
        known = marks.take(np.array([mark in xyz for mark in marks.point.tolist()], dtype=bool))
        residual, used = np.full((len(marks), 2), np.nan), np.ones(len(marks), dtype=bool)
        if len(known) < 4:
            refused = Refused(name, f"{len(known)} marks are too few.", f"Mark {4 - len(known)} more.")
            return Verdict(Solution((), marks, residual, used, points, (refused,)))
        places = np.array([xyz[mark] for mark in known.point.tolist()])
        start = perturb(true.cam_from_world, np.array([0.01, -0.02, 0.01, 0.5, 0.3, -0.4]))

        def misses(motion):
            camera = Camera(name, true.lens, true.size, perturb(start, motion))
            return np.nan_to_num(camera.project(places) - known.pixel, nan=1e3).ravel()

        fit = least_squares(misses, np.zeros(6), loss="soft_l1", x_scale=[0.01] * 3 + [1.0] * 3)
        cov = np.linalg.pinv(fit.jac.T @ fit.jac)
        found = Camera(name, true.lens, true.size, perturb(start, fit.x), 0.5 * (cov + cov.T))
        at = np.array([xyz.get(mark, (np.nan,) * 3) for mark in marks.point.tolist()]).reshape(-1, 3)
        residual = marks.pixel - found.project(at)
        used = ~(np.linalg.norm(residual, axis=1) > 20)
        following = _next(true, site, set(marks.point.tolist()))
        return Verdict(Solution((found,), marks, residual, used, points), next_mark=following)

    return solve


def _next(camera, site, marked):
    for name, pixel in true_pixels(camera, site).items():
        if name not in marked:
            point = next(point for point in site.site_map.control_points if point.name == name)
            return NextMark(pixel, point.xyz, name, f"Mark {name} next: it halves the error at the far end.")
    return None


def plumb_lines(camera: Camera, places: tuple[tuple[float, float, float], ...], height: float = 2.0) -> ImageLines:
    """True plumb lines over places on the ground, as a camera sees them."""
    feet = np.array(places, float)
    start, end = camera.project(feet), camera.project(feet + np.array([0.0, 0.0, height]))
    n = len(feet)
    return ImageLines(camera=[camera.name] * n, kind=["plumb"] * n, start=start, end=end)
