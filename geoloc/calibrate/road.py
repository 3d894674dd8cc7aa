"""One camera over a level road, from measured distances, lane lines and directions: no point of a map is needed.

The lane lines carry the vanishing point of the road, lengths along and across it carry focal length, tilt and
height (Dubská et al., IEEE T-ITS 2014; Sochor et al., Traffic Surveillance Camera Calibration by 3D Model
Bounding Box Alignment, CVIU 2017; measured distances as the reference: Sochor et al., BrnoCompSpeed, 2017, and
Bartl et al., Automatic camera calibration by landmarks on rigid objects, MVA 2021). Square pixels, principal
point near the middle. Marks, tape and prior are weighted by their sigmas in one adjustment, in which the marks'
sigmas grow where the marks contradict each other.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2 as chi2_distribution

from geoloc.calibrate.road_start import start_rotation
from geoloc.calibrate.road_system import (
    ANGLES,
    CENTRE,
    K1,
    LOG_FOCAL,
    LOG_HEIGHT,
    RoadFit,
    RoadPrior,
    RoadState,
    RoadSystem,
)
from geoloc.errors import GeometryError, InputError
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.roads import ACROSS, ALONG, RoadSegments

STARTS = np.geomspace(0.4, 6.0, 10)  # focal lengths tried, in image widths
STARTS_FOLLOWED = 3  # the best ones are followed to their optimum
KNOWN_FOCAL = 0.1  # sigma of its logarithm up to which a focal length replaces a length across the road
STATED_WEIGHT = 4.0  # observations that the stated sigma of marks is worth
REWEIGHTINGS = 8
SETTLED = 0.01  # relative, of the marks' sigmas
SURPRISE = 0.99  # residuals that chance explains less often than once in a hundred widen every covariance


@dataclass(frozen=True)
class RoadOptions:
    """How a road view is calibrated."""

    focal_px: float = 0.0  # known focal length; 0: unknown
    focal_sigma: float = 0.005  # of the known focal length's logarithm
    principal_point_sigma: float = 0.01  # image widths around the middle of the image
    k1_sigma: float = 0.0  # prior of the radial distortion; 0: none
    max_sigma: float = 0.5  # relative, of focal length and height; beyond it the view is refused

    def __post_init__(self) -> None:
        check_range(self, focal_px=(0.0, 1e6), focal_sigma=(1e-6, 10.0), principal_point_sigma=(1e-6, 0.5))
        check_range(self, k1_sigma=(0.0, 1.0), max_sigma=(0.0, 10.0))


@dataclass(frozen=True, eq=False)
class RoadSolution:
    """A camera over z = 0 (x along the road, y to its left, origin under the camera), and each segment in it.

    `length` (N,) m and `sigma` (N,) m are the segments' lengths after the adjustment, measured or not; `residual`
    (N,) is predicted less measured length (m), NaN where not measured. `marks_widened` is the largest factor that
    marks' sigmas were multiplied with because the marks contradict each other; `widened` is the factor that every
    standard deviation was multiplied with because even larger sigmas of the marks leave the residuals too large.
    `stretch` is the part of x (m) that measured segments span: beyond it the answer is an extrapolation.
    """

    camera: Camera
    segments: RoadSegments
    length: np.ndarray
    sigma: np.ndarray
    residual: np.ndarray
    marks_widened: float
    widened: float
    stretch: tuple[float, float]


def calibrate_road(
    name: str, size: tuple[int, int], segments: RoadSegments, options: RoadOptions | None = None
) -> RoadSolution:
    """Calibrate camera `name` of image `size` (width, height) px from what is marked on the road.

    Needs two segments along the road beside each other, a measured length, and a measured length across the road or a
    known focal length; GeometryError, with what to add, where the segments cannot carry the answer.
    """
    options = options or RoadOptions()
    _check(name, segments, options)
    system = RoadSystem(segments, _prior(size, options))
    stated = system.pixel_sigma
    system, fit = _with_marks_as_they_are(system, _best_fit(name, system, segments, size))
    marks_widened = float((system.pixel_sigma / stated).max())
    widened = _widening(system, fit)
    cov = widened**2 * np.linalg.inv(fit.normal)
    _check_sigma(name, cov, options)
    every = np.ones(len(segments), bool)
    length, rows = system.length_rows(fit.state.points, every)
    sigma = np.sqrt(np.einsum("ki,ij,kj->k", rows, cov, rows))
    camera = road_camera(name, size, fit.state, cov[: system.n_camera, : system.n_camera])
    spanned = fit.state.points[system.pairs[system.measured], 0]
    stretch = (float(spanned.min()), float(spanned.max()))
    return RoadSolution(camera, segments, length, sigma, length - segments.length, marks_widened, widened, stretch)


def road_lengths(camera: Camera, ends: np.ndarray, pixel_sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Lengths (N,) m between pairs of pixels (N, 2, 2) on the level z = 0, and their standard deviations (N,) m.

    The calibration's covariance is common to both ends; `pixel_sigma` px is each end's own.
    """
    pixels = np.asarray(ends, float).reshape(-1, 2)
    rays, height = camera.unproject(pixels), camera.centre_world[2]
    points = camera.centre_world - rays * (height / rays[:, 2:])
    _, by_world, by_calib = camera.jacobians(points)
    by_pixel = np.linalg.inv(by_world[:, :, :2])
    by_calib = -by_pixel @ by_calib
    a, b = points[0::2, :2], points[1::2, :2]
    length = np.linalg.norm(a - b, axis=1)
    along = ((a - b) / length[:, None])[:, None]
    slope = (along @ (by_calib[0::2] - by_calib[1::2]))[:, 0]
    noise = ((along @ by_pixel[0::2]) ** 2 + (along @ by_pixel[1::2]) ** 2).sum(axis=(1, 2)) * pixel_sigma**2
    return length, np.sqrt(noise + np.einsum("ki,ij,kj->k", slope, camera.calib_cov, slope))


