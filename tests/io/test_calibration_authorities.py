"""Other programs read what is written here, and what they write is read: pycolmap, OpenCV, ROS, Kalibr, Metropolis."""

import json
from pathlib import Path

import numpy as np
import pytest
from calibration_samples import HOLDS, LENSES, SIZE, ring
from outside import opencv

from geoloc.errors import InputError
from geoloc.io.calibrations import CameraOptions, read_cameras, write_cameras
from geoloc.io.colmap import MODELS
from geoloc.scene.camera import Camera

PIXELS = 1e-6  # px
HALF = 0.5  # px, from OpenCV's origin to COLMAP's
PARAMS = {
    "f": 1000.25,
    "fx": 1000.25,
    "fy": 1010.5,
    "cx": 641.25,
    "cy": 350.625,
    "k1": 0.05,
    "k2": -0.02,
    "p1": 1e-3,
    "p2": -2e-3,
    "k3": 0.01,
    "k4": 0.02,
    "k5": 0.01,
    "k6": -0.01,
}


def colmap_pixels(model: object, image: object, points: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of points (N, 3) as pycolmap projects them, moved to OpenCV's origin."""
    in_camera = points @ image.cam_from_world().rotation.matrix().T + image.cam_from_world().translation
    return np.asarray(model.cameras[image.camera_id].img_from_cam(in_camera)) - HALF


@pytest.mark.parametrize("kind", ["colmap", "colmap_binary"])
@pytest.mark.parametrize("lens", HOLDS["colmap"])
def test_pycolmap_sees_the_same_pixels(tmp_path: Path, rng: np.random.Generator, kind: str, lens: str) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    given, points = ring(LENSES[lens]), rng.uniform([-4, -4, 0], [4, 4, 2], (50, 3))
    write_cameras(tmp_path, given, kind)
    model = pycolmap.Reconstruction(tmp_path)
    images = {image.name: image for image in model.images.values()}
    assert images.keys() == {camera.name for camera in given}
    for camera in given:
        np.testing.assert_allclose(
            colmap_pixels(model, images[camera.name], points), camera.project(points), atol=PIXELS
        )


@pytest.mark.parametrize("write", ["write_text", "write_binary"])
@pytest.mark.parametrize("name", MODELS)
def test_what_pycolmap_writes_has_its_pixels(tmp_path: Path, rng: np.random.Generator, write: str, name: str) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    if not hasattr(pycolmap.CameraModelId, name):
        pytest.skip(f"this pycolmap has no {name}")
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig, options.num_points3D = 2, 1, 3, 20
    options.camera_model_id = getattr(pycolmap.CameraModelId, name)
    options.camera_params = [PARAMS[key] for key in MODELS[name].names]
    model = pycolmap.synthesize_dataset(options)
    getattr(model, write)(str(tmp_path))
    points = rng.uniform(-1, 1, (50, 3))
    found = {camera.name: camera for camera in read_cameras(tmp_path)}
    assert len(found) == 6
    for image in model.images.values():
        camera = found[image.name.removesuffix(".png")]
        np.testing.assert_allclose(camera.project(points), colmap_pixels(model, image, points), atol=PIXELS)
        assert camera.size == (model.cameras[image.camera_id].width, model.cameras[image.camera_id].height)


def test_a_model_of_colmap_that_no_lens_here_is_like_is_refused_by_name(tmp_path: Path) -> None:
    write_cameras(tmp_path, ring(LENSES["pinhole"]), "colmap")
    text = (tmp_path / "cameras.txt").read_text()
    (tmp_path / "cameras.txt").write_text(text.replace("1 PINHOLE", "1 FOV").replace("\n2", " 0.5\n2"))
    with pytest.raises(InputError, match="'FOV'"):
        read_cameras(tmp_path)


@pytest.mark.parametrize("ending", ["yaml", "xml", "json"])
@pytest.mark.parametrize("lens", HOLDS["opencv"])
def test_opencv_projects_to_the_same_pixels(tmp_path: Path, rng: np.random.Generator, ending: str, lens: str) -> None:
    cv2 = opencv()
    (camera, *_), points = ring(LENSES[lens]), rng.uniform([-4, -4, 0], [4, 4, 2], (50, 3))
    write_cameras(tmp_path / f"gate.{ending}", (camera,), "opencv")
    storage = cv2.FileStorage(str(tmp_path / f"gate.{ending}"), cv2.FileStorage_READ)
    matrix, rotation, translation = (storage.getNode(key).mat() for key in ("camera_matrix", "R", "T"))
    rvec = cv2.Rodrigues(rotation)[0]
    if lens == "fisheye":
        given = storage.getNode("fisheye_coefficients").mat()
        found, _ = cv2.fisheye.projectPoints(points[:, None], rvec, translation, matrix, given)
    else:
        found, _ = cv2.projectPoints(
            points, rvec, translation, matrix, storage.getNode("distortion_coefficients").mat()
        )
    assert (storage.getNode("image_width").real(), storage.getNode("image_height").real()) == SIZE
    np.testing.assert_allclose(found[:, 0], camera.project(points), atol=PIXELS)


def test_a_chain_of_kalibr_hangs_on_the_camera_that_is_known(tmp_path: Path, rng: np.random.Generator) -> None:
    """As Kalibr writes it: no T_cn_cnm1 of cam0, block lists, an IMU that is passed over."""
    given, points = ring(LENSES["radtan4"]), rng.uniform([-4, -4, 0], [4, 4, 2], (50, 3))
    write_cameras(tmp_path / "chain.yaml", given, "kalibr")
    text = (tmp_path / "chain.yaml").read_text()
    start, end = text.index("  T_cn_cnm1:"), text.index("  resolution")
    plain = text[:start] + "  timeshift_cam_imu: -1e-05\n  cam_overlaps: [1]\n" + text[end:]
    (tmp_path / "chain.yaml").write_text(plain)
    with pytest.raises(InputError, match="calibrate its pose"):
        read_cameras(tmp_path / "chain.yaml")
    found = read_cameras(tmp_path / "chain.yaml", options=CameraOptions(known=given[:1]))
    for new, old in zip(found, given, strict=True):
        np.testing.assert_allclose(new.project(points), old.project(points), atol=PIXELS)


CAMERA_INFO = """image_width: 640
image_height: 480
camera_name: narrow
camera_matrix:
  rows: 3
  cols: 3
  data: [438.78, 0.0, 305.58,
         0.0, 437.30, 243.74,
         0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.3611, 0.1153, 1e-05, -8.5E-4, 0]
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix:
  rows: 3
  cols: 4
  data: [393.65, 0, 322.80, 0, 0, 393.65, 241.09, 0, 0, 0, 1, 0]
"""


def test_a_camera_info_as_ros_writes_it_is_read_with_all_its_numbers(tmp_path: Path) -> None:
    """1e-05, which YAML 1.1 takes for text, too."""
    (tmp_path / "ost.yaml").write_text(CAMERA_INFO)
    known = Camera("narrow", LENSES["pinhole"], SIZE, ring(LENSES["pinhole"])[0].cam_from_world)
    (found,) = read_cameras(tmp_path / "ost.yaml", options=CameraOptions(known=(known,)))
    assert found.size == (640, 480)
    np.testing.assert_allclose(found.lens.params, [438.78, 437.30, 305.58, 243.74, -0.3611, 0.1153, 1e-5, -8.5e-4, 0.0])


def test_what_a_camera_info_cannot_mean_is_refused(tmp_path: Path) -> None:
    known = CameraOptions(known=(Camera("narrow", LENSES["pinhole"], SIZE, ring(LENSES["pinhole"])[0].cam_from_world),))
    for old, new, words in (
        ("plumb_bob", "plumbob", "did you mean 'plumb_bob'"),
        ("cols: 5", "cols: 4", "1 x 4"),
        ("-8.5E-4, 0]", "-8.5E-4]", "1 x 5"),
        ("640", "0", "counts of pixels"),
        ("0.0, 1.0]", "0.0, *x]", "alias"),
        ("[438.78, 0.0", "[438.78, 5.0", "skew"),
    ):
        (tmp_path / "ost.yaml").write_text(CAMERA_INFO.replace(old, new, 1))
        with pytest.raises(InputError, match=words):
            read_cameras(tmp_path / "ost.yaml", options=known)


def sensor(**changes: object) -> dict:
    """One of a Metropolis calibration: 5 m before the origin."""
    return {
        "type": "camera",
        "id": "Camera_01",
        "scaleFactor": 20.0,
        "translationToGlobalCoordinates": {"x": 11.0, "y": 7.0},
        "attributes": [{"name": "frameWidth", "value": "1920"}, {"name": "frameHeight", "value": "1080"}],
        "intrinsicMatrix": [[1000.0, 0.0, 960.0], [0.0, 1000.0, 540.0], [0.0, 0.0, 1.0]],
        "extrinsicMatrix": [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 2.0], [0.0, 1.0, 0.0, 5.0]],
        "cameraMatrix": [[200.0, 192.0, 0.0, 960.0], [0.0, 108.0, -200.0, 940.0], [0.0, 0.2, 0.0, 1.0]],
        **changes,
    }


