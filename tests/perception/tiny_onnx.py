"""A detector small enough to know its answers: bright red, green or blue squares of eight pixels are its three classes.

The file is written by hand, so that no ONNX package is needed: protobuf's wire format, and four kinds of messages.
"""

from pathlib import Path

import numpy as np

SIDE, CELL = 64, 8
N = (SIDE // CELL) ** 2


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor(name: str, array: np.ndarray) -> bytes:
    kind = 1 if array.dtype == np.float32 else 7
    dims = b"".join(number(1, side) for side in array.shape)
    return dims + number(2, kind) + block(8, name) + block(9, array.tobytes())


def ints(name: str, values: list[int]) -> bytes:
    return block(5, block(1, name) + b"".join(number(8, value) for value in values) + number(20, 7))


def integer(name: str, value: int) -> bytes:
    return block(5, block(1, name) + number(3, value) + number(20, 2))


def node(kind: str, given: list[str], gives: str, attributes: bytes = b"") -> bytes:
    names = b"".join(block(1, name) for name in given)
    return block(1, names + block(2, gives) + block(3, gives) + block(4, kind) + attributes)


def value(field: int, name: str, shape: list[int]) -> bytes:
    dims = b"".join(block(1, number(1, side)) for side in shape)
    return block(field, block(1, name) + block(2, block(1, number(1, 1) + block(2, dims))))


def cell_boxes() -> np.ndarray:
    """Middle and size (4, N) px of the cells, counted from the input's corner."""
    x, y = np.meshgrid(np.arange(8) * CELL + CELL / 2, np.arange(8) * CELL + CELL / 2)
    size = np.full(N, float(CELL))
    return np.stack([x.reshape(-1), y.reshape(-1), size, size])


def save_tiny(path: Path, old_layout: bool = False) -> Path:
    """Write the network: in the layout of YOLO v8, or of v5."""
    boxes = cell_boxes().astype(np.float32)[None]
    nodes = node("AveragePool", ["images"], "pooled", ints("kernel_shape", [CELL, CELL]) + ints("strides", [CELL] * 2))
    nodes += node("Reshape", ["pooled", "shape"], "scores")
    constants = tensor("shape", np.array([1, 3, N], np.int64))
    if old_layout:
        sure = np.ones((1, 1, N), np.float32)
        nodes += node("Concat", ["boxes", "sure", "scores"], "rows", integer("axis", 1))
        nodes += node("Transpose", ["rows"], "output", ints("perm", [0, 2, 1]))
        out, constants = [1, N, 8], block(5, constants) + block(5, tensor("sure", sure))
    else:
        nodes += node("Concat", ["boxes", "scores"], "output", integer("axis", 1))
        out, constants = [1, 7, N], block(5, constants)
    constants += block(5, tensor("boxes", boxes))
    graph = nodes + block(2, "tiny") + constants + value(11, "images", [1, 3, SIDE, SIDE]) + value(12, "output", out)
    path.write_bytes(number(1, 8) + block(7, graph) + block(8, block(1, "") + number(2, 13)))
    return path
