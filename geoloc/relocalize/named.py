"""The pose of one image from landmarks that a person recognised in it by name: no features, no reconstruction.

    marked     = marks at points of the map, each with both its sigmas
    minima     = every pose that the marks could have       # of points of one plane there are two that look alike
    evidence   = how much likelier the marks are under it than anywhere in the image, its unknowns integrated out
    probabilities, or a refusal with its reason

What is known besides (a plane on which the camera stands, its height, which way is down, lines drawn along plumb or
level edges) counts in the pose and in the evidence alike.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.estimators.camera_choice import widened
from geoloc.estimators.camera_fit import MarkedPoints, camera_of
from geoloc.estimators.seen_lines import seen_lines
from geoloc.relocalize.estimate import Hypothesis, PoseEstimate, find_level
from geoloc.relocalize.evidence import Evidence
from geoloc.relocalize.named_fit import FEWEST, Case, Found, NamedPoseOptions, all_found
from geoloc.relocalize.pose_knowledge import Knowledge, known_camera
from geoloc.scene.camera import Camera
from geoloc.scene.known import ImageLines
from geoloc.scene.lenses import Lens
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap

THIN = 0.02  # breadth over length of points that lie on a line
NONSENSE = 0.02  # probability that all marks are at other points than they say
ONE_PLACE = 16.3  # squared distance of two places at their sigmas that may be one: 0.999 of three unknowns
TOO_LITTLE = "mark more points, near and far and off one plane"


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
    case = Case(size, MarkedPoints(xyz, marks.pixel, marks.sigma, cov, drawn), lens, known, options, site_map)
    fault = _too_little(case)
    if fault:
        return PoseEstimate((), fault)
    found = all_found(case, rng)
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


def _too_little(case: Case) -> str:
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


def _hypotheses(case: Case, good: list[Found], rows: np.ndarray, rng: np.random.Generator) -> tuple[Hypothesis, ...]:
    """The poses with their probabilities, beside each other and "the marks are nonsense"; one place is one of them."""
    log_odds = np.array([each.log_odds + np.log1p(-NONSENSE) for each in good] + [np.log(NONSENSE)])
    share = np.exp(log_odds - log_odds.max())
    share /= share.sum()
    kept: list[tuple[Found, Camera, float]] = []
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
        evidence = Evidence(len(rows), len(used), each.log_odds, each.log_odds)
        out.append(Hypothesis(camera, used, rows[used], evidence, part, *level))
    return tuple(sorted(out, key=lambda each: -each.probability))


def _place_cov(camera: Camera) -> np.ndarray:
    turn = camera.cam_from_world.rotation.as_matrix()
    return np.asarray(turn.T @ camera.calib_cov[3:6, 3:6] @ turn)


def _one_place(one: Found, other: Found) -> bool:
    apart = other.camera.centre_world - one.camera.centre_world
    return bool(apart @ np.linalg.solve(_place_cov(one.camera) + _place_cov(other.camera), apart) < ONE_PLACE)


def _refusal(case: Case, hypotheses: tuple[Hypothesis, ...], first: Found) -> str:
    """Why the hypotheses are no answer; "" if the best is one."""
    best = hypotheses[0]
    rivals = [each for each in hypotheses[1:] if each.probability > 1 - case.options.min_probability]
    if best.probability < case.options.min_probability and rivals:
        places = " and ".join(
            f"({', '.join(f'{at:.1f}' for at in each.camera.centre_world)}) m with probability {each.probability:.2f}"
            for each in (best, *rivals)
        )
        twins = "the marks lie on one plane, which looks alike from two sides: " if _flat(case.marked.points) else ""
        said = f"{twins}they fit {1 + len(rivals)} poses" if twins else f"the marks fit {1 + len(rivals)} poses"
        return f"{said}, at {places}; mark a point off their plane, or give a height"
    if best.probability < case.options.min_probability:
        said = f"the {len(case.marked)} marks fit little better than any would (probability {best.probability:.2f})"
        return f"{said}; {TOO_LITTLE}"
    sigma = float(np.sqrt(np.linalg.eigvalsh(_place_cov(best.camera))[-1]))
    used = case.marked.points[best.features]
    distance = float(np.median(np.linalg.norm(used - best.camera.centre_world, axis=1)))
    focal = float(np.sqrt(first.choice.cov[6, 6])) / float(first.choice.fit.params[0, :2].mean())
    if sigma > case.options.max_sigma or max(sigma / distance, focal) > case.options.max_spread:
        besides = f", its focal length to {100 * focal:.0f} %" if case.lens is None else ""
        said = f"its position is only known to {sigma:.1f} m (sigma) at {distance:.0f} m from the marks{besides}"
        return f"{said}; {TOO_LITTLE}"
    return ""


def _flat(points: np.ndarray) -> bool:
    extent = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(extent[2] < 0.03 * extent[1])


def _nothing_fits(case: Case, found: list[Found], rng: np.random.Generator) -> str:
    """Why no pose is right, and what mistake it looks like."""
    most = 100 * (1 - case.options.max_wrong)
    told = found[0].fault if found else f"none that brings even {most:.0f} % of the marks near their points"
    if told.startswith("the lens is another"):
        return told
    mirror = np.array([-1.0, 1.0]), np.array([case.size[0] - 1.0, 0.0])
    worlds = {
        "the picture is mirrored": replace(case.marked, pixels=mirror[1] + case.marked.pixels * mirror[0]),
        "x and y of the map's points are swapped": replace(case.marked, points=case.marked.points[:, [1, 0, 2]]),
    }
    for words, marked in worlds.items():
        other = [each for each in all_found(replace(case, marked=marked), rng) if not each.fault]
        if other and other[0].log_odds > -np.log(NONSENSE):
            return f"the marks fit no pose ({told}), but would if {words}"
    return f"the marks fit no pose: the best is {told}; check that each mark is at the landmark that it names"
