"""Every form of calibration gives back the camera that was written, by its pixels."""

import json
from pathlib import Path

import numpy as np
import pytest
from outside import opencv
from scipy.spatial.transform import Rotation

from geoloc.errors import InputError, UnknownNameError
from geoloc.geometry.geodesy import Datum, enu_from_geodetic, geodetic_from_enu
from geoloc.geometry.se3 import look_at
from geoloc.io.calibrations import CAMERA_READERS, CameraOptions, read_cameras
from geoloc.io.homographies import apply_homography, geodetic_from_metric
from geoloc.io.matrices import camera_from_projection
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography, Pinhole, RadialTangential

SIZE = (1280, 720)
K = np.array([[1000.0, 0.0, 640.0], [0.0, 1010.0, 360.0], [0.0, 0.0, 1.0]])
DISTORTION = np.array([-0.2, 0.05, 0.001, -0.002, 0.01])
POSE = look_at([1.0, -12.0, 6.0], [2.0, 3.0, 0.0])
POINTS = np.array([[2.0, 3.0, 0.0], [0.0, 1.0, 0.5], [4.0, 8.0, 0.0], [-3.0, 5.0, 1.7]])
GROUND = POINTS[:, :2]
PIXELS = Camera("c", RadialTangential(np.array([1000, 1010, 640, 360, *DISTORTION])), SIZE, POSE).project(
    POINTS
)
PINHOLE_PIXELS = Camera("c", Pinhole(np.array([1000.0, 1010, 640, 360])), SIZE, POSE).project(
    np.column_stack([GROUND, np.zeros(4)])
)
R, T = POSE.rotation.as_matrix(), POSE.translation
RVEC = POSE.rotation.as_rotvec()
PIXEL_FROM_GROUND = K @ np.column_stack([R[:, 0], R[:, 1], T])


def matrix_xml(name: str, matrix: np.ndarray) -> str:
    rows, cols = np.atleast_2d(matrix).shape
    data = " ".join(f"{value!r}" for value in np.asarray(matrix, float).ravel().tolist())
    return (
        f'<{name} type_id="opencv-matrix"><rows>{rows}</rows><cols>{cols}</cols><dt>d</dt>'
        f"<data>\n  {data}</data></{name}>"
    )


def xml(*parts: str) -> str:
    return f'<?xml version="1.0"?>\n<opencv_storage>\n{"".join(parts)}</opencv_storage>\n'


def make_opencv(folder: Path) -> Path:
    """As OpenCV writes it, so that its form and not our idea of it is read."""
    cv2 = opencv()

    path = folder / "camera.yml"
    storage = cv2.FileStorage(str(path), cv2.FileStorage_WRITE)
    storage.write("calibration_time", "Mon 01 Jan 2024")
    storage.write("camera_matrix", K)
    storage.write("distortion_coefficients", DISTORTION[None])
    storage.write("rvec", RVEC[:, None])
    storage.write("tvec", T[:, None])
    storage.write("image_width", SIZE[0])
    storage.write("image_height", SIZE[1])
    storage.release()
    return path


def make_krtd(folder: Path) -> Path:
    blocks = [K, R, T[None], DISTORTION[None]]
    text = "\n\n".join("\n".join(" ".join(map(repr, row.tolist())) for row in block) for block in blocks)
    (folder / "camera.krtd").write_text(text + "\n")
    return folder / "camera.krtd"


def make_pairs(folder: Path, scale: float = 1.0) -> Path:
    for name in ("intrinsic", "extrinsic"):
        (folder / name).mkdir()
    inner = xml(matrix_xml("camera_matrix", K), matrix_xml("distortion_coefficients", DISTORTION))
    (folder / "intrinsic" / "intr_A.xml").write_text(inner)
    vectors = (
        f"<{n}>{' '.join(map(repr, v.tolist()))}</{n}>" for n, v in (("rvec", RVEC), ("tvec", T * scale))
    )
    (folder / "extrinsic" / "extr_A.xml").write_text(xml(*vectors))
    return folder


