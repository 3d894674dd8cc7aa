"""Clocks learned from the tracks: found, told apart from shifts, honest about what is left, and jumps are noticed."""

import numpy as np
import pytest
from consistency import assert_consistent
from sites import feet_seen, square

from geoloc.pipeline.association import Groups
from geoloc.pipeline.clock_ties import SIZE, ClockTies
from geoloc.pipeline.clocks import ClockOptions, Clocks
from geoloc.pipeline.lazily import clock_windows
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, localize, replay
from geoloc.scene.tables import Detections, GroundPoints, Tracks

NAMES = ("A", "B", "C", "D")
OPTIONS = ClockOptions(offset_sigma=0.25, drift_sigma=1e-4, least_s=0.0, every_s=1.0)
NOISE = 0.3  # m
LENGTH = 4.5


class World:
    """Cars in one group each window; cameras with clocks, shifts and a habit to see things nearer than they are."""

    def __init__(self, rng: np.random.Generator, options: ClockOptions) -> None:
        self.rng, self.options = rng, options
        self.offset = rng.normal(0, options.offset_sigma, 4)
        self.drift = rng.normal(0, options.drift_sigma, 4)
        self.offset -= self.offset.mean()  # the tracks are on the cameras' common clock
        self.drift -= self.drift.mean()
        self.nearer = rng.normal(0, options.away_sigma, 4)
        self.shift = rng.normal(0, options.shift_sigma, (4, 2))
        self.centre = np.array([one.centre_world[:2] for one in square().cameras])

    def window(self, clocks: Clocks, time: float, cars: list["Car"]) -> None:
        """One window of all cars, seen by all cameras at its time, goes to `clocks`."""
        truth = np.repeat([car.at(time) for car in cars], 4, axis=0)
        velocity = np.array([car.velocity for car in cars])
        camera = np.tile(np.arange(4), len(cars))
        away = truth - self.centre[camera]
        away /= np.hypot(*away.T)[:, None]
        stamp = time + self.offset + self.drift * time
        seen = truth + self.shift[camera] + LENGTH * self.nearer[camera, None] * away
        seen += np.concatenate([car.own for car in cars]) + self.rng.normal(0, NOISE, truth.shape)
        n, zeros = len(camera), np.zeros((len(camera), 2, 2))
        frame = Detections(time=stamp[camera], camera=np.array(NAMES)[camera], box=np.zeros((n, 4)))
        points = GroundPoints(
            time=clocks.correct(frame).time, camera=frame.camera, level=["ground"] * n, xy=seen,
            cov=zeros + NOISE**2 * np.eye(2), bias_cov=zeros, away=away, label=["car"] * n,
        )  # fmt: skip
        tracks = Tracks(
            time=np.full(len(cars), time), track=[car.number for car in cars], xy=[car.at(time) for car in cars],
            velocity=velocity, cov=np.tile(1e-6 * np.eye(4), (len(cars), 1, 1)),
            bias_cov=np.zeros((len(cars), 2, 2)), label=["car"] * len(cars),
        )  # fmt: skip
        clocks.learn(points, tracks, Groups(np.repeat(np.arange(len(cars)), 4), np.arange(len(cars))), time)

    def error(self, clocks: Clocks) -> tuple[np.ndarray, np.ndarray]:
        """Errors (3,) s of the clocks' differences and their covariance."""
        contrast, ties = np.hstack([-np.ones((3, 1)), np.eye(3)]), clocks._ties
        mean, cov = dense(ties)
        error = contrast @ (mean[::SIZE] - self.offset - self.drift * ties.time)
        return error, contrast @ cov[::SIZE, ::SIZE] @ contrast.T


def dense(ties: ClockTies) -> tuple[np.ndarray, np.ndarray]:
    """Mean (5 C,) and covariance (5 C, 5 C) by all ties together, as one system."""
    n = len(ties.mean)
    information, weighted = np.diag(1.0 / ties.sigma.ravel() ** 2), np.zeros(SIZE * n)
    for tie, evidence, right in zip(ties._tie.tolist(), ties._information, ties._weighted, strict=True):
        rows = np.concatenate([SIZE * camera + np.arange(SIZE) for camera in divmod(tie, n)])
        information[np.ix_(rows, rows)] += evidence
        weighted[rows] += right
    cov = np.linalg.inv(information)
    return cov @ weighted, cov


