"""Bundle adjustment against brute force: the optimum, and every covariance, from numeric derivatives of everything."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from geoloc.errors import GeometryError, InputError
from geoloc.estimators.bundle import UndeterminedError, adjust, bundle
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.estimators.network import Heights, Layout, Network, Sights, Spans, Surveyed
from geoloc.estimators.network_rows import State, geman_mcclure, huber, predict, start_of
from geoloc.geometry.se3 import look_at, perturb, pose_cov
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Pinhole, RadialTangential

LENSES = (
    RadialTangential(np.array([900.0, 905.0, 640.0, 360.0, -0.2, 0.05, 0.0, 0.0])),
    RadialTangential(np.array([900.0, 905.0, 640.0, 360.0, -0.2, 0.05, 0.0, 0.0])),
    Fisheye(np.array([600.0, 600.0, 640.0, 360.0, 0.02, -0.01, 0.0, 0.0])),
    Pinhole(np.array([1000.0, 1000.0, 640.0, 360.0])),
)
CONTROL = np.arange(5)
PRIORS = (
    CameraPrior(890.0, 0.01, (640.0, 360.0), 5.0, -0.15, 0.02),
    CameraPrior(605.0, 0.01, (642.0, 360.0), 2.0, k2_from_k1=False),
    None,
)


def network(rng: np.random.Generator, off: float = 1.0) -> Network:
    """Four cameras of three kinds of lens, two of which share theirs; control points, distances, a height."""
    points = np.column_stack([rng.uniform(-8, 8, (20, 2)), rng.uniform(0, 2, 20)])
    cameras, camera, pixel = [], [], []
    for i, lens in enumerate(LENSES):
        centre = np.array([14 * np.cos(1.4 * i), 14 * np.sin(1.4 * i), 6.0])
        cameras.append(Camera(f"c{i}", lens, (1280, 720), look_at(centre, np.zeros(3))))
        pixel.append(cameras[-1].project(points) + rng.normal(0, 0.5, (20, 2)))
        camera.append(np.full(20, i))
    sights = Sights(np.concatenate(camera), np.tile(np.arange(20), 4), np.concatenate(pixel), np.full(80, 0.5))
    sights = sights.take(np.isfinite(sights.pixel).all(axis=1))
    ends = np.array([[6, 7], [7, 2]])
    metres = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
    steps = off * rng.normal(0, [0.01] * 3 + [0.1] * 3, (4, 6))
    starts = tuple(
        replace(own, cam_from_world=perturb(own.cam_from_world, step)) for own, step in zip(cameras, steps, strict=True)
    )
    return Network(
        starts,
        points + off * rng.normal(0, 0.1, points.shape),
        sights,
        Surveyed(CONTROL, points[CONTROL] + rng.normal(0, 0.02, (5, 3)), np.full((5, 3), 0.02)),
        Spans(ends, metres, np.full(2, 0.01)),
        Heights(np.array([3]), np.array([[0.1, 0.0, 6.0 - 0.1 * 14 * np.cos(4.2)]]), np.array([0.05])),
        lens=np.array([0, 0, 1, 2]),
        freed=(("f", "k1"), ("fx", "cx"), ()),
        priors=PRIORS,
    )


def residuals(layout: Layout, state: State, step: np.ndarray) -> np.ndarray:
    """Every measurement in sigmas after a step of all unknowns, written down once more without the library."""
    given = layout.network
    points = np.where(layout.point_column[:, None] < 0, step[layout.size :].reshape(-1, 3), 0.0)
    moved = state.moved(layout, step[: layout.size], points)
    seen = (layout.sights.pixel - predict(layout, moved).pixel) / layout.sights.sigma[:, None]
    survey = (given.surveyed.xyz - moved.points[given.surveyed.point]) / given.surveyed.sigma
    apart = np.linalg.norm(np.diff(moved.points[given.spans.ends], axis=1)[:, 0], axis=1)
    x, y, z = moved.poses[3].inv().translation
    a, b, c = given.heights.plane[0]
    height = (a * x + b * y + c - z) / given.heights.sigma
    (first, second), (one, other) = PRIORS[:2], (moved.params[0], moved.params[2])
    known = [
        np.log(one[:2].mean() / first.focal) / first.focal_log_sigma,
        (one[4] - first.k1) / first.k1_sigma,
        np.log(other[:2].mean() / second.focal) / second.focal_log_sigma,
        (other[2] - second.centre[0]) / second.centre_sigma,
    ]
    spans = (given.spans.metres - apart) / given.spans.sigma
    return np.concatenate([seen.ravel(), survey.ravel(), spans, height, known])


def unknowns(layout: Layout) -> np.ndarray:
    """Which of a step's entries move something: points in the border have no entries of their own."""
    own = np.repeat(layout.point_column < 0, 3)
    return np.flatnonzero(np.concatenate([np.ones(layout.size, dtype=bool), own]))


