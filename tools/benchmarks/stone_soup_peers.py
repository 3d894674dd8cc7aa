"""Stone Soup's trackers as an engine that takes scans of ground points: GNN, its KD-tree variant, JPDA by EHM.

Each gets the noise that its points state, the motion of geoloc's class, and births that must be confirmed. How many
points confirm, and after how long a track is given up, is what gave the KD-tree variant the least GOSPA: for walkers on
another seed, for cars on the scene itself. The gate is 4 sigmas wide; JPDA is told the true rates of detection
and clutter, and is not tuned further.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from geoloc.metrics.matching import Sightings
from geoloc.scene.kinds import Kind

if TYPE_CHECKING:
    from stonesoup.dataassociator.base import DataAssociator
    from stonesoup.types.detection import Detection
    from stonesoup.types.hypothesis import Hypothesis
    from stonesoup.types.track import Track

EPOCH = datetime(2024, 1, 1)
GATE_SIGMA = 4.0
GATE_PROBABILITY = 0.9997  # of the same gate in two dimensions
REACH_M = 5.0  # within which the KD-tree looks for points
SEEN = 0.5  # probability of having been seen, from which a soft assignment is a sighting

Scan = tuple[np.ndarray, np.ndarray]  # points (n, 2) m and covariances (n, 2, 2) m² of one camera at one time


@dataclass(frozen=True)
class Setting:
    """What a tracker must be told, and how it is tuned."""

    kind: Kind
    detects: float  # probability with which a camera finds what it sees
    clutter: float  # false points, 1/m² a scan
    confirm: int = 2  # points that confirm a track
    coast_s: float = 1.0  # without a point, after which a track is given up


@dataclass(frozen=True, eq=False)
class Tracked:
    """What a tracker said: the confirmed tracks that lived in each step (its frame)."""

    tracks: Sightings
    cpu_s: list[float]  # of each step


PEERS = ("GNN, 2D assignment", "GNN, 2D assignment, KD-tree", "JPDA by EHM")


def run_peer(name: str, setting: Setting, steps: Sequence[tuple[float, list[Scan]]], budget_s: float) -> Tracked | None:
    """Feed a tracker the scans of each step (time in s); none begins beyond the budget. None: it is not installed.

    What is timed begins with Stone Soup's own detections.
    """
    try:
        import stonesoup  # noqa: F401
    except ImportError:
        return None
    peer = _Peer(name, setting)
    rows, numbers, seconds = list[tuple[int, int, float, float]](), dict[str, int](), list[float]()
    for step, (now, scans) in enumerate(steps):
        if sum(seconds) > budget_s:
            break
        at = EPOCH + timedelta(seconds=now - steps[0][0])
        given = [_detections(scan, at, one_model="KD-tree" in name) for scan in scans]
        start = time.process_time()
        for scan in given:
            peer.take_in(scan, at)
        peer.forget(at)
        seconds.append(time.process_time() - start)
        for track in peer.tracks:
            number = numbers.setdefault(track.id, len(numbers))
            rows.append((step, number, *peer.place(track, at).tolist()))
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return Tracked(Sightings(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:]), seconds)


class _Peer:
    def __init__(self, name: str, setting: Setting) -> None:
        from stonesoup.deleter.time import UpdateTimeDeleter
        from stonesoup.initiator.simple import MultiMeasurementInitiator
        from stonesoup.models.transition.linear import CombinedLinearGaussianTransitionModel, ConstantVelocity
        from stonesoup.predictor.kalman import KalmanPredictor
        from stonesoup.types.state import GaussianState
        from stonesoup.updater.kalman import KalmanUpdater

        kind, self.setting = setting.kind, setting
        motion = CombinedLinearGaussianTransitionModel([ConstantVelocity(kind.acceleration**2)] * 2)
        self.predictor, self.updater = KalmanPredictor(motion), KalmanUpdater(None)
        self.associator = self._associator(name)
        prior = GaussianState(np.zeros(4), np.diag([0.0, kind.speed**2, 0.0, kind.speed**2]), EPOCH)
        holding = UpdateTimeDeleter(timedelta(seconds=setting.coast_s))
        # Stone Soup's initiator takes hard assignments only
        held = self._associator(PEERS[0])
        self.initiator = MultiMeasurementInitiator(prior, holding, held, self.updater, min_points=setting.confirm)
        self.tracks: set[Track] = set()
        self.last_seen: dict[str, datetime] = {}

    def _associator(self, name: str) -> "DataAssociator":
        from stonesoup.dataassociator.neighbour import GNNWith2DAssignment
        from stonesoup.dataassociator.probability import JPDAwithEHM
        from stonesoup.dataassociator.tree import DetectionKDTreeGNN2D
        from stonesoup.hypothesiser.distance import DistanceHypothesiser
        from stonesoup.hypothesiser.probability import PDAHypothesiser
        from stonesoup.measures import Mahalanobis

        if name.startswith("JPDA"):
            given = self.setting.clutter, self.setting.detects, GATE_PROBABILITY
            return JPDAwithEHM(PDAHypothesiser(self.predictor, self.updater, *given))
        near = DistanceHypothesiser(self.predictor, self.updater, Mahalanobis(), GATE_SIGMA)
        if "KD-tree" in name:
            return DetectionKDTreeGNN2D(near, self.predictor, self.updater, max_distance=REACH_M)
        return GNNWith2DAssignment(near)

    def take_in(self, scan: set["Detection"], at: datetime) -> None:
        """One camera's points."""
        used = set()
        for track, hypothesis in self.associator.associate(self.tracks, scan, at).items():
            used |= self._update(track, hypothesis, at)
        for track in self.initiator.initiate(scan - used, at):
            self.tracks.add(track)
            self.last_seen[track.id] = at

    def _update(self, track: "Track", hypothesis: "Hypothesis", at: datetime) -> set["Detection"]:
        """Move a track on by what was assigned to it, hard or soft; the points that are its own."""
        from stonesoup.types.multihypothesis import MultipleHypothesis
        from stonesoup.updater.probability import PDAUpdater

        if not isinstance(hypothesis, MultipleHypothesis):
            if not hypothesis:
                return set()
            track.append(self.updater.update(hypothesis))
            self.last_seen[track.id] = at
            return {hypothesis.measurement}
        points = [one for one in hypothesis if one]
        if not points:
            return set()
        track.append(PDAUpdater(points[0].measurement.measurement_model).update(hypothesis))
        missed = sum(float(one.probability) for one in hypothesis if not one)
        if 1.0 - missed >= SEEN:
            self.last_seen[track.id] = at
        return {one.measurement for one in points if float(one.probability) >= SEEN}

    def forget(self, at: datetime) -> None:
        """Tracks that nothing was seen of for too long."""
        longest = timedelta(seconds=self.setting.coast_s)
        self.tracks = {track for track in self.tracks if at - self.last_seen[track.id] <= longest}

    def place(self, track: "Track", at: datetime) -> np.ndarray:
        """x, y (m) of a track at a time."""
        state = track.state if track.timestamp == at else self.predictor.predict(track.state, timestamp=at)
        return np.asarray(state.mean, float).ravel()[[0, 2]]


def _detections(scan: Scan, at: datetime, one_model: bool) -> set["Detection"]:
    """Stone Soup's detections; `one_model`: of the scan's mean covariance, as its KD-tree asks."""
    from stonesoup.models.measurement.linear import LinearGaussian
    from stonesoup.types.detection import Detection

    xy, cov = scan
    covs = np.broadcast_to(cov.mean(axis=0), cov.shape) if one_model else cov
    models = [LinearGaussian(ndim_state=4, mapping=(0, 2), noise_covar=each) for each in covs]
    return {
        Detection(point[:, None], timestamp=at, measurement_model=models[0 if one_model else row])
        for row, point in enumerate(xy)
    }

