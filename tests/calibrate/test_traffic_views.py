"""Views of one road from the same traffic: their focal lengths come out, and strangers are refused."""

import numpy as np
import pytest
from road_views import SIZE, road_camera_of, shared_traffic, traffic

from geoloc.calibrate.traffic_road import calibrate_from_traffic
from geoloc.calibrate.traffic_views import calibrate_views_from_traffic
from geoloc.errors import GeometryError

NAMES = ["left", "middle", "right"]


def test_views_of_the_same_traffic_find_their_focal_lengths(rng):
    """On a road a fifth faster than usual, which a view alone takes for a longer lens."""
    cameras, tracks = shared_traffic(rng, 3.5, 27.0)
    focal = np.array([camera.lens.params[0] for camera in cameras])
    found = calibrate_views_from_traffic(NAMES, [SIZE] * 3, tracks)
    off = np.log([camera.lens.params[0] for camera in found] / focal)
    sigma = np.sqrt([camera.calib_cov[6, 6] for camera in found]) / focal
    alone = [calibrate_from_traffic(*view).lens.params[0] for view in zip(NAMES, [SIZE] * 3, tracks, strict=True)]
    assert np.abs(off).max() < 0.08  # measured 0.02 (median of six views)
    assert np.median(np.abs(off)) < 0.5 * np.median(np.abs(np.log(alone / focal)))  # measured 0.17 alone
    assert (np.abs(off) < 2.5 * sigma).all()


def test_views_of_other_traffic_are_refused(rng):
    camera = road_camera_of(rng)
    tracks = [traffic(rng, camera, 3.5, 22.0), shared_traffic(rng, 3.5, 22.0)[1][1]]
    with pytest.raises(GeometryError, match="'one' and 'other' do not see the same traffic"):
        calibrate_views_from_traffic(["one", "other"], [SIZE] * 2, tracks)


def test_views_that_share_few_vehicles_are_refused(rng):
    _, tracks = shared_traffic(rng, 3.5, 22.0)
    few = tracks[1].take((tracks[1].track < 30) | (tracks[1].track >= 95))
    later = few.replace(time=few.time + np.where(few.track < 30, 1e4 * (1 + few.track % 7), 0.0))
    with pytest.raises(GeometryError, match="'left' and 'middle'"):
        calibrate_views_from_traffic(NAMES[:2], [SIZE] * 2, [tracks[0], later])
