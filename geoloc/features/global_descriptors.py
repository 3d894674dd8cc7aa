"""One vector for a whole image, so that images of one place are near: what retrieval searches by.

`GLOBALS` names the descriptors by their parts. All are trained on a site's own images, whose vectors they whiten, and
on small warps of them; none needs weights from elsewhere but "torch" and "onnx".
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.features.local import LocalFeatures
from geoloc.features.parts import PARTS, Part, PartOptions, View
from geoloc.features.variations import VariationOptions, vary
from geoloc.features.whitening import Whitening, WhiteningOptions, train_whitening

# Parts and the weights of their cosines. Where nothing moved the layout's cosine is a multiple of the patches', and
# where the camera did they alone tell: twice their weight puts both among the first.
GLOBALS: dict[str, dict[str, float]] = {
    "places": {"layout": 1.0, "dense_vlad": 2.0},
    "layout": {"layout": 1.0},
    "dense_vlad": {"dense_vlad": 1.0},
    "vlad": {"vlad": 1.0},
    "torch": {"torch": 1.0},
    "onnx": {"onnx": 1.0},
}


@dataclass(frozen=True)
class GlobalOptions:
    """How a global descriptor is trained."""

    parts: PartOptions = field(default_factory=PartOptions)
    whitening: WhiteningOptions = field(default_factory=WhiteningOptions)
    variation: VariationOptions = field(default_factory=VariationOptions)


@dataclass(frozen=True, eq=False)
class GlobalDescriptor:
    """Describes images as it has learnt: `name` of GLOBALS, its `parts`, and how each one's vectors are whitened."""

    name: str
    parts: tuple[Part, ...]
    whitenings: tuple[Whitening, ...]

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return sum(whitening.matrix.shape[1] for whitening in self.whitenings)

    @property
    def fingerprint(self) -> str:
        """Name and a hash of what it has learnt: only vectors of equal fingerprints can be compared."""
        digest = hashlib.sha256()
        for whitening in self.whitenings:
            digest.update(whitening.mean.tobytes() + whitening.matrix.tobytes())
        return f"{self.name}-{self.dim}-{digest.hexdigest()[:12]}"

    def __call__(self, image: np.ndarray, features: LocalFeatures | None = None) -> np.ndarray:
        """Unit vector (dim,) float32 of an image (H, W) uint8; all 0 where it shows nothing.

        Give its `features` where they are known already: the part "vlad" extracts them else.
        """
        return self.describe(View(image, features))

    def describe(self, view: View) -> np.ndarray:
        """The same of a view, whose layout and features may be there already."""
        raws = [part(view)[None] for part in self.parts]
        vector: np.ndarray = _joined(self.name, self.whitenings, raws)[0]
        return vector

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it has learnt, for a file; `load_global` makes it anew."""
        found = {"name": np.array(self.name)}
        for name, part, whitening in zip(GLOBALS[self.name], self.parts, self.whitenings, strict=True):
            found |= {f"{name}.whitening.mean": whitening.mean, f"{name}.whitening.matrix": whitening.halved()}
            found |= {f"{name}.part.{key}": array for key, array in part.arrays().items()}
        return found


def train_global(
    images: Sequence[np.ndarray],
    rng: np.random.Generator,
    name: str = "places",
    features: Sequence[LocalFeatures] = (),
    options: GlobalOptions | None = None,
) -> tuple[GlobalDescriptor, np.ndarray]:
    """A descriptor of a site's images (H, W) uint8, a `name` of GLOBALS, and the vectors (N, dim) of these images.

    `features` of each image, where they are known already. The images are gone through three times, one at a time: a
    sequence that reads them when it is asked will do. GeometryError where the images show nothing.
    """
    options = options or GlobalOptions()
    if name not in GLOBALS:
        raise unknown_name("global descriptor", name, GLOBALS)
    if not len(images) or len(features) not in (0, len(images)):
        raise InputError(f"{len(images)} images, features of {len(features)}; give images, and features of all or none")
    parts = tuple(PARTS[part].learn(images, features, rng, options.parts) for part in GLOBALS[name])
    known: Sequence[LocalFeatures | None] = features or [None] * len(images)
    views = (View(image, each) for image, each in zip(images, known, strict=True))
    varied = _drawn(len(images), rng, options.variation)
    described = [[part(view) for part in parts] for view in views]
    moved_views = (View(vary(images[row], rng, options.variation)) for row in varied)
    others = [[part(view) for part in parts] for view in moved_views]
    raws = [np.stack(vectors) for vectors in zip(*described, strict=True)]
    moved = [np.stack(vectors) for vectors in zip(*others, strict=True)] or [raw[:0] for raw in raws]
    differences = (after - raw[varied] for after, raw in zip(moved, raws, strict=True))
    whitenings = [train_whitening(raw, each, options.whitening) for raw, each in zip(raws, differences, strict=True)]
    return GlobalDescriptor(name, parts, tuple(whitenings)), _joined(name, whitenings, raws)


def load_global(arrays: Mapping[str, np.ndarray]) -> GlobalDescriptor:
    """The descriptor that gave these arrays."""
    name = str(arrays["name"])
    if name not in GLOBALS:
        raise unknown_name("global descriptor", name, GLOBALS)
    parts = tuple(PARTS[part].load(_under(f"{part}.part.", arrays)) for part in GLOBALS[name])
    learnt = [_under(f"{part}.whitening.", arrays) for part in GLOBALS[name]]
    whitenings = tuple(Whitening(each["mean"], each["matrix"].astype(np.float32)) for each in learnt)
    return GlobalDescriptor(name, parts, whitenings)


def _under(start: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}


def _drawn(n: int, rng: np.random.Generator, options: VariationOptions) -> np.ndarray:
    """Rows of the images to warp: each `copies` times, as far as `max_images` goes."""
    turns = np.concatenate([rng.permutation(n) for _ in range(options.copies)])
    return turns[: options.max_images]


def _joined(name: str, whitenings: Sequence[Whitening], raws: Sequence[np.ndarray]) -> np.ndarray:
    """Whitened parts side by side: inner products of rows (N, dim) are the weighted mean of the parts' cosines."""
    weights = np.array(list(GLOBALS[name].values()), np.float32)
    share = np.sqrt(weights / weights.sum())
    parts = [w * whitening(raw) for w, whitening, raw in zip(share, whitenings, raws, strict=True)]
    return np.concatenate(parts, axis=1)
