"""Loops compiled and plain must answer alike, in bounded time, wherever machine code may or may not be kept."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sites import square

from geoloc.compiled import is_compiled
from geoloc.pipeline.kernels.offsets import N_OF_CAMERA
from geoloc.pipeline.kernels.solving import solve_offsets
from geoloc.pipeline.localizer import Localizer, localize, windows
from geoloc.scene.tables import Detections

HERE = Path(__file__).parent
SCENE = """
import sys
import numpy as np
from sites import DISTORTED, square, walk
from geoloc.pipeline.localizer import localize
rng = np.random.default_rng(5)
site = square(DISTORTED)
start, velocity = rng.uniform(-5, 5, (6, 2)), rng.normal(0, 0.8, (6, 2))
rows = walk(site, start, velocity, 50.0 + np.arange(0.0, 1.0, 0.1), rng)
tracks = localize(rows.replace(time=rows.time + 0.005 * site.camera_rows(rows.camera)), site)
np.savez(sys.argv[1], **{name: column for name, column in tracks})
"""


def run_scene(path: Path, **environment: str) -> dict[str, np.ndarray]:
    """Tracks of six walkers in four cameras, made in a process of its own."""
    env = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    subprocess.run([sys.executable, "-c", SCENE, str(path)], check=True, env=env)
    return dict(np.load(path))


def test_compiled_and_plain_loops_give_the_same_tracks(tmp_path):
    pytest.importorskip("numba")
    compiled = run_scene(tmp_path / "compiled.npz")
    plain = run_scene(tmp_path / "plain.npz", NUMBA_DISABLE_JIT="1")
    assert len(compiled["track"]) > 30
    for name, column in compiled.items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(column, plain[name], rtol=1e-11, atol=1e-11)  # measured 4e-13
        else:
            np.testing.assert_array_equal(column, plain[name])


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path):
    pytest.importorskip("numba")
    blocked = tmp_path / "a file"
    blocked.write_text("no folder can be made in here")
    expected = run_scene(tmp_path / "first.npz")
    found = run_scene(tmp_path / "second.npz", GEOLOC_CACHE_DIR=str(blocked / "cache"))
    for name, column in expected.items():
        np.testing.assert_array_equal(column, found[name])


def crowd(n: int, rng: np.random.Generator) -> Detections:
    """One frame of camera A with n boxes anywhere in it, every tenth one twice, then one of each other camera."""
    middle, size = rng.uniform(0, 1900, (n, 2)) * [1.0, 0.55], rng.lognormal(3.5, 0.7, (n, 2))
    box = np.concatenate([middle - size / 2, middle + size / 2], axis=1)
    box[::10] = box[1::10]
    cameras = np.array(["A"] * n + ["B", "C", "D"])
    box = np.concatenate([box, np.full((3, 4), [900.0, 500.0, 950.0, 600.0])])
    return Detections(id=np.arange(n + 3), time=np.full(n + 3, 10.0), camera=cameras, box=box)


def test_a_crowd_of_boxes_in_one_frame_finishes_and_every_box_is_counted(rng):
    """10,000 boxes, three windows one after the other: measured 2.7 s of CPU a window where loops are compiled."""
    n = 10_000 if is_compiled() else 300
    localizer = Localizer(square())
    for window in windows(crowd(n, rng), 0.1):
        began = time.process_time()
        for step in range(3):
            localizer.step(window, 10.0 + 0.1 * step)
            followers = len(localizer.points) - len(set(map(tuple, localizer.points.xy.tolist())))
        took = (time.process_time() - began) / 3
    assert len(localizer.points) * 3 + localizer.dropped.total() == 3 * (n + 3)
    assert followers > 0
    assert took < 60.0


def test_the_same_input_gives_the_same_bytes(rng):
    rows = crowd(200, rng)
    first, second = localize(rows, square()), localize(rows, square())
    for name, column in first:
        assert column.tobytes() == getattr(second, name).tobytes(), name


def test_offsets_solved_along_their_ties_are_those_of_the_whole_matrix(rng):
    """Two labels, 6 cameras in a row, each tied to the next: what points need of the inverse, and the mean."""
    n_cameras, n_labels = 6, 2
    n = n_labels * (1 + n_cameras) + N_OF_CAMERA * n_cameras
    information = np.zeros((n, n))
    for c in range(n_cameras - 1):
        own = [0, 1, *(2 + k * n_cameras + d for d in (c, c + 1) for k in (0, 1))]
        own += range(14 + N_OF_CAMERA * c, 14 + N_OF_CAMERA * (c + 2))
        design = rng.normal(size=(5, len(own)))
        information[np.ix_(own, own)] += design.T @ design
    sigma, weighted = rng.uniform(0.1, 1.0, n), rng.normal(size=n)
    sigma[3] = 0.0
    mean, cov = solve_offsets(information, weighted, sigma, n_cameras, n_labels)
    whole = sigma[:, None] * np.linalg.inv(sigma[:, None] * information * sigma + np.eye(n)) * sigma
    np.testing.assert_allclose(mean, whole @ weighted, atol=1e-12)
    for c in range(n_cameras):
        for k in range(n_labels):
            of_camera = 14 + N_OF_CAMERA * c + np.arange(N_OF_CAMERA)
            own = np.ix_(*[[k, 2 + k * n_cameras + c, *of_camera]] * 2)
            np.testing.assert_allclose(cov[own], whole[own], atol=1e-12)
