"""A landmark map as one file: arrays in NumPy's npz, without pickles; cameras and the rest as JSON among them."""

import io
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import parse_json, read_bytes, write_whole
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
    "scale": np.float32, "seen": np.float32, "missed": np.float32,
}  # fmt: skip
LATER = ("seen", "missed")  # that schema 1 did not have


def save_landmarks(landmarks: LandmarkMap, path: Path | str) -> None:
    """Write a map, whole or not at all."""
    head = {"format": FORMAT, "schema": SCHEMA, "extractor": landmarks.extractor, "noise": vars(landmarks.noise)}
    head["frame"] = {"middle": landmarks.frame.middle.tolist(), "cov": landmarks.frame.cov.tolist()}
    both = [Camera(f"{i} {end}", lens, (1, 1)) for i, pair in enumerate(landmarks.lenses)
            for end, lens in zip(("stated", "found"), pair, strict=True)]
    cameras = f'"cameras": {cameras_text(landmarks.cameras)}, "lenses": {cameras_text(tuple(both))}'
    text = f"{json.dumps(head)[:-1]}, {cameras}}}"
    arrays = {name: getattr(landmarks, name).astype(dtype) for name, dtype in ARRAYS.items()}
    arrays["descriptors"] = landmarks.descriptors
    arrays["head"] = np.frombuffer(text.encode("utf-8"), np.uint8)
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    write_whole(path, packed.getvalue())


def load_landmarks(path: Path | str) -> LandmarkMap:
    """Read a map; a file that is none, or a broken one, is refused with what is wrong."""
    path = Path(path)
    content = read_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as packed:
            arrays = {name: packed[name] for name in packed.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
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
        arrays = {**arrays, **dict.fromkeys(LATER, nothing)}
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
        lenses=tuple(zip(lenses[::2], lenses[1::2], strict=True)), frame=placed,
    )  # fmt: skip
