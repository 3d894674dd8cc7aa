import sys

import numpy as np
import pytest
import scan_samples
from consistency import assert_consistent
from scipy.spatial import cKDTree
from scipy.spatial.transform import RigidTransform
from shapely import LineString, box

from geoloc.calibrate.scan import ScanRegistration, register_by_points, register_scan
from geoloc.calibrate.scan_faces import map_faces
from geoloc.calibrate.scan_fit import refine
from geoloc.calibrate.scan_ground import ground_levels
from geoloc.calibrate.scan_picks import control_point, pick_along_ray, pick_at
from geoloc.calibrate.scan_solids import find_occluders, solid_mesh
from geoloc.errors import GeometryError, InputError
from geoloc.geometry.se3 import perturb
from geoloc.io.scans import write_mesh
from geoloc.scene.occlusion import mesh_blocker
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, SiteMap, Surface
from geoloc.synthetic.garage import garage


@pytest.fixture(scope="module")
def garage_map() -> SiteMap:
    return garage().site.site_map


@pytest.fixture
def sample(garage_map, rng) -> scan_samples.Sample:
    return scan_samples.scan_of(garage_map, rng)


@pytest.fixture
def known(sample) -> ScanRegistration:
    """The true registration, known to 1 mm."""
    cov = np.diag([0.0, 0.0, 0.0, 1e-6, 1e-6, 1e-6, 0.0])
    return ScanRegistration(sample.world_from_scan, 1.0, cov, 0.02, 0.02, 0.7, 0.0)


@pytest.mark.slow
def test_a_scan_of_any_pose_with_cars_and_a_quarter_missing_is_found(garage_map, sample):
    pytest.importorskip("open3d", exc_type=ImportError, reason="no open3d; pip install 'geoloc[mesh]'")
    found = register_scan(sample.points, garage_map)
    off = np.linalg.norm(found.apply(sample.points) - sample.world, axis=1)
    turn = (sample.world_from_scan * found.world_from_scan.inv()).rotation.magnitude()
    assert np.sqrt((off**2).mean()) < 0.03  # 0.7 to 1.2 cm over seeds
    assert np.degrees(turn) < 0.02  # 0.002 to 0.007
    assert found.matched > found.runner_up + 0.03


def test_a_registration_is_as_good_as_it_says(garage_map, rng):
    faces = map_faces(garage_map, 0.25, scan_samples.WALL_SIGMA)
    tree = cKDTree(faces.points)
    errors, covs = [], []
    for _ in range(10):
        scan = scan_samples.scan_of(garage_map, rng, n_cars=20, upright=True)
        points = scan.points[rng.permutation(len(scan.points))[:8000]]
        start = perturb(scan.world_from_scan, rng.normal(size=6) * [1e-3, 1e-3, 1e-3, 0.05, 0.05, 0.05])
        fit = refine(points, faces, tree, start, 1.0, (0.5, 0.15))
        errors.append((scan.world_from_scan * fit.world_from_scan.inv()).as_exp_coords())
        covs.append(fit.cov[:6, :6])
    assert_consistent(np.array(errors), np.array(covs), 0.99)


def test_a_symmetric_lot_is_refused_and_picks_decide_it_whatever_the_unit(rng):
    pytest.importorskip("open3d", exc_type=ImportError, reason="no open3d; pip install 'geoloc[mesh]'")
    ground = Level("ground", (Surface(polygon=box(-20, -12, 20, 12), sigma_z=0.01),))
    lines = ([(-20, -12), (10, -12)], [(20, 12), (-10, 12)], [(-20, -12), (-20, 5)], [(20, 12), (20, -5)])
    walls = tuple(Occluder(f"wall {i}", "ground", LineString(line), 2.5) for i, line in enumerate(lines))
    lot = SiteMap((ground,), occluders=walls)
    scan = scan_samples.scan_of(lot, rng, n_cars=0, missing=0.0)
    with pytest.raises(GeometryError, match="symmetric; pick 3 control points"):
        register_scan(scan.points, lot)
    corners = np.array([[-20.0, -12, 0], [10, -12, 2.5], [20, 12, 0], [20, -5, 2.5]])
    controls = tuple(ControlPoint(f"corner {i}", tuple(xyz)) for i, xyz in enumerate(corners.tolist()))
    feet = 1 / 0.3048
    errors, covs = [], []
    for _ in range(6):
        scan = scan_samples.scan_of(lot, rng, n_cars=0, missing=0.0)
        hit = corners + rng.normal(size=(4, 3)) * np.hypot(0.02, 0.05)
        picked = feet * scan.world_from_scan.inv().apply(hit)
        found = register_by_points(feet * scan.points, picked, controls, lot, free_scale=True)
        off = np.linalg.norm(found.apply(feet * scan.points) - scan.world, axis=1)
        assert np.sqrt((off**2).mean()) < 0.15  # 2 to 5 cm, of walls that stand 3 cm off their map
        pose_error = (scan.world_from_scan * found.world_from_scan.inv()).as_exp_coords()
        errors.append(np.append(pose_error, np.log(0.3048 / found.scale)))
        covs.append(found.cov)
    assert_consistent(np.array(errors), np.array(covs), 0.99)  # 7.1 of 7 over 30 scans
    with pytest.raises(GeometryError, match="swapped"):
        register_by_points(scan.points, picked[[2, 1, 0, 3]] / feet, controls, lot)


