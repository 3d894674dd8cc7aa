"""What the exports say of each state, in the units and words of a GIS: one meaning for every format."""

import numpy as np

from geoloc.geometry.gaussian import ellipse, worst_sigma
from geoloc.scene.tables import Tracks

AXES = ("x", "y", "vx", "vy")


def state_measures(tracks: Tracks, z: np.ndarray, probability: float) -> dict[str, np.ndarray]:
    """Numbers of each state (N,) by name, uncertainties of the position as reported, noise and bias together.

    sigma_m: largest standard deviation in any direction; ellipse_major_m, ellipse_minor_m: semi-axes of the ellipse
    that holds the object with `probability`; ellipse_azimuth_deg: of the major axis, clockwise from north, 0 to 180;
    speed_mps; heading_deg: clockwise from north; velocity_east_mps, velocity_north_mps; z_m: `z`.
    """
    cov = tracks.position_cov
    major, minor, angle = ellipse(cov, probability)
    east, north = tracks.velocity.T
    return {
        "sigma_m": worst_sigma(cov),
        "ellipse_major_m": major,
        "ellipse_minor_m": minor,
        "ellipse_azimuth_deg": np.mod(90.0 - np.degrees(angle), 180.0),
        "speed_mps": np.hypot(east, north),
        "heading_deg": np.mod(np.degrees(np.arctan2(east, north)), 360.0),
        "velocity_east_mps": east,
        "velocity_north_mps": north,
        "z_m": z,
    }


def state_columns(tracks: Tracks, z: np.ndarray, probability: float) -> dict[str, np.ndarray]:
    """All that a table of states holds, by name: the measures above, and both covariances in full.

    track, object (-1 = coasting), time (UTC Unix s), time_utc (ISO 8601), label, state, level, level_probability,
    score, then `state_measures`, ellipse_probability, x_m, y_m (east and north of the datum), the upper triangles
    cov_x_x ... cov_vy_vy (m², m²/s, m²/s²; noise) and bias_x_x, bias_x_y, bias_y_y (m²).
    """
    milliseconds = np.rint(tracks.time * 1000).astype("datetime64[ms]")
    names = [(i, j) for i in range(4) for j in range(i, 4)]
    covs = {f"cov_{AXES[i]}_{AXES[j]}": tracks.cov[:, i, j] for i, j in names}
    biases = {f"bias_{AXES[i]}_{AXES[j]}": tracks.bias_cov[:, i, j] for i, j in names if j < 2}
    return {
        "track": tracks.track,
        "object": tracks.object,
        "time": tracks.time,
        "time_utc": np.char.add(milliseconds.astype(str), "Z"),
        "label": tracks.label,
        "state": tracks.state,
        "level": tracks.level,
        "level_probability": tracks.level_probability,
        "score": tracks.score,
        **state_measures(tracks, z, probability),
        "ellipse_probability": np.full(len(tracks), probability),
        "x_m": tracks.xy[:, 0],
        "y_m": tracks.xy[:, 1],
        **covs,
        **biases,
    }
