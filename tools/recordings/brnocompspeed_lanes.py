"""BrnoCompSpeed: lanes learned from vehicle tracks alone, against the lane lines that were drawn by hand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.calibrate.road import calibrate_road
from geoloc.calibrate.traffic import crossing_times, vehicle_motions
from geoloc.evaluation.measures import Blocks, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.io.brnocompspeed import RoadView, brnocompspeed_views, read_brnocompspeed
from geoloc.perception.lanes import LearnedLane
from geoloc.perception.tracks_layout import LayoutLearner, LayoutOptions
from geoloc.perception.tracks_trails import TrailOptions
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks
from recordings.brnocompspeed import matched
from recordings.figures import Part

CHOSEN_ON = ("session0", "session1")  # settings were looked at on these only
PIXEL_SIGMA = 2.0  # px, of a tracked point
POINT_SIGMA = 0.65  # m along the line of sight, of a tracked point from its vehicle's middle: as on sessions 0, 1
SMOOTHED = 5  # frames before and after, that a velocity is of
INSIDE = 1.96
NONE_M = 10.0  # what a drawn line counts where no edge was found
# far along the road a place is vague, but across it it is not, and that alone counts here
OPTIONS = LayoutOptions(trails=TrailOptions(vague=10.0))
PROTOCOL = (
    "the plane from measured distances alone, without lane lines; lanes from vehicle tracks; edges of lanes on the "
    "road against the drawn lines, each line with the nearest edge, every metre of the stretch that the distances span"
    "; sigmas without the plane's own, which lanes and drawn lines share"
)


@dataclass(frozen=True, eq=False)
class ViewLanes:
    """What one view gave: off (K,) m of each drawn line every metre, in sigmas, lanes found and true, speeds."""

    name: str
    off: np.ndarray
    sigmas: np.ndarray
    found: int
    drawn: int
    right_way: bool
    speed_error: np.ndarray  # (L,) km/h, of the lanes' usual speeds


def run(folder: Path) -> list[Figure]:
    """Distance of lane edges, number and direction of lanes, and their speeds: sessions looked at, and the others."""
    views = [view_lanes(read_brnocompspeed(folder, name)) for name in brnocompspeed_views(folder)]
    chosen = [view for view in views if view.name.startswith(CHOSEN_ON)]
    others = [view for view in views if not view.name.startswith(CHOSEN_ON)]
    figures = []
    for which, said in ((chosen, "sessions 0, 1 (settings chosen on)"), (others, "sessions 2, 3 (not looked at)")):
        figures += _figures(Part("brnocompspeed_lanes", said, 0.0), which)
    for view in views:
        part, error = Part("brnocompspeed_lanes", view.name, 0.0), float(np.median(view.off))
        figures.append(part.figure("edge_error_median", error, "m", PROTOCOL))
    return figures


def _figures(part: Part, views: list[ViewLanes]) -> list[Figure]:
    off = np.concatenate([view.off for view in views])
    sigmas = np.concatenate([view.sigmas for view in views])
    blocks = Blocks(np.repeat(np.arange(len(views)), [len(view.off) for view in views]), len(views))
    speeds = np.concatenate([view.speed_error for view in views])
    lanes = Blocks(np.repeat(np.arange(len(views)), [len(view.speed_error) for view in views]), len(views))
    counted = f"of {len(views)} views, number of lanes as drawn"
    said = f"usual speed of each lane, against the measured median of its vehicles; n {len(speeds)}"
    return [
        part.measured(of_quantile("edge_error_median", "m", PROTOCOL, off, blocks), "views"),
        part.measured(of_quantile("edge_error_p95", "m", PROTOCOL, off, blocks, 0.95), "views"),
        part.measured(of_mean("edge_coverage_95", "%", PROTOCOL, np.abs(sigmas) < INSIDE, blocks, 100), "views"),
        part.figure("views_with_all_lanes", sum(view.found == view.drawn for view in views), "", counted),
        part.figure("views_with_right_directions", sum(view.right_way for view in views), "", f"of {len(views)} views"),
        part.measured(of_quantile("lane_speed_error_median", "km/h", said, speeds, lanes), "views"),
    ]


def view_lanes(view: RoadView) -> ViewLanes:
    """Learn a view's lanes and hold them against what was drawn and measured."""
    solution = calibrate_road(view.name, view.size, view.distances)
    camera, stretch = solution.camera, solution.stretch
    lanes = learned_lanes(view, camera, stretch)
    x = np.arange(np.ceil(stretch[0]), np.floor(stretch[1]) + 0.5)
    edges, sigma = lane_edges(lanes, x)
    truth = _drawn(view, camera, x)
    apart = edges[None] - truth[:, None]
    nearest = np.abs(np.nan_to_num(apart, nan=np.inf)).argmin(axis=1) if len(edges) else np.zeros(truth.shape, int)
    best = np.take_along_axis(apart, nearest[:, None], axis=1)[:, 0] if len(edges) else np.full(truth.shape, np.inf)
    of_best = sigma[nearest] if len(edges) else np.ones(truth.shape)
    way, speed = _by_motion(view, camera, stretch, lanes)
    return ViewLanes(
        view.name, np.minimum(np.nan_to_num(np.abs(best), nan=NONE_M), NONE_M).ravel(), (best / of_best).ravel(),
        len(lanes), len(truth) - 1, way, np.abs(speed),
    )