def road_camera(name: str, size: tuple[int, int], state: RoadState, cov: np.ndarray) -> Camera:
    """The camera of a state whose unknowns have covariance (7, 7), or (8, 8) with k1, as `Camera.calib_cov` has it."""
    freed = ("fx", "fy", "cx", "cy", "k1") if len(cov) > K1 else ("fx", "fy", "cx", "cy")
    by_unknown = np.zeros((6 + len(freed), len(cov)))
    by_unknown[ANGLES, ANGLES] = np.eye(3)
    # the camera rises by h in the world: its translation moves the other way
    by_unknown[3:6, LOG_HEIGHT] = -state.height * state.rotation.apply([0.0, 0.0, 1.0])
    by_unknown[6:8, LOG_FOCAL] = state.focal
    by_unknown[8:10, CENTRE] = np.eye(2)
    if len(cov) > K1:
        by_unknown[10, K1] = 1.0
    calib_cov = by_unknown @ cov @ by_unknown.T
    return Camera(name, state.lens, size, state.cam_from_world, 0.5 * (calib_cov + calib_cov.T), freed)


def _check(name: str, segments: RoadSegments, options: RoadOptions) -> None:
    measured = np.isfinite(segments.length)
    if not np.isfinite(segments.ends).all() or (segments.length <= 0).any():
        raise InputError(f"camera {name!r}: the segments' pixels must be finite and their lengths above 0 m")
    unknown = sorted(set(segments.direction.tolist()) - {ALONG, ACROSS, ""})
    if unknown:
        raise InputError(f"camera {name!r}: direction {unknown[0]!r}; it is {ALONG!r}, {ACROSS!r} or empty")
    if not measured.any():
        raise GeometryError(
            f"camera {name!r}: no distance on the road is measured, which alone gives the scale; add one"
        )
    known = options.focal_px > 0 and options.focal_sigma <= KNOWN_FOCAL
    if not known and not (segments.direction[measured] == ACROSS).any():
        raise GeometryError(
            f"camera {name!r}: of {measured.sum()} measured distances none is across the road, and the focal length is "
            "not known: length and width cannot be told apart; measure the width of a lane, or give the focal length"
        )


