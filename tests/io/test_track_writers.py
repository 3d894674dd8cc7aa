"""Tracks out in every format, whole or not at all; and our own CSV back, bit by bit."""

import json
import os

import numpy as np
import pytest
import shapely.geometry
from export_samples import NEEDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoloc.errors import InputError, UnknownNameError
from geoloc.files import write_whole
from geoloc.geometry.geodesy import Datum, enu_from_geodetic
from geoloc.io.tracks import WRITERS, WriteOptions, read_tracks, write_tracks
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Tracks

LEVELS = (Level("ground", (Surface(),)), Level("deck", (Surface((0.0, 0.1, 3.0)),)))
STALL = Place("A 1", "ground", shapely.geometry.box(-102.0, -155.0, -98.0, -145.0), "stall")
SITE_MAP = SiteMap(LEVELS, datum=Datum(39.05, -85.53, 205.0), stalls=(STALL,))
OPTIONS = WriteOptions(fps=10.0, start=1.7e9)


def some_tracks() -> Tracks:
    """Two tracks of three and one states; the first walks north-east and up to the deck."""
    n = 4
    cov = np.tile(np.diag([0.04, 0.01, 0.1, 0.1]), (n, 1, 1))
    bias = np.tile(np.array([[0.05, 0.02], [0.02, 0.08]]), (n, 1, 1))
    return Tracks(
        time=1.7e9 + np.array([0.2, 0.0, 0.1, 0.1]),
        track=[1, 1, 1, 5],
        object=[12, 10, -1, 11],
        level=["deck", "ground", "ground", "ground"],
        xy=[[30.0, 40.0], [10.0, 20.0], [20.0, 30.0], [-100.0, -150.0]],
        velocity=[[3.0, 4.0]] * n,
        cov=cov,
        bias_cov=bias,
        label=['car, "red"', "car", "car", "Fußgänger"],
        score=[0.9, 0.8, 0.7, 0.5],
        state=["confirmed", "confirmed", "coasting", "tentative"],
    )


@pytest.fixture(params=sorted(WRITERS))
def kind(request):
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param])
    return request.param


def features(path, kind):
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["type"] == "FeatureCollection"
    return [item for item in found["features"] if item["properties"]["feature"] == kind]


def test_every_writer_takes_tracks_and_none(tmp_path, kind):
    for tracks in (some_tracks().take(np.arange(3)), Tracks()):
        path = tmp_path / "sub" / f"tracks.{kind}"
        write_tracks(path, tracks, SITE_MAP, kind, OPTIONS)
        assert path.is_file()
        assert [item.name for item in path.parent.iterdir()] == [path.name]  # nothing temporary is left
        path.unlink()


