"""Matching by networks from files, through kornia: LightGlue on features, LoFTR on images that need none.

Nothing is downloaded; weights are read as bare tensors.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.features.learned import fill, kornia_feature, load_weights
from geoloc.features.local import LocalFeatures, unit_descriptors
from geoloc.features.matches import Matches, Sizes

# LightGlue's settings for features, by the beginnings of their fingerprints
SETTINGS: dict[str, dict[str, Any]] = {
    "rootsift": {"input_dim": 128, "add_scale_ori": True},
    "disk": {"input_dim": 128},
    "keynet": {"input_dim": 128, "add_laf": True, "width_confidence": -1, "depth_confidence": -1},
    "onnx": {},
}
FRAME_SIGMAS = 6.0  # radius of the frame that kornia draws around a feature of scale 1
COARSE = 8  # px of LoFTR's coarse cells


@dataclass(frozen=True, eq=False)
class PixelMatches:
    """M places that match: `pixels_a`, `pixels_b` (M, 2) px and the network's `confidence` (M,), 0 to 1."""

    pixels_a: np.ndarray
    pixels_b: np.ndarray
    confidence: np.ndarray

    def __len__(self) -> int:
        return len(self.confidence)


def match_lightglue(a: LocalFeatures, b: LocalFeatures, sizes: Sizes, weights: str) -> Matches:
    """Matches by LightGlue (Lindenberger, Sarlin and Pollefeys 2023) of features of images of two `sizes` px.

    `weights` is the file of the weights, which must be those for these features; `Matches.ratio` is one less the
    network's confidence.
    """
    kind = next((name for name in SETTINGS if a.extractor.startswith(name)), "")
    if not kind:
        raise InputError(f"matcher 'lightglue': knows no features of {a.extractor!r}; known: {', '.join(SETTINGS)}")
    if not weights:
        raise InputError("matcher 'lightglue': needs the file of its weights, which are not part of geoloc; name it")
    if not len(a) or not len(b):
        none = np.zeros(0, int)
        return Matches(none, none, np.zeros(0), np.zeros(0))
    network = _lightglue(kind, a.descriptors.shape[1], weights)
    import torch

    with torch.inference_mode():
        found = network({"image0": _plain(kind, a, sizes[0]), "image1": _plain(kind, b, sizes[1])})
        rows = found["matches"][0].numpy().astype(int).reshape(-1, 2)
        doubt = 1.0 - found["scores"][0].numpy().astype(float).reshape(-1)
    order = np.argsort(rows[:, 0], kind="stable")
    rows, doubt = rows[order], doubt[order]
    away = unit_descriptors(a.descriptors[rows[:, 0]]) - unit_descriptors(b.descriptors[rows[:, 1]])
    distance = np.linalg.norm(away, axis=1)
    return Matches(rows[:, 0], rows[:, 1], distance, doubt)


def match_loftr(
    image_a: np.ndarray, image_b: np.ndarray, weights: str, min_confidence: float = 0.2, device: str = "cpu"
) -> PixelMatches:
    """Places that match in two images, grey values (H, W) uint8, by LoFTR (Sun et al. 2021) from a file of weights.

    It has no features of one image that other images could share: it verifies pairs, it makes no landmarks.
    """
    import torch

    if not weights:
        raise InputError("matcher 'loftr': needs the file of its weights, which are not part of geoloc; name it")
    for image in (image_a, image_b):
        if image.ndim != 2 or image.dtype != np.uint8 or min(image.shape) < 2 * COARSE:
            raise InputError(f"image of shape {image.shape} and {image.dtype}; give grey values (H, W) uint8")
    network = _loftr(weights, min_confidence).to(device)
    with torch.inference_mode():
        given = {
            f"image{i}": torch.from_numpy(np.ascontiguousarray(image)).float()[None, None].to(device) / 255
            for i, image in enumerate((image_a, image_b))
        }
        found = network(given)
    # it counts from the image's corner
    pixels = [found[f"keypoints{i}"].cpu().numpy().astype(float) - 0.5 for i in range(2)]
    return PixelMatches(pixels[0], pixels[1], found["confidence"].cpu().numpy().astype(float))


@lru_cache(maxsize=2)
def _lightglue(kind: str, dim: int, weights: str):  # type: ignore[no-untyped-def]
    settings = {"input_dim": dim} | SETTINGS[kind]
    network = kornia_feature("lightglue").LightGlue(features=None, **settings)
    found = {name.removeprefix("matcher."): value for name, value in load_weights(weights).items()}
    for layer in range(network.conf.n_layers):  # as files that are older than kornia's name them
        for part in ("self_attn", "cross_attn"):
            found = {k.replace(f"{part}.{layer}.", f"transformers.{layer}.{part}.", 1)
                     if k.startswith(f"{part}.") else k: v for k, v in found.items()}
    return fill(network, found, weights)


@lru_cache(maxsize=2)
def _loftr(weights: str, min_confidence: float):  # type: ignore[no-untyped-def]
    import copy

    from kornia.feature.loftr.loftr import default_cfg

    settings = copy.deepcopy(default_cfg)
    settings["match_coarse"]["thr"] = min_confidence
    network = kornia_feature("loftr").LoFTR(pretrained=None, config=settings)
    found = {name.removeprefix("matcher."): value for name, value in load_weights(weights).items()}
    return fill(network, found, weights)


def _plain(kind: str, features: LocalFeatures, size: tuple[int, int]) -> dict[str, Any]:
    """Features of one image as LightGlue takes them."""
    import torch

    width, height = size
    pixels = np.clip(features.pixels, 0, [width - 1, height - 1])
    out = {
        "keypoints": torch.from_numpy(np.ascontiguousarray(pixels, np.float32))[None],
        "descriptors": torch.from_numpy(unit_descriptors(features.descriptors))[None],
        "image_size": torch.tensor([[width, height]], dtype=torch.float32),
    }
    if kind == "rootsift":
        turn = np.remainder(features.angle + np.pi, 2 * np.pi) - np.pi
        out |= {"scales": torch.from_numpy(features.scale.astype(np.float32))[None]}
        out |= {"oris": torch.from_numpy(turn.astype(np.float32))[None]}
    elif kind == "keynet":
        along, aside = np.cos(features.angle), np.sin(features.angle)
        turn = np.stack([along, -aside, pixels[:, 0], aside, along, pixels[:, 1]], axis=1).reshape(-1, 2, 3)
        turn[:, :, :2] *= FRAME_SIGMAS * features.scale[:, None, None]
        out |= {"lafs": torch.from_numpy(turn.astype(np.float32))[None]}
    return out
