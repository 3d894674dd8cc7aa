"""A site and its tracks as MCAP with Foxglove's messages (protobuf), as Foxglove and Lichtblick open them.

`/tracks/N/fix` LocationFix: degrees and ellipsoidal m, position_covariance (m², east north up, row by row) of the
position as reported, noise and bias together, height from the level's sigma_z; level, label and state in its metadata.
`/tf` FrameTransform: site_from_camera of each camera, and the place of each track in the frame `site`.
`/cameras/NAME/calibration` CameraCalibration: K and the distortion, of cameras that have a pose.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from geoloc.errors import InputError
from geoloc.geometry.geodesy import geodetic_from_enu
from geoloc.io.track_geojson import heights
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording
from geoloc.io.track_tum import yaw
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

KNOWN = 3  # LocationFix.PositionCovarianceType.KNOWN


def write_mcap(path: Path, recording: Recording, options: WriteOptions) -> None:
    """Write the messages, a piece at a time; InputError without a datum or the packages of geoloc[mcap]."""
    try:
        from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
        from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
        from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
        from mcap_protobuf.writer import Writer
    except ImportError as error:
        raise InputError("MCAP needs mcap-protobuf-support: pip install geoloc[mcap]") from error
    recording.site.site_map.require_datum("MCAP")
    with open(path, "wb") as file, Writer(file) as writer:
        fixed = False
        for tracks in recording.pieces:
            if not fixed:
                _cameras(writer, recording.site, float(tracks.time.min()), FrameTransform, CameraCalibration)
                fixed = True
            _states(writer, recording.site, tracks, FrameTransform, LocationFix)
        if not fixed:
            _cameras(writer, recording.site, 0.0, FrameTransform, CameraCalibration)


def _states(writer: Any, site: Site, tracks: Tracks, transform: Any, fix: Any) -> None:
    z, turn = heights(tracks, site.site_map), yaw(tracks)
    enu = np.column_stack([tracks.xy, z])
    lat, lon, height = geodetic_from_enu(site.site_map.require_datum("MCAP"), enu)
    cov = np.zeros((len(tracks), 3, 3))
    cov[:, :2, :2] = tracks.position_cov
    cov[:, 2, 2] = _height_var(site, tracks)
    for i in range(len(tracks)):
        nanos, frame = round(float(tracks.time[i]) * 1e9), f"track/{tracks.track[i]}"
        message = fix(
            frame_id=frame,
            latitude=lat[i],
            longitude=lon[i],
            altitude=height[i],
            position_covariance=cov[i].ravel().tolist(),
            position_covariance_type=KNOWN,
        )
        message.timestamp.FromNanoseconds(nanos)
        for key in ("level", "label", "state"):
            message.metadata.add(key=key, value=str(getattr(tracks, key)[i]))
        writer.write_message(f"/tracks/{tracks.track[i]}/fix", message, nanos, nanos)
        pose = _pose(transform, frame, enu[i], Rotation.from_rotvec([0.0, 0.0, turn[i]]), nanos)
        writer.write_message("/tf", pose, nanos, nanos)


def _cameras(writer: Any, site: Site, time: float, transform: Any, calibration: Any) -> None:
    nanos = round(time * 1e9)
    for camera, frame in _posed(site):
        world_from_cam = camera.cam_from_world.inv()
        pose = _pose(transform, frame, world_from_cam.translation, world_from_cam.rotation, nanos)
        writer.write_message("/tf", pose, nanos, nanos)
        model, matrix, distortion = _lens(camera)
        message = calibration(
            frame_id=frame,
            width=int(camera.size[0]),
            height=int(camera.size[1]),
            distortion_model=model,
            D=distortion.tolist(),
            K=matrix.ravel().tolist(),
            R=np.eye(3).ravel().tolist(),
            P=np.column_stack([matrix, np.zeros(3)]).ravel().tolist(),
        )
        message.timestamp.FromNanoseconds(nanos)
        writer.write_message(f"/cameras/{camera.name}/calibration", message, nanos, nanos)


def _posed(site: Site) -> Iterator[tuple[Camera, str]]:
    for camera in site.cameras:
        if not camera.is_homography:
            yield camera, f"camera/{camera.name}"


def _lens(camera: Camera) -> tuple[str, np.ndarray, np.ndarray]:
    """Distortion model by its ROS name, K (3, 3) and distortion; pixels are as OpenCV counts them."""
    fx, fy, cx, cy = camera.lens.params[:4]
    matrix, rest = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]), camera.lens.params[4:]
    if isinstance(camera.lens, Fisheye):
        return "kannala_brandt", matrix, rest
    if len(rest) <= 5:
        return "plumb_bob", matrix, np.pad(rest, (0, 5 - len(rest)))
    return "rational_polynomial", matrix, rest


def _pose(kind: Any, frame: str, place: np.ndarray, turn: Rotation, nanos: int) -> Any:
    message = kind(parent_frame_id="site", child_frame_id=frame)
    message.timestamp.FromNanoseconds(nanos)
    message.translation.x, message.translation.y, message.translation.z = place.tolist()
    turned = turn.as_quat().tolist()
    message.rotation.x, message.rotation.y, message.rotation.z, message.rotation.w = turned
    return message


def _height_var(site: Site, tracks: Tracks) -> np.ndarray:
    """Variance of the height (N,) m², of the surface under each state."""
    levels = {name: site.site_map.level(name) for name in np.unique(tracks.level).tolist()}
    under = (levels[name].under(xy) for name, xy in zip(tracks.level.tolist(), tracks.xy, strict=True))
    return np.array([surface.sigma_z**2 for surface in under])
