"""Local features by networks from files: DISK and Key.Net with HardNet by kornia, any other as ONNX.

Nothing is downloaded: the files are the caller's. Weights of torch are read as bare tensors, never as pickled objects.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from geoloc.errors import InputError
from geoloc.features.local import ExtractionOptions, LocalFeatures
from geoloc.features.networks import onnx_session
from geoloc.files import read_bytes

if TYPE_CHECKING:
    import torch

NESTED = ("extractor", "state_dict", "model")  # under which files of weights keep them
STEP = 32  # px; networks halve an image up to five times
DISK_SIGMA = 1.0  # px; DISK's features have no scale, and lie at whole pixels
PLANES = ("keypoints", "scores", "descriptors")  # what an ONNX extractor gives, by the beginnings of the names


@dataclass(frozen=True, eq=False)
class Found:
    """What a network found in an image: pixels (N, 2), scale (N,) px, angle (N,) rad, response (N,), vectors (N, D)."""

    pixels: np.ndarray
    scale: np.ndarray
    angle: np.ndarray
    response: np.ndarray
    vectors: np.ndarray


@dataclass(frozen=True, eq=False)
class Learned:
    """An extractor that a network from files is: `run` finds features in grey values (H, W) uint8 where a mask is true.

    `fingerprint` is its name, the length of its descriptors and a hash of its weights.
    """

    fingerprint: str
    options: ExtractionOptions
    run: Callable[[np.ndarray, np.ndarray], Found]

    @classmethod
    def disk(cls, options: ExtractionOptions) -> Self:
        """DISK (Tyszkiewicz, Fua and Trulls 2020) by kornia, from its file of weights."""
        network, digest = _weighted("disk", _disk_network, options.weights)
        return cls(f"disk-128-{digest}", options, lambda image, mask: _run_disk(network, image, options))

    @classmethod
    def keynet(cls, options: ExtractionOptions) -> Self:
        """Key.Net (Barroso-Laguna et al. 2019) with HardNet (Mishchuk et al. 2017) by kornia.

        The weights are a folder that holds keynet.pth and hardnet.pth; with an orinet.pth beside them features are
        turned as it says, without it they are upright.
        """
        folder = Path(_given("keynet", options.weights))
        if not folder.is_dir():
            raise InputError(f"{folder}: no folder; extractor 'keynet' needs one with keynet.pth and hardnet.pth")
        detector, first = _weighted("keynet", _keynet_network, str(folder / "keynet.pth"))
        patches, second = _weighted("keynet", _hardnet_network, str(folder / "hardnet.pth"))
        turned, third = None, "upright"
        if (folder / "orinet.pth").is_file():
            turned, third = _weighted("keynet", _orinet_network, str(folder / "orinet.pth"))
        whole = _keynet_whole(detector, patches, turned, options.max_features)
        name = f"keynet-128-{first}-{second}-{third}"
        return cls(name, options, lambda image, mask: _run_keynet(whole, image, mask))

    @classmethod
    def onnx(cls, options: ExtractionOptions) -> Self:
        """Any network as ONNX that takes grey values or colours, 0 to 1, as (1, 1 or 3, H, W).

        It gives `keypoints` (N, 2) px, x then y, the centre of the top-left pixel being (0, 0), `scores` (N,) and
        `descriptors` (N, D) or (D, N), each perhaps with a 1 before.
        """
        path = _given("onnx", options.weights)
        digest = hashlib.sha256(read_bytes(path)).hexdigest()[:12]
        run = _onnx_network(Path(path))
        return cls(f"onnx-{digest}", options, lambda image, mask: run(image))

    def __call__(self, image: np.ndarray, mask: np.ndarray) -> LocalFeatures:
        """Features of grey values (H, W) uint8 whose centres lie where `mask` (H, W) bool is true."""
        found = self.run(image, mask)
        height, width = image.shape
        column, row = np.rint(found.pixels).astype(int).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & np.isfinite(found.vectors).all(axis=1)
        rows = np.flatnonzero(inside)
        rows = rows[mask[row[rows], column[rows]]]
        order = np.lexsort((found.pixels[rows, 1], found.pixels[rows, 0], -found.response[rows]))
        rows = rows[order[: self.options.max_features]]
        vectors = found.vectors[rows].astype(np.float32)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        columns = (found.pixels, found.scale, found.angle, found.response)
        pixels, scale, angle, response = (values[rows].astype(np.float32) for values in columns)
        return LocalFeatures(pixels, scale, angle, response, vectors / np.maximum(length, 1e-12), self.fingerprint)


def load_weights(path: str | Path) -> dict[str, "torch.Tensor"]:
    """The named tensors of a file of weights; InputError where it holds anything else, such as pickled objects."""
    import io

    torch_module = _torch("weights")
    content = read_bytes(path)
    try:
        found = torch_module.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's readers raise whatever broke
        raise InputError(f"{path}: not a file of weights; save one by torch.save(network.state_dict(), ...)") from error
    for name in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not all(isinstance(value, torch_module.Tensor) for value in found.values()):
        raise InputError(f"{path}: holds no named tensors; save the network's state_dict()")
    return dict(found)


def fill(network: "torch.nn.Module", weights: Mapping[str, "torch.Tensor"], path: str | Path) -> "torch.nn.Module":
    """The network with these weights, ready to run; InputError where they are of another network.

    All that it learns must be there; what it can work out itself, and what it does not know, need not.
    """
    kind = f"{path}: weights of another network than {type(network).__name__}"
    for name, own in network.named_parameters():
        if name not in weights:
            raise InputError(f"{kind}: {name!r} is missing")
        if weights[name].shape != own.shape:
            raise InputError(f"{kind}: {name!r} is {tuple(weights[name].shape)}, it must be {tuple(own.shape)}")
    known = network.state_dict().keys()
    network.load_state_dict({name: value for name, value in weights.items() if name in known}, strict=False)
    return network.eval()


def _weighted(name: str, make: Callable[[], "torch.nn.Module"], path: str) -> tuple["torch.nn.Module", str]:
    """A network with the weights of a file, and a hash of that file."""
    path = _given(name, path)
    digest = hashlib.sha256(read_bytes(path)).hexdigest()[:12]
    return fill(make(), load_weights(path), path), digest


def _given(name: str, path: str) -> str:
    if not path:
        raise InputError(f"extractor {name!r}: needs the file of its weights, which are not part of geoloc; name it")
    return path


def _torch(name: str):  # type: ignore[no-untyped-def]
    try:
        import torch
    except ImportError as error:
        raise InputError(f'{name}: PyTorch is not installed; pip install "geoloc[torch]"') from error
    return torch


def kornia_feature(name: str):  # type: ignore[no-untyped-def]
    """kornia's features; InputError that names the extra where it is not installed."""
    try:
        import kornia.feature
    except ImportError as error:
        raise InputError(f'{name!r}: PyTorch and kornia are not installed; pip install "geoloc[torch]"') from error
    return kornia.feature