def test_the_order_of_rows_changes_nothing(tmp_path, kind, rng):
    tracks = some_tracks().take(np.arange(3 if kind == "tum" else 4))
    if kind in ("gpkg", "rrd"):
        pytest.skip("says when it was made")
    write_tracks(tmp_path / "a", tracks, SITE_MAP, kind, OPTIONS)
    write_tracks(tmp_path / "b", tracks.take(rng.permutation(len(tracks))), SITE_MAP, kind, OPTIONS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_state_that_is_not_finite_is_refused_by_name(tmp_path, kind):
    tracks = some_tracks()
    for changed in (
        tracks.replace(xy=np.where(np.arange(4)[:, None] == 3, np.nan, tracks.xy)),
        tracks.replace(time=np.where(np.arange(4) == 3, np.inf, tracks.time)),
        tracks.replace(bias_cov=np.where((np.arange(4) == 3)[:, None, None], np.nan, tracks.bias_cov)),
    ):
        with pytest.raises(InputError, match=r"track 5 at .* not\s+finite"):
            write_tracks(tmp_path / "a", changed, SITE_MAP, kind, OPTIONS)
    assert not (tmp_path / "a").exists()


def test_a_covariance_that_is_none_is_refused_by_name(tmp_path):
    tracks = some_tracks()
    with pytest.raises(InputError, match=r"track 1 at .* covariance is none"):
        write_tracks(tmp_path / "a.csv", tracks.replace(bias_cov=tracks.bias_cov - np.eye(2)), SITE_MAP)


def test_times_in_milliseconds_are_refused(tmp_path):
    tracks = some_tracks()
    with pytest.raises(InputError, match="milliseconds"):
        write_tracks(tmp_path / "a.csv", tracks.replace(time=tracks.time * 1000), SITE_MAP)


def test_geojson_without_a_datum_refuses_with_the_next_step(tmp_path):
    with pytest.raises(InputError, match="datum; add latitude, longitude and height"):
        write_tracks(tmp_path / "a.geojson", some_tracks(), SiteMap(LEVELS))
    assert list(tmp_path.iterdir()) == []


def test_geojson_points_lie_where_the_tracks_are(tmp_path):
    """Longitude first; back on the tangent plane within 2 mm (8 digits of a degree)."""
    tracks = some_tracks()
    write_tracks(tmp_path / "a.geojson", tracks, SITE_MAP)
    points = features(tmp_path / "a.geojson", "state")
    lon, lat = np.array([item["geometry"]["coordinates"] for item in points]).T
    z = np.array([item["properties"]["z_m"] for item in points])
    back = enu_from_geodetic(SITE_MAP.datum, lat, lon, 205.0 + z)
    order = np.lexsort((tracks.time, tracks.track))
    np.testing.assert_allclose(back[:, :2], tracks.xy[order], atol=2e-3)
    assert z.tolist() == [0.0, 0.0, 7.0, 0.0]


def test_geojson_lines_join_the_states_of_a_track_in_time(tmp_path):
    write_tracks(tmp_path / "a.geojson", some_tracks(), SITE_MAP)
    (line,) = features(tmp_path / "a.geojson", "track")  # a track of one state has none
    points = features(tmp_path / "a.geojson", "state")
    assert line["geometry"]["coordinates"] == [item["geometry"]["coordinates"] for item in points[:3]]
    assert shapely.geometry.shape(line["geometry"]).is_valid
    assert line["properties"]["n_states"] == 3
    assert line["properties"]["levels"] == "ground, deck"
    assert line["properties"]["time_first_utc"] == "2023-11-14T22:13:20.000Z"


def test_geojson_ellipse_and_heading_follow_the_compass(tmp_path):
    """A covariance that is long towards north-east, a walk towards north-east by 3-4-5."""
    tracks = some_tracks().take(np.array([1]))
    cov = np.zeros((1, 4, 4))
    cov[:, :2, :2] = [[0.5, 0.4], [0.4, 0.5]]
    tracks = tracks.replace(cov=cov, bias_cov=np.full((1, 2, 2), 0.0))
    write_tracks(tmp_path / "a.geojson", tracks, SITE_MAP, options=WriteOptions(probability=0.5))
    (point,) = features(tmp_path / "a.geojson", "state")
    found = point["properties"]
    scale = np.sqrt(-2 * np.log(0.5))
    assert found["sigma_m"] == pytest.approx(np.sqrt(0.9), abs=1e-4)
    assert found["ellipse_major_m"] == pytest.approx(scale * np.sqrt(0.9), abs=1e-4)
    assert found["ellipse_minor_m"] == pytest.approx(scale * np.sqrt(0.1), abs=1e-4)
    assert found["ellipse_azimuth_deg"] == pytest.approx(45.0)
    assert found["ellipse_probability"] == 0.5
    assert found["speed_mps"] == pytest.approx(5.0)
    assert found["heading_deg"] == pytest.approx(np.degrees(np.arctan2(3, 4)), abs=1e-3)


def test_reported_sigma_holds_the_bias(tmp_path):
    """A parked car's noise falls to nothing; its reported sigma must not."""
    tracks = some_tracks()
    tracks = tracks.replace(cov=tracks.cov * 1e-12, bias_cov=np.tile(0.09 * np.eye(2), (4, 1, 1)))
    write_tracks(tmp_path / "a.geojson", tracks, SITE_MAP)
    assert {item["properties"]["sigma_m"] for item in features(tmp_path / "a.geojson", "state")} == {0.3}


def test_a_line_over_the_antimeridian_is_cut_there(tmp_path):
    site_map = SiteMap(LEVELS, datum=Datum(10.0, 179.9999, 0.0))
    tracks = some_tracks().take(np.array([1, 2, 0])).replace(xy=[[0.0, 0.0], [30.0, 10.0], [5.0, 20.0]])
    write_tracks(tmp_path / "a.geojson", tracks, site_map)
    (line,) = features(tmp_path / "a.geojson", "track")
    assert line["geometry"]["type"] == "MultiLineString"
    parts = line["geometry"]["coordinates"]
    assert [len(part) for part in parts] == [2, 3, 2]
    assert [part[0][0] for part in parts[1:]] == [-180.0, 180.0]
    assert np.abs(np.diff([c[0] for c in parts[1]])).max() < 1e-3


def test_mot_lines_are_those_of_3dmot2015(tmp_path):
    write_tracks(tmp_path / "a.txt", some_tracks(), SITE_MAP, options=OPTIONS)
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert lines[0] == "1,1,-1,-1,-1,-1,0.8000,10.0000,20.0000,0.0000"
    assert lines[-1] == "3,1,-1,-1,-1,-1,0.9000,30.0000,40.0000,7.0000"
    assert [line.split(",")[0] for line in lines] == ["1", "2", "2", "3"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (WriteOptions(), "fps"),
        (WriteOptions(fps=1.0, start=1.7e9), "two states"),
        (WriteOptions(fps=10.0, start=1.8e9), "before frame 1"),
    ],
)
def test_mot_frames_that_cannot_be_are_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        write_tracks(tmp_path / "a.txt", some_tracks(), SITE_MAP, options=options)


