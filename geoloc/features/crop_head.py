"""An embedder with what was learnt of a site on top of it: one matrix, which vectors that are stored take on too.

    head = load_head("calibration/garage/looks.npz")
    again = head(vectors)                       # what the base embedder gave becomes what the adapted one gives
"""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.features.crops import DEFAULT, Embedder, EmbedderOptions, find_embedder
from geoloc.features.whitening import unit_rows
from geoloc.files import write_whole

FORMAT = "geoloc embedding head 1"
NUMBERS = ("width_px", "height_px", "batch")


@dataclass(frozen=True, eq=False)
class Head:
    """Takes vectors (N, D) of the embedder with the fingerprint `base` to unit vectors (N, d): `mean`, `matrix`.

    `embedder` of EMBEDDERS and its `options` are what made the vectors that it learnt of; "": something elsewhere.
    """

    mean: np.ndarray  # (D,) float32
    matrix: np.ndarray  # (D, d) float32
    base: str
    embedder: str = DEFAULT
    options: EmbedderOptions = field(default_factory=EmbedderOptions)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.matrix.shape[1])

    @property
    def fingerprint(self) -> str:
        """Of the base and of what was learnt."""
        digest = hashlib.sha256(self.base.encode() + self.mean.tobytes() + self.matrix.tobytes()).hexdigest()
        return f"adapted-{self.dim}-{digest[:12]}"

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (N, d) float32 of unit length; what was all 0 stays so."""
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise InputError(f"head: vectors {vectors.shape}; it learnt of (N, {len(self.mean)}) of {self.base}")
        shows = vectors.any(axis=1, keepdims=True)
        return unit_rows((vectors - self.mean) @ self.matrix) * shows


@dataclass(frozen=True, eq=False)
class Adapted:
    """The embedder that a head was learnt on, and the head."""

    base: Embedder
    head: Head

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.head.dim

    @property
    def fingerprint(self) -> str:
        """The head's."""
        return self.head.fingerprint

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors (N, dim) float32 of crops (H, W, 3) uint8 BGR: of unit length, all 0 for a blank one."""
        return self.head(self.base(crops))


def load_adapted(options: EmbedderOptions) -> Adapted:
    """The embedder whose head lies in the file `options.weights`; InputError where its base is another one now."""
    if not options.weights:
        raise InputError("embedder 'adapted': needs what geoloc adapt saved; give its file as weights")
    head = load_head(options.weights)
    if not head.embedder:
        raise InputError(f"{options.weights}: learnt of vectors that are made elsewhere; put those through load_head()")
    base = find_embedder(head.embedder, replace(head.options, device=options.device))
    if base.fingerprint != head.base:
        said = f"learnt on vectors of {head.base}, its embedder is {base.fingerprint} now"
        raise InputError(f"{options.weights}: {said}; adapt again")
    return Adapted(base, head)


def save_head(head: Head, path: Path | str) -> None:
    """Write a head, whole or not at all."""
    packed = io.BytesIO()
    words = np.array([FORMAT, head.base, head.embedder, head.options.weights])
    numbers = np.array([getattr(head.options, name) for name in NUMBERS])
    np.savez(packed, words=words, numbers=numbers, mean=head.mean, matrix=head.matrix)
    write_whole(path, packed.getvalue())


def load_head(path: Path | str) -> Head:
    """Read a head; a file that is none, or a broken one, is refused with what is wrong."""
    try:
        with np.load(path, allow_pickle=False) as packed:
            kind, base, embedder, weights = packed["words"].tolist()
            numbers = dict(zip(NUMBERS, packed["numbers"].tolist(), strict=True))
            mean, matrix = packed["mean"], packed["matrix"]
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; make it with geoloc adapt") from error
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        said = f"not an embedding head that can be read ({error or type(error).__name__})"
        raise InputError(f"{path}: {said}; make it with geoloc adapt") from error
    fits = mean.ndim == 1 and matrix.ndim == 2 and len(matrix) == len(mean) and matrix.size
    if kind != FORMAT or not fits or not (np.isfinite(mean).all() and np.isfinite(matrix).all()):
        raise InputError(f"{path}: {kind!r} of {mean.shape} and {matrix.shape} is no embedding head; adapt again")
    return Head(mean, matrix, base, embedder, EmbedderOptions(weights, **numbers))
