"""Road cameras that see the same stretch of a road, from the same traffic: the vehicles tie the views together.

A view alone cannot tell its focal length from its tracks: a longer lens and a longer road look the same. Views
from other sides see other foreshortenings of the same plane, so that vehicles seen by several fix the focal lengths
(planar self-calibration: Triggs, Autocalibration from Planar Scenes, ECCV 1998). The scale still comes from the
prior. The clocks need not agree: their offsets are found from the traffic and adjusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import least_squares

from geoloc.calibrate.road import road_camera
from geoloc.calibrate.road_system import RoadState, moved_camera
from geoloc.calibrate.traffic_paths import Lanes, Paths
from geoloc.calibrate.traffic_road import TrafficPrior, TrafficScene, traffic_scene
from geoloc.errors import GeometryError
from geoloc.scene.camera import Camera
from geoloc.scene.roads import PixelTracks

WANDER = 0.2  # m; how far the tracked point lies from one view to the other beside the road, and twice that along it
PATH = 15.0  # m; over which that wander tilts a speed
CELLS = 10.0  # independent errors of a pair of views: vehicles alike are tracked alike, however many pass
FAR = 3.0  # sigmas from which a pair of paths loses its pull: most likely two vehicles
FEWEST_SHARED = 10
APART = 0.5  # s; within which passing times are one vehicle's
SAME_Y, SAME_SPEED = 1.0, 0.1  # m and relative; once the views are adjusted
BIN, CLEAR = 0.1, 10.0  # s, and standard deviations by which the offset of two clocks must stand out
CLOCK_SIGMA = 0.3  # s, of the offset first found
ROUNDS = 3
UNKNOWNS = 10  # of a view: 7 of its camera, its place along and beside the road, its clock
PLACE, CLOCK = slice(7, 9), 9


@dataclass(frozen=True, eq=False)
class _Shared:
    """The paths of the same vehicles in views a and b, and the clock offset (s) to add to a's times."""

    a: int
    b: int
    paths_a: Paths
    paths_b: Paths
    offset: float


def calibrate_views_from_traffic(
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    tracks: Sequence[PixelTracks],
    prior: TrafficPrior | None = None,
) -> list[Camera]:
    """Cameras, each over z = 0 of its own road frame as of `calibrate_from_traffic`, adjusted together.

    GeometryError where a view alone has none, or two views do not see the same traffic.
    """
    prior = prior or TrafficPrior()
    scenes = [traffic_scene(size, own, prior) for size, own in zip(sizes, tracks, strict=True)]
    lanes, states, _ = (list(part) for part in zip(*(scene.best_fit() for scene in scenes), strict=True))
    place = np.zeros((len(scenes), 2))
    gated = False
    for _ in range(ROUNDS):
        shared = [
            _shared(names, scenes, states, place if gated else None, a, b)
            for a, b in combinations(range(len(scenes)), 2)
        ]
        start = np.zeros((len(scenes), UNKNOWNS))
        start[1:, PLACE] = [_apart(pair, states) for pair in shared if pair.a == 0]
        found = least_squares(
            _residual,
            start.ravel(),
            x_scale=np.tile([0.01, 0.01, 0.01, 0.1, 0.1, 10.0, 10.0, 1.0, 0.5, 0.1], len(scenes)),
            args=(scenes, lanes, states, shared, prior),
        )
        step = found.x.reshape(-1, UNKNOWNS)
        states = [moved_camera(state, own[:7]) for state, own in zip(states, step, strict=True)]
        place, gated = step[:, PLACE], True
    cov = np.linalg.inv(found.jac.T @ found.jac)
    blocks = [cov[i : i + 7, i : i + 7] for i in range(0, len(cov), UNKNOWNS)]
    return [road_camera(*view) for view in zip(names, sizes, states, blocks, strict=True)]


def _residual(
    unknown: np.ndarray,
    scenes: list[TrafficScene],
    lanes: list[Lanes],
    states: list[RoadState],
    shared: list[_Shared],
    prior: TrafficPrior,
) -> np.ndarray:
    step = unknown.reshape(-1, UNKNOWNS)
    states = [moved_camera(state, own[:7]) for state, own in zip(states, step, strict=True)]
    views = [scene.residual(state, own) for scene, state, own in zip(scenes, states, lanes, strict=True)]
    usual = np.mean([view[6:] for view in views], axis=0)  # one road: its lanes and speeds are unusual once
    # a smaller road must not look better because its metres are smaller
    unit = np.exp(usual[0] * prior.lane_width_sigma)
    rows = [*(view[:6] for view in views), usual]
    rows += [_off(pair, states, step, unit, prior.speed) for pair in shared]
    rows += [step[0, 7:] / 1e-3, step[1:, CLOCK] / CLOCK_SIGMA]
    return np.concatenate(rows)


