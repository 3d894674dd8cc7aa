"""Draws the pictures of docs/detect.md from films of the garage: what is not background, and the bodies laid into it.

    python tools/detect_docs.py FILMS           # a folder of CAMERA.avi and empty/CAMERA.png, as garage_film draws them
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from geoloc.io.pictures import read_colours
from geoloc.perception.frames import FilmSource
from geoloc.perception.motion_detector import MotionDetector
from geoloc.scene.storage import load_site

COLOURS = {"person": (60, 200, 255), "car": (90, 220, 90), "van": (255, 120, 220), "bicycle": (255, 220, 90)}
SHOWN = (("p1-row-b", 60), ("p1-aisle-s-west", 90))
DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> int:
    """Draw and write."""
    films = Path(sys.argv[1])
    site = load_site("garage", films)
    rows = []
    for name, number in SHOWN:
        detector = MotionDetector(site)
        detector.show_empty(name, read_colours(films / "empty" / f"{name}.png"))
        for k, frame in enumerate(FilmSource(name, films / "films" / f"{name}.avi").frames()):
            detector.detect([frame])
            if k == number:
                break
        watch = detector.watch(name)
        picture = cv2.resize(frame.image, watch.camera.size)
        mask = cv2.cvtColor(watch.mask, cv2.COLOR_GRAY2BGR)
        for one in watch.bodies:
            hull = cv2.convexHull(one.pixels.astype(np.float32)).reshape(-1, 2)
            colour = COLOURS.get(one.body.label, (200, 200, 200))
            cv2.polylines(picture, [np.rint(hull * 16).astype(np.int32)], True, colour, 2, cv2.LINE_AA, 4)
        rows.append(cv2.resize(np.hstack([picture, mask]), (1280, 360)))
    cv2.imwrite(str(DOCS / "detect.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return 0


if __name__ == "__main__":
    sys.exit(main())