def _disk_network():  # type: ignore[no-untyped-def]
    return kornia_feature("disk").DISK()


def _run_disk(network: Any, image: np.ndarray, options: ExtractionOptions) -> Found:
    torch = _torch("disk")
    with torch.inference_mode():
        tensor = torch.from_numpy(padded(image)).float()[None, None] / 255
        # masks and the margin take features away afterwards, so all are asked for
        found = network(tensor.expand(1, 3, -1, -1))[0]
    pixels, response, vectors = (each.numpy() for each in (found.keypoints, found.detection_scores, found.descriptors))
    n = len(pixels)
    return Found(pixels, np.full(n, DISK_SIGMA), np.zeros(n), response.reshape(n), vectors)


def _keynet_network():  # type: ignore[no-untyped-def]
    return kornia_feature("keynet").KeyNet(pretrained=False)


def _hardnet_network():  # type: ignore[no-untyped-def]
    return kornia_feature("keynet").HardNet(pretrained=False)


def _orinet_network():  # type: ignore[no-untyped-def]
    return kornia_feature("keynet").OriNet(pretrained=False)


def _keynet_whole(detector: Any, patches: Any, turned: Any, n: int):  # type: ignore[no-untyped-def]
    feature = kornia_feature("keynet")
    orient = feature.PassLAF() if turned is None else feature.LAFOrienter(angle_detector=turned)
    whole = feature.KeyNetDetector(pretrained=False, num_features=n, ori_module=orient)
    whole.model = detector
    return feature.LocalFeature(whole, feature.LAFDescriptor(patches)).eval()


