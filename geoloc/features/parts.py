"""What of an image a global descriptor is made of: each part learns of a site's images, then describes any image.

"layout" is where edges run which way: one camera over the seasons. "dense_vlad" is which patches there are, wherever
they lie, and "vlad" which local features there are: the same place from another viewpoint. "torch" and "onnx" are
networks from files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, Self

import numpy as np

from geoloc.errors import InputError
from geoloc.features.extraction import extract
from geoloc.features.layout import checked_image, clear_edges, gradient_layout, layout_patches
from geoloc.features.local import LocalFeatures, unit_descriptors
from geoloc.features.networks import Network, NetworkOptions
from geoloc.features.vlad import VladOptions, Vocabulary, train_vocabulary, vlad


@dataclass(frozen=True)
class PartOptions:
    """How parts are trained or loaded."""

    vlad: VladOptions = field(default_factory=VladOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)


class View:
    """An image (H, W) uint8, and what several parts see in it, made once: its `layout`, its local `features`."""

    def __init__(self, image: np.ndarray, features: LocalFeatures | None = None) -> None:
        self.image = checked_image(image)
        if features is not None:
            self.features = features

    @cached_property
    def layout(self) -> np.ndarray:
        """Layout of gradients (rows, columns, channels)."""
        return gradient_layout(self.image)

    @cached_property
    def features(self) -> LocalFeatures:
        """Local features: those that were given, else extracted."""
        return extract(self.image)


class Part(Protocol):
    """One part of a description."""

    @classmethod
    def learn(
        cls,
        images: Sequence[np.ndarray],
        features: Sequence[LocalFeatures],
        rng: np.random.Generator,
        options: PartOptions,
    ) -> Self:
        """Learn of a site's images (H, W) uint8, and of the features of each; none: extracted where they are needed."""

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The part that gave these arrays."""

    def __call__(self, view: View) -> np.ndarray:
        """Vector (D,) float32, of unit length or all 0."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it has learnt, for a file."""


@dataclass(frozen=True)
class Layout:
    """The layout of gradients as it is."""

    @classmethod
    def learn(
        cls,
        images: Sequence[np.ndarray],
        features: Sequence[LocalFeatures],
        rng: np.random.Generator,
        options: PartOptions,
    ) -> Self:
        """The same for every site."""
        return cls()

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The same for every site."""
        return cls()

    def __call__(self, view: View) -> np.ndarray:
        """Both halves of the layout, of equal weight."""
        return np.ravel(view.layout) * np.float32(np.sqrt(0.5))

    def arrays(self) -> dict[str, np.ndarray]:
        """It has learnt nothing."""
        return {}


@dataclass(frozen=True, eq=False)
class DenseVlad:
    """VLAD of the patches of the layout, dense as Torii et al.'s (2015)."""

    vocabulary: Vocabulary

    @classmethod
    def learn(
        cls,
        images: Sequence[np.ndarray],
        features: Sequence[LocalFeatures],
        rng: np.random.Generator,
        options: PartOptions,
    ) -> Self:
        """Of patches of all images that show something."""
        each = _each(options.vlad.max_training, len(images))
        drawn = []
        for image in images:
            patches, contrast = layout_patches(clear_edges(gradient_layout(image)))
            drawn.append(patches[rng.permutation(np.flatnonzero(contrast))[:each]])
        return cls(train_vocabulary(drawn, rng, options.vlad))

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Of the vocabulary's arrays."""
        return cls(Vocabulary.of(arrays))

    def __call__(self, view: View) -> np.ndarray:
        """Patches weigh by their contrast: a clear sky says little."""
        return vlad(*layout_patches(clear_edges(view.layout)), self.vocabulary)

    def arrays(self) -> dict[str, np.ndarray]:
        """The vocabulary."""
        return self.vocabulary.arrays()


@dataclass(frozen=True, eq=False)
class LocalVlad:
    """VLAD of local features of one `extractor`."""

    vocabulary: Vocabulary
    extractor: str

    @classmethod
    def learn(
        cls,
        images: Sequence[np.ndarray],
        features: Sequence[LocalFeatures],
        rng: np.random.Generator,
        options: PartOptions,
    ) -> Self:
        """Of features of all images."""
        each, extractor = _each(options.vlad.max_training, len(images)), ""
        drawn = []
        for row, image in enumerate(images):
            found = features[row] if features else extract(image)
            extractor = _same_extractor(found, extractor or found.extractor)
            drawn.append(unit_descriptors(found.descriptors[rng.permutation(len(found))[:each]]))
        return cls(train_vocabulary(drawn, rng, options.vlad), extractor)

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Of the vocabulary's arrays, and the extractor's fingerprint."""
        return cls(Vocabulary.of(arrays), str(arrays["extractor"]))

    def __call__(self, view: View) -> np.ndarray:
        """Every feature weighs the same."""
        _same_extractor(view.features, self.extractor)
        found = unit_descriptors(view.features.descriptors)
        return vlad(found, np.ones(len(found), np.float32), self.vocabulary)

    def arrays(self) -> dict[str, np.ndarray]:
        """The vocabulary, and the extractor's fingerprint."""
        return self.vocabulary.arrays() | {"extractor": np.array(self.extractor)}


class _NetworkPart(Network):
    RUNTIME = ""

    @classmethod
    def learn(
        cls,
        images: Sequence[np.ndarray],
        features: Sequence[LocalFeatures],
        rng: np.random.Generator,
        options: PartOptions,
    ) -> Self:
        """From the file that the options name: it has learnt elsewhere."""
        return cls.open(cls.RUNTIME, options.network)

    def __call__(self, view: View) -> np.ndarray:
        """By the network."""
        return self.describe(view.image)


class TorchPart(_NetworkPart):
    """A network that torch runs."""

    RUNTIME = "torch"


class OnnxPart(_NetworkPart):
    """A network that onnxruntime runs."""

    RUNTIME = "onnx"


PARTS: dict[str, type[Part]] = {
    "layout": Layout,
    "dense_vlad": DenseVlad,
    "vlad": LocalVlad,
    "torch": TorchPart,
    "onnx": OnnxPart,
}


def _each(most: int, n: int) -> int:
    return max(1, -(-most // max(n, 1)))


def _same_extractor(features: LocalFeatures, wanted: str) -> str:
    if features.extractor != wanted:
        raise InputError(f"features of {features.extractor!r} among those of {wanted!r}; use one extractor for all")
    return wanted
