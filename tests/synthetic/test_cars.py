"""Cars obey: they never touch, stay on lanes, stalls and levels, brake for others, stop at gates and lights."""

import numpy as np
import pytest
import shapely

from geoloc.synthetic import Truth, World
from geoloc.synthetic.garage import GATE, SPEED
from geoloc.synthetic.occupancy import rectangles_overlap
from geoloc.synthetic.paths import fillet
from geoloc.synthetic.speeds import ACCELERATIONS
from geoloc.synthetic.streets import STOP

TOUCH = 0.02  # m that two cars may come closer than touching: between the planner's steps paths are curved


def cars_of(truth: Truth) -> Truth:
    return truth.take(truth.label == "car")


def outlines(truth: Truth) -> np.ndarray:
    """Footprints of all rows as polygons."""
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) / 2 * truth.size[:, None, :2]
    cos, sin = np.cos(truth.heading)[:, None], np.sin(truth.heading)[:, None]
    x = cos * corners[..., 0] - sin * corners[..., 1]
    y = sin * corners[..., 0] + cos * corners[..., 1]
    return shapely.polygons(np.stack([x, y], axis=-1) + truth.xyz[:, None, :2])


def each_car(truth: Truth) -> list[Truth]:
    return [truth.take(truth.object == i) for i in np.unique(truth.object)]


@pytest.mark.parametrize("fixture", ["garage_truth", "crossing_truth"])
def test_cars_never_overlap(fixture: str, request: pytest.FixtureRequest) -> None:
    truth = cars_of(request.getfixturevalue(fixture))
    shape = shapely.buffer(outlines(truth), -TOUCH / 2)
    for time in np.unique(truth.time):
        rows = np.flatnonzero(truth.time == time)
        a, b = shapely.STRtree(shape[rows]).query(shape[rows], predicate="intersects")
        pairs = (a < b) & (np.abs(truth.xyz[rows[a], 2] - truth.xyz[rows[b], 2]) < 1.5)
        assert not pairs.any(), f"{truth.object[rows[a[pairs]]]} and {truth.object[rows[b[pairs]]]} at {time}"


def test_cars_touch_neither_walls_nor_pillars(garage_world: World, garage_truth: Truth) -> None:
    truth = cars_of(garage_truth)
    shape = outlines(truth)
    for occluder in garage_world.site.site_map.occluders:
        hit = shapely.intersects(shape, occluder.geometry) & (truth.level == occluder.level)
        assert not hit.any(), f"{occluder.name}: cars {np.unique(truth.object[hit])}"


def test_cars_stay_on_lanes_stalls_and_the_surface_of_their_level(
    garage_world: World, garage_truth: Truth
) -> None:
    truth, site_map = cars_of(garage_truth), garage_world.site.site_map
    allowed = [zone for zone in site_map.zones if zone.kind != "walkway"]
    for level in site_map.levels:
        rows = truth.level == level.name
        places = [place.polygon for place in (*allowed, *site_map.stalls) if place.level == level.name]
        area = shapely.union_all(places)
        shapely.prepare(area)
        off = ~shapely.intersects_xy(area, truth.xyz[rows, 0], truth.xyz[rows, 1])
        assert not off.any(), f"{level.name}: {truth.xyz[rows][off][:3]}"
        assert np.array_equal(truth.xyz[rows, 2], level.z_at(truth.xyz[rows, :2]))


def test_speeds_are_plausible_and_are_what_the_places_say(garage_truth: Truth) -> None:
    for car in each_car(cars_of(garage_truth)):
        dt = np.diff(car.time)
        moved = np.diff(car.xyz[:, :2], axis=0) / dt[:, None]
        middle = 0.5 * (car.velocity[1:] + car.velocity[:-1])
        assert np.hypot(*car.velocity.T).max(initial=0) <= SPEED * 1.05
        # the mean of two velocities is not quite the velocity between them where a car turns or shifts
        assert np.abs(moved - middle).max(initial=0) < 0.45, "m/s"
        speed = np.hypot(*car.velocity.T)
        gain = np.diff(speed) / dt
        assert gain.max(initial=0) <= 1.5 * max(ACCELERATIONS) * 1.05 + 0.01
        assert gain.min(initial=0) >= 1.5 * min(ACCELERATIONS) * 1.05 - 0.01


def test_cars_head_where_they_drive_unless_they_reverse_out(garage_truth: Truth) -> None:
    truth = cars_of(garage_truth)
    fast = np.hypot(*truth.velocity.T) > 0.05
    ahead = np.column_stack([np.cos(truth.heading), np.sin(truth.heading)])
    along = (truth.velocity * ahead).sum(axis=1)
    aside = truth.velocity[:, 0] * ahead[:, 1] - truth.velocity[:, 1] * ahead[:, 0]
    assert np.abs(aside).max() < 1e-9
    reverse = fast & (along < 0)
    assert reverse.any()
    assert np.hypot(*truth.velocity[reverse].T).max() <= 2.5  # m/s


