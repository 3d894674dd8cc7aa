"""Linking a day of a garage with 60 cameras: tracks that end at every blind gap and behind every parked van."""

import time
from dataclasses import dataclass

import numpy as np

from benchmarks.row import Row
from geoloc.pipeline.linking import link
from geoloc.scene.tables import GroundPoints, Tracks
from geoloc.synthetic import World, long_garage
from geoloc.synthetic.paths import Leg
from geoloc.synthetic.routes import legs_from_stall, legs_to_stall

DAY_S = 86400.0
N_CARS = 2200
STAY_S = 5400.0  # mean
RATE = 4.0  # Hz
SETTLES_S, WAKES_S = 15.0, 5.0  # for as long a car is seen in its stall, after it came and before it leaves
GLIMPSE_S, EVERY_S = 5.0, 1200.0  # and in between, now and then
SIGMA, SPEED_SIGMA, BIAS_SIGMA = 0.15, 0.3, 0.15  # m, m/s, m
ASKED = "<= 60 s"


@dataclass(frozen=True, eq=False)
class Day:
    """Tracks of a day, and whose each is: `car` (n,) of the tracks 0 to n - 1."""

    tracks: Tracks
    points: GroundPoints  # which cameras saw each row
    car: np.ndarray


def bench_linking() -> list[Row]:
    """Seconds for all tracks of a day, and which of its links are right."""
    world = long_garage()
    _ = world.site.visibility  # computed once a site, see the row of `Localizer.step`
    day = garage_day(world, np.random.default_rng(11), N_CARS)
    start = time.perf_counter()
    linked = link(day.tracks, world.site, points=day.points)
    took = time.perf_counter() - start
    name, precision, recall, kept = "linking a day of 60 cameras", *link_scores(day, linked.tracks)
    said = f"{len(day.car):,} tracks of {len(np.unique(day.car)):,} cars, {len(day.tracks):,} rows"
    return [
        Row(name, "geoloc.link", took, "s", None, ASKED, said),
        Row(name, "links that are right", 100.0 * precision, "%", None, "", "of those that were made"),
        Row(name, "links that were found", 100.0 * recall, "%", None, "", "of a car's tracks that follow each other"),
        Row(name, "cars that leave under the number they came with", 100.0 * kept, "%", None, ">= 99 %"),
    ]


def garage_day(world: World, rng: np.random.Generator, n_cars: int) -> Day:
    """Cars that come at any time of the day, park and leave, as tracks: one for each stretch that a camera sees."""
    stalls = [stall.name for stall in world.site.site_map.stalls]
    free_from = dict.fromkeys(stalls, 0.0)
    ways = {stall: (legs_to_stall(world, "in", stall), legs_from_stall(world, stall, "out")) for stall in stalls}
    parts = []
    for car, come in enumerate(np.sort(rng.uniform(0.0, DAY_S, n_cars)).tolist()):
        open_stalls = [stall for stall in stalls if free_from[stall] <= come]
        stall = open_stalls[int(rng.integers(len(open_stalls)))]
        drive = _drive(*ways[stall], come, float(rng.exponential(STAY_S)), rng)
        free_from[stall] = float(drive["time"][-1]) + 60.0
        parts.append(drive | {"car": np.full(len(drive["time"]), car)})
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _tracks(world, rows, rng)


