"""The map page as a file: self-contained, safe against hostile names, of a sensible size."""

import json
import re

import numpy as np
import pytest
from draw_samples import bare, crowd, garage, plaza, traffic, walk

from geoloc.draw.layers import Markers
from geoloc.draw.page import PageOptions, write_map_page
from geoloc.errors import InputError
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

HOSTILE = "</script><script>window.hit=1</script><!-- {{data}} \u2028 & \"'"


def data_of(text):
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert len(found) == 1
    return json.loads(found[0], parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


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
    assert text.count("<script") == text.count("</script>") == 2
    assert "window.hit=1</script>" not in text
    assert "<!--" not in text
    data = data_of(text)
    assert data["title"].startswith("</script><script>")
    assert data["markers"][0]["name"] == HOSTILE
    assert data["tracks"][0]["label"].startswith("</script>")


def test_data_are_the_tracks_rounded_to_a_centimetre(tmp_path):
    tracks = traffic()
    data = data_of(page(tmp_path, garage(), tracks))
    assert [level["name"] for level in data["levels"]] == ["level 1", "level 2"]
    assert len(data["levels"][0]["stalls"]) == 32
    assert data["datum"] == [48.137, 11.575, 520.0]
    van = next(track for track in data["tracks"] if track["id"] == 8)
    rows = tracks.track == 8
    assert np.abs(np.column_stack([van["x"], van["y"]]) - tracks.xy[rows]).max() <= 0.005 + 1e-9
    assert np.abs(np.array(van["t"]) + data["start"] - tracks.time[rows]).max() <= 0.0051
    assert van["level"] == [[0, 0], [60, 1]]
    assert van["state"] == [[0, "confirmed"]]
    # 95 %: 2.448 sigma; 0.6 m of noise and 0.05 m of bias
    assert van["a"][5] == pytest.approx(2.4477 * np.hypot(0.6, 0.05), abs=2e-3)


def test_missing_numbers_are_null_and_never_nan(tmp_path):
    tracks = walk(1, np.arange(5.0), np.column_stack([np.arange(5.0), np.zeros(5)]), "ground")
    cov, velocity, xy = tracks.cov.copy(), tracks.velocity.copy(), tracks.xy.copy()
    cov[1], velocity[2], xy[3] = np.nan, np.nan, np.inf
    data = data_of(page(tmp_path, bare(), tracks.replace(cov=cov, velocity=velocity, xy=xy)))
    (track,) = data["tracks"]
    assert track["t"] == [0, 1, 2, 4]
    assert track["a"][1] is None
    assert track["vx"][2] is None
    assert data["datum"] is None


@pytest.mark.parametrize("site", [bare(), Site("nothing", ())])
def test_site_without_tracks_has_a_page_too(tmp_path, site):
    data = data_of(page(tmp_path, site, Tracks()))
    assert data["tracks"] == []
    assert data["seconds"] == 0
    assert np.isfinite(data["box"]).all()


def test_long_recordings_are_thinned_and_say_so(tmp_path):
    times = np.arange(0, 400, 0.1)
    xy = np.column_stack([5 * np.cos(times / 9), 5 * np.sin(times / 9)])
    tracks = Tracks.concat([walk(i, times, xy + i, "ground") for i in range(20)])
    text = page(tmp_path, bare(), tracks, options=PageOptions(max_rows=20_000))
    data = data_of(text)
    assert sum(len(track["t"]) for track in data["tracks"]) <= 20_000
    assert data["step"] == 0.5
    assert len(text) < 2e6, f"{len(text) / 1e6:.1f} MB for 20,000 rows"


def test_every_track_lies_in_the_first_view(tmp_path):
    data = data_of(page(tmp_path, plaza(), crowd(np.random.default_rng(2))))
    x0, y0, x1, y1 = data["box"]
    for track in data["tracks"]:
        assert x0 < min(track["x"])
        assert max(track["x"]) < x1
        assert y0 < min(track["y"])
        assert max(track["y"]) < y1


def test_options_out_of_range_are_refused():
    with pytest.raises(InputError, match="max_rows is 3"):
        PageOptions(max_rows=3)
