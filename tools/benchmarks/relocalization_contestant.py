"""The measurements of the benchmark of relocalization, in a process of its own with two cores: prints them as JSON.

    python tools/benchmarks/relocalization_contestant.py ../shared/data/strecha --images 2000

Stills of Strecha's sequences, enlarged and cut to 1920 x 1080, are placed in a map of the others of their sequence
(each third in turn), then the middle third in a map of `--images`, which holds them among drawn copies (tiled_map).
Contestants take turns, query by query. With --one-core all runs on one core, and its time is what counts, not the
clock's: that tells on a machine that is busy with other things.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

N_CORES = 1 if "--one-core" in sys.argv else 2
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(N_CORES)

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from scipy.spatial.transform import RigidTransform  # noqa: E402

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from benchmarks.hloc_style import TOP, StoredImage, match_images, pose_of  # noqa: E402
from benchmarks.tiled_map import copied_images, offset_of, stored_images, tiled  # noqa: E402
from geoloc.features.extraction import extract  # noqa: E402
from geoloc.features.local import ExtractionOptions, LocalFeatures, unit_descriptors  # noqa: E402
from geoloc.io.pictures import read_pictures  # noqa: E402
from geoloc.io.strecha import read_strecha, still_path  # noqa: E402
from geoloc.relocalize.candidates import group_images, match_landmarks, rank_images  # noqa: E402
from geoloc.relocalize.landmark_storage import load_landmarks, save_landmarks  # noqa: E402
from geoloc.relocalize.landmarks import LandmarkMap  # noqa: E402
from geoloc.relocalize.mapping import build_landmarks  # noqa: E402
from geoloc.relocalize.relocalization import Query, RelocalizationOptions, relocalize  # noqa: E402
from geoloc.scene.camera import Camera  # noqa: E402
from geoloc.scene.lenses import Pinhole  # noqa: E402

T = TypeVar("T")
SEQUENCES = ("fountain-P11", "Herz-Jesus-P8", "entry-P10")
SIZE = (1920, 1080)
REPEAT = 2  # the least time counts: other processes only ever add
SEED = 1
LEVELS = ((0.25, 2.0), (0.5, 5.0))  # m, deg
USUAL = "as they are"
EXTRACTIONS = {
    USUAL: ExtractionOptions(),
    "the 2,000 strongest": ExtractionOptions(max_features=2000),
    "of the image halved": ExtractionOptions(halvings=1),
}


@dataclass(frozen=True, eq=False)
class Still:
    """One still at 1080p, the camera that took it, and its features."""

    image: np.ndarray
    camera: Camera
    features: LocalFeatures


@dataclass(frozen=True, eq=False)
class Asked:
    """A query: features of a still, how long they took (s), and where its map lies in a larger one (3,) m."""

    features: LocalFeatures
    extraction: float
    camera: Camera
    offset: np.ndarray


@dataclass(frozen=True, eq=False)
class Answer:
    """Where a contestant puts a still, in m and deg from the truth (infinite: nowhere), and its seconds by part."""

    metres: float
    degrees: float
    seconds: dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--one-core", action="store_true")
    parser.add_argument("--thirds", type=int, nargs="+", default=[0, 1, 2], help="1 must be among them")
    given = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):  # the benchmarks are held to one core
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-N_CORES:])
    cv2.setNumThreads(N_CORES)
    stills = {name: read_stills(given.folder / name) for name in SEQUENCES}
    maps = {(name, third): map_without(stills[name], third) for name in SEQUENCES for third in given.thirds}
    # what is compiled or looked up once, out of the measurements
    ours(asked(stills[SEQUENCES[0]][1], USUAL), maps[SEQUENCES[0], 1])
    figures = on_strecha(stills, maps) | on_drawn_map(stills, [maps[name, 1] for name in SEQUENCES], given.images)
    print(json.dumps(figures))
    return 0


def read_stills(folder: Path) -> list[Still]:
    """A sequence's stills, enlarged to full width and cut to full height."""
    found = []
    for camera in read_strecha(folder):
        image = next(iter(read_pictures([still_path(folder, camera)], 1)))[1]
        scale = SIZE[0] / camera.size[0]
        large = cv2.resize(image, (SIZE[0], round(scale * camera.size[1])), interpolation=cv2.INTER_CUBIC)
        top = (len(large) - SIZE[1]) // 2
        fx, fy, cx, cy = camera.lens.params[:4].tolist()
        params = [scale * fx, scale * fy, scale * (cx + 0.5) - 0.5, scale * (cy + 0.5) - 0.5 - top]
        cut = np.ascontiguousarray(large[top : top + SIZE[1]])
        found.append(Still(cut, replace(camera, lens=Pinhole(np.array(params)), size=SIZE), extract(cut)))
    return found


