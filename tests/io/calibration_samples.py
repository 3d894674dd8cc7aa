"""Cameras of every lens and a sample of every form of calibration."""

from pathlib import Path

import numpy as np

from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import look_at
from geoloc.io.calibrations import CAMERA_WRITERS, CameraOptions, write_cameras
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Homography, Lens, Pinhole, RadialTangential

SIZE = (1280, 720)
FOCAL = [1000.25, 1010.5, 640.75, 350.125]
LENSES: dict[str, Lens] = {
    "pinhole": Pinhole(np.array(FOCAL)),
    "radtan4": RadialTangential(np.array([*FOCAL, -0.2, 0.05, 0.001, -0.002])),
    "radtan5": RadialTangential(np.array([*FOCAL, -0.2, 0.05, 0.001, -0.002, 0.01])),
    "radtan8": RadialTangential(np.array([*FOCAL, 0.1, 0.05, 0.001, -0.002, 0.01, 0.3, 0.02, 0.01])),
    "radtan12": RadialTangential(np.array([*FOCAL, -0.2, 0.05, 0.001, -0.002, *[0.01] * 4, 2e-3, 1e-3, 1e-3, 2e-3])),
    "radtan14": RadialTangential(
        np.array([*FOCAL, -0.2, 0.05, 1e-3, -2e-3, *[0.01] * 4, 2e-3, 1e-3, 1e-3, 2e-3, 0.01, 0.02])
    ),
    "fisheye": Fisheye(np.array([500.5, 501.25, 640.5, 359.5, 0.02, -0.01, 0.002, -0.001])),
}
POSED = ("pinhole", "radtan4", "radtan5", "radtan8", "radtan12", "radtan14")
# the lenses that each form of CAMERA_WRITERS holds: the others must be refused by the camera's name
HOLDS: dict[str, tuple[str, ...]] = {
    "opencv": (*POSED, "fisheye"),
    "ros": ("pinhole", "radtan4", "radtan5", "radtan8", "fisheye"),
    "kalibr": ("pinhole", "radtan4", "fisheye"),
    "colmap": ("pinhole", "radtan4", "radtan5", "radtan8", "fisheye"),
    "colmap_binary": ("pinhole", "radtan4", "radtan5", "radtan8", "fisheye"),
    "nvidia": ("pinhole",),
    "mv3dt": ("pinhole",),
    "krtd": POSED,
    "xml_pairs": POSED,
    "anipose": ("pinhole", "radtan4", "radtan5", "fisheye"),
    "pose2sim": ("pinhole", "radtan4", "radtan5", "fisheye"),
    "caliscope": (*POSED, "fisheye"),
    "tsai": ("pinhole",),
    "homography": ("homography",),
}
NAMES_LOST = {"caliscope"}  # names that are not its numbers


def ring(lens: Lens, n: int = 3) -> tuple[Camera, ...]:
    """Cameras around the origin that look at it, at different heights."""
    if isinstance(lens, Homography):
        return tuple(Camera(f"h{i}", lens, SIZE, homography_level="ground") for i in range(n))
    turns = np.linspace(0.3, 5.0, n)
    centres = np.column_stack([14 * np.cos(turns), 12 * np.sin(turns), 4.0 + np.arange(n)])
    cov = np.diag([1e-6] * 3 + [1e-4] * 3)
    return tuple(
        Camera(f"gate-{i}", lens, SIZE, look_at(centre, np.array([0.5 * i, -0.5, 0.3])), cov)
        for i, centre in enumerate(centres)
    )


def homography_lens() -> Homography:
    """That of the ground under the first pinhole of the ring."""
    camera = ring(LENSES["pinhole"])[0]
    fx, fy, cx, cy = camera.lens.params
    rotation, translation = camera.cam_from_world.rotation.as_matrix(), camera.cam_from_world.translation
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]) @ np.column_stack([rotation[:, :2], translation])
    return Homography((matrix / np.linalg.norm(matrix)).ravel())


def cameras_for(kind: str, lens: str) -> tuple[Camera, ...]:
    """Cameras of a lens, named so that the form can hold their names."""
    cameras = ring(homography_lens() if lens == "homography" else LENSES[lens])
    if kind not in NAMES_LOST:
        return cameras
    named = [Camera(f"cam_{i + 2}", c.lens, c.size, c.cam_from_world, c.calib_cov) for i, c in enumerate(cameras)]
    return tuple(named)


def write_sample(folder: Path, kind: str) -> Path:
    """A calibration of this kind, as its writer makes it; the file or folder."""
    if kind == "qualisys":
        path = folder / "Calib.qca.txt"
        path.write_text(QUALISYS)
        return path
    if kind == "homography_latlon":
        path = folder / "c002.txt"
        path.write_text(
            "Homography matrix: -31.1 -11.4 291.2;0.396 0.225 3.587;-0.0069 0.0078 1.0\nReprojection error: 3\n"
        )
        return path
    assert kind in CAMERA_WRITERS
    lens = "homography" if kind == "homography" else "pinhole"
    write_cameras(folder / kind, cameras_for(kind, lens)[:1], kind)
    return folder / kind


def options_for() -> CameraOptions:
    """What files of any kind leave open."""
    return CameraOptions(size=SIZE, datum=Datum(42.5256, -90.7236, 0.0), known=ring(LENSES["pinhole"]))


QUALISYS = """<?xml version='1.0' encoding='ASCII'?>
<calibration source="made by hand"><cameras>
  <camera active="1" serial="c7" viewrotation="0">
    <fov_video bottom="719" left="0" right="1279" top="0"/>
    <transform r11="1.0" r12="0" r13="0" r21="0" r22="0" r23="1.0" r31="0" r32="-1.0" r33="0"
      x="1000.5" y="-5000.5" z="2000.5"/>
    <intrinsic centerPointU="40960.0" centerPointV="23040.0" focalLengthU="64000.0" focalLengthV="64000.0" skew="0"
      radialDistortion1="-0.05" radialDistortion2="0.1" radialDistortion3="0" tangentalDistortion1="0"
      tangentalDistortion2="0"/>
  </camera>
  <camera active="0" serial="off"/>
</cameras></calibration>
"""
