"""A site and its tracks as a Rerun recording (.rrd), in metres of the site's frame, z up.

`site/tracks/N`: Ellipsoids3D over the timeline `time`, the ellipse that holds the object with the options'
probability, flat on its level, and as values level, state, sigma_m, cov_east_east, cov_east_north and
cov_north_north (m²).
`site/cameras/NAME`: Transform3D (site_from_camera) and Pinhole, without distortion. `site/stalls`: outlines.
"""

from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.geometry.gaussian import ellipse, worst_sigma
from geoloc.io.track_geojson import heights
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording, each_track
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

FLAT = 0.02  # m; half height of an ellipse, so that it can be seen from the side


def write_rrd(path: Path, recording: Recording, options: WriteOptions) -> None:
    """Write the recording, a piece at a time; InputError without rerun-sdk."""
    try:
        import rerun as rr
    except ImportError as error:
        raise InputError("a Rerun recording needs rerun-sdk: pip install geoloc[rerun]") from error
    stream = rr.RecordingStream("geoloc", recording_id=recording.site.name)
    stream.save(path)
    stream.log("site", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    _map(rr, stream, recording.site)
    for tracks in recording.pieces:
        z = heights(tracks, recording.site.site_map)
        for rows in each_track(tracks):
            _track(rr, stream, tracks.take(rows), z[rows], options)
    stream.flush()
    stream.disconnect()


def _track(rr: Any, stream: Any, track: Tracks, z: np.ndarray, options: WriteOptions) -> None:
    cov, name = track.position_cov, f"site/tracks/{track.track[0]}"
    major, minor, angle = ellipse(cov, options.probability)
    turn = np.column_stack([np.zeros((len(z), 2)), np.sin(angle / 2), np.cos(angle / 2)])
    stream.send_columns(
        name,
        indexes=[rr.TimeColumn("time", timestamp=track.time)],
        columns=[
            *rr.Ellipsoids3D.columns(
                half_sizes=np.column_stack([major, minor, np.full(len(z), FLAT)]),
                centers=np.column_stack([track.xy, z]),
                quaternions=turn,
                labels=[f"{track.label[-1]} {track.track[0]}"] * len(z),
            ),
            *rr.AnyValues.columns(
                level=track.level.tolist(),
                state=track.state.tolist(),
                sigma_m=worst_sigma(cov),
                cov_east_east=cov[:, 0, 0],
                cov_east_north=cov[:, 0, 1],
                cov_north_north=cov[:, 1, 1],
            ),
        ],
    )


def _map(rr: Any, stream: Any, site: Site) -> None:
    outlines = []
    for stall in site.site_map.stalls:
        xy = shapely.get_coordinates(stall.polygon.exterior)
        outlines.append(np.column_stack([xy, site.site_map.level(stall.level).z_extended(xy)]))
    stream.log("site/stalls", rr.LineStrips3D(outlines), static=True)
    for camera in site.cameras:
        if camera.is_homography:
            continue
        world_from_cam, name = camera.cam_from_world.inv(), f"site/cameras/{camera.name}"
        turn = rr.Quaternion(xyzw=world_from_cam.rotation.as_quat())
        stream.log(name, rr.Transform3D(translation=world_from_cam.translation, rotation=turn), static=True)
        fx, fy, cx, cy = camera.lens.params[:4].tolist()
        matrix = [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]
        stream.log(name, rr.Pinhole(image_from_camera=matrix, resolution=camera.size), static=True)
