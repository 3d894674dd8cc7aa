"""Files of poses are read as they are meant, or refused; what geoloc writes comes back."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError
from geoloc.geometry.se3 import look_at
from geoloc.io.poses import NamedPoses, look_poses, read_poses, write_poses
from geoloc.io.trajectories import read_trajectory, write_trajectory
from geoloc.metrics.trajectory import Trajectory

FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TOKENS = "0 1 -1 0.5 nan inf 1e400 # , image,qw,qx,qy,qz,x,y,z a.jpg a.jpg,1,0,0,0,1,2,3 é"
WORDS = st.sampled_from([*TOKENS.split(), "\n"])
CONTENTS = st.one_of(st.binary(max_size=200), st.lists(WORDS, max_size=40).map(" ".join).map(str.encode))
HLOC = "a.jpg 1 0 0 0 1 2 3\n"


def some_poses(n: int = 5) -> NamedPoses:
    rng = np.random.default_rng(3)
    poses = RigidTransform.from_components(rng.normal(0, 9, (n, 3)), Rotation.random(n, rng=rng))
    return NamedPoses.of([f"query/{i}.jpg" for i in range(n)], poses)


def written(tmp_path: Path, text: str, name: str = "poses.txt") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def assert_same(found: RigidTransform, expected: RigidTransform) -> None:
    np.testing.assert_allclose(found.as_matrix(), expected.as_matrix(), rtol=0, atol=1e-14)


def test_hloc_lines_are_cam_from_world(tmp_path: Path) -> None:
    camera = look_at(np.array([3.0, -7.0, 2.0]), np.array([0.0, 0.0, 1.0]))
    w, x, y, z = camera.rotation.as_quat(scalar_first=True)
    line = " ".join(map(repr, map(float, (w, x, y, z, *camera.translation))))
    found = read_poses(written(tmp_path, f"day/1.jpg {line}\n")).poses
    assert found.image.tolist() == ["day/1.jpg"]
    np.testing.assert_allclose(found.cam_from_world.inv().translation, [[3.0, -7.0, 2.0]], atol=1e-12)


def test_poses_come_back_with_refusals_and_covariances(tmp_path: Path) -> None:
    poses = some_poses()
    spread = np.random.default_rng(0).normal(size=(6, 6))
    cov = poses.cov.copy()
    cov[1] = 1e-3 * spread @ spread.T
    cov[1] = 0.5 * (cov[1] + cov[1].T)
    poses = replace(
        poses,
        time=np.array([1.5, np.nan, 2.0, 3.0, 4.0]),
        camera=np.array(["gate", "", "gate", "b, c", '"d"']),
        cov=cov,
        refused=np.array(["query/dark.jpg"]),
        reason=np.array(["3 inliers, 12 needed"]),
    )
    write_poses(tmp_path / "poses.csv", poses)
    assert look_poses(tmp_path / "poses.csv") == "csv"
    found = read_poses(tmp_path / "poses.csv").poses
    assert_same(found.cam_from_world, poses.cam_from_world)
    for name in ("image", "time", "camera", "cov", "refused", "reason"):
        np.testing.assert_array_equal(getattr(found, name), getattr(poses, name))


def test_hloc_lines_come_back_without_the_refused(tmp_path: Path) -> None:
    poses = replace(some_poses(), refused=np.array(["x.jpg"]), reason=np.array(["dark"]))
    write_poses(tmp_path / "results.txt", poses)
    found = read_poses(tmp_path / "results.txt")
    assert_same(found.poses.cam_from_world, poses.cam_from_world)
    assert (len(found.poses.refused), found.report.n_rows) == (0, 5)
    assert found.poses.without_folders().image.tolist() == [f"{i}.jpg" for i in range(5)]
    with pytest.raises(InputError, match="blanks"):
        write_poses(tmp_path / "results.txt", NamedPoses.of(["a b.jpg"], poses.cam_from_world[:1]))


def test_centres_may_stand_for_translations(tmp_path: Path) -> None:
    text = "image,x,y,z,qw,qx,qy,qz\na.jpg,10,20,30,0.70710678,0,0.70710678,0\n"
    found = read_poses(written(tmp_path, text)).poses.cam_from_world
    np.testing.assert_allclose(found.inv().translation, [[10.0, 20.0, 30.0]], atol=1e-7)
    with pytest.raises(InputError, match="either tx, ty, tz or x, y, z"):
        read_poses(written(tmp_path, "image,qw,qx,qy,qz\na,1,0,0,0\n"))
    with pytest.raises(InputError, match="covariances lack cov_rx_ry"):
        read_poses(written(tmp_path, "image,x,y,z,qw,qx,qy,qz,cov_rx_rx\na,1,2,3,1,0,0,0,1\n"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("b.jpg 0.5 0 0 0 1 2 3", "not of unit length"),
        ("b.jpg 1 0 0 0 1 2", "not the 8 cells"),
        ("b.jpg 1 0 0 0 1 2 nan", "NaN or infinite"),
        ("b.jpg 1 0 0 0 1 2 three", "no number"),
    ],
)
def test_malformed_rows_are_left_out_counted_and_named(tmp_path: Path, line: str, reason: str) -> None:
    found = read_poses(written(tmp_path, f"{HLOC}{line}\n"))
    assert found.poses.image.tolist() == ["a.jpg"]
    assert reason in str(found.report)
    assert "line 2" in str(found.report)


def test_an_image_that_comes_twice_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"poses.txt.*'a.jpg' comes 2 times"):
        read_poses(written(tmp_path, HLOC + HLOC))


def test_a_file_of_another_kind_is_told_where_it_belongs(tmp_path: Path) -> None:
    tum = written(tmp_path, "# t tx ty tz q\n1.0 0 0 0 0 0 0 1\n", "tum.txt")
    assert look_poses(tum) == "tum"
    with pytest.raises(InputError, match="read_trajectory"):
        read_poses(tum)
    with pytest.raises(InputError, match="read_poses"):
        read_trajectory(written(tmp_path, HLOC))
    assert look_poses(written(tmp_path, "\n")) == "empty"
    with pytest.raises(InputError, match="unknown form of poses 'unknown'"):
        read_poses(written(tmp_path, "hello world\n"))


def test_tum_lines_are_world_from_body_and_sorted(tmp_path: Path) -> None:
    text = "# a comment\n2.0 1 2 3 0 0 0.70710678 0.70710678\n1.0 0 0 0 0 0 0 1\n3.0 0 0 0 0 0 0 2\n"
    found = read_trajectory(written(tmp_path, text))
    assert found.trajectory.time.tolist() == [1.0, 2.0]
    np.testing.assert_allclose(found.trajectory.world_from_body[1].apply([1.0, 0.0, 0.0]), [1.0, 3.0, 3.0], atol=1e-7)
    assert "sorted" in str(found.report)
    assert found.report.n_skipped == 1
    with pytest.raises(InputError, match=r"time 1\.0 s comes twice"):
        read_trajectory(written(tmp_path, "1.0 0 0 0 0 0 0 1\n1.0 0 0 0 0 0 0 1\n"))


def test_kitti_frames_keep_their_time_where_a_row_is_broken(tmp_path: Path) -> None:
    rows = ["1 0 0 0 0 1 0 0 0 0 1 0", "1 0 0 9 0 1 0 0 0 0 -1 0", "1 0 0 2 0 1 0 0 0 0 1 0"]
    path = written(tmp_path, "\n".join(rows))
    found = read_trajectory(path, fps=10.0, start=100.0)
    assert look_poses(path) == "kitti"
    assert found.trajectory.time.tolist() == [100.0, 100.2]
    assert found.trajectory.xyz[:, 0].tolist() == [0.0, 2.0]
    assert "no rotation" in str(found.report)
    with pytest.raises(InputError, match=r"fps=10"):
        read_trajectory(path)


def test_nanoseconds_are_no_time(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nanoseconds"):
        read_trajectory(written(tmp_path, "1403636579763555584 0 0 0 0 0 0 1\n"))


def test_a_path_comes_back(tmp_path: Path) -> None:
    path = Trajectory(np.arange(5) / 3, some_poses().cam_from_world)
    write_trajectory(tmp_path / "path.txt", path)
    found = read_trajectory(tmp_path / "path.txt").trajectory
    np.testing.assert_array_equal(found.time, path.time)
    assert_same(found.world_from_body, path.world_from_body)


@FUZZ
@given(content=CONTENTS)
def test_arbitrary_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for kind in ("", "hloc", "csv"):
        with suppress(InputError):
            assert np.isfinite(read_poses(path, kind).poses.cam_from_world.as_matrix()).all()
    for kind in ("", "tum", "kitti"):
        with suppress(InputError):
            assert np.isfinite(read_trajectory(path, kind, fps=10.0).trajectory.xyz).all()