class Car:
    def __init__(self, rng: np.random.Generator, number: int, start: float, velocity: np.ndarray) -> None:
        self.number, self.start, self.velocity = number, start, velocity
        self.own = rng.normal(0, OPTIONS.object_sigma * LENGTH, (4, 2))

    def at(self, time: float) -> np.ndarray:
        return self.velocity * (time - self.start - 2.5)


def drive(rng: np.random.Generator, n_cars: int, one_way: bool) -> tuple[World, Clocks]:
    """Cars one after the other, in view for 5 s each."""
    world, clocks = World(rng, OPTIONS), Clocks(square(), OPTIONS)
    for number in range(n_cars):
        angle, speed = (0.0, 8.0) if one_way else (rng.integers(4) * np.pi / 2, rng.uniform(4, 12))
        start = 5.0 * number
        car = Car(rng, number, start, speed * np.array([np.cos(angle), np.sin(angle)]))
        for k in range(5):
            world.window(clocks, start + k, [car])
    return world, clocks


@pytest.mark.parametrize(("one_way", "limit"), [(False, 0.06), (True, 0.12)])
def test_clocks_are_honest_about_what_is_left(rng, one_way, limit):
    """Offsets drawn from 0.25 s with drift; one way at one speed a shift looks like a clock, and sigma tells."""
    runs = [world.error(clocks) for world, clocks in (drive(rng, 12, one_way) for _ in range(60))]
    errors, covs = (np.array(column) for column in zip(*runs, strict=True))
    assert_consistent(errors, covs)
    assert np.sqrt((errors**2).mean()) < limit  # s; measured 0.025 and 0.10


def test_more_cars_tell_more(rng):
    sigma = [float(np.mean([one.sigma for one in drive(rng, n, False)[1].report()])) for n in (5, 40)]
    assert sigma[1] < 0.7 * sigma[0]  # measured 0.57


def traffic(
    rng: np.random.Generator, offset: dict[str, float], jump: tuple[str, float, float] | None = None
) -> Detections:
    """40 s of cars through the square at 5 Hz, four ways; `jump` is a camera, when (s) and by how much (s)."""
    site, tables = square(), []
    cars = [(1.5 * k, k % 4 * np.pi / 2, rng.uniform(4, 8)) for k in range(26)]
    for one in site.cameras:
        for time in np.arange(0.0, 40.0, 0.2):
            here = [(time - start) * speed - 12.0 for start, _, speed in cars]
            ways = [np.array([np.cos(a), np.sin(a)]) for _, a, _ in cars]
            xy = [s * u + 2.0 * np.array([u[1], -u[0]]) for s, u in zip(here, ways, strict=True) if abs(s) < 12]
            if not xy:
                continue
            alone = site.__class__(site.name, (one,), site.site_map)
            stamp = 1000.0 + time + offset[one.name]
            stamp += jump[2] if jump and jump[0] == one.name and time > jump[1] else 0.0
            tables.append(feet_seen(alone, np.column_stack([xy, np.zeros(len(xy))]), stamp, rng, 2.0, "car"))
    table = Detections.concat(tables)
    return table.replace(id=np.arange(len(table)))


@pytest.mark.parametrize("seed", range(3))
def test_the_engine_learns_its_cameras_clocks_and_notices_a_jump(seed):
    """The camera that jumped is known anew from what moves with it, not from what drives where its cars were."""
    rng = np.random.default_rng(seed)
    offset = {"A": 0.2, "B": -0.25, "C": 0.0, "D": 0.1}
    options = LocalizerOptions(clocks=ClockOptions(offset_sigma=0.3, every_s=1.0))
    localizer = Localizer(square(), options)
    for _ in replay(localizer, traffic(rng, offset, ("C", 22.0, 1.2))):
        pass
    (jump,) = localizer.clocks.jumps
    assert jump.camera == "C"
    assert abs(jump.time - 1022.0) < 4.0  # measured 1 to 2 s after
    assert abs(jump.size - 1.2) < 0.3
    known = {one.camera: one for one in localizer.clocks.report()}
    offset["C"] += 1.2
    for name in ("B", "C", "D"):
        error = known[name].offset - known["A"].offset - (offset[name] - offset["A"])
        assert abs(error) < 0.08  # s; measured 0.02, and 0.01 of the one that jumped, which has 11 s left to learn
        assert abs(error) < 4.0 * np.hypot(known[name].sigma, known["A"].sigma)


