"""MEVA's stills surveyed: the parking lot from above, stalls if its lines carry any, and landmarks of two cameras.

Cameras come from their hand-made marks, in the frame of those (see the recording's README), with the covariance that
the marks leave. The hand-marked landmarks came out of one adjustment with the same marks: how far ours lie from them
is consistency, not accuracy. Pictures go to the folder that GEOLOC_SURVEY_OUT names, and nowhere if it names none.
"""

import os
from collections.abc import Mapping
from itertools import combinations, pairwise
from pathlib import Path

import cv2
import numpy as np
import shapely
from scipy.stats import chi2

from geoloc.calibrate.single import SingleSolution, calibrate_camera
from geoloc.draw.survey_pictures import draw_level, draw_sigma, draw_sources, save_mosaic
from geoloc.estimators.triangulation import TriangulationOptions, triangulate
from geoloc.evaluation.report import Figure
from geoloc.files import read_json
from geoloc.io.meva import GROUND_PROFILE, GROUND_SIGMA_Z
from geoloc.perception.ground_mosaic import MosaicOptions
from geoloc.perception.ground_sheet import SightOptions
from geoloc.perception.stable_features import StableFeatures
from geoloc.perception.survey import Survey, SurveyOptions, survey
from geoloc.scene.camera import Camera
from geoloc.scene.ground_error import level_pixels
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from recordings.figures import Part
from recordings.meva_calibration import LOW_STILLS, read_marks

REACH = 60.0  # m from a camera
AT_MARK = 6.0  # px; a feature this near to a hand-made mark is of the same thing
MARK_SIGMA = 2.0  # px; how well a feature near a mark is at the place that was meant
OUT = "GEOLOC_SURVEY_OUT"


def run(folder: Path) -> list[Figure]:
    """What is seen and found, and how landmarks agree with the hand-made ones."""
    marks, points = read_marks(folder / "calibration")
    stills = {path.stem: path for path in sorted((folder / "calibration" / "frames").glob("*.jpg"))}
    cameras = _cameras(stills, marks, points)
    site = Site("meva stills", tuple(cameras.values()), SiteMap((_ground(folder),)))
    pictures = {name: {name: np.asarray(cv2.imread(str(stills[name])))} for name in cameras}
    sight = SightOptions(reach=REACH, coarsest=0.5)
    found = survey(site, pictures, SurveyOptions(mosaic=MosaicOptions(pixel=0.05, sight=sight)))
    _draw(found, site, pictures)
    part = Part("meva_stills", f"{len(cameras)} stills, one each", 1.0)
    truth = {point.name: np.array(point.xyz) for point in points}
    return [*_layout(part, found), *_landmarks(part, found, marks, truth, cameras)]


def _cameras(stills: Mapping[str, Path], marks: Marks, points) -> dict[str, Camera]:  # type: ignore[no-untyped-def]
    cameras = {}
    for name in stills:
        mine = marks.take(marks.camera == name)
        size = (1920, 1072 if name in LOW_STILLS else 1080)
        solved = calibrate_camera(name, size, mine, points) if len(mine) else None
        if isinstance(solved, SingleSolution):
            cameras[name] = solved.camera
    return cameras


def _ground(folder: Path) -> Level:
    """The recording's ground, which is known in another frame, in that of the marks."""
    other = read_json(folder / "calibration" / "transforms.json")["by_reprojection"]
    turn, shift, scale = np.array(other["R"]), np.array(other["t"]), float(other["scale"])
    new = np.array([[0.0, y, z] for y, z in GROUND_PROFILE])
    old = (new - shift) / scale @ turn
    far = 500.0
    pieces = [(old[0, 1] - far, old[0, 1], 0.0, old[0, 2]), (old[-1, 1], old[-1, 1] + far, 0.0, old[-1, 2])]
    for (_, y0, z0), (_, y1, z1) in pairwise(old.tolist()):
        slope = (z1 - z0) / (y1 - y0)
        pieces.append((y0, y1, slope, z0 - slope * y0))
    surfaces = [Surface((0.0, s, c), shapely.box(-far, y0, far, y1), GROUND_SIGMA_Z) for y0, y1, s, c in pieces]
    return Level("ground", tuple(surfaces))


def _layout(part: Part, found: Survey) -> list[Figure]:
    level = found.levels["ground"]
    laid, proposal = level.mosaic, level.stalls
    known = np.isfinite(laid.sigma)
    said = f"within {REACH:g} m of a camera, a pixel of {laid.pixel:.2f} m"
    lengths = [line.length for line in level.lines if line.kind == "paint"]
    kerbs = [line.length for line in level.lines if line.kind == "kerb"]
    return [
        part.figure("mosaic_seen", laid.seen_m2, "m2", said),
        part.figure("mosaic_sigma_median", float(np.median(laid.sigma[known])), "m", "what the calibrations leave"),
        part.figure("mosaic_footprint_median", float(np.median(laid.footprint[known])), "m", "along the view"),
        part.figure("painted_lines", len(lengths), "", f"{sum(lengths):.0f} m together"),
        part.figure("kerbs", len(kerbs), "", f"{sum(kerbs):.0f} m together"),
        part.figure("stalls_proposed", len(proposal.stalls), "", proposal.refusal or "looked at over the stills"),
    ]


