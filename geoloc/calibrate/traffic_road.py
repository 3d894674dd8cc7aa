"""A road camera from its traffic alone: nothing is measured, so the scale is what roads and drivers usually do.

Tracks carry the vanishing point of the road and where its lanes are. They carry neither the focal length nor a
scale: those come from stated priors (an upright camera, a usual lane, a usual speed), and the covariance is as wide
as they are. Where one distance can be measured, `calibrate_road` is ten times better. Published automatic methods
take focal length from vehicles' edges and the scale from their size, which tracks of points do not have (Dubská
et al., IEEE T-ITS 2014; Sochor et al., CVIU 2017).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from geoloc.calibrate.road import road_camera
from geoloc.calibrate.road_start import frame_of
from geoloc.calibrate.road_system import RoadState, moved_camera
from geoloc.calibrate.traffic_paths import Lanes, Paths, find_lanes, straight_paths, vanishing_point
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.roads import PixelTracks

VANISHING_SIGMA = 5.0  # px, added to the vanishing point's: roads bend a little, and tracks wander
SEED = 1


@dataclass(frozen=True)
class TrafficPrior:
    """What is assumed of a road whose traffic is all that is known; sigmas of lengths, speeds, focals are relative."""

    lane_width: float = 3.6  # m; European main roads have 3.5 and 3.75
    lane_width_sigma: float = 0.06  # and drivers do not keep to the middle of their lane
    speed: float = 22.2  # m/s, the middle of all vehicles: 80 km/h
    speed_sigma: float = 0.2
    focal: float = 1.4  # image widths
    focal_sigma: float = 0.4
    roll_sigma: float = 0.04  # rad; cameras are set up level
    principal_point_sigma: float = 0.01  # image widths

    def __post_init__(self) -> None:
        check_range(self, lane_width=(1.0, 10.0), speed=(0.1, 100.0), focal=(0.1, 20.0), roll_sigma=(1e-4, 1.0))
        check_range(self, lane_width_sigma=(1e-4, 1.0), speed_sigma=(1e-4, 5.0), focal_sigma=(1e-4, 5.0))
        check_range(self, principal_point_sigma=(1e-6, 0.5))


def calibrate_from_traffic(
    name: str, size: tuple[int, int], tracks: PixelTracks, prior: TrafficPrior | None = None
) -> Camera:
    """Camera over z = 0 (x along the road, y to its left, origin under the camera) from vehicle tracks and a prior.

    GeometryError where the tracks have no common vanishing point or keep to one lane.
    """
    prior = prior or TrafficPrior()
    paths = straight_paths(tracks, size)
    meeting, cov, inlying = vanishing_point(paths, np.random.default_rng(SEED))
    paths = paths.take(inlying)
    centre = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    focal = prior.focal * size[0]
    start = RoadState(frame_of(np.array([*(meeting - centre) / focal, 1.0])), focal, 1.0, centre, 0.0, np.empty((0, 2)))
    paths = paths.take(np.isfinite(start.on_road(paths.first) + start.on_road(paths.last)).all(axis=1))
    lanes = find_lanes(_beside(start, paths))
    start = moved_camera(start, np.array([0, 0, 0, 0, np.log(prior.lane_width / lanes.spacing), 0, 0]))
    whitening = np.linalg.inv(np.linalg.cholesky(cov + VANISHING_SIGMA**2 * np.eye(2)))

    def residual(step: np.ndarray) -> np.ndarray:
        state = moved_camera(start, step)
        ahead = state.rotation.as_matrix()[:, 0]
        seen = state.focal * ahead[:2] / ahead[2] + state.centre
        return np.concatenate([whitening @ (seen - meeting), _usual(state, start, paths, lanes, prior, size)])

    fit = least_squares(residual, np.zeros(7), x_scale=[0.01, 0.01, 0.01, 0.1, 0.1, 10.0, 10.0])
    return road_camera(name, size, moved_camera(start, fit.x), np.linalg.inv(fit.jac.T @ fit.jac))


def _usual(
    state: RoadState, start: RoadState, paths: Paths, lanes: Lanes, prior: TrafficPrior, size: tuple[int, int]
) -> np.ndarray:
    """How unusual roll, focal length, principal point, lane width and speeds are (6,), in sigmas."""
    roll = np.arcsin(state.rotation.as_matrix()[0, 2])
    off_centre = (state.centre - (np.array(size) - 1) / 2) / (prior.principal_point_sigma * size[0])
    travelled = np.abs(state.on_road(paths.last)[:, 0] - state.on_road(paths.first)[:, 0]) / paths.duration
    # a new horizon stretches all lateral positions alike, to first order: the lanes need not be found again
    stretch = np.polyfit(_beside(start, paths), _beside(state, paths), 1)[0]
    spacing = abs(stretch) * lanes.spacing * start.height
    lane_sigma = np.hypot(prior.lane_width_sigma, lanes.sigma / lanes.spacing)
    return np.array(
        [
            roll / prior.roll_sigma,
            np.log(state.focal / (prior.focal * size[0])) / prior.focal_sigma,
            *off_centre,
            np.log(spacing / prior.lane_width) / lane_sigma,
            np.log(np.median(travelled) / prior.speed) / prior.speed_sigma,
        ]
    )


def _beside(state: RoadState, paths: Paths) -> np.ndarray:
    """How far beside the axis each path runs: (M,) m."""
    return 0.5 * (state.on_road(paths.first)[:, 1] + state.on_road(paths.last)[:, 1])
