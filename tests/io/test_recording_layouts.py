"""The recordings' layouts with other parts in them: cameras, frames, scenes, slots; and damaged ones."""

import gzip
import json

import numpy as np
import pytest
from meva_sample import make_meva

from geoloc.errors import InputError, UnknownNameError
from geoloc.io.cityflow import read_cityflow, read_cityflow_truth
from geoloc.io.cmc import read_cmc, read_matlab_matrix
from geoloc.io.meva import meva_slots, read_meva
from geoloc.io.multiviewx import read_multiviewx, read_multiviewx_truth
from geoloc.io.wildtrack import read_wildtrack, read_wildtrack_truth

INTRINSIC = """<?xml version="1.0"?>
<opencv_storage>
<camera_matrix type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt>
  <data>1000. 0. 960. 0. 1000. 540. 0. 0. 1.</data></camera_matrix>
<distortion_coefficients type_id="opencv-matrix"><rows>5</rows><cols>1</cols><dt>d</dt>
  <data>0 0 0 0 0</data></distortion_coefficients>
</opencv_storage>
"""


def write_pair(folder, inner: str, name: str, rvec: str, tvec: str) -> None:
    (folder / inner).mkdir(parents=True, exist_ok=True)
    (folder / "extrinsic").mkdir(parents=True, exist_ok=True)
    (folder / inner / f"intr_{name}.xml").write_text(INTRINSIC)
    text = f"<opencv_storage><rvec>{rvec}</rvec><tvec>{tvec}</tvec></opencv_storage>"
    (folder / "extrinsic" / f"extr_{name}.xml").write_text(text)


def test_wildtrack_with_other_cameras_and_frames(tmp_path):
    """Only C5 (IDIAP1); frames beyond the recording's; an empty frame."""
    # looks north, 30 degrees down, from 2 m above the origin
    write_pair(tmp_path / "calibrations", "intrinsic_zero", "IDIAP1", "2.0943951 0 0", "0 173.20508 100")
    (tmp_path / "mvdetr_boxes.json").write_text('{"400": [[10, 20, 30, 40, -1, 4]], "401": []}')
    (tmp_path / "positions.txt").write_text("2000 120 360\n2005 0 1439\n")
    site, found = read_wildtrack(tmp_path)
    assert list(site.camera_index) == ["C5"]
    np.testing.assert_allclose(site.camera("C5").centre_world, [0, 0, 2.0], atol=1e-6)
    assert found.time.tolist() == [200.0]
    assert found.box.tolist() == [[10, 20, 40, 60]]
    truth = read_wildtrack_truth(tmp_path)
    np.testing.assert_allclose(truth.xy, [[0.0, 0.0], [-3.0, 26.975]])
    assert truth.time.tolist() == [200.0, 200.5]


def test_wildtrack_damage_is_refused_by_name(tmp_path):
    write_pair(tmp_path / "calibrations", "intrinsic_zero", "CVLab1", "2.0943951 0 0", "0 173 100")
    boxes = tmp_path / "mvdetr_boxes.json"
    boxes.write_text('{"400": [[10, 20, -30, 40, -1, 0]]}')
    with pytest.raises(InputError, match=r"damaged.*no positive width"):
        read_wildtrack(tmp_path)
    boxes.write_text('{"400": [[10, 20, 30, 40')
    with pytest.raises(InputError, match="truncated"):
        read_wildtrack(tmp_path)
    (tmp_path / "positions.txt").write_text("2000 120 360\n2005 12")
    with pytest.raises(InputError, match="line 2"):
        read_wildtrack_truth(tmp_path)
    write_pair(tmp_path / "calibrations", "intrinsic_zero", "Roof", "2.0943951 0 0", "0 173 100")
    with pytest.raises(InputError, match="no camera of WILDTRACK"):
        read_wildtrack(tmp_path)


def test_multiviewx_with_other_frames(tmp_path):
    """A frame number beyond those given, one person seen by one of two views, one by none."""
    # a left-handed world: the calibration puts the ground behind the camera
    write_pair(tmp_path / "calibrations", "intrinsic", "Camera1", "0 2.0943951 0", "0 0 -5")
    (tmp_path / "annotations_positions").mkdir()
    edges = ("xmin", "ymin", "xmax", "ymax")
    seen = {"viewNum": 0, **dict(zip(edges, (5, 6, 15, 46), strict=True))}
    unseen = {"viewNum": 1, **dict.fromkeys(edges, -1)}
    people = [
        {"personID": 3, "positionID": 243441, "views": [seen, unseen]},
        {"personID": 8, "positionID": 0, "views": [unseen]},
    ]
    (tmp_path / "annotations_positions" / "00371.json").write_text(json.dumps(people))
    site, found = read_multiviewx(tmp_path)
    assert list(site.camera_index) == ["C1"]
    assert (found.time.tolist(), found.camera.tolist()) == ([185.5], ["C1"])
    truth = read_multiviewx_truth(tmp_path)
    np.testing.assert_allclose(truth.xy, [[11.025, 16 - 6.075], [0.0, 16.0]])
    assert truth.id.tolist() == [3, 8]