def test_a_scan_of_another_site_and_a_map_without_walls_are_refused(garage_map, rng):
    pytest.importorskip("open3d", exc_type=ImportError, reason="no open3d; pip install 'geoloc[mesh]'")
    heap = np.concatenate([rng.normal(size=(1000, 3)) * 8, rng.uniform(-10, 10, (1000, 3))])
    with pytest.raises(GeometryError, match="does not fit the map"):
        register_scan(heap, garage_map)
    flat = SiteMap((Level("ground", (Surface(polygon=box(0, 0, 50, 50)),)),))
    with pytest.raises(GeometryError, match="no walls"):
        register_scan(heap, flat)
    with pytest.raises(InputError, match="at least 500"):
        register_scan(heap[:10], garage_map)


def test_a_sunken_floor_is_found_with_its_sigma(garage_map, sample, known):
    points = sample.world.copy()
    low = (points[:, 0] > 10) & (points[:, 0] < 30) & (points[:, 1] < 35) & (points[:, 2] < 2.5)
    points[low, 2] -= 0.01 * (points[low, 0] - 10)  # a gutter's slope: 20 cm at its end
    levels = ground_levels(sample.world_from_scan.inv().apply(points), known, garage_map)
    xy = np.column_stack([np.linspace(12, 28, 30), np.full(30, 8.0)])
    truth = -0.01 * (xy[:, 0] - 10)
    off = levels[0].z_at(xy) - truth
    assert np.isfinite(off).all()
    assert np.sqrt((off**2).mean()) < 0.03
    sigma = np.array([next(s.sigma_z for s in levels[0].surfaces if s.holds(at[None])[0]) for at in xy])
    assert 0.2 < np.sqrt((off**2 / sigma**2).mean()) < 1.6
    assert [level.name for level in levels] == [level.name for level in garage_map.levels]


def test_walls_and_pillars_are_found_and_cars_are_not(garage_map, sample):
    found = find_occluders(sample.world, garage_map)
    pillars = [one for one in garage_map.occluders if "pillar" in one.name]
    outlines = [one.geometry for one in found if one.level == "P1"]
    near = np.array([min(outline.distance(pillar.geometry.centroid) for outline in outlines) for pillar in pillars])
    assert (near < 0.35).mean() > 0.6  # a quarter of the site was not scanned
    stalls = [stall.polygon.buffer(-0.7) for stall in garage_map.stalls if stall.level == "P1"]
    assert not any(outline.intersects(stall) for outline in outlines for stall in stalls)
    assert all(2.0 <= one.height < 4.0 for one in found)


def test_the_mesh_of_a_scan_blocks_the_view(garage_map, sample, tmp_path):
    pytest.importorskip("open3d", exc_type=ImportError, reason="no open3d; pip install 'geoloc[mesh]'")
    dense = sample.world[sample.world[:, 2] < 2.4]
    vertices, triangles = solid_mesh(dense, garage_map)
    write_mesh(tmp_path / "scan.ply", vertices, triangles)
    blocked = mesh_blocker(tmp_path / "scan.ply")
    wall = next(
        one for one in find_occluders(dense, garage_map) if one.geometry.area > 1.0
    ).geometry.representative_point()
    foot = np.array([wall.x, wall.y, 1.2])
    sides = np.array([[3.0, 0, 0], [0, 3.0, 0]])
    assert any(blocked(foot - side, (foot + side)[None])[0] for side in sides)
    assert not blocked(np.array([10.0, 8.0, 1.5]), np.array([[12.0, 8.0, 1.5]]))[0]


def test_a_click_hits_the_first_surface_with_an_honest_sigma(rng):
    floor = np.column_stack([rng.uniform(-1, 1, (20_000, 2)), rng.normal(size=20_000) * 0.02])
    table = np.column_stack([rng.uniform([-1, -1], [0, 1], (9000, 2)), 0.8 + rng.normal(size=9000) * 0.02])
    points = np.concatenate([floor, table])
    errors, sigmas = [], []
    for _ in range(60):
        target = np.array([*rng.uniform([-0.8, -0.8], [-0.2, 0.8]), 0.8])
        origin = np.array([0.3, 0.1, 4.0])
        pick = pick_along_ray(points, origin, target - origin)
        errors.append(pick.xyz[2] - 0.8)
        sigmas.append(np.sqrt(pick.cov[2, 2]))
    assert np.abs(errors).max() < 0.03
    assert 0.4 < np.sqrt(np.mean(np.square(errors) / np.square(sigmas))) < 1.6
    low = pick_at(points, (-0.5, 0.2), near_z=0.1)
    assert abs(low.xyz[2]) < 0.02
    with pytest.raises(GeometryError, match="no surface"):
        pick_along_ray(points, np.array([0, 0, 4.0]), np.array([0, 0, 1.0]))
    pose = RigidTransform.from_translation([10.0, 20.0, 5.0])
    known = ScanRegistration(pose, 1.0, np.diag([0, 0, 0, 4e-4, 4e-4, 4e-4, 0.0]), 0.02, 0.02, 0.9, 0.0)
    point = control_point("corner", low, known)
    assert point.xyz == pytest.approx((9.5, 20.2, 5.0), abs=0.02)
    assert min(point.sigma) >= 0.02


def test_scans_without_open3d_name_the_extra_that_brings_it(garage_map, sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(InputError, match=r"pip install 'geoloc\[scan\]'"):
        register_scan(sample.points, garage_map)
