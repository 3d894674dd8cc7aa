import numpy as np

from geoloc.draw.layers import as_far_as_seen
from geoloc.scene.tables import Tracks


def rows(track: int, states: list[str]) -> Tracks:
    n = len(states)
    return Tracks(time=np.arange(n), track=[track] * n, level=["ground"] * n, xy=np.zeros((n, 2)), state=states)


def test_coasting_after_the_last_sight_is_not_drawn_but_gaps_are():
    tracks = Tracks.concat([
        rows(1, ["confirmed", "coasting", "confirmed", "coasting", "coasting"]),
        rows(2, ["coasting"]),
        rows(3, ["tentative", "confirmed"]),
    ])
    kept = as_far_as_seen(tracks)
    assert kept.track.tolist() == [1, 1, 1, 3, 3]
    assert kept.time.tolist() == [0, 1, 2, 0, 1]


def test_no_tracks_stay_none():
    assert len(as_far_as_seen(Tracks())) == 0
