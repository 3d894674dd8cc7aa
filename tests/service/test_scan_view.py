"""A scan from above: each level its own picture, and under a click the surface that is seen, with an honest sigma."""

import numpy as np
import pytest
from consistency import assert_consistent
from scipy.spatial.transform import RigidTransform, Rotation
from shapely import box

from geoloc.calibrate.scan import ScanRegistration
from geoloc.errors import GeometryError, InputError
from geoloc.geometry.se3 import perturb
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.service.scan_view import ScanView, open_scan

SITE = SiteMap(
    (
        Level("low", (Surface((0.0, 0.0, 0.0), box(0, 0, 20, 10)),)),
        Level("high", (Surface((0.1, 0.0, 3.0), box(0, 0, 10, 10)),)),
    )
)
NOISE = 0.01  # m


def points_of(rng):
    """Both levels, a crate of 1 m on the lower one, a lamp 5 m over it."""
    low = np.column_stack([rng.uniform([0, 0], [20, 10], (40_000, 2)), np.zeros(40_000)])
    xy = rng.uniform([0, 0], [10, 10], (20_000, 2))
    high = np.column_stack([xy, 3.0 + 0.1 * xy[:, 0]])
    crate = np.column_stack([rng.uniform([14, 4], [15, 5], (2000, 2)), np.ones(2000)])
    lamp = np.column_stack([rng.uniform([17, 7], [18, 8], (2000, 2)), np.full(2000, 5.0)])
    return np.concatenate([low, high, crate, lamp]) + NOISE * rng.normal(size=(64_000, 3))


def placed(pose, cov):
    return ScanRegistration(pose, 1.0, cov, NOISE, NOISE, 1.0, 0.0)


@pytest.fixture
def view(rng):
    pose = RigidTransform.from_components([400.0, -90.0, 7.0], Rotation.from_rotvec([0.3, -0.2, 1.0]))
    return ScanView(pose.inv().apply(points_of(rng)), placed(pose, np.zeros((7, 7))), SITE)


def test_each_level_shows_its_own_surface_and_what_stands_on_it(view):
    assert view.picture(0, 3.0).z_at(5.0, 5.0) == pytest.approx(0.0, abs=0.05)  # the upper level hides nothing
    assert view.picture(1, 3.0).z_at(5.0, 5.0) == pytest.approx(3.5, abs=0.05)
    assert view.picture(0, 3.0).z_at(14.5, 4.5) == pytest.approx(1.0, abs=0.05)
    assert view.picture(0, 3.0).z_at(17.5, 7.5) == pytest.approx(0.0, abs=0.05)  # the lamp is cut away
    assert view.picture(0, 6.0).z_at(17.5, 7.5) == pytest.approx(5.0, abs=0.05)
    assert np.isnan(view.picture(0, 3.0).z_at(25.0, 5.0))
    assert view.picture(0, 3.0).png.startswith(b"\x89PNG")


def test_a_click_gives_the_surface_that_is_seen(view):
    assert view.pick(0, 3.0, 14.5, 4.5, 0.02).height == pytest.approx(1.0, abs=0.01)
    on_ramp = view.pick(1, 3.0, 6.0, 5.0, 0.02)
    assert (on_ramp.z, on_ramp.height) == (pytest.approx(3.6, abs=0.01), pytest.approx(0.0, abs=0.01))
    assert view.pick(0, 3.0, 5.0, 5.0, 0.5).sigma_xy >= 0.5  # a click is no sharper than the screen
    with pytest.raises(GeometryError, match="no points there"):
        view.pick(0, 3.0, 25.0, 5.0, 0.02)


def test_the_sigma_of_a_height_is_honest(rng):
    cov = np.diag(np.square([2e-3, 2e-3, 2e-3, 0.02, 0.02, 0.02, 0.0]))
    errors, covs = [], []
    for _ in range(60):
        pose = perturb(RigidTransform.identity(), rng.normal(size=6) * np.sqrt(np.diag(cov)[:6]))
        x, y = rng.uniform([11, 1], [13, 9])
        around = rng.uniform([x - 1, y - 1], [x + 1, y + 1], (900, 2))
        floor = np.column_stack([around, np.zeros(900)]) + NOISE * rng.normal(size=(900, 3))
        found = ScanView(floor, placed(pose, cov), SITE).pick(0, 3.0, x, y, 0.02)
        errors.append([found.z])
        covs.append([[found.sigma_z**2]])
    assert_consistent(np.array(errors), np.array(covs), 0.99)


def test_a_level_without_points_and_a_scan_that_is_none_are_refused(rng, tmp_path):
    low = points_of(rng)[:40_000] - np.array([0.0, 0.0, 50.0])
    view = ScanView(low, placed(RigidTransform.identity(), np.zeros((7, 7))), SITE)
    with pytest.raises(GeometryError, match="no points on level 'high', up to 3 m over it"):
        view.picture(1, 3.0)
    with pytest.raises(InputError, match="is not read; give one of"):
        open_scan(tmp_path / "scan.xyz", SITE, 0.02)


def test_a_scan_in_the_sites_metres_needs_no_walls(rng, tmp_path):
    rows = points_of(rng)[::40]
    header = (
        "ply\nformat ascii 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    )
    text = header.format(len(rows)) + "".join(f"{x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in rows)
    (tmp_path / "scan.ply").write_text(text)
    assert open_scan(tmp_path / "scan.ply", SITE, 0.03).pick(0, 3.0, 14.5, 4.5, 0.02).sigma_z >= 0.03
    with pytest.raises(InputError, match="sigma -1"):
        open_scan(tmp_path / "scan.ply", SITE, -1.0)
    pytest.importorskip("open3d", exc_type=ImportError, reason="no open3d; pip install 'geoloc[mesh]'")
    with pytest.raises(GeometryError, match=r"no walls or pillars.*--scan-sigma"):
        open_scan(tmp_path / "scan.ply", SITE)
