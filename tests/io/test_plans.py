"""Site plans, plan pictures and what else is known of a site."""

import json

import numpy as np
import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.geometry.geodesy import Datum, geodetic_from_enu
from geoloc.io.known import read_known, read_lines, write_lines
from geoloc.io.plans import read_plan
from geoloc.io.references import PointOptions
from geoloc.io.world_files import read_plan_image, read_world_file, world_file_of, write_world_file
from geoloc.scene.camera import Camera
from geoloc.scene.known import ImageLines
from geoloc.scene.lenses import RadialTangential
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.storage import save_cameras

SITE = SiteMap((Level("yard", (Surface((0.0, 0.0, 1.5)),)),), Datum(49.2, 16.6, 240.0))
ON_SITE = PointOptions(site_map=SITE)


def lonlat(*xy):
    lat, lon, _ = geodetic_from_enu(SITE.datum, np.array([*xy, 0.0]))
    return [float(lon), float(lat)]


def feature(kind, coordinates, **properties):
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def saved(folder, features, name="plan.geojson"):
    (folder / name).write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return folder / name


def test_a_geojson_plan_gives_points_and_walls(tmp_path):
    features = [
        feature("Point", lonlat(3, 4), name="kerb", sigma=0.05),
        feature("Point", lonlat(5, 6), name="kerb"),
        feature("Point", lonlat(5, 6)),
        feature("Point", [16.6, 60.0], name="far"),
        feature("LineString", [lonlat(0, 0), lonlat(10, 0)], layer="Wall outer"),
        feature("Polygon", [[lonlat(1, 1), lonlat(2, 1), lonlat(2, 2), lonlat(1, 1)]], layer="Pillars"),
        feature("LineString", [lonlat(0, 5), lonlat(10, 5)], layer="paint"),
        {"type": "Feature", "geometry": None, "properties": {}},
        "nothing",
    ]
    plan = read_plan(saved(tmp_path, features), ON_SITE)
    (point,) = plan.points
    assert point.xyz == pytest.approx((3.0, 4.0, 1.5), abs=1e-3)
    assert point.sigma == (0.05, 0.05, 0.05)
    assert {line.layer for line in plan.lines} == {"Wall outer", "Pillars", "paint"}
    wall, pillar = plan.occluders("yard")
    assert (wall.name, wall.geometry.length) == ("Wall outer 1", pytest.approx(10.0, abs=1e-3))
    assert pillar.geometry.area == pytest.approx(0.5, abs=1e-3)
    text = str(plan.report)
    for words in ("no name", "a name for the second time", "farther than 50 km", "2 features have no geometry"):
        assert words in text


def test_a_plan_in_metres_needs_no_datum(tmp_path):
    plan = read_plan(saved(tmp_path, [feature("Point", [3.0, 4.0, 0.2], name="kerb")]))
    assert plan.points[0].xyz == (3.0, 4.0, 0.2)


def test_swapped_coordinates_of_a_plan_are_told(tmp_path):
    plan = read_plan(saved(tmp_path, [feature("Point", lonlat(3, 4)[::-1], name="kerb")]), ON_SITE)
    assert "latitude and longitude are swapped" in plan.report.skipped


@pytest.mark.parametrize(("name", "text", "words"), [
    ("plan.geojson", "{}", "no GeoJSON FeatureCollection"),
    ("plan.geojson", "", "the file is empty"),
    ("plan.dwg", "", "unknown ending of a site plan"),
])  # fmt: skip
def test_files_that_are_no_plans_are_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_plan(tmp_path / name)


@pytest.fixture
def drawing():
    ezdxf = pytest.importorskip("ezdxf", reason="no ezdxf; pip install 'geoloc[plans]'")
    return ezdxf.new(setup=True)


def test_a_drawing_in_millimetres_gives_metres_names_and_walls(tmp_path, drawing):
    drawing.header["$INSUNITS"] = 4
    space = drawing.modelspace()
    space.add_point((3000, 4000, 0), dxfattribs={"layer": "survey"})
    space.add_text("K17", dxfattribs={"insert": (3200, 4100)})
    space.add_point((90000, 4000, 250), dxfattribs={"layer": "survey"})
    block = drawing.blocks.new("GCP")
    block.add_attdef("NAME", (0, 0))
    space.add_blockref("GCP", (5000, 6000)).add_auto_attribs({"NAME": "lamp"})
    space.add_line((0, 0), (10000, 0), dxfattribs={"layer": "A-WALL"})
    space.add_lwpolyline([(0, 0), (1000, 0), (1000, 1000)], close=True, dxfattribs={"layer": "pillars"})
    space.add_circle((5000, 5000), 400, dxfattribs={"layer": "pillars"})
    drawing.saveas(tmp_path / "plan.dxf")
    plan = read_plan(tmp_path / "plan.dxf", ON_SITE)
    found = {point.name: point.xyz for point in plan.points}
    assert found["K17"] == pytest.approx((3.0, 4.0, 1.5))  # z = 0 of a flat drawing is no height
    assert found["lamp"] == pytest.approx((5.0, 6.0, 1.5))
    (third,) = set(found) - {"K17", "lamp"}
    assert found[third] == pytest.approx((90.0, 4.0, 0.25))
    wall, square, disc = plan.occluders("yard", height=2.5)
    assert wall.geometry.length == pytest.approx(10.0)
    assert square.geometry.area == pytest.approx(0.5)
    assert disc.geometry.area == pytest.approx(np.pi * 0.16, rel=0.05)
    assert "its unit is 0.001 m" in str(plan.report)


