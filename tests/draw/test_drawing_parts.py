"""What is made ready for drawing: paths, extents, places of names, words."""

import numpy as np
import pytest
from draw_samples import bare, camera, garage, plaza, walk
from shapely import box

from geoloc.draw.extent import choose_extent, nice_step
from geoloc.draw.labels import place_labels
from geoloc.draw.layers import Markers, camera_levels, control_level, drawable, drawable_markers, track_paths
from geoloc.draw.words import duration_text, one_line, time_text
from geoloc.errors import UnknownNameError
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level, SiteMap, Surface
from geoloc.scene.tables import Tracks


def line(track, times, level="ground"):
    times = np.asarray(times, float)
    return walk(track, times, np.column_stack([times, np.zeros(len(times))]), level)


def test_paths_break_at_gaps_and_level_changes_but_not_between_rows_out_of_order():
    a = line(7, [0, 1, 2, 10, 11])
    b = line(2, [0, 1, 2, 3], "level 1").replace(level=["level 1", "level 1", "level 2", "level 2"])
    table = Tracks.concat([a.replace(level=["level 1"] * 5), b])
    table = drawable(table.take(np.random.default_rng(0).permutation(len(table))), garage().site_map)
    found = track_paths(table, gap_s=2.0)
    assert [path.track for path in found] == [2, 7]
    assert [[p.stop - p.start for p in path.pieces] for path in found] == [[2, 2], [3, 2]]
    assert (np.diff(table.time[found[1].rows]) > 0).all()


def test_a_track_that_was_found_elsewhere_is_not_drawn_through_what_lies_between():
    """Lost and found again 20 m on within a second, at 1 m/s: two pieces, while one drives 2 m and stays one."""
    table = line(1, [0, 1, 2, 3]).replace(velocity=[[1.0, 0.0]] * 4)
    assert [p.stop - p.start for p in track_paths(table, 2.0)[0].pieces] == [4]
    found_again = table.replace(xy=[[0, 0], [1, 0], [21, 0], [22, 0]])
    assert [p.stop - p.start for p in track_paths(found_again, 2.0)[0].pieces] == [2, 2]


def test_rows_without_a_position_are_not_drawn():
    table = line(1, [0, 1, 2]).replace(xy=[[0, 0], [np.nan, 1], [2, 2]])
    assert drawable(table, bare().site_map).time.tolist() == [0.0, 2.0]


def test_unknown_levels_are_refused_by_name():
    with pytest.raises(UnknownNameError, match="level 'grond' of a track; did you mean 'ground'"):
        drawable(line(1, [0, 1], "grond"), bare().site_map)
    with pytest.raises(UnknownNameError, match="of a marker"):
        drawable_markers(Markers(name=["GPS"], xy=[[0, 0]], level=["roof"]), bare().site_map)


def test_extent_holds_map_tracks_and_near_cameras():
    x0, y0, x1, y1 = choose_extent(plaza(), (), np.array([[3.0, 3.0]]) + np.arange(16)[:, None] * [1, 0.7])
    assert x0 < -2
    assert y0 < -2
    assert x1 > 22
    assert y1 > 18


def test_extent_of_a_large_facility_with_tracks_in_a_corner_is_cut_to_them(rng):
    lot = SiteMap((Level("lot", (Surface((0, 0, 0), box(0, 0, 300, 300)),)),))
    xy = rng.uniform((20, 20), (50, 40), (500, 2))
    x0, y0, x1, y1 = choose_extent(Site("lot", (), lot), (), xy)
    assert x1 - x0 < 90, f"{x1 - x0:.0f} m wide for tracks of 30 m"
    assert x0 < 20
    assert x1 > 50
    assert y0 < 20
    assert y1 > 40


def test_one_stray_does_not_shrink_everything_else(rng):
    xy = np.vstack([rng.uniform(0, 20, (400, 2)), [[5000.0, -3000.0]]])
    x0, _, x1, _ = choose_extent(Site("s", ()), (), xy)
    assert x1 - x0 < 60


@pytest.mark.parametrize("xy", [np.zeros((0, 2)), np.array([[8.0, 2.0]])])
def test_extent_without_much_to_show_is_still_a_box(xy):
    for site in (bare(), Site("nothing", ())):
        x0, y0, x1, y1 = choose_extent(site, (), xy)
        assert x1 - x0 >= 12
        assert y1 - y0 >= 12


@pytest.mark.parametrize(("length", "step"), [(1, 1), (1.99, 1), (2, 2), (7, 5), (0.03, 0.02), (4999, 2000)])
def test_steps_are_round(length, step):
    assert nice_step(length) == pytest.approx(step)


def test_names_do_not_cover_each_other(rng):
    anchors = rng.uniform(20, 380, (40, 2))
    texts = [str(i) for i in range(40)]
    placed = place_labels(anchors, texts, np.full(40, 8.0), np.array([400.0, 400.0]))
    half = np.array([[0.35 * 8 * len(text), 0.575 * 8] for text in texts])
    low, high = placed.centre - half, placed.centre + half
    shared = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    shared = np.clip(shared, 0, None).prod(axis=2) / (4 * half.prod(axis=1))[:, None]
    np.fill_diagonal(shared, 0)
    shown = placed.shown
    assert shown.sum() >= 38
    assert shared[np.ix_(shown, shown)].max() <= 0.2


def test_names_in_one_heap_are_left_out_rather_than_piled_up():
    placed = place_labels(np.full((60, 2), 200.0), ["123"] * 60, np.full(60, 8.0), np.array([400.0, 400.0]))
    assert 4 <= placed.shown.sum() < 30


def test_camera_is_shown_where_it_mainly_looks_and_a_blind_one_on_the_level_below_it():
    site = garage()
    blind = camera("blind", (30, 16, 5.0), (40, 16, 9.0))
    shown = camera_levels(site.with_cameras([blind]), ())
    assert shown["blind"] == ("level 2",)


def test_control_points_lie_on_the_level_nearest_in_height():
    site_map = garage().site_map
    assert control_level(site_map, ControlPoint("a", (10, 9, 0.1))) == "level 1"
    assert control_level(site_map, ControlPoint("b", (10, 9, 2.8))) == "level 2"
    assert control_level(site_map, ControlPoint("c", (-50, 9, 2.8))) == "level 1"


def test_times_read_as_dates_only_where_they_can_be_meant_as_such():
    assert time_text(12.34) == "12.3 s"
    assert time_text(1_520_778_000.0, with_date=True) == "2018-03-11 14:20:00 UTC"
    assert time_text(1_520_778_000_000.0).endswith(" s")  # milliseconds are no date
    assert duration_text(298) == "5.0 min"


def test_words_are_one_line():
    assert one_line("a\n\tb\x00c") == "a b c"
    assert one_line("x" * 80) == "x" * 59 + "…"
