"""Detections in the forms of others: MOTChallenge, COCO results, WILDTRACK and MultiviewX annotations, CVML.

Each reader states where its format's pixel origin is; the shift to geoloc's (0, 0 = centre of the top-left
pixel) is made here and nowhere else. Identities in these files are not read.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from geoloc.errors import InputError
from geoloc.files import find_files, read_json, read_text
from geoloc.io.own_forms import number
from geoloc.io.rows import ReadOptions, ReadResult, Rows

MOT_EDGE_SHIFT = -1.5  # px: pixels are counted from 1, and boxes from corner to corner
COCO_EDGE_SHIFT = -0.5  # px: boxes go from corner to corner, the image's corner is (0, 0)
MOT_CLASSES = (
    "person", "person_on_vehicle", "car", "bicycle", "motorbike", "non_motorized_vehicle", "static_person",
    "distractor", "occluder", "occluder_on_ground", "occluder_full", "reflection",
)  # fmt: skip  # classes 1 to 12 of the nine-column form
NOT_SEEN = -1


def read_mot(path: Path, options: ReadOptions) -> ReadResult:
    """MOTChallenge: frame from 1, id not read, left, top, width, height, conf[, class, visibility | x, y, z].

    conf -1 means none, and so does a column without any positive one. Confidences beyond 1 are divided by
    100, or by the largest where that is more; negative ones become 0; the report says so. Needs `camera` and
    `fps`.
    """
    camera, fps = options.require_camera("MOTChallenge"), options.require_fps("MOTChallenge")
    rows = Rows(path, "mot")
    lines = [(i, re.split(r"[,\s]+", line.strip())) for i, line in enumerate(read_text(path).split("\n"), 1)]
    scores = _mot_scores({i: words[6] for i, words in lines if len(words) > 6 and words[6]}, rows)
    for i, words in lines:
        if words == [""]:
            continue
        try:
            frame, _, *box = (number(word) for word in words[:6])
            left, top, width, height = box
        except ValueError:
            rows.skip(i, "line does not begin with six numbers: truncated or broken")
            continue
        edges = np.array([left, top, left + width, top + height]) + MOT_EDGE_SHIFT
        label = _mot_label(words, options)
        rows.add(i, options.start + (frame - 1) / fps, camera, edges.tolist(), label, scores.get(i, 1.0))
    return rows.result(options)


def read_coco(path: Path, options: ReadOptions) -> ReadResult:
    """COCO results: a list of {image_id, category_id, bbox [left, top, width, height], score}.

    Camera and time of an image come from `images` (COCO's list of images: `camera` and `time` where they have
    them, else `file_name` read by `image_pattern`), or without it from the image id read by `image_pattern`.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(f"{path}: not COCO results; they are a list of objects with image_id and bbox")
    images, categories = _coco_images(options)
    rows = Rows(path, "coco", "row")
    for i, item in enumerate(content, 1):
        try:
            camera, time = images(item["image_id"])
            left, top, width, height = (number(value) for value in item["bbox"])
            edges = np.array([left, top, left + width, top + height]) + COCO_EDGE_SHIFT
            label = categories.get(item.get("category_id"), options.label) if categories else options.label
            rows.add(i, time, camera, edges.tolist(), label, number(item.get("score", 1.0)))
        except LookupError:
            rows.skip(i, "its image has no camera and time")
        except (TypeError, ValueError, AttributeError):
            rows.skip(i, "object has no readable image_id, bbox and score")
    return rows.result(options)


def read_annotations(path: Path, options: ReadOptions) -> ReadResult:
    """WILDTRACK and MultiviewX annotations: a file, or a folder of files, named by frame number.

    View v is camera C(v + 1). Boxes are points projected with OpenCV: not shifted. Needs `fps`, in frames of
    the file names (WILDTRACK 10, MultiviewX 2).
    """
    fps = options.require_fps("annotation")
    rows = Rows(path, "annotations", "person")
    for file in find_files(path, "*.json", "annotation") if path.is_dir() else [path]:
        if not re.fullmatch("[0-9]{1,15}", file.stem):
            raise InputError(f"{file}: its name must be the number of its frame, such as 00001.json")
        people = read_json(file)
        if not isinstance(people, list):
            raise InputError(f"{file}: not annotations; they are a list of people with views")
        time = options.start + int(file.stem) / fps
        for i, person in enumerate(people, 1):
            _add_views(rows, i, time, person, options)
    return rows.result(options)