def test_a_drawing_without_a_unit_asks_for_it(tmp_path, drawing):
    drawing.header["$INSUNITS"] = 0
    drawing.modelspace().add_point((300, 400, 0))
    drawing.saveas(tmp_path / "plan.dxf")
    with pytest.raises(InputError, match="does not say its unit; give unit_m"):
        read_plan(tmp_path / "plan.dxf")
    assert read_plan(tmp_path / "plan.dxf", PointOptions(unit_m=0.01)).points[0].xyz[:2] == pytest.approx((3.0, 4.0))


def test_a_broken_drawing_is_refused(tmp_path, drawing):
    (tmp_path / "plan.dxf").write_text("no drawing")
    with pytest.raises(InputError, match=r"plan\.dxf: "):
        read_plan(tmp_path / "plan.dxf")


def test_the_first_pixels_centre_is_where_a_world_file_says(tmp_path):
    affine = np.array([[0.05, 0.01, 12.0], [0.01, -0.05, 34.0]])
    write_world_file(tmp_path / "plan.pgw", affine)
    assert (tmp_path / "plan.pgw").read_text().splitlines() == ["0.05", "0.01", "0.01", "-0.05", "12.0", "34.0"]
    np.testing.assert_array_equal(read_world_file(tmp_path / "plan.pgw"), affine)
    plan = read_plan_image(tmp_path / "plan.png", (640, 480))
    np.testing.assert_allclose(plan.xy(np.array([[0.0, 0.0], [100.0, 0.0]])), [[12, 34], [17, 35]], atol=1e-9)
    np.testing.assert_allclose(plan.pixels(plan.xy(np.array([[7.0, 9.0]]))), [[7, 9]], atol=1e-9)


def test_a_world_file_in_degrees_is_placed_to_centimetres(tmp_path):
    (lon0, lat0), (lon1, _), (_, lat1) = lonlat(-50, 50), lonlat(50, 50), lonlat(-50, -50)
    affine = np.array([[(lon1 - lon0) / 1000, 0, lon0], [0, (lat1 - lat0) / 1000, lat0]])
    write_world_file(tmp_path / "aerial.jgw", affine)
    plan = read_plan_image(tmp_path / "aerial.jpg", (1001, 1001), ON_SITE)
    np.testing.assert_allclose(plan.xy(np.array([[0, 0], [1000, 1000]])), [[-50, 50], [50, -50]], atol=0.02)


@pytest.mark.parametrize("name", ["plan.pgw", "plan.pngw", "plan.wld", "plan.PGW"])
def test_world_files_go_by_many_names(tmp_path, name):
    (tmp_path / name).write_text("1\n0\n0\n-1\n0\n0\n")
    assert world_file_of(tmp_path / "plan.png").name == name


@pytest.mark.parametrize(("text", "words"), [
    ("1\n0\n0\n-1\n0\n", "holds 5 numbers"),
    ("1\n0\n0\n0\n0\n0\n", "pixels have no area"),
    ("1\n0\n0\nx\n0\n0\n", "line 4"),
    ("1\n0\n0\n-1\n615000\n5450000\n", "coordinates of a grid"),
])  # fmt: skip
def test_bad_world_files_are_named(tmp_path, text, words):
    (tmp_path / "plan.pgw").write_text(text)
    with pytest.raises(InputError, match=words):
        read_plan_image(tmp_path / "plan.png", (640, 480), ON_SITE)
    with pytest.raises(InputError, match="no world file beside it"):
        world_file_of(tmp_path / "other.png")


TOML = """
[lenses.dome]
model = "radial_tangential"
size = [1920, 1080]
params = { fx = 1100.0, fy = 1100.0, cx = 959.5, cy = 539.5, k1 = -0.3, k2 = 0.1, p1 = 0.0, p2 = 0.0 }
[cameras.gate]
height = 4.2
height_sigma = 0.1
lens = "dome"
[cameras.hall]
shared_lens = "bullet"
"""


