"""Calibration of drawn cameras and sites, whose truth is known: honest, robust, and refused where it must be.

No recording is needed. Each site is drawn for itself, so that its errors are independent of the others'.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.calibrate.joint import JointSolution, calibrate_jointly
from geoloc.calibrate.single import SingleSolution, calibrate_camera
from geoloc.calibrate.single_case import SingleOptions
from geoloc.calibrate.solution import Refused
from geoloc.evaluation.measures import Blocks, of_counts, of_mean
from geoloc.evaluation.report import Figure
from geoloc.metrics.consistency import consistency, nees
from geoloc.pipeline.projection import project_to_ground
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Detections
from geoloc.synthetic.drawn_cameras import (
    COLLINEAR,
    HARD,
    POINT_SIGMA,
    SIZE,
    DrawnCamera,
    Hardness,
    calib_error,
    draw_camera,
    draw_hard_camera,
    untied,
)
from geoloc.synthetic.drawn_sites import DrawnSite, draw_site

RECORDING = "drawn_calibration"
N_SITES, N_WRONG, N_HOPELESS, N_HARD = 200, 30, 20, 16
WORST = 35.0  # squared distance of a pose from its truth, of 6 expected: an honest one exceeds it once in 200,000
HONEST = 0.99
TARGET = np.array([2.0, -3.0, 0.0])  # m, in the middle of a drawn site
OVER = "bootstrap over sites"


@dataclass(frozen=True, eq=False)
class Sample:
    """An error (d,) and its covariance (d, d)."""

    error: np.ndarray
    cov: np.ndarray

    @property
    def distance2(self) -> float:
        """Squared Mahalanobis distance."""
        return float(nees(self.error[None], self.cov[None])[0])


def run() -> list[Figure]:
    """Consistency alone and together, survived outliers, refused sets, wrong poses called good."""
    return [*_alone(), *_together(), *_outliers(), *_hopeless(), *_hard()]


def _alone() -> list[Figure]:
    """Cameras from their own marks alone."""
    poses, grounds = [], []
    for i in range(N_SITES):
        rng = np.random.default_rng([1, i])
        site = draw_camera(rng, int(rng.integers(8, 25)))
        found = _calibrated(site, SingleOptions(sigma_known=True))
        if isinstance(found, SingleSolution):
            poses.append(pose_sample(found.camera, site.camera))
            lowest = site.truth[np.argmin(site.truth[:, 2])] * [1, 1, 0]
            grounds.append(ground_sample(found.camera, site.camera, lowest, SiteMap()))
    said = f"each from 8 to 24 marks alone, lens unknown; {N_SITES - len(poses)} of {N_SITES} refused"
    part = f"{N_SITES} cameras alone"
    return [
        nees_figure(part, "nees_pose", poses, said),
        nees_figure(part, "nees_ground", grounds, f"{said}; the ground under the lowest mark, as the engine finds it"),
    ]


def _together() -> list[Figure]:
    """Sites of four cameras in one adjustment; one camera and one point a site, for those of one site err together."""
    samples: dict[str, list[Sample]] = {"pose": [], "tie_point": [], "control_point": [], "ground": []}
    for i in range(N_SITES):
        site = draw_site(np.random.default_rng([2, i]), n_cameras=4, n_points=30)
        found = _adjusted(site)
        controls = {point.name for point in site.site_map.control_points}
        for name, wanted in (("tie_point", False), ("control_point", True)):
            point = next(point for point in found.solution.points if (point.name in controls) == wanted)
            samples[name].append(Sample(np.array(point.xyz) - site.xyz(point.name), found.point_cov(point.name)))
        cameras = {camera.name: camera for camera in found.solution.cameras}
        if "c0" in cameras:
            samples["pose"].append(lens_sample(cameras["c0"], site.true["c0"]))
        if "c1" in cameras:
            samples["ground"].append(ground_sample(cameras["c1"], site.true["c1"], TARGET, site.site_map))
    said = "4 cameras, 30 points, 10 of them control points; pose with f and k1; one of each kind a site"
    return [nees_figure(f"{N_SITES} sites together", f"nees_{name}", kind, said) for name, kind in samples.items()]


def _outliers() -> list[Figure]:
    """One mark in five lies anywhere in its still."""
    alone, together = [], []
    for i in range(N_WRONG):
        site = draw_hard_camera(np.random.default_rng([3, i]), HARD["20 % wrong marks"])
        alone.append(_solved_rightly(_calibrated(site), site))
    for i in range(N_WRONG // 2):
        drawn = draw_site(np.random.default_rng([4, i]), share=0.2)
        cameras = {camera.name: camera for camera in _adjusted(drawn).solution.cameras}
        near = [name in cameras and lens_sample(cameras[name], drawn.true[name]).distance2 < WORST
                for name in drawn.true]  # fmt: skip
        together.append(near)
    said = f"one mark in five anywhere in its still; solved, and within a squared distance of {WORST:g} of the truth"
    shares = {"alone": np.array(alone)[:, None], "together": np.array(together)}
    return [_share(f"{solved.size} cameras {how}", "outliers_survived", solved, said) for how, solved in shares.items()]


def _hopeless() -> list[Figure]:
    """Maps that are mirrored, and marks at points of one line."""
    spoilt: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mirrored": lambda xyz: xyz * [-1, 1, 1],
        "swapped": lambda xyz: xyz[:, [1, 0, 2]],
    }
    part, said = f"{N_HOPELESS} sets", "marks of a camera alone, half of the sets at points of one plane"
    figures = []
    for name, change in spoilt.items():
        sites = (draw_camera(np.random.default_rng([5, i]), 8 + i % 17, flat=i % 2 == 0) for i in range(N_HOPELESS))
        figures.append(_share(part, f"{name}_refused", _refused(_with_points(site, change) for site in sites), said))
    line = [draw_hard_camera(np.random.default_rng([7, i]), COLLINEAR) for i in range(N_HOPELESS)]
    said = f"marks of a camera alone at points of one line, surveyed to {POINT_SIGMA} m"
    figures.append(_share(part, "collinear_refused", _refused(line), said))
    said += ", one of them stated 5 m off it"
    typos = (_with_points(site, lambda xyz: xyz + 5.0 * np.eye(len(xyz), 1) * _across(xyz)) for site in line)
    return [*figures, _share(part, "collinear_with_typo_refused", _refused(typos), said)]


def _across(xyz: np.ndarray) -> np.ndarray:
    """The level direction (3,) across the line on which points (N, 3) lie."""
    along = np.linalg.svd(xyz - xyz.mean(axis=0))[2][0]
    return np.array([-along[1], along[0], 0.0])


def _refused(sites: Iterable[DrawnCamera]) -> np.ndarray:
    """Which sites (N, 1) bool are refused."""
    return np.array([[isinstance(_calibrated(site), Refused)] for site in sites])


def _hard() -> list[Figure]:
    """Cameras of every kind of hardness: those called good are, and those that could be solved are not refused."""
    figures, wrong = [], []
    for number, (name, hard) in enumerate(HARD.items()):
        found = [_hard_distance2(hard, [6, number, i]) for i in range(N_HARD)]
        refused = np.isnan(found)
        wrong.append(np.array(found) > WORST)  # false for NaN
        said = f"{N_HARD} cameras drawn hard to calibrate"
        figures.append(_share(name, "refused", refused[:, None], said))
    said = f"of {N_HARD} cameras of each of {len(HARD)} kinds; squared distance from the truth over {WORST:g}"
    counts = np.concatenate(wrong).astype(float)[:, None]
    blocks = Blocks(np.arange(len(counts)), len(counts))
    count = of_counts("wrong_poses_called_good", "", said, counts, blocks, lambda n: n[..., 0])
    return [*figures, count.figure(RECORDING, "every kind of hardness", OVER)]


def _hard_distance2(hard: Hardness, seed: list[int]) -> float:
    """Squared distance of the pose found from the true one; NaN where it was refused."""
    site = draw_hard_camera(np.random.default_rng(seed), hard)
    found = _calibrated(site)
    return float("nan") if isinstance(found, Refused) else pose_sample(found.camera, site.camera).distance2


def _calibrated(site: DrawnCamera, options: SingleOptions | None = None) -> SingleSolution | Refused:
    return calibrate_camera("cam", SIZE, site.marks, site.points, options)


def _adjusted(site: DrawnSite) -> JointSolution:
    return calibrate_jointly(site.marks, site.site_map, site.starts, free=site.free)


def _solved_rightly(found: SingleSolution | Refused, site: DrawnCamera) -> bool:
    return isinstance(found, SingleSolution) and pose_sample(found.camera, site.camera).distance2 < WORST


def _with_points(site: DrawnCamera, change: Callable[[np.ndarray], np.ndarray]) -> DrawnCamera:
    xyz = change(np.array([point.xyz for point in site.points]))
    points = tuple(replace(point, xyz=tuple(row)) for point, row in zip(site.points, xyz.tolist(), strict=True))
    return replace(site, points=points)


def pose_sample(found: Camera, true: Camera) -> Sample:
    """The error of a camera's pose (6,)."""
    return Sample(calib_error(found, true)[:6], found.calib_cov[:6, :6])


