"""What a box's size tells: whether it shows where its body stands, and of which class it is."""

import numpy as np
import pytest
from sites import camera, square

from geoloc.pipeline.bodies import BodyOptions, find_bodies
from geoloc.pipeline.projection import ProjectionOptions, project_to_ground
from geoloc.pipeline.sizes import SizeOptions, weigh_boxes
from geoloc.scene.kinds import BICYCLE, CAR, PERSON, TRUCK, Kind
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints, Tracks


def box_of(site: Site, name: str, kind: Kind, xy: tuple[float, float], heading: float = 0.0) -> np.ndarray:
    """The box (4,) px of a block of a class's size, cut at the image's edge."""
    turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
    half = 0.5 * np.array([kind.length, kind.width])
    plan = np.array([(a, b) for a in (-1, 1) for b in (-1, 1)]) * half @ turn.T + xy
    corners = np.array([(*at, z) for at in plan for z in (0.0, kind.height)])
    one = site.camera(name)
    pixels = one.project(corners)
    edge = np.tile(one.size, 2) - 0.5
    return np.clip(np.concatenate([pixels.min(axis=0), pixels.max(axis=0)]), -0.5, edge)


def seen(boxes: list[np.ndarray], label: str, name: str = "A") -> Detections:
    n = len(boxes)
    return Detections(id=np.arange(n), time=np.zeros(n), camera=[name] * n, box=np.array(boxes), label=[label] * n)


def mended(site: Site, detections: Detections) -> tuple[GroundPoints, GroundPoints]:
    points, dropped = project_to_ground(detections, site)
    assert not len(dropped)
    return points, weigh_boxes(points, site, SizeOptions(), ProjectionOptions())


def sigmas_off(points: GroundPoints, row: int, xy: tuple[float, float]) -> float:
    error = points.xy[row] - xy
    return float(np.sqrt(error @ np.linalg.inv(points.cov[row] + points.bias_cov[row]) @ error))


def test_a_person_whom_the_edge_of_the_image_cuts_off_stands_under_the_head() -> None:
    site, xy = square(), (-8.7, -8.7)
    box = box_of(site, "A", PERSON, xy)
    assert box[3] == 1079.5  # the feet are below the image
    before, after = mended(site, seen([box], "person"))
    assert np.linalg.norm(before.xy[0] - xy) > 0.35  # 0.44 m
    assert np.linalg.norm(after.xy[0] - xy) < 0.4  # 0.35 m: the top of a block ends at its far corner
    assert sigmas_off(after, 0, xy) < 3


def test_a_person_behind_another_stands_under_the_head() -> None:
    site, xy = square(), (2.0, 2.0)
    near = box_of(site, "A", PERSON, (-1.0, -1.0))
    near[1] -= 20.0
    half = box_of(site, "A", PERSON, xy)
    half[3] = 0.55 * half[3] + 0.45 * half[1]  # what is lower is hidden
    before, after = mended(site, seen([half, np.array([half[0] - 30, half[3] - 5, half[2] + 30, near[3]])], "person"))
    assert np.linalg.norm(before.xy[0] - xy) > 3.0  # 4.4 m
    assert np.linalg.norm(after.xy[0] - xy) < 0.5  # 0.24 m
    assert sigmas_off(after, 0, xy) < 3


def test_a_whole_box_behind_another_and_a_given_foot_stay_as_they_are() -> None:
    site = square()
    boxes = [box_of(site, "A", PERSON, (1.0, 1.0)), box_of(site, "A", PERSON, (0.6, 0.6))]
    before, after = mended(site, seen(boxes, "person"))
    assert before == after
    cut = seen([box_of(site, "A", PERSON, (-8.7, -8.7))], "person")
    given = cut.replace(foot=[[960.0, 900.0]], foot_cov=[np.eye(2)])
    before, after = mended(site, given)
    assert before == after


def test_a_car_behind_another_may_stand_nearer() -> None:
    site, xy = square(), (4.0, 4.0)
    low = box_of(site, "A", CAR, xy)
    low[3] = 0.5 * (low[1] + low[3])
    front = np.array([low[0] - 50, low[3] - 10, low[2] + 50, low[3] + 200])
    before, after = mended(site, seen([low, front], "car"))
    assert (before.xy[0] == after.xy[0]).all()
    away = after.away[0]
    assert np.sqrt(away @ after.cov[0] @ away) > 2.0 * np.sqrt(away @ before.cov[0] @ away)
    across = np.array([-away[1], away[0]])
    assert across @ after.cov[0] @ across == pytest.approx(across @ before.cov[0] @ across)


