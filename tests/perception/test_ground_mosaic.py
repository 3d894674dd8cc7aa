"""The mosaic: what is where it should be, the sharpest still first, one brightness, nothing through walls."""

import cv2
import numpy as np
from survey_lot import lot, stills_of

from geoloc.io.world_files import read_plan_image, write_world_file
from geoloc.perception.ground_mosaic import MosaicOptions, mosaic
from geoloc.perception.ground_sheet import level_sights

COARSE = MosaicOptions(pixel=0.05)


def on_level(laid, xy):
    column, row = np.rint(laid.sheet.pixels(np.array([xy]))[0]).astype(int)
    return row, column


def test_each_place_is_from_the_camera_that_shows_it_sharpest(site, stills):
    laid = mosaic(site, "lot", stills, COARSE)
    assert laid.cameras[laid.source[on_level(laid, (4.0, 6.0))]] == "west"
    assert laid.cameras[laid.source[on_level(laid, (16.5, 9.0))]] == "east"
    sights = {sight.camera.name: sight for sight in level_sights(site, ("east", "west"))["lot"]}
    blur = {name: sight.on(sight.blur, laid.sheet) for name, sight in sights.items()}
    other = np.where(laid.source == laid.cameras.index("west"), blur["east"], blur["west"])
    own = np.where(laid.source == laid.cameras.index("west"), blur["west"], blur["east"])
    seen = (laid.source >= 0) & np.isfinite(own) & np.isfinite(other)
    assert (own <= 1.5 * other)[seen].mean() > 0.97  # measured: 0.99; the seams are feathered


def test_a_mosaic_comes_back_from_its_world_file_at_the_same_place(site, stills, tmp_path):
    laid = mosaic(site, "lot", stills, COARSE)
    write_world_file(tmp_path / "lot.pgw", laid.sheet.world_from_pixel)
    height, width = laid.source.shape
    plan = read_plan_image(tmp_path / "lot.png", (width, height))
    spots = np.array([[4.0, 10.0], [16.5, 15.0]])
    np.testing.assert_allclose(plan.pixels(spots), laid.sheet.pixels(spots), atol=1e-6)
    grey = laid.image[..., :3].mean(axis=2)
    on_line = grey[on_level(laid, (6.5, 12.0))]
    assert on_line > 1.3 * np.median([grey[on_level(laid, (x, 12.0))] for x in (5.6, 7.4)])


def test_a_brighter_camera_leaves_no_seam(site, stills):
    bright = {**stills, "east": cv2.convertScaleAbs(stills["east"], alpha=1.5)}
    laid = mosaic(site, "lot", bright, COARSE)
    grey = laid.image[..., :3].mean(axis=2)
    west, east = (grey[laid.source == laid.cameras.index(name)] for name in ("west", "east"))
    assert np.median(east) / np.median(west) < 1.12  # measured: 1.02; unbalanced 1.22, for much of it is white then
    raw = mosaic(site, "lot", bright, MosaicOptions(pixel=0.05, balance=False)).image[..., :3].mean(axis=2)
    assert np.median(raw[laid.source == laid.cameras.index("east")]) / np.median(west) > 1.15


def test_ground_behind_a_wall_of_the_map_is_not_painted_with_the_wall():
    site = lot(wall=True)
    stills = {"west": stills_of(site)["west"]}
    laid = mosaic(site, "lot", stills, COARSE)
    behind, before = on_level(laid, (12.0, 8.9)), on_level(laid, (9.0, 6.0))
    assert laid.image[behind][3] == 0
    assert laid.image[before][3] == 255
