"""Global descriptors by a network from a file: TorchScript or an exported program by torch, ONNX by onnxruntime.

A network takes grey values three times as (1, 3, height, width) float32, normalised as ImageNet's pictures are, and
gives (1, D). Nothing is downloaded: the file is the caller's.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.features.layout import checked_image
from geoloc.files import read_bytes
from geoloc.options import check_range

MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet's pictures, red, green, blue
SIGMA = np.array([0.229, 0.224, 0.225], np.float32)
EXPORTED = ".pt2"  # ending of a program that torch.export saved
Run = Callable[[np.ndarray], np.ndarray]  # (N, 3, H, W) float32 to (N, D); N is 1 for whole images


@dataclass(frozen=True)
class NetworkOptions:
    """Which network, and the size it takes."""

    weights: str = ""  # path of the file
    width_px: int = 320
    height_px: int = 240

    def __post_init__(self) -> None:
        check_range(self, width_px=(8, 8192), height_px=(8, 8192))


@dataclass(frozen=True, eq=False)
class Network:
    """A network by its `runtime`, of RUNTIMES, and how its file is known again: `digest` of its content."""

    runtime: str
    options: NetworkOptions
    digest: str
    run: Run

    @classmethod
    def open(cls, runtime: str, options: NetworkOptions) -> Self:
        """Read the file; InputError where there is none, or its runtime is not installed or refuses it."""
        if runtime not in RUNTIMES:
            raise unknown_name("runtime of networks", runtime, RUNTIMES)
        if not options.weights:
            raise InputError(f"descriptor {runtime!r}: needs a network; give its file as the option network.weights")
        content = read_bytes(options.weights)
        return cls(runtime, options, hashlib.sha256(content).hexdigest(), RUNTIMES[runtime](Path(options.weights)))

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The network of these arrays; InputError where its file holds another one now."""
        runtime, weights, digest = (str(arrays[name]) for name in ("runtime", "weights", "digest"))
        found = cls.open(runtime, NetworkOptions(weights, *(int(side) for side in arrays["size_px"])))
        if found.digest != digest:
            raise InputError(f"{weights}: not the network that the site's images were described by; describe them anew")
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """Where its file lies, and what it must hold."""
        size = np.array([self.options.width_px, self.options.height_px])
        named = {"runtime": self.runtime, "weights": self.options.weights, "digest": self.digest}
        return {"size_px": size, **{name: np.array(value) for name, value in named.items()}}

    def describe(self, image: np.ndarray) -> np.ndarray:
        """Unit vector (D,) float32 of grey values (H, W) uint8."""
        import cv2

        size = (self.options.width_px, self.options.height_px)
        shrinks = checked_image(image).shape[1] > size[0]
        grey = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        colours = (np.asarray(grey, np.float32)[None, None] / 255 - MEAN[:, None, None]) / SIGMA[:, None, None]
        vector = np.asarray(self.run(np.ascontiguousarray(colours)), np.float32)
        if vector.ndim != 2 or len(vector) != 1 or not np.isfinite(vector).all():
            raise InputError(f"{self.options.weights}: gives {vector.shape}; it must give finite numbers (1, D)")
        length = float(np.linalg.norm(vector))
        return vector[0] / np.float32(length) if length > 0 else vector[0]


def _torch(path: Path, device: str = "cpu") -> Run:
    try:
        import torch
    except ImportError as error:
        raise InputError('descriptor "torch": PyTorch is not installed; pip install "geoloc[torch]"') from error
    # a whole program: a bare state_dict says nothing of the network that it belongs to
    exported = path.suffix == EXPORTED
    try:
        module = torch.export.load(path).module() if exported else torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:  # torch's readers raise whatever broke
        said = "not a network that torch can run; save it by torch.jit.save, or by torch.export.save as"
        raise InputError(f"{path}: {said} {EXPORTED} ({error})") from error
    try:
        module = module.to(device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        raise InputError(f"device {device!r}: torch cannot run there ({error}); take \"cpu\"") from error

    def run(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            vector: np.ndarray = module(torch.from_numpy(pixels).to(device)).cpu().numpy()
        return vector

    return run


def onnx_session(path: Path, what: str) -> Any:
    """An ONNX network ready to run on the processor; InputError, naming `what` wanted it, where it cannot be."""
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f'{what} "onnx": onnxruntime is not installed; pip install "geoloc[onnx]"') from error
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base but this one
        raise InputError(f"{path}: not a network that onnxruntime can run ({error})") from error


def _torch_batched(path: Path, device: str) -> tuple[Run, int]:
    return _torch(path, device), 0


def _onnx_batched(path: Path, device: str) -> tuple[Run, int]:
    session = onnx_session(path, "descriptor")
    given = session.get_inputs()[0]
    fixed = given.shape[0] if given.shape and isinstance(given.shape[0], int) else 0

    def run(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {given.name: pixels})[0])

    return run, max(fixed, 0)


RUNTIMES: dict[str, Callable[[Path], Run]] = {"torch": _torch, "onnx": lambda path: _onnx_batched(path, "cpu")[0]}
# Of a file and a device, a network for several pictures at once, and how many it must be given; 0: as many as wanted.
BATCHED: dict[str, Callable[[Path, str], tuple[Run, int]]] = {"torch": _torch_batched, "onnx": _onnx_batched}