def test_csv_comes_back_bit_by_bit(tmp_path):
    tracks = some_tracks()
    for site_map in (SITE_MAP, SiteMap(LEVELS)):
        write_tracks(tmp_path / "a.csv", tracks, site_map)
        assert read_tracks(tmp_path / "a.csv") == tracks.take(np.lexsort((tracks.time, tracks.track)))


NUMBERS = st.floats(-1e6, 1e6)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    xy=arrays(float, (3, 2), elements=NUMBERS),
    root=arrays(float, (3, 4, 4), elements=NUMBERS),
    time=arrays(float, 3, elements=st.floats(0, 2e9), unique=True),
    label=st.lists(NAMES, min_size=3, max_size=3),
)
def test_any_tracks_come_back_from_csv(tmp_path, xy, root, time, label):
    cov = root @ root.swapaxes(1, 2) / 1e3
    cov = (cov + cov.swapaxes(1, 2)) / 2
    tracks = Tracks(
        time=np.sort(time),
        track=[2, 2, 3],
        level=["ground"] * 3,
        xy=xy,
        velocity=xy[::-1],
        cov=cov,
        bias_cov=cov[:, :2, :2],
        label=label,
    )
    write_tracks(tmp_path / "a.csv", tracks, SiteMap(LEVELS))
    assert read_tracks(tmp_path / "a.csv") == tracks


def test_a_truncated_csv_of_tracks_is_refused_with_its_line(tmp_path):
    write_tracks(tmp_path / "a.csv", some_tracks(), SITE_MAP)
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text(text[:-60])
    with pytest.raises(InputError, match=r"line 5 .*truncated"):
        read_tracks(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("frame,id\n")
    with pytest.raises(InputError, match="not tracks of geoloc; it has no column track"):
        read_tracks(tmp_path / "a.csv")


def test_an_unknown_level_or_ending_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="level 'roof'"):
        write_tracks(tmp_path / "a.geojson", some_tracks().replace(level=["roof"] * 4), SITE_MAP)
    with pytest.raises(UnknownNameError, match=r"known: .*csv, geojson, "):
        write_tracks(tmp_path / "a.shp", some_tracks(), SITE_MAP)


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def full_disk(source, target):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(InputError, match="no space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.csv"]
