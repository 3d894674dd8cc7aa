"""BrnoCompSpeed: road views calibrated from half of their measured distances, from traffic alone, and speeds."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from geoloc.calibrate.road import RoadSolution, calibrate_road, road_lengths
from geoloc.calibrate.traffic import crossing_times, vehicle_motions
from geoloc.calibrate.traffic_road import calibrate_from_traffic
from geoloc.calibrate.traffic_views import calibrate_views_from_traffic
from geoloc.errors import GeometryError
from geoloc.evaluation.measures import Blocks, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.io.brnocompspeed import RoadView, brnocompspeed_views, read_brnocompspeed
from geoloc.scene.camera import Camera
from geoloc.scene.roads import ACROSS, RoadSegments
from recordings.figures import Part

logger = logging.getLogger(__name__)

SPLITS = 40
SEED = 1
INSIDE = 1.96  # standard deviations
MATCH_S = 0.15  # between a vehicle's measured and tracked crossings, after the view's own offset
HALVES = (
    f"{SPLITS} halves of each view's distances (rounded up, drawn with seed {SEED} among those with one along and one "
    "across the road) and the lane lines; lengths of the other half"
)
HALVES_REFUSED = "of all halves without a distance across the road, and of those drawn"
TRAFFIC = "vehicle tracks alone, on the priors of TrafficPrior: 3.5 m between lanes, 80 km/h, focal 1.4 widths, level"
TOGETHER = f"{TRAFFIC}; the views of a session see the same vehicles and are calibrated together"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Lengths that were predicted: error in per cent of the truth, error in sigmas, and the view's index."""

    per_cent: np.ndarray
    sigmas: np.ndarray
    view: np.ndarray

    @classmethod
    def concat(cls, parts: list["Predictions"]) -> "Predictions":
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("per_cent", "sigmas", "view")))


def run(folder: Path) -> list[Figure]:
    """Held-out distances, distances of the automatic calibration, speeds, and what was refused."""
    views = [read_brnocompspeed(folder, name) for name in brnocompspeed_views(folder)]
    sessions = sorted({view.name.split("_")[0].removeprefix("session") for view in views})
    part = Part("brnocompspeed", f"sessions {', '.join(sessions)}", 0.0)
    return [*_held_out_figures(part, views), *_automatic_figures(part, views), *_speed_figures(part, views)]


