"""What a calibration looks like, by the words that only its form has."""

import re
from pathlib import Path

from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.io.sniff import DESCRIPTIONS, look

# what a calibration never looks like; lines of numbers may be either
NO_CALIBRATION = DESCRIPTIONS.keys() - {"OpenCV", "mot", "cityflow", "unknown", "empty"}
HEAD = 4000  # characters that are looked at
LOOKS = (
    ("opencv", r"^%YAML|<opencv_storage|opencv-matrix"),
    ("mv3dt", r"^projectionMatrix_3x4"),
    ("tsai", r"<Camera\b"),
    ("qualisys", r"<calibration\b"),
    ("caliscope", r"^\s*\[cameras\.\w+\]"),
    ("anipose", r"^\s*\[\"?[\w-]*[A-Za-z_][\w-]*\"?\]\s*$"),
    ("kalibr", r"^cam0\s*:"),
    ("ros", r"^camera_matrix\s*:"),
    ("nvidia", r"^\s*\{[\s\S]*\"sensors\"\s*:"),
    ("opencv", r"^\{"),
    ("homography_latlon", r"(?i)^homography matrix\s*:"),
)


def look_of_calibration(path: Path) -> str:
    """The key of `CAMERA_READERS` that a file or folder looks like, or ""; InputError for what is no calibration."""
    if path.is_dir():
        model = any((path / f"cameras{ending}").is_file() for ending in (".txt", ".bin"))
        return "colmap" if model else "xml_pairs" if (path / "extrinsic").is_dir() else ""
    found = look(path)
    if found == "empty":
        raise InputError(f"{path}: the file is empty; it must hold a calibration")
    if found in NO_CALIBRATION:
        raise InputError(f"{path}: looks like {DESCRIPTIONS[found]}; it must be a calibration")
    text = read_text(path).strip()
    for kind, words in LOOKS:
        if re.search(words, text[:HEAD], re.MULTILINE):
            return kind
    numbers = re.split(r"[\s,;]+", text)
    if all(re.fullmatch(r"[-+.\deE]+", word) for word in numbers):
        if len(numbers) == 9:
            return "homography"
        if 21 <= len(numbers) <= 35:
            return "krtd"
    return ""