def test_parked_cars_stand_still_inside_their_stalls(garage_world: World, garage_truth: Truth) -> None:
    stalls = {level: [] for level in ("P1", "P2")}
    for stall in garage_world.site.site_map.stalls:
        stalls[stall.level].append(stall.polygon.buffer(0.13))
    n_parked = 0
    for car in each_car(cars_of(garage_truth)):
        if (car.velocity == 0).all():
            n_parked += 1
            assert (np.ptp(car.xyz, axis=0) == 0).all()
            assert shapely.covers(stalls[str(car.level[0])], outlines(car)[0]).sum() == 1
    assert n_parked >= 10


def test_cars_come_park_leave_and_change_levels(garage_world: World, garage_truth: Truth) -> None:
    truth = cars_of(garage_truth)
    came = left = climbed = 0
    for car in each_car(truth):
        came += bool(car.time[0] > truth.time.min() and car.xyz[0, 0] < 0 and (car.velocity[-1] == 0).all())
        left += bool(car.time[-1] < truth.time.max() and car.xyz[-1, 0] < 0)
        if len(np.unique(car.level)) == 2:
            climbed += 1
            jump = np.abs(np.diff(car.xyz[:, 2])).max()
            assert jump < 0.2, f"{jump} m in one row; the ramp climbs 0.15 m a metre"
    assert (came >= 3, left >= 3, climbed >= 3) == (True, True, True), (came, left, climbed)


def test_cars_queue_at_the_gate_and_wait_there(garage_truth: Truth) -> None:
    truth = cars_of(garage_truth)
    waits, queued = [], 0
    for car in each_car(truth):
        still = (car.velocity == 0).all(axis=1) & (car.level == "P1")
        at_gate = still & (np.abs(car.xyz[:, :2] - [-3, 8]).max(axis=1) < 0.3)
        if at_gate.any() and car.time[0] > truth.time.min() and not at_gate[-1]:
            waits.append(at_gate.sum() * 0.2)
        queued += bool((still & (car.xyz[:, 0] < -5) & (np.abs(car.xyz[:, 1] - 8) < 0.5)).any())
    assert len(waits) >= 3
    assert min(waits) >= GATE - 0.41
    assert queued >= 1


def test_nobody_crosses_a_stop_line_at_red(crossing_world: World, crossing_truth: Truth) -> None:
    lanes, options = crossing_world.lanes, crossing_world.traffic
    crossed = 0
    for name in ("north", "south", "east", "west"):
        stop, light = (lanes.nodes[f"{name} stop"][key] for key in ("xy", "light"))
        out = np.round(np.array(stop) / STOP)
        for car in each_car(crossing_truth):
            along = car.xyz[:, :2] @ out
            aside = np.abs(car.xyz[:, :2] - stop) @ np.abs(out[::-1])
            over = (along[:-1] >= STOP) & (along[1:] < STOP) & (aside[:-1] < 0.5)
            time = car.time[1:][over] - options.start_time + options.warmup
            crossed += over.sum()
            assert not light.is_red(time).any(), f"car {car.object[0]} at {time}"
    assert crossed >= 15


def test_corners_are_rounded_within_their_segments() -> None:
    points, heading, _ = fillet(np.array([[0, 0], [10, 0], [10, 8], [3, 8]]), radius=3.0)
    steps = np.diff(points, axis=0)
    turned = np.arctan2(steps[:, 1], steps[:, 0])
    assert np.abs(np.unwrap(turned) - 0.5 * (heading[1:] + heading[:-1])).max() < 0.03  # rad
    inside = np.hypot(*(points[(points[:, 0] > 7) & (points[:, 1] < 3)] - [7, 3]).T)
    assert inside.max() < 3.0 + 1e-9 or np.isclose(inside, 3.0).any()


def test_rectangles_overlap_as_shapely_says(rng: np.random.Generator) -> None:
    n = 2000
    xy, heading = rng.uniform(-4, 4, (2, n, 2)), rng.uniform(-np.pi, np.pi, (2, n))
    size = rng.uniform(1, 5, (2, n, 2))
    shapes = [
        outlines(
            Truth(xyz=np.column_stack([p, np.zeros(n)]), heading=h, size=np.column_stack([s, np.ones(n)]))
        )
        for p, h, s in zip(xy, heading, size, strict=True)
    ]
    mine = rectangles_overlap(xy[0], heading[0], size[0], xy[1], heading[1], size[1])
    assert np.array_equal(mine, shapely.intersects(shapes[0], shapes[1]))
