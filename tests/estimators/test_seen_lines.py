"""Lines of the world as residuals: derivatives, unknown bearings, lines that are wrong."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geoloc.estimators.seen_lines import HORIZON, PLUMB, UNSEEN, LineRows, SeenLines, ends_through, line_rows
from geoloc.geometry.se3 import look_at
from geoloc.scene.lenses import Fisheye, Lens, Pinhole, RadialTangential

POSE = look_at(np.array([0.0, 0.0, 6.0]), np.array([20.0, 3.0, 0.0]))
BEARING = 0.7
LENSES = [
    Pinhole(np.array([1100.0, 1110.0, 950.0, 540.0])),
    RadialTangential(np.array([1100.0, 1110.0, 950.0, 540.0, -0.2, 0.05, 0.001, 0.002])),
    RadialTangential(np.array([1100.0, 1110.0, 950.0, 540.0, -0.25, 0.05, 0.0, 0.0])),
    Fisheye(np.array([700.0, 700.0, 950.0, 540.0, -0.02, 0.005, 0.0, 0.0])),
]


def drawn(lens: Lens, rng: np.random.Generator, sigma: float = 1.0) -> SeenLines:
    """Three plumb lines, three level ones of unknown bearing, one of a stated bearing, and the horizon."""
    level = [np.array([np.sin(angle), np.cos(angle), 0.0]) for angle in (BEARING, 1.7)]
    feet = rng.uniform([15, -6, 0], [25, 6, 1], (7, 3))
    along = [np.array([0.0, 0.0, 3.0])] * 3 + [4 * level[0]] * 3 + [4 * level[1]]
    points = [*np.stack([feet, feet + np.array(along)], axis=1), np.array([[1e7, 1e6, 6.0], [1e7, -1e6, 6.0]])]
    pixels = np.array([lens.project(POSE.apply(pair)) for pair in points]) + rng.normal(0, sigma, (8, 2, 2))
    group = np.array([PLUMB] * 3 + [0] * 3 + [1, HORIZON])
    bearing, spread = np.array([np.nan, 1.7]), np.array([np.nan, 0.01])
    return SeenLines(np.zeros(8, int), pixels[:, 0], pixels[:, 1], np.ones(8), group, bearing, spread)


def rows_of(lines: SeenLines, lens: Lens, rotation: Rotation = POSE.rotation) -> LineRows:
    turn = np.tile(rotation.as_matrix(), (1, len(lines), 1, 1))
    ends = ends_through(type(lens), lens.params[None], lines, np.eye(len(lens.params))[None])
    return line_rows(lines, turn, ends, np.ones_like)


@pytest.mark.parametrize("lens", LENSES)
def test_derivatives_are_those_of_differences(lens: Lens) -> None:
    # on lines without errors, where the sigmas' own change does not count; the bearings move along
    lines = drawn(lens, np.random.default_rng(0), 0.0)
    found = rows_of(lines, lens)
    assert np.abs(found.residual).max() < 1e-3
    jacobian = np.concatenate([found.by_rotation, found.by_lens], axis=2)
    _, projected, _ = found.projected(jacobian, np.ones_like(found.residual))
    for column in range(projected.shape[2]):
        sides = []
        for step in (1e-5, -1e-5):
            turn, other = np.zeros(3), np.array(lens.params)
            if column < 3:
                turn[column] = step
            else:
                other[column - 3] += step * max(abs(other[column - 3]), 0.01)
            sides.append(rows_of(lines, type(lens)(other), Rotation.from_rotvec(turn) * POSE.rotation).residual[0])
        unit = 2e-5 if column < 3 else 2e-5 * max(abs(lens.params[column - 3]), 0.01)
        difference = (sides[0] - sides[1]) / unit
        assert projected[0, :, column] == pytest.approx(difference, abs=2e-3 * np.abs(difference).max())


def test_a_line_beyond_the_lens_does_not_count_and_raises_no_warning(rng: np.random.Generator) -> None:
    lines = drawn(LENSES[1], rng)
    narrow = RadialTangential(np.array([300.0, 300.0, 950.0, 540.0, -0.6, 0.0, 0.0, 0.0]))
    found = rows_of(lines, narrow)
    out = found.residual[0] == UNSEEN
    assert out.any()
    assert not found.by_rotation[0, out].any()
    assert not found.by_bearing[0, out].any()


def test_residuals_of_true_lines_scatter_as_they_say(rng: np.random.Generator) -> None:
    lens = LENSES[1]
    sets = [drawn(lens, rng) for _ in range(300)]
    assert sets[0].freedom == 8
    found = np.array([rows_of(lines, lens).residual[0] for lines in sets])
    total = (found**2).sum(axis=1)
    assert total.mean() == pytest.approx(8.0, abs=4 * np.sqrt(16 / 300))  # measured 8.1


def test_a_wrong_line_does_not_turn_the_bearing_of_its_group(rng: np.random.Generator) -> None:
    lens = LENSES[1]
    lines = drawn(lens, rng)
    end = lines.end.copy()
    end[4] += [-60.0, 90.0]

    def robust(residual: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + residual**2 / 9.0) ** 2

    turn = np.tile(POSE.rotation.as_matrix(), (1, len(lines), 1, 1))
    moved = replace(lines, end=end)
    ends = ends_through(RadialTangential, lens.params[None], moved, np.eye(8)[None])
    residual = line_rows(moved, turn, ends, robust).residual[0]
    assert abs(residual[4]) > 10
    assert np.abs(residual[[3, 5]]).max() < 4


def test_a_line_of_unknown_bearing_alone_says_nothing() -> None:
    lens = LENSES[1]
    lines = drawn(lens, np.random.default_rng(1))
    one = lines.kept(np.array([False, False, False, True, False, False, False, False, True, True]))
    found = rows_of(one, lens)
    _, projected, share = found.projected(found.by_lens, np.ones_like(found.residual))
    assert (one.freedom, len(one)) == (0, 1)
    assert share[0, 0] == pytest.approx(1.0)
    assert np.abs(projected[0, 0]).max() < 1e-9 * np.abs(found.by_lens).max()
