"""Tables, recordings of robots, scenes and parking: each read back by a tool of its own ecosystem."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from export_samples import TRACKS, lot

from geoloc.errors import InputError
from geoloc.geometry.gaussian import worst_sigma
from geoloc.geometry.geodesy import enu_from_geodetic
from geoloc.io.tracks import export
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

SITE = lot()
DATUM = SITE.site_map.require_datum("the sample")
XYZ = np.column_stack([TRACKS.xy, TRACKS.z])
SCHEMAS = Path(__file__).parent / "schemas"


@pytest.mark.parametrize("ending", ["gpkg", "parquet"])
def test_geopandas_reads_every_state_with_both_covariances(tmp_path: Path, ending: str) -> None:
    geopandas = pytest.importorskip("geopandas")
    path = tmp_path / f"a.{ending}"
    if ending == "gpkg":
        pytest.importorskip("pyogrio")
    else:
        pytest.importorskip("pyarrow")
    export(path, SITE, TRACKS)
    found = geopandas.read_file(path, layer="states") if ending == "gpkg" else geopandas.read_parquet(path)
    assert found.crs.to_epsg() == 4326 or found.crs.to_string() == "OGC:CRS84"
    lon, lat, height = found.get_coordinates(include_z=True).to_numpy().T
    np.testing.assert_allclose(enu_from_geodetic(DATUM, lat, lon, height), XYZ, atol=1e-6)
    assert found["level"].tolist() == TRACKS.level.tolist()
    assert found["label"].tolist() == TRACKS.label.tolist()
    np.testing.assert_array_equal(found[["cov_x_x", "cov_x_y", "cov_y_y"]], TRACKS.cov[:, [0, 0, 1], [0, 1, 1]])
    np.testing.assert_array_equal(found[["bias_x_x", "bias_x_y", "bias_y_y"]], TRACKS.bias_cov[:, [0, 0, 1], [0, 1, 1]])


def test_a_geopackage_holds_lines_cameras_and_stalls(tmp_path: Path) -> None:
    geopandas, pyogrio = pytest.importorskip("geopandas"), pytest.importorskip("pyogrio")
    export(tmp_path / "a.gpkg", SITE, TRACKS)
    layers = dict(pyogrio.list_layers(tmp_path / "a.gpkg").tolist())
    assert layers == {
        "states": "Point Z", "tracks": "LineString Z", "cameras": "Point Z", "stalls": "Polygon Z",
    }  # fmt: skip
    (line,) = geopandas.read_file(tmp_path / "a.gpkg", layer="tracks").itertuples()  # one state has no line
    assert (line.track, line.levels, line.n_states) == (1, "ground, deck", 3)
    cameras = geopandas.read_file(tmp_path / "a.gpkg", layer="cameras")
    lon, lat, height = cameras.get_coordinates(include_z=True).to_numpy().T
    centres = [camera.centre_world for camera in SITE.cameras]
    np.testing.assert_allclose(enu_from_geodetic(DATUM, lat, lon, height), centres, atol=1e-6)
    assert geopandas.read_file(tmp_path / "a.gpkg", layer="stalls")["name"].tolist() == ["A 1", "A 2", "A 3"]
    bounds = pyogrio.read_info(tmp_path / "a.gpkg", layer="states")["total_bounds"]
    np.testing.assert_allclose(bounds[:2], [lon.min(), lat.min()], atol=0.01)


def test_geoparquets_metadata_are_what_the_form_demands(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export(tmp_path / "a.parquet", SITE, TRACKS)
    geo = json.loads(parquet.read_schema(tmp_path / "a.parquet").metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    assert geo["columns"]["geometry"] == {"encoding": "WKB", "geometry_types": ["Point Z"]}


def test_mcap_holds_fixes_frames_and_calibrations(tmp_path: Path) -> None:
    pytest.importorskip("mcap_protobuf")
    from mcap.reader import make_reader
    from mcap_protobuf.decoder import DecoderFactory

    export(tmp_path / "a.mcap", SITE, TRACKS)
    with open(tmp_path / "a.mcap", "rb") as file:
        messages = [
            (channel.topic, schema.name, message.log_time, decoded)
            for schema, channel, message, decoded in make_reader(
                file, decoder_factories=[DecoderFactory()]
            ).iter_decoded_messages()
        ]
    fixes = [one for one in messages if one[1] == "foxglove.LocationFix" and one[0] == "/tracks/1/fix"]
    assert [one[2] for one in fixes] == [round(float(time) * 1e9) for time in TRACKS.time[:3]]
    last = fixes[-1][3]
    at = enu_from_geodetic(DATUM, np.array(last.latitude), np.array(last.longitude), np.array(last.altitude))
    np.testing.assert_allclose(at, XYZ[2], atol=1e-6)
    cov = np.reshape(last.position_covariance, (3, 3))
    np.testing.assert_allclose(cov[:2, :2], TRACKS.position_cov[2])
    assert (cov[2, 2], last.position_covariance_type) == (pytest.approx(0.05**2), 3)
    assert {item.key: item.value for item in last.metadata}["level"] == "deck"
    frames = {one[3].child_frame_id: one[3] for one in messages if one[1] == "foxglove.FrameTransform"}
    gate, place = SITE.camera("gate"), frames["camera/gate"].translation
    np.testing.assert_allclose([place.x, place.y, place.z], gate.centre_world, atol=1e-9)
    (lens,) = [one[3] for one in messages if one[0] == "/cameras/gate/calibration"]
    np.testing.assert_array_equal(lens.D, [*gate.lens.params[4:], 0.0])
    assert (lens.K[0], lens.K[5], lens.distortion_model) == (800.0, 359.5, "plumb_bob")


def test_rerun_reads_its_recording(tmp_path: Path) -> None:
    """The viewer's own tool verifies every chunk and prints what is in it."""
    pytest.importorskip("rerun")
    export(tmp_path / "a.rrd", SITE, TRACKS)
    tool = [str(Path(sys.executable).with_name("rerun")), "rrd"]
    subprocess.run([*tool, "verify", str(tmp_path / "a.rrd")], check=True, capture_output=True)
    told = subprocess.run([*tool, "print", "-vvv", str(tmp_path / "a.rrd")], check=True, capture_output=True, text=True)
    for word in ("/site/tracks/1", "/site/cameras/gate", "Ellipsoids3D:half_sizes", "Pinhole", "deck", "sigma_m"):
        assert word in told.stdout, word


