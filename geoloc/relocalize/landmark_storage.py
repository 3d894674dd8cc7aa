"""A landmark map as one file: arrays in NumPy's npz, without pickles; cameras and the rest as JSON among them.

What a map is searched by lies in it too; a file that has none of it is read all the same.
"""

import io
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.features.words import Words
from geoloc.files import parse_json, write_whole
from geoloc.relocalize.landmark_index import LandmarkIndex
from geoloc.relocalize.landmarks import FeatureNoise, LandmarkMap
from geoloc.relocalize.map_frame import MapFrame
from geoloc.scene import jsonfile
from geoloc.scene.camera import Camera
from geoloc.scene.storage import cameras_text, parse_cameras

FORMAT = "geoloc landmark map"
SCHEMA = 2
FIRST = 1  # its maps lie in the site's frame as it is, and nothing is told of how long a landmark lasts
ARRAYS = {  # name: dtype on disk; descriptors keep their own
    "points": np.float64, "point_cov": np.float32, "image": np.int32, "point": np.int32, "pixels": np.float32,
    "scale": np.float32, "repeats": np.float64, "seen": np.float32, "missed": np.float32,
}  # fmt: skip
INDEX = {  # as in LandmarkIndex
    "words": np.float32, "word": np.uint8, "voter_words": np.float32, "axes": np.float32, "signature": np.uint64,
    "image": np.int32, "starts": np.int64,
}  # fmt: skip
LATER = ("seen", "missed", "repeats")  # that schema 1 did not have, or not always


def save_landmarks(landmarks: LandmarkMap, path: Path | str) -> None:
    """Write a map, whole or not at all."""
    head = {"format": FORMAT, "schema": SCHEMA, "extractor": landmarks.extractor, "noise": vars(landmarks.noise)}
    head["frame"] = {"middle": landmarks.frame.middle.tolist(), "cov": landmarks.frame.cov.tolist()}
    both = [Camera(f"{i} {end}", lens, (1, 1)) for i, pair in enumerate(landmarks.lenses)
            for end, lens in zip(("stated", "found"), pair, strict=True)]
    cameras = f'"cameras": {cameras_text(landmarks.cameras)}, "lenses": {cameras_text(tuple(both))}'
    text = f"{json.dumps(head)[:-1]}, {cameras}}}"
    arrays = {name: getattr(landmarks, name).astype(dtype) for name, dtype in ARRAYS.items()}
    for name, dtype in INDEX.items():
        value = getattr(landmarks.index, name)
        arrays[f"index.{name}"] = (value.centres if isinstance(value, Words) else value).astype(dtype)
    arrays["descriptors"] = landmarks.descriptors
    arrays["head"] = np.frombuffer(text.encode("utf-8"), np.uint8)
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    write_whole(path, packed.getvalue())