def read_cvml(path: Path, options: ReadOptions) -> ReadResult:
    """CVML: XML of frames with boxes `h w xc yc` about their centre, in MOTChallenge's pixels; ids not read.

    Needs `camera` and `fps`; frame 0 is at `start`.
    """
    camera, fps = options.require_camera("CVML"), options.require_fps("CVML")
    try:
        root = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: XML breaks ({error}); is it truncated?") from error
    rows = Rows(path, "cvml", "row")
    listed = [(frame, box) for frame in root.iter("frame") for box in frame.iter("box")]
    for i, (frame, box) in enumerate(listed, 1):
        try:
            time = options.start + number(frame.get("number", "")) / fps
            h, w, x, y = (number(box.get(name, "")) for name in ("h", "w", "xc", "yc"))
        except ValueError:
            rows.skip(i, "box has no numbers h, w, xc, yc or its frame none")
            continue
        edges = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) + MOT_EDGE_SHIFT
        rows.add(i, time, camera, edges.tolist(), options.label or "person")
    return rows.result(options)


def _mot_label(words: list[str], options: ReadOptions) -> str:
    if len(words) == 9 and words[7].isdecimal() and 1 <= int(words[7]) <= len(MOT_CLASSES):
        return MOT_CLASSES[int(words[7]) - 1]
    return options.label or "person"


def _mot_scores(words: Mapping[int, str], rows: Rows) -> dict[int, float]:
    """Score (0 to 1) by line; 1 where the file has none."""
    given: dict[int, float] = {}
    for line, word in words.items():
        try:
            given[line] = number(word)
        except ValueError:
            given[line] = np.nan
    confidence = np.array([value if value != -1 else 1.0 for value in given.values()])
    if len(confidence) and (confidence <= 0).all():
        rows.notes.append("no confidence is positive: the column is not read")
        return {}
    top = np.nanmax(np.where(np.isfinite(confidence), confidence, np.nan), initial=1.0)
    if top > 1:
        divisor = max(100.0, float(top))
        rows.notes.append(f"confidences reach {top:g}: they are divided by {divisor:g}")
        confidence = np.where(np.array(list(given.values())) == -1, 1.0, confidence / divisor)
    if (confidence < 0).any():
        rows.notes.append(f"{int((confidence < 0).sum())} negative confidences are taken as 0")
        confidence = np.where(confidence < 0, 0.0, confidence)
    return dict(zip(given, confidence.tolist(), strict=True))


Images = Callable[[object], tuple[str, float]]


def _coco_images(options: ReadOptions) -> tuple[Images, dict[object, str]]:
    """The function from image id to camera and time, and the names of the categories."""
    if not options.images and not options.image_pattern:
        raise InputError(
            "COCO results name images only; give image_pattern with groups camera and frame, or images, "
            "the file that lists them"
        )
    by_name = _name_parser(options)
    if not options.images:
        return lambda image_id: by_name(str(image_id)), {}
    content = read_json(options.images)
    try:
        listed = {image["id"]: image for image in content["images"]}
        categories = {item["id"]: str(item["name"]) for item in content.get("categories", [])}
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{options.images}: not a list of images ({error!r}); each needs an id") from error

    def find(image_id: object) -> tuple[str, float]:
        image: dict[str, Any] = listed[image_id]
        if "camera" in image and "time" in image:
            return str(image["camera"]), number(image["time"])
        return by_name(str(image["file_name"]))

    return find, categories


def _name_parser(options: ReadOptions) -> Callable[[str], tuple[str, float]]:
    try:
        pattern = re.compile(options.image_pattern)
    except re.error as error:
        raise InputError(f"image_pattern {options.image_pattern!r}: {error}") from error
    groups = pattern.groupindex
    if options.image_pattern and not ({"frame", "time"} & groups.keys()):
        raise InputError(f"image_pattern {options.image_pattern!r}: it needs a group frame or time")
    camera = options.require_camera("COCO") if "camera" not in groups and options.image_pattern else ""
    fps = options.require_fps("COCO") if "frame" in groups else 1.0

    def parse(name: str) -> tuple[str, float]:
        match = pattern.search(name) if options.image_pattern else None
        if match is None:
            raise LookupError(name)
        found = match.groupdict()
        if "time" in found:
            return found.get("camera") or camera, number(found["time"])
        return found.get("camera") or camera, options.start + number(found["frame"]) / fps

    return parse


def _add_views(rows: Rows, line: int, time: float, person: Any, options: ReadOptions) -> None:
    try:
        views = [
            (int(view["viewNum"]), [number(view[name]) for name in ("xmin", "ymin", "xmax", "ymax")])
            for view in person["views"]
        ]
    except (TypeError, KeyError, ValueError, OverflowError):
        rows.skip(line, "person has no readable views")
        return
    for view, box in views:
        if box != [NOT_SEEN] * 4:
            rows.add(line, time, f"C{view + 1}", box, options.label or "person")
