"""Marks and control points in: half pixels, swapped axes, second marks, degrees; and out again unchanged."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoloc.errors import InputError
from geoloc.geometry.geodesy import Datum, geodetic_from_enu
from geoloc.io.marks import MarkOptions, read_marks, write_marks
from geoloc.io.points import read_points, write_points
from geoloc.io.references import PointOptions, named_crs
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, Level, SiteMap, Surface

SITE = SiteMap((Level("yard", (Surface((0.0, 0.0, 1.5)),)),), Datum(49.2, 16.6, 240.0))
ON_SITE = PointOptions(site_map=SITE)
letters = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"))
names = st.text(letters, min_size=1, max_size=20)
numbers = st.floats(-2e4, 2e4)
pixels = st.floats(-0.5, 1e5)


def written(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def degrees(*xyz):
    lat, lon, height = geodetic_from_enu(SITE.datum, np.array(xyz, float))
    return float(lat), float(lon), float(height)


@given(st.lists(st.tuples(names, names, pixels, pixels, st.floats(1e-3, 1e3)), unique_by=lambda row: row[:2]))
def test_marks_come_back_exactly(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("marks") / "marks.csv"
    columns = {"camera": [r[0] for r in rows], "point": [r[1] for r in rows], "sigma": [r[4] for r in rows]}
    marks = Marks(pixel=np.array([r[2:4] for r in rows]).reshape(-1, 2), **columns)
    write_marks(path, marks)
    result = read_marks(path)
    assert result.report.n_skipped == 0
    assert result.marks == marks


def test_rows_that_are_no_marks_are_counted_by_reason_and_line(tmp_path):
    path = written(
        tmp_path, "marks.csv",
        "camera,point,u,v,sigma\ngate,a,1,2,\ngate,b,x,2,1\n,c,1,2,1\ngate,,1,2,1\ngate,d,1,2,0\ngate,e,nan,2,1\n"
        "gate,a,5,6,1\ngate,f,640,2,1\ngate,g,1\nhall,a,1,2,3\n",
    )  # fmt: skip
    result = read_marks(path, options=MarkOptions(sizes={"gate": (640, 480)}, sigma=2.5))
    assert result.marks.point.tolist() == ["a", "a"]
    assert result.marks.sigma.tolist() == [2.5, 3.0]
    found = {reason: item.first for reason, item in result.report.skipped.items()}
    assert found == {
        "another number of cells than columns": (10,),
        "no camera": (4,),
        "no point": (5,),
        "u or v is no finite number": (3, 7),
        "sigma is no positive number": (6,),
        "outside its still": (9,),
        "marks a point a second time in one still; delete the wrong one": (8,),
    }
    assert "2 marks, 8 rows skipped" in str(result.report)


def test_meva_marks_are_read_as_they_are(recording):
    folder = recording("meva") / "calibration"
    assert len(read_marks(folder / "marks.csv").marks) == 208
    assert len(read_points(folder / "landmarks.csv").points) == 57
    points = read_points(folder / "gcps.csv")
    assert points.points[0].name == "Subway Sidewalk"
    assert "x and y are taken" in str(points.report)


QGIS = ("mapX,mapY,sourceX,sourceY,enable,dX,dY,residual", "mapX,mapY,pixelX,pixelY,enable")


@pytest.mark.parametrize("header", QGIS)
def test_qgis_counts_upwards_from_the_corner_and_may_disable(tmp_path, header):
    tail = ",0,0,0" if "dX" in header else ""
    path = written(tmp_path, "plan.png.points", f"{header}\n3.5,-7,100.5,-40.5,1{tail}\n9,9,1,-1,0{tail}\n")
    result = read_marks(path)
    assert result.marks.camera.tolist() == ["plan"]
    assert result.marks.pixel.tolist() == [[100.0, 40.0]]
    assert result.points[0].xyz == (3.5, -7.0, 0.0)
    assert result.points[0].sigma == (1.0, 1.0, 0.2)
    assert result.report.skipped["not enabled"].first == (3,)


def test_qgis_in_degrees_lies_on_the_sites_ground(tmp_path):
    lat, lon, _ = degrees(12.0, -5.0, 1.5)
    crs = '#CRS: GEOGCRS["WGS 84",ENSEMBLE["World Geodetic System 1984 ensemble"],ID["EPSG",4326]]'
    path = written(tmp_path, "a.points", f"{crs}\nmapX,mapY,sourceX,sourceY,enable\n{lon!r},{lat!r},10.5,-20.5,1\n")
    result = read_marks(path, options=MarkOptions(camera="aerial", points=ON_SITE))
    assert result.points[0].xyz == pytest.approx((12.0, -5.0, 1.5), abs=1e-3)
    assert result.marks.camera.tolist() == ["aerial"]
    with pytest.raises(InputError, match="needs the site's datum"):
        read_points(path)


def test_opendronemaps_list_gives_marks_and_each_point_once(tmp_path):
    lat, lon, height = degrees(1.0, 2.0, 3.0)
    place = f"{lon!r} {lat!r} {height!r}"
    path = written(
        tmp_path, "gcp_list.txt",
        f"EPSG:4326\n{place} 10 20 stills/gate.jpg kerb\n{place} 30.5 40 hall.jpg kerb\n1 2 3\n",
    )  # fmt: skip
    result = read_marks(path, options=MarkOptions(points=ON_SITE))
    assert result.marks.camera.tolist() == ["gate", "hall"]
    assert result.marks.pixel.tolist() == [[10, 20], [30.5, 40]]
    (point,) = result.points
    assert point.name == "kerb"
    assert point.xyz == pytest.approx((1.0, 2.0, 3.0), abs=1e-6)
    assert result.report.skipped["fewer than 6 cells"].first == (4,)


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<image id="0" name="day1\\gate.jpg" width="640" height="480">
  <points label="kerb" source="manual" points="10.50,20.50"></points>
  <points label="point" points="30.5,40.5"><attribute name="name">lamp</attribute></points>
  <points label="two" points="1,2;3,4"></points>
  <box label="car" xtl="1" ytl="2" xbr="3" ybr="4"></box>
</image></annotations>"""


