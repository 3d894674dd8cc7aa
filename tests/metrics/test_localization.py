"""Single-image poses: thresholds, refusals apart from errors, and errors over the map."""

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError
from geoloc.metrics.area import error_map
from geoloc.metrics.bootstrap import block_bootstrap
from geoloc.metrics.localization import (
    ANSWERED,
    INDOOR,
    LOCALIZATION_FIGURES,
    MISSING,
    OUTDOOR,
    REFUSED,
    poses_from_centres,
    position_errors,
    rotation_errors,
    score_poses,
)


def cameras(rng: np.random.Generator, n: int) -> tuple[np.ndarray, Rotation]:
    return rng.uniform(-50, 50, (n, 3)), Rotation.random(n, rng=rng)


def moved(centre: np.ndarray, turn: Rotation, by_m: np.ndarray, by_deg: np.ndarray) -> RigidTransform:
    """The cameras shifted along x and turned about their own y axis by stated amounts."""
    shift, angle = np.zeros_like(centre), np.zeros_like(centre)
    shift[:, 0], angle[:, 1] = by_m, np.radians(by_deg)
    return poses_from_centres(centre + shift, Rotation.from_rotvec(angle) * turn)


def test_errors_are_those_of_centres_not_of_translations(rng: np.random.Generator) -> None:
    centre, turn = cameras(rng, 40)
    by_m, by_deg = rng.uniform(0, 6, 40), rng.uniform(0, 170, 40)
    true, estimated = poses_from_centres(centre, turn), moved(centre, turn, by_m, by_deg)
    np.testing.assert_allclose(position_errors(true, estimated), by_m, atol=1e-12)
    np.testing.assert_allclose(np.degrees(rotation_errors(true, estimated)), by_deg, atol=1e-9)
    # a rotation error alone moves the translation of cam_from_world by metres, but not the camera
    turned = moved(centre, turn, np.zeros(40), np.full(40, 20.0))
    assert np.linalg.norm(turned.translation - true.translation, axis=1).max() > 10
    assert position_errors(true, turned).max() < 1e-12


def test_rigid_motion_of_the_site_changes_nothing(rng: np.random.Generator) -> None:
    centre, turn = cameras(rng, 10)
    true, estimated = poses_from_centres(centre, turn), moved(centre, turn, np.full(10, 0.3), np.full(10, 4.0))
    world_from_other = RigidTransform.from_components([10.0, -3.0, 2.0], Rotation.from_rotvec([0.1, 2.0, 0.3]))
    true, estimated = true * world_from_other, estimated * world_from_other
    np.testing.assert_allclose(position_errors(true, estimated), 0.3, atol=1e-12)
    np.testing.assert_allclose(np.degrees(rotation_errors(true, estimated)), 4.0, atol=1e-9)


def test_refused_and_missing_lower_recall_but_are_no_errors(rng: np.random.Generator) -> None:
    centre, turn = cameras(rng, 10)
    by_m = np.array([0.1, 0.2, 0.4, 3.0, 8.0, 0.1])
    by_deg = np.array([1.0, 4.0, 4.0, 9.0, 1.0, 90.0])
    query = np.array([9, 1, 2, 3, 4, 5])
    estimated = moved(centre[query], turn[query], by_m, by_deg)
    reason = np.array(["few inliers", "few inliers", "two places alike"])
    scores = score_poses(poses_from_centres(centre, turn), estimated, query, np.array([0, 6, 7]), reason)
    assert [scores.recall(*t) for t in OUTDOOR] == pytest.approx([0.1, 0.3, 0.4])
    assert [scores.recall(*t) for t in INDOOR] == pytest.approx([0.2, 0.3, 0.3])
    assert scores.error_rate(0.5, 5.0) == pytest.approx(3 / 6)
    assert scores.figure("refusal_rate", 5, 10) == pytest.approx(0.3)
    assert scores.figure("answer_rate", 5, 10) == pytest.approx(0.6)
    assert scores.reasons() == {"few inliers": 2, "two places alike": 1}
    assert [(scores.outcome == kind).sum() for kind in (ANSWERED, REFUSED, MISSING)] == [6, 3, 1]
    position, rotation = scores.median_errors()
    assert position == pytest.approx(0.3)
    assert np.degrees(rotation) == pytest.approx(4.0)


