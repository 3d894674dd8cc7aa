"""Layout from stills on drawn garages, whose stalls are known: how many are found, how far off, how honestly.

Cameras are off by draws from the covariance that they state, as those of a calibrated site are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.evaluation.measures import Blocks, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.geometry.se3 import perturb
from geoloc.metrics.consistency import nees
from geoloc.perception.ground_lines import find_lines
from geoloc.perception.ground_marks import find_marks
from geoloc.perception.ground_mosaic import mosaic_of
from geoloc.perception.ground_sheet import level_sights
from geoloc.perception.stall_grid import ProposedStall, propose_stalls
from geoloc.perception.still_stack import stack_stills
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.synthetic.garage import garage
from geoloc.synthetic.rendering.moment import MomentOptions, draw_moment
from geoloc.synthetic.rendering.picture import take_picture
from geoloc.synthetic.rendering.scene import SceneOptions, build_scene
from geoloc.synthetic.rendering.sensor import PictureOptions
from geoloc.synthetic.rendering.viewpoints import fixed_viewpoints
from recordings.figures import Part

SIZE = (1280, 720)
LEVELS = ("P1", "P2")
N_DRAWS = 2  # of the cameras' errors
PARKED = 0.45
SAME = 0.5  # share of two outlines' union that they have in common if they are one stall
LIKELY = 0.5  # confidence of the proposals that are scored
HOURS = (8, 10, 12, 14, 17)
SETS: dict[str, tuple[Sequence[MomentOptions], PictureOptions]] = {
    "five stills of a day": ([MomentOptions(hour=h, clouds=0.4, parked=PARKED) for h in HOURS], PictureOptions()),
    "one still, low sun": ([MomentOptions(hour=16.5, clouds=0.0, parked=PARKED)], PictureOptions()),
    "one still, rain on the lens": (
        [MomentOptions(hour=11, clouds=1.0, parked=PARKED)], PictureOptions(drops=30, blur_px=1.0, noise=1.5)
    ),
}  # fmt: skip
Stills = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Scored:
    """Of one level: how many stalls there are, are proposed and are right, and of right ones' corners all errors."""

    n_true: int
    n_proposed: int
    n_right: int
    error: np.ndarray  # (M, 2) m
    cov: np.ndarray  # (M, 2, 2) m²
    confidence: np.ndarray  # (P,) of all proposals
    right: np.ndarray  # (P,) bool
    direction: np.ndarray  # (A,) rad, arrows' errors
    tip: np.ndarray  # (A,) m, from the middle of the nearest true arrow


def run() -> list[Figure]:
    """Figures of each set of stills and level."""
    rng = np.random.default_rng(9)
    world = garage()
    scene = build_scene(world.site.site_map, rng, SceneOptions(texel=0.02))
    cameras = tuple(view.camera for view in fixed_viewpoints(world, SIZE))
    site = Site("garage", cameras, world.site.site_map)
    figures = []
    for name, (moments, sensor) in SETS.items():
        stills: dict[str, dict[str, np.ndarray]] = {camera.name: {} for camera in cameras}
        for number, options in enumerate(moments):
            moment = draw_moment(scene, rng, options)
            for camera in cameras:
                stills[camera.name][f"{camera.name} {number}"] = take_picture(moment, camera, rng, sensor)
        figures += measure(name, site, stills, rng)
    return figures


def measure(name: str, site: Site, stills: Stills, rng: np.random.Generator) -> list[Figure]:
    """Figures of one set of stills, over `N_DRAWS` draws of the cameras' errors."""
    figures = []
    for level in LEVELS:
        scored = [score(drawn_off(site, rng), level, stills, site) for _ in range(N_DRAWS)]
        figures += _figures(Part("drawn_survey", f"{name}, level {level}", 1.0), scored)
    return figures


def drawn_off(site: Site, rng: np.random.Generator) -> Site:
    """The site with its cameras' poses off by draws from what they state, and no stalls on its map."""
    cameras = [_off(camera, rng) for camera in site.cameras]
    return replace(site, cameras=tuple(cameras), site_map=replace(site.site_map, stalls=()))


def _off(camera: Camera, rng: np.random.Generator) -> Camera:
    move = rng.multivariate_normal(np.zeros(6), camera.calib_cov)
    return replace(camera, cam_from_world=perturb(camera.cam_from_world, move))