def halves(view: RoadView) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Masks (N,) of all halves of the distances: those with both directions, without one across, without one along."""
    across = view.distances.direction == ACROSS
    kinds: tuple[list[np.ndarray], ...] = ([], [], [])
    for chosen in combinations(range(len(across)), (len(across) + 1) // 2):
        mask = np.isin(np.arange(len(across)), chosen)
        kinds[1 if not across[mask].any() else 2 if across[mask].all() else 0].append(mask)
    return kinds[0], kinds[1], kinds[2]


def from_half(view: RoadView, half: np.ndarray) -> RoadSolution:
    """The view calibrated from the distances of a mask; the others keep their ends and direction, not their length."""
    told = view.distances.replace(length=np.where(half, view.distances.length, np.nan))
    return calibrate_road(view.name, view.size, RoadSegments.concat([told, view.lane_lines]))


def _held_out_figures(part: Part, views: list[RoadView]) -> list[Figure]:
    rng = np.random.default_rng(SEED)
    drawn, without_along, refused = [], [], 0
    for index, view in enumerate(views):
        both, no_across, no_along = halves(view)
        draws = rng.choice(len(both), SPLITS, replace=len(both) < SPLITS) if both else np.empty(0, int)
        chosen = [both[i] for i in draws]
        found, loose = list(_predicted(view, index, chosen)), list(_predicted(view, index, no_along))
        failed = len(chosen) - len(found)
        unfit = len(no_across) - len(list(_predicted(view, index, no_across)))
        logger.warning(
            "brnocompspeed %s: refused %d of %d halves with none across, %d of %d with none along, %d of %d others",
            *(view.name, unfit, len(no_across), len(no_along) - len(loose), len(no_along), failed, len(chosen)),
        )
        refused += unfit + failed
        drawn += found
        without_along += loose
    figures = _distance_figures(part, Predictions.concat(drawn), "", HALVES, len(views))
    figures += _view_figures(part, Predictions.concat(drawn), views)
    figures.append(part.figure("halves_refused", refused, "", HALVES_REFUSED))
    if without_along:
        protocol = f"the {len(without_along)} halves without a distance along the road that were not refused"
        figures += _distance_figures(part, Predictions.concat(without_along), "_none_along", protocol, len(views))
    return figures


def _predicted(view: RoadView, index: int, masks: list[np.ndarray]) -> Iterator[Predictions]:
    """What each half that is not refused says of the other."""
    for half in masks:
        try:
            solution = from_half(view, half)
        except GeometryError:
            continue
        other = np.flatnonzero(~half)
        yield _against(view, index, solution.length[other], solution.sigma[other], other)


def _against(view: RoadView, index: int, length: np.ndarray, sigma: np.ndarray, which: np.ndarray) -> Predictions:
    truth = view.distances.length[which]
    error = length - truth
    sigma = np.hypot(sigma, view.distances.length_sigma[which])
    return Predictions(100 * np.abs(error) / truth, error / sigma, np.full(len(which), index))


def _distance_figures(part: Part, found: Predictions, suffix: str, protocol: str, n_views: int) -> list[Figure]:
    blocks, said = Blocks(found.view, n_views), f"{protocol}; n {len(found.view)}"
    inside = np.abs(found.sigmas) < INSIDE
    return [
        part.measured(of_quantile(f"distance_error{suffix}_median", "%", said, found.per_cent, blocks), "views"),
        part.measured(of_mean(f"distance_error{suffix}_mean", "%", said, found.per_cent, blocks), "views"),
        part.measured(of_mean(f"coverage_95{suffix}", "%", said, inside, blocks, 100), "views"),
        part.measured(of_mean(f"nees{suffix}", "", f"{said}, 1 expected", found.sigmas**2, blocks), "views"),
    ]


def _view_figures(part: Part, found: Predictions, views: list[RoadView]) -> list[Figure]:
    """The median of each view, as a part of its own, and the worst of them."""
    medians = [float(np.median(found.per_cent[found.view == index])) for index in range(len(views))]
    figures = [
        Part(part.recording, view.name, 0.0).figure("distance_error_median", median, "%", HALVES)
        for view, median in zip(views, medians, strict=True)
    ]
    worst = int(np.argmax(medians))
    said = f"largest of the views' medians ({views[worst].name}); {HALVES}"
    return [*figures, part.figure("distance_error_worst_view", medians[worst], "%", said)]


def _automatic_figures(part: Part, views: list[RoadView]) -> list[Figure]:
    """Each view from its own tracks, and the views of a session from theirs together."""
    alone = [found for view in views for found in _from_traffic([view])]
    sessions = sorted({view.name.split("_")[0] for view in views})
    together = [found for name in sessions for found in _from_traffic([v for v in views if v.name.startswith(name)])]
    figures = []
    for found, suffix, protocol in ((alone, "_automatic", TRAFFIC), (together, "_automatic_together", TOGETHER)):
        indexed = [_on_distances(views, camera) for camera in found]
        figures += _distance_figures(part, Predictions.concat(indexed), suffix, protocol, len(views)) if found else []
    return figures


def _from_traffic(views: list[RoadView]) -> list[Camera]:
    """Cameras of views that share their traffic, or of one view; none where they are refused."""
    names, sizes, tracks = zip(*((view.name, view.size, view.tracks) for view in views), strict=True)
    try:
        if len(views) == 1:
            return [calibrate_from_traffic(names[0], sizes[0], tracks[0])]
        return calibrate_views_from_traffic(names, sizes, tracks)
    except GeometryError as error:
        logger.warning("brnocompspeed %s: no automatic calibration: %s", ", ".join(names), error)
        return []


def _on_distances(views: list[RoadView], camera: Camera) -> Predictions:
    index = [view.name for view in views].index(camera.name)
    view = views[index]
    length, sigma = road_lengths(camera, view.distances.ends, float(view.distances.pixel_sigma[0]))
    return _against(view, index, length, sigma, np.arange(len(length)))


def _speed_figures(part: Part, views: list[RoadView]) -> list[Figure]:
    errors, sigmas, owner = [np.empty(0)], [np.empty(0)], [np.empty(0, int)]
    for index, view in enumerate(views):
        solution = calibrate_road(view.name, view.size, RoadSegments.concat([view.distances, view.lane_lines]))
        motions = vehicle_motions(solution.camera, view.tracks, solution.stretch)
        car, row = matched(view, crossing_times(solution.camera, motions, view.gates))
        n = len(view.speeds.speed)
        logger.warning("brnocompspeed %s: %d of %d measured vehicles tracked", view.name, len(car), n)
        errors.append(3.6 * (np.abs(motions.speed[row]) - view.speeds.speed[car]))
        sigmas.append(3.6 * motions.speed_sigma[row])
        owner.append(np.full(len(car), index))
    error, sigma, blocks = np.concatenate(errors), np.concatenate(sigmas), Blocks(np.concatenate(owner), len(views))
    said = f"all distances and lane lines; vehicles matched by the times they cross the lines; n {len(error)}"
    return [
        part.measured(of_mean("speed_error_mean_kmh", "km/h", said, np.abs(error), blocks), "views"),
        part.measured(of_quantile("speed_error_median_kmh", "km/h", said, np.abs(error), blocks), "views"),
        part.measured(of_mean("speed_coverage_95", "%", said, np.abs(error) < INSIDE * sigma, blocks, 100), "views"),
    ]


def matched(view: RoadView, crossing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measured vehicles and the rows of `crossing` (M, L) s that are theirs, one to one, by times only.

    The recording's two clocks differ by up to a tenth of a second: the offset is the most frequent difference.
    """
    with np.errstate(invalid="ignore"):
        apart = np.nanmedian(crossing[None] - view.speeds.crossed[:, None], axis=2)
    count, edge = np.histogram(apart[np.abs(apart) < 0.5], 50, (-0.5, 0.5))
    off = np.abs(apart - edge[count.argmax()] - 0.01)
    off = np.where(np.isfinite(off), np.minimum(off, 1.0), 1.0)
    car, row = linear_sum_assignment(off)
    near = off[car, row] < MATCH_S
    return car[near], row[near]
