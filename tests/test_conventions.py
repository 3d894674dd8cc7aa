"""The conventions: their words in the README, and that the code follows them."""

import re
from pathlib import Path

import numpy as np
import pytest
from outside import opencv
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc import (
    Camera,
    Datum,
    Detections,
    GroundPoints,
    InputError,
    Level,
    Objects,
    Pinhole,
    RadialTangential,
    ReadOptions,
    Surface,
    Tracks,
    read_detections,
)
from geoloc.files import read_json
from geoloc.geometry.geodesy import enu_from_geodetic, geodetic_from_enu
from geoloc.geometry.se3 import look_at, perturb
from geoloc.scene.storage import load_site

ROOT = Path(__file__).resolve().parents[1]
CONVENTIONS = {
    "pixel": "u right, v down; (0, 0) is the **centre** of the top-left pixel (OpenCV). Formats with corner "
    "origin (COLMAP, most box formats' edges) are shifted by 0.5 in their adapter and nowhere else",
    "camera axes": "x right, y down, z forward",
    "world": "ENU metres (x east, y north, z up), right-handed, origin at the map's datum (WGS84 lat, lon, "
    "ellipsoidal height). A local tangent plane, never scaled degrees",
    "ground": "world `xy` + the name of a level; the level's surface gives z (planes, ramps)",
    "geodetic": "degrees only in `geometry/geodesy` and `io/`; GeoJSON is lon, lat",
    "time": "UTC Unix seconds, float64; never frame numbers past the readers",
    "transforms": "`target_from_source`, so products chain: `c_from_a = c_from_b * b_from_a`. SciPy's "
    "`RigidTransform` and `Rotation`; no pose class of our own; rotations are composed, never Euler angles added",
    "pose perturbation": "`exp(ξ) * cam_from_world`, ξ = rotation (rad) then translation (m); all 6×6 "
    "covariances use it",
    "units": "bare names are SI and radians; anything else carries a suffix: `_px`, `_deg`, `_ms`",
    "names": "points say their frame (`points_world`, `rays_cam`, `pixels`); counts `n_`; sigma is a standard "
    'deviation, `cov` a covariance, "error" is only a difference from truth',
    "verbs": "`project`, `unproject`, `triangulate`, `associate`, `fuse`, `predict`, `update`, `estimate_*` "
    "(robust), `refine_*` (non-linear), `search`, `rerank`, `load/save` (own formats), `read/write` (foreign), "
    "`evaluate`",
}
LENS = Pinhole(np.array([1000.0, 1000.0, 959.5, 539.5]))


def test_the_readmes_table_is_these_conventions_word_for_word() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Conventions\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z ]+) \| (.*) \|$", section, flags=re.MULTILINE)
    assert dict(rows) == CONVENTIONS


def test_pixels_are_opencvs() -> None:
    cv2 = opencv()
    lens = RadialTangential(np.array([1000.0, 990.0, 955.0, 545.0, -0.2, 0.05, 1e-3, -5e-4]))
    points = np.array([[0.5, -0.3, 4.0], [-1.0, 0.8, 6.0]])
    matrix = np.array([[1000.0, 0, 955], [0, 990, 545], [0, 0, 1]])
    theirs = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, lens.params[4:])[0].reshape(-1, 2)
    np.testing.assert_allclose(lens.project(points), theirs, atol=1e-9)


def test_the_first_pixels_centre_is_zero_and_the_image_begins_half_a_pixel_before_it() -> None:
    camera = Camera("c", LENS, (1920, 1080))
    corners = np.array([[-0.5, -0.5], [1919.5, 1079.5], [-0.6, 0.0], [1919.6, 0.0]])
    assert camera.inside(corners).tolist() == [True, True, False, False]


