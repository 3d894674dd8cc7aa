"""What objects look like: crops of pictures, each one vector, so that views of one object are near.

`EMBEDDERS` names what can embed crops. "plain" is the default and needs no weights: where which colours are, which way
edges run, and which local patterns there are. "torch" and "onnx" are networks from files; "adapted" is any of them
with what `retrieval.adapt` learnt of a site's own tracks.

    crops = cut_crops(picture, detections.box)
    vectors = embed(crops)                          # (N, D) of unit length: inner products are likenesses
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.features.crop_plain import PlainEmbedder
from geoloc.options import check_range

DEFAULT = "plain"


@dataclass(frozen=True)
class EmbedderOptions:
    """Which network, the size it takes, and how it is run; "plain" needs none of them."""

    weights: str = ""  # path of the network's file, or of what `adapt` saved
    width_px: int = 128  # of the pictures that the network takes
    height_px: int = 256
    batch: int = 32  # crops at once; a network that takes another number at once is given that
    device: str = "cpu"  # of torch, such as "cuda"

    def __post_init__(self) -> None:
        check_range(self, width_px=(8, 8192), height_px=(8, 8192), batch=(1, 65536))


class Embedder(Protocol):
    """What makes vectors of crops."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def fingerprint(self) -> str:
        """Name and all that changes the vectors: only those of equal fingerprints can be compared."""

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors (N, dim) float32 of crops (H, W, 3) uint8 BGR of any sizes: unit length, all 0 for a blank one.

        A crop's vector does not depend on the others.
        """


def _network(runtime: str) -> Callable[[EmbedderOptions], Embedder]:
    def load(options: EmbedderOptions) -> Embedder:
        from geoloc.features.crop_networks import CropNetwork  # it needs the options above

        return CropNetwork.open(runtime, options)

    return load


def _adapted(options: EmbedderOptions) -> Embedder:
    from geoloc.features.crop_head import load_adapted  # it needs the embedders below

    return load_adapted(options)


EMBEDDERS: dict[str, Callable[[EmbedderOptions], Embedder]] = {
    DEFAULT: lambda options: PlainEmbedder(),
    "torch": _network("torch"),
    "onnx": _network("onnx"),
    "adapted": _adapted,
}


def find_embedder(embedder: str | Embedder = DEFAULT, options: EmbedderOptions | None = None) -> Embedder:
    """The embedder of a name of `EMBEDDERS`, ready to run; an instance as it is."""
    if not isinstance(embedder, str):
        return embedder
    if embedder not in EMBEDDERS:
        raise unknown_name("embedder", embedder, EMBEDDERS)
    return EMBEDDERS[embedder](options or EmbedderOptions())


def embed(
    crops: Sequence[np.ndarray], embedder: str | Embedder = DEFAULT, options: EmbedderOptions | None = None
) -> np.ndarray:
    """Vectors (N, D) float32 of crops (H, W, 3) uint8 BGR, of unit length; all 0 where a crop shows nothing.

    InputError for what is no crop, and where an embedder gives what is not finite.
    """
    for number, crop in enumerate(crops):
        check_crop(crop, f"crop {number}")
    run = find_embedder(embedder, options)
    vectors = run(crops) if len(crops) else np.zeros((0, run.dim), np.float32)
    if vectors.shape != (len(crops), run.dim) or not np.isfinite(vectors).all():
        raise InputError(f"embedder {run.fingerprint}: gives {vectors.shape}; give finite ({len(crops)}, {run.dim})")
    return vectors


def check_crop(crop: np.ndarray, what: str = "crop") -> None:
    """InputError unless it is a picture (H, W, 3) uint8 with at least one pixel."""
    if not isinstance(crop, np.ndarray) or crop.ndim != 3 or crop.shape[2] != 3 or crop.dtype != np.uint8:
        found = f"{crop.shape} {crop.dtype}" if isinstance(crop, np.ndarray) else type(crop).__name__
        raise InputError(f"{what}: {found}; give blue, green and red (height, width, 3) uint8")
    if not crop.size:
        raise InputError(f"{what}: {crop.shape} has no pixel; leave out boxes that lie outside of their picture")


def cut_crops(picture: np.ndarray, boxes: np.ndarray) -> list[np.ndarray]:
    """What a picture (H, W, 3) uint8 shows in boxes (N, 4) px: left, top, right, bottom, (0, 0) a pixel's centre.

    What of a box lies outside of the picture is left out; a box without a pixel inside it gives an empty crop.
    """
    check_crop(picture, "picture")
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise InputError(f"box {int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])} is not finite; leave it out")
    height, width = picture.shape[:2]
    # a pixel is in where its centre is
    low = np.ceil(boxes[:, :2]).clip(0, [width, height]).astype(int)
    high = (np.floor(boxes[:, 2:]) + 1).clip(0, [width, height]).astype(int)
    high = np.maximum(high, low)
    return [picture[y0:y1, x0:x1] for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True)]
