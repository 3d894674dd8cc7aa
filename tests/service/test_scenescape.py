"""What SceneScape's cameras say, and what geoloc makes of it."""

import json

import numpy as np
import pytest
from serve_samples import plaza

from geoloc.errors import InputError
from geoloc.service.serve.bridges.scenescape import scenescape_frames

CAR = {"id": 1, "category": "car", "confidence": 0.9, "bounding_box_px": {"x": 10, "y": 20, "width": 30, "height": 40}}
SAID = {"id": "c7", "timestamp": "2026-03-26T21:01:31.486Z", "rate": 10.0, "objects": {"car": [CAR]}}


def read(**changes: object):
    return scenescape_frames(json.dumps({**SAID, **changes}).encode(), plaza(), "c7")


def test_boxes_move_by_half_a_pixel_and_keep_class_score_and_time():
    boxes = read().boxes
    np.testing.assert_allclose(boxes.box, [[9.5, 19.5, 39.5, 59.5]])
    assert (boxes.label.tolist(), boxes.score.tolist()) == (["car"], [0.9])
    np.testing.assert_allclose(boxes.time, 1774558891.486)
    listed = read(objects=[CAR]).boxes
    assert listed == boxes, "the list of earlier versions"
    assert read(objects={"car": []}).latest.keys() == {"c7"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": "c1"}, "the topic's camera"),
        ({"timestamp": "yesterday"}, "ISO 8601"),
        ({"timestamp": 5}, "timestamp"),
        ({"objects": {"car": [{"category": "car", "bounding_box": {"x": 0.1}}]}}, "bounding_box_px"),
        ({"objects": {"car": [{**CAR, "confidence": 7}]}}, "0 to 1"),
        ({"objects": "car"}, "must be an object"),
    ],
)
def test_what_is_wrong_is_said(changes, why):
    with pytest.raises(InputError, match=why):
        read(**changes)
