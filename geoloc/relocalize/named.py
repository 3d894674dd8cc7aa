"""The pose of one image from landmarks that a person recognised in it by name: no features, no reconstruction.

    marked     = marks at points of the map, each with both its sigmas
    minima     = every pose that the marks could have       # of points of one plane there are two that look alike
    evidence   = how much likelier the marks are under it than anywhere in the image, its unknowns integrated out
    probabilities, or a refusal with its reason

What is known besides (a plane on which the camera stands, its height, which way is down, lines drawn along plumb or
level edges) counts in the pose and in the evidence alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.estimators.camera_choice import STRONG, Choice, choose, fit_choices, widened
from geoloc.estimators.camera_fit import MarkedPoints, camera_of, linearise_fits
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior
from geoloc.estimators.camera_search import find_minima, without_outliers
from geoloc.estimators.seen_lines import seen_lines
from geoloc.options import check_range
from geoloc.relocalize.estimate import Hypothesis, PoseEstimate, find_level
from geoloc.relocalize.evidence import Evidence
from geoloc.relocalize.pose_knowledge import Knowledge, down_odds, known_camera
from geoloc.scene.camera import Camera
from geoloc.scene.known import ImageLines
from geoloc.scene.lenses import Fisheye, Lens, RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap

UNKNOWN_LENS = (("f",), ("f", "k1", "k2"), ("f", "cx", "cy", "k1", "k2"))
FISHEYE_WIDTHS = 0.4  # focal length in image widths
FEWEST = 3
THIN = 0.02  # breadth over length of points that lie on a line
WRONG = 0.05  # probability that a mark is at another point than it says
NONSENSE = 0.02  # that all of them are
REACH, LEAST_EXTENT = 4.0, 10.0  # extents of the marked points (m) within which the camera is expected
ONE_PLACE = 16.3  # squared distance of two places at their sigmas that may be one: 0.999 of three unknowns
TOO_LITTLE = "mark more points, near and far and off one plane"


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
class _Case:
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
        up = max(min(self.marked.lines.freedom, 3 - (self.lens is not None)), 2 * bool(np.isfinite(self.known.down_sigma)))
        return up + bool(np.isfinite(self.known.plane_sigma))

    @property
    def frees(self) -> list[tuple[str, ...]]:
        """The lens unknowns that may be freed, the fewest first."""
        return [(), ("f",)] if self.lens is not None else list(UNKNOWN_LENS)


@dataclass(frozen=True, eq=False)
class _Found:
    """A pose that the marks could have: `camera` as known, how much likelier than chance, or what is wrong with it."""

    choice: Choice
    camera: Camera
    log_odds: float
    fault: str = ""


def pose_from_named(
    marks: Marks,
    named: Sequence[ControlPoint],
    size: tuple[int, int],
    rng: np.random.Generator,
    lens: Lens | None = None,
    known: Knowledge = Knowledge(),  # noqa: B008 - frozen
    lines: ImageLines | None = None,
    options: NamedPoseOptions | None = None,
    site_map: SiteMap | None = None,
) -> PoseEstimate:
    """The pose of an image of `size` (width, height) px from the `marks` of one image at `named` landmarks.

    Without a `lens` its focal length and distortion are found too. Of a hypothesis `features` are rows of the marks
    that it rests on and `points` rows of `named`; its evidence counts the marks and those that agree. A mark outside
    the image, or of a name that is not there, raises; what the marks do not carry is refused with the next step.
    """
    options = options or NamedPoseOptions()
    rows = _rows(marks, named, size)
    xyz = np.array([named[row].xyz for row in rows]).reshape(-1, 3)
    cov = np.array([np.diag(np.square(named[row].sigma)) for row in rows]).reshape(-1, 3, 3)
    drawn = seen_lines(lines if lines is not None else ImageLines(), {marks.camera[0]: 0} if len(marks) else {})[0]
    case = _Case(size, MarkedPoints(xyz, marks.pixel, marks.sigma, cov, drawn), lens, known, options, site_map)
    fault = _too_little(case)
    if fault:
        return PoseEstimate((), fault)
    found = _all_found(case, rng)
    good = [each for each in found if not each.fault]
    if not good:
        return PoseEstimate((), _nothing_fits(case, found, rng))
    hypotheses = _hypotheses(case, good, rows, rng)
    return PoseEstimate(hypotheses, _refusal(case, hypotheses, good[0]))


def _rows(marks: Marks, named: Sequence[ControlPoint], size: tuple[int, int]) -> np.ndarray:
    """The row of `named` of each mark (N,) int; InputError where a mark cannot be right."""
    stills = sorted(set(marks.camera.tolist()))
    if len(stills) > 1:
        raise InputError(f"marks of {len(stills)} images ({', '.join(stills[:4])}); give those of one")
    index = {point.name: row for row, point in enumerate(named)}
    for name, pixel, sigma in zip(marks.point.tolist(), marks.pixel, marks.sigma.tolist(), strict=True):
        if name not in index:
            raise unknown_name("landmark", name, index, "the map")
        if not (sigma > 0 and np.isfinite(sigma)):
            raise InputError(f"the mark of {name!r} has sigma {sigma} px; it must be positive")
        if not ((pixel >= -0.5) & (pixel <= np.array(size) - 0.5)).all():  # false for NaN
            where = f"({pixel[0]:.0f}, {pixel[1]:.0f})"
            raise InputError(f"the mark of {name!r} at {where} is outside the image of {size[0]} x {size[1]} px")
    if len(set(marks.point.tolist())) < len(marks):
        names, counts = np.unique(marks.point, return_counts=True)
        raise InputError(f"landmark {names[counts.argmax()]!r} is marked twice; delete the mark that is wrong")
    return np.array([index[name] for name in marks.point.tolist()], int)


def _too_little(case: _Case) -> str:
    """Why the marks cannot carry a pose, before any is looked for."""
    # six unknowns, seven with the focal length, and two residuals over that can contradict
    needed = max(FEWEST, (8 + (case.lens is None) - case.besides + 1) // 2)
    n = len(case.marked)
    if n < needed:
        unknown = "" if case.lens is not None else ", for its focal length is unknown"
        return f"{n} named landmarks are marked; it takes {needed}{unknown}"
    centred = case.marked.points - case.marked.points.mean(axis=0)
    axes = np.linalg.svd(centred)[2]
    width, length = (float(np.ptp(centred @ axis)) for axis in axes[1::-1])
    if width < THIN * length:
        return f"the {n} marked landmarks lie within {width:.2f} m of one line of {length:.1f} m; mark one beside it"
    return ""


def _priors(case: _Case) -> dict[type[Lens], CameraPrior]:
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


def _all_found(case: _Case, rng: np.random.Generator) -> list[_Found]:
    """Every pose that the marks could have, the likeliest first, with what speaks against it."""
    found = []
    for kind, prior in _priors(case).items():
        minima = find_minima(case.marked, case.size, case.lens if case.lens is not None else kind, prior, rng)
        free = case.frees[-1] if case.lens is None else ()
        for i in range(len(minima)):
            known = case.options.sigma_known
            fit = minima.take(np.array([i]))
            rough = without_outliers(fit, case.marked, prior, free, known, lambda _: case.besides)
            found.append(_settled(case, rough, prior))
    return sorted(found, key=lambda each: -each.log_odds)


def _settled(case: _Case, rough: Choice, prior: CameraPrior) -> _Found:
    """A pose with its lens, its covariance, and its evidence."""
    choices = _choices(case, rough, prior)
    best, wide = choose(choices[:1] if case.lens is not None else choices, case.marked, prior)
    camera = camera_of(wide.fit, 0, wide.cov, "query", case.size)
    gain = down_odds(camera, case.known)
    log_odds = best.evidence + _volume(case) + gain
    wrong = int((best.fit.weight[0] == 0).sum())
    log_odds += (len(case.marked) - wrong) * np.log(case.size[0] * case.size[1]) + wrong * np.log(WRONG)
    fault = _fault(case, wide, camera)
    if not fault and case.lens is not None and choices[1].evidence - choices[0].evidence > STRONG:
        stated, seen = case.lens.params[:2].mean(), choices[1].fit.params[0, :2].mean()
        fault = f"the lens is another: a focal length of {stated:.1f} px was stated, the marks want {seen:.1f} px"
    return _Found(wide, known_camera(camera, case.known), float(log_odds), fault)


def _choices(case: _Case, rough: Choice, prior: CameraPrior) -> list[Choice]:
    """Every choice of freed unknowns from one pose; what is not freed is as expected beforehand."""
    frees, n = case.frees, len(case.frees)
    params = np.repeat(rough.fit.params, n, axis=0)
    if case.lens is None:
        params[["cx" not in free for free in frees], 2:4] = prior.centre
        params[["k1" not in free for free in frees], 4] = 0.0
        params[["k2" not in free for free in frees], 5] = 0.0
    starts = replace(rough.fit.take(np.zeros(n, int)), params=params, scale=np.ones(n))
    return fit_choices(starts, case.marked, prior, frees, case.options.sigma_known)


def _volume(case: _Case) -> float:
    """What Laplace's method leaves out: the pose's own prior, uniform over turns and about the marks."""
    extent = REACH * max(float(np.ptp(case.marked.points, axis=0).max()), LEAST_EXTENT)
    where = -3 * np.log(extent)
    if np.isfinite(case.known.plane_sigma):
        where = -2 * np.log(extent) - np.log(np.sqrt(2 * np.pi) * case.known.plane_sigma)
    return float(3 * np.log(2 * np.pi) - np.log(8 * np.pi**2) + where)


def _fault(case: _Case, choice: Choice, camera: Camera) -> str:
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


def _hypotheses(
    case: _Case, good: list[_Found], rows: np.ndarray, rng: np.random.Generator
) -> tuple[Hypothesis, ...]:
    """The poses with their probabilities, beside each other and "the marks are nonsense"; one place is one of them."""
    log_odds = np.array([each.log_odds + np.log1p(-NONSENSE) for each in good] + [np.log(NONSENSE)])
    share = np.exp(log_odds - log_odds.max())
    share /= share.sum()
    kept: list[tuple[_Found, Camera, float]] = []
    for each, part in zip(good, share.tolist(), strict=False):
        for i, (first, camera, before) in enumerate(kept):
            if _one_place(first, each):
                wide = widened(first.choice, each.choice.fit, case.marked, part / (before + part))
                if first.choice.fit.kind is not each.choice.fit.kind:  # another lens's reading of the same place
                    camera = known_camera(camera_of(wide.fit, 0, wide.cov, "query", case.size), case.known)
                kept[i] = (first, camera, before + part)
                break
        else:
            kept.append((each, each.camera, part))
    out = []
    for each, camera, part in kept:
        used = np.flatnonzero(each.choice.fit.weight[0] > 0)
        level = find_level(camera, case.site_map, rng) if case.site_map is not None else ("", 0.0)
        evidence = Evidence(len(rows), len(used), each.log_odds)
        out.append(Hypothesis(camera, used, rows[used], evidence, part, *level))
    return tuple(sorted(out, key=lambda each: -each.probability))


def _place_cov(camera: Camera) -> np.ndarray:
    turn = camera.cam_from_world.rotation.as_matrix()
    return np.asarray(turn.T @ camera.calib_cov[3:6, 3:6] @ turn)


def _one_place(one: _Found, other: _Found) -> bool:
    apart = other.camera.centre_world - one.camera.centre_world
    return bool(apart @ np.linalg.solve(_place_cov(one.camera) + _place_cov(other.camera), apart) < ONE_PLACE)


def _refusal(case: _Case, hypotheses: tuple[Hypothesis, ...], first: _Found) -> str:
    """Why the hypotheses are no answer; "" if the best is one."""
    best = hypotheses[0]
    rivals = [each for each in hypotheses[1:] if each.probability > 1 - case.options.min_probability]
    if best.probability < case.options.min_probability and rivals:
        places = " and ".join(
            f"({', '.join(f'{at:.1f}' for at in each.camera.centre_world)}) m with probability {each.probability:.2f}"
            for each in (best, *rivals)
        )
        twins = "its marks lie on one plane, which looks alike from two sides: " if _flat(case.marked.points) else ""
        return f"{twins}the marks fit {1 + len(rivals)} poses, at {places}; mark a point off their plane, or give a height"
    if best.probability < case.options.min_probability:
        return f"the {len(case.marked)} marks fit no better than any would (probability {best.probability:.2f}); {TOO_LITTLE}"
    sigma = float(np.sqrt(np.linalg.eigvalsh(_place_cov(best.camera))[-1]))
    used = case.marked.points[best.features]
    distance = float(np.median(np.linalg.norm(used - best.camera.centre_world, axis=1)))
    focal = float(np.sqrt(first.choice.cov[6, 6])) / float(first.choice.fit.params[0, :2].mean())
    if sigma > case.options.max_sigma or max(sigma / distance, focal) > case.options.max_spread:
        besides = f", its focal length to {100 * focal:.0f} %" if case.lens is None else ""
        return f"its position is only known to {sigma:.1f} m (sigma) at {distance:.0f} m from the marks{besides}; {TOO_LITTLE}"
    return ""


def _flat(points: np.ndarray) -> bool:
    extent = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(extent[2] < 0.03 * extent[1])


def _nothing_fits(case: _Case, found: list[_Found], rng: np.random.Generator) -> str:
    """Why no pose is right, and what mistake it looks like."""
    told = found[0].fault if found else "no pose brings any three marks to their points"
    if told.startswith("the lens is another"):
        return told
    mirror = np.array([-1.0, 1.0]), np.array([case.size[0] - 1.0, 0.0])
    worlds = {
        "the picture is mirrored": replace(case.marked, pixels=mirror[1] + case.marked.pixels * mirror[0]),
        "x and y of the map's points are swapped": replace(case.marked, points=case.marked.points[:, [1, 0, 2]]),
    }
    for words, marked in worlds.items():
        other = [each for each in _all_found(replace(case, marked=marked), rng) if not each.fault]
        if other and other[0].log_odds > -np.log(NONSENSE):
            return f"the marks fit no pose ({told}), but would if {words}"
    return f"the marks fit no pose: the best is {told}; check that each mark is at the landmark that it names"
