"""The map page as a file: self-contained, safe against hostile names, of a sensible size."""

import re

import numpy as np
import pytest
from draw_samples import bare, crowd, garage, plaza, traffic, walk
from page_reader import chunks_of, data_of, keys_of

from geoloc.draw.layers import Markers
from geoloc.draw.page import PageExtras, PageOptions, write_map_page
from geoloc.draw.page_cameras import CameraAlarm
from geoloc.draw.page_keys import find_keys, thinned
from geoloc.draw.page_places import Stay, stall_stays, taken_spans
from geoloc.errors import InputError, UnknownNameError
from geoloc.io.tracks import write_tracks
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

HOSTILE = "</script><script>window.hit=1</script><!-- {{data}} \u2028 & \"'"


def page(tmp_path, site, tracks, **options):
    return write_map_page(site, tracks, tmp_path / "map.html", **options).read_text(encoding="utf-8")


def test_page_asks_for_nothing_from_outside(tmp_path):
    text = page(tmp_path, garage(), traffic())
    text = text.replace("http://www.w3.org/2000/svg", "")  # the name of a language, which nobody fetches
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text) == []
    assert re.findall(r"""<link[^>]+href="(?!data:)|\ssrc=|@import|url\(|fetch\(|XMLHttpRequest""", text) == []
    assert "default-src 'none'" in text


def test_hostile_names_stay_text(tmp_path):
    site = plaza()
    tracks = crowd(np.random.default_rng(1), 3)
    tracks = tracks.replace(label=np.full(len(tracks), HOSTILE))
    markers = Markers(name=[HOSTILE], xy=[[1, 2]])
    text = page(tmp_path, Site(HOSTILE, site.cameras, site.site_map), tracks, markers=markers)
    assert text.count("<script") == text.count("</script>") == 2 + len(chunks_of(text))
    assert "window.hit=1</script>" not in text
    assert "<!--" not in text
    data = data_of(text)
    assert data["title"].startswith("</script><script>")
    assert data["markers"][0]["name"] == HOSTILE
    assert data["tracks"][0][1].startswith("</script>")


def test_data_are_the_tracks_rounded_to_a_centimetre(tmp_path):
    tracks = traffic()
    text = page(tmp_path, garage(), tracks)
    data = data_of(text)
    assert [level["name"] for level in data["levels"]] == ["level 1", "level 2"]
    assert len(data["levels"][0]["stalls"]) == 32
    assert data["datum"] == [48.137, 11.575, 520.0]
    van, rows = keys_of(text)[8], tracks.track == 8
    assert np.abs(van[:, 1:3] - tracks.xy[rows]).max() <= 0.005 + 1e-9
    assert np.abs(van[:, 0] + data["start"] - tracks.time[rows]).max() <= 0.0051
    assert van[:60, 6].tolist() == [0] * 60
    assert van[60:, 6].tolist() == [1] * 60
    assert van[59, 9] == 1, "nothing is known of the way from one level to the other"
    # an ellipse's axes to 1 %: 0.6 m of noise and 0.05 m of bias along the way
    assert np.exp(van[5, 3] / 2) == pytest.approx(np.hypot(0.6, 0.05), rel=0.011)


def test_missing_numbers_are_said_to_be_missing(tmp_path):
    tracks = walk(1, np.arange(5.0), np.column_stack([np.arange(5.0), np.zeros(5)]), "ground")
    cov, xy = tracks.cov.copy(), tracks.xy.copy()
    cov[1], xy[3] = np.nan, np.inf
    text = page(tmp_path, bare(), tracks.replace(cov=cov, xy=xy))
    keys = keys_of(text)[1]
    assert keys[:, 0].tolist() == [0, 1, 2, 4]
    assert np.isnan(keys[:, 3]).tolist() == [False, True, False, False]
    assert data_of(text)["datum"] is None


@pytest.mark.parametrize("site", [bare(), Site("nothing", ())])
def test_site_without_tracks_has_a_page_too(tmp_path, site):
    data = data_of(page(tmp_path, site, Tracks()))
    assert data["tracks"] == []
    assert data["seconds"] == 0
    assert np.isfinite(data["box"]).all()


def test_long_recordings_are_thinned_and_say_how_far_off_they_are(tmp_path):
    times = np.arange(0, 400, 0.1)
    xy = np.column_stack([5 * np.cos(times / 9), 5 * np.sin(times / 9)])
    tracks = Tracks.concat([walk(i, times, xy + i, "ground") for i in range(20)])
    text = page(tmp_path, bare(), tracks, options=PageOptions(max_keys=20_000))
    data, keys = data_of(text), keys_of(text)
    assert sum(len(rows) for rows in keys.values()) <= 20_000
    assert 0 < data["tolerance"] <= 0.1
    for number, rows in keys.items():
        drawn = np.column_stack([np.interp(times, rows[:, 0], rows[:, k]) for k in (1, 2)])
        off = np.hypot(*(drawn - xy - number).T).max()
        assert off < data["tolerance"] + 0.02, f"{off:.3f} m off"
    assert len(text) < 0.5e6, f"{len(text) / 1e6:.1f} MB"


