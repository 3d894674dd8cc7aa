"""Each form of tracks, read back by a tool of its own ecosystem: the places, times, levels and sigmas are there."""

import json
import math
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_samples import NEEDS, OPTIONS, TRACKS, lot

from geoloc.errors import InputError
from geoloc.geometry.gaussian import worst_sigma
from geoloc.geometry.geodesy import enu_from_geodetic
from geoloc.io.tracks import WRITERS, export, read_tracks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks

SITE = lot()
DATUM = SITE.site_map.require_datum("the sample")
SIGMA = worst_sigma(TRACKS.position_cov)


def assert_places(lon: np.ndarray, lat: np.ndarray, height: np.ndarray, rows: slice | np.ndarray) -> None:
    """Ellipsoidal heights; within 2 mm, of 8 digits of a degree."""
    enu = enu_from_geodetic(DATUM, np.asarray(lat), np.asarray(lon), np.asarray(height))
    np.testing.assert_allclose(enu[:, :2], TRACKS.xy[rows], atol=2e-3)
    np.testing.assert_allclose(enu[:, 2], TRACKS.z[rows], atol=2e-3)


def test_movingpandas_reads_moving_features(tmp_path: Path) -> None:
    movingpandas = pytest.importorskip("movingpandas")
    export(tmp_path / "a.mfjson", SITE, TRACKS, options=replace(OPTIONS, track=1))  # it takes no track of one state
    (found,) = movingpandas.read_mf_json(str(tmp_path / "a.mfjson"), "track").trajectories
    walk = found.df
    assert_places(walk.geometry.x, walk.geometry.y, DATUM.height + walk["z_m"], slice(0, 3))
    assert walk["level"].tolist() == ["ground", "ground", "deck"]
    np.testing.assert_allclose(walk["sigma_m"].astype(float), SIGMA[:3], atol=1e-4)
    assert walk.index[0].isoformat() == "2023-11-14T22:13:20"


