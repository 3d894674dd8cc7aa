"""How long a site's cameras take to be checked: 500 frames against their pinned references, one after the other."""

import time
from collections.abc import Callable

import cv2
import numpy as np
from recordings.garage_drift import CAMERAS, DAY, QUALITY, day_pictures

from benchmarks.row import Row
from geoloc.relocalize.drift import check_drift
from geoloc.relocalize.reference import Reference, pin_reference
from geoloc.synthetic.garage import garage

NAME, N = "moved-camera check", 500
KINDS = ("still", "turned 0.02", "shifted")
RATIO = 0.8  # of the distances to the nearest and the next feature


def bench_drift_checks() -> list[Row]:
    """Frames of the drawn garage at another hour, unmoved, turned and shifted, half covered and not, as JPEG."""
    site_map, pinned, described, frames = garage().site.site_map, {}, {}, []
    for picture in day_pictures(CAMERAS, 1):
        name = picture.name.partition("--")[0]
        if picture.kind == "reference":
            grey = cv2.cvtColor(picture.image, cv2.COLOR_BGR2GRAY)
            pinned[name], described[name] = pin_reference(picture.camera, grey, site_map=site_map), _features(grey)
        elif picture.kind.partition("|")[0] in KINDS:
            frames.append((name, cv2.imencode(".jpg", picture.image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]))
    ours = _times(frames, lambda name, grey: _ours(pinned[name], grey))
    theirs = _times(frames, lambda name, grey: _theirs(described[name], grey), len(frames))
    note = f"{len(frames)} frames of {DAY.size[0]}x{DAY.size[1]}, another hour, half of them half covered, in turn"
    late, mean, each = 1000 * float(np.quantile(ours, 0.95)), 1000 * sum(ours) / N, 1000 * float(np.mean(theirs))
    return [
        Row(NAME, f"geoloc: {N} cameras", sum(ours), "s", None, "about 60", f"{note}; decoding included"),
        Row(NAME, "geoloc: one camera", mean, "ms", mean / each, "< 150", f"95 %: {late:.0f}"),
        Row(NAME, "OpenCV: SIFT, ratio test, homography", each, "ms", 1.0, "", "the reference's features kept"),
    ]


def _times(frames: list[tuple[str, np.ndarray]], check: Callable[[str, np.ndarray], None], n: int = N) -> list[float]:
    """Seconds of each of n checks, over the frames in turn."""
    check(frames[0][0], np.asarray(cv2.imdecode(frames[0][1], cv2.IMREAD_GRAYSCALE)))
    found = []
    for k in range(n):
        name, data = frames[k % len(frames)]
        start = time.perf_counter()
        check(name, np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)))
        found.append(time.perf_counter() - start)
    return found


def _ours(reference: Reference, grey: np.ndarray) -> None:
    check_drift(reference, grey)


def _features(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points, described = cv2.SIFT.create().detectAndCompute(grey, np.array([]))
    return np.array([point.pt for point in points], np.float32), described


def _theirs(before: tuple[np.ndarray, np.ndarray], now: np.ndarray) -> None:
    points, described = before
    own, own_described = _features(now)
    pairs = cv2.BFMatcher().knnMatch(own_described, described, k=2)
    good = [a for a, b in pairs if a.distance < RATIO * b.distance]
    if len(good) >= 4:
        ends = points[[m.trainIdx for m in good]], own[[m.queryIdx for m in good]]
        cv2.findHomography(*ends, cv2.RANSAC, 1.0)
