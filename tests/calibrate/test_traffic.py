"""Traffic over a road: speeds on a calibrated camera, and a camera from traffic alone."""

import numpy as np
import pytest
from consistency import assert_consistent
from road_views import SIZE, road_camera_of, traffic

from geoloc.calibrate.road import road_lengths
from geoloc.calibrate.traffic import crossing_times, vehicle_motions
from geoloc.calibrate.traffic_paths import straight_paths, vanishing_point
from geoloc.calibrate.traffic_road import TrafficPrior, calibrate_from_traffic
from geoloc.errors import GeometryError
from geoloc.scene.roads import PixelTracks

STRETCH = (0.0, 200.0)


def test_a_vehicle_at_steady_speed_is_timed_where_it_crosses_a_line(rng):
    camera = road_camera_of(rng)
    time = np.arange(0.0, 1.2, 0.02)
    road = np.column_stack([55.0 - 25.0 * time, np.full(len(time), 1.5), np.zeros(len(time))])
    tracks = PixelTracks(time=time, track=np.zeros(len(time), int), pixel=camera.project(road))
    motions = vehicle_motions(camera, tracks, STRETCH)
    np.testing.assert_allclose(motions.speed, -25.0, rtol=1e-9)
    ends = camera.project(np.array([[40.0, -5.0, 0.0], [40.0, 5.0, 0.0]]))
    gate = np.cross([*ends[0], 1.0], [*ends[1], 1.0])
    np.testing.assert_allclose(crossing_times(camera, motions, gate[None]), [[0.6]], atol=1e-6)


def test_points_that_slide_at_the_border_do_not_change_the_speed(rng):
    """A tenth of the points stuck at the last place: measured up to 0.3 % off."""
    camera = road_camera_of(rng)
    time = np.arange(0.0, 1.2, 0.02)
    x = np.maximum(55.0 - 25.0 * time, 55.0 - 25.0 * time[-7])
    road = np.column_stack([x, np.zeros(len(time)), np.zeros(len(time))])
    pixel = camera.project(road) + rng.normal(0, 0.5, (len(time), 2))
    motions = vehicle_motions(camera, PixelTracks(time=time, track=np.zeros(len(time), int), pixel=pixel), STRETCH)
    assert abs(motions.speed[0] + 25.0) < 0.25


def test_no_tracks_give_no_motions(rng):
    assert len(vehicle_motions(road_camera_of(rng), PixelTracks(), STRETCH).speed) == 0


def test_the_vanishing_point_of_traffic_is_the_roads(rng):
    errors = []
    for _ in range(12):
        camera = road_camera_of(rng)
        paths = straight_paths(traffic(rng, camera, 3.5, 22.0), SIZE)
        point, _, _ = vanishing_point(paths, rng)
        ahead = camera.cam_from_world.rotation.apply([1.0, 0.0, 0.0])
        truth = camera.lens.project(ahead[None])[0]
        errors.append(np.linalg.norm(point - truth))
    error = np.array(errors)
    assert np.median(error) < 1.0, np.median(error)  # px; measured 0.15


def test_a_camera_from_traffic_is_as_uncertain_as_its_prior(rng):
    """Worlds drawn from the prior itself: NEES of a length in its interval."""
    prior = TrafficPrior()
    errors, covs = [], []
    for _ in range(20):
        camera = road_camera_of(rng, focal=prior.focal * SIZE[0] * np.exp(rng.normal(0, 0.3)))
        lane = prior.lane_width * np.exp(rng.normal(0, prior.lane_width_sigma))
        speed = prior.speed * np.exp(rng.normal(0, prior.speed_sigma))
        found = calibrate_from_traffic("bridge", SIZE, traffic(rng, camera, lane, speed), prior)
        ends = camera.project(np.array([[40.0, 0.0, 0.0], [50.0, 1.0, 0.0]]))
        length, sigma = road_lengths(found, ends[None], 1.0)
        errors.append([np.log(length[0] / np.hypot(10.0, 1.0))])
        covs.append([[(sigma[0] / length[0]) ** 2]])
    assert_consistent(np.array(errors), np.array(covs))


def test_traffic_in_one_lane_or_too_little_of_it_is_refused(rng):
    camera = road_camera_of(rng)
    with pytest.raises(GeometryError, match="one lane"):
        calibrate_from_traffic("bridge", SIZE, traffic(rng, camera, 3.5, 22.0, lanes=1))
    few = traffic(rng, camera, 3.5, 22.0)
    with pytest.raises(GeometryError, match="track for longer"):
        calibrate_from_traffic("bridge", SIZE, few.take(few.track < 5))
    with pytest.raises(GeometryError, match="track for longer"):
        calibrate_from_traffic("bridge", SIZE, PixelTracks())
