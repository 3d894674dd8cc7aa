"""Networks from files describe images; here untrained ones, for weights are the caller's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_places import draw_place

from geoloc.errors import InputError
from geoloc.features.global_descriptors import GlobalOptions, load_global, train_global
from geoloc.features.networks import NetworkOptions
from geoloc.features.parts import PartOptions

SIZE = (48, 32)  # px, width and height


def options(path: Path) -> GlobalOptions:
    return GlobalOptions(PartOptions(network=NetworkOptions(str(path), *SIZE)))


def save_torch(path: Path) -> Path:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    torch.manual_seed(3)
    layers = torch.nn.Conv2d(3, 16, 5, stride=4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten()
    network, example = torch.nn.Sequential(*layers).eval(), torch.zeros(1, 3, SIZE[1], SIZE[0])
    if path.suffix == ".pt2":
        torch.export.save(torch.export.export(network, (example,)), path)
    else:
        torch.jit.save(torch.jit.trace(network, example), str(path))
    return path


def save_onnx(path: Path) -> Path:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    weights = np.random.default_rng(3).normal(size=(16, 3, 5, 5)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Conv", ["pixels", "weights"], ["edges"], strides=[4, 4]),
        onnx.helper.make_node("Relu", ["edges"], ["kept"]),
        onnx.helper.make_node("AveragePool", ["kept"], ["pooled"], kernel_shape=[3, 3], strides=[2, 3]),
        onnx.helper.make_node("Flatten", ["pooled"], ["vector"]),
    ]
    pixels = onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, [1, 3, SIZE[1], SIZE[0]])
    vector = onnx.helper.make_tensor_value_info("vector", onnx.TensorProto.FLOAT, [1, None])
    graph = onnx.helper.make_graph(nodes, "g", [pixels], [vector], [onnx.numpy_helper.from_array(weights, "weights")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("ending", [".pt", ".pt2", ".onnx"])
def test_an_untrained_network_describes_and_is_known_again(ending: str, tmp_path: Path, rng) -> None:
    name = "onnx" if ending == ".onnx" else "torch"
    path = (save_onnx if name == "onnx" else save_torch)(tmp_path / f"network{ending}")
    places = [draw_place(rng) for _ in range(8)]
    descriptor, vectors = train_global(places, rng, name, options=options(path))
    found = [int((vectors @ descriptor(np.clip(image + 5.0, 0, 255).astype(np.uint8))).argmax()) for image in places]
    assert found == list(range(8))
    again = load_global(descriptor.arrays())
    np.testing.assert_array_equal(again(places[0]), descriptor(places[0]))
    with path.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError):
        load_global(descriptor.arrays())


@pytest.mark.parametrize(("name", "module"), [("torch", "torch"), ("onnx", "onnxruntime")])
def test_a_file_that_is_no_network_is_refused(name: str, module: str, tmp_path: Path, rng) -> None:
    places = [draw_place(rng)]
    with pytest.raises(InputError, match=r"network\.weights"):
        train_global(places, rng, name)
    with pytest.raises(InputError, match="there is no such file"):
        train_global(places, rng, name, options=options(tmp_path / "none"))
    broken = tmp_path / "broken"
    broken.write_bytes(b"not a network")
    try:
        __import__(module)
        said = "not a network"
    except ImportError:
        said = f'descriptor "{name}": .* is not installed'
    with pytest.raises(InputError, match=said):
        train_global(places, rng, name, options=options(broken))


def test_a_network_needs_room_for_its_input() -> None:
    with pytest.raises(InputError, match="width_px"):
        replace(NetworkOptions(), width_px=2)
