"""Maps on disk: GeoJSON that any GIS reads comes back, and a wrong drawing is told what is wrong."""

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Polygon, box
from site_files import assert_same_map, change

import geoloc
from geoloc.errors import InputError, UnknownNameError
from geoloc.geometry.geodesy import Datum, enu_from_geodetic
from geoloc.scene.map_storage import geojson_from_map, map_from_geojson
from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface


def test_a_map_without_datum_is_in_metres_and_says_so(garage_map):
    local = replace(garage_map, datum=None)
    document = json.loads(json.dumps(geojson_from_map(local)))
    assert "metres" in document["geoloc"]["coordinates"]
    assert "not longitude and latitude" in document["geoloc"]["coordinates"]
    assert document["features"][0]["geometry"]["coordinates"][0][0][2] == 0.0
    assert_same_map(map_from_geojson(document), local, atol=0.0)


def test_the_file_is_geojson_that_any_gis_reads(garage_map):
    document = json.loads(json.dumps(geojson_from_map(garage_map)))
    assert document["type"] == "FeatureCollection"
    for feature in document["features"]:
        assert feature["type"] == "Feature"
        geometry = shapely.from_geojson(json.dumps(feature["geometry"]))
        assert geometry.is_valid
        lon, lat, height = shapely.get_coordinates(geometry, include_z=True).T
        assert (np.abs(lon - 16.6) < 0.001).all()
        assert (np.abs(lat - 49.2) < 0.001).all()
        assert (np.abs(height - 241.5) < 2).all()
        if isinstance(geometry, Polygon):  # right-hand rule (RFC 7946, 3.1.6)
            assert geometry.exterior.is_ccw
            assert not any(hole.is_ccw for hole in geometry.interiors)


def test_an_endless_surface_has_no_geometry_and_comes_back(tmp_path):
    site_map = SiteMap(levels=(Level("ground", (Surface((0.01, -0.02, 0.3), sigma_z=0.05),)),))
    geoloc.save_map(site_map, tmp_path / "plain.geojson")
    assert json.loads((tmp_path / "plain.geojson").read_text())["features"][0]["geometry"] is None
    surface = geoloc.load_map(tmp_path / "plain.geojson").levels[0].surfaces[0]
    assert surface.polygon.is_empty
    assert (surface.plane, surface.sigma_z) == ((0.01, -0.02, 0.3), 0.05)


def test_holes_and_parts_come_back(tmp_path):
    holed = box(0, 0, 20, 20).difference(box(5, 5, 8, 9))
    pillars = MultiPolygon([box(1, 1, 2, 2), box(3, 1, 4, 2)])
    site_map = SiteMap(
        levels=(Level("deck", (Surface((0.0, 0.05, 2.0), holed),)),),
        datum=Datum(-33.9, 151.2, 20.0),
        occluders=(Occluder("pair", "deck", pillars, 2.5), Occluder("w", "deck", LineString([(0, 0), (9, 9)]))),
    )
    geoloc.save_map(site_map, tmp_path / "deck.geojson")
    assert_same_map(geoloc.load_map(tmp_path / "deck.geojson"), site_map, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-80, 80), st.floats(-179, 179), st.floats(-400, 8000),
    st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-30, 30)),
    st.floats(-2000, 2000), st.floats(-2000, 2000), st.floats(1, 300),
)  # fmt: skip
def test_any_surface_on_earth_comes_back(lat, lon, height, plane, x, y, size):
    outline = box(x, y, x + size, y + 0.7 * size)
    levels = (Level("l", (Surface(plane, outline, 0.1),)),)
    site_map = SiteMap(levels=levels, datum=Datum(lat, lon, height))
    document = json.loads(json.dumps(geojson_from_map(site_map)))
    assert_same_map(map_from_geojson(document), site_map, atol=1e-6)


DATUM = {"lat_deg": 49.2, "lon_deg": 16.6, "height": 240.0}
HEADER = {"schema": 1, "datum": DATUM}


def drawn(corners, **properties):
    """A map with one surface, as a person draws it: corners in degrees."""
    ring = [list(corner) for corner in corners]
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    feature = {"type": "Feature", "geometry": geometry, "properties": {"kind": "surface", "level": "lot", **properties}}
    return {"type": "FeatureCollection", "geoloc": HEADER, "features": [feature]}


CORNERS = [(16.6, 49.2), (16.601, 49.2), (16.601, 49.2005), (16.6, 49.2005)]


def test_a_flat_drawing_lies_on_its_plane():
    """Without heights in the file, a corner is where its plumb line meets the stated plane."""
    surface = map_from_geojson(drawn(CORNERS, plane=[0.05, 0.0, 10.0])).levels[0].surfaces[0]
    xy = shapely.get_coordinates(surface.polygon)[:4]
    lon, lat = np.array(CORNERS).T
    enu = enu_from_geodetic(Datum(49.2, 16.6, 240.0), lat, lon, 240.0 + surface.z_at(xy))
    # z of the plane and height over the ellipsoid differ by the Earth's curvature, 0.7 mm here
    np.testing.assert_allclose(xy, enu[:, :2], atol=1e-6)


def test_a_plane_is_fitted_through_corners_with_heights():
    datum = Datum(49.2, 16.6, 240.0)
    site_map = SiteMap(levels=(Level("lot", (Surface((0.03, -0.02, 1.0), box(0, 0, 50, 30)),)),), datum=datum)
    document = json.loads(json.dumps(geojson_from_map(site_map)))
    del document["features"][0]["properties"]["plane"]
    plane = map_from_geojson(document).levels[0].surfaces[0].plane
    np.testing.assert_allclose(plane, (0.03, -0.02, 1.0), atol=1e-6)


