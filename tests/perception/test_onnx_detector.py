"""Networks from files: their answers land on the right pixels, whatever family they are of."""

from pathlib import Path

import numpy as np
import pytest
from perception_sites import SIZE, car_park
from tiny_onnx import cell_boxes, save_tiny

from geoloc.errors import InputError, UnknownNameError
from geoloc.perception.frames import Frame
from geoloc.perception.letterbox import Letterbox
from geoloc.perception.onnx_detector import OnnxDetector
from geoloc.perception.onnx_network import coco_names
from geoloc.perception.onnx_options import OnnxOptions
from geoloc.perception.onnx_outputs import FAMILIES, Asked, family_of, without_overlaps
from geoloc.perception.tiles import choose_tiles, ground_scale

SITE = car_park()
NAMES = ("car", "person", "truck")  # red, green, blue
ASKED = Asked((640, 640), 3, 0.3)


def bright(image: np.ndarray, box: tuple[int, int, int, int], channel: int) -> np.ndarray:
    image[box[1] : box[3], box[0] : box[2], channel] = 255
    return image


@pytest.mark.parametrize("old_layout", [False, True])
def test_a_network_s_boxes_come_back_exact_to_the_half_pixel(tmp_path: Path, old_layout: bool) -> None:
    weights = str(save_tiny(tmp_path / "tiny.onnx", old_layout))
    options = OnnxOptions(weights, classes=NAMES, least_score=0.6, side_px=64)
    detector = OnnxDetector(SITE, options)
    # 480x270 into 64x64: 64x36, below 14 rows of grey; a cell of 8 px is 60x60 px of the picture
    low = (16 - 14) * 7.5
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    bright(image, (120, round(low), 180, round(low + 60)), 2)
    bright(image, (300, round(low + 60), 360, round(low + 120)), 1)
    other = np.zeros_like(image)
    found = detector.detect([Frame("mast-0", 3.0, image), Frame("mast-1", 3.01, other)])
    assert detector.family == ("yolo5" if old_layout else "yolo8")
    assert found.label.tolist() == ["car", "person"]
    assert found.camera.tolist() == ["mast-0", "mast-0"]
    expected = [[119.5, low - 0.5, 179.5, low + 59.5], [299.5, low + 59.5, 359.5, low + 119.5]]
    np.testing.assert_allclose(found.box, expected, atol=0.01)


def test_a_picture_of_twice_the_size_gives_the_same_boxes(tmp_path: Path) -> None:
    options = OnnxOptions(str(save_tiny(tmp_path / "tiny.onnx")), classes=NAMES, least_score=0.6, side_px=64)
    small = bright(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), (120, 15, 180, 75), 2)
    detector = OnnxDetector(SITE, options)
    a = detector.detect([Frame("mast-0", 0.0, small)])
    b = detector.detect([Frame("mast-0", 1.0, np.repeat(np.repeat(small, 2, axis=0), 2, axis=1))])
    np.testing.assert_allclose(a.box, b.box, atol=0.01)


def test_a_network_that_torch_exported_runs_the_same_way(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnx", reason="torch exports through onnx, which is not installed")

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("boxes", torch.from_numpy(cell_boxes().astype(np.float32))[None])

        def forward(self, pixels):  # type: ignore[no-untyped-def]
            scores = torch.nn.functional.avg_pool2d(pixels, 8).flatten(2)
            return torch.cat([self.boxes.expand(pixels.shape[0], -1, -1), scores], dim=1)

    path, dynamic = tmp_path / "exported.onnx", {"images": {0: "n"}, "output": {0: "n"}}
    how = {"input_names": ["images"], "output_names": ["output"], "dynamic_axes": dynamic, "dynamo": False}
    torch.onnx.export(Tiny().eval(), torch.zeros(1, 3, 64, 64), str(path), **how)
    detector = OnnxDetector(SITE, OnnxOptions(str(path), classes=NAMES, least_score=0.6))
    assert (detector.side, detector.network.batch) == ((64, 64), 0)
    image = bright(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), (120, 15, 180, 75), 2)
    found = detector.detect([Frame("mast-0", 0.0, image), Frame("mast-1", 0.0, image)])
    assert found.camera.tolist() == ["mast-0", "mast-1"]
    np.testing.assert_allclose(found.box, [[119.5, 14.5, 179.5, 74.5]] * 2, atol=0.01)


def test_letterboxes_undo_what_they_did(rng) -> None:
    for _ in range(50):
        width, height = rng.integers(40, 3000, 2)
        box = Letterbox.of((5, 9, 5 + int(width), 9 + int(height)), (640, 640))
        corners = np.array([[0.0, 0.0], box.size]) + np.array(box.offset)
        np.testing.assert_allclose(box.back(corners), [[4.5, 8.5], [4.5 + width, 8.5 + height]], atol=1e-9)