def _prior(size: tuple[int, int], options: RoadOptions) -> RoadPrior:
    width, height = size
    focal, sigma = (options.focal_px, options.focal_sigma) if options.focal_px else (1.3 * width, 1.0)
    centre = ((width - 1) / 2, (height - 1) / 2)
    return RoadPrior(focal, sigma, centre, options.principal_point_sigma * width, options.k1_sigma)


def _best_fit(name: str, system: RoadSystem, segments: RoadSegments, size: tuple[int, int]) -> RoadFit:
    prior = system.prior
    known = prior.focal_sigma <= KNOWN_FOCAL
    starts = [_start(system, segments, focal) for focal in ([prior.focal] if known else STARTS * size[0])]
    costs = [(float(np.sum(system.linearise(start)[0] ** 2)), i) for i, start in enumerate(starts) if start]
    if not costs:
        raise GeometryError(
            f"camera {name!r}: at no focal length do all segments lie below the horizon that the lane lines and the "
            "segments across the road give; check which segments are along and which across"
        )
    best = [starts[i] for _, i in sorted(costs)[:STARTS_FOLLOWED]]
    return min((system.solve(start) for start in best if start), key=lambda fit: fit.chi2)


def _start(system: RoadSystem, segments: RoadSegments, focal: float) -> RoadState | None:
    """A camera of that focal length; None if a segment then lies above the horizon."""
    centre = np.array(system.prior.centre)
    along, across = (segments.ends[segments.direction == direction] for direction in (ALONG, ACROSS))
    rotation = start_rotation(along, across, centre, focal)
    state = RoadState(rotation, focal, 1.0, centre, 0.0, np.empty((0, 2)))
    points = state.on_road(system.pixels)
    if not np.isfinite(points).all():
        return None
    length, _ = system.length_rows(points, system.measured)
    height = float(np.median(system.length / length))
    return RoadState(rotation, focal, height, centre, 0.0, points * height)


def _with_marks_as_they_are(system: RoadSystem, fit: RoadFit) -> tuple[RoadSystem, RoadFit]:
    """The adjustment again, with pixel sigmas as large as the residuals say, never smaller than stated.

    Points of one stated sigma share a factor: the square root of their sum of squares over their redundancy, with
    the statement counted as STATED_WEIGHT observations (variance components: Förstner and Wrobel, Photogrammetric
    Computer Vision, 2016, section 4.2.4). Marks are the first to be worse than thought; a tape is not.
    """
    stated = system.pixel_sigma
    _, group = np.unique(stated, return_inverse=True)
    factor = np.ones(group.max() + 1)
    for _ in range(REWEIGHTINGS):
        squares, redundancy = (np.bincount(group, part) for part in system.pixel_shares(fit))
        found = np.sqrt((STATED_WEIGHT + squares * factor**2) / (STATED_WEIGHT + redundancy))
        if np.allclose(np.maximum(found, 1.0), factor, rtol=SETTLED):
            break
        factor = np.maximum(found, 1.0)
        system = system.with_pixel_sigma(stated * factor[group])
        fit = system.solve(fit.state)
    return system, fit


def _widening(system: RoadSystem, fit: RoadFit) -> float:
    """Square root of chi-square over its degrees of freedom where chance does not explain it, else 1."""
    dof = len(fit.residual) - system.n
    if dof < 1 or fit.chi2 < chi2_distribution.ppf(SURPRISE, dof):
        return 1.0
    return float(np.sqrt(fit.chi2 / dof))


def _check_sigma(name: str, cov: np.ndarray, options: RoadOptions) -> None:
    for index, what in ((LOG_FOCAL, "focal length"), (LOG_HEIGHT, "height")):
        sigma = float(np.sqrt(cov[index, index]))
        if not sigma <= options.max_sigma:
            raise GeometryError(
                f"camera {name!r}: the segments leave its {what} open by {100 * sigma:.0f} %; measure a longer "
                "distance along the road and one across it, or give the focal length"
            )
