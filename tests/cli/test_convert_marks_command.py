"""`geoloc convert marks` and `geoloc convert points`: other tools' work comes in, and nothing there is lost."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_samples import Done, yard
from PIL import Image

from geoloc.cli.convert_marks import MARK_KINDS, POINT_KINDS
from geoloc.geometry.geodesy import geodetic_from_enu
from geoloc.io import marks as mark_io
from geoloc.io import points as point_io
from geoloc.io.marks import read_marks
from geoloc.io.points import read_points
from geoloc.scene.map_storage import load_map

Call = Callable[..., Done]


def shape(label: str, u: float, v: float) -> dict:
    return {"label": label, "shape_type": "point", "points": [[u, v]]}


def cvat(*points: tuple[str, float, float]) -> str:
    shapes = "".join(f'<points label="{label}" points="{u},{v}"/>' for label, u, v in points)
    return f'<annotations><image id="0" name="gate.jpg">{shapes}</image></annotations>'


FILES = {
    "csv": "camera,point,u,v\ngate,a,9.5,19.5\n",
    "qgis": "mapX,mapY,sourceX,sourceY,enable\n3,4,10,-20,1\n",
    "gcp_list": "LOCAL\n3 4 0.5 9.5 19.5 gate.jpg a\n",
    "cvat": cvat(("a", 10, 20)),
    "labelme": json.dumps({"imagePath": "gate.jpg", "shapes": [shape("a", 10, 20)]}),
}


def test_help_names_every_form() -> None:
    assert set(MARK_KINDS.split(", ")) == mark_io.FORMS.keys() == FILES.keys()
    assert set(POINT_KINDS.split(", ")) == point_io.FORMS.keys()


@pytest.mark.parametrize("kind", FILES)
def test_marks_of_every_form_become_the_same_marks(call: Call, tmp_path: Path, kind: str) -> None:
    (tmp_path / "gate.jpg").write_text(FILES[kind])
    done = call("convert", "marks", tmp_path / "gate.jpg", "-o", tmp_path / "marks.csv", "--json")
    assert done.code == 0, done.err
    assert (done.json["marks"], done.json["cameras"]) == (1, "gate")
    marks = read_marks(tmp_path / "marks.csv").marks
    np.testing.assert_allclose(marks.pixel, [[9.5, 19.5]])
    assert marks.point.tolist() == ["1" if kind == "qgis" else "a"]
    assert ("left out" in done.json) == (kind in mark_io.WITH_POINTS)


def test_marks_outside_their_still_are_told_with_their_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "stills").mkdir()
    Image.new("RGB", (640, 360)).save(tmp_path / "stills" / "gate.png")
    (tmp_path / "in.csv").write_text("camera,point,u,v\ngate,a,1,2\ngate,b,700,2\n")
    words = ("convert", "marks", tmp_path / "in.csv", "-o", tmp_path / "marks.csv", "--stills", tmp_path / "stills")
    done = call(*words, "--json")
    assert done.json["skipped"] == "1 x outside its still (in.csv, line 3)"
    assert read_marks(tmp_path / "marks.csv").marks.point.tolist() == ["a"]


def test_marks_that_are_there_are_neither_written_over_nor_doubled(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "marks.csv"
    out.write_text("camera,point,u,v,sigma\ngate,old,1.0,2.0,3.0\n")
    (tmp_path / "in.csv").write_text(FILES["csv"])
    done = call("convert", "marks", tmp_path / "in.csv", "-o", out)
    assert done.code == 2
    assert "is there already; --add keeps what it holds" in done.err
    assert call("convert", "marks", tmp_path / "in.csv", "-o", out, "--add").code == 0
    assert read_marks(out).marks.point.tolist() == ["old", "a"]
    assert read_marks(out).marks.sigma.tolist() == [3.0, 1.0]
    before = out.read_bytes()
    done = call("convert", "marks", tmp_path / "in.csv", "-o", out, "--add")
    assert "point 'a' is marked twice in camera 'gate'" in done.err
    assert out.read_bytes() == before


def test_two_georeferenced_stills_keep_their_points_apart(call: Call, tmp_path: Path) -> None:
    for camera, x in (("gate", 3), ("hall", 8)):
        (tmp_path / f"{camera}.points").write_text(f"mapX,mapY,sourceX,sourceY,enable\n{x},4,10,-20,1\n")
    files = (tmp_path / "gate.points", tmp_path / "hall.points")
    outs = ("-o", tmp_path / "marks.csv", "--points", tmp_path / "points.csv")
    done = call("convert", "marks", *files, *outs, "--json")
    assert done.json["points"] == 2
    assert read_marks(tmp_path / "marks.csv").marks.point.tolist() == ["gate 1", "hall 1"]
    points = read_points(tmp_path / "points.csv").points
    assert {point.name: point.xyz[:2] for point in points} == {"gate 1": (3.0, 4.0), "hall 1": (8.0, 4.0)}
    assert "states no sigma: 1 m across" in done.json["notes"]


def test_a_survey_in_degrees_goes_onto_the_map_and_the_map_stays(call: Call, root: Path) -> None:
    place = root / "sitemaps" / "yard.geojson"
    lat, lon, height = (float(value) for value in geodetic_from_enu(yard().site_map.datum, np.array([5.0, 6.0, 0.5])))
    (root / "survey.csv").write_text(f"name,lat,lon,height,accuracy\nS1,{lat!r},{lon!r},{height!r},0.03\n")
    done = call("convert", "points", root / "survey.csv", "-o", place, "--json")
    assert done.code == 0, done.err
    before, after = yard().site_map, load_map(place)
    (point,) = after.control_points
    np.testing.assert_allclose(point.xyz, [5.0, 6.0, 0.5], atol=1e-6)
    assert point.sigma == (0.03, 0.03, 0.02)
    assert [level.name for level in after.levels] == [level.name for level in before.levels]
    assert call("convert", "points", root / "survey.csv", "-o", place).code == 0  # again: the same point, once
    assert len(load_map(place).control_points) == 1
    (root / "survey.csv").write_text("name,x,y,z\nS1,9,9,0\n")
    done = call("convert", "points", root / "survey.csv", "-o", place)
    assert done.code == 2
    assert "'S1' is at two places (5.00, 6.00, 0.50 and 9.00, 9.00, 0.00 m)" in done.err


def test_feet_and_points_without_a_height(call: Call, root: Path) -> None:
    (root / "feet.csv").write_text("name,x,y\nA,10,20\n")
    out = root / "points.csv"
    words = ("convert", "points", root / "feet.csv", "-o", out, "--metres", "0.3048", "--site", "yard", "--root", root)
    done = call(*words, "--sigma-xy", "0.1", "--json")
    (point,) = read_points(out).points
    assert point.xyz == pytest.approx((3.048, 6.096, 0.0))
    assert point.sigma == (0.1, 0.1, 0.02)
    assert "1 points have no height" in done.json["notes"]


@pytest.mark.parametrize(
    ("what", "text", "words", "said"),
    [
        ("points", "name,lat,lon\nA,48,11\n", (), "--site"),
        ("points", "name,x\nA,1\n", (), "no columns x and y, nor lat and lon"),
        ("points", "name,x,y\nA,no,1\n", (), "no control points that can be used (1 x a coordinate is no finite"),
        ("points", "name,x,y\nA,1,2\n", ("-o", "points.txt"), "unknown ending '.txt'"),
        ("points", "name,x,y\nA,1,2\n", ("-o", "none.geojson"), "none.geojson"),
        ("points", "name,x,y\nA,1,2\n", ("--kind", "qgs"), "did you mean 'qgis'?"),
        ("marks", "", (), "is empty"),
        ("marks", "camera,point,u,v\n", (), "no marks that can be used (there are no rows)"),
        ("marks", "point,u,v\na,1,2\n", (), "no column 'camera'"),
        ("marks", "camera,point,u,v\ngate,a,1,2\n", ("--sigma", "0"), "sigma of marks is 0.0 px"),
        ("marks", "camera,point,u,v\ngate,a,1,2\n", ("--site", "yart"), "did you mean 'yard'?"),
    ],
)
def test_what_cannot_be_converted_is_said_in_one_line(
    call: Call, root: Path, what: str, text: str, words: tuple[str, ...], said: str
) -> None:
    (root / "in.csv").write_text(text)
    out = root / f"{what}.csv"
    more = [str(root / word) if "." in word else word for word in words]
    done = call("convert", what, root / "in.csv", "-o", out, "--root", root, *more)
    assert done.code == 2, done.out
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not out.exists()
