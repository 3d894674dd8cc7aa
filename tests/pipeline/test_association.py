import numpy as np
from sites import points_at

from geoloc.pipeline.association import AssociationOptions, associate
from geoloc.pipeline.kernels.edges import candidate_edges
from geoloc.scene.tables import GroundPoints, Tracks


def partition(points, groups):
    """The groups as sets of detections, whatever their numbers."""
    return {frozenset(points.detection[groups.group == g].tolist()) for g in range(len(groups))}


def tracks_at(xy, sigma=0.2):
    n = len(xy)
    cov = np.broadcast_to(np.diag([sigma, sigma, 1.0, 1.0]) ** 2, (n, 4, 4))
    return Tracks(
        time=np.zeros(n), track=np.arange(n) + 10, level=["ground"] * n, xy=xy, velocity=np.zeros((n, 2)),
        cov=cov, bias_cov=np.zeros((n, 2, 2)), label=["person"] * n,
    )


def test_two_people_side_by_side_stay_two():
    """0.5 m apart, 10 cm of noise, three cameras: six points, two groups."""
    xy = np.array([[0.0, 0.0], [0.05, 0.02], [-0.04, 0.03], [0.5, 0.0], [0.55, 0.0], [0.47, -0.05]])
    points = points_at(xy, ["A", "B", "C"] * 2)
    assert partition(points, associate(points)) == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}


def test_a_group_never_holds_two_points_of_one_camera(rng):
    """A crowd denser than the noise: 40 people on 9 m², 5 cameras, 20 cm of noise."""
    people = rng.uniform(0, 3, (40, 2))
    xy = np.concatenate([people + rng.normal(0, 0.2, people.shape) for _ in range(5)])
    points = points_at(xy, np.repeat(list("ABCDE"), 40).tolist(), 0.2)
    tracks = tracks_at(people)
    groups = associate(points, tracks)
    for g in range(len(groups)):
        cameras = points.camera[groups.group == g]
        assert len(set(cameras)) == len(cameras)
    used = groups.track[groups.track >= 0]
    assert len(set(used.tolist())) == len(used)


def test_the_order_of_rows_and_cameras_does_not_matter(rng):
    people = rng.uniform(0, 6, (30, 2))
    xy = np.concatenate([people + rng.normal(0, 0.15, people.shape) for _ in range(4)])
    points = points_at(xy, np.repeat(list("ABCD"), 30).tolist(), 0.15)
    expected = partition(points, associate(points))
    for _ in range(5):
        shuffled = points.take(rng.permutation(len(points)))
        assert partition(shuffled, associate(shuffled)) == expected


def test_all_pairs_and_the_grid_find_the_same_edges(rng):
    """Sharp and vague nodes mixed, 3 cm to 8 m; a level apart by 2 m, which never meet the others."""
    n = 300
    xy, source = rng.uniform(-40, 40, (n, 2)), np.sort(rng.integers(0, 4, n))
    level = rng.integers(0, 2, n)
    nodes = (xy, np.exp(rng.uniform(-3.5, 2.0, n)), 4.0, source, level, 2.0 * level, 1.0)
    all_pairs, by_grid = candidate_edges(*nodes, n), candidate_edges(*nodes, 0)
    assert len(all_pairs) > 500
    assert np.array_equal(all_pairs, by_grid)


def test_a_point_in_dispute_goes_where_the_total_is_best():
    """Greedy alone would give B's first point to A's first, and leave the two others wide apart."""
    xy = np.array([[0.0, 0.0], [0.30, 0.0], [0.16, 0.0], [0.50, 0.0]])
    points = points_at(xy, ["A", "A", "B", "B"], 0.12)
    assert partition(points, associate(points)) == {frozenset({0, 2}), frozenset({1, 3})}


def test_predicted_tracks_are_one_more_camera():
    points = points_at(np.array([[0.0, 0.0], [2.0, 0.0], [9.0, 9.0]]), ["A", "A", "A"])
    groups = associate(points, tracks_at(np.array([[2.1, 0.0], [0.1, 0.0]])))
    assert groups.track[groups.group].tolist() == [1, 0, -1]


def test_persistent_errors_widen_the_gate():
    """Two cameras that agree to 10 cm of noise but not of calibration: 1 m apart is one object with it."""
    points = points_at(np.array([[0.0, 0.0], [1.0, 0.0]]), ["A", "B"])
    assert len(associate(points)) == 2
    doubtful = points.replace(bias_cov=np.broadcast_to(0.4**2 * np.eye(2), (2, 2, 2)))
    assert len(associate(doubtful)) == 1


def test_a_person_is_not_the_car_beside_it():
    points = points_at(np.array([[0.0, 0.0], [0.1, 0.0]]), ["A", "B"], 0.2)
    assert len(associate(points)) == 1
    assert len(associate(points.replace(label=["person", "car"]))) == 2
    assert len(associate(points.replace(label=["person", ""]))) == 1
    assert len(associate(points.replace(label=["car", "truck"]))) == 1  # detectors mix these up


def test_appearance_tells_neighbours_apart():
    """Between two people the positions cannot decide; the embeddings can."""
    xy = np.array([[0.0, 0.0], [0.4, 0.0], [0.2, 0.0]])
    red, blue = np.eye(2, 8)
    points = points_at(xy, ["A", "A", "B"], 0.2)
    for seen, with_row in ((red, 0), (blue, 1)):
        groups = associate(points.replace(embedding=[red, blue, seen]))
        assert groups.group[2] == groups.group[with_row]


def test_objects_of_two_levels_never_meet():
    points = points_at(np.zeros((2, 2)), ["A", "B"]).replace(level=["P1", "P2"])
    assert len(associate(points)) == 2


def test_an_empty_window_has_no_groups():
    assert len(associate(GroundPoints())) == 0
    assert len(associate(GroundPoints(), tracks_at(np.zeros((2, 2))))) == 0


def test_far_outliers_do_not_overflow():
    points = points_at(np.array([[0.0, 0.0], [1e7, 0.0]]), ["A", "B"], 1e-3)
    assert len(associate(points, None, AssociationOptions(gate_sigma=100.0))) == 2
