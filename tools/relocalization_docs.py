"""What README.md and docs/relocalization.md show of landmarks and moved cameras: output and pictures, all synthetic.

`python tools/readme.py relocalization` runs it: every command of the pages' blocks about out/images, as it is written.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from geoloc.features.extraction import extract
from geoloc.files import write_whole
from geoloc.relocalize.landmark_storage import load_landmarks
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.relocalization import Query, relocalize

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", DOCS / "relocalization.md")
FIRST = "geoloc demo --images"
PLOT, OVERLAY = "drift.png", "moved/p2-southwest.png"  # in out/images
SHOWN = "phone-0.jpg"
MOST_LINES = 40
QUALITY = 85


def renew() -> None:
    """Run what the pages say, put what that prints into them, and draw the pictures."""
    with TemporaryDirectory() as folder:
        run(FIRST, Path(folder))
        fresh = Path(folder) / "fresh"
        shutil.copytree(Path(folder) / "out", fresh)
        for page in PAGES:  # each as its reader begins
            shutil.rmtree(Path(folder) / "out")
            shutil.copytree(fresh, Path(folder) / "out")
            write_whole(page, renewed(page.read_text(encoding="utf-8"), Path(folder)))
        images = Path(folder) / "out" / "images"
        shutil.copy(images / PLOT, DOCS / "drift.png")
        save(picture(images / OVERLAY), DOCS / "moved.jpg")
        draw_matches(images, DOCS / "matches.jpg")


def renewed(text: str, folder: Path) -> str:
    """A page with the output of the commands in its blocks about out/images."""

    def block(found: re.Match[str]) -> str:
        if "out/images" not in found[1] and FIRST not in found[1]:
            return found[0]
        asked = re.findall(r"^\$ (.*)\n(\.\.\.\n)?", found[1], flags=re.MULTILINE)
        parts = []
        for words, cut in asked:  # what is cut on the page stays cut
            said = "" if words == FIRST else run(words, folder)
            parts.append(f"$ {words}\n{cut or said}")
        gap = "\n" if any(part.count("\n") > 1 for part in parts) else ""
        return "```console\n" + gap.join(parts) + "```"

    return re.sub(r"```console\n(.*?)```", block, text, flags=re.DOTALL)


def run(words: str, folder: Path) -> str:
    """What a command prints, in a folder; a refusal's line with it."""
    command = [sys.executable, "-m", "geoloc", *shlex.split(words)[1:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "USER": "ann"}  # who rolls a version back is told
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    if done.returncode not in (0, 2) or (done.returncode == 2 and "refused" not in done.stderr):
        raise SystemExit(f"{words}: {done.stderr}")
    return done.stdout + (done.stderr if done.returncode == 2 else "")


def draw_matches(images: Path, path: Path) -> None:
    """A phone's picture beside the map's picture that shares most landmarks with it, lines between what they share."""
    landmarks = load_landmarks(images / "calibration" / "garage" / "landmarks.npz")
    grey = np.asarray(cv2.cvtColor(picture(images / "phones" / SHOWN), cv2.COLOR_BGR2GRAY))
    query = Query(extract(grey), (grey.shape[1], grey.shape[0]))
    best = relocalize(query, landmarks, np.random.default_rng(1)).best
    name, theirs, rows = _most_shared(landmarks, best.points)
    other = next(file for folder in ("stills", "walk") for file in (images / folder).glob(f"{name}.*"))
    left, right = picture(images / "phones" / SHOWN), picture(other)
    scale = left.shape[0] / right.shape[0]
    right = np.asarray(cv2.resize(right, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
    sheet = np.concatenate([left, right], axis=1)
    ours = query.features.pixels[best.features[rows]]
    shift = np.array([left.shape[1], 0.0])
    step = max(1, len(rows) // MOST_LINES)
    for a, b in zip(ours[::step], (theirs * scale + shift)[::step], strict=True):
        ends = [tuple(np.rint(end).astype(int).tolist()) for end in (a, b)]
        cv2.line(sheet, ends[0], ends[1], (190, 170, 40), 1, cv2.LINE_AA)
        for end in ends:
            cv2.circle(sheet, end, 4, (60, 200, 250), 1, cv2.LINE_AA)
    sheet = np.asarray(cv2.resize(sheet, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA))
    save(sheet, path)


def picture(path: Path) -> np.ndarray:
    """A picture (H, W, 3) BGR of a file that was just made."""
    return np.asarray(cv2.imread(str(path)))


def save(image: np.ndarray, path: Path) -> None:
    """A picture (H, W, 3) BGR as a JPEG file."""
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    write_whole(path, packed.tobytes())


def _most_shared(landmarks: LandmarkMap, points: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
    """The image that saw most of some landmarks: its name, where (M, 2) px it saw them, and which (M,) of them."""
    seen = np.isin(landmarks.point, points)
    image = int(np.bincount(landmarks.image[seen], minlength=len(landmarks.cameras)).argmax())
    own = landmarks.rows([image])
    where = {int(landmarks.point[row]): row for row in own.tolist()}
    rows = np.array([i for i, point in enumerate(points.tolist()) if point in where], int)
    pixels = landmarks.pixels[[where[int(points[i])] for i in rows.tolist()]].astype(float)
    return landmarks.names[image], pixels, rows