def test_every_family_says_the_same_of_the_same_object() -> None:
    v8 = np.zeros((7, 2000), np.float32)
    v8[:, 7] = [320, 200, 100, 60, 0.1, 0.9, 0.2]
    v5 = np.zeros((2000, 8), np.float32)
    v5[7] = [320, 200, 100, 60, 1.0, 0.1, 0.9, 0.2]
    v10 = np.array([[270, 170, 370, 230, 0.9, 1], [0, 0, 5, 5, 0.1, 0]], np.float32)
    share = np.array([[0.5, 0.3125, 100 / 640, 60 / 640]], np.float32)
    detr = np.concatenate([share, [[0.1, 0.9, 0.2]]], axis=1).astype(np.float32)
    caffe = np.array([[[0, 1, 0.9, 270 / 640, 170 / 640, 370 / 640, 230 / 640]]], np.float32)
    for family, arrays in (("yolo8", [v8]), ("yolo5", [v5]), ("yolo10", [v10]), ("rt-detr", [detr]), ("ssd", [caffe])):
        found = FAMILIES[family](arrays, ASKED)
        assert len(found) == 1, family
        np.testing.assert_allclose(found.box[0], [270, 170, 370, 230], atol=1e-3, err_msg=family)
        assert (found.kind[0], round(float(found.score[0]), 3)) == (1, 0.9)


def test_keypoints_masks_and_angles_are_told_apart() -> None:
    row = [320, 200, 100, 60, 0.1, 0.9, 0.2]
    pose = FAMILIES["yolo8"]([np.array([row + [1.0] * 51]).T], ASKED)
    assert pose.points.shape == (1, 17, 3)
    turned = FAMILIES["yolo8"]([np.array([[*row, np.pi / 2]]).T], ASKED)
    np.testing.assert_allclose(turned.box[0], [290, 150, 350, 250], atol=1e-6)
    masks = FAMILIES["yolo8"]([np.array([row + [0.5] * 32]).T, np.zeros((32, 160, 160))], ASKED)
    assert masks.coefficients.shape == (1, 32)


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        ([(1, 84, 8400)], "yolo8"), ([(1, 116, 8400), (1, 32, 160, 160)], "yolo8"), ([(1, 25200, 85)], "yolo5"),
        ([(1, 300, 6)], "yolo10"), ([(1, 300, 84)], "rt-detr"), ([(1, 300, 4), (1, 300, 80)], "rt-detr"),
        ([(1, 1, 100, 7)], "ssd"), ([(1, 8732, 4), (1, 8732, 81)], "ssd"),
    ],
)  # fmt: skip
def test_families_are_known_by_their_shapes(shapes, family) -> None:
    assert family_of(shapes, 80, "net.onnx") == family


def test_weights_of_an_unknown_family_are_named_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"net.onnx: its answers are 1x1000, .* onnx.family"):
        family_of([(1, 1000)], 80, "net.onnx")
    with pytest.raises(UnknownNameError, match="yolo8"):
        OnnxDetector(SITE, OnnxOptions(str(save_tiny(tmp_path / "t.onnx")), family="yolo88"))
    with pytest.raises(InputError, match="no such file"):
        OnnxDetector(SITE, OnnxOptions(str(tmp_path / "none.onnx")))
    (tmp_path / "net.pt").write_bytes(b"weights")
    with pytest.raises(InputError, match="export the network as ONNX"):
        OnnxDetector(SITE, OnnxOptions(str(tmp_path / "net.pt")))
    (tmp_path / "broken.onnx").write_bytes(b"weights")
    with pytest.raises(InputError, match=r"broken\.onnx: not a network"):
        OnnxDetector(SITE, OnnxOptions(str(tmp_path / "broken.onnx")))


def test_the_weaker_of_two_boxes_of_one_class_is_left_out() -> None:
    box = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10]], float)
    assert without_overlaps(box, np.array([0.5, 0.9, 0.8]), np.array([1, 1, 2]), 0.5).tolist() == [1, 2]


def test_the_eighty_classes_are_in_their_order() -> None:
    names = coco_names()
    assert (len(names), names[0], names[2], names[7], names[9], names[79]) == (
        80, "person", "car", "truck", "traffic light", "toothbrush",
    )  # fmt: skip


def test_far_ground_is_looked_at_in_tiles_of_one_metric_scale() -> None:
    camera = SITE.cameras[0]
    scale = ground_scale(SITE, camera)
    assert np.nanmin(scale) < 0.6 * np.nanmax(scale)
    assert len(choose_tiles(SITE, camera, (640, 640), 5.0)) == 1
    tiles = choose_tiles(SITE, camera, (160, 160), 25.0)[1:]
    assert tiles
    cells = np.argwhere(scale * 160 / 480 < 25.0)
    for row, column in cells:
        u, v = (column + 0.5) * 480 / 24, (row + 0.5) * 270 / 16
        assert any(x0 <= u <= x1 and y0 <= v <= y1 for x0, y0, x1, y1 in tiles)
