"""Hazards of recordings: each does what it says, by as much as it says, and nothing else."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geoloc.errors import GeometryError, InputError
from geoloc.evaluation.robustness.camera_hazards import turned_boxes
from geoloc.evaluation.robustness.cases import world_target
from geoloc.evaluation.robustness.hazard import Case
from geoloc.evaluation.robustness.hazards import HAZARDS
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections


@pytest.fixture(scope="module")
def case() -> Case:
    return world_target("plaza", 6.0, 1).case


def hit(case: Case, name: str, strength: float, seed: int = 0) -> Case:
    return HAZARDS[name].apply(case, strength, np.random.default_rng(seed))


@pytest.mark.parametrize("name", HAZARDS)
def test_every_hazard_keeps_its_contract(case: Case, name: str) -> None:
    """Five rising strengths, the case untouched, the same seed the same accident, rows and delays together."""
    hazard = HAZARDS[name]
    assert hazard.name == name
    assert list(hazard.strengths) == sorted(set(hazard.strengths))
    assert len(hazard.strengths) == 5
    before = Detections(**dict(case.detections))
    for strength in hazard.strengths:
        worse = hit(case, name, strength)
        assert len(worse.delay) == len(worse.detections)
        assert worse.site is case.site
        again = hit(case, name, strength)
        assert worse.detections == again.detections
        assert (worse.delay == again.delay).all()
    assert case.detections == before
    assert not (worse.detections == case.detections and (worse.delay == case.delay).all())


@pytest.mark.parametrize("name", HAZARDS)
def test_an_empty_recording_survives_every_hazard(case: Case, name: str) -> None:
    empty = case.take(np.zeros(len(case.detections), dtype=bool))
    for strength in HAZARDS[name].strengths:
        if name != "camera_turned":  # there is no camera to turn
            assert len(hit(empty, name, strength).detections) == 0


def test_a_turned_camera_sees_the_ground_where_turning_its_pose_puts_it(case: Case) -> None:
    """Feet go where turned rays meet the image: 0.6 px across, of slanted boxes (limit 2), 0.00 down (0.1)."""
    camera = case.site.cameras[0]
    turn = Rotation.from_rotvec(np.radians([0.7, -0.9, 0.0]))  # without roll, feet stay middles of lower edges
    part = case.detections.take(case.detections.camera == camera.name)
    moved, seen = turned_boxes(camera, part, turn)
    inside = seen & (np.abs(moved.box[:, [0, 2]] - camera.size[0] / 2).max(axis=1) < camera.size[0] / 2 - 30)
    inside &= (moved.box[:, 3] < camera.size[1] - 30) & (moved.box[:, 1] > 30)
    assert inside.sum() > 50
    foot = np.column_stack([0.5 * (part.box[:, 0] + part.box[:, 2]), part.box[:, 3]])[inside]
    expected = camera.lens.project(turn.apply(camera.lens.unproject(foot)))
    got = np.column_stack([0.5 * (moved.box[:, 0] + moved.box[:, 2]), moved.box[:, 3]])[inside]
    assert np.abs(got[:, 1] - expected[:, 1]).max() < 0.1
    assert np.abs(got[:, 0] - expected[:, 0]).max() < 2.0
    shift = np.linalg.norm(got - foot, axis=1)
    focal = camera.lens.params[0]
    assert np.median(shift) == pytest.approx(focal * np.radians(np.hypot(0.7, 0.9)), rel=0.1)


def test_one_turned_camera_leaves_the_others_alone(case: Case) -> None:
    worse = hit(case, "camera_turned", 2.0)
    changed = []
    for name in np.unique(case.detections.camera):
        mine = worse.detections.take(worse.detections.camera == name)
        changed.append(mine != case.detections.take(case.detections.camera == name))
    assert sum(changed) == 1


def test_a_camera_known_by_a_homography_cannot_be_turned(case: Case) -> None:
    flat = Camera("flat", Homography(np.array([30.0, 0, 960, 0, -20, 800, 0, 0.01, 1])), (1920, 1080), **FLAT)
    seen = Detections(time=[0.0], camera=["flat"], box=[[900.0, 300, 950, 400]])
    with pytest.raises(GeometryError, match="flat"):
        hit(Case("flat", Site("flat", (flat,), case.site.site_map), seen), "cameras_turned", 1.0)


def test_lost_cameras_work_until_the_middle(case: Case) -> None:
    middle = np.median(np.unique(case.detections.time))
    for strength, lost in zip((0.15, 0.75), (1, 5), strict=True):
        worse = hit(case, "camera_lost", strength).detections
        early, late = (np.unique(worse.camera[side]) for side in (worse.time < middle, worse.time > middle))
        assert len(early) == 7
        assert len(late) == 7 - lost


def test_the_only_camera_is_never_lost(case: Case) -> None:
    alone = case.take(case.detections.camera == case.detections.camera[0])
    assert len(hit(alone, "camera_lost", 0.75).detections) == len(alone.detections)


def test_clocks_keep_to_their_bounds(case: Case) -> None:
    shift = hit(case, "clock_offset", 0.5).detections.time - case.detections.time
    assert np.abs(shift).max() <= 0.5
    assert len(np.unique(np.round(shift, 6))) == 7
    passed = case.detections.time - case.detections.time.min()
    drift = hit(case, "clock_drift", 10.0).detections.time - case.detections.time
    assert (np.abs(drift) <= 0.010 * passed + 1e-6).all()  # s; times are large, so to a microsecond
    assert np.abs(drift).max() > 0.02


def test_every_camera_keeps_one_frame_in_n(case: Case) -> None:
    worse = hit(case, "frame_rate", 4.0)
    for name in np.unique(case.detections.camera):
        times = np.unique(worse.detections.time[worse.detections.camera == name])
        assert np.diff(times).min() > 0.79  # s, of 0.2 s frames
        whole = case.detections.take(np.isin(case.detections.time, times) & (case.detections.camera == name))
        assert len(whole) == (worse.detections.camera == name).sum()


def test_a_packet_is_late_as_a_whole(case: Case) -> None:
    worse = hit(case, "packets_late", 0.5)
    frame = worse.frame
    assert all(np.ptp(worse.delay[frame == f]) == 0 for f in np.unique(frame)[:50])
    assert worse.delay.mean() == pytest.approx(0.5, rel=0.25)


def test_boxes_are_missed_and_hidden_by_their_share(case: Case) -> None:
    n = len(case.detections)
    assert len(hit(case, "boxes_missed", 0.35).detections) / n == pytest.approx(0.65, abs=0.03)
    kept = [len(hit(case, "boxes_hidden", 0.35, seed).detections) / n for seed in range(20)]
    assert np.mean(kept) == pytest.approx(0.65, abs=0.06)
    few, many = (set(hit(case, "boxes_missed", s).detections.id.tolist()) for s in (0.2, 0.5))
    assert many < few, "the same accident, only worse"


def test_false_boxes_come_by_the_frame_and_belong_to_none(case: Case) -> None:
    worse = hit(case, "false_boxes", 2.0)
    frames = len(np.unique(case.frame))
    assert (len(worse.detections) - len(case.detections)) / frames == pytest.approx(2.0, rel=0.15)
    assert len(np.unique(worse.detections.id)) == len(worse.detections)
    false = worse.detections.take(np.arange(len(case.detections), len(worse.detections)))
    assert (false.box[:, 0] >= -0.5).all()
    assert (false.box[:, 2] <= 1920).all()
    assert np.isin(false.box[:, 3], case.detections.box[:, 3]).all()


def test_box_edges_err_in_common_and_alone(case: Case) -> None:
    error = hit(case, "box_jitter", 0.1).detections.box - case.detections.box
    height = case.detections.box[:, 3] - case.detections.box[:, 1]
    top, bottom = error[:, 1] / height, error[:, 3] / height
    assert np.std(bottom) == pytest.approx(0.1, rel=0.06)
    assert np.corrcoef(top, bottom)[0, 1] == pytest.approx(0.5, abs=0.06)


def test_delays_must_fit_the_detections(case: Case) -> None:
    with pytest.raises(InputError, match="delays"):
        Case("bad", case.site, case.detections, np.array([0.1]))


FLAT = {"homography_level": "ground", "homography_sigma_px": 2.0}
