"""Scans of maps as a scanner would bring them: noise, cars, a slab's underside, parts missing, any pose."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.calibrate.scan_faces import map_faces
from geoloc.scene.sitemap import SiteMap

NOISE = 0.02  # m
WALL_SIGMA = 0.03  # m, by which each wall stands off the map
CAR = np.array([4.5, 1.8, 1.5])  # m


@dataclass(frozen=True, eq=False)
class Sample:
    points: np.ndarray  # in the scan's frame
    world_from_scan: RigidTransform
    world: np.ndarray


def scan_of(
    site_map: SiteMap, rng: np.random.Generator, n_cars: int = 40, missing: float = 0.25, upright: bool = False
) -> Sample:
    """A scan of all faces of a map, each off by its sigma."""
    faces = map_faces(site_map, 0.12, WALL_SIGMA)
    off = rng.normal(size=len(faces.sigma)) * faces.sigma
    points = faces.points + off[faces.face, None] * faces.normal[faces.face]
    points = points[rng.random(len(points)) < 0.6]
    stalls = [site_map.stalls[i] for i in rng.permutation(len(site_map.stalls))[:n_cars]]
    cars = [_car(np.array(stall.polygon.centroid.coords[0]), _z(site_map, stall), rng) for stall in stalls]
    ceiling = points[(points[:, 2] > 2.9) & (points[:, 2] < 3.1)] - [0.0, 0.0, 0.3]
    points = np.concatenate([points, ceiling, *cars])
    points = points[~_missing(points, missing, rng)]
    points = points + NOISE * rng.normal(size=points.shape)
    turn = Rotation.from_rotvec([0, 0, rng.uniform(0, 2 * np.pi)]) if upright else Rotation.random(rng=rng)
    pose = RigidTransform.from_components(rng.uniform(-100, 100, 3), turn)
    return Sample(pose.inv().apply(points), pose, points)


def _z(site_map: SiteMap, stall) -> float:
    return float(site_map.level(stall.level).z_at(np.array(stall.polygon.centroid.coords))[0])


def _car(xy: np.ndarray, z: float, rng: np.random.Generator) -> np.ndarray:
    box = rng.uniform(-0.5, 0.5, (400, 3))
    side = rng.integers(0, 3, 400)
    box[np.arange(400), side] = np.sign(box[np.arange(400), side]) * 0.5
    turned = box[:, [1, 0, 2]] * CAR[[1, 0, 2]]
    return turned + np.append(xy + rng.normal(size=2) * 0.2, z + 0.25 + CAR[2] / 2)


def _missing(points: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """All on one side of a line: a scanner that never went there."""
    angle = rng.uniform(0, 2 * np.pi)
    along = points[:, :2] @ [np.cos(angle), np.sin(angle)]
    return along > np.quantile(along, 1 - share)