def make_homography(folder: Path, matrix: np.ndarray = PIXEL_FROM_GROUND) -> Path:
    path = folder / "camera.txt"
    path.write_text("\n".join(" ".join(map(repr, row)) for row in matrix.tolist()))
    return path


@pytest.mark.parametrize(
    ("kind", "make"), [("opencv", make_opencv), ("krtd", make_krtd), ("xml_pairs", make_pairs)]
)
def test_a_posed_camera_comes_back(tmp_path, kind, make):
    path = make(tmp_path)
    options = CameraOptions(name="gate", size=SIZE, pose_sigma=(0.001, 0.02))
    for cameras in (read_cameras(path, kind, options), read_cameras(path, options=options)):
        (camera,) = cameras
        assert camera.name == "gate"
        assert camera.size == SIZE
        np.testing.assert_allclose(camera.project(POINTS), PIXELS, atol=1e-6)
        np.testing.assert_allclose(np.sqrt(np.diag(camera.calib_cov)), [0.001] * 3 + [0.02] * 3)


@pytest.mark.parametrize("ending", ["xml", "json"])
def test_opencv_xml_and_json_are_read_like_yaml(tmp_path, ending):
    cv2 = opencv()

    path = tmp_path / f"camera.{ending}"
    storage = cv2.FileStorage(str(path), cv2.FileStorage_WRITE)
    for name, value in (
        ("camera_matrix", K),
        ("distortion_coefficients", DISTORTION[None]),
        ("R", R),
        ("T", T),
    ):
        storage.write(name, value)
    storage.release()
    (camera,) = read_cameras(path, options=CameraOptions(size=SIZE))
    np.testing.assert_allclose(camera.project(POINTS), PIXELS, atol=1e-6)


def test_centimetres_become_metres(tmp_path):
    (camera,) = read_cameras(make_pairs(tmp_path, 100.0), options=CameraOptions(size=SIZE, metres=0.01))
    np.testing.assert_allclose(camera.centre_world, [1.0, -12.0, 6.0], atol=1e-9)


def test_a_left_handed_world_is_refused_and_mirrored_on_request(tmp_path):
    """A file of a left-handed world puts the ground behind the camera, where it has the same pixels."""
    mirrored = np.diag([1.0, -1.0, 1.0])
    turned = Rotation.from_matrix(-R @ mirrored)
    folder = make_pairs(tmp_path)
    vectors = (
        f"<{n}>{' '.join(map(repr, v.tolist()))}</{n}>"
        for n, v in (("rvec", turned.as_rotvec()), ("tvec", -T))
    )
    (folder / "extrinsic" / "extr_A.xml").write_text(xml(*vectors))
    with pytest.raises(InputError, match="left-handed"):
        read_cameras(folder, options=CameraOptions(size=SIZE))
    (camera,) = read_cameras(folder, options=CameraOptions(size=SIZE, left_handed=True))
    np.testing.assert_allclose(camera.project(POINTS), PIXELS, atol=1e-6)


@pytest.mark.parametrize("back", [False, True])
def test_a_plain_homography_maps_metres_to_pixels_in_both_directions(tmp_path, back):
    matrix = np.linalg.inv(PIXEL_FROM_GROUND) if back else PIXEL_FROM_GROUND
    options = CameraOptions(size=SIZE, ground_from_pixel=back, sigma_px=2.0, level="lot")
    (camera,) = read_cameras(make_homography(tmp_path, matrix), options=options)
    assert isinstance(camera.lens, Homography)
    assert (camera.homography_level, camera.homography_sigma_px) == ("lot", 2.0)
    np.testing.assert_allclose(apply_homography(camera.lens.matrix, GROUND), PINHOLE_PIXELS, atol=1e-6)


DATUM = Datum(42.5256, -90.7236, 0.0)