def map_without(stills: Sequence[Still], third: int) -> LandmarkMap:
    """The map of all stills but every third."""
    kept = [still for row, still in enumerate(stills) if row % 3 != third]
    return build_landmarks([still.features for still in kept], [still.camera for still in kept])


def on_strecha(stills: dict[str, list[Still]], maps: dict[tuple[str, int], LandmarkMap]) -> dict[str, object]:
    """Every still placed in the map of the other two thirds; then by other features."""
    found: dict[str, list[Answer]] = {"geoloc": [], "hloc-style": []}
    features: dict[str, list[Answer]] = {name: [] for name in EXTRACTIONS}
    for (name, third), landmarks in maps.items():
        stored = stored_images(landmarks, {still.camera.name: still.features for still in stills[name]})
        for still in stills[name][third::3]:
            turn(found, asked(still, USUAL), landmarks, stored.__getitem__)
            if third == 1:
                for how, answers in features.items():
                    answers.append(ours(asked(still, how), landmarks))
    return {"strecha": summaries(found), "features": summaries(features)}


def on_drawn_map(stills: dict[str, list[Still]], maps: list[LandmarkMap], n_images: int) -> dict[str, object]:
    """The middle thirds placed in a map of many images, and what that map weighs."""
    stored = [
        stored_images(part, {still.camera.name: still.features for still in own})
        for part, own in zip(maps, stills.values(), strict=True)
    ]
    found: dict[str, list[Answer]] = {"geoloc": [], "hloc-style": []}
    with tempfile.TemporaryDirectory() as folder:
        weighed, large = weigh(tiled(maps, maps, n_images), Path(folder) / "map.npz")
        get = copied_images(large, stored)
        for place, own in enumerate(stills.values()):
            for still in own[1::3]:
                turn(found, asked(still, USUAL, offset_of(place)), large, get)
    per_image = np.mean([len(still.features) for own in stills.values() for still in own])
    weighed["raw_all"] = float(512 * per_image * len(large.cameras))
    return {"drawn": summaries(found), "map": weighed}


def weigh(landmarks: LandmarkMap, path: Path) -> tuple[dict[str, object], LandmarkMap]:
    """What a map takes in memory and on disk, and how long it is made ready; and the map, out of its file."""
    start = time.perf_counter()
    index = landmarks.index
    indexed = time.perf_counter() - start
    save_landmarks(landmarks, path)
    load_whole, _ = least(lambda: load_landmarks(path))
    load_mapped, read = least(lambda: load_landmarks(path, mapped=True))
    found: dict[str, object] = {
        "images": len(read.cameras), "landmarks": len(read), "observations": len(read.image),
        "memory": {"whole": landmarks.n_bytes, "mapped": read.n_bytes, "index": index.n_bytes},
        "load_s": {"whole": load_whole, "mapped": load_mapped}, "index_s": indexed,
        "file": path.stat().st_size, "raw_observed": 512 * len(read.image),
    }  # fmt: skip
    return found, read


