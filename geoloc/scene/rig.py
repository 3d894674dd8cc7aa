"""The cameras of a site as arrays, one row a camera, so that rows of all cameras are handled at once."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Homography, RadialTangential
from geoloc.scene.site import Site


@dataclass(frozen=True, eq=False)
class Rig:
    """Constants of C cameras. `families` lists the lens classes present, `family` says which a camera has."""

    families: tuple[type, ...]
    family: np.ndarray  # (C,) index into families
    params: tuple[np.ndarray, ...]  # per family (C, P), zero where the camera's lens has fewer
    limit: np.ndarray  # (C,) see Lens.limit
    rotation: np.ndarray  # (C, 3, 3) of cam_from_world
    translation: np.ndarray  # (C, 3) m
    centre: np.ndarray  # (C, 3) m, world; NaN without a pose
    calib_cov: np.ndarray  # (C, M, M) padded with zeros
    freed: np.ndarray  # (C, M - 6) index of each freed lens parameter; 0 where padded
    size: np.ndarray  # (C, 2) px
    level: np.ndarray  # (C,) level index of a homography; -1 otherwise
    homography_var: np.ndarray  # (C,) px²


@lru_cache(maxsize=16)
def rig_of(site: Site) -> Rig:
    """The arrays of `site`'s cameras, made once a site; InputError without any, or for one under the ground."""
    cameras = site.cameras
    n = len(cameras)
    if not n:
        raise InputError(f"site {site.name!r} has no cameras; add them with site.with_cameras")
    site.require_cameras_above_ground()
    classes = [_family(camera) for camera in cameras]
    families = tuple(sorted(set(classes), key=lambda cls: cls.__name__))
    n_freed = max(len(camera.freed) for camera in cameras)
    calib_cov = np.zeros((n, 6 + n_freed, 6 + n_freed))
    freed = np.zeros((n, n_freed), dtype=np.intp)
    for i, camera in enumerate(cameras):
        m = 6 + len(camera.freed)
        calib_cov[i, :m, :m] = camera.calib_cov
        freed[i, : m - 6] = camera.freed_index
    poses = [camera.cam_from_world for camera in cameras]
    rotation = np.array([pose.rotation.as_matrix() for pose in poses])
    translation = np.array([pose.translation for pose in poses])
    centre = np.full((n, 3), np.nan)
    for i, camera in enumerate(cameras):
        if not camera.is_homography:
            centre[i] = camera.centre_world
    return Rig(
        families=families,
        family=np.array([families.index(cls) for cls in classes], dtype=np.intp),
        params=tuple(_stack_params(cameras, classes, cls) for cls in families),
        limit=np.array([camera.lens.limit for camera in cameras]),
        rotation=rotation,
        translation=translation,
        centre=centre,
        calib_cov=calib_cov,
        freed=freed,
        size=np.array([camera.size for camera in cameras], dtype=float),
        level=np.array([site.site_map.level_index.get(camera.homography_level, -1) for camera in cameras]),
        homography_var=np.array([camera.homography_sigma_px**2 for camera in cameras]),
    )


def _family(camera: Camera) -> type:
    """The class whose row functions serve this lens: pinhole is radial-tangential without coefficients."""
    return next(cls for cls in (Homography, Fisheye, RadialTangential) if isinstance(camera.lens, cls))


def _stack_params(cameras: tuple[Camera, ...], classes: list[type], cls: type) -> np.ndarray:
    width = max(len(camera.lens.params) for camera, own in zip(cameras, classes, strict=True) if own is cls)
    stacked = np.zeros((len(cameras), width))
    for i, (camera, own) in enumerate(zip(cameras, classes, strict=True)):
        if own is cls:
            stacked[i, : len(camera.lens.params)] = camera.lens.params
    return stacked