def score(site: Site, level: str, stills: Stills, true: Site) -> Scored:
    """Propose stalls on a level, and hold them to the true ones."""
    stacks = {}
    for camera in site.cameras:
        stack, _ = stack_stills(camera, stills[camera.name])
        if stack is not None:
            stacks[camera.name] = stack
    sights = level_sights(site, tuple(stacks))[level]
    lines = [line for s in sights for line in find_lines(s, stacks[s.camera.name], site.site_map.level(level))]
    arrows, _ = find_marks(mosaic_of(site, level, sights, stacks))
    found = propose_stalls(site, level, lines, arrows=arrows).stalls
    truth = {stall.name: stall.polygon for stall in true.site_map.stalls if stall.level == level}
    n_true, right, errors, covs = len(truth), [], [np.zeros((0, 2))], [np.zeros((0, 2, 2))]
    for stall in sorted(found, key=lambda each: -each.confidence):
        match = next((k for k, polygon in truth.items() if _share(stall, polygon) > SAME), "")
        right.append(bool(match))
        if match and stall.confidence >= LIKELY:
            corners = np.array(truth[match].exterior.coords)[:4]
            nearest = np.linalg.norm(stall.corners[:, None] - corners, axis=2).argmin(axis=1)
            errors.append(stall.corners - corners[nearest])
            covs.append(stall.corner_cov)
        truth.pop(match, None)
    confidence = np.array(sorted((stall.confidence for stall in found), reverse=True))
    likely = confidence >= LIKELY
    lanes = [zone for zone in true.site_map.zones if zone.level == level and np.isfinite(zone.direction)]
    turned, aside = [], []
    for arrow in arrows:
        lane = min(lanes, key=lambda zone: zone.polygon.distance(_point(arrow.middle)))
        turned.append((arrow.direction - lane.direction + np.pi) % (2 * np.pi) - np.pi)
        way = np.array([-np.sin(lane.direction), np.cos(lane.direction)])
        aside.append(abs(float((arrow.middle - np.array(lane.polygon.centroid.coords[0])) @ way)))
    hit = np.array(right, bool)
    return Scored(n_true, int(likely.sum()), int(hit[likely].sum()), np.concatenate(errors), np.concatenate(covs),
                  confidence, hit, np.array(turned), np.array(aside))  # fmt: skip


def _point(xy: np.ndarray):  # type: ignore[no-untyped-def]
    from shapely import Point

    return Point(xy)


def _share(stall: ProposedStall, polygon) -> float:  # type: ignore[no-untyped-def]
    own = stall.place.polygon
    return float(own.intersection(polygon).area / own.union(polygon).area)


def _figures(part: Part, scored: Sequence[Scored]) -> list[Figure]:
    said = f"confidence >= {LIKELY:g}, outlines share {SAME:g} of their union; {len(scored)} draws of cameras' errors"
    n_true, n_proposed = (sum(getattr(each, name) for each in scored) for name in ("n_true", "n_proposed"))
    n_right = sum(each.n_right for each in scored)
    precision = 100 * n_right / n_proposed if n_proposed else np.nan
    figures = [
        part.figure("stall_recall", 100 * n_right / n_true, "%", f"{said}; n {n_true}"),
        part.figure("stall_precision", precision, "%", f"{said}; n {n_proposed}"),
    ]
    errors = np.concatenate([each.error for each in scored])
    if len(errors):
        blocks = Blocks(np.arange(len(errors)) // 4, len(errors) // 4)
        far = np.linalg.norm(errors, axis=1)
        honest = nees(errors, np.concatenate([each.cov for each in scored]))
        said = f"of right ones' corners; n {len(errors)}"
        figures += [
            part.measured(of_quantile("corner_error_median", "m", said, far, blocks), "stalls"),
            part.figure("corner_error_p95", float(np.quantile(far, 0.95)), "m", said),
            part.measured(of_mean("corner_nees", "", f"{said}; 2 expected", honest, blocks), "stalls"),
            part.measured(of_mean("corner_coverage_95", "%", said, honest <= 5.9915, blocks, 100), "stalls"),
        ]
    turned = np.concatenate([each.direction for each in scored])
    if len(turned):
        said = f"n {len(turned)}; direction right within 10 degrees"
        right = np.abs(turned) < np.radians(10)
        figures.append(part.figure("arrows_right", 100 * float(right.mean()), "%", said))
        aside = np.concatenate([each.tip for each in scored])[right]
        if len(aside):
            said = f"{said}; from its lane's middle"
            figures.append(part.figure("arrow_aside_median", float(np.median(aside)), "m", said))
    return figures