def learned_lanes(view: RoadView, camera: Camera, stretch: tuple[float, float]) -> list[LearnedLane]:
    """The lanes of a view by its tracks alone."""
    learner = LayoutLearner(Site(view.name, (camera,)), OPTIONS)
    learner.observe(road_tracks(view, camera, stretch))
    return learner.lanes()


def road_tracks(view: RoadView, camera: Camera, stretch: tuple[float, float]) -> Tracks:
    """A view's tracks on the plane z = 0, where it was calibrated, with the velocity over a fifth of a second."""
    tracks = view.tracks.take(np.lexsort((view.tracks.time, view.tracks.track)))
    xy, cov, bias = on_plane(camera, tracks.pixel)
    velocity = np.full(xy.shape, np.nan)
    n, rows = len(xy), np.arange(len(xy))
    low, high = np.maximum(rows - SMOOTHED, 0), np.minimum(rows + SMOOTHED, n - 1)
    same = (tracks.track[low] == tracks.track) & (tracks.track[high] == tracks.track) & (high > low)
    step = tracks.time[high[same]] - tracks.time[low[same]]
    velocity[same] = (xy[high[same]] - xy[low[same]]) / np.maximum(step, 1e-3)[:, None]
    whole = np.zeros((n, 4, 4))
    whole[:, :2, :2], whole[:, 2:, 2:] = cov, np.eye(2)
    kept = (xy[:, 0] >= stretch[0]) & (xy[:, 0] <= stretch[1]) & np.isfinite(velocity).all(axis=1)
    table = Tracks(
        time=tracks.time, track=tracks.track, object=rows, level=np.full(n, "ground"), xy=xy, velocity=velocity,
        cov=whole, bias_cov=bias, label=np.full(n, "car"), state=np.full(n, "confirmed"),
    )  # fmt: skip
    kept_table = table.take(np.flatnonzero(kept))
    return kept_table.take(np.argsort(kept_table.time, kind="stable"))


