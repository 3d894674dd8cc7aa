"""People walk smoothly inside their walks, keep apart, stand together, come and go through doors."""

import numpy as np
import shapely

from geoloc.synthetic import Truth, World
from geoloc.synthetic.people import APART, TOP_SPEED


def test_people_stay_on_the_walk_and_clear_of_its_obstacles(plaza_world: World, plaza_truth: Truth) -> None:
    area = plaza_world.walks[0].area.buffer(-0.2)
    assert shapely.intersects_xy(area, plaza_truth.xyz[:, 0], plaza_truth.xyz[:, 1]).all()


def test_people_do_not_walk_through_each_other(plaza_truth: Truth) -> None:
    closest = np.inf
    for time in np.unique(plaza_truth.time):
        xy = plaza_truth.xyz[plaza_truth.time == time, :2]
        gap = np.linalg.norm(xy[:, None] - xy, axis=2)
        closest = min(closest, gap[~np.eye(len(xy), dtype=bool)].min())
    assert closest > APART - 0.05, f"{closest:.3f} m"


def test_people_walk_smoothly_at_the_pace_of_people(plaza_truth: Truth) -> None:
    speeds = []
    for i in np.unique(plaza_truth.object):
        one = plaza_truth.take(plaza_truth.object == i)
        moved = np.diff(one.xyz[:, :2], axis=0) / np.diff(one.time)[:, None]
        speeds.append(np.hypot(*moved.T))
        change = np.linalg.norm(np.diff(moved, axis=0), axis=1) / 0.2
        assert change.max(initial=0) < 7.0, "m/s²"
    speed = np.concatenate(speeds)
    walking = speed[speed > 0.5]
    assert speed.max() < TOP_SPEED + 0.1
    assert 1.0 < np.median(walking) < 1.5


def test_people_meet_and_stand_together(plaza_truth: Truth) -> None:
    together = 0
    for time in np.unique(plaza_truth.time)[::10]:
        rows = plaza_truth.take(plaza_truth.time == time)
        still = rows.xyz[np.hypot(*rows.velocity.T) < 0.1, :2]
        gap = np.linalg.norm(still[:, None] - still, axis=2) + 9 * np.eye(len(still))
        together += (gap.min(axis=1, initial=9.0) < 1.3).sum()
    assert together >= 20


def test_people_come_and_go_through_doors_under_new_ids(plaza_world: World, plaza_truth: Truth) -> None:
    doors, end = plaza_world.walks[0].doors, plaza_truth.time.max()
    came, left = [], []
    for i in np.unique(plaza_truth.object):
        one = plaza_truth.take(plaza_truth.object == i)
        if one.time[0] > plaza_truth.time.min():
            came.append(np.linalg.norm(doors - one.xyz[0, :2], axis=1).min())
        if one.time[-1] < end:
            left.append(np.linalg.norm(doors - one.xyz[-1, :2], axis=1).min())
    assert min(len(came), len(left)) >= 5
    assert max(came) < 0.6, f"{max(came):.2f} m from a door"
    assert max(left) < 0.8, f"{max(left):.2f} m from a door"


def test_there_are_always_as_many_people_as_asked(plaza_world: World, plaza_truth: Truth) -> None:
    assert (np.unique(plaza_truth.time, return_counts=True)[1] == plaza_world.traffic.n_people).all()