def test_trimesh_reads_the_scene_by_its_names(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    marks = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    export(tmp_path / "a.glb", SITE, TRACKS, landmarks=marks)
    scene = trimesh.load(tmp_path / "a.glb")
    assert set(scene.geometry) == {"ground", "deck", "A 1", "A 2", "A 3", "gate", "hall", "landmarks", "track 1"}

    def enu(name: str) -> np.ndarray:
        turn, shape = scene.graph[name]
        x, y, z = trimesh.transform_points(scene.geometry[shape].vertices, turn).T
        return np.column_stack([x, -z, y])  # the form's y is up

    np.testing.assert_allclose(np.unique(enu("landmarks"), axis=0), marks, atol=1e-5)
    np.testing.assert_allclose(enu("gate")[0], SITE.camera("gate").centre_world, atol=1e-5)
    deck = enu("deck")
    np.testing.assert_allclose(deck[:, 2], 3.0 + 0.1 * deck[:, 1], atol=1e-4)
    assert scene.geometry["deck"].area == pytest.approx(40 * 30 * np.sqrt(1.01), rel=1e-5)


def test_open3d_reads_the_ply(tmp_path: Path) -> None:
    open3d = pytest.importorskip("open3d")
    export(tmp_path / "a.ply", SITE, TRACKS, landmarks=np.array([[1.0, 2.0, 30.0]]))
    mesh = open3d.io.read_triangle_mesh(str(tmp_path / "a.ply"))
    points = np.asarray(open3d.io.read_point_cloud(str(tmp_path / "a.ply")).points)
    assert len(mesh.triangles) == 2 + 2 + 3 * 2
    assert np.asarray(mesh.triangle_normals if mesh.has_triangle_normals() else mesh.triangles).shape[1] == 3
    assert points[:, 2].max() == 30.0
    for place in (SITE.camera("hall").centre_world, XYZ[1]):
        assert np.linalg.norm(points - place, axis=1).min() < 1e-9


@pytest.mark.parametrize(("ending", "schema"), [("apds", "apds_element"), ("jsonld", "parking_spot")])
def test_parking_holds_to_what_its_models_demand(tmp_path: Path, ending: str, schema: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    export(tmp_path / f"a.{ending}", SITE, TRACKS)
    found = json.loads((tmp_path / f"a.{ending}").read_text())
    validator = jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text()))
    validator.validate(found)
    del found[0]["type"]
    assert not validator.is_valid(found)


def test_a_stall_is_taken_by_the_car_that_stands_in_it(tmp_path: Path) -> None:
    """And one that no camera sees is unknown, not free."""
    export(tmp_path / "a.jsonld", SITE, TRACKS)
    export(tmp_path / "blind.jsonld", Site("lot", (), SITE.site_map), Tracks())
    export(tmp_path / "a.apds", SITE, TRACKS)
    first, second, _ = json.loads((tmp_path / "a.jsonld").read_text())
    assert (first["status"]["value"], first["status"]["track"]["value"]) == ("occupied", 5)
    assert first["status"]["accuracy"]["value"] == pytest.approx(worst_sigma(TRACKS.position_cov)[3], abs=1e-4)
    assert second["status"]["value"] in ("free", "unknown")
    blind = json.loads((tmp_path / "blind.jsonld").read_text())
    assert {one["status"]["value"] for one in blind} == {"unknown"}
    place, ground = json.loads((tmp_path / "a.apds").read_text())
    for one in (place, ground):
        (demand,) = one["hierarchyElementReference"]["demandTable"][0]["demandType"]
        assert (demand["count"], demand["percentage"]) == (1, 33.33)


def test_a_car_that_left_does_not_hold_its_stall(tmp_path: Path) -> None:
    tracks = TRACKS.replace(time=TRACKS.time - np.array([0.0, 0.0, 0.0, 60.0]))
    export(tmp_path / "a.jsonld", SITE, tracks)
    assert json.loads((tmp_path / "a.jsonld").read_text())[0]["status"]["value"] != "occupied"


def test_a_map_without_stalls_has_no_occupancy(tmp_path: Path) -> None:
    from dataclasses import replace

    site = replace(SITE, site_map=replace(SITE.site_map, stalls=()))
    with pytest.raises(InputError, match="its map has no stalls"):
        export(tmp_path / "a.apds", site, TRACKS)