def lens_sample(found: Camera, true: Camera) -> Sample:
    """The error of a camera's pose together with its freed lens parameters, fx and fy as one."""
    keep = untied(found)
    return Sample(calib_error(found, true)[keep], found.calib_cov[np.ix_(keep, keep)])


def ground_sample(found: Camera, true: Camera, place: np.ndarray, site_map: SiteMap) -> Sample:
    """The error (2,) m of the ground point at `place` (3,) m, seen without noise and found as the engine finds it."""
    foot = true.project(place[None])
    box = np.column_stack([foot - np.array([5, 20]), foot + np.array([5, 0])])
    seen = Detections(time=[0.0], camera=[found.name], box=box, foot=foot, foot_cov=1e-6 * np.eye(2)[None])
    points = project_to_ground(seen, Site("drawn", (found,), site_map))[0]
    return Sample(points.xy[0] - place[:2], points.cov[0] + points.bias_cov[0])


def nees_figure(part: str, name: str, samples: Sequence[Sample], said: str) -> Figure:
    """Mean NEES of independent samples beside the interval that honest covariances would put it in."""
    values = np.array([sample.distance2 for sample in samples])
    found = consistency(values, len(samples[0].error), HONEST)
    verdict = "inside" if found.consistent else "outside"
    said = (
        f"{said}; n {found.n}, {found.dof} expected; {verdict} the {100 * HONEST:.0f} % interval of honest "
        f"covariances, {found.low:.2f} to {found.high:.2f}"
    )
    blocks = Blocks(np.arange(found.n), found.n)
    return of_mean(name, "", said, values, blocks).figure(RECORDING, part, OVER)


def _share(part: str, name: str, happened: np.ndarray, said: str) -> Figure:
    """Share in per cent of what `happened` (sites, K)."""
    block = np.repeat(np.arange(len(happened)), happened.shape[1])
    measure = of_mean(name, "%", said, happened.reshape(-1).astype(float), Blocks(block, len(happened)), 100)
    return measure.figure(RECORDING, part, OVER)