def _off(pair: _Shared, states: list[RoadState], step: np.ndarray, unit: float, speed: float) -> np.ndarray:
    """How far the same vehicles lie apart in two views beside the road, in speed, and along it (3 M,), in sigmas."""
    middle_a, speed_a, time_a = _motion(states[pair.a], pair.paths_a)
    middle_b, speed_b, time_b = _motion(states[pair.b], pair.paths_b)
    half = 0.5 * (time_b - time_a - pair.offset)
    x_a = middle_a[:, 0] + speed_a * half + step[pair.a, 7]
    x_b = middle_b[:, 0] + speed_b * (step[pair.b, CLOCK] - step[pair.a, CLOCK] - half) + step[pair.b, 7]
    beside = (middle_a[:, 1] + step[pair.a, 8] - middle_b[:, 1] - step[pair.b, 8]) / (WANDER * unit)
    faster = np.log(np.abs(speed_b / speed_a)) / (WANDER / PATH)
    along = (x_a - x_b) * speed / (WANDER * (np.abs(speed_a) + np.abs(speed_b)))
    off = np.concatenate([beside, faster, along])
    return off / np.sqrt(1.0 + (off / FAR) ** 2) * np.sqrt(CELLS / max(len(beside), 1))


def _motion(state: RoadState, paths: Paths) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle (M, 2) m of each path, signed speed (M,) m/s along the road, and when it is there (M,) s."""
    first, last = state.on_road(paths.first), state.on_road(paths.last)
    return 0.5 * (first + last), (last[:, 0] - first[:, 0]) / paths.duration, paths.start + 0.5 * paths.duration


def _shared(
    names: Sequence[str],
    scenes: list[TrafficScene],
    states: list[RoadState],
    place: np.ndarray | None,
    a: int,
    b: int,
) -> _Shared:
    """Paths whose vehicles pass at the same time; once views have a `place` (V, 2) m, also at one y and speed."""
    paths = scenes[a].paths, scenes[b].paths
    (middle_a, speed_a, time_a), (middle_b, speed_b, time_b) = (
        _motion(states[i], own) for i, own in zip((a, b), paths, strict=True)
    )
    passed_a = time_a + (np.median(middle_a[:, 0]) - middle_a[:, 0]) / speed_a
    passed_b = time_b + (np.median(middle_b[:, 0]) - middle_b[:, 0]) / speed_b
    later = passed_b - passed_a[:, None]
    offset = _clock_offset(f"cameras {names[a]!r} and {names[b]!r}", later)
    off = np.abs(later - offset)
    row, col = np.arange(len(passed_a)), off.argmin(axis=1)
    same = (off.argmin(axis=0)[col] == row) & (off[row, col] < APART)
    if place is not None:
        beside = middle_a[:, 1] + place[a, 1] - middle_b[col, 1] - place[b, 1]
        same &= (np.abs(beside) < SAME_Y) & (np.abs(np.log(np.abs(speed_b[col] / speed_a))) < SAME_SPEED)
    if same.sum() < FEWEST_SHARED:
        found = f"cameras {names[a]!r} and {names[b]!r} share {same.sum()} vehicle paths"
        raise GeometryError(f"{found}, too few to tie them together; track for longer or calibrate each alone")
    return _Shared(a, b, paths[0].take(row[same]), paths[1].take(col[same]), offset)


def _clock_offset(which: str, later: np.ndarray) -> float:
    """The most frequent difference (s) of passing times (M, N); GeometryError if none stands out from chance."""
    edges = np.arange(later.min(), later.max() + 2 * BIN, BIN)
    near = np.convolve(np.histogram(later, edges)[0], np.ones(5), "same")
    usual = np.convolve(near, np.ones(1001) / 1001, "same") + 1.0
    best = int(((near - usual) / np.sqrt(usual)).argmax())
    if near[best] - usual[best] < CLEAR * np.sqrt(usual[best]):
        raise GeometryError(f"{which} do not see the same traffic at one clock offset; calibrate each alone")
    offset = edges[best] + 0.5 * BIN
    return float(np.median(later[np.abs(later - offset) < APART]))


def _apart(pair: _Shared, states: list[RoadState]) -> np.ndarray:
    """Where view b's road frame lies in view a's (2,) m."""
    middle_a, speed_a, time_a = _motion(states[pair.a], pair.paths_a)
    middle_b, speed_b, time_b = _motion(states[pair.b], pair.paths_b)
    half = 0.5 * (time_b - time_a - pair.offset)
    x = middle_a[:, 0] - middle_b[:, 0] + (speed_a + speed_b) * half
    return np.array([np.median(x), np.median(middle_a[:, 1] - middle_b[:, 1])])