def make_cityflow(folder, camera: str = "c017", scene: str = "S09"):
    (folder / "calibration").mkdir(parents=True)
    (folder / "gt").mkdir()
    # 10 px a metre, north up, around 42.5 N, 90.7 W
    scale = 1e6
    rows = f"0 {scale} {scale * 90.7 + 960};-{scale} 0 {scale * 42.5 + 540};0 0 1"
    (folder / "calibration" / f"{camera}.txt").write_text(
        f"Homography matrix: {rows}\nReprojection error: 4.5\n"
    )
    (folder / f"cam_timestamp_{scene}.txt").write_text(f"{camera} 2.5\n")
    (folder / "gt" / f"{scene}_{camera}.txt").write_text(f"{int(camera[1:])} 4 11 100 200 1820 880 -1 -1\n")
    return folder


def test_cityflow_with_another_scene_plain_text_and_no_still(tmp_path):
    site, found = read_cityflow(make_cityflow(tmp_path))
    (camera,) = site.cameras
    assert (camera.name, camera.size, camera.homography_sigma_px) == ("c017", (1920, 1080), 4.5)
    assert found.time.tolist() == [3.5]  # starts at 2.5 s; frame 11 is one second later
    assert found.box.tolist() == [[99.5, 199.5, 1919.5, 1079.5]]
    assert read_cityflow_truth(tmp_path).id.tolist() == [4]


def test_cityflow_without_a_start_of_its_camera_is_refused(tmp_path):
    folder = make_cityflow(tmp_path)
    (folder / "cam_timestamp_S09.txt").write_text("c001 0\n")
    with pytest.raises(InputError, match="when camera c017 starts"):
        read_cityflow(folder)
    with pytest.raises(InputError, match="'gt' or 'tracks'"):
        read_cityflow(folder, "boxes")


def test_meva_slots_are_found_by_what_lies_there(tmp_path):
    folder = make_meva(tmp_path)
    assert meva_slots(folder) == ["slot"]
    with pytest.raises(UnknownNameError, match="did you mean 'slot'"):
        read_meva(folder, "slots")


def test_meva_subsampling_takes_the_nearest_frame_whatever_the_phase(tmp_path):
    """A clip that starts 12 ms off the grid: its frames stay within half a frame of the grid's instants."""
    folder = make_meva(tmp_path)
    header = "frame,time_s,track_id,object_id,type,x1,y1,x2,y2,key\n"
    rows = "".join(f"{f},{0.012 + f / 30:.3f},1,1,person,5,5,9,9,1\n" for f in range(300))
    (folder / "tracks" / "slot" / "G1.csv.gz").write_bytes(gzip.compress((header + rows).encode()))
    _, found = read_meva(folder, "slot", every_s=0.25)
    grid = 0.25 * np.rint(found.time / 0.25)
    assert np.array_equal(np.unique(grid), 0.25 * np.arange(41)[: len(found)])
    assert np.abs(found.time - grid).max() < 0.018
    assert len(found) >= 40


def test_meva_damage_is_refused_by_name(tmp_path):
    folder = make_meva(tmp_path)
    file = folder / "tracks" / "slot" / "G1.csv.gz"
    text = gzip.decompress(file.read_bytes()).decode()
    file.write_bytes(gzip.compress((text + "12,13").encode()))
    with pytest.raises(InputError, match="line 122 has 2 cells"):
        read_meva(folder, "slot")
    file.write_bytes(gzip.compress(text.replace("time_s", "when").encode()))
    with pytest.raises(InputError, match="time_s"):
        read_meva(folder, "slot")
    file.write_bytes(gzip.compress(text.encode())[:-30])
    with pytest.raises(InputError, match=r"G1\.csv\.gz: cannot be read"):
        read_meva(folder, "slot")


def test_cmc_damage_is_refused_by_name(tmp_path):
    matrix = tmp_path / "cam.mat"
    matrix.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(200))
    with pytest.raises(InputError, match="no compact 3 x 4 matrix"):
        read_matlab_matrix(matrix)
    matrix.write_bytes(b"hello")
    with pytest.raises(InputError, match="not a MATLAB file"):
        read_matlab_matrix(matrix)
    with pytest.raises(InputError, match="no camera matrix"):
        read_cmc(tmp_path)


def test_pickled_arrays_are_never_unpacked(tmp_path):
    from geoloc.io.detections import ReadOptions, read_detections

    np.savez(tmp_path / "Cam_1.npz", **{"0": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(InputError, match="not an archive of numbered arrays"):
        read_detections(tmp_path / "Cam_1.npz", options=ReadOptions(fps=4.0))