def _run_keynet(whole: Any, image: np.ndarray, mask: np.ndarray) -> Found:
    torch, feature = _torch("keynet"), kornia_feature("keynet")
    wanted = None if mask.all() else torch.from_numpy(mask).float()[None, None]
    with torch.inference_mode():
        frames, response, vectors = whole(torch.from_numpy(image).float()[None, None] / 255, wanted)
        filled = feature.laf.laf_is_filled(frames)[0]
        frames, response, vectors = frames[:, filled], response[0, filled], vectors[0, filled]
        centre = feature.get_laf_center(frames)[0].numpy()
        scale = feature.get_laf_scale(frames).reshape(-1).numpy() / whole.detector.mr_size
        upper = frames[0, :, 0, :2].numpy()  # of a frame turned by an angle its scale times (cos, -sin)
    return Found(centre, scale, np.arctan2(-upper[:, 1], upper[:, 0]), response.numpy(), vectors.numpy())


def _onnx_network(path: Path) -> Callable[[np.ndarray], Found]:
    session = onnx_session(path, "extractor")
    given = session.get_inputs()[0]
    names = _planes(path, [each.name for each in session.get_outputs()])
    sides = [side if isinstance(side, int) else 0 for side in given.shape]
    if len(sides) != 4 or sides[1] not in (0, 1, 3):
        raise InputError(f"{path}: takes {given.shape}; an extractor takes (1, 1 or 3, height, width)")

    def run(image: np.ndarray) -> Found:
        pixels, zoom = _fitted(image, sides[2], sides[3])
        values = np.repeat(pixels[None, None].astype(np.float32) / 255, sides[1] or 1, axis=1)
        try:
            keypoints, scores, vectors = (np.asarray(each) for each in session.run(names, {given.name: values}))
        except Exception as error:  # a network that cannot take images of this size
            raise InputError(f"{path}: fails on an image of {values.shape} ({error})") from error
        return _parsed(path, keypoints, scores, vectors, zoom)

    return run


def _planes(path: Path, names: list[str]) -> list[str]:
    found = [next((name for name in names if name.lower().startswith(plane)), "") for plane in PLANES]
    if not all(found):
        raise InputError(f"{path}: gives {', '.join(names)}; an extractor gives {', '.join(PLANES)}")
    return found


def _fitted(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The image in the size that a network takes (0: any), and how many of its pixels (2,) make one of that."""
    import cv2

    if not height or not width:
        return padded(image), np.ones(2)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small), np.array(image.shape[::-1]) / np.array([width, height])


def padded(image: np.ndarray) -> np.ndarray:
    """The image with its lower and right edges carried on to multiples of STEP."""
    height, width = image.shape
    return np.pad(image, ((0, -height % STEP), (0, -width % STEP)), mode="edge")


def _parsed(path: Path, keypoints: np.ndarray, scores: np.ndarray, vectors: np.ndarray, zoom: np.ndarray) -> Found:
    keypoints = keypoints[0] if keypoints.ndim == 3 else keypoints
    scores, vectors = np.ravel(scores), vectors[0] if vectors.ndim == 3 else vectors
    n = len(scores)
    if vectors.ndim == 2 and len(vectors) != n and vectors.shape[1] == n:
        vectors = vectors.T
    if keypoints.shape != (n, 2) or vectors.ndim != 2 or len(vectors) != n:
        shapes = f"keypoints {keypoints.shape}, scores {scores.shape}, descriptors {vectors.shape}"
        raise InputError(f"{path}: gives {shapes}; an extractor gives (N, 2), (N,) and (N, D)")
    pixels = (keypoints.astype(float) + 0.5) * zoom - 0.5
    return Found(pixels, np.full(n, float(zoom.max())), np.zeros(n), scores.astype(float), vectors)