def _drive(
    arrive: list[Leg], leave: list[Leg], come: float, stay: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """One car's rows while it moves, and while it is seen in its stall."""
    factor = rng.uniform(0.7, 1.0)
    there = _legs(arrive, come, factor)
    parked = float(there["time"][-1])
    stay = max(stay, SETTLES_S + WAKES_S + 10.0)
    glimpses = parked + np.arange(EVERY_S, stay - WAKES_S - GLIMPSE_S, EVERY_S)
    spans = [(parked, parked + SETTLES_S), *((at, at + GLIMPSE_S) for at in glimpses.tolist())]
    spans.append((parked + stay - WAKES_S, parked + stay))
    still = np.concatenate([np.arange(np.ceil(a * RATE), b * RATE) / RATE for a, b in spans])
    stands = {name: np.repeat(there[name][-1:], len(still), axis=0) for name in ("xy", "level")}
    stands |= {"time": still, "velocity": np.zeros((len(still), 2))}
    back = _legs(leave, parked + stay, factor)
    return {name: np.concatenate([part[name] for part in (there, stands, back)]) for name in there}


def _legs(legs: list[Leg], start: float, factor: float) -> dict[str, np.ndarray]:
    """Rows of a drive over legs at a share `factor` of the speed that each place allows."""
    xy = np.concatenate([leg.xyz[:, :2] for leg in legs])
    level = np.concatenate([leg.level for leg in legs])
    step = [leg.spacing / (factor * leg.cap) for leg in legs]
    for leg, seconds in zip(legs, step, strict=True):
        seconds[0] = max(leg.dwell, 1e-3)
    at = start + np.cumsum(np.concatenate(step))
    time = np.arange(np.ceil(start * RATE), at[-1] * RATE) / RATE
    place = np.minimum(np.searchsorted(at, time), len(at) - 1)
    xy = np.column_stack([np.interp(time, at, xy[:, i]) for i in (0, 1)])
    return {"time": time, "xy": xy, "level": level[place], "velocity": np.gradient(xy, 1.0 / RATE, axis=0)}


def _tracks(world: World, rows: dict[str, np.ndarray], rng: np.random.Generator) -> Day:
    """What cameras see of the rows, with noise; a track ends where nobody sees its car."""
    level = world.site.site_map.level_rows(rows["level"])
    views = world.site.visibility.seen_by(level, rows["xy"])
    seen = views.any(axis=1)
    row, camera = np.nonzero(views[seen])
    names = np.array([camera.name for camera in world.site.cameras])
    points = GroundPoints(object=row, camera=names[camera])
    rows = {name: column[seen] for name, column in rows.items()}
    n = len(rows["time"])
    new = np.append(True, (np.diff(rows["car"]) != 0) | (np.diff(rows["time"]) > 1.5 / RATE))
    track = np.cumsum(new) - 1
    cov = np.diag([SIGMA**2] * 2 + [SPEED_SIGMA**2] * 2)
    bias = rng.normal(0.0, BIAS_SIGMA, (int(track.max(initial=0)) + 1, 2))
    order = np.argsort(rows["time"], kind="stable")
    tracks = Tracks(
        time=rows["time"],
        track=track,
        object=np.arange(n),
        level=rows["level"],
        xy=rows["xy"] + bias[track] + rng.normal(0.0, SIGMA, (n, 2)),
        z=np.zeros(n),
        velocity=rows["velocity"] + rng.normal(0.0, SPEED_SIGMA, (n, 2)),
        cov=np.broadcast_to(cov, (n, 4, 4)),
        bias_cov=np.broadcast_to(BIAS_SIGMA**2 * np.eye(2), (n, 2, 2)),
        label=np.full(n, "car"),
        score=np.full(n, 0.99),
        state=np.full(n, "confirmed"),
    )
    return Day(tracks.take(order), points, rows["car"][new])


def link_scores(day: Day, linked: Tracks) -> tuple[float, float, float]:
    """Precision and recall of the links, and the share of the cars whose last number is their first one."""
    number = _number_of_tracks(day, linked)
    start = np.full(len(day.car), np.inf)
    np.minimum.at(start, day.tracks.track, day.tracks.time)
    true, made = (_followers(key, start) for key in (day.car, number))
    both = len(true & made)
    by_car = np.lexsort((start, day.car))
    first = np.unique(day.car[by_car], return_index=True)[1]
    last = np.append(first[1:], len(by_car)) - 1
    kept = np.mean(number[by_car[first]] == number[by_car[last]])
    return both / max(len(made), 1), both / max(len(true), 1), float(kept)


def _number_of_tracks(day: Day, linked: Tracks) -> np.ndarray:
    """The number (n,) that the objects of each track went into."""
    known = linked.take(linked.object >= 0)
    number = np.full(len(day.tracks), -1)
    number[known.object] = known.track
    by_object = np.argsort(day.tracks.object)
    of_object = day.tracks.track[by_object]
    result = np.full(len(day.car), -1)
    has = number >= 0
    result[of_object[has]] = number[has]
    return result


def _followers(key: np.ndarray, start: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of tracks that follow each other under one key."""
    order = np.lexsort((start, key))
    same = np.diff(key[order]) == 0
    return set(zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True))