def test_thinning_holds_its_promise_at_every_row(rng):
    time = np.cumsum(rng.uniform(0.05, 0.2, 3000))
    values = np.cumsum(rng.normal(0, 0.4, (3000, 3)), axis=0)
    fixed = rng.random(3000) < 0.002
    keep = thinned(time, values, fixed)
    assert keep[fixed].all()
    drawn = np.column_stack([np.interp(time, time[keep], values[keep, k]) for k in range(3)])
    off = np.abs(drawn - values)
    assert np.hypot(off[:, 0], off[:, 1]).max() <= 1 + 1e-9
    assert off[:, 2].max() <= 1 + 1e-9
    assert keep.sum() < 2000


def test_a_parked_car_is_a_run_however_long_it_stands(rng):
    times = np.arange(0, 7200, 0.5)
    xy = np.array([10.0, 3.0]) + rng.normal(0, 0.05, (len(times), 2))
    parked = walk(1, times, xy, "level 1").replace(life=np.full(len(times), "parked"))
    parked = parked.replace(cov=np.tile(parked.cov[:1], (len(times), 1, 1)))
    (keys,), tolerance = find_keys([parked], garage().site_map, 2.0, 100)
    assert len(keys) == 2
    assert tolerance == 0.02
    assert np.abs(keys.xy - [10.0, 3.0]).max() < 0.01


def test_every_chunk_answers_for_its_own_time(tmp_path):
    times = np.arange(0, 200, 0.1)
    way = np.column_stack([times * 0.05, np.sin(times)])
    tracks = Tracks.concat([walk(i, times, way + np.array([0, i]), "ground") for i in range(30)])
    text = page(tmp_path, bare(), tracks)
    data, chunks = data_of(text), chunks_of(text)
    assert len(chunks) > 1
    for k, chunk in enumerate(chunks[:-1]):
        low, high = k * data["stretch"], (k + 1) * data["stretch"]
        for rows in chunk.values():
            assert rows[0, 0] * 0.01 <= low + 1e-6
            assert rows[-1, 0] * 0.01 >= high - 1e-6


def test_a_page_of_a_file_is_that_of_its_table(tmp_path):
    tracks, site = traffic(), garage()
    write_tracks(tmp_path / "tracks.csv", tracks, site.site_map)
    by_table = keys_of(page(tmp_path, site, tracks))
    by_file = keys_of(write_map_page(site, tmp_path / "tracks.csv", tmp_path / "b.html").read_text())
    assert by_table.keys() == by_file.keys()
    for number, rows in by_table.items():
        assert np.abs(rows[:, :3] - by_file[number][:, :3]).max() <= 0.0101


def test_who_passes_a_stall_did_not_stand_in_it():
    """A car drives along a row of stalls and stands in its last one for a quarter of a minute."""
    times = np.arange(0, 40, 0.1)
    xy = np.column_stack([np.clip(8 + 2.0 * times, 0, 52.5), np.full(len(times), 3.0)])
    keys, _ = find_keys([walk(1, times, xy, "level 1", label="car")], garage().site_map, 2.0, 10_000)
    stays = stall_stays(keys, garage().site_map)
    assert [garage().site_map.stalls[stay.stall].polygon.bounds[0] for stay in stays] == [51.0]
    assert stays[0].start == pytest.approx(21.5, abs=0.11)
    assert stays[0].end == pytest.approx(39.9, abs=0.11)


def test_two_in_one_stall_take_it_once():
    stays = [Stay(3, 1, 0.0, 10.0), Stay(3, 2, 8.0, 20.0), Stay(4, 5, 9.0, 12.0), Stay(3, 6, 30.0, 40.0)]
    assert sorted(taken_spans(stays)) == [(0.0, 20.0), (9.0, 12.0), (30.0, 40.0)]


def test_alarms_stills_and_marks_are_of_cameras_that_are_there(tmp_path):
    site, picture = garage(), np.zeros((108, 192, 3), np.uint8)
    with pytest.raises(UnknownNameError, match="A-cam9"):
        page(tmp_path, site, traffic(), extras=PageExtras(alarms=[CameraAlarm("A-cam9", 0.0)]))
    with pytest.raises(UnknownNameError, match="A-cam9"):
        page(tmp_path, site, traffic(), extras=PageExtras(stills={"A-cam9": picture}))


def test_residuals_are_how_far_off_the_camera_puts_the_points(tmp_path):
    site = plaza()
    point, camera = site.site_map.control_points[0], site.cameras[0]
    pixel = camera.project(np.array([point.xyz]))[0]
    marks = Marks(camera=["C1", "C1"], point=[point.name, "nowhere"], pixel=[pixel - [3.0, -4.0], [5.0, 5.0]])
    data = data_of(page(tmp_path, site, Tracks(), extras=PageExtras(marks=marks)))
    (mark,) = data["cameras"][0]["marks"]
    assert mark[0] == point.name
    assert mark[3:] == pytest.approx([3.0, -4.0], abs=0.01)


def test_every_track_lies_in_the_first_view(tmp_path):
    text = page(tmp_path, plaza(), crowd(np.random.default_rng(2)))
    data = data_of(text)
    x0, y0, x1, y1 = data["box"]
    for rows in keys_of(text).values():
        assert x0 < rows[:, 1].min()
        assert rows[:, 1].max() < x1
        assert y0 < rows[:, 2].min()
        assert rows[:, 2].max() < y1


def test_options_out_of_range_are_refused():
    with pytest.raises(InputError, match="max_keys is 3"):
        PageOptions(max_keys=3)
