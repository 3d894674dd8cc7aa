"""Strecha's sequences: cameras as the file states them, and files that are no such thing."""

import json

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.io.strecha import read_strecha, still_path

ENTRY = {
    "K": [[1000.0, 0, 500.0], [0, 1010.0, 400.0], [0, 0, 1]],
    "R_world_to_cam": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "C_world": [1.0, 2.0, 3.0],
    "size": [1001, 801],
}


def written(folder, **changes):
    (folder / "cameras_gt.json").write_text(json.dumps({"0000.jpg": {**ENTRY, **changes}}))
    return folder


def test_a_camera_is_as_stated(tmp_path):
    (camera,) = read_strecha(written(tmp_path))
    assert (camera.name, camera.size, camera.lens.params.tolist()) == ("0000.jpg", (1001, 801), [1000, 1010, 500, 400])
    np.testing.assert_allclose(camera.centre_world, [1, 2, 3])
    np.testing.assert_allclose(camera.project(np.array([[1.0, 7.0, 3.0]])), [[500, 400]])  # y ahead, z up
    assert still_path(tmp_path, camera) == tmp_path / "images" / "0000.jpg"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"K": [[1, 2], [3, 4]]}, "K is"),
        ({"K": [[1000.0, 3, 500.0], [0, 1010.0, 400.0], [0, 0, 1]]}, "skew 3"),
        ({"R_world_to_cam": [[1, 0, 0], [0, 1, 0], [0, 0, 2]]}, "rotation"),
        ({"size": [0, 5]}, "counts of pixels"),
        ({"other": 1}, "unknown key 'other'"),
    ],
)
def test_what_is_broken_is_named(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        read_strecha(written(tmp_path, **changes))


def test_the_recordings_cameras_look_at_one_place(recording):
    cameras = read_strecha(recording("strecha") / "fountain-P11")
    assert len(cameras) == 11
    centres = np.array([camera.centre_world for camera in cameras])
    assert np.ptp(centres, axis=0).max() < 20
