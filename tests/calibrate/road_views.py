"""Roads with truth: cameras over a level road and what is marked on it, with known noise."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.roads import ACROSS, ALONG, PixelTracks, RoadSegments

SIZE = (1920, 1080)
PIXEL_SIGMA, TAPE_SIGMA, ANGLE_SIGMA, LANE_PIXEL_SIGMA = 2.0, 0.02, 0.01, 1.0


@dataclass(frozen=True, eq=False)
class RoadTruth:
    """A camera over z = 0, the marks on the road, and true lengths (N,) m; the last segments are lane lines."""

    camera: Camera
    segments: RoadSegments
    length: np.ndarray


def road_camera_of(rng: np.random.Generator, focal: float = 0.0) -> Camera:
    """A camera 7 to 11 m over the origin that looks along x, 15 to 25 degrees down, a little to a side and rolled."""
    pan, tilt, roll = np.deg2rad([rng.uniform(-20, 20), rng.uniform(12, 20), rng.normal(0, 2)])
    level = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    turn = Rotation.from_euler("z", roll) * Rotation.from_euler("x", tilt) * Rotation.from_euler("y", pan)
    rotation = turn * Rotation.from_matrix(level)
    height = rng.uniform(7, 11)
    centre = (np.array(SIZE) - 1) / 2 + rng.normal(0, 0.01 * SIZE[0], 2)
    focal = focal or rng.uniform(2000, 3500)
    pose = RigidTransform.from_components(-rotation.apply([0, 0, height]), rotation)
    return Camera("bridge", Pinhole(np.array([focal, focal, *centre])), SIZE, pose)


def road_truth(rng: np.random.Generator, camera: Camera | None = None) -> RoadTruth:
    """Distances along two edges, across at both ends and one diagonal, and three lane lines."""
    camera = camera or road_camera_of(rng)
    near, side = _in_view(camera)
    x = near + np.array([0.0, 8.0, 16.0, 24.0])
    left, right = side + 4.0, side - 4.0
    along = [((x[i], y), (x[i + 1], y)) for y in (left, right) for i in range(3)]
    across = [((x[i], left), (x[i], right)) for i in (0, 2, 3)]
    lanes = [((x[0], y), (x[3], y)) for y in (left - 0.5, side, right + 0.5)]
    points = np.array([*along, *across, *lanes])
    direction = np.array([ALONG] * len(along) + [ACROSS] * len(across) + [ALONG] * len(lanes))
    is_lane = np.arange(len(points)) >= len(along) + len(across)
    angle = np.where(is_lane, 0.001, ANGLE_SIGMA)
    pixel_sigma = np.where(is_lane, LANE_PIXEL_SIGMA, PIXEL_SIGMA)
    turned = _turned(points, rng.normal(0, angle))
    length = np.linalg.norm(turned[:, 0] - turned[:, 1], axis=1)
    pixels = camera.project(np.dstack([turned, np.zeros(turned.shape[:2])]).reshape(-1, 3)).reshape(-1, 2, 2)
    ends = pixels + rng.normal(size=pixels.shape) * pixel_sigma[:, None, None]
    taped = np.where(is_lane, np.nan, length + rng.normal(0, TAPE_SIGMA, len(length)))
    segments = RoadSegments(
        ends=ends,
        length=taped,
        length_sigma=np.full(len(length), TAPE_SIGMA),
        direction=direction,
        direction_sigma=angle,
        pixel_sigma=pixel_sigma,
    )
    return RoadTruth(camera, segments, length)


def traffic(rng: np.random.Generator, camera: Camera, lane_width: float, speed: float, lanes: int = 2) -> PixelTracks:
    """150 vehicles that come towards the camera in `lanes` lanes, around a middle `speed` (m/s), at 25 a second."""
    near, side = _in_view(camera)
    rows = []
    for track in range(150):
        own = speed * np.exp(rng.normal(0, 0.1))
        y = side + lane_width * (rng.integers(lanes) - (lanes - 1) / 2) + rng.normal(0, 0.3)
        time = np.arange(0.0, 30.0 / own, 0.04)
        road = np.column_stack([near + 28.0 - own * time, np.full(len(time), y), np.zeros(len(time))])
        pixel = camera.project(road) + rng.normal(0, 1.0, (len(time), 2))
        seen = camera.inside(pixel)
        rows.append(PixelTracks(time=4.0 * track + time[seen], track=np.full(seen.sum(), track), pixel=pixel[seen]))
    return PixelTracks.concat(rows)


def shared_traffic(rng: np.random.Generator, lane_width: float, speed: float) -> tuple[list[Camera], list[PixelTracks]]:
    """Three cameras on one bridge that look from the left, the middle and the right at the same 100 vehicles.

    Their clocks are 7 s apart, and where a vehicle's tracked point lies on it differs by 0.1 m from view to view.
    """
    cameras = [_turned_camera(rng, pan, side) for pan, side in ((-25, 12.0), (3, 1.0), (20, -9.0))]
    tracks: list[list[PixelTracks]] = [[], [], []]
    for vehicle, begin in enumerate(np.cumsum(rng.exponential(6.0, 100))):
        own = speed * np.exp(rng.normal(0, 0.1))
        y = lane_width * rng.integers(2) + rng.normal(0, 0.3)
        time = np.arange(0.0, 50.0 / own, 0.04)
        for view, camera in enumerate(cameras):
            x, beside = 70.0 - own * time + rng.normal(0, 0.1), y + rng.normal(0, 0.1)
            road = np.column_stack([x, np.full(len(x), beside), np.zeros(len(x))])
            pixel = camera.project(road) + rng.normal(0, 1.0, (len(x), 2))
            seen = camera.inside(pixel)
            index = np.full(seen.sum(), vehicle)
            tracks[view].append(PixelTracks(time=7.0 * view + begin + time[seen], track=index, pixel=pixel[seen]))
    return cameras, [PixelTracks.concat(own) for own in tracks]


def _turned_camera(rng: np.random.Generator, pan_deg: float, side: float) -> Camera:
    """A camera about 9 m over the road, `side` m to the left, that looks `pan_deg` to the left (negative: right)."""
    pan, tilt, roll = np.deg2rad([pan_deg, rng.uniform(14, 20), rng.normal(0, 2)])
    level = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    turn = Rotation.from_euler("z", roll) * Rotation.from_euler("x", tilt) * Rotation.from_euler("y", pan)
    rotation = turn * Rotation.from_matrix(level)
    focal = rng.uniform(1900, 3300)
    lens = Pinhole(np.array([focal, focal, (SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2]))
    centre = [0.0, side, rng.uniform(8, 10)]
    return Camera("bridge", lens, SIZE, RigidTransform.from_components(-rotation.apply(centre), rotation))


def _turned(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Segments (N, 2, 2) turned about their middles."""
    middle = points.mean(axis=1, keepdims=True)
    cos, sin = np.cos(angle), np.sin(angle)
    return middle + np.einsum("nij,nkj->nki", np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1), points - middle)


def _in_view(camera: Camera) -> tuple[float, float]:
    """Where the stretch of road begins (m), and the middle of the carriageway beside the axis (m)."""
    ray = camera.unproject(np.array([[SIZE[0] / 2, 0.9 * SIZE[1]]]))[0]
    start = camera.centre_world[2] * ray[:2] / -ray[2]
    return float(start[0]), float(start[1])
