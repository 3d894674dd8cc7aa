"""Stone Soup's GNN and Kalman filter, fed with the ground points that geoloc's projection gives."""

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from geoloc.pipeline.projection import project_to_ground
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints

if TYPE_CHECKING:
    from stonesoup.types.detection import Detection
    from stonesoup.types.track import Track

ACCELERATION = 0.8  # m/s^1.5, as in geoloc's tracking
GATE_SIGMA = 4.0
SPEED_SIGMA = 1.5  # m/s
EPOCH = datetime(2024, 1, 1)
MAX_COAST = timedelta(seconds=5)
BUDGET_S = 60.0  # after which no further window is begun


def stone_soup_steps(site: Site, steps: list[Detections]) -> list[float] | None:
    """Seconds of each window, as many as the budget allows; None if Stone Soup is not installed.

    A window's cameras are taken in one after another: 2D assignment, Kalman update, new tracks for what is
    left over, old ones deleted. What is timed begins with Stone Soup's own detections.
    """
    try:
        import stonesoup  # noqa: F401
    except ImportError:
        return None
    engine, seconds = _Engine(), list[float]()
    for window in steps:
        if sum(seconds) > BUDGET_S:
            break
        points, _ = project_to_ground(window, site)
        at = EPOCH + timedelta(seconds=float(window.time.mean() - steps[0].time.min()))
        scans = _scans(points, at)
        start = time.perf_counter()
        for scan in scans:
            engine.take_in(scan, at)
        engine.forget(at)
        seconds.append(time.perf_counter() - start)
    return seconds


class _Engine:
    def __init__(self) -> None:
        from stonesoup.dataassociator.neighbour import GNNWith2DAssignment
        from stonesoup.hypothesiser.distance import DistanceHypothesiser
        from stonesoup.initiator.simple import SimpleMeasurementInitiator
        from stonesoup.measures import Mahalanobis
        from stonesoup.models.transition.linear import CombinedLinearGaussianTransitionModel, ConstantVelocity
        from stonesoup.predictor.kalman import KalmanPredictor
        from stonesoup.types.state import GaussianState
        from stonesoup.updater.kalman import KalmanUpdater

        motion = CombinedLinearGaussianTransitionModel([ConstantVelocity(ACCELERATION**2)] * 2)
        self.updater = KalmanUpdater(None)
        hypothesiser = DistanceHypothesiser(KalmanPredictor(motion), self.updater, Mahalanobis(), GATE_SIGMA)
        self.associator = GNNWith2DAssignment(hypothesiser)
        prior = GaussianState(np.zeros(4), np.diag([0.0, SPEED_SIGMA**2, 0.0, SPEED_SIGMA**2]), EPOCH)
        self.initiator = SimpleMeasurementInitiator(prior)
        self.tracks: set[Track] = set()

    def take_in(self, scan: set["Detection"], at: datetime) -> None:
        """One camera's points."""
        used = set()
        for track, hypothesis in self.associator.associate(self.tracks, scan, at).items():
            if hypothesis:
                track.append(self.updater.update(hypothesis))
                used.add(hypothesis.measurement)
        self.tracks |= self.initiator.initiate(scan - used, at)

    def forget(self, at: datetime) -> None:
        """Tracks that nothing was seen of for too long."""
        self.tracks = {track for track in self.tracks if at - track.timestamp <= MAX_COAST}


def _scans(points: GroundPoints, at: datetime) -> list[set["Detection"]]:
    """Stone Soup's detections, a set for each camera."""
    from stonesoup.models.measurement.linear import LinearGaussian
    from stonesoup.types.detection import Detection

    cov = points.cov + points.bias_cov
    scans: dict[str, set[Detection]] = {}
    for row, camera in enumerate(points.camera.tolist()):
        model = LinearGaussian(ndim_state=4, mapping=(0, 2), noise_covar=cov[row])
        detection = Detection(points.xy[row][:, None], timestamp=at, measurement_model=model)
        scans.setdefault(camera, set()).add(detection)
    return list(scans.values())