def on_plane(camera: Camera, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, 2) m of z = 0 under pixels (N, 2), with noise and bias (N, 2, 2) m²; NaN above the horizon.

    The bias is that of the tracked point: where on its vehicle it lies is not known. What the calibration is off moves
    lanes and drawn lines alike, and is no part of it.
    """
    rays, centre = camera.unproject(pixels), camera.centre_world
    fall = np.where(rays[:, 2] < -1e-3, -rays[:, 2], np.nan)
    points = centre + rays * (centre[2] / fall)[:, None]
    cov, bias = np.full((2, len(pixels), 2, 2), np.nan)
    seen = np.isfinite(points[:, 0])
    _, by_world, _ = camera.jacobians(points[seen])
    by_pixel = np.linalg.inv(by_world[:, :, :2])
    cov[seen] = PIXEL_SIGMA**2 * by_pixel @ np.swapaxes(by_pixel, 1, 2)
    sight = points[seen, :2] - centre[:2]
    sight *= POINT_SIGMA / np.linalg.norm(sight, axis=1, keepdims=True)
    bias[seen] = sight[:, :, None] * sight[:, None]
    return points[:, :2], cov, bias


def lane_edges(lanes: list[LearnedLane], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the edges of lanes lie across the road at x (X,): (E, X) m, NaN off the lane; and each one's sigma (E,)."""
    edges, sigmas = [], []
    for lane in lanes:
        order = np.argsort(lane.xy[:, 0])
        along, across = lane.xy[order].T
        middle = np.interp(x, along, across)
        middle[(x < along[0] - 2) | (x > along[-1] + 2)] = np.nan
        to_left = np.sign(np.cos(np.median(lane.heading)))  # of the road, for what comes towards the camera
        edges += [middle + to_left * lane.left, middle - to_left * lane.right]
        sigmas += [lane.left_sigma, lane.right_sigma]
    return np.array(edges).reshape(-1, len(x)), np.array(sigmas)


def _drawn(view: RoadView, camera: Camera, x: np.ndarray) -> np.ndarray:
    """Where the drawn lines lie at x (X,): (D, X) m; the only place where they are used."""
    ends = on_plane(camera, view.lane_lines.ends.reshape(-1, 2))[0].reshape(-1, 2, 2)
    slope = (ends[:, 1, 1] - ends[:, 0, 1]) / (ends[:, 1, 0] - ends[:, 0, 0])
    return ends[:, :1, 1] + slope[:, None] * (x - ends[:, :1, 0])


def _by_motion(
    view: RoadView, camera: Camera, stretch: tuple[float, float], lanes: list[LearnedLane]
) -> tuple[bool, np.ndarray]:
    """Whether measured vehicles drive as their learned lanes say, and by how much (km/h) each lane's speed is off."""
    motions = vehicle_motions(camera, view.tracks, stretch)
    car, row = matched(view, crossing_times(camera, motions, view.gates))
    middle = np.array([np.median(lane.xy[:, 1]) for lane in lanes])
    if not len(middle) or not len(car):
        return False, np.array([np.inf])
    mine = np.abs(motions.y[row, None] - middle).argmin(axis=1)
    # the gates' order in time is the measured direction: independent of the tracks
    first, last = view.speeds.crossed[car, 0], view.speeds.crossed[car, -1]
    gate_x = np.array([_gate_x(camera, gate) for gate in (view.gates[0], view.gates[-1])])
    away = (last > first) == (gate_x[1] > gate_x[0])
    right, errors = True, []
    for i, lane in enumerate(lanes):
        here = mine == i
        if here.any():
            right &= bool(np.median(away[here]) == (np.cos(np.median(lane.heading)) > 0))
            errors.append(3.6 * (float(np.median(lane.speed)) - float(np.median(view.speeds.speed[car[here]]))))
    return right, np.array(errors)


def _gate_x(camera: Camera, gate: np.ndarray) -> float:
    """How far along the road an image line crosses the middle of what is seen of it (m)."""
    a, b, c = gate
    u = np.linspace(0, camera.size[0] - 1, 50)
    v = -(a * u + c) / b
    inside = (v > 0) & (v < camera.size[1])
    return float(np.nanmedian(on_plane(camera, np.column_stack([u, v])[inside])[0][:, 0]))
