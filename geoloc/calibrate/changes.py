"""What another calibration changes: how far cameras moved and turned, and how far points on the ground shift."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.scene.camera import Camera
from geoloc.scene.ground import intersect_ground
from geoloc.scene.sitemap import SiteMap

STEP_PX = 32.0  # between the pixels that are looked at
FAR_M = 100.0  # ground farther from the camera than this does not count


@dataclass(frozen=True)
class Change:
    """What became of one camera: "same", "changed", "new" or "gone"; how far it moved and turned.

    `shift_median_m` and `shift_p95_m`: how far apart both calibrations put the ground under one pixel, over all
    pixels that show ground within FAR_M; NaN where there is none to compare.
    """

    camera: str
    state: str
    moved_m: float = float("nan")
    turned_deg: float = float("nan")
    shift_median_m: float = float("nan")
    shift_p95_m: float = float("nan")

    def __str__(self) -> str:
        if self.state != "changed":
            return f"{self.camera}: {self.state}"
        moved = f"moved {100 * self.moved_m:.1f} cm, turned {self.turned_deg:.2f} deg; "
        moved = "" if np.isnan(self.moved_m) else moved
        if np.isnan(self.shift_median_m):
            return f"{self.camera}: {moved}no ground to compare"
        shift = f"ground shifts {100 * self.shift_median_m:.1f} cm (median), {100 * self.shift_p95_m:.1f} cm (95 %)"
        return f"{self.camera}: {moved}{shift}"


def changes(before: Sequence[Camera], after: Sequence[Camera], site_map: SiteMap) -> tuple[Change, ...]:
    """What became of each camera, by name in the order of `after`, those that are gone last."""
    old = {camera.name: camera for camera in before}
    found = [
        compare(old[camera.name], camera, site_map) if camera.name in old else Change(camera.name, "new")
        for camera in after
    ]
    kept = {camera.name for camera in after}
    return (*found, *(Change(name, "gone") for name in old if name not in kept))


def compare(before: Camera, after: Camera, site_map: SiteMap) -> Change:
    """What another calibration of one camera changes."""
    shift = ground_shift(before, after, site_map)
    median, p95 = (float(np.quantile(shift, q)) if len(shift) else float("nan") for q in (0.5, 0.95))
    if before.is_homography or after.is_homography:
        return Change(after.name, "changed" if median != 0 else "same", shift_median_m=median, shift_p95_m=p95)
    moved = float(np.linalg.norm(after.centre_world - before.centre_world))
    turned = float(np.degrees((after.cam_from_world.rotation * before.cam_from_world.rotation.inv()).magnitude()))
    same = moved < 1e-9 and turned < 1e-7 and (np.isnan(p95) or p95 < 1e-9)
    return Change(after.name, "same" if same else "changed", moved, turned, median, p95)


def ground_shift(before: Camera, after: Camera, site_map: SiteMap) -> np.ndarray:
    """How far apart (M,) m two calibrations put the ground under each pixel of a grid that shows ground in both.

    Images of another size have no pixel in common: (0,).
    """
    if tuple(before.size) != tuple(after.size):
        return np.zeros(0)
    u, v = (np.arange(STEP_PX / 2, side, STEP_PX) for side in after.size)
    pixels = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    places = [_ground(camera, pixels, site_map) for camera in (before, after)]
    apart = np.linalg.norm(places[0] - places[1], axis=1)
    near = np.linalg.norm(places[1][:, :2] - after.anchor_xy, axis=1) <= FAR_M
    return apart[np.isfinite(apart) & near]


def _ground(camera: Camera, pixels: np.ndarray, site_map: SiteMap) -> np.ndarray:
    """Ground (N, 3) m under pixels; NaN where there is none."""
    if camera.is_homography:
        xy = camera.level_xy(pixels)
        return np.column_stack([xy, site_map.level(camera.homography_level).z_at(xy)])
    rays = camera.unproject(pixels)
    seen = np.isfinite(rays).all(axis=1)
    out = np.full((len(pixels), 3), np.nan)
    out[seen] = intersect_ground(site_map, camera.centre_world[None], rays[seen]).xyz
    return out
