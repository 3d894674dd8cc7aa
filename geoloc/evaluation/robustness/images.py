"""Place recognition under image hazards: is the place of a query still found when its image is worse?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.retrieval import RetrievalRun, run_of_scores
from geoloc.evaluation.robustness.hazard import Hazard
from geoloc.files import find_files
from geoloc.metrics.judgements import Labelled
from geoloc.metrics.ranking import score_rankings

Describe = Callable[[np.ndarray], np.ndarray]  # an image uint8 (H, W, 3), BGR, to a vector (D,)
HOG_SIDE, HOG_CELL, HOG_BINS = 512, 16, 9  # px, px; as VPR-Bench (Zaffar et al. 2021) sets HOG up
RECALLS = (1, 5)


@dataclass(frozen=True, eq=False)
class ImageCase:
    """Images of places: `queries[i]` (H, W, 3) uint8 shows the place of `references[i]`."""

    name: str
    queries: tuple[np.ndarray, ...]
    references: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        if len(self.queries) != len(self.references) or not self.queries:
            raise InputError(f"{self.name}: {len(self.queries)} queries, {len(self.references)} references; give pairs")


def image_case(folder: str | Path) -> ImageCase:
    """A folder with `query/` and `ref/`, whose images of one name show one place."""
    folder = Path(folder)
    files = {path.name: path for path in find_files(folder, "query/*.*", "query image")}
    missing = [name for name in files if not (folder / "ref" / name).is_file()]
    if missing:
        raise InputError(f"{folder}: {len(missing)} queries have no image of their name in ref/, first {missing[0]}")
    names = sorted(files)
    queries, references = (tuple(_read(folder / part / name) for name in names) for part in ("query", "ref"))
    return ImageCase(folder.name, queries, references)


def describe_hog(image: np.ndarray) -> np.ndarray:
    """Histogram of oriented gradients (Dalal and Triggs 2005) of the grey image at 512 × 512: (34596,) float32.

    Cells of 16 px, blocks of 2 × 2 cells, 9 bins.
    """
    import cv2

    square, block, cell = ((side, side) for side in (HOG_SIDE, 2 * HOG_CELL, HOG_CELL))
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), square)
    return np.ravel(cv2.HOGDescriptor(square, block, cell, cell, HOG_BINS).compute(grey))


def place_run(name: str, queries: np.ndarray, references: np.ndarray, how: str = "") -> RetrievalRun:
    """Descriptors (N, D) of queries, each ranking all references (N, D) by cosine; row i shows the place of row i."""
    number = np.arange(len(queries))
    places = Labelled(number, number, np.zeros(len(number), dtype=int))
    alike = _unit(queries) @ _unit(references).T
    return run_of_scores(name, alike, places, places, "any_camera", f"{how}, cosine" if how else "cosine")


def recalls(references: np.ndarray, queries: np.ndarray) -> dict[str, float]:
    """Share of the queries whose place is among the k most alike, `recall_k`; see `place_run`."""
    scores = score_rankings(place_run("", queries, references).rankings, RECALLS)
    return {f"recall_{k}": scores.figure(f"hit_rate@{k}") for k in RECALLS}


def described(case: ImageCase, describe: Describe) -> np.ndarray:
    """The vectors (N, D) of the case's queries."""
    return np.stack([describe(image) for image in case.queries])


def on_queries(hazard: Hazard[np.ndarray]) -> Hazard[ImageCase]:
    """The hazard of every query image of a case; references stay as they are, taken on a good day."""
    return Hazard(hazard.name, hazard.what, hazard.unit, hazard.strengths, partial(_perturbed, hazard))


def _perturbed(hazard: Hazard[np.ndarray], case: ImageCase, strength: float, rng: np.random.Generator) -> ImageCase:
    streams = rng.spawn(len(case.queries))  # what one image draws must not shift what the next one gets
    images = (hazard.apply(image, strength, own) for image, own in zip(case.queries, streams, strict=True))
    return replace(case, queries=tuple(images))


def _read(path: Path) -> np.ndarray:
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path}: cannot be read as an image")
    return np.asarray(image)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
