"""Detections as Intel SceneScape's cameras publish them, on `scenescape/data/camera/CAMERA`.

The form is that of SceneScape 2026.1 (`detector` in its metadata.schema.json): the objects by category, each with
`bounding_box_px`; the list of objects of earlier versions is read too. Pixels there begin at the corner of the first
one, geoloc's in its centre: half a pixel is taken off. `bounding_box` alone, whose units are those of a lens that is
not geoloc's, is refused; `id` counts within a frame, and is nobody's name.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from geoloc.errors import InputError
from geoloc.scene import jsonfile
from geoloc.scene.site import Site
from geoloc.service.serve.heard import Frames, frames_of

TOPIC = "scenescape/data/camera/"
CORNER = 0.5  # px


def scenescape_frames(data: bytes, site: Site, camera: str) -> Frames:
    """One message of a camera; InputError says what is wrong with it."""
    try:
        said = jsonfile.mapping("the message", json.loads(data))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no JSON that can be read ({error})") from error
    for key in ("id", "timestamp", "objects"):
        if key not in said:
            raise InputError(f"the message has no {key!r}")
    if said["id"] != camera:
        raise InputError(f"'id' is {str(said['id'])[:40]!r}, and the topic's camera {camera!r}")
    boxes = [_box(label, one) for label, one in _objects(said["objects"])]
    frame = {"time": _seconds(said["timestamp"]), "camera": camera, "boxes": boxes}
    return frames_of(json.dumps(frame).encode(), site)


def _seconds(stamp: Any) -> float:
    try:
        time = datetime.fromisoformat(jsonfile.text("'timestamp'", stamp))
    except ValueError as error:
        raise InputError(f"'timestamp' {str(stamp)[:40]!r}: give an ISO 8601 time in UTC") from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _objects(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, list):
        for one in value:
            found = jsonfile.mapping("an object", one)
            yield str(found.get("category", "")), found
        return
    for label, several in jsonfile.mapping("'objects'", value).items():
        for one in jsonfile.sequence(f"objects of {label[:40]!r}", several):
            yield label, jsonfile.mapping("an object", one)


def _box(label: str, one: dict[str, Any]) -> dict[str, Any]:
    if "bounding_box_px" not in one:
        raise InputError("an object has no 'bounding_box_px'; normalised boxes and places are not taken")
    found = jsonfile.mapping("'bounding_box_px'", one["bounding_box_px"])
    values = [found.get(key) for key in ("x", "y", "width", "height")]
    x, y, width, height = jsonfile.numbers("'bounding_box_px'", values, (4,)).tolist()
    left, top = x - CORNER, y - CORNER
    box: dict[str, Any] = {"box": [left, top, left + width, top + height], "label": label}
    return box | ({"score": one["confidence"]} if "confidence" in one else {})
