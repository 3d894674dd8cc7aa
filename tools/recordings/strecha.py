"""Strecha's sequences: landmark maps from all but every third still, the others placed in them; and false places.

Fountain and entry show one court, Herz-Jesus has nothing in common with them. What the map's own stills disagree by
(`FeatureNoise.shared`, learned by placing each by the others) stands for the survey's errors too, of which the truth
of a query has its own: NEES is of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import of_mean, of_quantile
from geoloc.evaluation.queries import bare_figure, query_blocks
from geoloc.evaluation.report import Figure
from geoloc.features.extraction import extract
from geoloc.features.local import LocalFeatures
from geoloc.io.pictures import read_pictures
from geoloc.io.strecha import read_strecha, still_path
from geoloc.metrics.consistency import consistency, nees
from geoloc.relocalize.estimate import PoseEstimate
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.relocalization import Query, relocalize
from geoloc.scene.camera import Camera

RECORDING = "strecha"
SEQUENCES = ("fountain-P11", "Herz-Jesus-P8", "entry-P10")
SEED = 1
THIRDS = "map from all but every third still, each third in turn; lens known"
HONEST = "bounds are where the mean lies with 99.9 % if covariances are honest, not an interval of the value"
CROSS = (  # queries, map, whether they show one place
    ("Herz-Jesus-P8", "fountain-P11", False),
    ("Herz-Jesus-P8", "entry-P10", False),
    ("fountain-P11", "entry-P10", True),
    ("entry-P10", "fountain-P11", True),
)


@dataclass(frozen=True, eq=False)
class Placed:
    """One query: its true camera, and the answer."""

    true: Camera
    found: PoseEstimate

    @property
    def error_m(self) -> float:
        """Distance of the camera centres."""
        return float(np.linalg.norm(self.found.camera.centre_world - self.true.centre_world))

    @property
    def perturbation(self) -> np.ndarray:
        """xi (6,) that takes the answer to the truth."""
        return (self.true.cam_from_world * self.found.cam_from_world.inv()).as_exp_coords()


def run(folder: Path) -> list[Figure]:
    """Medians and NEES of each sequence, of all together, and what maps of other places answer."""
    figures, every = [], []
    for name in SEQUENCES:
        thirds = [place(folder, name, start) for start in range(3)]
        figures += _figures(name, thirds)
        every += [query for third in thirds for query in third]
    figures.append(_honesty("all", every))
    for queries, built, alike in CROSS:
        figures += _cross(folder, queries, built, alike)
    return figures


def place(folder: Path, name: str, start: int) -> list[Placed]:
    """Every third still of a sequence from `start` on, placed in a map of the others."""
    cameras = read_strecha(folder / name)
    queries = cameras[start::3]
    landmarks = _map(folder, name, tuple(camera.name for camera in cameras if camera not in queries))
    return [_placed(folder, name, camera, landmarks) for camera in queries]


def _placed(folder: Path, name: str, camera: Camera, landmarks: LandmarkMap) -> Placed:
    query = Query(_features(still_path(folder / name, camera)), camera.size, camera)
    return Placed(camera, relocalize(query, landmarks, np.random.default_rng(SEED)))


def _map(folder: Path, name: str, stills: Sequence[str]) -> LandmarkMap:
    cameras = [camera for camera in read_strecha(folder / name) if camera.name in stills]
    return build_landmarks([_features(still_path(folder / name, camera)) for camera in cameras], cameras)


@cache
def _features(path: Path) -> LocalFeatures:
    return extract(next(iter(read_pictures([path], 1)))[1])


def _figures(name: str, thirds: list[list[Placed]]) -> list[Figure]:
    every = [query for third in thirds for query in third]
    answered = [query for query in every if query.found.answered]
    blocks, sure = query_blocks(len(every))
    kept = np.array([query.found.answered for query in every], float)
    figures = [of_mean("answered", "%", THIRDS, kept, blocks, 100).figure(RECORDING, name, sure)]
    if not answered:
        return figures
    errors = [[1e3 * query.error_m for query in third if query.found.answered] for third in thirds]
    mean = float(np.mean([np.median(third) for third in errors if third]))
    said = f"{THIRDS}; mean over the thirds of the median distance of camera centres"
    figures.append(bare_figure(RECORDING, name, "median_position_error_mm", mean, "mm", said))
    blocks, sure = query_blocks(len(answered))
    pooled = of_quantile("median_of_all_mm", "mm", THIRDS, np.concatenate(errors), blocks)
    return [*figures, pooled.figure(RECORDING, name, sure), _honesty(name, answered)]


def _honesty(name: str, placed: list[Placed]) -> Figure:
    answered = [query for query in placed if query.found.answered]
    values = nees(
        np.array([query.perturbation for query in answered]), np.array([query.found.cov for query in answered])
    )
    found = consistency(values, 6)
    return Figure(RECORDING, name, "nees", found.mean, found.low, found.high, "", f"{THIRDS}; 6 expected; {HONEST}")


def _cross(folder: Path, queries: str, built: str, alike: bool) -> list[Figure]:
    cameras = read_strecha(folder / queries)
    landmarks = _map(folder, built, tuple(camera.name for camera in read_strecha(folder / built)))
    placed = [_placed(folder, queries, camera, landmarks) for camera in cameras]
    answered = [query for query in placed if query.found.answered]
    part = f"{queries} in {built}"
    said = f"{len(placed)} stills of {queries} in a map of all of {built}"
    if not alike:
        return [bare_figure(RECORDING, part, "false_answers", len(answered), "", f"{said}, which shows another place")]
    worst = max((query.error_m for query in answered), default=0.0)
    return [
        bare_figure(RECORDING, part, "answered_stills", len(answered), "", f"{said}; few of them show what it shows"),
        bare_figure(RECORDING, part, "worst_error_m", worst, "m", f"{said}; of those answered"),
    ]
