"""One contract for every embedder of crops: what a vector does not depend on, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.features.crop_head import Head, load_head, save_head
from geoloc.features.crops import EMBEDDERS, Embedder, EmbedderOptions, cut_crops, embed, find_embedder

SIZE = (24, 48)  # px, width and height that networks are given
COLOURS = ((40, 40, 142), (98, 62, 40), (226, 228, 230), (52, 88, 58), (34, 32, 34), (60, 190, 210))


def draw_car(rng: np.random.Generator, colour: tuple[int, ...], size: tuple[int, int] = (90, 60)) -> np.ndarray:
    """Something of a colour with a window, wheels and a ground, a little otherwise each time."""
    width, height = size
    image = np.full((height, width, 3), rng.integers(70, 110), np.uint8)
    left, top = rng.integers(3, 9, 2)
    cv2.rectangle(image, (int(left), int(top)), (width - 6, height - 10), colour, -1)
    cv2.rectangle(image, (width // 3, int(top) + 4), (2 * width // 3, height // 3), (62, 54, 48), -1)
    for x in (width // 4, 3 * width // 4):
        cv2.circle(image, (x, height - 11), 8, (25, 25, 25), -1)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def torch_file(folder: Path, ending: str = ".pt") -> str:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    torch.manual_seed(3)
    layers = torch.nn.Conv2d(3, 16, 5, stride=4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten()
    network, path = torch.nn.Sequential(*layers).eval(), folder / f"network{ending}"
    example = torch.zeros(4, 3, SIZE[1], SIZE[0])
    if ending == ".pt2":
        torch.export.save(torch.export.export(network, (example,)), path)  # of four pictures at once, always
    else:
        torch.jit.save(torch.jit.trace(network, example), str(path))
    return str(path)


def onnx_file(folder: Path, batch: int | None = None) -> str:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    weights = np.random.default_rng(3).normal(size=(16, 3, 5, 5)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Conv", ["pixels", "weights"], ["edges"], strides=[4, 4]),
        onnx.helper.make_node("Relu", ["edges"], ["kept"]),
        onnx.helper.make_node("GlobalAveragePool", ["kept"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["vector"]),
    ]
    pixels = onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, [batch, 3, SIZE[1], SIZE[0]])
    vector = onnx.helper.make_tensor_value_info("vector", onnx.TensorProto.FLOAT, [batch, 16])
    graph = onnx.helper.make_graph(nodes, "g", [pixels], [vector], [onnx.numpy_helper.from_array(weights, "weights")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    path = folder / f"network-{batch}.onnx"
    onnx.save(model, str(path))
    return str(path)


def head_file(folder: Path) -> str:
    base, rng = find_embedder("plain"), np.random.default_rng(4)
    matrix = rng.normal(size=(base.dim, 32)).astype(np.float32)
    save_head(Head(np.zeros(base.dim, np.float32), matrix, base.fingerprint), folder / "looks.npz")
    return str(folder / "looks.npz")


def weights_of(name: str, folder: Path) -> str:
    makers = {"torch": torch_file, "onnx": onnx_file, "adapted": head_file}
    return makers[name](folder) if name in makers else ""


@pytest.fixture(params=list(EMBEDDERS))
def embedder(request: pytest.FixtureRequest, tmp_path: Path) -> Embedder:
    weights = weights_of(request.param, tmp_path)
    return find_embedder(request.param, EmbedderOptions(weights, *SIZE, batch=4))


@pytest.fixture
def cars(rng) -> list[np.ndarray]:
    return [draw_car(rng, colour) for colour in COLOURS]


def test_vectors_are_finite_rows_of_unit_length(embedder: Embedder, cars) -> None:
    vectors = embed(cars, embedder)
    assert vectors.shape == (len(cars), embedder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embed([], embedder).shape == (0, embedder.dim)


def test_a_crops_vector_does_not_depend_on_its_company_or_order(embedder: Embedder, cars) -> None:
    together = embed(cars, embedder)  # six: a batch of four and one of two
    np.testing.assert_allclose(embed(cars[::-1], embedder)[::-1], together, atol=1e-5)
    np.testing.assert_allclose(embed(cars[4:5], embedder)[0], together[4], atol=1e-5)


def test_crops_of_one_pixel_and_of_any_shape_are_embedded(embedder: Embedder, rng) -> None:
    shapes = [(1, 1), (1, 200), (200, 1), (7, 5), (301, 33)]
    crops = [rng.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes]
    before = [crop.copy() for crop in crops]
    assert np.isfinite(embed(crops, embedder)).all()
    assert all(np.array_equal(a, b) for a, b in zip(crops, before, strict=True))


def test_views_into_a_larger_picture_are_as_good_as_copies(embedder: Embedder, cars) -> None:
    wide = np.zeros((80, 120, 3), np.uint8)
    wide[10:70, 20:110] = cars[0]
    np.testing.assert_allclose(embed([wide[10:70, 20:110]], embedder)[0], embed(cars[:1], embedder)[0], atol=1e-6)


def test_what_is_no_crop_is_refused_with_its_number(embedder: Embedder, cars) -> None:
    wrong = (
        cars[0].astype(np.float32), cars[0][..., 0], cars[0][:0], np.zeros((4, 4, 4), np.uint8), "crop.jpg",
    )  # fmt: skip
    for crop in wrong:
        with pytest.raises(InputError, match="crop 1"):
            embed([cars[0], crop], embedder)


def test_equal_embedders_have_equal_fingerprints(tmp_path: Path, embedder: Embedder, cars) -> None:
    other = Head(np.zeros(embedder.dim, np.float32), np.eye(embedder.dim, 8, dtype=np.float32), embedder.fingerprint)
    assert other.fingerprint != embedder.fingerprint
    assert embedder.fingerprint.split("-")[1] == str(embedder.dim)


def test_an_unknown_embedder_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'plain'"):
        find_embedder("plane")


@pytest.mark.parametrize("name", ["torch", "onnx", "adapted"])
def test_an_embedder_from_a_file_says_what_is_wrong_with_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="weights"):
        find_embedder(name)
    with pytest.raises(InputError, match="there is no such file"):
        find_embedder(name, EmbedderOptions(str(tmp_path / "none")))
    (tmp_path / "broken").write_bytes(b"not a network")
    with pytest.raises(InputError, match=r"not an? |not installed"):
        find_embedder(name, EmbedderOptions(str(tmp_path / "broken")))


def test_a_network_that_takes_a_fixed_number_is_given_it(tmp_path: Path, cars) -> None:
    free = find_embedder("onnx", EmbedderOptions(onnx_file(tmp_path), *SIZE))
    fixed = find_embedder("onnx", EmbedderOptions(onnx_file(tmp_path, 4), *SIZE))
    np.testing.assert_allclose(embed(cars, fixed), embed(cars, free), atol=1e-6)


def test_a_head_comes_back_as_it_was_saved_and_refuses_another_base(tmp_path: Path, cars) -> None:
    path = Path(head_file(tmp_path))
    head = load_head(path)
    adapted = find_embedder("adapted", EmbedderOptions(str(path)))
    assert adapted.fingerprint == head.fingerprint
    np.testing.assert_allclose(head(embed(cars)), embed(cars, adapted), atol=1e-6)
    with pytest.raises(InputError, match="it learnt of"):
        head(np.zeros((2, head.dim + 1), np.float32))
    save_head(Head(head.mean, head.matrix, "detector", embedder=""), path)
    with pytest.raises(InputError, match="made elsewhere"):
        find_embedder("adapted", EmbedderOptions(str(path)))
    save_head(Head(head.mean, head.matrix, "plain-9-v0"), path)
    with pytest.raises(InputError, match="adapt again"):
        find_embedder("adapted", EmbedderOptions(str(path)))


def test_boxes_are_cut_at_the_picture_and_a_pixel_is_in_where_its_centre_is() -> None:
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    boxes = np.array([[-0.5, -0.5, 6.5, 4.5], [1.0, 1.0, 2.0, 3.0], [-9, 2.6, 1.4, 99], [7.0, 0, 9, 3], [3, 3, 2, 2]])
    shapes = [crop.shape[:2] for crop in cut_crops(picture, boxes)]
    assert shapes == [(5, 7), (3, 2), (2, 2), (4, 0), (0, 0)]
    np.testing.assert_array_equal(cut_crops(picture, boxes)[1], picture[1:4, 1:3])
    with pytest.raises(InputError, match="box 0 is not finite"):
        cut_crops(picture, np.array([[0, 0, np.nan, 3]]))


def test_a_device_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"device 'cuda:99'.*take \"cpu\""):
        find_embedder("torch", EmbedderOptions(torch_file(tmp_path), *SIZE, device="cuda:99"))


def test_an_exported_program_embeds_as_the_network_that_it_was_saved_from(tmp_path: Path, cars) -> None:
    exported = find_embedder("torch", EmbedderOptions(torch_file(tmp_path, ".pt2"), *SIZE, batch=4))
    traced = find_embedder("torch", EmbedderOptions(torch_file(tmp_path), *SIZE))
    np.testing.assert_allclose(embed(cars, exported), embed(cars, traced), atol=1e-5)


def test_a_car_and_its_mirror_image_have_one_plain_vector(cars) -> None:
    mirrored = embed([np.ascontiguousarray(car[:, ::-1]) for car in cars])
    assert np.diag(mirrored @ embed(cars).T).min() > 0.999  # 0.9998: OpenCV's shrinking is not quite symmetric


def test_the_plain_vector_knows_a_car_in_half_of_the_light_under_warm_lamps_and_at_half_the_size(cars, rng) -> None:
    before = embed(cars)
    again = [draw_car(rng, colour) for colour in COLOURS]
    changes = {
        "drawn anew": again,
        "half of the light": [np.clip(0.73 * car, 0, 255).astype(np.uint8) for car in again],
        "warm lamps": [np.clip(car * np.array([0.88, 1.0, 1.06]), 0, 255).astype(np.uint8) for car in again],
        "half the size": [cv2.resize(car, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for car in again],
    }
    for how, crops in changes.items():
        found = (embed(crops) @ before.T).argmax(axis=1)
        assert found.tolist() == list(range(len(cars))), how


def test_a_crop_that_shows_nothing_has_a_plain_vector_of_zeros() -> None:
    blank = [np.full((20, 30, 3), value, np.uint8) for value in (0, 90, 255)]
    assert not embed(blank).any()
