"""Paths: alignments, matching of times, and pairs over seconds; evo's own figures are in the authority tests."""

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import GeometryError, InputError, UnknownNameError
from geoloc.metrics.path_alignment import align_paths
from geoloc.metrics.trajectory import Trajectory, match_times, score_ape, score_rpe


def walk(rng: np.random.Generator, n: int = 60) -> Trajectory:
    xyz = np.cumsum(rng.normal(0, 1, (n, 3)), axis=0)
    return Trajectory(1.7e9 + 0.1 * np.arange(n), RigidTransform.from_components(xyz, Rotation.random(n, rng=rng)))


@pytest.mark.parametrize(("alignment", "scale", "tilt"), [("se3", 1.0, 1.0), ("sim3", 2.5, 1.0), ("yaw", 1.0, 0.0)])
def test_alignment_undoes_the_motion_it_allows(
    alignment: str, scale: float, tilt: float, rng: np.random.Generator
) -> None:
    truth = walk(rng)
    motion = RigidTransform.from_components([5, -2, 1], Rotation.from_rotvec([0.4 * tilt, -0.8 * tilt, 1.9]))
    poses = motion * truth.world_from_body
    moved = Trajectory(truth.time, RigidTransform.from_components(poses.translation / scale, poses.rotation))
    for relation in ("translation", "rotation_deg", "full"):
        assert score_ape(truth, moved, relation, alignment).statistics()["max"] < 1e-9  # m, deg; measured 1e-13
    assert score_ape(truth, moved, alignment="none").rmse > 1


def test_yaw_is_the_best_of_all_yaws(rng: np.random.Generator) -> None:
    truth = walk(rng)
    noisy = truth.xyz @ Rotation.from_rotvec([0.1, 0.2, 2.0]).as_matrix() + rng.normal(0, 0.5, truth.xyz.shape)

    def squares(angle: float) -> float:
        turned = Rotation.from_rotvec([0, 0, angle]).apply(noisy)
        return float(((turned - turned.mean(axis=0) - truth.xyz + truth.xyz.mean(axis=0)) ** 2).sum())

    aligned = align_paths(truth.xyz, noisy, "yaw")
    assert aligned.motion.rotation.as_rotvec()[:2] == pytest.approx([0, 0])
    least = min(squares(angle) for angle in np.linspace(-np.pi, np.pi, 2001))
    assert squares(aligned.motion.rotation.as_rotvec()[2]) <= least


def test_mirrored_paths_are_not_aligned_by_a_reflection(rng: np.random.Generator) -> None:
    xyz = walk(rng).xyz
    aligned = align_paths(xyz, xyz * [1, 1, -1], "se3")
    assert np.linalg.det(aligned.motion.rotation.as_matrix()) == pytest.approx(1)


def test_a_straight_path_has_no_rotation_but_a_yaw() -> None:
    line = np.outer(np.arange(5.0), [1.0, 2.0, 0.0])
    with pytest.raises(GeometryError, match="on one line"):
        align_paths(line, line, "se3")
    assert align_paths(line, line + 3, "yaw").motion.translation == pytest.approx([-3, -3, -3])
    with pytest.raises(GeometryError, match="do not move over the ground"):
        align_paths(line * 0, line * 0, "yaw")
    with pytest.raises(GeometryError, match="in one point"):
        align_paths(line * 0, line * 0, "sim3")


def test_times_are_matched_to_the_nearest_within_the_tolerance() -> None:
    true, found = np.arange(0.0, 10.0, 1.0), np.array([-0.3, 0.004, 2.5, 2.993, 6.0, 9.2])
    assert [rows.tolist() for rows in match_times(true, found)] == [[0, 3, 6], [1, 3, 4]]
    assert [rows.tolist() for rows in match_times(found, true)] == [[1, 3, 4], [0, 3, 6]]
    assert [rows.tolist() for rows in match_times(true, found - 50.0, offset_s=50.0)] == [[0, 3, 6], [1, 3, 4]]
    assert [rows.tolist() for rows in match_times(np.array([1.0]), np.array([1.005]))] == [[0], [0]]


def test_clocks_that_do_not_meet_say_how_far_apart_they_are(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match=r"nearest are 3\.5 s apart"):
        match_times(np.arange(3.0), np.arange(3.0) + 5.5)
    with pytest.raises(InputError, match="nothing can be compared"):
        match_times(np.empty(0), np.arange(3.0))


def test_what_had_no_truth_is_counted(rng: np.random.Generator) -> None:
    truth = walk(rng)
    some = np.flatnonzero(np.arange(60) % 7 > 0)
    errors = score_ape(truth.take(some), truth)
    assert errors.n_unmatched == 60 - len(some)
    assert len(errors.value) == len(some)
    assert errors.time.tolist() == truth.time[some].tolist()


def test_seconds_are_seconds_where_frames_are_lost(rng: np.random.Generator) -> None:
    truth = walk(rng, 100)
    drift = np.zeros((100, 3))
    drift[:, 0] = 0.05 * (truth.time - truth.time[0])
    poses = RigidTransform.from_components(truth.xyz + drift, truth.world_from_body.rotation)
    kept = np.sort(rng.choice(100, 70, replace=False))
    estimate = Trajectory(truth.time, poses).take(kept)
    errors = score_rpe(truth, estimate, 1.0, "seconds", all_pairs=True)
    assert errors.value == pytest.approx(0.05, abs=0.05 * 0.1 + 1e-6)  # 1 s within 10 % of a drift of 5 cm/s
    by_frames = score_rpe(truth, estimate, 10, "frames", all_pairs=True)
    assert by_frames.value.max() > 0.06  # ten frames are up to 2 s here
    following = score_rpe(truth, estimate, 1.0, "seconds")
    assert (following.value > 0.05 - 1e-6).all()
    assert (np.diff(following.time) >= 1.0 - 1e-6).all()


def test_relative_errors_do_not_care_where_the_path_lies(rng: np.random.Generator) -> None:
    truth = walk(rng)
    motion = RigidTransform.from_components([500, -2, 1], Rotation.from_rotvec([1.0, 0.2, 1.9]))
    moved = Trajectory(truth.time, motion * truth.world_from_body)
    assert score_rpe(truth, moved, 5).statistics()["max"] < 1e-9


def test_a_cameras_path_is_the_inverse_of_its_poses(rng: np.random.Generator) -> None:
    path = walk(rng)
    camera = Trajectory.of_camera(path.time, path.world_from_body.inv())
    np.testing.assert_allclose(camera.xyz, path.xyz, atol=1e-9)


def test_bad_paths_and_names_are_refused(rng: np.random.Generator) -> None:
    path = walk(rng)
    with pytest.raises(InputError, match="does not come after"):
        Trajectory(path.time[::-1], path.world_from_body)
    with pytest.raises(InputError, match="not finite"):
        Trajectory(path.time * np.nan, path.world_from_body)
    with pytest.raises(InputError, match="batch of N"):
        Trajectory(path.time[:5], path.world_from_body)
    for options in ({"relation": "speed"}, {"alignment": "affine"}):
        with pytest.raises(UnknownNameError):
            score_ape(path, path, **options)
    for options in ({"unit": "miles"}, {"pairs_from": "map"}):
        with pytest.raises(UnknownNameError):
            score_rpe(path, path, **options)
    with pytest.raises(InputError, match="whole where it counts frames"):
        score_rpe(path, path, 1.5)
    with pytest.raises(InputError, match="no two poses lie 60 frames apart"):
        score_rpe(path, path, 60)
