"""The stall map of Dragon Lake Parking: blocks fall into even stalls with names; what is no stall map is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import shapely

from geoloc.errors import InputError
from geoloc.io.dlp import read_parking_lot
from geoloc.scene.map_storage import load_map, save_map

LOT = """
MAP_SIZE: {x: 30, y: 20}
PARKING_AREAS: {
    A: {bounds: [[2.0, 16.0], [27.0, 16.0], [27.0, 6.0], [2.0, 6.0]], areas: [{shape: [2, 10], coords: null}]},
    B: {bounds: [[2.0, 5.0], [7.0, 5.0], [7.0, 0.0], [2.0, 0.0]], areas: [{shape: [1, 2], coords: null}]}}
WAYPOINTS: {R1L: {bounds: [[1.0, 18.0], [29.0, 18.0]], nums: 50}}
"""


@pytest.fixture
def lot(tmp_path: Path) -> Path:
    path = tmp_path / "parking_map.yml"
    path.write_text(LOT)
    return path


def test_a_block_falls_into_even_stalls_that_are_named_from_its_north_west_corner(lot) -> None:
    stalls = {stall.name: stall.polygon for stall in read_parking_lot(lot).site_map.stalls}
    assert len(stalls) == 22
    assert stalls["A-1-01"].equals(shapely.box(2.0, 11.0, 4.5, 16.0))
    assert stalls["A-2-10"].equals(shapely.box(24.5, 6.0, 27.0, 11.0))
    block = shapely.union_all([polygon for name, polygon in stalls.items() if name.startswith("A")])
    assert block.equals(shapely.box(2.0, 6.0, 27.0, 16.0))
    assert sum(polygon.area for polygon in stalls.values()) == pytest.approx(275.0)  # none lies on another


def test_the_lot_is_in_metres_with_its_ways_and_survives_saving(lot, tmp_path) -> None:
    read = read_parking_lot(lot)
    assert read.site_map.datum is None  # none is stated, none is made up
    np.testing.assert_array_equal(read.ways["R1L"], [[1.0, 18.0], [29.0, 18.0]])
    save_map(read.site_map, tmp_path / "lot.geojson")
    again = load_map(tmp_path / "lot.geojson")
    assert [stall.name for stall in again.stalls] == [stall.name for stall in read.site_map.stalls]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("MAP_SIZE", "SIZE"),
        ("{x: 30, y: 20}", "30"),
        ("shape: [2, 10]", "shape: [2]"),
        ("shape: [2, 10]", "shape: [0, 10]"),
        ("shape: [2, 10]", "shape: [2, 1000000]"),
        ("[27.0, 16.0], [27.0, 6.0], [2.0, 6.0]", "[2.0, 6.0]"),
        ("[2.0, 16.0]", "[.nan, 16.0]"),
        ("[2.0, 16.0]", "[here, 16.0]"),
        ("areas: [{shape: [2, 10], coords: null}]", "areas: []"),
        ("WAYPOINTS: {R1L: {bounds: [[1.0, 18.0], [29.0, 18.0]], nums: 50}}", "WAYPOINTS: [R1L]"),
    ],
)
def test_what_is_no_stall_map_is_refused_by_name(lot, before, after) -> None:
    assert before in LOT
    lot.write_text(LOT.replace(before, after))
    with pytest.raises(InputError, match=r"parking_map\.yml"):
        read_parking_lot(lot)


def test_the_real_lot_has_its_364_stalls() -> None:
    path = Path(os.environ.get("GEOLOC_DATA", "")) / "dlp_parking_map" / "parking_map.yml"
    if not path.is_file():
        pytest.skip("the recording dlp_parking_map is not there; set GEOLOC_DATA to the folder of the recordings")
    stalls = read_parking_lot(path).site_map.stalls
    assert len(stalls) == 364
    widths = [min(np.ptp(shapely.get_coordinates(stall.polygon), axis=0)) for stall in stalls]
    assert 2.4 < min(widths) <= max(widths) < 2.9
