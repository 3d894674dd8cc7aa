"""BrnoCompSpeed's files: read as they are, refused by name where they are broken."""

import json
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.io.brnocompspeed import brnocompspeed_views, read_brnocompspeed
from geoloc.scene.roads import ACROSS, ALONG


def write_view(folder: Path, **changes: object) -> Path:
    truth: dict = {
        "distanceMeasurement": [
            {"p1": [100.0, 900.0, 1.0], "p2": [300.0, 400.0, 1.0], "distance": 7.0, "toVP1": True},
            {"p1": [100.0, 900.0, 1.0], "p2": [900.0, 880.0, 1.0], "distance": 3.5, "toVP1": False},
        ],
        "measurementLines": [[0.0, 1.0, -500.0], [0.0, 1.0, -700.0]],
        "laneDivLines": [[1.0, 0.5, -600.0], [1.0, 0.0, -700.0]],
        "cars": [
            {
                "valid": True,
                "speed": 72.0,
                "laneIndex": [1],
                "intersections": [{"measurementLineId": 1, "videoTime": 2.5}],
            },
            {"valid": False, "speed": 1.0, "laneIndex": [0], "intersections": []},
        ],
        "fps": 50.0,
        **changes,
    }
    tracks = [{"id": 4, "frames": [10, 11], "posX": [5.0, 6.0], "posY": [7.0, 8.0]}]
    for kind, content in (("gt", truth), ("tracks", tracks)):
        (folder / kind).mkdir(exist_ok=True)
        (folder / kind / "session9_left.json").write_text(json.dumps(content))
    return folder


def test_a_view_is_read(tmp_path):
    folder = write_view(tmp_path)
    assert brnocompspeed_views(folder) == ["session9_left"]
    view = read_brnocompspeed(folder, "session9_left")
    assert view.distances.direction.tolist() == [ALONG, ACROSS]
    np.testing.assert_array_equal(view.distances.length, [7.0, 3.5])
    homogeneous = np.dstack([view.lane_lines.ends, np.ones((2, 2))])
    np.testing.assert_allclose(np.einsum("nki,ni->nk", homogeneous, [[1, 0.5, -600], [1, 0, -700]]), 0, atol=1e-9)
    np.testing.assert_allclose(view.speeds.speed, [20.0])
    np.testing.assert_array_equal(view.speeds.crossed, [[np.nan, 2.5]])
    np.testing.assert_allclose(view.tracks.time, [0.2, 0.22])
    np.testing.assert_array_equal(view.tracks.pixel, [[5.0, 7.0], [6.0, 8.0]])


@pytest.mark.parametrize(
    "changes", [{"fps": "fast"}, {"laneDivLines": [[1.0]]}, {"cars": [{}]}, {"distanceMeasurement": 3}]
)
def test_broken_views_are_named(tmp_path, changes):
    folder = write_view(tmp_path, **changes)
    with pytest.raises(InputError, match=r"session9_left\.json: not a view of BrnoCompSpeed"):
        read_brnocompspeed(folder, "session9_left")


def test_absent_views_and_broken_tracks_are_named(tmp_path):
    folder = write_view(tmp_path)
    with pytest.raises(InputError, match="session8_left"):
        read_brnocompspeed(folder, "session8_left")
    (folder / "tracks" / "session9_left.json").write_text('[{"frames": [1], "posX": [2]}]')
    with pytest.raises(InputError, match="not tracks of BrnoCompSpeed"):
        read_brnocompspeed(folder, "session9_left")


def test_real_views_are_whole(recording):
    folder = recording("brnocompspeed")
    for name in brnocompspeed_views(folder):
        view = read_brnocompspeed(folder, name)
        assert {ALONG, ACROSS} == set(view.distances.direction.tolist())
        assert len(view.lane_lines) >= 2
        assert np.isfinite(view.tracks.pixel).all()
        assert (view.speeds.speed > 5.0).all()
