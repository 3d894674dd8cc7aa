"""The BrnoCompSpeed recording (Sochor et al., T-ITS 2019): roadside views with measured distances and speeds.

Pixels are taken as geoloc's own: they were marked and tracked with OpenCV. The timestamps of vehicles are
frame number over the view's frame rate.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import find_files, read_json
from geoloc.scene.roads import ACROSS, ALONG, PixelTracks, RoadSegments

SIZE = (1920, 1080)  # px, of every view of the recording
LANE_LINE_SIGMA = 0.002  # rad; how parallel the lines of one road are painted
LINE_PIXEL_SIGMA = 1.0  # px; a line drawn along an edge is truer than a point on it
TAPE_SIGMA = 0.02  # m; the tape, and the width of the painted marks
ALONG_SIGMA, ACROSS_SIGMA = 0.015, 0.03  # rad; marks were set out by eye, along an edge or square to it


@dataclass(frozen=True, eq=False)
class MeasuredSpeeds:
    """N vehicles: measured `speed` (m/s), index of their `lane`, and when they `crossed` each gate (N, L) s, or NaN."""

    speed: np.ndarray
    lane: np.ndarray
    crossed: np.ndarray


@dataclass(frozen=True, eq=False)
class RoadView:
    """One view of a session: distances and lane lines as segments, lines across the road, speeds and tracks.

    `distances` and `lane_lines` are kept apart because distances are held out. `gates` (L, 3) are image lines
    (a, b, c: a u + b v + c = 0) across the road at which the vehicles' times were taken.
    """

    name: str
    size: tuple[int, int]
    distances: RoadSegments
    lane_lines: RoadSegments
    gates: np.ndarray
    speeds: MeasuredSpeeds
    tracks: PixelTracks


def brnocompspeed_views(folder: Path | str) -> list[str]:
    """Names of the views of a folder laid out as the recording's, such as `session0_left`."""
    return [path.name.split(".")[0] for path in find_files(folder, "gt/*.json*", "ground truth")]


def read_brnocompspeed(folder: Path | str, view: str) -> RoadView:
    """One view; files may be gzip or plain."""
    path, tracks = (find_files(folder, f"{kind}/{view}.json*", f"{kind} of the view")[0] for kind in ("gt", "tracks"))
    content = read_json(path)
    try:
        distances = _distances(content["distanceMeasurement"])
        lane_lines = _lane_lines(np.array(content["laneDivLines"], float), distances)
        gates = np.array(content["measurementLines"], float).reshape(-1, 3)
        speeds = _speeds(content["cars"], len(gates))
        fps = float(content["fps"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a view of BrnoCompSpeed ({error!r})") from error
    return RoadView(view, SIZE, distances, lane_lines, gates, speeds, _tracks(tracks, fps))


def _distances(rows: list) -> RoadSegments:
    ends = [[row["p1"][:2], row["p2"][:2]] for row in rows]
    along = np.array([row["toVP1"] for row in rows], bool)
    return RoadSegments(
        ends=ends,
        length=[row["distance"] for row in rows],
        length_sigma=np.full(len(rows), TAPE_SIGMA),
        direction=np.where(along, ALONG, ACROSS),
        direction_sigma=np.where(along, ALONG_SIGMA, ACROSS_SIGMA),
    )


def _lane_lines(lines: np.ndarray, distances: RoadSegments) -> RoadSegments:
    """The part of each line inside the image and between the rows that the distances span."""
    v = distances.ends[:, :, 1]
    top, bottom = max(0.0, v.min() - 50.0), min(SIZE[1] - 1.0, v.max() + 50.0)
    ends = np.array([_clipped(line, top, bottom) for line in lines]).reshape(-1, 2, 2)
    parallel, sharp = np.full(len(ends), LANE_LINE_SIGMA), np.full(len(ends), LINE_PIXEL_SIGMA)
    return RoadSegments(ends=ends, direction=np.full(len(ends), ALONG), direction_sigma=parallel, pixel_sigma=sharp)


def _clipped(line: np.ndarray, top: float, bottom: float) -> np.ndarray:
    a, b, c = line
    u = np.clip([-(b * top + c) / a, -(b * bottom + c) / a], 0.0, SIZE[0] - 1.0)
    v = -(a * u + c) / b if abs(b) > 1e-3 * abs(a) else np.array([top, bottom])
    return np.stack([u, v], axis=1)


def _speeds(cars: list, n_gates: int) -> MeasuredSpeeds:
    """The vehicles whose measurement is called valid."""
    valid = [car for car in cars if car["valid"]]
    crossed = np.full((len(valid), n_gates), np.nan)
    for row, car in zip(crossed, valid, strict=True):
        for gate in car["intersections"]:
            row[int(gate["measurementLineId"])] = float(gate["videoTime"])
    speed = np.array([car["speed"] for car in valid], float) / 3.6
    lane = np.array([car["laneIndex"][0] if car["laneIndex"] else -1 for car in valid], int)
    return MeasuredSpeeds(speed, lane, crossed)


def _tracks(path: Path, fps: float) -> PixelTracks:
    try:
        tracks = [
            (np.array(car["frames"], float), np.array([car["posX"], car["posY"]], float).T) for car in read_json(path)
        ]
        index = np.repeat(np.arange(len(tracks)), [len(frames) for frames, _ in tracks])
        time = np.concatenate([np.empty(0), *(frames for frames, _ in tracks)]) / fps
        return PixelTracks(time=time, track=index, pixel=np.concatenate([np.empty((0, 2)), *(p for _, p in tracks)]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not tracks of BrnoCompSpeed ({error!r})") from error
