"""Control points in feet or with swapped axes are named; a camera under the floor that it marked is refused."""

from dataclasses import replace

import numpy as np
import pytest

from geoloc.calibrate.map_checks import check_control_points, words_on_heights
from geoloc.calibrate.site import calibrate_site
from geoloc.errors import InputError
from geoloc.scene.known import Distances, ImageLines, Known
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.garage import garage
from geoloc.synthetic.trial import calibration_trial

FOOT = 0.3048


def otherwise(site_map: SiteMap, matrix: np.ndarray) -> SiteMap:
    points = tuple(replace(p, xyz=tuple((matrix @ p.xyz).tolist())) for p in site_map.control_points)
    return replace(site_map, control_points=points)


def test_points_in_feet_are_refused_by_name() -> None:
    site_map = garage().site.site_map
    check_control_points(site_map)
    with pytest.raises(InputError, match="in feet"):
        check_control_points(otherwise(site_map, np.eye(3) / FOOT))


def test_latitude_for_longitude_on_a_long_site_is_refused_by_name() -> None:
    site_map = garage().site.site_map
    swap = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    far = np.array([100.0, 0.0, 0.0])
    moved = otherwise(site_map, np.eye(3))
    moved = replace(
        moved, control_points=tuple(replace(p, xyz=tuple((far + p.xyz).tolist())) for p in moved.control_points)
    )
    levels = tuple(
        replace(level, surfaces=tuple(_shifted(surface, 100.0) for surface in level.surfaces))
        for level in site_map.levels
    )
    moved = replace(moved, levels=levels)
    check_control_points(moved)
    with pytest.raises(InputError, match="swapped"):
        check_control_points(otherwise(moved, swap))


def _shifted(surface: object, east: float) -> object:
    from shapely.affinity import translate

    return replace(surface, polygon=translate(surface.polygon, east))


def test_heights_in_feet_are_told() -> None:
    site_map = garage().site.site_map
    assert words_on_heights(site_map) == []
    said = words_on_heights(otherwise(site_map, np.diag([1.0, 1.0, 1.0 / FOOT])))
    assert "feet" in said[0]


def test_a_mirrored_map_never_gives_a_camera_below_the_floor_that_it_marked() -> None:
    # on a square the outline does not tell, and points of one plane fit a camera below it as well
    trial = calibration_trial(np.random.default_rng(1))
    name = "p2-southwest"
    marks = trial.marks.take(trial.marks.camera == name)
    swap = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    nothing = Known(Distances(), ImageLines())
    sizes = {name: (1920, 1080)}
    assert len(calibrate_site(sizes, marks, trial.site.site_map, nothing).cameras) == 1
    found = calibrate_site(sizes, marks, otherwise(trial.site.site_map, swap), nothing)
    assert not found.cameras
    assert "swapped" in found.refused[0].reason + found.refused[0].next_step
