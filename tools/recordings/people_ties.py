"""People seen by several cameras at one time as tie points: what they add to a few marks, on time that is held out.

The recordings have no marks: those of each draw are made on the published cameras, the boxes are the recordings' own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from geoloc.calibrate.site import CalibrationOptions, calibrate_site
from geoloc.cli.tie_finding import finder
from geoloc.evaluation.report import Figure
from geoloc.io.multiviewx import read_multiviewx, read_multiviewx_truth
from geoloc.io.wildtrack import read_wildtrack, read_wildtrack_truth
from geoloc.pipeline.projection import project_to_ground
from geoloc.scene.camera import Camera
from geoloc.scene.known import Distances, ImageLines, Known
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint
from geoloc.scene.tables import Detections
from recordings.figures import Part, median_figure

N_DRAWS = 3
N_MARKS, MARK_SIGMA = 7, 3.0  # of each camera; px
POINT_SIGMA = 0.02  # m, of the marked points
HIGHEST = 2.5  # m; a third of the marked points stand over the ground
NEAR, ALONE = 1.0, 1.2  # m; a box belongs to a person this near who has nobody else this near
SAME_TIME = 0.05  # s
NOTHING = Known(Distances(), ImageLines())
PROTOCOL = (
    f"{N_DRAWS} draws of {N_MARKS} marks a camera ({MARK_SIGMA:g} px) made on the published cameras; ties from the "
    f"first half of the frames, figures from the second; boxes of people who stand {ALONE:g} m from any other"
)


@dataclass(frozen=True, eq=False)
class Truth:
    """True places (N, 2) m of people at times (N,) s."""

    time: np.ndarray
    xy: np.ndarray


@dataclass(frozen=True, eq=False)
class Held:
    """On held-out time: errors (N,) m of single boxes' feet, and how far apart (M,) m two cameras put one person."""

    error: np.ndarray
    error_time: np.ndarray
    apart: np.ndarray
    apart_time: np.ndarray


def run_wildtrack(folder: Path) -> list[Figure]:
    """On a plaza: real boxes of 7 cameras."""
    site, detections = read_wildtrack(folder)
    truth = read_wildtrack_truth(folder)
    area = next(zone.polygon for zone in site.site_map.zones if zone.kind == "area_of_interest")
    return _figures("wildtrack", 1.0, site, detections, Truth(truth.time, truth.xy), area)


def run_multiviewx(folder: Path) -> list[Figure]:
    """On a rendered square of 25 x 16 m: boxes of 6 cameras, 5 frames."""
    site, detections = read_multiviewx(folder)
    truth = read_multiviewx_truth(folder)
    return _figures("multiviewx", 0.5, site, detections, Truth(truth.time, truth.xy), shapely.box(0, 0, 25, 16))


def _figures(
    name: str, block_s: float, site: Site, detections: Detections, truth: Truth, area: shapely.Polygon
) -> list[Figure]:
    times = np.unique(detections.time)
    early = np.isin(detections.time, times[: len(times) // 2])
    ties, late = detections.take(early), detections.take(~early)
    found: dict[str, list[Held]] = {"": [], "_marks_alone": []}
    for seed in range(N_DRAWS):
        drawn, marks = draw_marks(site, area, np.random.default_rng(seed))
        sizes = {camera.name: camera.size for camera in site.cameras}
        options = CalibrationOptions()
        for suffix, people in (("", ties), ("_marks_alone", None)):
            find = finder(drawn, {}, people, options.ties)
            solved = calibrate_site(sizes, marks, drawn.site_map, NOTHING, options, find_ties=find)
            found[suffix].append(held_out(site, solved.cameras, late, truth))
    found["_published_cameras"] = [held_out(site, site.cameras, late, truth)]
    part = Part(name, f"{len(site.cameras)} cameras, second half of {len(times)} frames", block_s)
    return [figure for suffix, parts in found.items() for figure in _medians(part, suffix, parts)]


def _medians(part: Part, suffix: str, parts: Iterable[Held]) -> list[Figure]:
    parts = list(parts)
    error, error_time, apart, apart_time = (
        np.concatenate([getattr(one, column) for one in parts])
        for column in ("error", "error_time", "apart", "apart_time")
    )
    return [
        median_figure(part, f"tied_foot_error_median_m{suffix}", error, error_time, PROTOCOL),
        median_figure(part, f"tied_cameras_apart_median_m{suffix}", apart, apart_time, PROTOCOL),
    ]


def draw_marks(site: Site, area: shapely.Polygon, rng: np.random.Generator) -> tuple[Site, Marks]:
    """The site with surveyed points, and marks of some of them in each camera."""
    x0, y0, x1, y1 = area.bounds
    xyz = np.column_stack([rng.uniform(x0, x1, 400), rng.uniform(y0, y1, 400), rng.uniform(0, HIGHEST, 400)])
    xyz[np.arange(400) % 3 > 0, 2] = 0.0
    names = np.array([f"point {i}" for i in range(len(xyz))])
    tables = []
    for camera in site.cameras:
        pixel = camera.project(xyz)
        seen = np.isfinite(pixel).all(axis=1)
        seen[seen] = camera.inside(pixel[seen])
        rows = rng.permutation(np.flatnonzero(seen))[:N_MARKS]
        noisy = pixel[rows] + rng.normal(0, MARK_SIGMA, (len(rows), 2))
        sigma = np.full(len(rows), MARK_SIGMA)
        tables.append(Marks(camera=np.full(len(rows), camera.name), point=names[rows], pixel=noisy, sigma=sigma))
    pairs = zip(names.tolist(), xyz.tolist(), strict=True)
    points = tuple(ControlPoint(name, tuple(at), (POINT_SIGMA,) * 3) for name, at in pairs)
    drawn = Site(site.name, site.cameras, replace(site.site_map, control_points=points))
    return drawn, Marks.concat(tables)


def held_out(site: Site, cameras: tuple[Camera, ...], detections: Detections, truth: Truth) -> Held:
    """How far the boxes' feet lie from the people, and from each other's of one person."""
    points, _ = project_to_ground(detections, site.with_cameras(cameras))
    rows: dict[str, list[float]] = {"error": [], "error_time": [], "apart": [], "apart_time": []}
    for time in np.unique(points.time).tolist():
        now = points.take(points.time == time)
        people = truth.xy[np.abs(truth.time - time) < SAME_TIME]
        between = np.linalg.norm(people[:, None] - people[None], axis=2) + np.diag(np.full(len(people), np.inf))
        for person in people[between.min(axis=1, initial=np.inf) > ALONE]:
            distance = np.linalg.norm(now.xy - person, axis=1)
            mine = np.flatnonzero(distance < NEAR)
            rows["error"] += distance[mine].tolist()
            first, second = np.triu_indices(len(mine), 1)
            other = now.camera[mine[first]] != now.camera[mine[second]]
            gap = np.linalg.norm(now.xy[mine[first]] - now.xy[mine[second]], axis=1)[other]
            rows["apart"] += gap.tolist()
            rows["error_time"] += [time] * len(mine)
            rows["apart_time"] += [time] * len(gap)
    return Held(**{name: np.array(values) for name, values in rows.items()})
