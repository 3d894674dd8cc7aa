"""Worlds are whole: sites that can be stored, lanes that lead somewhere, cameras whose lenses hold."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import shapely

from geoloc.errors import InputError
from geoloc.scene.storage import load_site, save_site
from geoloc.synthetic import TrafficOptions, World, garage, grid_site, intersection, observe, plaza, simulate

WORLDS = [garage, plaza, intersection, lambda: grid_site(9)]


@pytest.mark.parametrize("make", WORLDS)
def test_a_world_is_a_site_that_can_be_stored(make: Callable[[], World], tmp_path: Path) -> None:
    site = make().site
    save_site(site, tmp_path)
    loaded = load_site(site.name, tmp_path)
    assert [camera.name for camera in loaded.cameras] == [camera.name for camera in site.cameras]
    assert len(loaded.site_map.stalls) == len(site.site_map.stalls)
    for mine, stored in zip(site.site_map.stalls, loaded.site_map.stalls, strict=True):
        gap = shapely.hausdorff_distance(mine.polygon, stored.polygon)
        assert gap < 1e-4, f"stall {mine.name} moved {gap} m on its way through the file; 0.1 mm allowed"


@pytest.mark.parametrize("make", WORLDS)
def test_every_pixel_of_every_camera_has_a_ray(make: Callable[[], World]) -> None:
    for camera in make().site.cameras:
        width, height = camera.size
        edge = np.array([[u, v] for u in np.linspace(0, width - 1, 9) for v in np.linspace(0, height - 1, 9)])
        rays = camera.unproject(edge)
        assert np.isfinite(rays).all(), camera.name
        back = camera.project(camera.centre_world + 10 * rays)
        assert np.abs(back - edge).max() < 1e-6, camera.name


def test_the_garage_is_the_one_that_was_asked_for() -> None:
    world = garage()
    site_map = world.site.site_map
    assert len(site_map.stalls) == len(world.access) == 80
    assert 10 <= len(world.site.cameras) <= 14
    assert site_map.datum is not None
    assert site_map.level("P2").z_at(np.array([[20.0, 8.0]]))[0] - site_map.level("P1").z_at(
        np.array([[20.0, 8.0]])
    )[0] == pytest.approx(3.0)
    kinds = {zone.kind for zone in site_map.zones}
    assert kinds >= {"lane", "entrance", "exit", "ramp"}


def test_every_stall_of_the_garage_can_be_reached_and_left() -> None:
    world = garage()
    for stall, (begin, end) in world.access.items():
        assert nx.has_path(world.lanes, "in", begin), stall
        assert nx.has_path(world.lanes, end, "out"), stall


def test_stalls_do_not_overlap_each_other_or_the_pillars() -> None:
    site_map = garage().site.site_map
    for level in ("P1", "P2"):
        stalls = [stall.polygon for stall in site_map.stalls if stall.level == level]
        pillars = [o.geometry for o in site_map.occluders if "pillar" in o.name and o.level == level]
        for i, stall in enumerate(stalls):
            others = [*stalls[i + 1 :], *pillars]
            assert max(shapely.area(shapely.intersection(stall, others)), default=0.0) < 1e-9


@pytest.mark.parametrize("n_cameras", [4, 10, 100])
def test_the_big_site_has_as_many_cameras_as_asked(n_cameras: int) -> None:
    world = grid_site(n_cameras)
    assert len(world.site.cameras) == n_cameras
    assert world.traffic.n_cars + world.traffic.n_people == 3 * n_cameras


def test_a_big_site_of_three_cameras_is_refused() -> None:
    with pytest.raises(InputError, match="at least 4"):
        grid_site(3)


def test_a_world_with_a_stall_that_opens_to_no_lane_is_refused() -> None:
    with pytest.raises(InputError, match="P1-A01"):
        replace(garage(), access={"P1-A01": ("in", "nowhere")})


@pytest.mark.parametrize("wrong", [{"duration": -1.0}, {"rate": float("nan")}, {"parked_share": 1.5}])
def test_impossible_traffic_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrafficOptions(**wrong)


def test_a_world_in_which_nothing_lives_is_observed_as_empty() -> None:
    world = plaza()
    truth = simulate(world, np.random.default_rng(0), replace(world.traffic, n_people=0))
    seen = observe(world, truth, np.random.default_rng(0))
    assert (len(truth), len(seen.detections), len(seen.glimpses)) == (0, 0, 0)


@pytest.mark.parametrize("make", [garage, plaza])
def test_the_same_seed_gives_the_same_bytes(make: Callable[[], World]) -> None:
    def run(seed: int) -> tuple[list[bytes], list[bytes]]:
        world = make()
        traffic = replace(world.traffic, n_cars=min(world.traffic.n_cars, 25), duration=8.0, warmup=5.0)
        truth = simulate(world, np.random.default_rng(seed), traffic)
        seen = observe(world, truth, np.random.default_rng(seed))
        return [a.tobytes() for _, a in truth], [a.tobytes() for _, a in seen.detections]

    assert run(1) == run(1)
    first, second = run(1), run(2)
    assert first[0] != second[0]
    assert first[1] != second[1]
