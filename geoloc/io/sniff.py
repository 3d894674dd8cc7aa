"""What a file of detections looks like, from its first bytes and its shape."""

import json
from pathlib import Path
from typing import Any

from geoloc.files import read_bytes
from geoloc.io.cells import is_number

HEAD = 65536  # characters that are looked at
MAGIC = {b"PAR1": "parquet", b"PK\x03\x04": "fairmot", b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG"}
# what is said of each look; those below READERS' names cannot be read as detections
DESCRIPTIONS = {
    "csv": "CSV with a header of column names",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
    "mot": "MOTChallenge (lines of numbers with commas)",
    "coco": "COCO results (a list of objects with image_id and bbox)",
    "annotations": "WILDTRACK or MultiviewX annotations (people with positionID and views)",
    "mvdetr": "MVDeTr boxes (an object of frames)",
    "cityflow": "CityFlow boxes (lines of numbers with blanks)",
    "meva": "MEVA boxes (CSV with time_s and track_id)",
    "fairmot": "an archive of numpy arrays",
    "cvml": "CVML (XML of frames and boxes)",
    "COCO data set": "a COCO data set of truth, not results",
    "GeoJSON": "GeoJSON, a map",
    "OpenCV": "an OpenCV calibration",
    "JPEG": "a JPEG picture",
    "PNG": "a PNG picture",
    "empty": "an empty file",
    "unknown": "nothing known",
}


def look(path: Path | str) -> str:
    """One of the keys of `DESCRIPTIONS`: what the file (or folder of annotation files) looks like."""
    if Path(path).is_dir():
        first = sorted(Path(path).glob("*.json"))
        return look(first[0]) if first else "unknown"
    content = read_bytes(path)
    for magic, kind in MAGIC.items():
        if content.startswith(magic):
            return kind
    try:
        # a cut may go through a character; whole files are held to UTF-8
        text = content[:HEAD].decode("utf-8-sig", "strict" if len(content) <= HEAD else "ignore").strip()
    except UnicodeDecodeError:
        return "unknown"
    if not text:
        return "empty"
    if text[0] in "[{":
        return _look_json(text, len(content) <= HEAD)
    if text[0] == "<":
        return "OpenCV" if "opencv_storage" in text else "cvml" if "<objectlist" in text else "unknown"
    return _look_lines(text)


def _look_json(text: str, whole: bool) -> str:
    first = text.splitlines()[0]
    try:
        content = json.loads(first)
        if isinstance(content, dict) and "time" in content:
            return "jsonl"
    except (ValueError, RecursionError):
        content = None
    if whole and content is None:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
    return _look_words(text) if content is None else _look_content(content)


def _look_content(content: Any) -> str:
    head = content[0] if isinstance(content, list) and content else content
    if not isinstance(head, dict):
        return "coco" if content == [] else "unknown"
    for keys, kind in (
        ({"image_id", "bbox"}, "coco"),
        ({"positionID", "views"}, "annotations"),
        ({"images"}, "COCO data set"),
        ({"type", "features"}, "GeoJSON"),
        ({"time"}, "jsonl"),
    ):
        if keys <= head.keys() and (isinstance(content, list) == (kind in ("coco", "annotations"))):
            return kind
    return "mvdetr" if content is head and all(key.isdecimal() for key in head) else "unknown"


def _look_words(text: str) -> str:
    """Look of JSON that is too long or too broken to be parsed here."""
    for words, kind in (
        (("positionID",), "annotations"),
        (("FeatureCollection",), "GeoJSON"),
        (('"images"', '"annotations"'), "COCO data set"),
        (("image_id", "bbox"), "coco"),
        (('"time"', '"camera"'), "jsonl"),
    ):
        if all(word in text for word in words):
            return kind
    opening = text[1:].lstrip()[:1]
    return "mvdetr" if text[0] == "{" and opening == '"' and text[2:].lstrip()[:1].isdecimal() else "unknown"


def _look_lines(text: str) -> str:
    first = text.splitlines()[0]
    if first.startswith("%YAML"):
        return "OpenCV"
    cells = [cell.strip() for cell in first.split(",")]
    if "time_s" in cells and "track_id" in cells:
        return "meva"
    if {"x1", "x2"} & set(cells):
        return "csv"
    if len(cells) >= 6 and all(is_number(cell) for cell in cells[:6]):
        return "mot"
    words = first.split()
    return "cityflow" if len(words) >= 7 and all(is_number(word) for word in words) else "unknown"
