"""Controls change what they say and nothing else."""

import numpy as np
import pytest

from geoloc.errors import UnknownNameError
from geoloc.evaluation.controls import shift_clocks
from geoloc.scene.tables import Detections


def test_only_the_named_cameras_are_shifted() -> None:
    before = Detections(time=[0.0, 0.0, 1.0], camera=["a", "b", "b"], box=np.zeros((3, 4)))
    after = shift_clocks(before, {"b": 30.0})
    assert after.time.tolist() == [0.0, 30.0, 31.0]
    assert before.time.tolist() == [0.0, 0.0, 1.0]
    assert after.replace(time=before.time) == before
    with pytest.raises(UnknownNameError, match="of the detections; known: a, b"):
        shift_clocks(before, {"c": 1.0})
