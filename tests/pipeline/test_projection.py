import numpy as np
import pytest
from consistency import assert_consistent
from scipy.spatial.transform import RigidTransform, Rotation
from sites import CALIB_COV, DISTORTED, FISHEYE, PINHOLE, camera, drawn, feet_seen, square

from geoloc.errors import InputError
from geoloc.pipeline.projection import ProjectionOptions, project_to_ground
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections

TILTED = Surface(plane=(0.05, -0.08, 0.3), sigma_z=0.05)


@pytest.mark.parametrize("lens", [PINHOLE, DISTORTED, FISHEYE], ids=lambda lens: lens.model)
@pytest.mark.parametrize("surface", [Surface(sigma_z=0.03), TILTED], ids=["level", "tilted"])
def test_both_covariances_together_are_honest(lens, surface, rng):
    """Calibrations, heights and pixels are drawn as stated; the error's mean NEES must be 2."""
    site = square(lens, surface)
    errors, covs = [], []
    for _ in range(250):
        height = rng.normal(0.0, surface.sigma_z)
        xy = rng.uniform(-6.0, 6.0, (1, 2))
        truth = np.column_stack([xy, surface.z_at(xy) + height])
        points, _ = project_to_ground(feet_seen(drawn(site, rng), truth, 0.0, rng, sigma_px=1.5), site)
        one = rng.integers(len(points))  # the height is common to the cameras: one point a draw is independent
        errors.append(points.xy[one] - xy[0])
        covs.append(points.cov[one] + points.bias_cov[one])
    assert_consistent(np.array(errors), np.array(covs))


def test_freed_lens_parameters_widen_the_bias():
    """A focal length that is known to 1 % moves a foot 15 m away by decimetres."""
    fixed = camera("A", (-12.0, -12.0, 5.0), (0.0, 0.0, 0.0), DISTORTED)
    cov = np.zeros((7, 7))
    cov[:6, :6], cov[6, 6] = CALIB_COV, 10.0**2
    freed = Camera("A", DISTORTED, fixed.size, fixed.cam_from_world, cov, ("fx",))
    # in the middle of the image a focal length moves nothing; at its side it does
    foot = Detections(time=[0.0], camera=["A"], box=[[1500, 500, 1540, 600]])
    narrow, _ = project_to_ground(foot, Site("s", (fixed,)))
    wide, _ = project_to_ground(foot, Site("s", (freed,)))
    assert np.allclose(narrow.xy, wide.xy)
    assert np.trace(wide.bias_cov[0]) > np.trace(narrow.bias_cov[0]) + 0.01**2
    assert np.allclose(narrow.cov, wide.cov)


def test_a_homography_is_its_pinhole_camera_on_the_ground():
    site = square()
    a = site.camera("A")
    k = np.array([[1000.0, 0, 960], [0, 1000.0, 540], [0, 0, 1]])
    pose = a.cam_from_world
    matrix = k @ np.column_stack([pose.rotation.as_matrix()[:, :2], pose.translation])
    flat = Camera("A", Homography(matrix.ravel()), (1920, 1080), homography_level="ground", homography_sigma_px=4.0)
    boxes = [[900, 400, 950, 600], [100, 500, 150, 800], [5, 1, 9, 8]]
    rows = Detections(time=np.zeros(3), camera=["A"] * 3, box=boxes)
    expected, _ = project_to_ground(rows, site)
    points, dropped = project_to_ground(rows, Site("flat", (flat,)))
    assert np.allclose(points.xy, expected.xy, atol=1e-6)  # 1e-9 m measured
    assert np.allclose(points.cov, expected.cov, rtol=1e-6)
    assert dropped.detection.tolist() == [-1]  # above the horizon, as for the pinhole
    assert np.all(np.linalg.eigvalsh(points.bias_cov) > 0)