@pytest.fixture
def brute(rng: np.random.Generator):
    """A bundle, its Layout, and the covariance of all unknowns from numeric derivatives at its optimum."""
    found = bundle(network(rng))
    layout, state = found.adjusted.layout, found.adjusted.state
    size = layout.size + 3 * len(state.points)
    columns = unknowns(layout)
    jacobian = np.zeros((len(residuals(layout, state, np.zeros(size))), size))
    for column in columns.tolist():
        step = np.zeros(size)
        step[column] = 1e-5
        jacobian[:, column] = (residuals(layout, state, step) - residuals(layout, state, -step)) / 2e-5
    cov = np.zeros((size, size))
    cov[np.ix_(columns, columns)] = np.linalg.inv(jacobian[:, columns].T @ jacobian[:, columns])
    return found, layout, cov


def test_covariances_are_those_of_the_whole_system(brute) -> None:
    found, layout, cov = brute
    assert found.cov == pytest.approx(cov[: layout.size, : layout.size], rel=1e-5, abs=1e-12)
    for point, column in enumerate(layout.point_column.tolist()):
        at = slice(column, column + 3) if column >= 0 else slice(layout.size + 3 * point, layout.size + 3 * point + 3)
        assert found.point_cov[point] == pytest.approx(cov[at, at], rel=1e-5, abs=1e-12)
    first, second = layout.columns[0], layout.columns[2]
    cross = found.cross_cov(0, 2)
    assert found.cameras[0].freed == ("fx", "fy", "k1")
    assert cross[:6, :6] == pytest.approx(cov[np.ix_(first[:6], second[:6])], rel=1e-5, abs=1e-12)
    ratio = LENSES[0].params[1] / LENSES[0].params[0]
    assert cross[7] == pytest.approx(ratio * cross[6])


def test_predicted_pixels_have_the_covariance_of_the_whole_system(brute) -> None:
    found, layout, cov = brute
    points = np.array([12, 6, 1])  # eliminated, in the border, surveyed
    _, spread = found.predict(2, points)
    _, by_world, by_calib = found.cameras[2].jacobians(found.points[points])
    for i, point in enumerate(points.tolist()):
        column = layout.point_column[point] if layout.point_column[point] >= 0 else layout.size + 3 * point
        lean = np.zeros((2, len(cov)))
        lean[:, column : column + 3] = by_world[i]
        lean[:, layout.columns[2]] += by_calib[i]
        assert spread[i] == pytest.approx(lean @ cov @ lean.T, rel=1e-4)