def test_clocks_that_are_said_to_be_right_change_nothing(rng):
    table = traffic(rng, dict.fromkeys(NAMES, 0.0)).take(np.arange(300))
    right = LocalizerOptions(clocks=ClockOptions(offset_sigma=0.0))
    localizer = Localizer(square(), right)
    for _ in replay(localizer, table):
        pass
    assert [one.offset for one in localizer.clocks.report()] == [0.0] * 4
    assert localize(table, square(), right) == localize(table, square(), right)


def chain(rng: np.random.Generator, n: int) -> tuple[ClockTies, np.ndarray]:
    """Cameras in a row, each tied to the two next ones by objects that go all ways; and their true offsets."""
    sigma = np.array([0.2, 1e-5, 0.45, 0.5, 0.5])
    truth = rng.normal(0, sigma, (n, SIZE))
    ties = ClockTies(np.tile(sigma, (n, 1)), 3600.0)
    first = np.concatenate([np.arange(n - 1), np.arange(n - 2)])
    second = np.concatenate([np.arange(1, n), np.arange(2, n)])
    for k in range(10):
        rows = np.zeros((2 * len(first), clock_windows.COLUMNS))
        rows[:, clock_windows.CAMERA] = np.stack([first, second], axis=1).ravel()
        rows[:, clock_windows.LENGTH] = LENGTH
        angle, speed = rng.uniform(0, 2 * np.pi, len(first)), rng.uniform(4, 12, len(first))
        velocity = np.repeat(speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), 2, axis=0)
        away = rng.normal(0, 1, (len(rows), 2))
        away /= np.hypot(*away.T)[:, None]
        rows[:, [clock_windows.AWAY_X, clock_windows.AWAY_Y]] = away
        of = truth[rows[:, clock_windows.CAMERA].astype(int)]
        z = -velocity * (of[:, :1] + of[:, 1:2] * 2.0 * k) + LENGTH * of[:, 2:3] * away + of[:, 3:]
        z += rng.normal(0, NOISE, z.shape)
        noise = np.tile([NOISE**2, 0.0, NOISE**2], (len(rows), 1))
        groups = np.stack([np.arange(0, len(rows), 2), np.arange(2, len(rows) + 1, 2)], axis=1)
        ties.learn(first * n + second, 2.0 * k, rows, groups, z, noise, velocity, 0.0, 1e9)
    return ties, truth


@pytest.mark.parametrize("n", [7, 60])
def test_clocks_tied_in_a_chain_are_solved_as_by_one_system(rng, n):
    """Means are the same; sigmas of a chain longer than a neighbourhood are a little larger, never smaller."""
    ties, truth = chain(rng, n)
    assert ties.solve(100.0)
    mean, cov = dense(ties)
    np.testing.assert_allclose(ties.mean.ravel(), mean, atol=1e-5)
    own, exact = np.sqrt(ties.cov[:, 0, 0]), np.sqrt(np.diag(cov)[::SIZE])
    assert (own > exact * (1 - 1e-9)).all()
    assert (own < 2.5 * exact).all()  # measured 2.09: most of it is what all neighbours share
    step = np.diff(ties.mean[:, 0] - truth[:, 0])
    assert np.abs(step).max() < 0.2  # s, between neighbours


def test_a_thousand_cameras_cost_what_their_ties_cost(rng):
    """No matrix of all cameras against all: 2,000 ties, 0.8 kB each."""
    pytest.importorskip("numba")
    ties, _ = chain(rng, 1000)
    assert ties.solve(100.0)
    assert ties._information.nbytes < 2e6
