"""Straight lines of the world, drawn into the stills of the tests' cameras."""

import numpy as np

from geoloc.scene.camera import Camera
from geoloc.scene.known import ImageLines

SHORTEST = 60.0  # px; shorter lines say little
N_TRIED = 500
FAR = 1e7  # m; where the horizon is


def draw_lines(
    rng: np.random.Generator, camera: Camera, target: np.ndarray, plumb: int = 0, parallel: int = 0,
    bearing_deg: float = 30.0, group: str = "kerb", horizon: bool = False, sigma: float = 1.0,
    stated_deg: float = float("nan"),
) -> ImageLines:  # fmt: skip
    """Lines about `target` (3,) m that the camera sees, each end off by `sigma` px on either axis."""
    angle = np.radians(bearing_deg)
    wanted = [("plumb", np.array([0.0, 0.0, 1.0]))] * plumb
    wanted += [("parallel", np.array([np.sin(angle), np.cos(angle), 0.0]))] * parallel
    ends = [(kind, _segment(rng, camera, target, along)) for kind, along in wanted]
    if horizon:
        ends.append(("horizon", _horizon(camera)))
    pixels = np.array([pair for _, pair in ends]).reshape(-1, 2, 2) + rng.normal(0, sigma, (len(ends), 2, 2))
    kinds = np.array([kind for kind, _ in ends], dtype=str)
    level = kinds == "parallel"
    return ImageLines(
        camera=[camera.name] * len(ends), kind=kinds, group=np.where(level, group, ""), start=pixels[:, 0],
        end=pixels[:, 1], sigma=np.full(len(ends), sigma), bearing=np.where(level, np.radians(stated_deg), np.nan),
    )  # fmt: skip


def _segment(rng: np.random.Generator, camera: Camera, target: np.ndarray, along: np.ndarray) -> np.ndarray:
    """The ends of a line that the camera sees well; where it hardly sees any, the longest of many."""
    distance = float(np.linalg.norm(target - camera.centre_world))
    rays = camera.unproject(rng.uniform([0, 0], np.array(camera.size) - 1, (N_TRIED, 2)))
    with np.errstate(invalid="ignore", divide="ignore"):
        down = camera.centre_world[2] / -rays[:, 2:]
    feet = camera.centre_world + np.where((down > 0) & (down < 3 * distance), down, np.nan) * rays
    tops = feet + rng.uniform(0.05, 0.4, (N_TRIED, 1)) * distance * along
    pixels = np.stack([camera.project(feet), camera.project(tops)], axis=1)
    with np.errstate(invalid="ignore"):
        inside = camera.inside(pixels.reshape(-1, 2)).reshape(-1, 2).all(axis=1) & np.isfinite(pixels).all(axis=(1, 2))
    length = np.where(inside, np.linalg.norm(pixels[:, 0] - pixels[:, 1], axis=1), 0.0)
    assert length.max() > 0
    return pixels[np.argmax(np.minimum(length, SHORTEST))]


def _horizon(camera: Camera) -> np.ndarray:
    ahead = camera.cam_from_world.rotation.as_matrix()[2, :2]
    ahead = ahead / np.linalg.norm(ahead)
    far = [ahead * np.cos(turn) + np.array([-ahead[1], ahead[0]]) * np.sin(turn) for turn in (-0.2, 0.2)]
    return camera.project(np.array([[*(FAR * side), camera.centre_world[2]] for side in far]))
