"""A road camera from its traffic alone: nothing is measured, so the scale is what roads and drivers usually do.

Tracks carry the vanishing point of the road and where its lanes are. They carry neither the focal length nor a
scale: those come from stated priors (an upright camera, a usual lane, a usual speed), and the covariance is as wide
as they are. Views that see the same traffic find their focal lengths together (`traffic_views`). Where one distance
can be measured, `calibrate_road` is ten times better. Published automatic methods take focal length from vehicles'
edges and the scale from their size, which tracks of points do not have (Dubská et al., IEEE T-ITS 2014; Sochor et
al., CVIU 2017).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from geoloc.calibrate.road import road_camera
from geoloc.calibrate.road_start import frame_of
from geoloc.calibrate.road_system import RoadState, moved_camera
from geoloc.calibrate.traffic_paths import Lanes, Paths, possible_lanes, straight_paths, vanishing_point
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.roads import PixelTracks

VANISHING_SIGMA = 5.0  # px, added to the vanishing point's: roads bend a little, and tracks wander
SEED = 1


@dataclass(frozen=True)
class TrafficPrior:
    """What is assumed of a road whose traffic is all that is known; sigmas of lengths, speeds, focals are relative."""

    lane_width: float = 3.5  # m, between the paths of two lanes; European main roads have lanes of 3.5 and 3.75
    lane_width_sigma: float = 0.1  # and drivers do not keep to the middle of their lane
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
    scene = traffic_scene(size, tracks, prior or TrafficPrior())
    _, state, cov = scene.best_fit()
    return road_camera(name, size, state, cov)


def traffic_scene(size: tuple[int, int], tracks: PixelTracks, prior: TrafficPrior) -> "TrafficScene":
    """The paths that run along the road, where they meet, and a camera of usual focal length over them."""
    paths = straight_paths(tracks, size)
    meeting, cov, inlying = vanishing_point(paths, np.random.default_rng(SEED))
    paths = paths.take(inlying)
    centre = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    focal = prior.focal * size[0]
    start = RoadState(frame_of(np.array([*(meeting - centre) / focal, 1.0])), focal, 1.0, centre, 0.0, np.empty((0, 2)))
    paths = paths.take(np.isfinite(start.on_road(paths.first) + start.on_road(paths.last)).all(axis=1))
    whitening = np.linalg.inv(np.linalg.cholesky(cov + VANISHING_SIGMA**2 * np.eye(2)))
    return TrafficScene(start, paths, meeting, whitening, prior)


@dataclass(frozen=True, eq=False)
class TrafficScene:
    """What the tracks say, with a camera of unit height over them to start from."""

    start: RoadState
    paths: Paths
    meeting: np.ndarray
    whitening: np.ndarray
    prior: TrafficPrior

    def best_fit(self) -> tuple[Lanes, RoadState, np.ndarray]:
        """Lanes, camera and covariance (7, 7), for the number of lanes that makes vehicles and camera most usual."""
        found = possible_lanes(_beside(self.start, self.paths))
        fits = [self.fit(lanes) for lanes in found]
        best = min(range(len(fits)), key=lambda i: fits[i][0])
        return found[best], *fits[best][1:]

    def fit(self, lanes: Lanes) -> tuple[float, RoadState, np.ndarray]:
        """Cost, camera and covariance (7, 7) if these are the lanes."""
        start = moved_camera(self.start, np.array([0, 0, 0, 0, np.log(self.prior.lane_width / lanes.spacing), 0, 0]))
        found = least_squares(
            lambda step: self.residual(moved_camera(start, step), lanes),
            np.zeros(7),
            x_scale=[0.01, 0.01, 0.01, 0.1, 0.1, 10.0, 10.0],
        )
        return float(found.cost), moved_camera(start, found.x), np.linalg.inv(found.jac.T @ found.jac)

    def residual(self, state: RoadState, lanes: Lanes) -> np.ndarray:
        """How far the vanishing point is off, and how unusual roll, lens, lane width and speeds are (8,), in sigmas."""
        prior = self.prior
        ahead = state.rotation.as_matrix()[:, 0]
        seen = state.focal * ahead[:2] / ahead[2] + state.centre
        first, last = state.on_road(self.paths.first), state.on_road(self.paths.last)
        speed = np.median(np.abs(last[:, 0] - first[:, 0]) / self.paths.duration)
        # a new horizon stretches all lateral positions alike, to first order: the lanes need not be found again
        spacing = lanes.spacing * abs(np.polyfit(_beside(self.start, self.paths), 0.5 * (first + last)[:, 1], 1)[0])
        return np.concatenate(
            [
                self.whitening @ (seen - self.meeting),
                (state.centre - self.start.centre) / (prior.principal_point_sigma * self.start.focal / prior.focal),
                [
                    np.arcsin(state.rotation.as_matrix()[0, 2]) / prior.roll_sigma,
                    np.log(state.focal / self.start.focal) / prior.focal_sigma,
                    np.log(spacing / prior.lane_width) / np.hypot(prior.lane_width_sigma, lanes.sigma / lanes.spacing),
                    np.log(speed / prior.speed) / prior.speed_sigma,
                ],
            ]
        )


def _beside(state: RoadState, paths: Paths) -> np.ndarray:
    """How far beside the axis each path runs: (M,) m."""
    return 0.5 * (state.on_road(paths.first)[:, 1] + state.on_road(paths.last)[:, 1])
