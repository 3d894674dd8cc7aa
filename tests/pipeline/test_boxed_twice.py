"""Boxes that are one thing, or nearly: vehicles that are boxed twice, people who are not, vague points of a camera."""

import numpy as np
import pytest
from sites import points_at

from geoloc.pipeline.association import associate
from geoloc.pipeline.duplicates import DuplicateOptions, set_duplicates_apart, with_echoes, without_room
from geoloc.pipeline.packed import camera_sets
from geoloc.scene.tables import Detections, GroundPoints, Tracks


def boxes(label: str, shift_px: float) -> Detections:
    """Two boxes of 100 by 60 px in one frame of camera A, so many pixels apart."""
    box = np.array([[100.0, 100.0, 200.0, 160.0], [100.0 + shift_px, 100.0, 200.0 + shift_px, 160.0]])
    given = {"camera": ["A", "A"], "time": np.zeros(2), "label": [label] * 2, "score": [0.9, 0.8]}
    return Detections(id=np.arange(2), box=box, **given)


@pytest.mark.parametrize(
    ("label", "apart", "sigma", "n"),
    [
        ("car", 0.3, 0.1, 1),  # no two cars have room
        ("car", 2.2, 0.1, 2),  # side by side
        ("car", 1.0, 1.0, 1),  # too vague to be told apart
        ("person", 0.1, 0.1, 2),  # people may be in one another's arms
    ],
)
def test_a_vehicle_boxed_twice_is_one_where_two_have_no_room(label, apart, sigma, n):
    options = DuplicateOptions()
    speaking, follows, doubtful = set_duplicates_apart(boxes(label, 8.0), options)  # they overlap by 85 %
    assert len(speaking) == 2
    assert not len(follows)
    points = points_at(np.array([[0.0, 0.0], [apart, 0.0]]), ["A", "A"], sigma, label)
    left, pairs = without_room(points, doubtful, options)
    assert len(left) == n
    assert pairs.tolist() == ([[1, 0]] if n == 1 else [])


def test_boxes_that_share_nearly_everything_are_one_whatever_they_show():
    speaking, follows, _ = set_duplicates_apart(boxes("person", 1.0), DuplicateOptions())
    assert speaking.id.tolist() == [0]
    assert follows.tolist() == [[1, 0]]


def test_an_echo_is_found_under_its_object_but_not_twice_in_one_camera():
    points = points_at(np.zeros((3, 2)), ["A", "B", "A"]).replace(object=np.array([7, 8, 8]))
    assert with_echoes(points, np.array([[8, 7]])).object.tolist() == [7, 7, 8]


def vague(camera: str) -> tuple[GroundPoints, Tracks]:
    """A person 80 m away: known to 4 m, all of it persistent, and the track that camera A saw last."""
    bias = np.broadcast_to(16.0 * np.eye(2), (1, 2, 2))
    point = points_at(np.array([[0.1, 0.0]]), [camera]).replace(bias_cov=bias)
    cov = np.diag([0.01, 0.01, 0.1, 0.1])[None]
    none = {"z": np.zeros(1), "velocity": np.zeros((1, 2)), "score": np.ones(1)}
    names = {"level": ["ground"], "label": ["person"], "state": ["confirmed"], "object": [0]}
    return point, Tracks(time=np.zeros(1), track=[1], xy=np.zeros((1, 2)), cov=cov, bias_cov=bias, **none, **names)


@pytest.mark.parametrize(("camera", "joined"), [("A", True), ("B", False)])
def test_a_vague_point_joins_the_track_that_its_own_camera_saw(camera, joined):
    """Another camera's may be anybody's within 4 m; its own camera errs as it did a moment ago."""
    point, track = vague(camera)
    groups = associate(point, track, camera_set=camera_sets(("A",)))
    assert groups.track.tolist() == ([0] if joined else [-1])