def _landmarks(
    part: Part, found: Survey, marks: Marks, truth: Mapping[str, np.ndarray], cameras: Mapping[str, Camera]
) -> list[Figure]:
    """Points that two cameras show, by matching alone; and those whose features lie at hand-made marks of both."""
    features = {each.camera.name: each for each in found.features}
    pairs = 0
    at_marks: list[tuple[np.ndarray, np.ndarray]] = []
    matched: list[tuple[np.ndarray, np.ndarray]] = []
    near = {name: _at_marks(each, marks.take(marks.camera == name)) for name, each in features.items()}
    for one, other in combinations(features, 2):
        for name in sorted(set(near[one]) & set(near[other])):
            pairs += 1
            at_marks += _placed((one, other), (near[one][name], near[other][name]), features, cameras, truth[name])
    for row in range(len(found.shared)):
        seen = [(found.shared.cameras[c], int(r)) for c, r in enumerate(found.shared.rows[row]) if r >= 0]
        names = set.intersection(*({k for k, v in near[camera].items() if v == r} for camera, r in seen))
        matched += [(found.shared.xyz[row] - truth[name], found.shared.cov[row]) for name in names]
    n_marks = int(sum((marks.camera == name).sum() for name in features))
    hit = sum(len(each) for each in near.values())
    both = sum(len({*marks.point[marks.camera == a]} & {*marks.point[marks.camera == b]})
               for a, b in combinations(features, 2))  # fmt: skip
    return [
        part.figure("marks_with_a_feature", 100 * hit / n_marks, "%", f"within {AT_MARK:g} px; {hit} of {n_marks}"),
        part.figure("shared_points", len(found.shared), "", "features of two cameras that look alike and meet"),
        *_agreement(part, "matched", matched, f"of {both} hand-made pairs"),
        *_agreement(part, "at_marks", at_marks, f"{pairs} of {both} hand-made pairs have a feature in both stills"),
    ]


def _at_marks(each: StableFeatures, marks: Marks) -> dict[str, int]:
    """The feature that is nearest to each mark of a camera, by the mark's point."""
    found = {}
    for point, pixel in zip(marks.point.tolist(), marks.pixel, strict=True):
        off = np.linalg.norm(each.features.pixels - pixel, axis=1)
        if len(off) and off.min() < AT_MARK:
            found[point] = int(off.argmin())
    return found


def _placed(
    names: tuple[str, str], rows: tuple[int, int], features: Mapping[str, StableFeatures],
    cameras: Mapping[str, Camera], truth: np.ndarray,
) -> list[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Where two features are in space, less the landmark, with the covariance of it; nothing where they do not meet."""
    pixels = np.array([[features[name].features.pixels[row] for name, row in zip(names, rows, strict=True)]], float)
    options = TriangulationOptions(robust=False, max_sigma=5.0)
    found = triangulate(pixels, [cameras[name] for name in names], MARK_SIGMA**2 * np.eye(2), options)
    return [] if found.refusal[0] else [(found.xyz[0] - truth, (found.cov + found.bias_cov)[0])]


def _agreement(part: Part, name: str, rows: list[tuple[np.ndarray, np.ndarray]], said: str) -> list[Figure]:
    figures = [part.figure(f"landmarks_{name}", len(rows), "", said)]
    if rows:
        off = np.array([row[0] for row in rows])
        squared = np.array([float(error @ np.linalg.solve(cov, error)) for error, cov in rows])
        far = np.linalg.norm(off, axis=1)
        inside = 100 * float((squared <= chi2.ppf(0.95, 3)).mean())
        said = f"{said}; n {len(rows)}; consistency with the hand-marked ones"
        figures += [
            part.figure(f"landmarks_{name}_median", float(np.median(far)), "m", said),
            part.figure(f"landmarks_{name}_inside_95", inside, "%", f"{said}; 95 expected"),
            part.figure(f"landmarks_{name}_nees", float(squared.mean()), "", f"{said}; 3 expected"),
        ]
    return figures


def _draw(found: Survey, site: Site, pictures: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Pictures to look at, where a folder is named: they hold pixels of the recording and are never kept."""
    if not os.environ.get(OUT):
        return
    out, level = Path(os.environ[OUT]), found.levels["ground"]
    save_mosaic(level.mosaic, out / "mosaic.png")
    draw_level(level, found.things, out / "survey.png")
    draw_sources(level.mosaic, out / "sources.png")
    draw_sigma(level.mosaic, out / "sigma.png")
    for camera in site.cameras:
        still = next(iter(pictures[camera.name].values())).copy()
        for line in level.lines:
            if line.camera == camera.name:
                xy = line.ends[0] + np.linspace(0, 1, 60)[:, None] * (line.ends[1] - line.ends[0])
                pixels = level_pixels(camera, site.site_map.level("ground"), xy)
                colour = (255, 160, 60) if line.kind == "paint" else (200, 120, 255)
                cv2.polylines(still, [np.rint(pixels).astype(np.int32)], False, colour, 3, cv2.LINE_AA)
        cv2.imwrite(str(out / f"{camera.name}.png"), still)
