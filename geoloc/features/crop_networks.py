"""Crops embedded by a network from a file: TorchScript or an exported program by torch, ONNX by onnxruntime.

A network takes (N, 3, height, width) float32, red, green, blue, normalised as ImageNet's pictures are, and gives
(N, D): the form of re-identification networks. Nothing is downloaded: the file is the caller's.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.features.crops import EmbedderOptions
from geoloc.features.networks import BATCHED, MEAN, SIGMA, Run
from geoloc.features.whitening import unit_rows
from geoloc.files import read_bytes


@dataclass(frozen=True, eq=False)
class CropNetwork:
    """A network that `run`s crops by batches of at most `batch`; `dim` numbers each, `digest` of its file."""

    runtime: str
    options: EmbedderOptions
    digest: str
    run: Run
    batch: int
    dim: int

    @classmethod
    def open(cls, runtime: str, options: EmbedderOptions) -> Self:
        """Read the file; InputError where there is none, or its runtime is not installed or refuses it."""
        if runtime not in BATCHED:
            raise unknown_name("runtime of networks", runtime, BATCHED)
        if not options.weights:
            raise InputError(f"embedder {runtime!r}: needs a network; give its file as weights")
        digest = hashlib.sha256(read_bytes(options.weights)).hexdigest()
        run, batch = BATCHED[runtime](Path(options.weights), options.device)
        batch = batch or options.batch
        blank = np.zeros((batch, 3, options.height_px, options.width_px), np.float32)
        found = cls(runtime, options, digest, run, batch, 0)
        return cls(runtime, options, digest, run, batch, found._ran(blank).shape[1])

    @property
    def fingerprint(self) -> str:
        """The runtime, a hash of the file, and the size it is given."""
        size = f"{self.options.width_px}x{self.options.height_px}"
        return f"{self.runtime}-{self.dim}-{size}-{self.digest[:12]}"

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors (N, dim) float32 of crops (H, W, 3) uint8 BGR, of unit length."""
        vectors = np.zeros((len(crops), self.dim), np.float32)
        for start in range(0, len(crops), self.batch):
            part = crops[start : start + self.batch]
            pixels = np.zeros((self.batch, 3, self.options.height_px, self.options.width_px), np.float32)
            for row, crop in enumerate(part):
                pixels[row] = self._pixels(crop)
            # the last batch is filled up with blanks: networks with a fixed number at once run it too
            vectors[start : start + len(part)] = self._ran(pixels)[: len(part)]
        return unit_rows(vectors)

    def _pixels(self, crop: np.ndarray) -> np.ndarray:
        import cv2

        size = (self.options.width_px, self.options.height_px)
        shrinks = crop.shape[1] > size[0] or crop.shape[0] > size[1]
        scaled = cv2.resize(
            np.ascontiguousarray(crop), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return ((np.asarray(scaled, np.float32)[..., ::-1] / 255 - MEAN) / SIGMA).transpose(2, 0, 1)

    def _ran(self, pixels: np.ndarray) -> np.ndarray:
        vectors = np.asarray(self.run(pixels), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(pixels) or not np.isfinite(vectors).all():
            found = f"gives {vectors.shape} of {len(pixels)} pictures"
            raise InputError(f"{self.options.weights}: {found}; it must give finite numbers ({len(pixels)}, D)")
        return vectors
