"""What the path around a network costs, beside the runtime alone: letterboxing, answers to boxes."""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.row import Row, absent, best_time
from geoloc.perception.frames import Frame
from geoloc.perception.onnx_detector import OnnxDetector
from geoloc.perception.onnx_options import OnnxOptions
from geoloc.synthetic.garage import garage

NAME, N = "detect with a network", 2
CHANNELS = (3, 48, 96, 192, 320)


def bench_onnx_detect() -> list[Row]:
    """Two 1080p pictures at once through an untrained network of the layout of YOLO v8, 640 px."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import torch  # noqa: F401
    except ImportError:
        return [absent(NAME, "onnxruntime", "ms", "'geoloc[onnx,torch]' onnx")]
    site, rng = garage().site, np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        weights = _export(Path(folder) / "net.onnx")
        detector = OnnxDetector(site, OnnxOptions(str(weights), least_score=0.95))
        names = [camera.name for camera in site.cameras[:N]]
        frames = [Frame(name, 0.0, rng.integers(0, 255, (1080, 1920, 3), dtype=np.uint8)) for name in names]
        pixels = rng.random((N, 3, 640, 640), dtype=np.float32)
        alone = best_time(lambda: detector.network.run(pixels)) / N
        whole = best_time(lambda: detector.detect(frames)) / N
    note = f"{N} pictures of 1920x1080 at once, untrained network"
    return [
        Row(NAME, "onnxruntime alone", 1000 * alone, "ms a picture", None, "", note),
        Row(NAME, "geoloc, pictures to boxes", 1000 * whole, "ms a picture", whole / alone, "< 1.1", note),
    ]


def _export(path: Path) -> Path:
    import torch

    layers: list[torch.nn.Module] = []
    for before, after in pairwise(CHANNELS):
        layers += [torch.nn.Conv2d(before, after, 3, 2, 1), torch.nn.SiLU()]
        layers += [torch.nn.Conv2d(after, after, 3, 1, 1), torch.nn.SiLU()]
    layers += [torch.nn.Conv2d(CHANNELS[-1], 84, 1), torch.nn.Flatten(2)]
    how = {"input_names": ["images"], "output_names": ["output"], "dynamic_axes": {"images": {0: "n"}}, "dynamo": False}
    torch.onnx.export(torch.nn.Sequential(*layers).eval(), (torch.zeros(1, 3, 640, 640),), str(path), **how)
    return path
