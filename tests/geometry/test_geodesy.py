"""The Earth: PROJ says where points are; the way back is exact; swapped coordinates are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoloc.errors import InputError
from geoloc.geometry.geodesy import (
    Datum,
    ecef_from_geodetic,
    enu_from_geodetic,
    geodetic_from_ecef,
    geodetic_from_enu,
)

AUTHORITY = json.loads((Path(__file__).resolve().parents[2] / "fixtures" / "authorities" / "geodesy.json").read_text())


@pytest.mark.parametrize("site", AUTHORITY["sites"], ids=lambda site: f"lat {site['datum'][0]}")
def test_points_are_where_proj_puts_them(site):
    lat, lon, height = np.array(site["geodetic"]).T
    ecef = ecef_from_geodetic(lat, lon, height)
    np.testing.assert_allclose(ecef, site["ecef"], rtol=0, atol=2e-8)  # m; measured 0
    enu = enu_from_geodetic(Datum(*site["datum"]), lat, lon, height)
    np.testing.assert_allclose(enu, site["enu"], rtol=0, atol=2e-8)  # m; measured 6e-14
    back = geodetic_from_enu(Datum(*site["datum"]), np.array(site["enu"]))
    np.testing.assert_allclose(ecef_from_geodetic(*back), site["ecef"], rtol=0, atol=2e-8)


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-5e3, 1e5))
def test_any_point_near_the_earth_comes_back_from_ecef(lat, lon, height):
    ecef = ecef_from_geodetic(np.array(lat), np.array(lon), np.array(height))
    back = geodetic_from_ecef(ecef)
    np.testing.assert_allclose(ecef_from_geodetic(*back), ecef, rtol=0, atol=1e-7)  # m
    assert float(back[0]) == pytest.approx(lat, abs=1e-11)
    assert float(back[2]) == pytest.approx(height, abs=1e-7)


@given(
    st.builds(Datum, st.floats(-90, 90), st.floats(-180, 180), st.floats(-400, 8e3)),
    st.tuples(st.floats(-5e3, 5e3), st.floats(-5e3, 5e3), st.floats(-200, 500)),
)
def test_any_local_point_comes_back_from_latitude_and_longitude(datum, enu):
    lat, lon, height = geodetic_from_enu(datum, np.array(enu))
    np.testing.assert_allclose(enu_from_geodetic(datum, lat, lon, height), enu, rtol=0, atol=1e-7)  # m


def test_a_tangent_plane_is_not_scaled_degrees():
    """1 km east of a datum at 49.2 degrees north the ellipsoid has dropped 7.8 cm below the plane."""
    datum = Datum(49.2, 16.6, 240.0)
    lat, lon, _ = geodetic_from_enu(datum, np.array([1000.0, 0.0, 0.0]))
    up = enu_from_geodetic(datum, lat, lon, 240.0)[2]
    assert up == pytest.approx(-(1000.0**2) / (2 * 6.39e6), abs=1e-4)  # measured -0.0782 m


def test_a_height_that_is_left_out_is_the_datums():
    datum = Datum(49.2, 16.6, 240.0)
    lat, lon = np.array([49.201]), np.array([16.601])
    np.testing.assert_array_equal(enu_from_geodetic(datum, lat, lon), enu_from_geodetic(datum, lat, lon, 240.0))


def test_shapes_are_kept_and_nothing_may_be_empty():
    datum = Datum(49.2, 16.6, 240.0)
    assert enu_from_geodetic(datum, np.zeros((0,)), np.zeros((0,))).shape == (0, 3)
    grid = np.full((2, 3), 49.2), np.full((2, 3), 16.6)
    assert enu_from_geodetic(datum, *grid).shape == (2, 3, 3)
    assert geodetic_from_enu(datum, np.zeros((2, 3, 3)))[0].shape == (2, 3)


@pytest.mark.parametrize("lat_lon_height", [(116.6, 49.2, 0), (49.2, 181, 0), (np.nan, 0, 0), (0, 0, np.inf)])
def test_a_datum_that_is_nowhere_is_refused(lat_lon_height):
    with pytest.raises(InputError, match=r"is not on WGS84.*swapped\?"):
        Datum(*lat_lon_height)