def test_every_row_that_cannot_be_used_is_named_with_its_reason():
    site = square()
    good = [900.0, 400.0, 950.0, 600.0]
    boxes = [good, [np.nan, 0, 1, 1], [10, 10, np.inf, 20], [50, 50, 40, 60], good, good, [900, 0, 950, 10]]
    cameras = ["A", "A", "A", "A", "nobody", "A", "A"]
    cov = np.full((7, 2, 2), np.nan)
    cov[5] = [[1.0, 1.0], [1.0, 1.0]]
    rows = Detections(id=np.arange(7), time=np.zeros(7), camera=cameras, box=boxes, foot_cov=cov)
    points, dropped = project_to_ground(rows, site)
    assert points.detection.tolist() == [0]
    assert dict(zip(dropped.detection.tolist(), dropped.reason.tolist(), strict=True)) == {
        1: "no finite foot or box",
        2: "no finite foot or box",
        3: "box of negative size",
        4: "unknown camera 'nobody'",
        5: "singular foot covariance, or none",
        6: "its ray meets no level of the map",
    }


def test_a_grazing_ray_is_dropped_rather_than_trusted():
    site = square()
    far = Detections(time=[0.0], camera=["A"], box=[[900.0, 200.0, 950.0, 258.0]])
    _, dropped = project_to_ground(far, site, ProjectionOptions(max_sigma=1.0))
    assert dropped.reason.tolist() == ["worst sigma above 1 m"]


def test_a_box_cut_off_by_the_image_is_vague_along_that_side():
    site = square()
    whole = Detections(time=[0.0], camera=["A"], box=[[900.0, 700.0, 980.0, 1000.0]])
    cut = whole.replace(box=[[900.0, 780.0, 980.0, 1079.5]])
    tight, vague = (project_to_ground(rows, site)[0] for rows in (whole, cut))
    assert np.trace(vague.cov[0]) > 20 * np.trace(tight.cov[0])  # 100 times measured


def test_the_order_of_rows_does_not_matter(rng):
    site = square(DISTORTED)
    rows = feet_seen(site, np.column_stack([rng.uniform(-5, 5, (20, 2)), np.zeros(20)]), 0.0, rng)
    shuffled = rng.permutation(len(rows))
    straight, _ = project_to_ground(rows, site)
    mixed, _ = project_to_ground(rows.take(shuffled), site)
    assert straight.take(shuffled) == mixed


def test_a_moved_site_moves_its_points(rng):
    """Turned by 40 degrees and shifted, everything turns and shifts with it."""
    site = square()
    turn = Rotation.from_euler("z", 40, degrees=True)
    moved_from_site = RigidTransform.from_components([100.0, -50.0, 0.0], turn)
    moved = site.with_cameras(
        Camera(c.name, c.lens, c.size, c.cam_from_world * moved_from_site.inv(), c.calib_cov) for c in site.cameras
    )
    rows = feet_seen(site, np.column_stack([rng.uniform(-5, 5, (9, 2)), np.zeros(9)]), 0.0, rng)
    here, _ = project_to_ground(rows, site)
    there, _ = project_to_ground(rows, moved)
    matrix = turn.as_matrix()[:2, :2]
    assert np.allclose(here.xy @ matrix.T + [100.0, -50.0], there.xy, atol=1e-8)
    assert np.allclose(matrix @ (here.cov + here.bias_cov) @ matrix.T, there.cov + there.bias_cov, atol=1e-9)


def test_the_nearest_level_under_the_ray_wins():
    upper = Level("upper", (Surface(plane=(0.0, 0.0, 3.0)),))
    lower = Level("lower", (Surface(),))
    site = Site("two", (camera("A", (0.0, 0.0, 6.0), (10.0, 0.0, 0.0)),), SiteMap((lower, upper)))
    points, _ = project_to_ground(Detections(time=[0.0], camera=["A"], box=[[900, 500, 950, 700]]), site)
    assert points.level.tolist() == ["upper"]


def test_no_rows_give_no_points():
    points, dropped = project_to_ground(Detections(), square())
    assert len(points) == len(dropped) == 0


def test_options_outside_their_range_are_refused_by_name():
    with pytest.raises(InputError, match="max_sigma"):
        ProjectionOptions(max_sigma=-1.0)
