"""What a gallery keeps on disk beside its indexes: what it is, crops, snapshots; and what is left of a view in files.

    FOLDER/gallery.json         the model of its vectors, their length, its indexes, how looks are judged
    FOLDER/index-0/ ...         the indexes, where they are kept here
    FOLDER/crops/ID.jpg         pictures of views
    FOLDER/snapshots/NAME.npz   all views as they were
"""

import contextlib
import io
import json
import mmap
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.features.crops import EmbedderOptions
from geoloc.files import read_bytes, read_json, write_whole
from geoloc.retrieval.indexes import Setting
from geoloc.retrieval.likeness import Likeness
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.servers.passwords import refuse_secrets

SCHEMA = 1
JPEG = 90  # quality of crops
PIECE = 8  # numbers of a vector in a row that are looked for in files: no two vectors share so many by chance


@dataclass(frozen=True)
class IndexPlace:
    """An index of `INDEXES` by its `name`, with its `settings`.

    It lies at `place`, a folder or a server's address; empty: in the gallery's own folder, or in memory without one.
    """

    name: str
    place: str = ""
    settings: dict[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What a gallery is: its vectors' `model` (a fingerprint) and length, and its indexes.

    Looks are judged by the `stages` of re-ranking that help here, and by what a score after them says, `likeness`.
    `embedder` of EMBEDDERS, with its options, makes the vectors; empty: they are made elsewhere.
    """

    model: str
    dim: int
    indexes: tuple[IndexPlace, ...]
    likeness: Likeness
    stages: tuple[str, ...] = ()
    embedder: str = ""
    embedder_options: EmbedderOptions = field(default_factory=EmbedderOptions)


class GalleryFolder:
    """The files of one gallery."""

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder)

    @property
    def exists(self) -> bool:
        """Whether a gallery was made here."""
        return self._manifest.exists()

    def read(self) -> Manifest:
        """What the gallery is."""
        document = read_json(self._manifest)
        try:
            if document["schema"] != SCHEMA:
                raise InputError(f"{self._manifest}: schema {document['schema']}; this geoloc reads {SCHEMA}")
            indexes = tuple(IndexPlace(**each) for each in document["indexes"])
            likeness, embedder = _likeness_of(document["likeness"]), EmbedderOptions(**document["embedder_options"])
            known = document["model"], int(document["dim"])
            return Manifest(*known, indexes, likeness, tuple(document["stages"]), document["embedder"], embedder)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self._manifest}: not a gallery's description ({error!r})") from error

    def write(self, manifest: Manifest) -> None:
        """Write down what the gallery is; InputError where a password would be written with it."""
        for each in manifest.indexes:
            refuse_secrets(each.name, each.place, each.settings)
        plain = asdict(manifest.likeness)
        finite = {name: value if np.isfinite(value) else None for name, value in plain.items()}
        document = {"schema": SCHEMA, **asdict(manifest), "likeness": finite}
        write_whole(self._manifest, json.dumps(document, indent=1, allow_nan=False) + "\n", sync=True)

    @property
    def _manifest(self) -> Path:
        return self.path / "gallery.json"

    # ---- crops

    def write_crop(self, number: int, crop: np.ndarray) -> None:
        """Keep the picture (H, W) or (H, W, 3) uint8 of a view."""
        import cv2

        done, packed = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG])
        if not done:
            raise InputError(f"view {number}: a crop of shape {crop.shape} cannot be written as a picture")
        write_whole(self._crop(number), packed.tobytes())

    def read_crop(self, number: int) -> np.ndarray | None:
        """The picture (H, W, 3) uint8 BGR of a view; None where none was kept."""
        import cv2

        path = self._crop(number)
        if not path.exists():
            return None
        picture = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise InputError(f"{path}: not a picture that can be read; is the file whole?")
        return np.asarray(picture)

    def crops(self) -> list[int]:
        """Ids of the views with a picture."""
        return sorted(int(path.stem) for path in (self.path / "crops").glob("*.jpg") if path.stem.isdigit())

    def remove_crops(self, numbers: Iterable[int]) -> None:
        """Delete the pictures of views, of those that have one."""
        folder = self.path / "crops"
        if not folder.exists():
            return
        for number in numbers:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/{int(number)}.jpg")  # making a Path takes longer than this

    def keep_crops(self, numbers: np.ndarray) -> None:
        """Delete the pictures of all views but these (N,)."""
        self.remove_crops(np.setdiff1d(self.crops(), numbers).tolist())

    def _crop(self, number: int) -> Path:
        return self.path / "crops" / f"{int(number)}.jpg"

    # ---- snapshots

    def snapshots(self) -> list[str]:
        """Names of what was kept, in order."""
        return sorted(path.stem for path in (self.path / "snapshots").glob("*.npz"))

    def write_snapshot(self, name: str, looks: Looks) -> Path:
        """Keep all views under a name; one of the same name is replaced."""
        path = self._snapshot(name)
        stream = io.BytesIO()
        np.savez(stream, **dict(looks))  # type: ignore[arg-type]
        write_whole(path, stream.getvalue(), sync=True)
        return path

    def read_snapshot(self, name: str) -> Looks:
        """The views that were kept under a name."""
        path = self._snapshot(name)
        if not path.exists():
            known = ", ".join(self.snapshots()) or "none"
            raise InputError(f"{self.path}: no snapshot {name!r}; there are: {known}")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return Looks(**{column: arrays[column] for column in Looks.columns})
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: not a snapshot that can be read ({error})") from error

    def _snapshot(self, name: str) -> Path:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise InputError(f"snapshot {name!r}: use letters, digits, '_', '-' and '.', for it names a file")
        return self.path / "snapshots" / f"{name}.npz"

    # ---- what is left

    def traces(self, vectors: np.ndarray) -> list[str]:
        """Files in the folder that hold a piece of one of the vectors (N, D), in single or half precision."""
        pieces = [_piece(vector).astype(kind).tobytes() for vector in vectors for kind in (np.float32, np.float16)]
        files = sorted(path for path in self.path.rglob("*") if path.is_file() and path.stat().st_size)
        return [str(path.relative_to(self.path)) for path in files if _holds(path, pieces)]


def _piece(vector: np.ndarray) -> np.ndarray:
    """The part (PIECE,) of a vector with most different numbers: many vectors share stretches of zeros."""
    if len(vector) <= PIECE:
        return vector
    parts = np.sort(np.lib.stride_tricks.sliding_window_view(vector, PIECE), axis=1)
    start = int(np.argmax((np.diff(parts, axis=1) != 0).sum(axis=1)))
    return vector[start : start + PIECE]


def _holds(path: Path, pieces: list[bytes]) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(piece) >= 0 for piece in pieces)


def _likeness_of(values: dict[str, float | None]) -> Likeness:
    known = {name: value for name, value in values.items() if value is not None}
    return Likeness(**known)  # type: ignore[arg-type]
