"""A run as views of objects, and where the objects of an answer are: nothing invented, nothing of tentative tracks."""

import numpy as np
import pytest

from geoloc.pipeline.sightings import SightingOptions, looks_of_run
from geoloc.scene.tables import Detections, GroundPoints, Tracks


@pytest.fixture
def run() -> tuple[Detections, Tracks, GroundPoints]:
    """Two objects, 7 and 9, in two cameras over 30 frames of 0.1 s; 9 has small boxes in the hall."""
    n = 120
    frame, camera, body = (np.arange(n) // 4, np.arange(n) % 4 // 2, np.arange(n) % 2)
    height = np.where((camera == 1) & (body == 1), 10.0, 40.0 + frame)
    box = np.column_stack([np.zeros(n), np.zeros(n), np.full(n, 20.0), height])
    detections = Detections(
        id=1000 + np.arange(n),
        time=5.0 + 0.1 * frame,
        camera=np.array(["gate", "hall"])[camera],
        box=box,
        label=np.full(n, "car"),
        score=np.full(n, 0.8),
        embedding=np.eye(2)[body],
    )
    number = 2 * frame + body  # of the window's objects
    points = GroundPoints(time=detections.time, camera=detections.camera, detection=detections.id, object=number)
    rows = np.unique(number)
    tracks = Tracks(
        time=5.0 + 0.1 * (rows // 2),
        track=np.array([7, 9])[rows % 2],
        object=rows,
        level=np.full(len(rows), "ground"),
        xy=np.column_stack([rows, -rows]),
        cov=np.tile(0.04 * np.eye(4), (len(rows), 1, 1)),
        bias_cov=np.tile(0.05 * np.eye(2), (len(rows), 1, 1)),
    )
    return detections, tracks, points


def test_views_are_the_largest_boxes_of_each_stretch_with_the_tracks_places(run) -> None:
    detections, tracks, points = run
    looks, row = looks_of_run(detections, tracks, points, "yard", SightingOptions(every_s=1.0))
    # three seconds, two cameras, two objects, but the hall shows nothing of the second
    assert len(looks) == 9
    assert set(looks.camera[looks.object == 9]) == {"gate"}
    np.testing.assert_allclose(np.unique(looks.time), [5.9, 6.9, 7.9])
    frames = np.round(10 * (looks.time - 5.0)).astype(int)
    np.testing.assert_array_equal(looks.xy[:, 0], 2 * frames + (looks.object == 9))
    np.testing.assert_allclose(looks.cov, np.tile(0.09 * np.eye(2), (9, 1, 1)))
    np.testing.assert_array_equal(looks.vector, np.eye(2)[(looks.object == 9).astype(int)])
    np.testing.assert_array_equal(detections.time[row], looks.time)
    assert set(looks.site) == {"yard"}


def test_an_objects_views_in_a_camera_are_bounded_and_spread(run) -> None:
    looks, _ = looks_of_run(*run, "yard", SightingOptions(every_s=0.0, views=3, least_height_px=0))
    assert len(looks) == 12
    np.testing.assert_allclose(np.unique(looks.time)[[0, -1]], [5.0, 7.9])


def test_points_of_tracks_that_are_not_given_are_left_out(run) -> None:
    detections, tracks, points = run
    looks, _ = looks_of_run(detections, tracks.take(tracks.track == 7), points, "yard")
    assert set(looks.object) == {7}
    none, row = looks_of_run(detections, Tracks(), points, "yard")
    assert (len(none), len(row)) == (0, 0)
    assert len(looks_of_run(Detections(), tracks, points, "yard")[0]) == 0


def test_coasting_rows_and_points_in_no_object_show_nothing(run) -> None:
    detections, tracks, points = run
    coasting = tracks.replace(object=np.full(len(tracks), -1))
    loose = points.replace(object=np.full(len(points), -1))
    assert len(looks_of_run(detections, coasting, loose, "yard")[0]) == 0