def load_landmarks(path: Path | str, mapped: bool = False) -> LandmarkMap:
    """Read a map; a file that is none, or a broken one, is refused with what is wrong.

    `mapped`: the descriptors, most of a map, stay in the file, and a query reads those of its candidates. The file
    must not be written over meanwhile; `save_landmarks` puts a new one in its place.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as packed:
            arrays = {name: packed[name] for name in packed.files if not (mapped and name == "descriptors")}
        if mapped:
            arrays["descriptors"] = _mapped(path, "descriptors")
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; make it with geoloc landmarks") from error
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        said = f"not a landmark map that can be read ({error or type(error).__name__})"
        raise InputError(f"{path}: {said}; make it with geoloc landmarks") from error
    missing = {"head", "descriptors", *ARRAYS} - {*LATER} - arrays.keys()
    if missing:
        raise InputError(f"{path}: not a landmark map: {', '.join(sorted(missing))} missing")
    head = parse_json(arrays["head"].tobytes().decode("utf-8", errors="replace"), path, finite=True)
    with jsonfile.naming(path):
        return _landmarks(head, arrays)


def _landmarks(head: object, arrays: dict[str, np.ndarray]) -> LandmarkMap:
    document = jsonfile.mapping("the head", head)
    if document.get("format") != FORMAT:
        raise InputError(f"the head says {document.get('format')!r}; it must be {FORMAT!r}")
    if document.get("schema") == FIRST:
        document = {**document, "schema": SCHEMA, "frame": {"middle": [0.0] * 3, "cov": np.zeros((7, 7)).tolist()}}
        nothing = np.zeros(len(arrays["points"]), np.float32)
        arrays = {"repeats": np.zeros((0, 3)), **arrays, "seen": nothing, "missed": nothing}
    jsonfile.check_schema(document, SCHEMA)
    jsonfile.check_keys("the head", document, ("format", "schema", "extractor", "noise", "cameras", "lenses", "frame"))
    missing = set(LATER) - arrays.keys()
    if missing:
        raise InputError(f"not a landmark map: {', '.join(sorted(missing))} missing")
    for name, dtype in ARRAYS.items():
        if arrays[name].dtype != dtype:
            raise InputError(f"{name} is {arrays[name].dtype}; it must be {np.dtype(dtype).name}")
    if arrays["descriptors"].dtype not in (np.uint8, np.float32) or arrays["descriptors"].ndim != 2:
        raise InputError(f"descriptors are {arrays['descriptors'].dtype}; they must be rows of uint8 or float32")
    stored = _index(arrays, len(arrays["image"])) if any(name.startswith("index.") for name in arrays) else None
    noise = jsonfile.mapping("noise", document["noise"])
    jsonfile.check_keys("noise", noise, ("floor", "per_scale", "shared"))
    numbers = {key: float(jsonfile.numbers(key, value, ())) for key, value in noise.items()}
    frame = jsonfile.mapping("frame", document["frame"])
    jsonfile.check_keys("frame", frame, ("middle", "cov"))
    placed = MapFrame(
        jsonfile.numbers("frame.middle", frame["middle"], (3,)), jsonfile.numbers("frame.cov", frame["cov"], (7, 7))
    )
    values = {name: arrays[name] for name in ARRAYS} | {"point_cov": arrays["point_cov"].astype(float)}
    lenses = [camera.lens for camera in parse_cameras(document["lenses"])]
    if len(lenses) % 2:
        raise InputError(f"holds {len(lenses)} lenses; each comes as stated and as found")
    return LandmarkMap(
        parse_cameras(document["cameras"]), **values, descriptors=arrays["descriptors"],
        extractor=str(document["extractor"]), noise=FeatureNoise(**numbers),
        lenses=tuple(zip(lenses[::2], lenses[1::2], strict=True)), frame=placed, stored_index=stored,
    )  # fmt: skip


def _index(arrays: dict[str, np.ndarray], n: int) -> LandmarkIndex:
    """What a map of `n` observations is searched by."""
    for name, dtype in INDEX.items():
        found = arrays.get(f"index.{name}")
        if found is None or found.dtype != dtype:
            raise InputError(f"index.{name} is {'missing' if found is None else found.dtype}; build the map anew")
    values = {name: arrays[f"index.{name}"] for name in INDEX}
    if values["word"].shape != (n,):
        raise InputError(f"index.word has shape {values['word'].shape}; it must be ({n},): build the map anew")
    dim = arrays["descriptors"].shape[1]
    if values["words"].shape[1:] != (dim,) or values["voter_words"].shape[1:] != (dim,):
        raise InputError("index: its words are of other descriptors; build the map anew")
    words, voter_words = Words(values.pop("words")), Words(values.pop("voter_words"))
    return LandmarkIndex(words=words, voter_words=voter_words, **values)


def _mapped(path: Path, name: str) -> np.ndarray:
    """An array of an npz file as it lies there, which is whole: not packed."""
    with zipfile.ZipFile(path) as packed:
        entry = packed.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is packed and cannot be mapped")
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)  # in zip's local header: lengths of the name and of what follows it
        skipped = np.frombuffer(file.read(4), "<u2").sum(dtype=int)
        file.seek(entry.header_offset + 30 + int(skipped))
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if fortran:
            raise ValueError(f"{name} lies column by column")
        return np.asarray(np.memmap(path, dtype, "r", file.tell(), shape))