def test_what_is_known_beside_marks_is_read(tmp_path):
    rows = "a,b,12.5,0.02\na,a,1,1\na,c,-3,1\nb,c,5,\n"
    (tmp_path / "distances.csv").write_text(f"point_a,point_b,distance,sigma\n{rows}")
    (tmp_path / "lines.csv").write_text(
        "camera,kind,group,u1,v1,u2,v2,sigma,bearing_deg\ngate,plumb,,10,20,11,200,,\ngate,parallel,kerb,0,0,50,5,2,30\n"
        "gate,parallel,,0,0,50,5,2,\ngate,slanted,,0,0,50,5,2,\ngate,horizon,,0,100,1,100,1,\n"
        "gate,plumb,,10,20,11,200,1,30\n"
    )
    (tmp_path / "cameras.toml").write_text(TOML)
    result = read_known(tmp_path)
    known = result.known
    assert (known.distances.distance.tolist(), known.distances.sigma.tolist()) == ([12.5], [0.02])
    assert known.lines.kind.tolist() == ["plumb", "parallel"]
    assert known.lines.sigma.tolist() == [1.0, 2.0]
    assert known.lines.bearing[1] == pytest.approx(np.radians(30))
    assert np.isnan(known.lines.bearing[0])
    assert known.camera("gate").height == 4.2
    assert known.lens("gate").lens.params[4] == -0.3
    assert known.camera("hall").shared_lens == "bullet"
    assert np.isnan(known.camera("elsewhere").height)
    assert known.lens("hall") is None
    assert [report.n_skipped for report in result.reports] == [3, 4]


def test_a_lens_is_taken_from_the_file_that_boards_gave(tmp_path):
    lens = RadialTangential(np.array([900.0, 905.0, 640.0, 360.0, -0.2, 0.05, 0.0, 0.0]))
    save_cameras((Camera("gate", lens, (1280, 720)),), tmp_path / "lenses" / "gate.json")
    (tmp_path / "cameras.toml").write_text('[lenses.g]\nfile = "lenses/gate.json"\n[cameras.gate]\nlens = "g"\n')
    found = read_known(tmp_path).known.lens("gate")
    assert (found.size, found.lens.params.tolist()) == ((1280, 720), lens.params.tolist())
    save_cameras((), tmp_path / "lenses" / "gate.json")
    with pytest.raises(InputError, match="holds 0 cameras"):
        read_known(tmp_path)


def test_a_folder_without_such_files_says_nothing(tmp_path):
    known = read_known(tmp_path).known
    assert (len(known.distances), len(known.lines), known.cameras) == (0, 0, ())


@pytest.mark.parametrize(("damage", "words"), [
    (lambda t: t.replace("height =", "hight ="), "'hight'.*did you mean 'height'"),
    (lambda t: t.replace('lens = "dome"', 'lens = "domes"'), "unknown lens 'domes'.*did you mean 'dome'"),
    (lambda t: t.replace("4.2", "-4.2"), "measured up from the ground"),
    (lambda t: t.replace("height_sigma = 0.1", "height_sigma = 0"), "positive sigma"),
    (lambda t: t.replace("k1 = -0.3, ", ""), "no 'k"),
    (lambda t: t.replace("[cameras.hall]", "[cameras.hall"), "not TOML"),
    (lambda t: t.replace('lens = "dome"', 'lens = "dome"\nshared_lens = "x"'), "needs no sharing"),
])  # fmt: skip
def test_mistakes_in_cameras_toml_are_named(tmp_path, damage, words):
    assert damage(TOML) != TOML
    (tmp_path / "cameras.toml").write_text(damage(TOML))
    with pytest.raises(InputError, match=words) as caught:
        read_known(tmp_path)
    assert "cameras.toml" in str(caught.value)


def test_unknown_levels_and_units_of_options_are_refused():
    with pytest.raises(UnknownNameError, match="yard"):
        PointOptions(site_map=SITE, level="jard")
    with pytest.raises(InputError, match="unit_m"):
        PointOptions(unit_m=-1.0)


def test_lines_come_back_exactly(tmp_path, rng):
    n = 20
    lines = ImageLines(
        camera=["gate", "a, b"] * 10, kind=["plumb", "parallel"] * 10, group=["", "set A"] * 10,
        start=rng.uniform(0, 500, (n, 2)), end=rng.uniform(600, 900, (n, 2)), sigma=rng.uniform(0.5, 4, n),
    )  # fmt: skip
    write_lines(tmp_path / "lines.csv", lines)
    back, report = read_lines(tmp_path / "lines.csv")
    assert report.n_skipped == 0
    assert back == lines