def test_cvat_and_labelme_count_from_the_corner(tmp_path):
    result = read_marks(written(tmp_path, "cvat.xml", CVAT))
    assert result.marks.camera.tolist() == ["gate", "gate"]
    assert result.marks.point.tolist() == ["kerb", "lamp"]
    assert result.marks.pixel.tolist() == [[10, 20], [30, 40]]
    assert result.report.skipped["not one single point"].first == (3,)
    shapes = [
        {"label": "kerb", "points": [[10.5, 20.5]], "shape_type": "point"},
        {"label": "car", "points": [[1, 2], [3, 4]], "shape_type": "rectangle"},
        {"label": "bad", "points": [["x", None]], "shape_type": "point"},
    ]
    document = {"version": "5.0.1", "shapes": shapes, "imagePath": "..\\stills\\hall.png"}
    result = read_marks(written(tmp_path, "hall.json", json.dumps(document)))
    assert (result.marks.camera.tolist(), result.marks.pixel.tolist()) == (["hall"], [[10, 20]])
    assert set(result.report.skipped) == {"a shape that is no point", "u or v is no finite number"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty; marks are CSV"),
        ("hello", "begins with 'hello'"),
        ("camera,point,u\ngate,a,1\n", "no column 'v'"),
        (CVAT[:200], "not XML"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><annotations/>', "declares entities"),
        ("<annotations><track id='0'/></annotations>", "CVAT for video"),
        ('{"shapes": 3}', "holds no list 'shapes'"),
        ('{"shapes": [', "JSON breaks"),
    ],
)
def test_files_that_are_no_marks_are_refused_by_name(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_marks(written(tmp_path, "file", text))


rows_of_points = st.tuples(names, numbers, numbers, numbers, st.floats(0, 10))


@given(st.lists(rows_of_points, unique_by=lambda row: row[0], max_size=9))
def test_control_points_come_back_exactly(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("points") / "points.csv"
    near = [ControlPoint(name, (x, y, z), (s, s / 2, s / 3)) for name, x, y, z, s in rows]
    write_points(path, near)
    found = read_points(path).points
    assert [(p.name, p.xyz, p.sigma) for p in found] == [(p.name, p.xyz, p.sigma) for p in near]


TABLES = {
    "surveyor": "name,lat,lon,h\nkerb,{lat},{lon},{height}\n",
    "Agisoft": "# WGS 84\n#Label,X/Longitude,Y/Latitude,Z/Altitude,Accuracy\nkerb,{lon},{lat},{height},0.05\n",
    "semicolons": "Name;Latitude;Longitude;Altitude\nkerb;{lat};{lon};{height}\n",
    "local": "label,x,y,z,sigma_xy,sigma_z\nkerb,10,-20,1.7,0.05,0.1\n",
    "Pix4D, no header": "kerb,10,-20,1.7,0.05,0.1\n",
    "grid": "point,Easting,Northing,Height\nkerb,10,-20,1.7\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_surveyors_give_the_same_point(tmp_path, kind):
    lat, lon, height = degrees(10.0, -20.0, 1.7)
    text = TABLES[kind].format(lat=repr(lat), lon=repr(lon), height=repr(height))
    (point,) = read_points(written(tmp_path, "gcp.csv", text), options=ON_SITE).points
    assert point.name == "kerb"
    assert point.xyz == pytest.approx((10.0, -20.0, 1.7), abs=1e-6)
    stated = "0.05" in text
    assert point.sigma[0] == (0.05 if stated else 0.02)


def test_swapped_and_far_coordinates_are_told_apart(tmp_path):
    lat, lon, _ = degrees(10.0, -20.0, 1.7)
    text = f"name,lat,lon\na,{lat},{lon}\nb,{lon},{lat}\nc,10,20\nd,95,200\na,{lat},{lon}\ne,,{lon}\n"
    result = read_points(written(tmp_path, "gcp.csv", text), options=ON_SITE)
    assert [point.name for point in result.points] == ["a"]
    assert {reason: item.first for reason, item in result.report.skipped.items()} == {
        "a coordinate is no finite number": (7,),
        "latitude and longitude are swapped": (3,),
        "farther than 50 km from the site's datum": (4, 5),
        "a name for the second time": (6,),
    }
    assert result.points[0].xyz[2] == pytest.approx(1.5, abs=1e-3)
    assert "taken to lie on the ground" in str(result.report)


def test_coordinates_of_a_grid_taken_for_metres_are_asked_about(tmp_path):
    result = read_points(written(tmp_path, "gcp.csv", "name,x,y,z\na,615000,5450000,240\n"), options=ON_SITE)
    assert "coordinates of a grid? give its crs" in str(result.report)


def test_a_national_grid_is_placed_by_the_datum(tmp_path):
    pyproj = pytest.importorskip("pyproj", reason="no pyproj; pip install 'geoloc[plans]'")
    lat, lon, height = degrees(10.0, -20.0, 1.7)
    x, y = pyproj.Transformer.from_crs(4326, 32633, always_xy=True).transform(lon, lat)
    path = written(tmp_path, "gcp_list.txt", f"WGS84 UTM 33N\n{x!r} {y!r} {height!r} 1 2 gate.jpg kerb\n")
    (point,) = read_points(path, options=ON_SITE).points
    assert point.xyz == pytest.approx((10.0, -20.0, 1.7), abs=1e-4)
    path = written(tmp_path, "gcp.csv", f"name,x,y,z\na,{x},{y},{height}\n")
    (point,) = read_points(path, options=PointOptions(site_map=SITE, crs="EPSG:32633")).points
    assert point.xyz == pytest.approx((10.0, -20.0, 1.7), abs=1e-4)
    with pytest.raises(InputError, match="unknown reference system"):
        read_points(path, options=PointOptions(site_map=SITE, crs="EPSG:1"))


def test_reference_systems_are_known_by_their_usual_names():
    assert named_crs("WGS84 UTM 32N") == "EPSG:32632"
    assert named_crs("WGS84 UTM 18S") == "EPSG:32718"
    assert named_crs("+proj=longlat +datum=WGS84") == "EPSG:4326"
    assert named_crs("") == ""


HEADS = {
    "xml": b"<annotations>",
    "json": b'{"shapes": [',
    "points": b"mapX,mapY,sourceX,sourceY\n",
    "csv": b"camera,point,u,v\n",
}


@given(st.sampled_from(["points", "txt", "xml", "json", "csv"]), st.binary(max_size=400))
def test_no_content_ends_in_anything_but_marks_or_a_refusal(tmp_path_factory, ending, content):
    path = tmp_path_factory.mktemp("fuzz") / f"file.{ending}"
    path.write_bytes(HEADS.get(ending, b"") + content)
    for read in (read_marks, read_points):
        try:
            said = str(read(path).report)
        except InputError as error:
            said = str(error)
        assert str(path) in said