def test_a_car_that_the_edge_of_the_image_cuts_off_is_found_by_its_top() -> None:
    site = Site("one", (camera("A", (-12.0, -12.0, 5.0), (0.0, 0.0, 0.0)),), square().site_map)
    xy, heading = (-7.5, -7.5), np.pi / 4
    box = box_of(site, "A", CAR, xy, heading)
    assert box[3] == 1079.5
    points, _ = project_to_ground(seen([box], "car"), site)
    track = Tracks(time=[0.0], track=[1], level=["ground"], xy=[xy], velocity=[(0.0, 0.0)], cov=[np.eye(4)],
                   bias_cov=[np.eye(2)], label=["car"], heading=[heading], heading_sigma=[0.1])  # fmt: skip
    found, _ = find_bodies(points, track, site, BodyOptions())
    assert np.linalg.norm(points.xy[0] - xy) > 0.5
    assert np.linalg.norm(found.xy[0] - xy) < 0.15  # 0.11 m


@pytest.mark.parametrize(("name", "kind"), [("person", PERSON), ("bicycle", BICYCLE), ("car", CAR), ("truck", TRUCK)])
def test_boxes_without_a_class_are_named_after_their_size(name: str, kind: Kind) -> None:
    site = square()
    turns = (1.2, 1.6) if name == "bicycle" else (0.0, 0.4, 0.8, 1.2)  # from behind it looks like a person
    boxes = [box_of(site, "A", kind, (x, x), np.pi / 4 + turn) for x in (0.0, 3.0) for turn in turns]
    _, after = mended(site, seen(boxes, "object"))
    assert set(after.label.tolist()) <= {name, "object"}
    assert name in after.label.tolist()


def test_what_is_no_class_is_not_named_and_other_labels_stay() -> None:
    site = square()
    person = box_of(site, "A", PERSON, (0.0, 0.0))
    person[1] -= 1.5 * (person[3] - person[1])
    assert set(mended(site, seen([person], "object"))[1].label.tolist()) == {"object"}
    assert set(mended(site, seen([person], "forklift"))[1].label.tolist()) == {"forklift"}


@pytest.mark.parametrize("turned", [np.pi / 3, np.pi / 2])
def test_a_car_that_turns_is_found_where_its_box_shows_it(turned: float) -> None:
    """Its track heads as it did before, seen from a low camera: the middle was 1.35 and 1.5 m off."""
    site = Site("one", (camera("A", (-12.0, -12.0, 3.0), (0.0, 0.0, 0.0)),), square().site_map)
    xy, ahead = (-5.0, -5.0), 0.75 * np.pi
    box = box_of(site, "A", CAR, xy, ahead + turned)
    points, _ = project_to_ground(seen([box], "car"), site)
    told = {"time": [0.0], "track": [1], "level": ["ground"], "xy": [xy], "velocity": [(2.0, 0.0)]}
    told |= {"cov": [np.eye(4)], "bias_cov": [np.eye(2)], "label": ["car"], "heading": [ahead], "heading_sigma": [0.1]}
    moves, _ = find_bodies(points, Tracks(**told, still_since=[0.0]), site, BodyOptions())
    stands, _ = find_bodies(points, Tracks(**told, still_since=[-60.0]), site, BodyOptions())
    assert np.linalg.norm(stands.xy[0] - xy) > 1.0
    assert np.linalg.norm(moves.xy[0] - xy) < 0.5  # 0.44 and 0.16 m


def test_a_box_that_ends_just_before_the_edge_of_the_image_is_cut_off_by_it() -> None:
    """Detectors miss the edge by a share of a box's size: 10 px of 700 px here."""
    site = Site("one", (camera("A", (-12.0, -12.0, 5.0), (0.0, 0.0, 0.0)),), square().site_map)
    xy, heading = (-7.5, -7.5), np.pi / 4
    box = box_of(site, "A", CAR, xy, heading)
    box[3] -= 0.015 * (box[3] - box[1])
    points, _ = project_to_ground(seen([box], "car"), site)
    track = Tracks(time=[0.0], track=[1], level=["ground"], xy=[xy], velocity=[(0.0, 0.0)], cov=[np.eye(4)],
                   bias_cov=[np.eye(2)], label=["car"], heading=[heading], heading_sigma=[0.1])  # fmt: skip
    found, _ = find_bodies(points, track, site, BodyOptions())
    assert np.linalg.norm(found.xy[0] - xy) < 0.15  # 0.11 m