def test_a_metropolis_calibration_is_read_from_its_matrices_whatever_their_scale(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    whole = sensor()
    path.write_text(json.dumps({"version": "1.0", "calibrationType": "cartesian", "sensors": [whole]}))
    (camera,) = read_cameras(path)
    assert (camera.name, camera.size) == ("Camera_01", (1920, 1080))
    np.testing.assert_allclose(camera.centre_world, [0.0, -5.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(camera.project(np.array([[0.0, 0.0, 0.0]])), [[960.0, 940.0]], atol=1e-9)
    del whole["intrinsicMatrix"]
    path.write_text(json.dumps({"sensors": [whole]}))
    (from_projection,) = read_cameras(path)
    np.testing.assert_allclose(from_projection.lens.params, camera.lens.params, rtol=1e-9)
    np.testing.assert_allclose(from_projection.centre_world, camera.centre_world, atol=1e-9)


def test_what_a_metropolis_calibration_cannot_mean_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    turned = np.linalg.inv(np.vstack([sensor()["extrinsicMatrix"], [0, 0, 0, 1]]))[:3].tolist()
    for change, words in (
        ({"extrinsicMatrix": turned}, "from the world to the camera"),
        ({"distCoeffs": [0.1, 0, 0, 0, 0]}, "rectify"),
        ({"id": ""}, "text"),
        ({"attributes": [{"name": "frameWidth", "value": "wide"}, {"name": "frameHeight", "value": "2"}]}, "wide"),
        ({"type": "lidar"}, "no camera"),
    ):
        path.write_text(json.dumps({"sensors": [sensor(**change)]}))
        with pytest.raises(InputError, match=words):
            read_cameras(path)
    path.write_text(json.dumps({"calibrationType": "geo", "sensors": [sensor()]}))
    with pytest.raises(InputError, match="cartesian"):
        read_cameras(path)


def test_a_deepstream_matrix_from_the_images_middle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cam.yml").write_text("%YAML:1.0\n---\nprojectionMatrix_3x4: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]\n")
    with pytest.raises(InputError, match="middle"):
        read_cameras(tmp_path / "cam.yml", "mv3dt", CameraOptions(size=SIZE))
