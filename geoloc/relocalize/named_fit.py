"""The poses that marks of named landmarks could have: each with its lens, its covariance, and its evidence.

The evidence of a pose is the probability of the marks under it, its unknowns integrated out by Laplace's method, over
that of marks anywhere in the image.
"""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.estimators.camera_choice import STRONG, Choice, choose, fit_choices
from geoloc.estimators.camera_fit import MarkedPoints, camera_of, linearise_fits
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.estimators.camera_search import OUTLIER, find_minima, without_outliers
from geoloc.options import check_range
from geoloc.relocalize.pose_knowledge import Knowledge, down_odds, known_camera
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Lens, RadialTangential
from geoloc.scene.sitemap import SiteMap

UNKNOWN_LENS = (("f",), ("f", "k1", "k2"), ("f", "cx", "cy", "k1", "k2"))
FISHEYE_WIDTHS = 0.4  # focal length in image widths
FEWEST = 3
WRONG = 0.05  # probability that a mark is at another point than it says
REACH, LEAST_EXTENT = 4.0, 10.0  # extents of the marked points (m) within which the camera is expected


@dataclass(frozen=True)
class NamedPoseOptions:
    """How an image is placed by named landmarks, and when the answer is that it cannot be."""

    sigma_known: bool = False  # stated sigmas of marks are exact, errors Gaussian; else their scale is estimated
    focal_widths: float = 1.2  # focal length expected of an unknown lens, in image widths
    focal_log_sigma: float = 1.0  # of its logarithm
    centre_sigma: float = 0.02  # of the principal point from the image's middle, in image widths
    k1_sigma: float = 0.3
    k2_sigma: float = 0.1  # of k2 from k1 squared
    fisheye: bool = True  # an unknown lens may be a fisheye
    max_wrong: float = 0.34  # share of wrong marks above which the rest is not believed either
    max_misfit: float = 5.0  # errors so many times the stated sigmas are refused
    max_spread: float = 0.2  # sigma of the position over its distance to the marks
    max_sigma: float = 10.0  # m; a position whose worst standard deviation is larger: refused
    min_probability: float = 0.99  # of the best hypothesis; below it: refused

    def __post_init__(self) -> None:
        positive = (1e-6, 100.0)
        check_range(
            self, focal_widths=positive, focal_log_sigma=positive, centre_sigma=positive, k1_sigma=positive,
            k2_sigma=positive, max_spread=positive, max_sigma=(1e-6, 1e9), max_wrong=(0.0, 0.49),
            max_misfit=(1.0, 1000.0), min_probability=(0.5, 1.0),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """One image to be placed: its marks ready to be fitted, and what is known of it."""

    size: tuple[int, int]
    marked: MarkedPoints
    lens: Lens | None
    known: Knowledge
    options: NamedPoseOptions
    site_map: SiteMap | None

    @property
    def besides(self) -> int:
        """How many unknowns are carried by what is no mark."""
        lines = min(self.marked.lines.freedom, 3 - (self.lens is not None))
        down = 2 * bool(np.isfinite(self.known.down_sigma))
        return max(lines, down) + bool(np.isfinite(self.known.plane_sigma))

    @property
    def frees(self) -> list[tuple[str, ...]]:
        """The lens unknowns that may be freed, the fewest first."""
        return [()] if self.lens is not None else list(UNKNOWN_LENS)


@dataclass(frozen=True, eq=False)
class Found:
    """A pose that the marks could have: `camera` as known, how much likelier than chance, or what is wrong with it."""

    choice: Choice
    camera: Camera
    log_odds: float
    fault: str = ""


def _priors(case: Case) -> dict[type[Lens], CameraPrior]:
    """What is known of lens and place before any mark, by the kind of lens."""
    width, options = case.size[0], case.options
    sigma = options.centre_sigma * width
    if case.lens is not None:
        params = np.concatenate([case.lens.params, np.zeros(2)])
        focal, centre = float(params[:2].mean()), (float(params[2]), float(params[3]))
        return {type(case.lens): case.known.prior(
            CameraPrior(focal, 0.1, centre, sigma, params[4], 0.1, False, params[5], 0.1))}  # fmt: skip
    middle = ((width - 1) / 2, (case.size[1] - 1) / 2)
    straight = CameraPrior(
        options.focal_widths * width, options.focal_log_sigma, middle, sigma, 0.0, options.k1_sigma, True, 0.0,
        options.k2_sigma,
    )  # fmt: skip
    # between orthographic (k1 -1/6), equidistant (0) and stereographic (1/12)
    fisheye = CameraPrior(
        FISHEYE_WIDTHS * width, 0.4, middle, sigma, k1_sigma=0.1, k2_from_k1=False, k2_sigma=0.03
    )
    kinds: dict[type[Lens], CameraPrior] = {RadialTangential: straight}
    if options.fisheye:
        kinds[Fisheye] = fisheye
    return {kind: case.known.prior(prior) for kind, prior in kinds.items()}


def all_found(case: Case, rng: np.random.Generator) -> list[Found]:
    """Every pose that the marks could have, the likeliest first, with what speaks against it."""
    found = []
    for kind, prior in _priors(case).items():
        minima = find_minima(case.marked, case.size, case.lens if case.lens is not None else kind, prior, rng)
        for i in range(len(minima)):
            known = case.options.sigma_known
            fit = minima.take(np.array([i]))
            near = linearise_fits(fit, case.marked, prior).distance2[0] < OUTLIER * case.options.max_misfit**2
            if near.sum() < FEWEST or (~near).mean() > case.options.max_wrong:
                continue  # no refinement would bring these marks to their points
            rough = without_outliers(fit, case.marked, prior, case.frees[-1], known, lambda _: case.besides)
            choices = _choices(case, rough, prior)
            # bent so far that nothing of it is left: not a pose
            if all(np.isfinite(each.evidence) and np.isfinite(each.fit.params).all() for each in choices):
                found.append(_settled(case, choices, prior))
    return sorted(found, key=lambda each: -each.log_odds)


def _settled(case: Case, choices: list[Choice], prior: CameraPrior) -> Found:
    """A pose with its lens, its covariance, and its evidence."""
    best, wide = choose(choices, case.marked, prior)
    camera = camera_of(wide.fit, 0, wide.cov, "query", case.size)
    gain = down_odds(camera, case.known)
    log_odds = _beside_chance(case, best) + _volume(case) + gain
    fault = _fault(case, wide, camera)
    if not fault and case.lens is not None:
        fault = _lens_fault(case, case.lens, best, prior)
    return Found(wide, known_camera(camera, case.known), float(log_odds), fault)


def _beside_chance(case: Case, choice: Choice) -> float:
    """Log evidence of a choice beside marks anywhere in the image and lines along any direction, as wrong ones are."""
    lines = case.marked.lines
    marks = np.full(len(case.marked), np.log(case.size[0] * case.size[1]))
    turned = np.log(np.pi * np.linalg.norm(lines.end - lines.start, axis=1) / (np.sqrt(2) * lines.sigma))
    used = np.concatenate([choice.fit.weight[0], choice.fit.line_weight[0, : len(lines)]]) > 0
    return float(choice.evidence + np.where(used, np.concatenate([marks, turned]), np.log(WRONG)).sum())


def _lens_fault(case: Case, lens: Lens, stated: Choice, prior: CameraPrior) -> str:
    """What the marks, those that the stated lens calls wrong among them, have against its focal length; or nothing."""
    every = replace(stated.fit, weight=np.ones_like(stated.fit.weight))
    free = without_outliers(every, case.marked, prior, ("f",), case.options.sigma_known, lambda _: case.besides)
    if _beside_chance(case, free) - _beside_chance(case, stated) < STRONG:
        return ""
    was, seen = float(lens.params[:2].mean()), float(free.fit.params[0, :2].mean())
    return f"the lens is another: a focal length of {was:.1f} px was stated, the marks want {seen:.1f} px"


def _choices(case: Case, rough: Choice, prior: CameraPrior) -> list[Choice]:
    """Every choice of freed unknowns from one pose; what is not freed is as expected beforehand."""
    frees, n = case.frees, len(case.frees)
    params = np.repeat(rough.fit.params, n, axis=0)
    if case.lens is None:
        params[["cx" not in free for free in frees], 2:4] = prior.centre
        params[["k1" not in free for free in frees], 4] = 0.0
        params[["k2" not in free for free in frees], 5] = 0.0
    starts = replace(rough.fit.take(np.zeros(n, int)), params=params, scale=np.ones(n))
    return fit_choices(starts, case.marked, prior, frees, case.options.sigma_known)


def _volume(case: Case) -> float:
    """What Laplace's method leaves out: the pose's own prior, uniform over turns and about the marks."""
    extent = REACH * max(float(np.ptp(case.marked.points, axis=0).max()), LEAST_EXTENT)
    where = -3 * np.log(extent)
    if np.isfinite(case.known.plane_sigma):
        where = -2 * np.log(extent) - np.log(np.sqrt(2 * np.pi) * case.known.plane_sigma)
    return float(3 * np.log(2 * np.pi) - np.log(8 * np.pi**2) + where)


def _fault(case: Case, choice: Choice, camera: Camera) -> str:
    """Why a pose cannot be; "" if it can."""
    used = choice.fit.weight[0] > 0
    if not np.isfinite(camera.project(case.marked.points[used])).all():
        return "a camera that stands behind its marks"
    if 1.0 - used.mean() > case.options.max_wrong or choice.fit.scale[0] > case.options.max_misfit:
        wrong = len(used) - int(used.sum())
        return f"{wrong} of {len(used)} marks wrong and the others {choice.fit.scale[0]:.1f} times their sigma off"
    centre = camera.centre_world
    if case.site_map is not None:
        heights = np.array([level.z_at(centre[None, :2])[0] for level in case.site_map.levels])
        heights = heights[np.isfinite(heights)]
        under = len(heights) > 0 and centre[2] < heights.min()
    else:
        under = centre[2] < case.marked.points[used, 2].min()
    return "a camera that stands below the ground" if under else ""