def test_boxes_that_count_from_the_images_corner_are_shifted_by_half_a_pixel(tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text('[{"image_id": "c_1", "bbox": [0, 0, 30, 60], "score": 0.9}]')
    (tmp_path / "own.csv").write_text("time,camera,x1,y1,x2,y2\n0,c,0,0,30,60\n")
    options = ReadOptions(fps=10.0, image_pattern=r"(?P<camera>\w+)_(?P<frame>\d+)")
    assert read_detections(tmp_path / "coco.json", options=options).detections.box[0, 0] == -0.5
    assert read_detections(tmp_path / "own.csv").detections.box[0, 0] == 0.0


def test_camera_axes_are_right_down_forward() -> None:
    camera = Camera("c", LENS, (1920, 1080))
    u, v = (camera.project(np.array([[1.0, 0, 5], [0, 1.0, 5]])) - [959.5, 539.5]).tolist()
    assert (u[0] > 0, u[1]) == (True, 0)
    assert (v[0], v[1] > 0) == (0, True)
    assert np.isnan(camera.project(np.array([[0.0, 0, -5]]))).all()


def test_the_world_is_east_north_up_in_a_tangent_plane() -> None:
    datum = Datum(48.0, 11.0, 500.0)
    north, east, up = (
        enu_from_geodetic(datum, np.array(lat), np.array(lon), np.array(height))
        for lat, lon, height in ((48.001, 11.0, 500.0), (48.0, 11.001, 500.0), (48.0, 11.0, 501.0))
    )
    assert north[1] == pytest.approx(111.2, abs=0.2)
    assert east[0] == pytest.approx(74.6, abs=0.2)
    np.testing.assert_allclose(up, [0, 0, 1], atol=1e-9)
    # a plane, not scaled degrees: the Earth falls away under it, 78 mm at 1 km
    far = enu_from_geodetic(datum, np.array(48.0), np.array(11.0134), np.array(500.0))
    assert -0.09 < far[2] < -0.07
    np.testing.assert_allclose(geodetic_from_enu(datum, far)[1], 11.0134, atol=1e-10)


def test_the_levels_surface_gives_z() -> None:
    ramp = Level("ramp", (Surface(plane=(0.1, 0.0, 2.0)),))
    np.testing.assert_allclose(ramp.z_at(np.array([[0.0, 0.0], [10.0, 5.0]])), [2.0, 3.0])


def test_maps_on_disk_are_longitude_latitude() -> None:
    site = load_site("garage", ROOT)
    datum = site.site_map.datum
    assert datum is not None
    stall = next(
        feature
        for feature in read_json(ROOT / "sitemaps" / "garage.geojson")["features"]
        if feature["properties"]["kind"] == "stall"
    )
    lon, lat = stall["geometry"]["coordinates"][0][0][:2]
    assert abs(lon - datum.lon_deg) < 0.002
    assert abs(lat - datum.lat_deg) < 0.002
    assert abs(datum.lon_deg - datum.lat_deg) > 1.0  # else this could not fail


def test_degrees_are_turned_into_radians_at_the_edges_only() -> None:
    allowed = ("geometry/geodesy.py", "io/", "synthetic/", "draw/", "scene/map_storage.py", "scene/map_coordinates.py")
    allowed += ("scene/known.py",)  # bearings as people state them
    figures = ("evaluation/", "metrics/trajectory.py", "metrics/localization.py")  # for people
    figures += ("calibrate/changes.py", "calibrate/report.py", "calibrate/board_coverage.py", "calibrate/line_words.py")
    for path in (ROOT / "geoloc").rglob("*.py"):
        name = path.relative_to(ROOT / "geoloc").as_posix()
        if not name.startswith((*allowed, *figures)):
            found = re.findall(r"np\.(?:degrees|radians|deg2rad|rad2deg)|math\.(?:degrees|radians)", path.read_text())
            assert not found, name


def test_times_are_unix_seconds_in_every_table(tmp_path: Path) -> None:
    for table in (Detections, GroundPoints, Objects, Tracks):
        assert table.columns["time"].dtype is float
        assert table.columns["time"].unit == "s"
        assert not [name for name in table.columns if "frame" in name]
    (tmp_path / "ms.csv").write_text("time,camera,x1,y1,x2,y2\n1700000000000,c,0,0,30,60\n")
    assert "milliseconds" in str(read_detections(tmp_path / "ms.csv").report)


def test_products_of_transforms_chain() -> None:
    cam_from_world = look_at(np.array([3.0, -8.0, 5.0]), np.zeros(3))
    world_from_site = RigidTransform.from_components([1.0, 2.0, 0.0], Rotation.from_rotvec([0, 0, 0.3]))
    point_site = np.array([0.5, 0.2, 0.1])
    chained = (cam_from_world * world_from_site).apply(point_site)
    np.testing.assert_allclose(chained, cam_from_world.apply(world_from_site.apply(point_site)))
    assert isinstance(Camera("c", LENS, (1920, 1080), cam_from_world).cam_from_world, RigidTransform)


def test_calib_cov_is_of_the_pose_perturbation_rotation_first() -> None:
    camera = Camera("c", LENS, (1920, 1080), look_at(np.array([3.0, -8.0, 5.0]), np.zeros(3)))
    point = np.array([[0.4, 0.7, 0.0]])
    _, _, by_calib = camera.jacobians(point)
    step = 1e-6
    for i in range(6):
        xi = np.zeros(6)
        xi[i] = step
        ends = [Camera("c", LENS, (1920, 1080), perturb(camera.cam_from_world, s * xi)) for s in (1, -1)]
        plus, minus = (end.project(point)[0] for end in ends)
        np.testing.assert_allclose(by_calib[0, :, i], (plus - minus) / (2 * step), rtol=1e-4, atol=1e-3)


def test_columns_of_tables_state_their_units() -> None:
    for table in (Detections, GroundPoints, Objects, Tracks):
        for name, column in table.columns.items():
            if name in ("xy", "xyz", "velocity", "cov", "bias_cov", "box", "foot", "foot_cov"):
                assert column.unit, f"{table.__name__}.{name}"


def test_swapped_longitude_and_latitude_are_refused() -> None:
    with pytest.raises(InputError, match="swapped"):
        Datum(lat_deg=139.7, lon_deg=35.7)