def asked(still: Still, how: str, offset: np.ndarray | None = None) -> Asked:
    """A still as a query, its features extracted anew."""
    options = EXTRACTIONS[how]
    seconds, features = least(lambda: extract(still.image, options=options))
    return Asked(features, seconds, still.camera, np.zeros(3) if offset is None else offset)


def turn(
    found: dict[str, list[Answer]], query: Asked, landmarks: LandmarkMap, stored: Callable[[int], StoredImage]
) -> None:
    """One still placed by both contestants."""
    found["geoloc"].append(ours(query, landmarks))
    found["hloc-style"].append(theirs(query, landmarks, stored))


def ours(query: Asked, landmarks: LandmarkMap) -> Answer:
    """geoloc's answer; how long retrieval and matching take is found by running them once more alone."""
    features, options = query.features, RelocalizationOptions()
    query_seconds, answer = least(
        lambda: relocalize(
            Query(features, SIZE, query.camera), landmarks, np.random.default_rng(SEED), options
        )
    )
    seconds = {"extraction": query.extraction}
    seconds["retrieval"], ranking = least(lambda: rank_images(features, landmarks, options.min_votes))
    groups = group_images(ranking[: options.n_candidates], landmarks, options.fewest_shared)
    seconds["matching"], _ = least(lambda: match_landmarks(features, landmarks, groups, options.matching))
    seconds["pose"] = max(query_seconds - seconds["retrieval"] - seconds["matching"], 0.0)
    return told(answer.cam_from_world if answer.answered else None, query, seconds)


def theirs(query: Asked, landmarks: LandmarkMap, stored: Callable[[int], StoredImage]) -> Answer:
    """The peer's answer, with the same features and retrieval."""
    features = query.features
    seconds = {"extraction": query.extraction}
    seconds["retrieval"], ranking = least(lambda: rank_images(features, landmarks))
    images = [stored(image) for image in ranking[:TOP].tolist()]
    described = unit_descriptors(features.descriptors)
    seconds["matching"], (rows, points) = least(lambda: match_images(described, images))
    pixels, xyz = features.pixels[rows].astype(float), landmarks.points[points]
    seconds["pose"], pose = least(lambda: pose_of(query.camera, pixels, xyz))
    return told(pose, query, seconds)


def told(pose: RigidTransform | None, query: Asked, seconds: dict[str, float]) -> Answer:
    """An answer beside the truth."""
    if pose is None:
        return Answer(np.inf, np.inf, seconds)
    centre = -pose.rotation.inv().apply(pose.translation) - query.offset
    turned = pose.rotation * query.camera.cam_from_world.rotation.inv()
    metres = float(np.linalg.norm(centre - query.camera.centre_world))
    return Answer(metres, float(np.degrees(turned.magnitude())), seconds)


def least(work: Callable[[], T]) -> tuple[float, T]:
    """Least time (s) of some runs, and what the last of them gave."""
    times, clock = [], time.process_time if N_CORES == 1 else time.perf_counter
    for _ in range(REPEAT):
        start = clock()
        given = work()
        times.append(clock() - start)
    return min(times), given


def summaries(found: dict[str, list[Answer]]) -> dict[str, object]:
    """Recall, errors and seconds of each contestant."""
    return {who: summary(answers) for who, answers in found.items()}


def summary(answers: Sequence[Answer]) -> dict[str, object]:
    """Recall, errors and seconds of one."""
    metres, degrees = (np.array([getattr(each, name) for each in answers]) for name in ("metres", "degrees"))
    totals = [sum(each.seconds.values()) for each in answers]
    return {
        "n": len(answers),
        "recall": [float(((metres <= m) & (degrees <= deg)).mean()) for m, deg in LEVELS],
        "median_mm": float(1e3 * np.median(metres)),
        "seconds": float(np.median(totals)),
        "slowest": float(max(totals)),
        "parts": {part: float(np.median([each.seconds[part] for each in answers])) for part in answers[0].seconds},
    }


if __name__ == "__main__":
    sys.exit(main())
