"""Local features of an image: where they are, how large and how turned, and what they look like.

`RootSift` finds them without weights: OpenCV's SIFT (Lowe 2004), its descriptors as the square roots of their shares
(Arandjelović and Zisserman 2012), quantised to a byte.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Protocol

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range

QUANTUM = 512.0  # steps of a quantised descriptor to one: its length is about this many


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """N features of one image, the strongest first.

    `pixels` (N, 2) float32 px, (0, 0) the centre of the top-left pixel | `scale` (N,) px, sigma of the blob | `angle`
    (N,) rad, from the image's right towards its lower edge | `response` (N,) strength | `descriptors` (N, D) uint8
    (times 1 / QUANTUM of unit length) or float32 of unit length | `extractor` fingerprint of what made them: features
    of different ones cannot be compared.
    """

    pixels: np.ndarray
    scale: np.ndarray
    angle: np.ndarray
    response: np.ndarray
    descriptors: np.ndarray
    extractor: str

    def __post_init__(self) -> None:
        n = len(self.descriptors)
        shapes = {name: getattr(self, name).shape for name in ("pixels", "scale", "angle", "response")}
        if shapes != {"pixels": (n, 2), "scale": (n,), "angle": (n,), "response": (n,)} or self.descriptors.ndim != 2:
            raise InputError(f"features: descriptors {self.descriptors.shape} beside {shapes}; give one row a feature")
        if self.descriptors.dtype not in (np.uint8, np.float32):
            raise InputError(f"features: descriptors are {self.descriptors.dtype}; give uint8 or float32")

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: np.ndarray) -> "LocalFeatures":
        """The features that a mask or index selects."""
        arrays = (each.name for each in fields(self) if each.name != "extractor")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})


@dataclass(frozen=True)
class ExtractionOptions:
    """How many features, and how faint ones."""

    max_features: int = 8000  # the strongest are kept
    min_contrast: float = 0.0133  # of a blob against its surroundings, of the range black to white; less finds more
    max_edge: float = 10.0  # ratio of curvatures past which a feature is an edge, which slides along itself
    halvings: int = 0  # of the image's sides beforehand: each leaves a third of the time and loses the finest features
    weights: str = ""  # path of the file or folder that a network is in

    def __post_init__(self) -> None:
        check_range(self, max_features=(1, 1_000_000), min_contrast=(0, 1), max_edge=(1, 1000), halvings=(0, 6))


class Extractor(Protocol):
    """What finds features in an image."""

    @property
    def fingerprint(self) -> str:
        """Name and all that changes the descriptors: features of equal fingerprints can be compared."""

    def __call__(self, image: np.ndarray, mask: np.ndarray) -> LocalFeatures:
        """Features of grey values (H, W) uint8 whose centres lie where `mask` (H, W) bool is true."""


@dataclass(frozen=True)
class RootSift:
    """OpenCV's SIFT with RootSIFT descriptors (N, 128) uint8."""

    options: ExtractionOptions = field(default_factory=ExtractionOptions)

    @property
    def fingerprint(self) -> str:
        """The settings that choose features do not change what one looks like."""
        return "rootsift-128-uint8"

    def __call__(self, image: np.ndarray, mask: np.ndarray) -> LocalFeatures:
        import cv2

        sift = cv2.SIFT.create(
            nfeatures=self.options.max_features,
            contrastThreshold=3 * self.options.min_contrast,  # OpenCV divides it by its three layers an octave
            edgeThreshold=self.options.max_edge,
            enable_precise_upscale=True,  # without it every feature lies a quarter of a pixel right and down
        )
        keypoints, descriptors = sift.detectAndCompute(image, mask.astype(np.uint8))
        rows = np.array([(*k.pt, k.size / 2, k.angle, k.response) for k in keypoints], np.float32).reshape(-1, 5)
        raw = np.zeros((0, 128), np.float32) if descriptors is None else descriptors
        order = np.lexsort((rows[:, 3], rows[:, 1], rows[:, 0], -rows[:, 4]))  # ties in an order that says nothing
        rows, raw = rows[order], raw[order]
        angle = np.pi / 180 * rows[:, 3]
        return LocalFeatures(rows[:, :2], rows[:, 2], angle, rows[:, 4], root_quantised(raw), self.fingerprint)


def root_quantised(descriptors: np.ndarray) -> np.ndarray:
    """RootSIFT (N, D) uint8 of SIFT's histograms (N, D) >= 0: square roots of their shares, in steps of 1 / QUANTUM."""
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-12)
    root: np.ndarray = np.rint(QUANTUM * np.sqrt(descriptors / total)).clip(0, 255).astype(np.uint8)
    return root


def unit_descriptors(descriptors: np.ndarray) -> np.ndarray:
    """Descriptors (N, D) as float32 in units in which their length is about 1."""
    values = descriptors.astype(np.float32)
    return values / np.float32(QUANTUM) if descriptors.dtype == np.uint8 else values