def test_moving_features_are_of_the_standards_shape(tmp_path: Path) -> None:
    """The members and the words that 19-045r3 demands of a collection, its geometry and its properties."""
    jsonschema = pytest.importorskip("jsonschema")
    export(tmp_path / "a.mfjson", SITE, TRACKS)
    schema = json.loads((Path(__file__).parent / "schemas" / "mfjson_prism.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads((tmp_path / "a.mfjson").read_text()))
    cut = (tmp_path / "a.mfjson").read_text().replace('"MovingPoint"', '"Point"')
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(json.loads(cut))


@pytest.mark.parametrize("ending", ["kml", "kmz"])
def test_kml_holds_to_its_schema_and_fastkml_reads_it(tmp_path: Path, ending: str) -> None:
    fastkml = pytest.importorskip("fastkml")
    pytest.importorskip("lxml")
    from fastkml.gx import Track
    from fastkml.utils import find_all
    from fastkml.validator import validate

    export(tmp_path / f"a.{ending}", SITE, TRACKS)
    text = (tmp_path / f"a.{ending}").read_bytes()
    if ending == "kmz":
        text = zipfile.ZipFile(tmp_path / "a.kmz").read("doc.kml")
    (tmp_path / "doc.kml").write_bytes(text)
    assert validate(file_to_validate=tmp_path / "doc.kml")
    document = fastkml.KML.parse(tmp_path / "doc.kml")
    walk, still = find_all(document, of_type=Track)
    lon, lat, up = np.array([item.coord.coords[0] for item in walk.track_items]).T
    assert_places(lon, lat, up + DATUM.height, slice(0, 3))
    assert len(still.track_items) == 1
    assert [item.when.dt.timestamp() for item in walk.track_items] == pytest.approx(TRACKS.time[:3])
    assert b"<gx:value>deck</gx:value>" in text
    assert f"<gx:value>{SIGMA[0]:.4f}</gx:value>".encode() in text


def test_evo_reads_a_track_as_tum(tmp_path: Path) -> None:
    pytest.importorskip("evo")
    from evo.tools import file_interface

    export(tmp_path / "a.tum", SITE, TRACKS, options=replace(OPTIONS, track=1))
    path = file_interface.read_tum_trajectory_file(str(tmp_path / "a.tum"))
    np.testing.assert_array_equal(path.timestamps, TRACKS.time[:3])
    np.testing.assert_allclose(path.positions_xyz, np.column_stack([TRACKS.xy, TRACKS.z])[:3], atol=1e-9)
    yaw = 2 * math.atan2(path.orientations_quat_wxyz[0, 3], path.orientations_quat_wxyz[0, 0])
    assert yaw == pytest.approx(math.atan2(4.0, 3.0))


def test_tum_of_several_tracks_is_refused_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tracks 1 and 5: choose one .*--track"):
        export(tmp_path / "a.tum", SITE, TRACKS)
    with pytest.raises(InputError, match="no track 77"):
        export(tmp_path / "a.tum", SITE, TRACKS, options=replace(OPTIONS, track=77))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_a_recording_read_piece_by_piece_gives_the_same_file(tmp_path: Path, kind: str, monkeypatch) -> None:
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind])
    tracks = TRACKS.take(np.arange(3)) if kind == "tum" else TRACKS
    export(tmp_path / "run.csv", SITE, tracks)
    monkeypatch.setattr("geoloc.io.track_csv.PIECE_ROWS", 1)
    said = export(tmp_path / "a", SITE, tmp_path / "run.csv", kind, OPTIONS)
    export(tmp_path / "b", SITE, read_tracks(tmp_path / "run.csv"), kind, OPTIONS)
    assert WRITERS[kind].lost in str(said)
    if kind not in ("gpkg", "parquet", "rrd"):  # those keep how the file was made: pages, row groups, chunks
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_of_a_track_that_lie_apart_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("geoloc.io.track_csv.PIECE_ROWS", 1)
    export(tmp_path / "run.csv", SITE, TRACKS)
    head, *rows = (tmp_path / "run.csv").read_text().splitlines()
    (tmp_path / "run.csv").write_text("\n".join([head, rows[0], rows[3], rows[1], rows[2]]) + "\n")
    with pytest.raises(InputError, match="rows of track 1 lie apart; sort it by track and time"):
        export(tmp_path / "a.geojson", SITE, tmp_path / "run.csv")
    assert not (tmp_path / "a.geojson").exists()


@pytest.mark.parametrize("kind", sorted(kind for kind, form in WRITERS.items() if form.on_earth))
def test_a_map_without_a_datum_refuses_what_lies_on_earth(tmp_path: Path, kind: str) -> None:
    site = Site("lot", (), SiteMap(SITE.site_map.levels))
    with pytest.raises(InputError, match="datum; add latitude, longitude and height"):
        export(tmp_path / "a", site, TRACKS, kind)
    assert list(tmp_path.iterdir()) == []


def test_every_ending_names_one_format() -> None:
    endings = [ending for form in WRITERS.values() for ending in form.endings]
    assert len(endings) == len(set(endings))


@pytest.mark.parametrize("kind", ["geojson", "mfjson", "kml", "csv"])
def test_a_longer_recording_takes_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Pieces of 200 states: five times the recording is written within 1.2 times the memory."""
    monkeypatch.setattr("geoloc.io.track_csv.PIECE_ROWS", 200)
    n = 20
    where = {"level": ["ground"] * n, "xy": np.zeros((n, 2)), "velocity": np.zeros((n, 2)), "label": ["car"] * n}
    where |= {"cov": np.zeros((n, 4, 4)), "bias_cov": np.zeros((n, 2, 2))}
    export(tmp_path / "one.csv", SITE, Tracks(time=1.7e9 + np.arange(n), track=np.zeros(n, int), **where))
    head, *rows = (tmp_path / "one.csv").read_text().splitlines(keepends=True)
    peaks = []
    for n_tracks in (15, 30, 150):  # the first warms up
        (tmp_path / "run.csv").write_text(head + "".join(f"{i}{row[1:]}" for i in range(n_tracks) for row in rows))
        tracemalloc.start()
        export(tmp_path / "a", SITE, tmp_path / "run.csv", kind)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1]
