"""The answer to "where was this image taken": a pose with its covariance, rival poses, or why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import GeometryError
from geoloc.relocalize.evidence import Evidence
from geoloc.relocalize.map_frame import MapFrame
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import SiteMap

DRAWS = 500  # heights that the level's probability is told from


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One place where an image may have been taken.

    `camera` has lens, pose and `calib_cov` (6 + k, 6 + k); `features` and `points` (K,) int are the rows of the
    image's features and of the map's landmarks that it rests on; `probability` is beside the other hypotheses and
    "none of them". `level` is the name of the level below it with its probability; "" without a map.
    """

    camera: Camera
    features: np.ndarray
    points: np.ndarray
    evidence: Evidence
    probability: float
    level: str = ""
    level_probability: float = 0.0


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """The pose of one image, or, where `refusal` says why, none; `hypotheses`, the likeliest first, are there anyway.

    What is asked of a refused one raises GeometryError with the reason.
    """

    hypotheses: tuple[Hypothesis, ...]
    refusal: str = ""

    @property
    def answered(self) -> bool:
        """Whether there is a pose."""
        return not self.refusal

    @property
    def best(self) -> Hypothesis:
        """The likeliest hypothesis."""
        if self.refusal:
            raise GeometryError(f"the image has no pose: {self.refusal}")
        return self.hypotheses[0]

    @property
    def camera(self) -> Camera:
        """Lens and pose, with the covariance of both."""
        return self.best.camera

    @property
    def cam_from_world(self) -> RigidTransform:
        """The pose."""
        return self.camera.cam_from_world

    @property
    def cov(self) -> np.ndarray:
        """Covariance (6, 6) of `exp(xi) * cam_from_world`: rotation (rad), then translation (m)."""
        return self.camera.calib_cov[:6, :6]

    @property
    def level(self) -> str:
        """The level on which it was taken; "" without a map."""
        return self.best.level

    @property
    def level_probability(self) -> float:
        """How probable that level is, of a right pose."""
        return self.best.level_probability

    @property
    def probability(self) -> float:
        """How probable the best hypothesis is."""
        return self.best.probability

    @property
    def n_inliers(self) -> int:
        """Landmarks that the pose rests on."""
        return len(self.best.points)

    @property
    def evidence(self) -> Evidence:
        """What landmarks say to which the pose was not fitted."""
        return self.best.evidence


def spread_cov(hypotheses: tuple[Hypothesis, ...], elsewhere: Sequence[Camera] = ()) -> np.ndarray:
    """Covariance (6, 6) about the likeliest hypothesis of all of them together, each with its probability.

    What is left to "none of them" is where the map's images were taken, `elsewhere`.
    """
    first = hypotheses[0].camera.cam_from_world
    total = sum(each.probability for each in hypotheses)
    cov = np.zeros((6, 6))
    for each in hypotheses:
        xi = (each.camera.cam_from_world * first.inv()).as_exp_coords()
        cov += each.probability * (each.camera.calib_cov[:6, :6] + np.outer(xi, xi))
    if not elsewhere:
        return cov / total
    away = np.array([(camera.cam_from_world * first.inv()).as_exp_coords() for camera in elsewhere])
    return cov + max(1 - total, 0.0) * away.T @ away / len(away)


def on_site(camera: Camera, frame: MapFrame) -> Camera:
    """A camera placed on a map, with what is open of the map's own place added to its covariance."""
    if not frame.cov.any():
        return camera
    cov = camera.calib_cov.copy()
    cov[:6, :6] += frame.pose_cov(camera)
    return replace(camera, calib_cov=cov)


def find_level(camera: Camera, site_map: SiteMap, rng: np.random.Generator) -> tuple[str, float]:
    """The level that a camera most probably stands over, the highest below it, and how probable that is.

    Over none of them: "" with the probability of that.
    """
    # centre = -R' t moves by -R' v under a translation v of exp(xi)
    turn = camera.cam_from_world.rotation.as_matrix()
    cov = turn.T @ camera.calib_cov[3:6, 3:6] @ turn
    places = rng.multivariate_normal(camera.centre_world, cov, DRAWS, method="eigh")
    heights = np.stack([_heights(site_map, index, places) for index in range(len(site_map.levels))], axis=1)
    heights = np.where(heights < places[:, 2:], heights, -np.inf)  # false for NaN
    on = np.where(np.isfinite(heights).any(axis=1), heights.argmax(axis=1), len(site_map.levels))
    counts = np.bincount(on, minlength=len(site_map.levels) + 1)
    best = int(counts.argmax())
    name = site_map.levels[best].name if best < len(site_map.levels) else ""
    return name, float(counts[best] / DRAWS)


def _heights(site_map: SiteMap, index: int, places: np.ndarray) -> np.ndarray:
    return site_map.levels[index].z_at(places[:, :2])