def test_optimum_is_scipys(rng: np.random.Generator) -> None:
    given = network(rng)
    layout, state = Layout(given), start_of(given)
    columns = unknowns(layout)
    size = layout.size + 3 * len(given.points)

    def of(step: np.ndarray) -> np.ndarray:
        whole = np.zeros(size)
        whole[columns] = step
        return residuals(layout, state, whole)

    theirs = least_squares(of, np.zeros(len(columns)), x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    ours = adjust(given)
    assert ours.settled
    assert ours.cost == pytest.approx(2.0 * theirs.cost, rel=1e-6)


def test_what_is_held_does_not_move_and_lends_its_uncertainty(rng: np.random.Generator) -> None:
    given = network(rng, off=0.0)
    sure = tuple(replace(camera, calib_cov=np.zeros((6, 6))) for camera in given.cameras)
    loose = tuple(replace(camera, calib_cov=pose_cov(0.002, 0.05)) for camera in given.cameras)
    alone = replace(
        given, lens=np.arange(4), freed=((),) * 4, priors=(), held=np.array([True, True, True, False]),
        surveyed=Surveyed(), heights=Heights(),
    )  # fmt: skip
    with_sure, with_loose = (bundle(replace(alone, cameras=cameras)) for cameras in (sure, loose))
    assert with_loose.cameras[0] is loose[0]
    assert np.allclose(with_loose.points, with_sure.points)
    more = with_loose.cameras[3].calib_cov - with_sure.cameras[3].calib_cov
    assert np.linalg.eigvalsh(more)[0] > -1e-12
    assert np.sqrt(np.diag(with_loose.cameras[3].calib_cov))[5] > 0.05
    assert with_loose.cross_cov(0, 0) == pytest.approx(loose[0].calib_cov)


@pytest.mark.parametrize("loss", [huber(3.0), geman_mcclure(6.0)])
def test_wrong_marks_hardly_pull_under_a_loss(loss, rng: np.random.Generator) -> None:
    given = network(rng)
    clean = bundle(given)
    pixel = given.sights.pixel.copy()
    pixel[::17] += 60.0
    soiled = replace(given, sights=replace(given.sights, pixel=pixel))
    shift = [
        np.abs(bundle(soiled, own).cameras[0].centre_world - clean.cameras[0].centre_world).max()
        for own in (loss, lambda size2: (size2, np.ones_like(size2)))
    ]
    assert shift[0] < 0.3 * shift[1]


def test_without_control_points_the_gauge_is_named(rng: np.random.Generator) -> None:
    given = replace(network(rng), surveyed=Surveyed(), heights=Heights(), spans=Spans())
    with pytest.raises(UndeterminedError, match="undetermined") as error:
        bundle(given)
    assert set(error.value.cameras) <= {"c0", "c1", "c2", "c3"}
    assert error.value.cameras


def test_a_point_seen_once_and_not_surveyed_is_refused(rng: np.random.Generator) -> None:
    given = network(rng)
    once = given.sights.take((given.sights.point != 15) | (given.sights.camera == 0))
    with pytest.raises(GeometryError, match="first 15, are neither surveyed nor seen by two"):
        bundle(replace(given, sights=once))


def test_a_start_behind_the_camera_is_named(rng: np.random.Generator) -> None:
    given = network(rng)
    turned = replace(given.cameras[1], cam_from_world=look_at(np.array([2.0, 14.0, 6.0]), np.array([2.0, 30.0, 6.0])))
    with pytest.raises(GeometryError, match="behind their cameras"):
        bundle(replace(given, cameras=(given.cameras[0], turned, *given.cameras[2:])))


@pytest.mark.parametrize("freed", [("fx", "f"), ("k9",), ("k1", "k1")])
def test_lens_parameters_that_cannot_be_freed_are_named(freed: tuple[str, ...], rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="cannot be freed"):
        replace(network(rng), freed=(freed, (), ()))


def test_a_lens_parameter_held_wrongly_pulls_as_is_said(rng: np.random.Generator) -> None:
    given = network(rng, 0.0)
    fit = bundle(given)
    step = 0.5  # px
    moved = replace(given.cameras[3].lens, params=given.cameras[3].lens.params + step * np.eye(4)[3])
    cameras = (*given.cameras[:3], replace(given.cameras[3], lens=moved))
    again = bundle(replace(given, cameras=cameras))
    found = (again.cameras[3].cam_from_world * fit.cameras[3].cam_from_world.inv()).as_exp_coords()
    said = fit.pull(3, ("cy",))[:, 0] * step
    assert np.linalg.norm(found) > 1e-4
    np.testing.assert_allclose(said, found, atol=0.02 * np.abs(found).max())
