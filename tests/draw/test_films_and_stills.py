"""Films, stills with tracks, SVG: what they show is where the map says."""

import cv2
import numpy as np
import pytest
from draw_samples import bare, garage, plaza, traffic, walk

from geoloc.draw.clip import ClipOptions, draw_clip
from geoloc.draw.export import export
from geoloc.draw.plan import PlanOptions, draw_plan, render_parts
from geoloc.draw.still_tracks import draw_still_tracks, pixels_seen, still_with_tracks
from geoloc.draw.style import DARK, LIGHT
from geoloc.errors import InputError
from geoloc.scene.tables import Tracks

SMALL = ClipOptions(speed=4.0, fps=5.0, width_px=480, tail_s=3.0)


def frames_of(path):
    film, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = film.read()
        if not there:
            return frames
        frames.append(frame)


def colour_near(image, pixel, colour, reach=4):
    """How near to #rrggbb the nearest pixel around is."""
    u, v = np.round(pixel).astype(int)
    part = image[max(v - reach, 0) : v + reach + 1, max(u - reach, 0) : u + reach + 1].reshape(-1, 3).astype(float)
    return np.abs(part - [int(colour[i : i + 2], 16) for i in (5, 3, 1)]).max(axis=1).min()


@pytest.fixture(scope="module")
def one_walk():
    """One who walks along the plaza for 12 s, in the middle of it after 6 s."""
    times = 1_700_000_000 + np.arange(0, 12.01, 0.1)
    xy = np.column_stack([np.linspace(2, 18, len(times)), np.full(len(times), 3.0)])
    return walk(5, times, xy, "plaza")


@pytest.mark.parametrize("ending", [".mp4", ".gif"])
def test_films_move_as_the_tracks_do(tmp_path, one_walk, ending):
    told = []
    path = draw_clip(
        plaza(), one_walk, tmp_path / f"film{ending}", options=SMALL, progress=lambda *now: told.append(now)
    )
    frames = frames_of(path)
    assert len(frames) == 16
    assert told[-1] == (16, 16)
    plan = PlanOptions(width_in=10, height_in=7, dpi=48)
    picture = render_parts(plaza(), one_walk, (), "", plan)
    for number in (0, 8, 15):
        x = 2 + 16 * min(number * 0.8 / 12.0, 1.0)
        (pixel,) = picture.to_pixel("plaza", np.array([[x, 3.0]]))
        assert colour_near(frames[number], pixel, LIGHT.track(5), 2) < 60, number


def test_a_span_cuts_the_film_and_one_without_tracks_is_refused(tmp_path, one_walk):
    start = float(one_walk.time[0])
    options = ClipOptions(start=start + 2, end=start + 4, speed=1.0, fps=5.0, width_px=320)
    assert len(frames_of(draw_clip(plaza(), one_walk, tmp_path / "a.gif", options=options))) == 11
    with pytest.raises(InputError, match="no tracks from 5 to 9 s; there are some from 2023-11-14"):
        draw_clip(plaza(), one_walk, tmp_path / "b.gif", options=ClipOptions(start=5.0, end=9.0))
    with pytest.raises(InputError, match=r"use \.mp4 or \.gif"):
        draw_clip(plaza(), one_walk, tmp_path / "b.avi")
    with pytest.raises(InputError, match="a shorter span"):
        draw_clip(plaza(), one_walk, tmp_path / "b.gif", options=ClipOptions(speed=0.001))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif"]


def test_tracks_lie_in_the_still_where_the_camera_sees_them(tmp_path, one_walk):
    site, still = plaza(), np.full((1080, 1920, 3), 128, np.uint8)
    image = still_with_tracks(site, "C1", one_walk, still)
    end = site.camera("C1").project(np.append(one_walk.xy[-1], 0.02)[None])[0]
    assert colour_near(image, end, DARK.track(5)) < 8
    assert (still == 128).all(), "the still itself is not changed"
    path = draw_still_tracks(site, "C1", one_walk, still[::2, ::2], tmp_path / "c1.jpg")
    assert cv2.imread(str(path)).shape == (1080, 1920, 3)


def test_what_a_floor_hides_is_not_drawn_into_the_still():
    site = garage()
    xy = np.array([[30.0, 9.0], [30.0, 23.0]])
    below = pixels_seen(site.camera("B-cam1"), site.site_map, "level 1", xy)
    own = pixels_seen(site.camera("B-cam1"), site.site_map, "level 2", xy)
    assert np.isnan(below).all()
    assert np.isfinite(own).any()


def test_svg_is_the_same_file_for_the_same_input_and_holds_its_parts(tmp_path):
    first = draw_plan(garage(), traffic(), tmp_path / "a.svg").read_bytes()
    assert draw_plan(garage(), traffic(), tmp_path / "b.svg").read_bytes() == first
    text = first.decode()
    assert text.startswith("<?xml")
    assert "<image" not in text, "lines, not a picture of them"


def test_plan_lies_over_the_stills(tmp_path):
    red = np.zeros((1080, 1920, 3), np.uint8)
    red[..., 2] = 200
    stills = {camera.name: red for camera in plaza().cameras if not camera.is_homography}
    path = draw_plan(plaza(), Tracks(), tmp_path / "plan.png", options=PlanOptions(dpi=50), stills=stills)
    image = cv2.imread(str(path)).astype(int)
    reddish = (image[..., 2] - image[..., 0] > 100).mean()
    assert reddish > 0.2, f"{reddish:.2f} of the picture"


def test_export_draws_by_the_ending_and_says_what_is_lost(tmp_path, one_walk):
    for name, kind in (("a.svg", "plan"), ("a.html", "page"), ("a.csv", "csv")):
        exported = export(tmp_path / name, plaza(), one_walk)
        assert exported.path.is_file()
        assert exported.kind == kind
        assert exported.lost


def test_a_site_without_tracks_has_a_plan_but_no_film(tmp_path):
    assert draw_plan(bare(), Tracks(), tmp_path / "a.svg").is_file()
    with pytest.raises(InputError, match="no tracks"):
        draw_clip(bare(), Tracks(), tmp_path / "a.gif")
