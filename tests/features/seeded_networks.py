"""Networks that nobody trained, with weights that a seed draws: what the code around real ones is tested with."""

from pathlib import Path

import numpy as np
import pytest


def torch_and_kornia():
    """kornia's features; the test is skipped where the extra is missing."""
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    return torch, pytest.importorskip("kornia.feature", reason="the extra torch (kornia) is not installed")


def saved(network, path: Path, under: str = "", seed: int = 3) -> Path:
    """The file of a network's weights, bare or under a name as trained ones come."""
    torch, _ = torch_and_kornia()
    found = network.state_dict()
    torch.save({under: found, "epoch": 7} if under else found, path)
    return path


def disk(folder: Path) -> Path:
    torch, feature = torch_and_kornia()
    torch.manual_seed(3)
    return saved(feature.DISK(), folder / "disk.pth", "extractor")


def keynet(folder: Path, turned: bool = True) -> Path:
    torch, feature = torch_and_kornia()
    torch.manual_seed(3)
    where = folder / "keynet"
    where.mkdir(exist_ok=True)
    saved(feature.KeyNet(pretrained=False), where / "keynet.pth", "state_dict")
    saved(feature.HardNet(pretrained=False), where / "hardnet.pth", "state_dict")
    if turned:
        saved(feature.OriNet(pretrained=False), where / "orinet.pth", "state_dict")
    return where


def onnx(folder: Path, size: tuple[int, int] = (0, 0), channels: int = 1) -> Path:
    """Corners of a grid of 8 x 8 px cells as features: what lies there, and the strength of the middle."""
    package = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    make, kind = package.helper, package.TensorProto.FLOAT
    rng = np.random.default_rng(3)
    constants = {
        "kernel": rng.normal(size=(16, channels, 8, 8)).astype(np.float32),
        "pick": np.eye(16, dtype=np.float32)[:1],
        "flat": np.array([16, -1]), "one": np.array([1, 1]), "grid": np.array([8.0, 8.0], np.float32),
    }  # fmt: skip
    nodes = [
        make.make_node("Conv", ["image", "kernel"], ["cells"], strides=[8, 8]),
        make.make_node("Reshape", ["cells", "flat"], ["vectors"]),
        make.make_node("Transpose", ["vectors"], ["descriptors"], perm=[1, 0]),
        make.make_node("MatMul", ["pick", "vectors"], ["strength"]),
        make.make_node("Abs", ["strength"], ["scores"]),
        make.make_node("ReduceSum", ["cells", "axes"], ["sum"], keepdims=0),
        make.make_node("IsInf", ["sum"], ["never"]),
        make.make_node("Not", ["never"], ["always"]),
        make.make_node("NonZero", ["always"], ["rows"]),
        make.make_node("Transpose", ["rows"], ["cell"], perm=[1, 0]),
        make.make_node("Cast", ["cell"], ["cell_f"], to=kind),
        make.make_node("Mul", ["cell_f", "grid"], ["row_column"]),
        make.make_node("Gather", ["row_column", "swap"], ["keypoints"], axis=1),
    ]
    constants |= {"axes": np.array([0, 1]), "swap": np.array([1, 0])}
    height, width = (side or None for side in size[::-1])
    given = make.make_tensor_value_info("image", kind, [1, channels, height, width])
    outputs = [make.make_tensor_value_info(name, kind, None) for name in ("keypoints", "scores", "descriptors")]
    tensors = [package.numpy_helper.from_array(value, name) for name, value in constants.items()]
    model = make.make_model(
        make.make_graph(nodes, "g", [given], outputs, tensors), opset_imports=[make.make_opsetid("", 17)], ir_version=9
    )
    path = folder / f"grid-{size[0]}-{channels}.onnx"
    package.save(model, str(path))
    return path


def weights_of(name: str, folder: Path) -> str:
    """Where the weights of an extractor of EXTRACTORS are; "" for one that needs none."""
    makers = {"disk": disk, "keynet": keynet, "onnx": onnx}
    return str(makers[name](folder)) if name in makers else ""
