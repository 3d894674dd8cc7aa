"""A site in two regions: an object that crosses the border keeps its number, and two side by side keep theirs."""

from pathlib import Path

import numpy as np
import pytest
import shapely

from geoloc.errors import InputError
from geoloc.pipeline.codec import decode, encode
from geoloc.pipeline.regions import Region, RegionOptions, Seam, split_site
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Tracks

WEST = Region("west", shapely.box(-100, -100, 0, 100), ("a", "b"))
EAST = Region("east", shapely.box(0, -100, 100, 100), ("b", "c"))
SIGMA = 0.2  # m


def table(time: float, rows: dict[int, tuple[float, float]], rng, speed: float = 5.0) -> Tracks:
    """What an engine says of objects by their numbers there, at (x, y) and a little off."""
    n = len(rows)
    if not n:
        return Tracks()
    xy = np.array(list(rows.values())) + rng.normal(0.0, SIGMA, (n, 2))
    cov = np.tile(np.diag([SIGMA**2, SIGMA**2, 0.1, 0.1]), (n, 1, 1))
    return Tracks(
        time=np.full(n, time), track=np.array(list(rows)), object=np.arange(n), level=np.full(n, "ground"), xy=xy,
        velocity=np.tile([speed, 0.0], (n, 1)), cov=cov, bias_cov=np.zeros((n, 2, 2)), label=np.full(n, "car"),
        state=np.full(n, "confirmed"),
    )  # fmt: skip


def drive(y: float, seen_until: float, seen_from: float, numbers: tuple[int, int], rng) -> list[dict[str, Tracks]]:
    """A car from x = -20 to 20 m; the west sees it until `seen_until`, the east from `seen_from` on."""
    found = []
    for k in range(81):
        x, time = -20.0 + 0.5 * k, 0.1 * k
        west = {numbers[0]: (x, y)} if x <= seen_until else {}
        east = {numbers[1]: (x, y)} if x >= seen_from else {}
        found.append({"west": table(time, west, rng), "east": table(time, east, rng)})
    return found


def test_an_object_that_crosses_the_border_keeps_its_number():
    rng, seam = np.random.default_rng(1), Seam([WEST, EAST])
    told = [seam.step(tables) for tables in drive(0.0, 6.0, -6.0, (7, 31), rng)]
    assert {tuple(one.track.tolist()) for one in told} == {(1,)}
    assert all(len(one) == 1 for one in told)
    assert max(abs(one.xy[0, 0] - (-20.0 + 0.5 * k)) for k, one in enumerate(told)) < 5 * SIGMA


def test_two_cars_side_by_side_keep_two_numbers():
    rng, seam = np.random.default_rng(2), Seam([WEST, EAST])
    lanes = [drive(y, 6.0, -6.0, numbers, rng) for y, numbers in ((0.0, (1, 2)), (3.5, (2, 1)))]
    first, second = set(), set()
    for a, b in zip(*lanes, strict=True):
        both = {name: Tracks.concat([one for one in (a[name], b[name]) if len(one)] or [Tracks()]) for name in a}
        told = seam.step(both)
        assert len(told) == 2
        first |= set(told.track[told.xy[:, 1] < 1.75].tolist())
        second |= set(told.track[told.xy[:, 1] > 1.75].tolist())
    assert len(first) == len(second) == 1
    assert first != second


def test_numbers_that_agree_only_later_become_the_older_one():
    rng, seam = np.random.default_rng(3), Seam([WEST, EAST], RegionOptions(settle_s=0.5))
    # the west sees it for the first time when it is in the midst of the east's area, and drives back
    for k in range(60):
        x, time = 12.0 - 0.5 * k, 0.1 * k
        west = {5: (x - 4.0 if k < 2 else x, 0.0)} if x < 4.0 else {}
        told = seam.step({"west": table(time, west, rng, -5.0), "east": table(time, {9: (x, 0.0)}, rng, -5.0)})
        numbers = set(told.track.tolist())
    assert numbers == {1}


def test_one_window_has_one_time_whatever_the_regions_clocks_say():
    rng, seam = np.random.default_rng(5), Seam([WEST, EAST])
    west, east = table(10.0, {1: (-20.0, 0.0)}, rng), table(10.04, {1: (20.0, 0.0)}, rng)
    told = seam.step({"west": west, "east": east})
    assert set(told.time.tolist()) == {10.04}
    moved = told.xy[told.xy[:, 0] < 0][0] - west.xy[0]
    assert moved == pytest.approx([0.2, 0.0])
    assert np.trace(told.position_cov[told.xy[:, 0] < 0][0]) > np.trace(west.position_cov[0])


def test_a_seam_goes_on_from_its_bytes():
    runs = []
    for stops in (False, True):
        rng, seam, told = np.random.default_rng(4), Seam([WEST, EAST]), []
        for k, tables in enumerate(drive(0.0, 6.0, -6.0, (7, 31), rng)):
            if stops and k % 20 == 0:
                seam = restored(seam)
            told.append(seam.step(tables).track.tolist())
        runs.append(told)
    assert runs[0] == runs[1]


def restored(seam: Seam) -> Seam:
    """A seam out of what can be stored of it."""
    fresh = Seam([WEST, EAST])
    fresh.resume(decode(encode(seam.state(), {}), {}))
    return fresh


def test_a_site_is_cut_into_regions_that_share_cameras_where_they_meet():
    site = load_site("garage", Path(__file__).resolve().parents[2] / "fixtures" / "garage")
    regions = split_site(site, 2)
    cameras = [set(region.cameras) for region in regions]
    assert cameras[0] | cameras[1] == set(site.camera_index)
    assert cameras[0] & cameras[1]
    assert cameras[0] - cameras[1]
    assert cameras[1] - cameras[0]
    assert regions[0].area.intersection(regions[1].area).area == 0
    assert [one.name for one in regions[0].site(site).cameras] == list(regions[0].cameras)
    with pytest.raises(InputError, match="too few"):
        split_site(site, 99)