def test_a_system_that_refuses_what_it_would_get_wrong_errs_less_at_the_same_recall(rng: np.random.Generator) -> None:
    centre, turn = cameras(rng, 20)
    off = np.where(np.arange(20) < 15, 0.1, 9.0)
    true, estimated = poses_from_centres(centre, turn), moved(centre, turn, off, off)
    eager = score_poses(true, estimated, np.arange(20))
    careful = score_poses(true, estimated[:15], np.arange(15), np.arange(15, 20), np.full(5, "unsure"))
    assert eager.recall(0.25, 2) == careful.recall(0.25, 2) == 0.75
    assert (eager.error_rate(0.25, 2), careful.error_rate(0.25, 2)) == (0.25, 0.0)


def test_recall_comes_with_an_interval(rng: np.random.Generator) -> None:
    centre, turn = cameras(rng, 200)
    off = np.where(rng.random(200) < 0.7, 0.1, 3.0)
    scores = score_poses(poses_from_centres(centre, turn), moved(centre, turn, off, off), np.arange(200))
    low, high = block_bootstrap(scores.counts(0.25, 2.0), LOCALIZATION_FIGURES["recall"], rng)
    assert low < scores.recall(0.25, 2.0) < high
    assert high - low == pytest.approx(4 * np.sqrt(0.7 * 0.3 / 200), rel=0.2)


def test_no_answer_at_all_has_a_recall_but_no_errors(rng: np.random.Generator) -> None:
    centre, turn = cameras(rng, 3)
    true = poses_from_centres(centre, turn)
    scores = score_poses(true, true[:0], np.empty(0))
    assert scores.recall(5, 10) == 0
    with pytest.raises(InputError, match="none of the queries was answered"):
        scores.median_errors()
    with pytest.raises(InputError, match="none of the queries was answered"):
        scores.error_rate(5, 10)


def test_bad_input_is_named(rng: np.random.Generator) -> None:
    centre, turn = cameras(rng, 3)
    true = poses_from_centres(centre, turn)
    with pytest.raises(InputError, match="truth is empty"):
        score_poses(true[:0], true[:0], np.empty(0))
    with pytest.raises(InputError, match="query 1 comes 2 times"):
        score_poses(true, true[:2], np.array([0, 1]), np.array([1]), np.array(["why"]))
    with pytest.raises(InputError, match="query 3 is none of the 3"):
        score_poses(true, true[:1], np.array([3]))
    with pytest.raises(InputError, match="2 estimated poses of 3"):
        score_poses(true, true[:2], np.arange(3))
    with pytest.raises(InputError, match="1 refused queries with 0 reasons"):
        score_poses(true, true[:1], np.array([0]), np.array([1]))
    with pytest.raises(InputError, match="single pose"):
        position_errors(true, true[0])
    with pytest.raises(InputError, match="centre 1 is"):
        poses_from_centres(np.array([[0, 0, 0], [0, np.nan, 0], [0, 0, 1]]), turn)
    with pytest.raises(InputError, match="greater than 0"):
        score_poses(true, true, np.arange(3)).recall(0.0, 2.0)


def test_errors_by_area_find_the_bad_corner(rng: np.random.Generator) -> None:
    xy = rng.uniform(-20, 20, (4000, 2))
    bad = (xy[:, 0] > 10) & (xy[:, 1] < -10)
    error = np.where(bad, 5.0, 0.5) * rng.random(4000)
    cells = error_map(xy, error, size=10.0)
    assert len(cells) == 16
    assert cells.count.sum() == 4000
    worst = int(np.argmax(cells.median))
    assert cells.low[worst].tolist() == [10.0, -20.0]
    inside = cells.cell_of == worst
    assert inside.tolist() == bad.tolist()
    assert cells.median[worst] == pytest.approx(np.median(error[bad]))
    assert cells.p90[worst] == pytest.approx(np.percentile(error[bad], 90))


def test_cells_of_two_runs_are_the_same_cells(rng: np.random.Generator) -> None:
    xy = rng.uniform(-20, 20, (50, 2))
    both = error_map(xy, np.ones(50)), error_map(xy[:10], np.ones(10))
    corners = [{tuple(low) for low in cells.low} for cells in both]
    assert corners[1] <= corners[0]


def test_map_of_errors_refuses_what_has_no_error() -> None:
    with pytest.raises(InputError, match="no errors were given"):
        error_map(np.empty((0, 2)), np.empty(0))
    with pytest.raises(InputError, match="leave the 1 such rows out"):
        error_map(np.zeros((2, 2)), np.array([1.0, np.inf]))
    with pytest.raises(InputError, match=r"give \(N, 2\)"):
        error_map(np.zeros((2, 3)), np.zeros(2))