def test_corners_that_are_not_flat_are_refused_with_the_residual():
    heights = (240.0, 240.0, 242.0, 240.0)
    bent = drawn([(*corner, height) for corner, height in zip(CORNERS, heights, strict=True)])
    with pytest.raises(InputError, match=r"feature 0, surface 'lot': its corners lie up to 0\.5\d m off the plane"):
        map_from_geojson(bent)


def test_heights_that_contradict_the_stated_plane_are_refused():
    high = drawn([(*corner, 243.0) for corner in CORNERS], plane=[0, 0, 0])
    with pytest.raises(InputError, match=r"lie up to 3\.00 m off the plane"):
        map_from_geojson(high)


def test_a_surface_without_plane_or_heights_is_refused():
    with pytest.raises(InputError, match="neither 'plane' nor heights"):
        map_from_geojson(drawn(CORNERS))


def test_swapped_latitude_and_longitude_are_recognised():
    swapped = drawn([corner[::-1] for corner in CORNERS], plane=[0, 0, 0])
    with pytest.raises(InputError, match=r"lie \d+ km from the datum .* are swapped: GeoJSON has longitude first"):
        map_from_geojson(swapped)
    beyond = drawn([(16.6, 120.0), *CORNERS[1:]], plane=[0, 0, 0])
    with pytest.raises(InputError, match=r"\[16\.6.*, 120\.0.*\] are not longitude and latitude"):
        map_from_geojson(beyond)
    with pytest.raises(InputError, match="swapped"):
        map_from_geojson({**drawn(CORNERS), "geoloc": {"schema": 1, "datum": {**DATUM, "lat_deg": 149.2}}})


def test_a_map_that_a_gis_saved_again_is_read(garage_map):
    document = json.loads(json.dumps(geojson_from_map(garage_map)))
    document["name"] = "garage"
    document["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    for feature in document["features"]:
        feature["properties"] = dict.fromkeys(("plane", "sigma_z", "height", "sigma", "use")) | feature["properties"]
    assert_same_map(map_from_geojson(document), garage_map, atol=1e-6)


FIRST = ("features", 0)
BAD_MAPS = {
    "not a map": ((), ("type",), "Feature", "must be a GeoJSON FeatureCollection"),
    "no geoloc member": ((), ("geoloc",), ..., "with a member 'geoloc', such as"),
    "newer schema": ((), ("geoloc", "schema"), 2, "is of schema 2; this geoloc reads schema 1"),
    "unknown header key": ((), ("geoloc", "datums"), {}, "unknown key 'datums' of 'geoloc'; did you mean 'datum'"),
    "half a datum": ((), ("geoloc", "datum"), {"lat_deg": 1.0}, "'datum' has no 'lon_deg'"),
    "datum as text": ((), ("geoloc", "datum", "lat_deg"), "49", "datum's lat_deg is '49'; it must be a number"),
    "no levels": ((), ("features",), [], "has no level: add a feature of kind 'surface'"),
    "features is no list": ((), ("features",), {}, "must be a list"),
    "unknown kind": (FIRST, ("properties", "kind"), "surfaces", "unknown kind 'surfaces' of feature 0; did you mean"),
    "unknown property": (FIRST, ("properties", "sigmaz"), 0.1, "surface 'lot'; did you mean 'sigma_z'"),
    "kind is a list": (FIRST, ("properties", "kind"), [], "of feature 0; known"),
    "other reference system": ((), ("crs",), {"properties": {"name": "EPSG:5514"}}, "EPSG:5514.*CRS84"),
    "no level name": (FIRST, ("properties", "level"), ..., "has no 'level'"),
    "plane of two": (FIRST, ("properties", "plane"), [0, 1], "'plane' is \\[0, 1\\]; it must be 3 numbers"),
    "infinite plane": (FIRST, ("properties", "plane"), [0, 0, 1e999], "must be finite"),
    "negative sigma": (FIRST, ("properties", "sigma_z"), -0.1, "sigma_z >= 0"),
    "wrong geometry": (FIRST, ("geometry", "type"), "Point", "of type 'Point'; it must be Polygon"),
    "no geometry": (FIRST, ("geometry",), {"type": "Polygon"}, "geometry"),
    "crossed outline": (
        FIRST, ("geometry", "coordinates"),
        [[(16.6, 49.2), (16.601, 49.2005), (16.601, 49.2), (16.6, 49.2005), (16.6, 49.2)]],
        "Self-intersection",
    ),
}  # fmt: skip


@pytest.mark.parametrize("hazard", BAD_MAPS)
def test_a_wrong_map_is_refused_by_name(hazard, tmp_path):
    before, path, value, message = BAD_MAPS[hazard]
    file = tmp_path / "site.geojson"
    file.write_text(json.dumps(change(drawn(CORNERS, plane=[0, 0, 0]), (*before, *path), value)))
    with pytest.raises(InputError, match=message) as error:
        geoloc.load_map(file)
    assert str(error.value).startswith(str(file))


def test_things_on_a_level_that_is_not_there_are_named(garage_map):
    document = json.loads(json.dumps(geojson_from_map(garage_map)))
    stall = next(f for f in document["features"] if f["properties"]["kind"] == "stall")
    stall["properties"]["level"] = "L7"
    with pytest.raises(UnknownNameError, match=r"stall 'A0': unknown level 'L7'"):
        map_from_geojson(document)
