"""The cameras of a site as arrays, so that rows of all cameras are handled at once."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Homography, RadialTangential
from geoloc.scene.site import Site


@dataclass(frozen=True, eq=False)
class Rig:
    """Constants of C cameras. `families` lists the lens classes present, `family` says which a camera has.

    What a family's equations take has the cameras last, and a column for each camera of the site.
    """

    families: tuple[type, ...]
    family: np.ndarray  # (C,) index into families
    params: tuple[np.ndarray, ...]  # per family (P, C), zero where the camera's lens has fewer, or is another
    freed: tuple[tuple[int, ...], ...]  # per family the lens parameters that any of its cameras has freed
    calib_cov: tuple[np.ndarray, ...]  # per family (6 + k, 6 + k, C): turn and shift in world axes, `freed`
    limit: np.ndarray  # (C,) see Lens.limit
    rotation: np.ndarray  # (3, 3, C) of cam_from_world
    centre: np.ndarray  # (C, 3) m, world; NaN without a pose
    size: np.ndarray  # (2, C) px
    ground_from_image: np.ndarray  # (3, 3, C) inverse of a homography, positive along the image's lower edge
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
    members = [[i for i in range(n) if classes[i] is cls] for cls in families]
    freed = tuple(tuple(sorted({j for i in own for j in cameras[i].freed_index.tolist()})) for own in members)
    rotation, centre = np.zeros((3, 3, n)), np.full((n, 3), np.nan)
    ground_from_image = np.full((3, 3, n), np.nan)
    for i, camera in enumerate(cameras):
        if camera.is_homography:
            ground_from_image[:, :, i] = camera.ground_from_image
        else:
            rotation[:, :, i] = camera.cam_from_world.rotation.as_matrix()
            centre[i] = camera.centre_world
    return Rig(
        families=families,
        family=np.array([families.index(cls) for cls in classes], dtype=np.intp),
        params=tuple(_stack_params(cameras, own) for own in members),
        freed=freed,
        calib_cov=tuple(_stack_cov(cameras, own, free) for own, free in zip(members, freed, strict=True)),
        limit=np.array([camera.lens.limit for camera in cameras]),
        rotation=rotation,
        centre=centre,
        size=np.array([camera.size for camera in cameras], dtype=float).T.copy(),
        ground_from_image=ground_from_image,
        level=np.array([site.site_map.level_index.get(camera.homography_level, -1) for camera in cameras]),
        homography_var=np.array([camera.homography_sigma_px**2 for camera in cameras]),
    )


def _family(camera: Camera) -> type:
    """The class whose row functions serve this lens: pinhole is radial-tangential without coefficients."""
    return next(cls for cls in (Homography, Fisheye, RadialTangential) if isinstance(camera.lens, cls))


def _stack_params(cameras: tuple[Camera, ...], members: list[int]) -> np.ndarray:
    stacked = np.zeros((max(len(cameras[i].lens.params) for i in members), len(cameras)))
    for i in members:
        stacked[: len(cameras[i].lens.params), i] = cameras[i].lens.params
    return stacked


def _stack_cov(cameras: tuple[Camera, ...], members: list[int], freed: tuple[int, ...]) -> np.ndarray:
    """Calibration covariances (6 + k, 6 + k, C) with rotation and translation turned into world axes."""
    stacked = np.zeros((6 + len(freed), 6 + len(freed), len(cameras)))
    for i in members:
        camera = cameras[i]
        if camera.is_homography:
            continue
        turn = camera.cam_from_world.rotation.as_matrix().T
        to_world = np.eye(len(camera.calib_cov))
        to_world[:3, :3] = to_world[3:6, 3:6] = turn
        at = np.r_[0:6, [6 + freed.index(j) for j in camera.freed_index.tolist()]].astype(int)
        stacked[at[:, None], at, i] = to_world @ camera.calib_cov @ to_world.T
    return stacked