def test_a_homography_from_latitude_and_longitude_keeps_its_digits(tmp_path):
    lat_lon_from_metric = geodetic_from_metric(DATUM)
    matrix = PIXEL_FROM_GROUND @ np.linalg.inv(lat_lon_from_metric)
    rows = ";".join(" ".join(map(repr, row)) for row in (matrix / matrix[2, 2]).tolist())
    path = tmp_path / "c002.txt"
    path.write_text(f"Homography matrix: {rows}\nReprojection error: 3.5\n")
    with pytest.raises(InputError, match="datum"):
        read_cameras(path, options=CameraOptions(size=SIZE))
    (camera,) = read_cameras(path, options=CameraOptions(size=SIZE, datum=DATUM))
    assert camera.homography_sigma_px == 3.5
    np.testing.assert_allclose(apply_homography(camera.lens.matrix, GROUND), PINHOLE_PIXELS, atol=1e-3)


def test_the_tangent_plane_is_affine_in_degrees_to_millimetres_over_300_m():
    """Within 150 m of the datum: measured 3.2 mm at the corners, 0.014 mm within 10 m."""
    for half, limit in ((150.0, 4e-3), (10.0, 2e-5)):
        x, y = np.meshgrid(np.linspace(-half, half, 13), np.linspace(-half, half, 13))
        enu = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
        lat, lon, _ = geodetic_from_enu(DATUM, enu)
        exact = enu_from_geodetic(DATUM, lat, lon, 0.0)[:, :2]
        affine = apply_homography(np.linalg.inv(geodetic_from_metric(DATUM)), np.stack([lat, lon], axis=1))
        worst = np.abs(affine - exact).max()
        assert worst < limit, worst


def test_a_projection_is_taken_apart_into_lens_and_pose():
    for sign in (1.0, -3.0):  # its scale and sign are free
        lens, pose = camera_from_projection(sign * K @ np.column_stack([R, T]), "test")
        np.testing.assert_allclose(lens.params, [1000, 1010, 640, 360], rtol=1e-9)
        np.testing.assert_allclose(pose.as_matrix(), POSE.as_matrix(), atol=1e-9)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ("1 2 3\n4 5 6\n7 8 9\n", "homography", "singular"),
        ("1 2 3\n4 5 6\n", "homography", "nine numbers"),
        ("1 2 3 4 5", "krtd", "5 numbers"),
        ("%YAML:1.0\n---\nK: 5\n", "opencv", "none of rvec"),
        (
            "%YAML:1.0\n---\nK: !!opencv-matrix\n   rows: 3\n   cols: 3\n   data: [ 1, 2",
            "opencv",
            "truncated",
        ),
        ("<opencv_storage><rvec>", "opencv", "truncated"),
        ("Homography matrix: 1 2 3;4 5 6\n", "homography_latlon", "not a homography file"),
    ],
)
def test_what_is_no_calibration_says_why(tmp_path, content, kind, words):
    path = tmp_path / "camera"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_cameras(path, kind, CameraOptions(size=SIZE, datum=DATUM))


def test_a_rotation_that_is_none_is_refused(tmp_path):
    for bad, words in ((2 * R, "orthonormal"), (R * [1, 1, -1], "reflection")):
        blocks = [K, bad, T[None]]
        text = "\n".join(" ".join(map(repr, row.tolist())) for block in blocks for row in block)
        (tmp_path / "camera.krtd").write_text(text)
        with pytest.raises(InputError, match=words):
            read_cameras(tmp_path / "camera.krtd", options=CameraOptions(size=SIZE))


def test_skew_is_refused(tmp_path):
    skewed = K + np.array([[0, 5.0, 0], [0, 0, 0], [0, 0, 0]])
    text = "\n".join(" ".join(map(repr, row.tolist())) for block in (skewed, R, T[None]) for row in block)
    (tmp_path / "camera.krtd").write_text(text)
    with pytest.raises(InputError, match="skew"):
        read_cameras(tmp_path / "camera.krtd", options=CameraOptions(size=SIZE))


def test_a_missing_size_is_asked_for(tmp_path):
    with pytest.raises(InputError, match="size="):
        read_cameras(make_krtd(tmp_path))


def test_unknown_kinds_and_looks_list_the_known(tmp_path):
    (tmp_path / "x").write_text(json.dumps([1, 2]))
    with pytest.raises(UnknownNameError, match="krtd"):
        read_cameras(tmp_path / "x", "krt")
    with pytest.raises(InputError, match=", ".join(CAMERA_READERS)):
        read_cameras(tmp_path / "x")
