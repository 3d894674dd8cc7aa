"""Lines and stalls from stills: found where they are, as sure as stated, and refused where there is no grid."""

from dataclasses import replace

import numpy as np
import pytest
from survey_lot import N_STALLS, bare, corners, drawn_off, stills_of

from geoloc.metrics.consistency import nees
from geoloc.perception.ground_lines import GroundLine, find_lines, painted
from geoloc.perception.ground_marks import Arrow
from geoloc.perception.ground_sheet import level_sights
from geoloc.perception.named_things import line_corners, marks_of, named
from geoloc.perception.stall_grid import propose_stalls
from geoloc.perception.still_stack import stack_stills

TRUE = np.array([corners(i) for i in range(N_STALLS)])


def lines_of(site, stills):
    level = site.site_map.level("lot")
    stacks = {camera.name: stack_stills(camera, {"one": stills[camera.name]})[0] for camera in site.cameras}
    return [line for sight in level_sights(site, tuple(stacks))["lot"]
            for line in find_lines(sight, stacks[sight.camera.name], level)], stacks  # fmt: skip


@pytest.fixture(scope="module")
def seen(site, stills):
    return lines_of(bare(site), stills)


def errors_of(stalls):
    """Corner errors (M, 2) and covariances of proposals, each against the stall that it lies on."""
    errors, covs = [], []
    for stall in stalls:
        x, y = stall.corners.mean(axis=0)
        x0, y0, x1, y1 = TRUE[np.abs(TRUE[:, [0, 2]].mean(axis=1) - x).argmin()]
        assert x0 < x < x1 and y0 < y < y1  # noqa: PT018
        true = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        nearest = np.linalg.norm(stall.corners[:, None] - true, axis=2).argmin(axis=1)
        errors.append(stall.corners - true[nearest])
        covs.append(stall.corner_cov)
    return np.concatenate(errors), np.concatenate(covs)


def test_painted_lines_lie_where_they_are_and_are_as_wide(seen):
    lines, _ = seen
    xs = TRUE[0, 0] + 2.5 * np.arange(N_STALLS + 1)
    upright = [line for line in painted(lines) if abs(line.ahead[1]) > 0.99 and line.length > 2.0]
    assert len(upright) >= N_STALLS + 1
    off = [np.abs(xs - line.ends[:, 0].mean()).min() for line in upright]
    assert max(off) < 0.05  # measured: 0.03 m
    assert 0.07 < np.median([line.width for line in upright]) < 0.2


def test_all_stalls_of_a_row_are_proposed_within_centimetres(site, seen):
    found = propose_stalls(bare(site), "lot", seen[0])
    assert len(found.stalls) == N_STALLS
    error, _ = errors_of(found.stalls)
    assert np.linalg.norm(error, axis=1).max() < 0.08  # measured: 0.04 m
    assert min(stall.confidence for stall in found.stalls) > 0.8
    assert len({stall.name for stall in found.stalls}) == N_STALLS


def test_corner_covariances_are_honest_when_cameras_are_off(site, stills):
    squared = []
    for seed in range(6):
        off = bare(drawn_off(site, np.random.default_rng(seed)))
        found = propose_stalls(off, "lot", lines_of(off, stills)[0])
        error, cov = errors_of(found.stalls)
        squared.append(nees(error, cov).mean())
    # two degrees of freedom, six draws whose corners move together: measured 1.1
    assert 0.3 < np.mean(squared) < 4.0, squared


def test_stalls_of_the_map_are_counted_and_not_proposed_again(site, seen):
    found = propose_stalls(site, "lot", seen[0])
    assert (len(found.stalls), found.known, found.refusal) == (0, N_STALLS, "")


def test_a_lot_without_stalls_is_refused_with_the_reason(site):
    plain = bare(site)
    lines, _ = lines_of(plain, stills_of(plain))
    found = propose_stalls(plain, "lot", lines)
    assert not found.stalls
    assert "line" in found.refusal


def drawn(ends, site):
    """A line that a camera might have seen."""
    k = len(site.cameras[0].calib_cov)
    return GroundLine("east", "lot", "paint", np.array(ends, float), 0.1, 0.5, 1.0, 1e-4 * np.eye(2),
                      np.zeros((2, k + 1)), 0.03)  # fmt: skip


def test_lines_at_random_distances_carry_no_grid(site):
    lines = [drawn([(x, 10), (x, 15)], site) for x in (1.0, 2.3, 6.1, 7.2, 12.9, 17.0)]
    found = propose_stalls(bare(site), "lot", lines)
    assert not found.stalls
    assert "no grid" in found.refusal


def test_slanted_stalls_are_found_too(site):
    slope = 1.0  # the row's edge runs at 45 degrees to its dividers
    lines = [drawn([(x, 2 + slope * x), (x, 7 + slope * x)], site) for x in 3.0 + 2.5 * np.arange(5)]
    found = propose_stalls(bare(site), "lot", lines)
    assert len(found.stalls) == 4
    areas = [stall.place.polygon.area for stall in found.stalls]
    np.testing.assert_allclose(areas, 12.5, rtol=0.1)


def test_an_arrow_in_a_lane_of_two_stalls_width_divides_nothing(site):
    edges = [drawn([(x, y), (x + 5, y)], site) for x in (2.0, 8.0) for y in (4.0, 10.0)]
    shafts = [drawn([(x, 7.0), (x + 3, 7.0)], site) for x in (3.0, 9.0)]
    arrows = [Arrow("lot", np.array([x + 1.5, 7.0]), np.array([x + 3.0, 7.0]), 0.0, 3.0, 1.0, 0.02) for x in (3.0, 9.0)]
    assert not propose_stalls(bare(site), "lot", [*edges, *shafts], arrows=arrows).stalls


def test_the_order_of_cameras_and_lines_changes_nothing(site, seen):
    lines, _ = seen
    other = replace(bare(site), cameras=bare(site).cameras[::-1])
    one, two = (propose_stalls(s, "lot", x).stalls for s, x in ((bare(site), lines), (other, lines[::-1])))
    np.testing.assert_allclose([s.corners for s in one], [s.corners for s in two], atol=1e-6)


def test_corners_get_the_names_of_the_map_and_marks_that_lie_on_them(site, seen):
    lines, stacks = seen
    things = named(line_corners(site, "lot", lines, stacks), site)
    known = [thing for thing in things if thing.known]
    assert len(known) >= 4
    marks = marks_of(known)
    places = {f"S{i + 1}/{k + 1}": xy for i in range(N_STALLS)
              for k, xy in enumerate(np.array(site.site_map.stalls[i].polygon.exterior.coords)[:4])}  # fmt: skip
    for camera, point, pixel in zip(marks.camera.tolist(), marks.point.tolist(), marks.pixel, strict=True):
        true = site.camera(camera).project(np.array([[*places[point], 0.0]]))[0]
        assert np.linalg.norm(pixel - true) < 4.0, (camera, point)  # measured: 1.5 px
    assert any(len(thing.sightings) == 2 for thing in things)
